"""`edge-robot bench`: measure, with JSON for machines and people alike."""

from __future__ import annotations

from importlib import import_module

import typer

BENCHES = (
    "runtimes",
    "perception",
    "fusion",
    "planning",
    "e2e",
    "faults",
    "endurance",
    "fleet",
    "teleop",
)
"""Modules of `edge_robot.cli.benches`; each adds its commands, importing late."""


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    bench = typer.Typer(
        help="Measure this machine and the stack on it. Figures are printed as a table, or with "
        "--json as JSON: `edge-robot bench transport --json figures.json`.",
        no_args_is_help=True,
    )
    app.add_typer(bench, name="bench")
    for module in BENCHES:
        import_module(f"edge_robot.cli.benches.{module}").register(bench)
