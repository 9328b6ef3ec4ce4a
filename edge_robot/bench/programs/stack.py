"""Runs the demo's processes without its conductor, and says which pid each has.

Arguments, as JSON: `arguments` for demo.launch.xml; `remappings`: node name to rules that are
added to its command line; `without`: names of nodes that are left out.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace

from edge_robot.standalone.launch import LaunchService, find_launch_file, load
from edge_robot.standalone.launch.description import Process
from edge_robot.standalone.launch.output import Console

CONDUCTOR = "/mission"


class _Lines(Console):
    """Prints what the launch says by itself as JSON, so that pids can be read."""

    def notice(self, text: str, error: bool = False) -> None:
        print(json.dumps({"notice": text}), flush=True)


def _prepared(process: Process, remappings: dict[str, list[str]]) -> Process:
    rules = [part for rule in remappings.get(process.node or "", []) for part in ("-r", rule)]
    # Before the launch file's own: of several rules for a name the first counts.
    options = process.command.index("--ros-args") + 1
    command = (*process.command[:options], *rules, *process.command[options:])
    return replace(process, command=command, respawn=True, respawn_delay=0.5)


def main() -> int:
    """Run until told to stop."""
    wanted = json.loads(sys.argv[1])
    found = load(find_launch_file("demo"), wanted["arguments"], dict(os.environ)).processes
    left_out = {CONDUCTOR, *(f"/{name}" for name in wanted["without"])}
    processes = [_prepared(p, wanted["remappings"]) for p in found if p.node not in left_out]
    return LaunchService(processes, _Lines()).run()


if __name__ == "__main__":
    sys.exit(main())
