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
        sys.exit(LaunchService(description.processes, Console()).run())


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
    """Print what a launch file can be told."""
    if not arguments:
        print("This launch file takes no arguments.")
    for argument in arguments:
        default = argument.default
        facts = ["required" if default is None else f"default: {default or repr('')}"]
        if argument.choices:
            facts.append(f"one of {', '.join(argument.choices)}")
        print(f"{argument.name}  ({'; '.join(facts)})")
        if argument.description:
            print(f"    {argument.description}")
