"""`edge-robot spool`: what a robot still has to tell the fleet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_robot.cli.options import group

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Of the spool.")]


def register(app: typer.Typer) -> None:
    """Add the group to the app."""
    commands = group("spool", "Look into what a robot keeps until the fleet's archive has it.")
    app.add_typer(commands)
    commands.command()(status)
    commands.command(name="list")(list_records)
    commands.command()(retry)


def status(folder: Folder) -> None:
    """Say how much waits, and what was dropped: edge-robot spool status ~/.ros/edge_robot/spool."""
    from collections import Counter

    from edge_robot.fleet.spool.reader import SpoolReader

    reader = SpoolReader(folder)
    waiting = Counter(chunk.kind for chunk in reader.waiting())
    refused = Counter(chunk.kind for chunk, _ in reader.refused())
    dropped = Counter(reader.dropped())
    reader.close()
    for kind in sorted({*waiting, *refused, *dropped}):
        print(
            f"{kind}: {waiting[kind]:,} chunks wait, {refused[kind]:,} were refused, "
            f"{dropped[kind]:,} records dropped"
        )


def list_records(
    folder: Folder,
    refused: Annotated[
        bool, typer.Option("--refused", help="Those that the archive will not take, and why.")
    ] = False,
) -> None:
    """List what waits to be sent, in the order it will be: edge-robot spool list FOLDER."""
    from edge_robot.fleet.spool.reader import SpoolReader

    reader = SpoolReader(folder)
    if refused:
        lines = ((chunk, f": {reason}") for chunk, reason in reader.refused())
    else:
        lines = ((chunk, "") for chunk in reader.waiting())
    for chunk, note in lines:
        part = f" part {chunk.part + 1} of {chunk.parts}" if chunk.parts > 1 else ""
        print(f"{chunk.id} {chunk.kind} {chunk.stamp} {len(chunk.data)} bytes{part}{note}")
    reader.close()


def retry(folder: Folder) -> None:
    """Have what was refused sent again, once its cause is mended: the node must not run."""
    from edge_robot.fleet.spool.reader import SpoolReader
    from edge_robot.fleet.spool.store import Store

    SpoolReader(folder).close()  # there is one; a new one would be made
    store = Store(folder, 1 << 40)  # whatever bound it has: nothing is dropped here
    count = store.retry_refused()
    store.close()
    print(f"{count} chunks will be sent again")
