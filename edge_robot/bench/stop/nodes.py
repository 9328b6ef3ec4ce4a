"""The robot's own nodes as roles of a `Nursery`: imported once, forked whenever one was killed."""

from __future__ import annotations

import sys
from collections.abc import Callable

from edge_robot.nodes import collision_monitor, command_mux, dashboard, mode_manager

_MAINS = {
    "command_mux": command_mux.main,
    "collision_monitor": collision_monitor.main,
    "dashboard": dashboard.main,
    "mode_manager": mode_manager.main,
}


def node(name: str, parameters: dict[str, str]) -> None:
    """Run a node until it ends, as its executable does."""
    sys.argv = [name, "--ros-args"]
    for parameter, value in parameters.items():
        sys.argv += ["-p", f"{parameter}:={value}"]
    _MAINS[name]()


ROLES: dict[str, Callable[..., None]] = {"node": node}
