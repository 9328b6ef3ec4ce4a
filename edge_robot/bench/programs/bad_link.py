"""Carries IP packets between two network namespaces as a slow, long and lossy link would.

Arguments, as JSON: `ends`, the two network namespaces, each with a TUN device of the name `device`,
and `seed`, of what is lost. It takes orders as lines of JSON, and answers each by one:

- `{"both": {…}}` or `{"0": {…}, "1": {…}}`: from now on packets that leave that end have these
  `delay` (s), `deviation` (of it, s), `rate` (bytes/s, 0: no limit), `queue` (bytes) and `loss`
  (0..1);
- `{"watch": [P, …]}`: the waiting of TCP packets from or to ports P is told apart;
- `{}`: nothing changes.

The answer tells what became of the packets of either end since the answer before.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_robot.bench.figures import percentiles
from edge_robot.nodes.urgency import Urgency, claim_priority
from edge_robot.sim.radio_link import log_normal

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
CLONE_NEWNET = 0x40000000
LONGEST_PACKET = 65536
_IPV4 = 4
BURST = 64
"""Packets taken from one end before the other has its turn."""


@dataclass
class Counts:
    """What became of packets.

    Attributes:
        waited: In the queue, s.
        watched: The same of those packets that are told apart.
        late: By this program's fault, s.
    """

    packets: int = 0
    bytes: int = 0
    lost: int = 0
    overflowed: int = 0
    waited: list[float] = field(default_factory=list)
    watched: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)

    def in_short(self) -> dict[str, Any]:
        """Return them with percentiles for long lists."""
        return {**vars(self), "waited": percentiles(self.waited), "late": percentiles(self.late)}


def _ports(packet: bytes) -> tuple[int, ...]:
    """Return the ports of a TCP packet, none of another one."""
    if packet[0] >> 4 != _IPV4 or packet[9] != socket.IPPROTO_TCP:
        return ()
    return struct.unpack_from("!HH", packet, 4 * (packet[0] & 0xF))


class Direction:
    """The way from one end: a queue before a bottleneck, then a delay, then bad luck.

    A packet that finds the queue full is dropped, as in a router; one that is lost at random has
    taken its time on the bottleneck, as on the air. The order is kept within each TCP connection.
    """

    def __init__(self, source: int, target: int) -> None:
        self._source, self._target = source, target
        self._delay = self._deviation = self._rate = self._loss = 0.0
        self._room = float("inf")
        self._free = 0.0  # when the bottleneck has sent all it was given
        self._travelling: list[tuple[float, int, bytes]] = []  # a heap, by arrival
        self._number = 0  # of the last packet: those that arrive together keep their order
        self._arrival: dict[tuple[int, ...], float] = {}  # of the last packet, by ports
        self._counts = Counts()
        self.watched: set[int] = set()  # TCP ports

    def change(
        self, delay: float, rate: float, queue: float, loss: float, deviation: float
    ) -> None:
        """Have a packet that comes from now on treated like that."""
        self._delay, self._deviation = delay, deviation
        self._rate, self._room, self._loss = rate, queue, loss

    def take(self) -> None:
        """Take in what the end has sent."""
        for _ in range(BURST):
            try:
                packet = os.read(self._source, LONGEST_PACKET)
            except BlockingIOError:
                return
            self._accept(packet, time.monotonic())

    def _accept(self, packet: bytes, now: float) -> None:
        counts = self._counts
        counts.packets += 1
        waits = max(0.0, self._free - now)
        if self._rate and waits * self._rate + len(packet) > self._room:
            counts.overflowed += 1
            return
        self._free = now + waits + (len(packet) / self._rate if self._rate else 0.0)
        counts.waited.append(waits)
        ports = _ports(packet)
        if self.watched.intersection(ports):
            counts.watched.append(waits)
        counts.bytes += len(packet)
        if random.random() < self._loss:
            counts.lost += 1
        else:
            arrival = self._free + log_normal(self._delay, self._deviation)
            arrival = self._arrival[ports] = max(arrival, self._arrival.get(ports, 0.0))
            self._number += 1
            heapq.heappush(self._travelling, (arrival, self._number, packet))

    def next(self) -> float:
        """Return when a packet arrives next."""
        return self._travelling[0][0] if self._travelling else float("inf")

    def deliver(self, now: float) -> None:
        """Give the other end what has arrived."""
        while self._travelling and self._travelling[0][0] <= now:
            due, _, packet = heapq.heappop(self._travelling)
            self._counts.late.append(now - due)
            with contextlib.suppress(BlockingIOError):  # that end's own queue is full: lost, too
                os.write(self._target, packet)

    def report(self) -> dict[str, Any]:
        """Return what became of packets since the last report."""
        counts, self._counts = self._counts, Counts()
        return counts.in_short()


def open_device(namespace: str, name: str) -> int:
    """Attach to a TUN device in a network namespace of `ip netns`; returns its descriptor."""
    c_library = ctypes.CDLL(None, use_errno=True)  # os.setns exists from Python 3.12 on
    with Path("/run/netns", namespace).open() as there:
        if c_library.setns(there.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter the network namespace {namespace}")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


def main(ends: list[str], device: str, seed: int) -> None:
    """Carry packets until the input ends."""
    devices = [open_device(end, device) for end in ends]
    random.seed(seed)
    ways = [Direction(devices[0], devices[1]), Direction(devices[1], devices[0])]
    claim_priority(Urgency.SENSING)  # the link does not wait for others' work
    print(json.dumps({"carrying": True}), flush=True)
    orders = sys.stdin.fileno()
    while True:
        wait = min(way.next() for way in ways) - time.monotonic()
        ready, _, _ = select.select([*devices, orders], [], [], min(max(wait, 0.0), 1.0))
        for end, way in zip(devices, ways, strict=True):
            way.deliver(time.monotonic())
            if end in ready:
                way.take()
        if orders in ready:
            line = sys.stdin.readline()
            if not line:
                return
            order = json.loads(line)
            for number, way in enumerate(ways):
                way.watched = set(order.get("watch", way.watched))
                quality = order.get(str(number), order.get("both"))
                if quality is not None:
                    way.change(**quality)
            print(json.dumps({"ends": [way.report() for way in ways]}), flush=True)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
