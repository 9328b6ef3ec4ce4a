"""Entry point of the `edge-robot` command: finds sub-commands, turns errors into one line."""

from __future__ import annotations

import sys
from importlib import import_module

import typer

from edge_robot.errors import UserError

app = typer.Typer(
    name="edge-robot",
    help="A ROS 2 robotics stack with tiered perception, with or without ROS 2.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

COMMANDS = (
    "demo",
    "launch",
    "run",
    "goto",
    "replay",
    "perceive",
    "model",
    "report",
    "train",
    "quantize",
    "backend",
    "spool",
    "archive",
    "gazebo",
    "teleop",
    "bench",
    "topic",
    "node",
    "service",
    "action",
    "param",
    "lifecycle",
    "interface",
    "bag",
)
"""Modules of this package; each adds its command to the app it is given, importing late."""


def main() -> None:
    """Run the command line; a `UserError` ends it with one line and status 2."""
    for command in COMMANDS:
        import_module(f"edge_robot.cli.{command}").register(app)
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
