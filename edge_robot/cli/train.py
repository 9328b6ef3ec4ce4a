"""`edge-robot train`: make our own detectors from rendered images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the app."""

    @app.command()
    def train(
        name: Annotated[str, typer.Argument(help="warehouse_edge or warehouse_fleet.")],
        output: Annotated[Path, typer.Option(help="Folder for model and card.")] = Path("models"),
        work: Annotated[
            Path, typer.Option(help="Folder for rendered images; found ones are reused.")
        ] = Path("runs/train"),
        worlds: Annotated[int, typer.Option(min=1, help="Worlds rendered for training.")] = 450,
        scoring_worlds: Annotated[int, typer.Option(min=1, help="Worlds for scoring.")] = 40,
        steps: Annotated[
            int | None, typer.Option(min=1, help="Batches of 16; the recipe's by default.")
        ] = None,
        seed: Annotated[int, typer.Option(min=0, help="Seed of weights and order.")] = 1,
        start: Annotated[
            Path | None,
            typer.Option(help="Weights (.pt, in the work folder of an earlier run) to refine."),
        ] = None,
        threads: Annotated[int, typer.Option(min=1, help="Threads of PyTorch.")] = 2,
    ) -> None:
        """Render images, train a detector, quantize and measure it, write it with its card."""
        from edge_robot.errors import UserError

        try:
            import onnx  # noqa: F401
            import torch
        except ModuleNotFoundError as error:
            raise UserError(
                f"training needs the package {error.name}; install it with "
                "`pip install -e .[sim,train]`"
            ) from error
        from edge_robot.perception.training.recipes import make

        torch.set_num_threads(threads)
        path = make(
            name,
            output,
            work,
            worlds=worlds,
            scoring_worlds=scoring_worlds,
            steps=steps,
            seed=seed,
            start=start,
            report=typer.echo,
        )
        typer.echo(f"wrote {path} and {path.with_suffix('.yaml')}")
