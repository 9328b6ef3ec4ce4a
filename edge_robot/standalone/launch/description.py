"""What a launch file says, once read: processes to start and the arguments it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Argument:
    """A launch argument, as declared by `<arg>`.

    Attributes:
        name: Given on the command line as `name:=value`.
        default: Its default as written in the file, substitutions unexpanded; None if required.
        description: What it is, for people.
        choices: The values allowed; empty for any.
    """

    name: str
    default: str | None
    description: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Process:
    """One process to start; two are never the same one.

    Attributes:
        name: Label of its output, unique in its launch: `planner-3`.
        command: Program and arguments.
        environment: Its whole environment.
        node: Fully qualified node name; None for a plain executable.
        output: Where its output goes: `screen` for everything, `log` for standard error only.
        respawn: Whether it is started again when it ends.
        respawn_delay: Time before that, s.
        shutdown_on_exit: Whether its end is the end of the launch.
        delay: Time after the launch's start at which it is started, s.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    node: str | None = None
    output: str = "log"
    respawn: bool = False
    respawn_delay: float = 0.0
    shutdown_on_exit: bool = False
    delay: float = 0.0


@dataclass(frozen=True)
class Event:
    """Something a launch says or does by itself, as `<log>` and `<shutdown>` ask for.

    Attributes:
        text: What is said; for a shutdown, why.
        delay: Time after the launch's start, s.
        is_shutdown: Whether the launch ends.
    """

    text: str
    delay: float = 0.0
    is_shutdown: bool = False


@dataclass(frozen=True)
class LaunchDescription:
    """A launch file with its arguments filled in.

    Attributes:
        processes: In the order they are started.
        events: In the order they come.
    """

    processes: tuple[Process, ...]
    events: tuple[Event, ...] = ()
