"""Executors: they wait for what is ready and run the callbacks."""

from __future__ import annotations

import contextlib
import inspect
import os
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from edge_robot.standalone.dds.library import INFINITE, DdsError
from edge_robot.standalone.dds.waitset import WaitSet
from edge_robot.standalone.rclpy.callback_groups import CallbackGroup, ReentrantCallbackGroup
from edge_robot.standalone.rclpy.constants import S_TO_NS
from edge_robot.standalone.rclpy.context import Context, get_default_context
from edge_robot.standalone.rclpy.exceptions import NotInitializedException
from edge_robot.standalone.rclpy.subscription import Subscription
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


class ConditionReachedException(Exception):
    """A wait ended because what was waited for has come about."""


class Executable(Protocol):
    """What an executor can run: timers, subscriptions, services, clients, events, waitables."""

    callback_group: CallbackGroup

    def handles(self) -> list[int]:
        """Return the DDS entities whose triggering makes it ready."""

    def bind(self, executor: Executor | None) -> None:
        """Learn which executor runs it."""

    def take(self) -> Callable[[], object] | None:
        """Return what to run now, or None if there is nothing after all."""


class _TaskRunner:
    """Runs tasks as executables: new ones before resumed ones, the newest first."""

    def __init__(self) -> None:
        self.callback_group: CallbackGroup = ReentrantCallbackGroup()
        self.queue: deque[Task] = deque()

    def handles(self) -> list[int]:
        return []

    def bind(self, executor: Executor | None) -> None:
        del executor

    def take(self) -> Callable[[], object] | None:
        return self.queue.popleft() if self.queue else None


class _Work(NamedTuple):
    """Something to run, whose callback group has been claimed."""

    executable: Executable
    run: Callable[[], Any]


