"""The way between robots and backends in network namespaces of Linux, with the kernel's own TCP.

```
robot 10.89.1.2 ══ veth ══ 10.89.1.1 radio 10.89.2.1 ══ veth ══ 10.89.2.2 fleet
```
The namespace in the middle forwards packets like a radio's two ends. A black hole is a route there
that drops in silence, a link down an interface without carrier, a brown-out a token bucket that
lets next to nothing through. Robots and backends notice of all this what they would of a radio.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Sequence
from dataclasses import replace

from edge_robot.bench.offload.ways import (
    BLACK_HOLE,
    BROWN_OUT,
    BROWN_OUT_RATE,
    LINK_DOWN,
    ONE_WAY_LOSS,
    RESET,
)
from edge_robot.bench.runtimes import Runtime, foremost

_ROBOT, _FLEET = "10.89.1.2", "10.89.2.2"
_NEAR, _FAR = "10.89.1.1", "10.89.2.1"
_TO_ROBOT, _TO_FLEET = "near", "far"
"""The radio's interfaces."""


class Namespaces:
    """Three network namespaces in a row.

    Args:
        runtime: Runs the programs, in the first and the last of them.
        choice: Which way is lost.

    Raises:
        OSError: they cannot be made here: not root, no `ip`, or a kernel without them.
    """

    name = "network namespaces"
    host = _FLEET

    def __init__(self, runtime: Runtime, choice: random.Random) -> None:
        self._choice = choice
        self._names = {
            part: f"edge-robot-{os.getpid()}-{part}" for part in ("robot", "radio", "fleet")
        }
        # A robot's computer is its own: what else this machine does is not what is measured.
        self.robot = foremost(self._inside("robot", runtime))
        self.backend = self._inside("fleet", runtime)
        try:
            self._build()
        except OSError:
            self.close()
            raise

    def endpoints(self, ports: Sequence[int]) -> list[str]:
        """Return the `host:port` under which robots reach backends."""
        return [f"{self.host}:{port}" for port in ports]

    def begin(self, fault: str) -> None:
        """Let a fault begin."""
        if fault == BLACK_HOLE:
            self._route("add", _ROBOT)
            self._route("add", _FLEET)
        elif fault == ONE_WAY_LOSS:
            self._route("add", self._choice.choice((_ROBOT, _FLEET)))
        elif fault == LINK_DOWN:
            self._ip("radio", "link", "set", _TO_ROBOT, "down")
        elif fault == BROWN_OUT:
            bits = f"{round(8 * BROWN_OUT_RATE)}bit"
            for interface in (_TO_ROBOT, _TO_FLEET):
                command = ["tc", "qdisc", "add", "dev", interface, "root", "tbf"]
                self._run("radio", *command, "rate", bits, "burst", "1600", "latency", "2s")
        elif fault == RESET:
            self._run("fleet", "ss", "--tcp", "--kill", "state", "established", "src", _FLEET)

    def end(self, fault: str) -> None:
        """Let it end."""
        if fault in (BLACK_HOLE, ONE_WAY_LOSS):
            self._ip("radio", "route", "flush", "type", "blackhole")
        elif fault == LINK_DOWN:
            self._ip("radio", "link", "set", _TO_ROBOT, "up")
        elif fault == BROWN_OUT:
            for interface in (_TO_ROBOT, _TO_FLEET):
                self._run("radio", "tc", "qdisc", "del", "dev", interface, "root")

    def close(self) -> None:
        """Take the way down."""
        for name in self._names.values():
            # Some may not have been made; what matters is that none stays.
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)

    def _build(self) -> None:
        for name in self._names.values():
            execute("ip", "netns", "add", name)
        for inner, address, outer, towards, gateway in (
            ("robot", _ROBOT, _TO_ROBOT, _NEAR, _NEAR),
            ("fleet", _FLEET, _TO_FLEET, _FAR, _FAR),
        ):
            radio = self._names["radio"]
            veth = ("ip", "link", "add", outer, "netns", radio, "type", "veth", "peer", "name")
            execute(*veth, "eth0", "netns", self._names[inner])
            self._ip("radio", "address", "add", f"{towards}/24", "dev", outer)
            self._ip("radio", "link", "set", outer, "up")
            self._ip(inner, "address", "add", f"{address}/24", "dev", "eth0")
            self._ip(inner, "link", "set", "eth0", "up")
            self._ip(inner, "link", "set", "lo", "up")
            self._ip(inner, "route", "add", "default", "via", gateway)
        self._run("radio", "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")

    def _inside(self, part: str, runtime: Runtime) -> Runtime:
        enter = ("ip", "netns", "exec", self._names[part])
        return replace(runtime, command=(*enter, *runtime.command))

    def _route(self, verb: str, address: str) -> None:
        self._ip("radio", "route", verb, "blackhole", address)

    def _ip(self, part: str, *arguments: str) -> None:
        execute("ip", "-netns", self._names[part], *arguments)

    def _run(self, part: str, *command: str) -> None:
        execute("ip", "netns", "exec", self._names[part], *command)


def execute(*command: str) -> None:
    """Run a command.

    Raises:
        OSError: it failed, with what it said.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
