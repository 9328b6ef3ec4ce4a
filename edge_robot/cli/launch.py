"""`edge-robot launch`: runs a launch XML file without ROS 2."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from edge_robot.errors import UserError

if TYPE_CHECKING:
    from edge_robot.standalone.launch import Argument


def register(app: typer.Typer) -> None:
    """Add the command to the app."""

    @app.command()
    def launch(
        file: Annotated[str, typer.Argument(help="A launch XML file, or the name of one: robot.")],
        arguments: Annotated[
            list[str] | None,
            typer.Argument(metavar="[NAME:=VALUE]...", help="Launch arguments."),
        ] = None,
        show_args: Annotated[
            bool,
            typer.Option("--show-args", "-s", help="Show the launch arguments and stop."),
        ] = False,
    ) -> None:
        """Run a launch file: the same XML that `ros2 launch edge_robot FILE` runs.

        Ctrl-C stops everything within two seconds.
        """
        from edge_robot.standalone.launch import (
            Console,
            LaunchService,
            arguments_of,
            find_launch_file,
            load,
        )

        path = find_launch_file(file)
        if show_args:
            print_arguments(arguments_of(path))
            return
        description = load(path, parse_arguments(arguments or []))
        sys.exit(LaunchService(description.processes, Console(), events=description.events).run())


def parse_arguments(texts: list[str]) -> dict[str, str]:
    """Return `name:=value` texts as a dictionary; the last of a name counts.

    Raises:
        UserError: a text has another form.
    """
    values = {}
    for text in texts:
        name, separator, value = text.partition(":=")
        if not (name and separator):
            raise UserError(f"{text!r} is no launch argument; write NAME:=VALUE")
        values[name] = value
    return values


def print_arguments(arguments: list[Argument]) -> None:
    """Print what a launch file can be told, as `ros2 launch --show-args` does."""
    print("Arguments (pass arguments as '<name>:=<value>'):")
    for argument in arguments:
        print(f"\n    '{argument.name}':")
        print(f"        {_description(argument)}")
        if argument.default is not None:
            print(f"        (default: {argument.default!r})")
    if not arguments:
        print("\n  No arguments.")


def _description(argument: Argument) -> str:
    text, choices = argument.description, list(argument.choices)
    if not choices:
        return text or "no description given"
    if not text:
        return f"One of: {choices}"
    return f"{text.removesuffix('.')}. Valid choices are: {choices}"