class Executor:
    """Base of executors: knows the nodes, waits, and picks what is ready.

    Waiting happens on the thread that spins, inside one DDS wait set that all subscriptions are
    attached to but the unhurried, which are looked at when it has ended; `wake` ends it from any
    thread. Callbacks run on that thread, too. An executor of your own overrides `spin_once` and
    gets its work from `wait_for_ready_callbacks`.

    Args:
        context: Context whose shutdown ends spinning; the default one if not given.
    """

    def __init__(self, *, context: Context | None = None) -> None:
        self._context = context or get_default_context()
        self._nodes: list[Node] = []
        self._lock = threading.RLock()
        self._wait_set: WaitSet | None = None
        # What is looked at only when something in the other has ended a wait.
        self._unhurried: WaitSet | None = None
        # Held while waiting, so that the wait set is not closed under whoever waits.
        self._waiting = threading.RLock()
        self._by_handle: dict[int, Executable] = {}
        self._timers: list[Timer] = []
        self._ready: deque[Executable] = deque()
        # When each executable last had its turn: what waited longest comes first.
        self._turns: dict[Executable, int] = {}
        self._turn = 0
        self._tasks = _TaskRunner()
        self._postponed: set[Executable] = set()
        self._is_shutdown = False
        # Threads that run a callback now.
        self._running_threads: list[int] = []
        self._idle = threading.Condition(self._lock)
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
        for executable in list(node.executables):
            self.attach(executable)
        return True

    def remove_node(self, node: Node) -> None:
        """Run this node's callbacks no more."""
        with self._lock:
            if node not in self._nodes:
                return
            self._nodes.remove(node)
        for executable in list(node.executables):
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
                    self._set_of(executable).attach(handle)
        self.wake()

    def detach(self, executable: Executable) -> None:
        """Watch it no more."""
        with self._lock:
            if isinstance(executable, Timer):
                if executable in self._timers:
                    self._timers.remove(executable)
            else:
                for handle in executable.handles():
                    if self._by_handle.pop(handle, None) is not None:
                        self._set_of(executable).detach(handle)
            executable.bind(None)
            with contextlib.suppress(ValueError):
                self._ready.remove(executable)
            self._postponed.discard(executable)
            self._turns.pop(executable, None)
        self.wake()

    def _waits(self) -> WaitSet:
        with self._lock:
            if self._wait_set is None:
                self._wait_set = WaitSet(self._context.participant)
                # A wake-up may have come while there was nothing to wake.
                self._wait_set.wake()
            return self._wait_set

    def _set_of(self, executable: Executable) -> WaitSet:
        """Return the wait set that watches an executable."""
        waits = self._waits()
        if not (isinstance(executable, Subscription) and executable.unhurried):
            return waits
        if self._unhurried is None:
            self._unhurried = WaitSet(self._context.participant)
        return self._unhurried

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
        self._tasks.queue.appendleft(task)
        self.make_ready(self._tasks)
        return task

    def resume(self, task: Task) -> None:
        """Run a task's next stretch."""
        self._tasks.queue.append(task)
        self.make_ready(self._tasks)

    # Waiting and running.

    def wait_for_ready_callbacks(
        self,
        timeout_sec: float | None = None,
        nodes: list[Node] | None = None,
        condition: Callable[[], bool] = lambda: False,
    ) -> tuple[Task, Any, Node | None]:
        """Wait for something to run, for an executor of your own.

        Args:
            timeout_sec: Longest wait, s; for ever if None or negative.
            nodes: Nodes to wait for; all of the executor if not given.
            condition: Ends the wait when it holds.

        Returns:
            What to call, the timer, subscription, … it belongs to, and the node of that.
            What a callback raises is the task's exception.

        Raises:
            TimeoutException: nothing was ready in time.
            ShutdownException: the executor was shut down.
            ExternalShutdownException: the context was shut down.
            ConditionReachedException: `condition` holds.
        """
        for node in nodes or ():
            self.add_node(node)
        work = self._next(timeout_sec, condition)
        if work is None:
            self._raise_if_context_ended()
            if self._is_shutdown:
                raise ShutdownException
            raise ConditionReachedException if condition() else TimeoutException
        owner = next((n for n in self.get_nodes() if work.executable in n.executables), None)
        return Task(self._execute, (work,)), work.executable, owner

    def _next(self, timeout_sec: float | None, stop: Callable[[], bool]) -> _Work | None:
        """Wait for something to run; None on time-out, on shutdown, or when `stop` says so."""
        deadline = None
        if timeout_sec is not None and timeout_sec >= 0:
            deadline = time.monotonic_ns() + int(timeout_sec * S_TO_NS)
        polled = False
        while self._may_run() and not stop():
            while self._ready:
                work = self._pop_ready()
                if work is not None:
                    return work
            if polled and deadline is not None and time.monotonic_ns() >= deadline:
                return None
            self._collect(deadline)
            polled = True
        return None

    def _collect(self, deadline: int | None) -> None:
        """Wait until something is ready or the deadline passes, and queue what is ready."""
        begun = time.monotonic_ns()
        timeout = INFINITE if deadline is None else max(deadline - begun, 0)
        with self._lock:
            timers = [timer for timer in self._timers if timer not in self._postponed]
        for timer in timers:
            wait = timer.wait_time()
            if wait is not None and wait < timeout:
                timeout = wait
        try:
            wait_set = self._wait_set or self._waits()
            with self._waiting:
                if not self._may_run():
                    return  # a shutdown before there was a wait set could not wake it
                handles = wait_set.wait(timeout)
                waited = self._unhurried.wait(0) if self._unhurried is not None else []
        except (DdsError, NotInitializedException):
            if self._context.ok():
                raise
            return
        with self._lock:
            if time.monotonic_ns() - begun >= timeout:  # else no timer can have become due
                self._ready.extend(timer for timer in timers if timer.is_ready())
            for handle in handles:
                executable = self._by_handle.get(handle)
                if executable is not None:
                    self._ready.append(executable)
            if len(self._ready) > 1:
                self._ready = deque(sorted(self._ready, key=self._order))
            self._ready.extendleft(
                self._by_handle[handle] for handle in waited if handle in self._by_handle
            )

    def _order(self, executable: Executable) -> tuple[int, bool]:
        """Sort by who waited longest; among equals messages precede answers, as in rclpy.

        So feedback on a goal is heard before what completes the wait for its acceptance.
        """
        return self._turns.get(executable, 0), not isinstance(executable, Subscription)

    def _pop_ready(self) -> _Work | None:
        """Claim and take what is ready first, or keep it back until its group is free."""
        with self._lock:
            if not self._ready:
                return None
            executable = self._ready.popleft()
            if not executable.callback_group.beginning_execution(executable):
                self._postponed.add(executable)
                for handle in executable.handles():
                    self._set_of(executable).detach(handle)
                return None
            self._turn += 1
            self._turns[executable] = self._turn
        run = executable.take()
        if run is None:
            self._release(executable)
            return None
        return _Work(executable, run)

    def _release(self, executable: Executable) -> None:
        """Give back a callback group, and watch again what was kept back for it."""
        group = executable.callback_group
        # Under the lock, or what is being kept back at this moment would miss it.
        with self._lock:
            group.ending_execution(executable)
            if not self._postponed:
                return
            free = [waiting for waiting in self._postponed if waiting.callback_group is group]
            for waiting in free:
                self._postponed.discard(waiting)
                for handle in waiting.handles():
                    if handle in self._by_handle:
                        self._set_of(waiting).attach(handle)
            # What no DDS entity triggers would not come back by itself.
            self._ready.extend(waiting for waiting in free if not waiting.handles())
        if free:
            self.wake()

    def _execute(self, work: _Work) -> None:
        """Run a callback and release its group: that of a coroutine when it has finished."""
        thread = threading.get_ident()
        self._running_threads.append(thread)
        task = None
        try:
            result = work.run()
            if inspect.iscoroutine(result):
                task = Task(result, executor=self)
                task()
            elif isinstance(work.run, Task):
                task = work.run
        finally:
            # A coroutine keeps the group until it has finished, however often it waits.
            if (
                task is None
                or task is work.run
                or not task.observe(partial(self._release, work.executable))
            ):
                self._release(work.executable)
            with self._idle:
                self._running_threads.remove(thread)
                if self._is_shutdown:  # which waits for the callbacks that run
                    self._idle.notify_all()
        if task is not None and (error := task.exception()) is not None:
            raise error

    def _may_run(self) -> bool:
        return self._context.ok() and not self._is_shutdown

    # Spinning.

    def spin(self) -> None:
        """Run callbacks until the context or the executor is shut down.

        Raises:
            ExternalShutdownException: the context was shut down.
        """
        while self._may_run():
            self.spin_once()
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
        deadline = (
            None if timeout_sec is None or timeout_sec < 0 else time.monotonic() + timeout_sec
        )
        remaining = timeout_sec
        while self._may_run() and not _settled(future):
            self.spin_once_until_future_complete(future, remaining)
            if deadline is not None:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return
        if not _settled(future):
            self._raise_if_context_ended()

    def spin_once_until_future_complete(
        self, future: Future, timeout_sec: float | None = None
    ) -> None:
        """Run one callback, unless the future is or becomes complete before there is one."""
        with _woken_by(future, self):
            self._spin_once(timeout_sec, lambda: _settled(future))

    def _spin_once(self, timeout_sec: float | None, stop: Callable[[], bool]) -> None:
        work = self._next(timeout_sec, stop)
        if work is not None:
            self._execute(work)

    def _raise_if_context_ended(self) -> None:
        if not self._context.ok():
            raise ExternalShutdownException

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """Stop spinning, let go of the nodes, and wait for the callbacks that run.

        Args:
            timeout_sec: Longest wait, s; for ever if None or negative. A callback that calls this
                does not wait for itself.

        Returns:
            Whether no callback runs any more.
        """
        self._is_shutdown = True
        self.wake()
        for node in self.get_nodes():
            self.remove_node(node)
        with self._waiting:
            if self._wait_set is not None:
                self._wait_set.close()
                self._wait_set = None
            if self._unhurried is not None:
                self._unhurried.close()
                self._unhurried = None
        limit = None if timeout_sec is None or timeout_sec < 0 else timeout_sec
        own = threading.get_ident()
        with self._idle:
            return self._idle.wait_for(lambda: set(self._running_threads) <= {own}, limit)

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()


