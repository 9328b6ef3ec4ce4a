"""Work for the thread that spins a node, asked for by other threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from rclpy.node import Node

Result = TypeVar("Result")


class Errands:
    """Runs functions between two callbacks of a node, as if they were callbacks themselves.

    What belongs to a node (its subscriptions, clients, publishers) is then made, used and destroyed
    by one thread, whoever asks for it.

    Args:
        node: The node that is spun.
    """

    def __init__(self, node: Node) -> None:
        self._logger = node.get_logger()
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._closed = False
        self._guard = node.create_guard_condition(self._run)

    def do(self, function: Callable[[], Result]) -> Future[Result]:
        """Have a function run; from any thread.

        Returns:
            The future of its result or exception; cancelled where the node ends first.
        """
        future: Future[Result] = Future()
        self._waiting.append((future, function))
        if self._closed:
            self.close()
        else:
            self._guard.trigger()
        return future

    def tell(self, function: Callable[[], object]) -> None:
        """Have a function run for whose result nobody waits: an error is logged."""
        self.do(function).add_done_callback(self._report)

    def _report(self, errand: Future[object]) -> None:
        if not errand.cancelled() and (error := errand.exception()) is not None:
            self._logger.error(f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """Cancel what was not begun, and whatever is asked for from now on."""
        self._closed = True
        while self._waiting:
            self._waiting.popleft()[0].cancel()

    def _run(self) -> None:
        # Those asked for meanwhile have triggered the guard again: callbacks come in between.
        for _ in range(len(self._waiting)):
            future, function = self._waiting.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = function()
            except Exception as error:  # belongs to who asked
                future.set_exception(error)
            else:
                future.set_result(result)
