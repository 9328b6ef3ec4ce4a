"""The way between robots and backends, and what can befall it, through a proxy on the loopback."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol

from edge_robot.bench.runtimes import Runtime
from edge_robot.sim.radio_link import LinkQuality, RadioLink

BLACK_HOLE, ONE_WAY_LOSS = "black hole", "one-way loss"
LINK_DOWN, BROWN_OUT, RESET = "link down", "brown-out", "reset"

BROWN_OUT_RATE = 2_000.0
"""What is left of the bandwidth in a brown-out, bytes/s: too little for heartbeats and frames."""


class Way(Protocol):
    """A way that faults can befall.

    Attributes:
        name: What it is made of, for the figures.
        robot: Runs programs at the robots' end.
        backend: Runs programs at the backends' end.
        host: Address that backends listen on.
    """

    name: str
    robot: Runtime
    backend: Runtime
    host: str

    def endpoints(self, ports: Sequence[int]) -> list[str]:
        """Return the `host:port` under which robots reach backends that listen on ports."""
        ...

    def begin(self, fault: str) -> None:
        """Let a fault begin; a reset is over at once."""
        ...

    def end(self, fault: str) -> None:
        """Let it end."""
        ...

    def close(self) -> None:
        """Take the way down."""
        ...


class Loopback:
    """A `RadioLink` in front of each backend.

    A link that is down is the same as a black hole here: a proxy has no carrier to lose.

    Args:
        runtime: Runs the programs.
        choice: Which way is lost.
    """

    name = "loopback proxy"
    host = "127.0.0.1"

    def __init__(self, runtime: Runtime, choice: random.Random) -> None:
        self.robot = self.backend = runtime
        self._choice = choice
        self._links: list[RadioLink] = []

    def endpoints(self, ports: Sequence[int]) -> list[str]:
        """Return the `host:port` under which robots reach backends."""
        self._links = [RadioLink(self.host, 0, self.host, port, LinkQuality()) for port in ports]
        return [f"{self.host}:{link.port}" for link in self._links]

    def begin(self, fault: str) -> None:
        """Let a fault begin."""
        uplink_lost = self._choice.random() < 0.5
        for link in self._links:
            if fault == RESET:
                link.reset()
            elif fault == BROWN_OUT:
                link.set_quality(LinkQuality(bandwidth=BROWN_OUT_RATE))
            elif fault == ONE_WAY_LOSS:
                link.set_directions(uplink=not uplink_lost, downlink=uplink_lost)
            else:
                link.set_up(False)

    def end(self, fault: str) -> None:
        """Let it end."""
        for link in self._links:
            link.set_quality(LinkQuality())
            link.set_up(True)

    def close(self) -> None:
        """Take the way down."""
        for link in self._links:
            link.close()
