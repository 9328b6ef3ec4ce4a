"""A world in which rclpy's nodes run without waiting, the same way every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from edge_robot.standalone import machine
from edge_robot.standalone.dds.library import lib
from edge_robot.standalone.rclpy.context import Context, default_context
from edge_robot.standalone.virtual.library import VirtualLibrary
from edge_robot.standalone.virtual.network import Network
from edge_robot.standalone.virtual.process import Process
from edge_robot.standalone.virtual.schedule import Schedule

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.node import Node

EPOCH = 1_700_000_000_000_000_000
"""Time since the epoch when a virtual world begins, ns."""


class VirtualWorld:
    """Nodes, each a process of its own, on a network of their own, in virtual time.

    To be used as a context manager: while it lasts, this program's rclpy is in the virtual world,
    and only there. All clocks of rclpy tell virtual time. The same seed, nodes and actions give the
    same samples at the same nanoseconds; nodes must ask rclpy's clocks, not the machine's, draw
    from seeded generators, and start no threads.

    Args:
        seed: Of run times and latencies.
        arguments: What all nodes are given, as after a program's name: `["--ros-args", …]`.
        latency: Least latency of a sample and mean of what is added to it (exponential), s.
        discovery: Time until a new endpoint is known to the others, s.
    """

    def __init__(
        self,
        seed: int = 0,
        arguments: Sequence[str] = (),
        latency: tuple[float, float] = (0.0003, 0.0004),
        discovery: float = 0.02,
    ) -> None:
        self.seed = seed
        self.schedule = Schedule()
        self.network = Network(self.schedule, EPOCH, seed, latency, discovery)
        self.context = Context()
        self.processes: dict[str, Process] = {}
        self._arguments = list(arguments)
        self._process: Process | None = None
        self._all: list[Process] = []
        self._exits = ExitStack()

    @property
    def now(self) -> float:
        """Time since the world began, s."""
        return self.schedule.now * 1e-9

    def start(
        self, name: str, make: Callable[[], Node], run_times: Mapping[str, float] | None = None
    ) -> Process:
        """Start a process, in place of an ended one of that name.

        Args:
            name: Its name in the world.
            make: Makes the node, usually its class.
            run_times: See `Process`; without them everything takes no time.

        Raises:
            ValueError: a process of that name is running.
        """
        if name in self.processes and not self.processes[name].ended:
            raise ValueError(f"a process named {name!r} is running in this world already")
        process = Process(self, name, run_times or {})
        self.processes[name] = process
        self._all.append(process)
        process.begin(make)
        return process

    def at(self, time: float, action: Callable[[], object]) -> None:
        """Run an action at a time of the world, s."""
        self.schedule.at(round(time * 1e9), action)

    def run_for(self, seconds: float) -> None:
        """Let time pass; what should happen meanwhile happens."""
        self.schedule.run_until(self.schedule.now + round(seconds * 1e9))

    @contextmanager
    def running(self, process: Process) -> Iterator[None]:
        """Let what the body does be this process's doing."""
        before, self._process = self._process, process
        try:
            yield
        finally:
            self._process = before

    def _steady_ns(self) -> int:
        process = self._process
        return self.schedule.now if process is None else process.look_at_clock()

    def _system_ns(self) -> int:
        return EPOCH + self._steady_ns()

    def __enter__(self) -> VirtualWorld:
        with self._exits as exits:
            library = VirtualLibrary(self.network, lambda: self._process)
            exits.enter_context(lib.replaced(library))
            exits.enter_context(_clocks(self._steady_ns, self._system_ns))
            exits.enter_context(default_context(self.context))
            self.context.init(self._arguments)
            exits.callback(self.context.try_shutdown)
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with self._exits:
            for process in self._all:
                process.leave()


@contextmanager
def _clocks(steady: Callable[[], int], system: Callable[[], int]) -> Iterator[None]:
    before = machine.steady_ns, machine.system_ns
    machine.steady_ns, machine.system_ns = steady, system
    try:
        yield
    finally:
        machine.steady_ns, machine.system_ns = before
