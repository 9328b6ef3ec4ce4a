"""`edge-robot model`: the catalogue of detectors, and what the user adds to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_robot.errors import UserError

if TYPE_CHECKING:
    from edge_robot.perception.catalogue import Entry
    from edge_robot.perception.download import Progress
    from edge_robot.perception.proof import Proof

JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write it there as JSON.")
]
Image = Annotated[
    Path | None, typer.Option(help="Image to try it on, JPEG or PNG; by default one shipped.")
]
Picture = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the image there, with what was found drawn in (PNG)."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    model = typer.Typer(
        help="Detectors: those shipped, those that can be added by name, and your own. Any of them "
        "is used by its name: `--model NAME`, `model:=NAME`.",
        no_args_is_help=True,
    )
    app.add_typer(model, name="model")

    @model.command("list")
    def list_models(json_file: JsonFile = None) -> None:
        """List all models: layout, classes, input, size, licence, and where each is."""
        from edge_robot.perception.catalogue import entries

        found = entries()
        _print_table(found)
        _write_json(json_file, {"models": [_facts(entry) for entry in found]})

    @model.command()
    def add(
        source: Annotated[
            str,
            typer.Argument(
                metavar="NAME|URL|FILE",
                help="A name from `model list`, the address of an .onnx file, or such a file.",
            ),
        ],
        name: Annotated[
            str | None, typer.Option(help="What to call it; by default as it is called.")
        ] = None,
        card: Annotated[
            Path | None,
            typer.Option(
                metavar="FILE",
                help="Its card (YAML: layout, classes, width, height; see "
                "docs/howto/detectors.md); by default the catalogue's by the file's hash, the one "
                "beside the file, or what the graph gives away.",
            ),
        ] = None,
        sha256: Annotated[
            str, typer.Option(help="That the file must have; by default the card's.")
        ] = "",
        licence: Annotated[
            str, typer.Option(help="Of the weights, if its card does not say.")
        ] = "",
        file: Annotated[
            Path | None,
            typer.Option(
                "--from",
                metavar="FILE",
                help="Take the catalogue's model from this file: no network.",
            ),
        ] = None,
        image: Image = None,
        picture: Picture = None,
        json_file: JsonFile = None,
    ) -> None:
        """Add a model, after a look at its graph and a try on an image.

        A download that was interrupted goes on where it ended. What does not match its hash or
        its card, or does not work, is refused, and nothing of it is kept.

        Examples: edge-robot model add fastestdet; edge-robot model add best.onnx --name mine
        """
        from edge_robot.perception.adding import add as add_model
        from edge_robot.perception.catalogue import trial_image

        tried_on = image or trial_image()
        with _progress() as progress:
            added = add_model(
                source,
                image=tried_on,
                name=name,
                card_file=card,
                sha256=sha256,
                licence=licence,
                file=file,
                progress=progress,
            )
        typer.echo(f"added {added.entry.name}: {added.entry.path}, card from {added.card_from}")
        if not added.entry.card.licence:
            typer.echo("its licence is not known; `--licence` writes it into the card")
        _report(added.entry, added.proof, tried_on, picture, json_file)

    @model.command()
    def check(
        name: Annotated[
            str, typer.Argument(metavar="NAME|FILE", help="A name from `model list`, or a file.")
        ],
        image: Image = None,
        picture: Picture = None,
        json_file: JsonFile = None,
    ) -> None:
        """Check a model: hash, graph, fit of its card, and a try on an image with its latency.

        Ends with status 2 and one line when something is wrong.
        """
        from edge_robot.perception.catalogue import check as check_model
        from edge_robot.perception.catalogue import trial_image

        tried_on = image or trial_image()
        entry, proof = check_model(name, tried_on)
        pinned = "matches its card" if entry.card.sha256 else "is not in its card"
        typer.echo(f"{entry.name}: {entry.path}, hash {pinned}, graph and card fit")
        _report(entry, proof, tried_on, picture, json_file)

    @model.command()
    def remove(
        name: Annotated[str, typer.Argument(help="Of a model that you have added.")],
    ) -> None:
        """Remove a model that was added; those shipped stay."""
        from edge_robot.perception.catalogue import remove as remove_model

        typer.echo(f"removed {remove_model(name)}")

    @model.command()
    def deploy(
        source: Annotated[
            str, typer.Argument(metavar="NAME|FILE", help="A name from `model list`, or a file.")
        ],
        repository: Annotated[Path, typer.Argument(help="Folder, made if need be.")],
        name: Annotated[str, typer.Option(help="It is served under; its file's by default.")] = "",
        max_batch_size: Annotated[
            int,
            typer.Option(
                min=0, help="Of an ONNX file without a card: size of its batches; 0: none."
            ),
        ] = 0,
    ) -> None:
        """Put a model, as its next version, into a folder that a backend or Triton serves.

        A model with a card is a detector, images in and detections out, in Triton as well. Serve
        the folder by `edge-robot backend --repository`.
        """
        from edge_robot.fleet.backend.repository import add as add_to_repository

        folder = add_to_repository(repository, source, name, max_batch_size=max_batch_size)
        typer.echo(f"deployed {source}: {folder}")


def _facts(entry: Entry) -> dict[str, Any]:
    card = entry.card
    return {
        "name": entry.name,
        "layout": card.layout,
        "classes": list(card.classes),
        "width": card.width,
        "height": card.height,
        "size": entry.path.stat().st_size if entry.path is not None else card.size,
        "licence": card.licence,
        "source": card.source,
        "url": card.url,
        "sha256": card.sha256,
        "path": str(entry.path) if entry.path is not None else None,
        "state": _state(entry),
    }


def _state(entry: Entry) -> str:
    if entry.path is None:
        return "available"
    return "added" if entry.added else "shipped"


def _print_table(found: list[Entry]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for head in ("name", "layout", "classes", "input", "kB", "licence", "state"):
        right = head in ("classes", "kB")
        table.add_column(head, justify="right" if right else "left", no_wrap=head == "name")
    for entry in found:
        facts = _facts(entry)
        table.add_row(
            entry.name,
            facts["layout"],
            str(len(facts["classes"])),
            f"{facts['width']}×{facts['height']}",
            f"{facts['size'] / 1000:.0f}",
            escape(facts["licence"]) or "?",
            facts["state"],
        )
    console = Console()
    console.print(table)
    for folder in sorted({entry.path.parent for entry in found if entry.path is not None}):
        states = {_state(entry) for entry in found if entry.path and entry.path.parent == folder}
        console.print(f"{states.pop()}: {folder}", highlight=False, soft_wrap=True, markup=False)
    if any(entry.path is None for entry in found):
        console.print("available: edge-robot model add NAME", highlight=False)


def _report(
    entry: Entry, proof: Proof, image: Path, picture: Path | None, json_file: Path | None
) -> None:
    card = entry.card
    found = (
        f"{label} {score:.2f}" for label, score in zip(proof.labels, proof.scores, strict=True)
    )
    typer.echo(
        f"layout {card.layout}, {len(card.classes)} classes, input {card.width}×{card.height}, "
        f"sha256 {card.sha256[:12] or 'not pinned'}\n"
        f"{proof.engine}: {proof.latency_ms:.1f} ms per image, p99 {proof.latency_p99_ms:.1f} ms\n"
        f"found in {image.name}: {', '.join(found) or 'nothing'}"
    )
    if picture is not None:
        _write_picture(proof, image, picture)
    facts = {key: value for key, value in vars(proof).items() if key not in _BY_OBJECT}
    objects = [
        {"class": label, "score": score, "box": box}
        for label, score, box in zip(proof.labels, proof.scores, proof.boxes, strict=True)
    ]
    _write_json(json_file, {**_facts(entry), **facts, "found": objects})


_BY_OBJECT = ("boxes", "scores", "labels")


def _write_picture(proof: Proof, image: Path, picture: Path) -> None:
    import cv2

    from edge_robot.perception.drawing import draw_detections
    from edge_robot.perception.images import read_image

    drawn = draw_detections(read_image(image), proof.detections())
    try:
        picture.write_bytes(cv2.imencode(".png", drawn)[1].tobytes())
    except OSError as error:
        raise UserError(f"cannot write {picture}: {error.strerror}; give another") from error


def _write_json(file: Path | None, content: dict[str, Any]) -> None:
    if file is None:
        return
    try:
        file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}; give another") from error


@contextmanager
def _progress() -> Iterator[Progress]:
    """Show a bar while bytes come."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    bar = Progress(
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = None

    def update(done: int, total: int | None) -> None:
        nonlocal task
        if task is None:
            bar.start()
            task = bar.add_task("download", total=total)
        bar.update(task, completed=done, total=total)

    try:
        yield update
    finally:
        bar.stop()
