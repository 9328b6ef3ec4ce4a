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
        self._executor = _no_executor if executor is None else weakref.ref(executor)
        self._lock = threading.RLock()
        self._done = False
        self._cancelled = False
        self._result: Any = None
        self._exception: BaseException | None = None
        self._callbacks: list[Callable[[Future], None]] = []
        self._observers: list[Callable[[], object]] = []

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

    def remove_done_callback(self, callback: Callable[[Future], None]) -> bool:
        """Call it no more; False if it is not there (any more)."""
        with self._lock:
            if callback not in self._callbacks:
                return False
            self._callbacks.remove(callback)
            return True

    def observe(self, observer: Callable[[], object]) -> bool:
        """Call something when it is complete or cancelled, before and unlike done-callbacks.

        Whoever completes the future calls it. False, and no call, if it is complete already.
        """
        with self._lock:
            if self._done or self._cancelled:
                return False
            self._observers.append(observer)
            return True

    def stop_observing(self, observer: Callable[[], object]) -> None:
        """Do not call it any more."""
        with self._lock:
            if observer in self._observers:
                self._observers.remove(observer)

    def _set_executor(self, executor: Executor | None) -> None:
        """Let done-callbacks run on an executor, or on whoever completes the future."""
        self._executor = _no_executor if executor is None else weakref.ref(executor)

    def _run_callbacks(self) -> None:
        with self._lock:
            callbacks, self._callbacks = self._callbacks, []
            observers, self._observers = self._observers, []
        for observer in observers:
            observer()
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
        self._handler: Any = handler
        self._args = args
        self._kwargs = kwargs or {}
        self._coroutine = handler if inspect.iscoroutine(handler) else None
        self._running = threading.Lock()

    def __call__(self) -> None:
        """Run it, or the next stretch of its coroutine up to a future that is not complete.

        What it raises is kept as its exception.
        """
        if self._done or self._cancelled or not self._running.acquire(blocking=False):
            return
        awaited: Any = None
        try:
            if self._coroutine is None:
                result = self._handler(*self._args, **self._kwargs)
                if not inspect.iscoroutine(result):
                    self._finish()
                    self.set_result(result)
                    return
                self._coroutine = result
            awaited = self._coroutine.send(None)
        except StopIteration as finished:
            self._finish()
            self.set_result(finished.value)
            return
        except Exception as error:
            self._finish()
            self.set_exception(error)
            return
        finally:
            self._running.release()
        if not isinstance(awaited, Future) or not awaited.observe(self.go_on):
            self.go_on()

    def go_on(self) -> None:
        """Have the next stretch run."""
        executor = self._executor()
        if executor is not None:
            executor.resume(self)

    def executing(self) -> bool:
        """Return whether it runs at this moment."""
        return self._running.locked()

    def cancel(self) -> None:
        """Give it up: its coroutine runs no further."""
        super().cancel()
        if self._cancelled and self._coroutine is not None and not self.executing():
            self._coroutine.close()
            self._finish()

    def _finish(self) -> None:
        """Let go of what the handler holds."""
        self._handler = self._coroutine = None
        self._args, self._kwargs = (), {}


def _no_executor() -> None:
    return None
