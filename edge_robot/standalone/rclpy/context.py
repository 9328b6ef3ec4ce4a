"""A context: what was given to `rclpy.init`, the DDS participant, and whether to go on."""

from __future__ import annotations

import atexit
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from edge_robot.standalone.dds.graph import Graph
from edge_robot.standalone.dds.participant import Participant, domain_id
from edge_robot.standalone.rclpy.arguments import RosArguments, parse_arguments
from edge_robot.standalone.rclpy.exceptions import NotInitializedException
from edge_robot.standalone.rclpy.logging import (
    apply_log_levels,
    get_logger,
    write_to_console,
)
from edge_robot.standalone.rclpy.security import check_wish

_contexts: weakref.WeakSet[Context] = weakref.WeakSet()


class Waiting(Protocol):
    """Something that may be asleep when the context ends."""

    def wake(self) -> None:
        """Look whether there is something to do."""


class Context:
    """The life of a set of nodes, from `init` to `shutdown`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._ok = False
        self._begun = False
        self._participant: Participant | None = None
        self._graph: Graph | None = None
        self._callbacks: list[Callable[[], object]] = []
        self._waiting: weakref.WeakSet[Waiting] = weakref.WeakSet()
        self._domain = 0
        self.arguments = RosArguments()

    def init(
        self,
        args: Sequence[str] | None = None,
        *,
        initialize_logging: bool = True,
        domain_id: int | None = None,
    ) -> None:
        """Begin; `args` are `sys.argv` if not given.

        Raises:
            RuntimeError: it has begun already (one that was shut down does not begin anew), or
                the domain id is negative.
            UserError: an argument cannot be understood, or the environment enforces DDS security.
            UnicodeEncodeError: an argument is not text.
        """
        with self._lock:
            if domain_id is not None and domain_id < 0:
                raise RuntimeError(f"Domain id ({domain_id}) should not be lower than zero.")
            if self._begun:
                raise RuntimeError("Context.init() must only be called once")
            words = sys.argv if args is None else args
            for word in words:
                word.encode()  # what the locale could not decode has no place in names
            self.arguments = parse_arguments(words)
            if initialize_logging:
                apply_log_levels(self.arguments.log_levels)
                write_to_console(self.arguments.logs.get("stdout", True))
            check_wish()
            self._domain = _environment_domain() if domain_id is None else domain_id
            self._begun = self._ok = True
            _contexts.add(self)

    def ok(self) -> bool:
        """Return whether the context has begun and is not shut down."""
        return self._ok

    def get_domain_id(self) -> int:
        """Return the DDS domain.

        Raises:
            RuntimeError: the context has not begun.
        """
        if not self._begun:
            raise RuntimeError("Context must be initialized before it can have a domain id")
        return self._domain

    @property
    def participant(self) -> Participant:
        """The DDS participant, made when first asked for.

        Raises:
            NotInitializedException: the context is not in use.
            UserError: the domain cannot be joined.
        """
        with self._lock:
            if not self._ok:
                raise NotInitializedException
            if self._participant is None:
                self._participant = Participant(self._domain, self.arguments.enclave)
            return self._participant

    @property
    def graph(self) -> Graph:
        """The nodes of the domain, as far as they are known."""
        with self._lock:
            if self._graph is None:
                self._graph = Graph(self.participant, get_logger("rclpy").warn)
            return self._graph

    def on_shutdown(self, callback: Callable[[], object]) -> None:
        """Call something when the context is shut down; at once if it is.

        A bound method does not keep its object alive.

        Raises:
            TypeError: it cannot be called.
        """
        if not callable(callback):
            raise TypeError(f"callback should be a callable, got {type(callback)}")
        if self._begun and not self._ok:
            callback()
        elif hasattr(callback, "__self__"):
            method = weakref.WeakMethod(callback)
            self._callbacks.append(lambda: (bound := method()) and bound())
        else:
            self._callbacks.append(callback)

    def invalidate(self) -> None:
        """Stop what is spinning; the DDS participant stays for the goodbyes of the nodes."""
        with self._lock:
            if not self._ok:
                return
            self._ok = False
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()
        self.wake()

    def add_waiting(self, waiting: Waiting) -> None:
        """Wake something on shutdown and when a signal arrives; it is not kept alive."""
        self._waiting.add(waiting)

    def wake(self) -> None:
        """Wake whoever waits."""
        for waiting in list(self._waiting):
            waiting.wake()

    def close(self) -> None:
        """Leave the DDS domain."""
        with self._lock:
            if self._participant is not None:
                self._participant.close()
                self._participant = None
                self._graph = None

    def shutdown(self) -> None:
        """Stop what is spinning and leave the DDS domain.

        Raises:
            RuntimeError: the context is not in use.
        """
        if not self._ok:
            raise RuntimeError("Context must be initialized before it can be shutdown")
        self.try_shutdown()

    def try_shutdown(self) -> None:
        """As `shutdown`, but quietly does nothing more if a signal was first."""
        self.invalidate()
        self.close()

    def destroy(self) -> None:
        """End what is left of it."""
        self.try_shutdown()

    def __enter__(self) -> Context:
        self.init()
        return self

    def __exit__(self, *_: object) -> None:
        self.try_shutdown()


def _environment_domain() -> int:
    return domain_id()


def all_contexts() -> list[Context]:
    """Return the contexts of this process that were ever in use."""
    return list(_contexts)


_default = Context()


def get_default_context(*, shutting_down: bool = False) -> Context:
    """Return the context used where none is given.

    Args:
        shutting_down: Whether the caller ends it, so that a new one takes its place.
    """
    global _default
    context = _default
    if shutting_down:
        _default = Context()
    return context


@contextmanager
def default_context(context: Context) -> Iterator[None]:
    """Let a context be the one used where none is given, for as long as the body runs."""
    global _default
    before, _default = _default, context
    try:
        yield
    finally:
        _default = before


@atexit.register
def _leave_all_domains() -> None:
    for context in all_contexts():
        context.try_shutdown()