class SingleThreadedExecutor(Executor):
    """Runs callbacks one after another on the thread that spins."""


class MultiThreadedExecutor(Executor):
    """Runs callbacks on a pool of threads, as far as their groups allow.

    `spin_once` starts a callback and does not wait for its end. What a callback raises comes out
    of spinning.

    Args:
        num_threads: Threads of the pool; as many as processors if not given, and at least two.
        context: Context whose shutdown ends spinning.
    """

    def __init__(self, num_threads: int | None = None, *, context: Context | None = None) -> None:
        super().__init__(context=context)
        threads = num_threads or max(len(os.sched_getaffinity(0)), 2)
        if threads == 1:
            warnings.warn(
                "MultiThreadedExecutor is used with a single thread.\n"
                "Use the SingleThreadedExecutor instead.",
                stacklevel=2,
            )
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="executor")
        self._free = threading.Semaphore(threads)
        self._failures: deque[BaseException] = deque()

    def _spin_once(self, timeout_sec: float | None, stop: Callable[[], bool]) -> None:
        # A free thread first: what is taken is run at once, so nothing grows old in a queue.
        limit = _POLL if timeout_sec is None or timeout_sec < 0 else timeout_sec
        if not self._free.acquire(timeout=limit):
            self._raise_failure()
            return
        work = self._next(timeout_sec, lambda: bool(self._failures) or stop())
        if work is None:
            self._free.release()
        else:
            try:
                self._pool.submit(self._run, work)
            except RuntimeError:  # shut down meanwhile
                self._release(work.executable)
                self._free.release()
        self._raise_failure()

    def _run(self, work: _Work) -> None:
        try:
            self._execute(work)
        except BaseException as error:
            self._failures.append(error)
            self.wake()
        finally:
            self._free.release()

    def _raise_failure(self) -> None:
        """Raise on the spinning thread what a callback raised."""
        if self._failures:
            raise self._failures.popleft()

    def shutdown(self, timeout_sec: float | None = None, *, wait_for_threads: bool = True) -> bool:
        """Stop spinning, let go of the nodes, and wait for the callbacks that run.

        Args:
            timeout_sec: Longest wait, s; for ever if None or negative.
            wait_for_threads: Whether to wait for the threads of the pool as well.

        Returns:
            Whether no callback runs any more.
        """
        finished = super().shutdown(timeout_sec)
        in_callback = threading.get_ident() in self._running_threads
        self._pool.shutdown(wait=wait_for_threads and finished and not in_callback)
        return finished


_POLL = 0.1
"""How often a spinning thread looks for shutdown while all threads of the pool are busy, s."""


def _never() -> bool:
    return False


def _settled(future: Future) -> bool:
    return future.done() or future.cancelled()


@contextlib.contextmanager
def _woken_by(future: Future, executor: Executor) -> Iterator[None]:
    """Let a future's completion wake an executor."""
    future.observe(executor.wake)
    try:
        yield
    finally:
        future.stop_observing(executor.wake)
