"""A node as a process of a virtual world: it is busy for a while, may be stopped, and may die."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from edge_robot.standalone.rclpy.executors import Executable, SingleThreadedExecutor, _Work
from edge_robot.standalone.rclpy.subscription import Subscription
from edge_robot.standalone.rclpy.timer import Timer

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.node import Node
    from edge_robot.standalone.virtual.world import VirtualWorld

_LOOK = 10_000
"""What a look at a clock costs at least, ns: so that loops that wait for a time come to an end."""


class Process:
    """A node and its single-threaded executor.

    Callbacks run in full at the time they begin. For the node, meanwhile, time goes on, with each
    look at a clock and each message it publishes, which leaves it then: by the run time divided by
    as many as there ever were in one run of that callback. The next callback waits until the run
    time of this one is over.

    Args:
        world: Where it lives.
        name: Its name in the world.
        run_times: Mean run time of callbacks, s, by topic of subscriptions and by name of timers'
            functions; of all others by the empty string.

    Attributes:
        slowdown: Factor on all run times: another program has taken the processor.
        stopped: Whether it is stopped, as by SIGSTOP.
        ended: Whether it was killed, left, or died of an exception.
        error: The exception it died of.
        pauses: How often it was stopped.
        held: What it will do first when it goes on.
    """

    def __init__(self, world: VirtualWorld, name: str, run_times: Mapping[str, float]) -> None:
        self.name = name
        self.slowdown = 1.0
        self.stopped = self.ended = False
        self.error: Exception | None = None
        self.pauses = 0
        self.held: list[Callable[[], object]] = []
        self.node: Node | None = None
        self._world = world
        self._run_times = dict(run_times)
        self._random = random.Random(f"run times of {name}, seed {world.seed}")
        self._executor = _Executor(self, world.context)
        self._planned = -1  # time of the next look for work
        self._called = False  # whether there may be work that no timer tells of
        self._triggered: dict[int, None] = {}  # entities it was called for, in their order
        self._busy_until = 0
        self._stopped_at = 0
        # The run that is going on.
        self._running = False
        self._begun = self._passed = self._step = self._looks = 0
        self._most_looks: dict[str, int] = {}

    def now(self) -> int:
        """Return the time that the running callback has come to, ns of the schedule."""
        return self._begun + self._passed if self._running else self._world.schedule.now

    def look_at_clock(self) -> int:
        """Return the time for the node, which passes by that."""
        if not self._running:
            return self._world.schedule.now
        self._looks += 1
        if self._looks > 1:
            self._passed += max(self._step, _LOOK)
        return self._begun + self._passed

    def work(self) -> int:
        """Return the time at which the running callback has made what it publishes now."""
        if self._running:
            self._looks += 1
            self._passed += self._step
        return self.now()

    # Its life.

    def begin(self, make: Callable[[], Node]) -> None:
        """Make the node, and look for work."""
        with self._world.running(self):
            self.node = make()
            self._executor.add_node(self.node)
        self.wake()

    def kill(self) -> None:
        """End it without a farewell, as SIGKILL does."""
        if not self.ended:
            self.ended = True
            self._world.network.silenced(self)

    def stop(self) -> None:
        """Let it stand still, as SIGSTOP does; others only notice its silence."""
        if not self.stopped and not self.ended:
            self.stopped = True
            self.pauses += 1
            self._stopped_at = self._world.schedule.now
            self._world.network.silenced(self)

    def resume(self) -> None:
        """Let it go on, as SIGCONT does."""
        if not self.stopped or self.ended:
            return
        self.stopped = False
        now = self._world.schedule.now
        if self._busy_until > self._stopped_at:
            self._busy_until += now - self._stopped_at
        self._world.network.revived(self)
        held, self.held = self.held, []
        for action in held:
            action()
        self.wake()

    def leave(self) -> None:
        """End it in good order: its endpoints say goodbye."""
        with self._world.running(self):
            if self.node is not None:
                self._executor.remove_node(self.node)
                self.node.destroy_node()
            self._executor.shutdown()
        self.ended = True

    # Its work.

    def take_triggered(self) -> list[int]:
        """Return what has triggered since the last call."""
        handles, self._triggered = list(self._triggered), {}
        return handles

    def wake(self, entity: int = 0) -> None:
        """Look for work as soon as it is free; `entity` is the handle of what has triggered."""
        if entity:
            self._triggered[entity] = None
        self._called = True
        self._plan(max(self._world.schedule.now, self._busy_until))

    def _plan(self, time: int) -> None:
        schedule = self._world.schedule
        if self._planned < schedule.now or time < self._planned:
            self._planned = time
            schedule.at(time, lambda: self._work(time))

    def _work(self, planned: int) -> None:
        schedule = self._world.schedule
        if planned != self._planned or self.stopped or self.ended:
            return
        self._planned = -1
        if schedule.now < self._busy_until:
            self._plan(self._busy_until)
            return
        self._called = False
        with self._world.running(self):
            try:
                self._executor.spin_once(0.0)
            except Exception as error:  # what would have ended the process ends it here
                self.error = error
                self.kill()
                return
        if self._called or self._executor.has_collected:
            self._plan(max(self._busy_until, schedule.now))
        elif (due := self._executor.next_timer()) is not None:
            self._plan(max(self._busy_until, schedule.now + due))

    def execute(self, executable: Executable, run: Callable[[], None]) -> None:
        """Run a callback, and be busy for its run time."""
        kind = _kind(executable)
        mean = self._run_times.get(kind, self._run_times.get("", 0.0)) * self.slowdown
        duration = round(1e9 * mean * (0.6 + 0.4 * self._random.expovariate(1.0)))
        self._begun, self._passed, self._looks = self._world.schedule.now, 0, 0
        # It may look at a clock as often as it ever did: a callback that found nothing to do the
        # last time did so once.
        self._step = duration // self._most_looks.get(kind, 1)
        self._running = True
        try:
            run()
        finally:
            self._running = False
            self._most_looks[kind] = max(self._looks, self._most_looks.get(kind, 1))
            # At least a nanosecond, which shows that it has run.
            self._busy_until = self._begun + max(duration, self._passed, 1)


class _Executor(SingleThreadedExecutor):
    """Tells its process of what it runs."""

    def __init__(self, process: Process, context: Any) -> None:
        super().__init__(context=context)
        self._process = process

    def wake(self) -> None:
        self._process.wake()  # nobody waits in the wait set

    @property
    def has_collected(self) -> bool:
        """Whether something waits that an earlier look found."""
        return bool(self._ready)

    def next_timer(self) -> int | None:
        """Return the time until a timer is due, ns; None if there is none."""
        waits = [wait for timer in self._free_timers() if (wait := timer.wait_time()) is not None]
        return min(waits, default=None)

    def _collect(self, deadline: int | None) -> None:
        """Queue what is ready; a virtual process need not wait to know."""
        del deadline
        found: list[Executable] = [timer for timer in self._free_timers() if timer.is_ready()]
        for handle in self._process.take_triggered():
            executable = self._by_handle.get(handle)
            if executable is not None and executable not in self._postponed:
                found.append(executable)
        self._ready.extend(found)
        if len(self._ready) > 1:
            self._ready = deque(sorted(self._ready, key=self._order))

    def _free_timers(self) -> list[Timer]:
        return [timer for timer in self._timers if timer not in self._postponed]

    def _execute(self, work: _Work) -> None:
        self._process.execute(work.executable, lambda: super(_Executor, self)._execute(work))


def _kind(executable: Executable) -> str:
    if isinstance(executable, Subscription):
        return executable.topic_name
    if isinstance(executable, Timer):
        return getattr(executable.callback, "__name__", "")
    return ""
