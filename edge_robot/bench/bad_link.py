"""A bad link that real IP packets travel: two network namespaces, joined by a program of ours.

```
robot 10.90.0.1 ══ TUN ══ programs/bad_link.py ══ TUN ══ 10.90.0.2 operator
```
The program delays packets, queues them before a bottleneck and loses some at random; the kernel's
own TCP at both ends does what it would do over a radio. (`sim/radio_link.py` is a proxy of TCP
connections, for the demo; it cannot tell what TCP makes of a loss. `tc netem` could, but not every
kernel has it.)
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from edge_robot.bench.offload.namespaces import execute
from edge_robot.bench.runtimes import Program, Runtime, foremost

ROBOT, OPERATOR = "10.90.0.1", "10.90.0.2"
"""Addresses of the ends."""

_DEVICE = "bad0"


@dataclass(frozen=True)
class Quality:
    """What one direction of the link does to packets.

    Attributes:
        delay: Of propagation, on average, s.
        rate: Of the bottleneck, bytes/s, IP headers included; 0 for no limit.
        queue: Room before the bottleneck, bytes; what does not fit is dropped.
        loss: Chance of a packet to be lost, 0..1.
        deviation: Standard deviation of the delay, log-normal: a heavy tail, s.
    """

    delay: float = 0.0
    rate: float = 0.0
    queue: float = 1e9
    loss: float = 0.0
    deviation: float = 0.0


class BadLink:
    """The link; at first it does nothing to packets.

    Args:
        runtime: Runs the programs at its ends.
        congestion_control: TCP's, at both ends: `cubic` (Linux's default), `bbr`, …
        seed: Of what is lost.

    Attributes:
        robot: Runs programs at the robot's end.
        operator: Runs programs at the operator's end.

    Raises:
        OSError: it cannot be made here: not root, no `ip`, or a kernel without TUN devices or
            this congestion control.
    """

    def __init__(self, runtime: Runtime, congestion_control: str = "cubic", seed: int = 0) -> None:
        self._names = [f"edge-robot-{os.getpid()}-{part}" for part in ("robot", "operator")]
        self.robot, self.operator = (self._inside(name, runtime) for name in self._names)
        self._made: list[str] = []
        self._program: Program | None = None
        try:
            for name, here, there in zip(
                self._names, (ROBOT, OPERATOR), (OPERATOR, ROBOT), strict=True
            ):
                execute("ip", "netns", "add", name)
                self._made.append(name)
                self._build(name, here, there, congestion_control)
            self._program = Program(
                foremost(runtime), "bad_link", ends=self._names, device=_DEVICE, seed=seed
            )
            self._program.next()
        except (OSError, RuntimeError) as error:
            self.close()
            raise OSError(f"no bad link can be made here: {error}") from error

    def set(self, to_operator: Quality, to_robot: Quality) -> None:
        """From now on, treat packets like that."""
        self._order(**{"0": asdict(to_operator), "1": asdict(to_robot)})

    def report(self) -> dict[str, Any]:
        """Return what became of packets since the last report or change, by where they went."""
        return self._order()

    def watch(self, program: Program) -> None:
        """Tell apart how long packets of a program at the operator's end wait in queues.

        Args:
            program: Has TCP connections.

        Raises:
            RuntimeError: it has none.
        """
        sockets = ("ip", "netns", "exec", self._names[1], "ss", "-tnpH", "state", "established")
        told = subprocess.run(sockets, capture_output=True, text=True, check=True).stdout
        mine = [line.split() for line in told.splitlines() if f"pid={program.process.pid}," in line]
        if not mine:
            raise RuntimeError(f"{program.name} has no connection")
        self._order(watch=[int(here.rpartition(":")[2]) for _, _, here, *_ in mine])

    def close(self) -> None:
        """Take the link down."""
        if self._program is not None:
            self._program.stop()
        for name in self._made:
            execute("ip", "netns", "del", name)

    def _order(self, **order: Any) -> dict[str, Any]:
        assert self._program is not None
        self._program.tell(**order)
        ends = self._program.next()["ends"]
        return {"to_operator": ends[0], "to_robot": ends[1]}

    @staticmethod
    def _build(name: str, here: str, there: str, congestion_control: str) -> None:
        inside = ("ip", "-netns", name)
        execute(*inside, "link", "set", "lo", "up")
        execute(*inside, "tuntap", "add", "dev", _DEVICE, "mode", "tun")
        execute(*inside, "address", "add", here, "dev", _DEVICE)
        execute(*inside, "link", "set", _DEVICE, "up")
        # Of the route, not of the namespace, in which not every kernel lets it be chosen.
        route = ("route", "add", there, "dev", _DEVICE, "src", here)
        execute(*inside, *route, "congctl", congestion_control)
        # What one connection learned of the link would be the start of the next one's.
        forget = "echo 1 > /proc/sys/net/ipv4/tcp_no_metrics_save"
        execute("ip", "netns", "exec", name, "sh", "-c", forget)

    @staticmethod
    def _inside(name: str, runtime: Runtime) -> Runtime:
        enter = ("ip", "netns", "exec", name)
        return replace(runtime, command=(*enter, *runtime.command), code=(*enter, *runtime.code))


@contextmanager
def bad_link(
    runtime: Runtime, congestion_control: str = "cubic", seed: int = 0
) -> Iterator[BadLink]:
    """Make a `BadLink`, and take it down when the body has run."""
    link = BadLink(runtime, congestion_control, seed)
    try:
        yield link
    finally:
        link.close()
