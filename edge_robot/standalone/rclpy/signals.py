"""SIGINT and SIGTERM end what is spinning.

Python runs signal handlers on the main thread, between bytecodes; a main thread that waits inside
Cyclone DDS executes none. So the interpreter writes a byte to a socket when a signal arrives, and
a thread that sleeps on its other end wakes the executors.
"""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable
from enum import IntEnum
from types import FrameType
from typing import Any

from edge_robot.standalone.rclpy.context import all_contexts


class SignalHandlerOptions(IntEnum):
    """Which signals `rclpy.init` handles."""

    NO = 0
    SIGINT = 1
    SIGTERM = 2
    ALL = 3


class SignalHandlers:
    """The handlers of this process.

    Args:
        on_signal: Called on the main thread for every signal handled.
        wake: Called from another thread when a signal has arrived.
    """

    def __init__(self, on_signal: Callable[[int], None], wake: Callable[[], None]) -> None:
        self._on_signal = on_signal
        self._wake = wake
        self._previous: dict[int, Any] = {}
        self._delivered: set[int] = set()
        self._previous_fd = -1
        self._options = SignalHandlerOptions.NO
        self._sockets: tuple[socket.socket, socket.socket] | None = None

    @property
    def options(self) -> SignalHandlerOptions:
        """Which signals are handled now."""
        return self._options

    def install(self, options: SignalHandlerOptions) -> None:
        """Handle the signals of `options`; only the main thread may, others are ignored."""
        on_main_thread = threading.current_thread() is threading.main_thread()
        if not on_main_thread or options is self._options:
            return
        self.uninstall()
        if options is SignalHandlerOptions.NO:
            return
        self._options = options
        receiver, sender = socket.socketpair()
        sender.setblocking(False)
        self._sockets = receiver, sender
        self._previous_fd = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        for number, flag in ((signal.SIGINT, 1), (signal.SIGTERM, 2)):
            if options & flag:
                self._previous[number] = signal.signal(number, self._handle)
        threading.Thread(
            target=self._forward, args=(receiver,), name="signal wake-up", daemon=True
        ).start()

    def uninstall(self) -> None:
        """Give the signals back to who had them before."""
        if self._sockets is None or threading.current_thread() is not threading.main_thread():
            return
        for number, handler in self._previous.items():
            # None stands for a handler that was not installed from Python.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._previous.clear()
        self._delivered.clear()
        signal.set_wakeup_fd(self._previous_fd)
        _, sender = self._sockets
        self._sockets = None
        self._options = SignalHandlerOptions.NO
        sender.close()  # ends the thread, which closes the receiver

    def _forward(self, receiver: socket.socket) -> None:
        with receiver:
            while receiver.recv(64):
                self._wake()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._on_signal(number)
        previous = self._previous.get(number)
        # Only once: a terminal and a launcher both send SIGINT, and a second KeyboardInterrupt
        # would break into the goodbyes of the nodes (a recording being closed, say).
        if callable(previous) and number not in self._delivered:
            self._delivered.add(number)
            previous(number, frame)


def _invalidate_contexts(number: int) -> None:
    del number
    for context in all_contexts():
        context.invalidate()


def _wake_executors() -> None:
    for context in all_contexts():
        context.wake()


_handlers = SignalHandlers(_invalidate_contexts, _wake_executors)


def install_signal_handlers(options: SignalHandlerOptions = SignalHandlerOptions.ALL) -> None:
    """Let signals end what is spinning, in place of what was handled before.

    Args:
        options: Signals to handle. Only the main thread can install handlers; others are ignored.
    """
    _handlers.install(options)


def get_current_signal_handlers_options() -> SignalHandlerOptions:
    """Return which signals are handled."""
    return _handlers.options


def uninstall_signal_handlers() -> None:
    """Give the signals back to who had them before."""
    _handlers.uninstall()
