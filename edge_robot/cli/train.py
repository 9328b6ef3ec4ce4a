"""`edge-robot train`: make our own detectors, from rendered images or from one's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

_CORES = len(os.sched_getaffinity(0))
_DEVICE = "cpu, cuda, or auto: a GPU where PyTorch finds one."
_THREADS = "Threads of PyTorch, and processes that render and prepare images."


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""

    @app.command()
    def train(
        name: Annotated[
            str,
            typer.Argument(
                help="warehouse_edge or warehouse_fleet; with --images, what to call the detector."
            ),
        ],
        images: Annotated[
            Path | None, typer.Option(help="Folder of your own images to train on.")
        ] = None,
        labels: Annotated[
            Path | None,
            typer.Option(
                help="Their labels, NAME.txt per NAME.jpg (YOLO's `class cx cy w h`), and "
                "names.txt; the folder of images by default."
            ),
        ] = None,
        width: Annotated[
            int, typer.Option(min=32, max=1920, help="Input width for your own images, px.")
        ] = 320,
        height: Annotated[
            int, typer.Option(min=32, max=1920, help="Input height for your own images, px.")
        ] = 240,
        output: Annotated[Path, typer.Option(help="Folder for model and card.")] = Path("models"),
        work: Annotated[
            Path,
            typer.Option(help="Folder for rendered images and checkpoints; found ones are used."),
        ] = Path("runs/train"),
        worlds: Annotated[int, typer.Option(min=1, help="Worlds rendered for training.")] = 1200,
        scoring_worlds: Annotated[int, typer.Option(min=1, help="Worlds for scoring.")] = 40,
        steps: Annotated[
            int | None, typer.Option(min=1, help="Batches; the recipe's by default.")
        ] = None,
        seed: Annotated[int, typer.Option(min=0, help="Seed of weights, order and split.")] = 1,
        start: Annotated[
            Path | None,
            typer.Option(
                help="Weights to refine: a detector of ours (.onnx), or what an earlier run has "
                "left in its work folder (.pt)."
            ),
        ] = None,
        device: Annotated[str, typer.Option(help=_DEVICE)] = "auto",
        threads: Annotated[int, typer.Option(min=1, help=_THREADS)] = _CORES,
    ) -> None:
        """Train a detector, quantize and measure it, write it with its card.

        Our own are trained on images of rendered warehouses:
        `edge-robot train warehouse_edge`. Made for a GPU: without one take fewer --worlds and
        --steps.

        The same network learns your images, best from our weights, keeping a fifth for scoring:
        `edge-robot train forklifts --images photos --labels labels --start
        models/warehouse_edge.onnx`.

        An interrupted run goes on where it was when the same command is given again.
        """
        from edge_robot.errors import UserError

        _require_packages()
        import torch

        from edge_robot.perception.training.recipes import RECIPES, make, own_recipe
        from edge_robot.perception.training.sets import own, rendered
        from edge_robot.perception.training.trainer import choose_device

        chosen = choose_device(device)
        torch.set_num_threads(threads)
        if images is None and name not in RECIPES:
            raise UserError(
                f"no recipe for {name}; there are {', '.join(RECIPES)}; "
                "for your own images give their folder with --images"
            )
        if images is not None and name in RECIPES:
            raise UserError(f"{name} is one of ours; give yours another name")
        if images is not None:
            recipe = own_recipe(width, height)
            sets = own(images, labels or images, width, height, seed)
        else:
            recipe = RECIPES[name]
            sets = rendered(work, worlds, scoring_worlds, typer.echo, threads)
        path = make(
            name,
            recipe,
            sets,
            output,
            work,
            steps=steps,
            seed=seed,
            start=start,
            report=typer.echo,
            device=chosen,
            workers=threads,
        )
        typer.echo(f"wrote {path} and {path.with_suffix('.yaml')}")

    @app.command("train-front")
    def train_front(
        chart: Annotated[
            Path, typer.Option(help="Chart to write, SVG; figures go beside it as JSON.")
        ] = Path("docs/images/detector_front.svg"),
        work: Annotated[
            Path,
            typer.Option(help="Folder for rendered images and weights; found ones are used."),
        ] = Path("runs/train"),
        worlds: Annotated[int, typer.Option(min=1, help="Worlds rendered for training.")] = 1200,
        scoring_worlds: Annotated[int, typer.Option(min=1, help="Worlds for scoring.")] = 40,
        steps: Annotated[int, typer.Option(min=1, help="Batches of 16 per variant.")] = 500,
        rounds: Annotated[
            int, typer.Option(min=1, help="Runs of which latency is the median.")
        ] = 200,
        seed: Annotated[int, typer.Option(min=0, help="Seed of weights and order.")] = 1,
        device: Annotated[str, typer.Option(help=_DEVICE)] = "auto",
        threads: Annotated[int, typer.Option(min=1, help=_THREADS)] = _CORES,
    ) -> None:
        """Compare widths, depths and kinds of convolution: accuracy and latency, fp32 and int8.

        Every variant is trained for the same few steps on the same rendered images, so that their
        accuracies compare shapes only. Variants an earlier run has trained are not trained again.
        """
        import json

        _require_packages()
        import torch

        from edge_robot.perception.training.front import measure_front
        from edge_robot.perception.training.sets import rendered
        from edge_robot.perception.training.trainer import choose_device
        from edge_robot.report.detector_front import draw

        chosen = choose_device(device)
        torch.set_num_threads(threads)
        sets = rendered(work, worlds, scoring_worlds, typer.echo, threads)
        figures = measure_front(
            sets,
            work / "front",
            steps=steps,
            rounds=rounds,
            seed=seed,
            report=typer.echo,
            device=chosen,
            workers=threads,
        )
        chart.parent.mkdir(parents=True, exist_ok=True)
        chart.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n")
        chart.write_text(draw(figures))
        typer.echo(f"wrote {chart} and {chart.with_suffix('.json')}")


def _require_packages() -> None:
    from edge_robot.errors import UserError

    try:
        import onnx  # noqa: F401
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError(
            f"training needs the package {error.name}; install it with "
            "`pip install -e .[sim,train]`"
        ) from error
