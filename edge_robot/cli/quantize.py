"""`edge-robot quantize`: an int8 detector, and the proof that it is worth shipping."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console


def register(app: typer.Typer) -> None:
    """Add the command to the app."""

    @app.command()
    def quantize(
        model: Annotated[str, typer.Argument(help="The fp32 .onnx file, or a name in models/.")],
        images: Annotated[Path, typer.Option(help="Folder of JPEG or PNG images.")],
        labels: Annotated[
            Path,
            typer.Option(
                help="Folder of YOLO label files, one an image: `class cx cy w h`, shares of the "
                "image. names.txt in it, or one folder up, names the classes."
            ),
        ],
        output: Annotated[
            Path | None, typer.Option(help="Folder for the results; runs/quantize/NAME by default.")
        ] = None,
        engine: Annotated[
            str,
            typer.Option(
                help="What the model is to run on, and the gate measures: onnxruntime or openvino. "
                "The other is measured too if it is installed."
            ),
        ] = "onnxruntime",
        max_loss: Annotated[
            float, typer.Option(min=0.0, help="mAP that int8 may lose, points of 100.")
        ] = 0.5,
        max_latency: Annotated[
            float, typer.Option(min=0.0, help="Largest share of fp32's time that int8 may take.")
        ] = 0.9,
        scoring: Annotated[
            int | None, typer.Option(min=1, help="Images that only score; half of them by default.")
        ] = None,
        selection: Annotated[
            int | None,
            typer.Option(
                min=1, help="Images that only select; a fifth by default. The rest calibrates."
            ),
        ] = None,
        rounds: Annotated[int, typer.Option(min=10, help="Runs behind each latency.")] = 100,
        seed: Annotated[int, typer.Option(min=0, help="Seed of the split of the images.")] = 0,
        json_file: Annotated[
            Path | None, typer.Option("--json", help="Write the figures here as well.")
        ] = None,
    ) -> None:
        """Make a detector int8 where that is worth it, and prove it on this machine.

        The images are split into three parts that never overlap. One calibrates; on it and the
        second layers that suffer from int8 are found, ever more of them are left in fp32, and of
        the candidates within both bounds the one most like fp32 is taken; the third gives the
        final figures. Then the gate: int8 is chosen only if it keeps the accuracy and is quicker
        here, else fp32 is kept and the report says why.

        Example:
            edge-robot quantize models/mine.onnx --images photos --labels photos/labels

        writes to runs/quantize/mine: mine.onnx and mine.yaml (the model to ship, with its card),
        index.html and report.json (every candidate with accuracy, latency, size).
        """
        import json

        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        from edge_robot.errors import UserError
        from edge_robot.perception.detector import Detector
        from edge_robot.perception.engines import ENGINES
        from edge_robot.perception.labelled_images import read_labelled_images, split
        from edge_robot.perception.model_card import find_model
        from edge_robot.perception.quantization.gate import Bounds
        from edge_robot.perception.quantization.results import (
            describe,
            write_atomically,
            write_model,
        )
        from edge_robot.perception.quantization.search import Parts, Settings, search
        from edge_robot.report.quantization import quantization_page

        if engine not in ENGINES:
            raise UserError(f"no engine {engine!r}; choose --engine {' or '.join(ENGINES)}")
        path = find_model(model)
        folder = output or Path("runs/quantize") / path.stem
        if (folder / path.name).resolve() == path.resolve():
            raise UserError(f"--output {folder} would overwrite {path}; choose another folder")
        pool = read_labelled_images(images, labels, Detector(path).class_names)
        scoring = len(pool) // 2 if scoring is None else scoring
        selection = len(pool) // 5 if selection is None else selection
        rest = len(pool) - scoring - selection
        if rest < 1:
            raise UserError(
                f"{len(pool)} different images are too few for {scoring} that score, {selection} "
                "that select and some that calibrate; add images, or set --scoring and --selection"
            )
        parts = Parts(*split(pool, [rest, selection, scoring], seed))
        settings = Settings(engine, Bounds(max_loss, max_latency), seed, rounds)
        console = Console()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=console) as bars:
            tasks = {}

            def progress(stage: str, done: int, total: int) -> None:
                if stage not in tasks:
                    tasks[stage] = bars.add_task(stage, total=total)
                bars.update(tasks[stage], completed=done)

            outcome = search(path, parts, settings, progress)
        report = describe(path.stem, outcome, parts, settings)
        written = write_model(folder, path.stem, outcome, settings)
        text = json.dumps(report, indent=1) + "\n"
        for target in [folder / "report.json", *([json_file] if json_file else [])]:
            write_atomically(target, text.encode())
        page = folder / "index.html"
        write_atomically(page, quantization_page(report).encode())
        _print(console, report)
        console.print(f"wrote {written}, {written.with_suffix('.yaml')} and {page}", soft_wrap=True)


def _print(console: Console, report: dict[str, Any]) -> None:
    """Print the candidates as a table, and the verdict."""
    from rich.table import Table

    for engine in report["models"][0]["engines"]:
        table = Table(title=f"{report['model']} with {engine}")
        for title in ("model", "mAP", "mAP50", "lost", "p50 ms", "p99 ms", "of fp32", "kB"):
            table.add_column(title, justify="left" if title == "model" else "right")
        for item in report["models"]:
            if engine not in item["engines"]:
                continue
            score = item["engines"][engine]
            accuracy, latency = score["accuracy"], score["latency"]
            table.add_row(
                item["name"] + (" *" if item["name"] == report["chosen"] else ""),
                f"{accuracy['map50_95']:.2f}",
                f"{accuracy['map50']:.2f}",
                f"{score['loss']:+.2f}",
                f"{latency['p50_ms']:.2f}",
                f"{latency['p99_ms']:.2f}",
                f"{latency['ratio']:.2f}",
                f"{item['bytes'] / 1e3:.0f}",
            )
        console.print(table)
    console.print("* chosen on images that do not score; only this one goes to the gate")
    console.print(f"{report['why']}", soft_wrap=True)
