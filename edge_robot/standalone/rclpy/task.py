"""Futures, and tasks that executors run."""

from __future__ import annotations

import inspect
import threading
import weakref
from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.executors import Executor


class Future:
    """A result that comes later.

    Args:
        executor: Runs the done-callbacks if given; otherwise who completes the future does.
    """

    def __init__(self, *, executor: Executor | None = None) -> None:
        self._executor = weakref.ref(executor) if executor is not None else lambda: None
        self._lock = threading.RLock()
        self._done = False
        self._cancelled = False
        self._result: Any = None
        self._exception: BaseException | None = None
        self._callbacks: list[Callable[[Future], None]] = []

    def __await__(self) -> Generator[Future, None, Any]:
        while not self._done and not self._cancelled:
            yield self
        return self.result()

    def cancel(self) -> None:
        """Give up waiting; a future that is done stays so."""
        with self._lock:
            if self._done:
                return
            self._cancelled = True
        self._run_callbacks()

    def cancelled(self) -> bool:
        """Return whether it was cancelled."""
        return self._cancelled

    def done(self) -> bool:
        """Return whether there is a result or an exception."""
        return self._done

    def result(self) -> Any:
        """Return the result (None if there is none yet); raises what made it fail."""
        if self._exception is not None:
            raise self._exception
        return self._result

    def exception(self) -> BaseException | None:
        """Return what made it fail."""
        return self._exception

    def set_result(self, result: Any) -> None:
        """Complete it."""
        with self._lock:
            self._result = result
            self._done = True
            self._cancelled = False
        self._run_callbacks()

    def set_exception(self, exception: BaseException) -> None:
        """Complete it with a failure."""
        with self._lock:
            self._exception = exception
            self._done = True
            self._cancelled = False
        self._run_callbacks()

    def add_done_callback(self, callback: Callable[[Future], None]) -> None:
        """Call something when it is complete or cancelled; at once if it is."""
        with self._lock:
            if not self._done and not self._cancelled:
                self._callbacks.append(callback)
                return
        self._run(callback)

    def _run_callbacks(self) -> None:
        with self._lock:
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            self._run(callback)

    def _run(self, callback: Callable[[Future], None]) -> None:
        executor = self._executor()
        if executor is None:
            callback(self)
        else:
            executor.create_task(callback, self)


class Task(Future):
    """A function or coroutine an executor runs; its own return value is the result.

    Args:
        handler: Function, coroutine function or coroutine.
        args: Positional arguments.
        kwargs: Keyword arguments.
        executor: Who runs it.
    """

    def __init__(
        self,
        handler: Callable[..., Any] | Coroutine[Any, Any, Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        executor: Executor | None = None,
    ) -> None:
        super().__init__(executor=executor)
        self._handler = handler
        self._args = args
        self._kwargs = kwargs or {}
        self._coroutine = handler if inspect.iscoroutine(handler) else None

    def __call__(self) -> None:
        """Run it, or the next stretch of its coroutine up to a future that is not complete.

        What a plain function raises goes to the caller, as an exception of a callback does.
        """
        if self._done or self._cancelled:
            return
        try:
            if self._coroutine is None:
                assert callable(self._handler)
                result = self._handler(*self._args, **self._kwargs)
                if not inspect.iscoroutine(result):
                    self.set_result(result)
                    return
                self._coroutine = result
            awaited = self._coroutine.send(None)
        except StopIteration as finished:
            self.set_result(finished.value)
        except Exception as error:
            self.set_exception(error)
            raise
        else:
            self._resume_after(awaited)

    def _resume_after(self, awaited: Any) -> None:
        executor = self._executor()
        assert executor is not None, "a coroutine needs an executor to go on"
        if isinstance(awaited, Future):
            awaited.add_done_callback(lambda _: executor.resume(self))
        else:
            executor.resume(self)
