"""`edge-robot archive`: what the fleet's archive has of its robots."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from edge_robot.cli.options import group
from edge_robot.errors import UserError

if TYPE_CHECKING:
    from edge_robot.fleet.backend.archive import Archived

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Of the archive.")]


def register(app: typer.Typer) -> None:
    """Add the group to the app."""
    commands = group(
        "archive", "Look into what robots have sent to `edge-robot backend --archive`."
    )
    app.add_typer(commands)
    commands.command(name="list")(list_holdings)
    commands.command()(export)


def list_holdings(folder: Folder) -> None:
    """Say what there is of each robot: edge-robot archive list FOLDER."""
    from edge_robot.fleet.backend.archive import ArchiveReader

    reader = ArchiveReader(folder)
    for item in reader.holdings():
        incomplete = f", {item.incomplete:,} incomplete" if item.incomplete else ""
        span = f"{_moment(item.first_stamp)} to {_moment(item.last_stamp)}"
        print(
            f"{item.robot} {item.kind}: {item.records:,} records{incomplete}, "
            f"{item.bytes / 2**20:.1f} MB, {span}"
        )
    reader.close()


def export(
    folder: Folder,
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="New folder for the files.")],
    robot: Annotated[str, typer.Option(help="Whose records; all robots' by default.")] = "",
    kind: Annotated[str, typer.Option(help="telemetry, event/mode …; all by default.")] = "",
) -> None:
    """Write records as files: edge-robot archive export FOLDER OUTPUT --kind hard_example.

    OUTPUT/ROBOT/KIND.jsonl has a line for each record; images and recordings lie beside it, under
    the names their lines give. Records of which parts have not come yet are left out, and counted.
    """
    from edge_robot.fleet.backend.archive import ArchiveReader

    try:
        output.mkdir(parents=True)
    except FileExistsError as error:
        raise UserError(f"{output} is there already; name a new folder") from error
    reader = ArchiveReader(folder)
    files: dict[Path, TextIO] = {}
    written = incomplete = 0
    try:
        for record in reader.records(robot, kind):
            if record.missing:
                incomplete += 1
                continue
            path = output / record.robot / f"{record.kind}.jsonl"
            if path not in files:
                path.parent.mkdir(parents=True, exist_ok=True)
                files[path] = path.open("w")
            print(json.dumps(_line(record, path.with_suffix(""))), file=files[path])
            written += 1
    finally:
        for file in files.values():
            file.close()
        reader.close()
    print(f"{written} records written, {incomplete} incomplete ones left out")


def _line(record: Archived, folder: Path) -> dict[str, Any]:
    """Return a record as one line; write what is no JSON of it into a file in a folder."""
    from edge_robot.fleet.privacy_policy import Kind
    from edge_robot.fleet.spool.payload import unpack

    values: dict[str, Any] = {}
    line: dict[str, Any] = {"id": record.id, "stamp": record.stamp, "created": record.created}
    if record.kind.startswith(f"{Kind.RECORDING.value}/"):
        content, suffix = record.payload, ".mcap"
    else:
        values, content = unpack(record.payload)
        suffix = ".jpg"
    if content:
        folder.mkdir(exist_ok=True)
        file = folder / f"{record.stamp}_{record.id}{suffix}"
        file.write_bytes(content)
        line["file"] = str(file.relative_to(folder.parent))
    return {**line, **values}


def _moment(stamp: int) -> str:
    return datetime.fromtimestamp(stamp * 1e-9, timezone.utc).isoformat(timespec="seconds")
