"""Executors: they wait for what is ready and run the callbacks."""

from __future__ import annotations

import contextlib
import inspect
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

from edge_robot.standalone.dds.library import INFINITE, DdsError
from edge_robot.standalone.dds.waitset import WaitSet
from edge_robot.standalone.rclpy.callback_groups import CallbackGroup, ReentrantCallbackGroup
from edge_robot.standalone.rclpy.context import Context, get_default_context
from edge_robot.standalone.rclpy.duration import S_TO_NS
from edge_robot.standalone.rclpy.task import Future, Task
from edge_robot.standalone.rclpy.timer import Timer

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.node import Node


class TimeoutException(Exception):
    """A wait ended by its time-out."""


class ShutdownException(Exception):
    """The executor was shut down."""


class ExternalShutdownException(Exception):
    """The context was shut down by someone else: a signal, or another thread."""

    def __init__(self) -> None:
        super().__init__("rclpy context has been shut down")


class Executable(Protocol):
    """What an executor can run: timers, subscriptions, services, clients, events."""

    callback_group: CallbackGroup

    def handles(self) -> list[int]:
        """Return the DDS entities whose triggering makes it ready."""

    def bind(self, executor: Executor | None) -> None:
        """Learn which executor runs it."""

    def take(self) -> Callable[[], object] | None:
        """Return what to run now, or None if there is nothing after all."""


class _TaskRunner:
    """Runs tasks as executables; their order of arrival is kept."""

    def __init__(self) -> None:
        self.callback_group: CallbackGroup = ReentrantCallbackGroup()
        self.queue: deque[Task] = deque()

    def handles(self) -> list[int]:
        return []

    def bind(self, executor: Executor | None) -> None:
        del executor

    def take(self) -> Callable[[], object] | None:
        return self.queue.popleft() if self.queue else None


