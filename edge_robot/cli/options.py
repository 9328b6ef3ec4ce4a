"""Options and behaviour that the commands for looking into a ROS 2 graph share."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

DEFAULT_SPIN_TIME = 0.5
"""Time to learn who is there, s: ten times what discovery takes on one machine."""

SpinTime = Annotated[
    float,
    typer.Option(
        min=0.0,
        help="Seconds to listen for nodes before answering; no daemon listens beforehand here. "
        "More on a slow network.",
    ),
]
SimTime = Annotated[
    bool, typer.Option("--use-sim-time", "-s", help="Take the time from the topic /clock.")
]
Hidden = Annotated[
    bool, typer.Option("--include-hidden-topics", help="Consider hidden topics as well.")
]
HiddenNodes = Annotated[
    bool, typer.Option("--include-hidden-nodes", help="Consider hidden nodes as well.")
]
AllNodes = Annotated[bool, typer.Option("--all", "-a", help="Consider hidden nodes as well.")]
CountNodes = Annotated[
    bool, typer.Option("--count-nodes", "-c", help="Only print the number of nodes.")
]
Stdin = Annotated[bool, typer.Option("--stdin", help="Read the values from standard input.")]

QosProfile = Annotated[
    str | None,
    typer.Option(help="Preset: default, sensor_data, system_default, services_default, …"),
]
QosDepth = Annotated[int | None, typer.Option(min=0, metavar="N", help="Length of the queue.")]
QosHistory = Annotated[str | None, typer.Option(help="keep_last, keep_all or system_default.")]
QosReliability = Annotated[
    str | None, typer.Option(help="reliable, best_effort or system_default.")
]
QosDurability = Annotated[
    str | None, typer.Option(help="transient_local, volatile or system_default.")
]
QosLiveliness = Annotated[
    str | None, typer.Option(help="automatic, manual_by_topic or system_default.")
]
QosLease = Annotated[
    float | None,
    typer.Option("--qos-liveliness-lease-duration-seconds", min=0.0, help="Lease of liveliness."),
]


class SeveralValues(TyperCommand):
    """A command whose repeatable options take several values at once: `--topics /a /b`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat such an option before each of its values, as the parser wants it."""
        repeatable = {
            name
            for parameter in self.params
            if getattr(parameter, "multiple", False)
            for name in parameter.opts
        }
        spelled: list[str] = []
        option, values = "", 0
        for arg in args:
            if arg in repeatable:
                option, values = arg, 0
                spelled.append(arg)
            elif option and not arg.startswith("-"):
                spelled += [arg] if values == 0 else [option, arg]
                values += 1
            else:
                option = ""
                spelled.append(arg)
        return super().parse_args(ctx, spelled)


def group(name: str, help_text: str) -> typer.Typer:
    """Return an empty group of commands, `edge-robot NAME …`, whose output comes line by line."""

    def each_line() -> None:
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]

    commands = typer.Typer(name=name, help=help_text, no_args_is_help=True)
    commands.callback()(each_line)
    return commands
