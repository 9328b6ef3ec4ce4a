"""A thread with an asyncio loop, in which connections live and outcomes are told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from edge_robot.priority import keep_ordinary_priority


class LoopThread:
    """Runs coroutines in one thread; the first error among them ends it and is kept.

    Args:
        name: Of the thread.
        on_end: Called in the thread before what is still running there is cancelled.
    """

    def __init__(self, name: str, on_end: Callable[[], None] = lambda: None) -> None:
        self._on_end = on_end
        self._loop: asyncio.AbstractEventLoop
        self._end: asyncio.Event
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failure: BaseException | None = None
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run_thread, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread; wait until it takes calls."""
        self._thread.start()
        self._started.result()

    def close(self) -> None:
        """End what runs in the thread, and the thread; raise what ended it before, if anything."""
        if self._thread.is_alive():
            self.call_soon(lambda: self._end.set())
            self._thread.join()
        self.raise_if_failed()

    def raise_if_failed(self) -> None:
        """Raise what ended the thread, if it ended by an error."""
        if self._failure is not None:
            raise self._failure

    def call_soon(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function in the thread, from any thread; its error ends the thread."""
        self._loop.call_soon_threadsafe(self._guarded, function, *args)

    def call_at(self, when: float, function: Callable[..., object], *args: Any) -> asyncio.Handle:
        """Call a function at a time of `time.monotonic`, s (called in the thread)."""
        return self._loop.call_at(when, self._guarded, function, *args)

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine (called in the thread); its error ends the thread."""
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def fail(self, error: BaseException) -> None:
        """End the thread by an error (called in the thread)."""
        if self._failure is None:
            self._failure = error
        self._end.set()

    def _guarded(self, function: Callable[..., object], *args: Any) -> None:
        try:
            function(*args)
        except Exception as error:
            self.fail(error)

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            error = task.exception()
            if error is not None:
                self.fail(error)

    def _run_thread(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:
            if self._failure is None:
                self._failure = error

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(initializer=keep_ordinary_priority))
        self._end = asyncio.Event()
        self._started.set_result(None)
        await self._end.wait()
        self._on_end()
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            # Not gather: from Python 3.12 on it returns at once where all tasks have ended, and
            # what takes them out of the set would never have its turn.
            await asyncio.wait(self._tasks)