class Executor:
    """Base of executors: knows the nodes, waits, and picks what is ready.

    Waiting happens on the thread that spins, inside one DDS wait set that all subscriptions are
    attached to; `wake` ends it from any thread.
    """

    def __init__(self, *, context: Context | None = None) -> None:
        self._context = context or get_default_context()
        self._nodes: list[Node] = []
        self._lock = threading.RLock()
        self._wait_set: WaitSet | None = None
        self._by_handle: dict[int, Executable] = {}
        self._timers: list[Timer] = []
        self._ready: deque[Executable] = deque()
        # When each executable last had its turn: what waited longest comes first.
        self._turns: weakref.WeakKeyDictionary[Executable, int] = weakref.WeakKeyDictionary()
        self._turn = 0
        self._tasks = _TaskRunner()
        self._postponed: set[Executable] = set()
        self._shutdown = False
        self._context.add_waiting(self)

    @property
    def context(self) -> Context:
        """The context whose shutdown ends spinning."""
        return self._context

    # Nodes and what is in them.

    def add_node(self, node: Node) -> bool:
        """Run this node's callbacks; False if the executor does already."""
        with self._lock:
            if node in self._nodes:
                return False
            self._nodes.append(node)
        node.executor = self
        for executable in node.executables:
            self.attach(executable)
        return True

    def remove_node(self, node: Node) -> None:
        """Run this node's callbacks no more."""
        with self._lock:
            if node not in self._nodes:
                return
            self._nodes.remove(node)
        for executable in node.executables:
            self.detach(executable)
        node._executor = None

    def get_nodes(self) -> list[Node]:
        """Return the nodes whose callbacks are run."""
        return list(self._nodes)

    def attach(self, executable: Executable) -> None:
        """Watch something of a node."""
        with self._lock:
            executable.bind(self)
            if isinstance(executable, Timer):
                self._timers.append(executable)
            else:
                for handle in executable.handles():
                    self._by_handle[handle] = executable
                    self._waits().attach(handle)
        self.wake()

    def detach(self, executable: Executable) -> None:
        """Watch it no more."""
        with self._lock:
            executable.bind(None)
            if isinstance(executable, Timer):
                if executable in self._timers:
                    self._timers.remove(executable)
            else:
                for handle in executable.handles():
                    if self._by_handle.pop(handle, None) is not None:
                        self._waits().detach(handle)
            with contextlib.suppress(ValueError):
                self._ready.remove(executable)
            self._postponed.discard(executable)
        self.wake()

    def _waits(self) -> WaitSet:
        with self._lock:
            if self._wait_set is None:
                self._wait_set = WaitSet(self._context.participant)
            return self._wait_set

    def wake(self) -> None:
        """End the present wait, or the next one."""
        wait_set = self._wait_set
        if wait_set is not None:
            wait_set.wake()

    def make_ready(self, executable: Executable) -> None:
        """Run something that no DDS entity triggers."""
        with self._lock:
            self._ready.append(executable)
        self.wake()

    # Tasks.

    def create_task(self, callback: Any, *args: Any, **kwargs: Any) -> Task:
        """Run a function or coroutine; its task is the future of its result."""
        task = Task(callback, args, kwargs, executor=self)
        self.resume(task)
        return task

    def resume(self, task: Task) -> None:
        """Run a task's next stretch."""
        self._tasks.queue.append(task)
        self.make_ready(self._tasks)

    # Waiting and running.

    def _next(
        self, timeout_sec: float | None, stop: Callable[[], bool]
    ) -> tuple[Executable, Callable[[], Any]] | None:
        """Wait for something to run; None on time-out, on shutdown, or when `stop` says so.

        The callback group of what is returned has been claimed.
        """
        deadline = None
        if timeout_sec is not None and timeout_sec >= 0:
            deadline = time.monotonic_ns() + int(timeout_sec * S_TO_NS)
        polled = False
        while self._running() and not stop():
            while (executable := self._pop_ready()) is not None:
                if not self._claim(executable):
                    continue
                work = executable.take()
                if work is not None:
                    self._turn += 1
                    self._turns[executable] = self._turn
                    return executable, work
                self._release(executable.callback_group)
            if polled and deadline is not None and time.monotonic_ns() >= deadline:
                return None
            self._collect(deadline)
            polled = True
        return None

    def _collect(self, deadline: int | None) -> None:
        """Wait until something is ready or the deadline passes, and queue what is ready."""
        timeout = INFINITE if deadline is None else max(deadline - time.monotonic_ns(), 0)
        with self._lock:
            timers = [timer for timer in self._timers if timer not in self._postponed]
        for timer in timers:
            wait = timer.wait_time()
            if wait is not None and wait < timeout:
                timeout = wait
        wait_set = self._waits()
        if not self._running():
            return  # a shutdown before there was a wait set could not wake it
        try:
            handles = wait_set.wait(timeout)
        except DdsError:
            if self._context.ok():
                raise
            return
        with self._lock:
            self._ready.extend(timer for timer in timers if timer.is_ready())
            for handle in handles:
                executable = self._by_handle.get(handle)
                if executable is not None:
                    self._ready.append(executable)
            if len(self._ready) > 1:
                self._ready = deque(sorted(self._ready, key=self._last_turn))

    def _last_turn(self, executable: Executable) -> int:
        return self._turns.get(executable, 0)

    def _pop_ready(self) -> Executable | None:
        with self._lock:
            return self._ready.popleft() if self._ready else None

    def _claim(self, executable: Executable) -> bool:
        """Claim the callback group of something, or keep it back until `_release`."""
        with self._lock:
            if executable.callback_group.begin():
                return True
            self._postponed.add(executable)
            for handle in executable.handles():
                self._waits().detach(handle)
            return False

    def _release(self, group: CallbackGroup) -> None:
        """Watch again what was kept back for this callback group."""
        with self._lock:
            group.end()
            free = [
                executable for executable in self._postponed if executable.callback_group is group
            ]
            for executable in free:
                self._postponed.discard(executable)
                for handle in executable.handles():
                    if handle in self._by_handle:
                        self._waits().attach(handle)
            # What no DDS entity triggers would not come back by itself.
            self._ready.extend(executable for executable in free if not executable.handles())
        if free:
            self.wake()

    def _execute(self, executable: Executable, work: Callable[[], Any]) -> None:
        """Run a callback whose group has been claimed, and release the group."""
        try:
            result = work()
            if inspect.iscoroutine(result):
                self.create_task(result)
        finally:
            self._release(executable.callback_group)

    def _running(self) -> bool:
        return self._context.ok() and not self._shutdown

    # Spinning.

    def spin(self) -> None:
        """Run callbacks until the context or the executor is shut down.

        Raises:
            ExternalShutdownException: the context was shut down.
        """
        while self._running():
            self._spin_once(None, _never)
        self._raise_if_context_ended()

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Run one callback, waiting for it at most `timeout_sec` (None: for ever).

        Raises:
            ExternalShutdownException: the context is shut down.
        """
        self._spin_once(timeout_sec, _never)
        self._raise_if_context_ended()

    def spin_until_future_complete(self, future: Future, timeout_sec: float | None = None) -> None:
        """Run callbacks until a future is complete, at most `timeout_sec` (None: for ever).

        Raises:
            ExternalShutdownException: the context was shut down before.
        """
        self._spin_until(lambda: _settled(future), future, timeout_sec)

    def spin_once_until_future_complete(
        self, future: Future, timeout_sec: float | None = None
    ) -> None:
        """Run one callback, unless the future is or becomes complete before there is one."""
        future.add_done_callback(lambda _: self.wake())
        self._spin_once(timeout_sec, lambda: _settled(future))

    def _spin_until(
        self, stop: Callable[[], bool], future: Future, timeout_sec: float | None
    ) -> None:
        future.add_done_callback(lambda _: self.wake())
        deadline = (
            None if timeout_sec is None or timeout_sec < 0 else time.monotonic() + timeout_sec
        )
        while self._running() and not stop():
            remaining = None if deadline is None else deadline - time.monotonic()
            if remaining is not None and remaining <= 0:
                return
            self._spin_once(remaining, stop)
        if not stop():
            self._raise_if_context_ended()

    def _spin_once(self, timeout_sec: float | None, stop: Callable[[], bool]) -> None:
        found = self._next(timeout_sec, stop)
        if found is not None:
            self._execute(*found)

    def _raise_if_context_ended(self) -> None:
        if not self._context.ok():
            raise ExternalShutdownException

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """Stop spinning and let go of the nodes; True when no callback runs any more."""
        del timeout_sec  # callbacks run on the spinning thread
        self._shutdown = True
        self.wake()
        for node in self.get_nodes():
            self.remove_node(node)
        return True

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()


class SingleThreadedExecutor(Executor):
    """Runs callbacks one after another on the thread that spins."""


class MultiThreadedExecutor(Executor):
    """Runs callbacks on a pool of threads, as far as their groups allow.

    Args:
        num_threads: Threads of the pool; as many as processors if not given, and at least two.
        context: Context whose shutdown ends spinning.
    """

    def __init__(self, num_threads: int | None = None, *, context: Context | None = None) -> None:
        super().__init__(context=context)
        threads = num_threads or max(len(os.sched_getaffinity(0)), 2)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="executor")
        self._free = threading.Semaphore(threads)
        self._failures: deque[BaseException] = deque()

    def _spin_once(self, timeout_sec: float | None, stop: Callable[[], bool]) -> None:
        # A free thread first: what is taken is run at once, so nothing grows old in a queue.
        if not self._free.acquire(timeout=timeout_sec if timeout_sec is not None else _POLL):
            self._raise_failure()
            return
        found = self._next(timeout_sec, lambda: bool(self._failures) or stop())
        if found is None:
            self._free.release()
        else:
            self._pool.submit(self._run, *found)
        self._raise_failure()

    def _run(self, executable: Executable, work: Callable[[], Any]) -> None:
        try:
            self._execute(executable, work)
        except BaseException as error:
            self._failures.append(error)
            self.wake()
        finally:
            self._free.release()

    def _raise_failure(self) -> None:
        """Raise on the spinning thread what a callback raised."""
        if self._failures:
            raise self._failures.popleft()

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """Stop spinning, let go of the nodes, and wait for the callbacks that run."""
        super().shutdown(timeout_sec)
        self._pool.shutdown(wait=timeout_sec is None or timeout_sec > 0)
        return True


_POLL = 0.1
"""How often a spinning thread looks for shutdown while all threads of the pool are busy, s."""


def _never() -> bool:
    return False


def _settled(future: Future) -> bool:
    return future.done() or future.cancelled()
