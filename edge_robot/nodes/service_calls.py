"""Service calls for threads that do not spin the node: from pages, and from Foxglove."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from edge_robot.introspection.interfaces import interface_class
from edge_robot.nodes.errands import Errands
from edge_robot.nodes.steady import steady_seconds

LOOK_PERIOD = 0.02
"""Between two looks at what waits for a service or for its answer, s."""

MAX_CLIENTS = 64
"""Clients that are kept for the next call: a new one is first discovered by its service."""


@dataclass
class _Call:
    answer: Future[Any]
    client: Any
    request: Any
    expires: float
    sent: Any = None


class ServiceCalls:
    """Calls services on behalf of other threads; every call ends, at the latest by its time-out.

    Args:
        node: Has the clients.
        errands: Reaches the thread that spins it.
    """

    def __init__(self, node: Node, errands: Errands) -> None:
        self._node = node
        self._errands = errands
        self._clients: dict[tuple[str, str], Any] = {}
        self._open: list[_Call] = []
        self._timer = node.create_timer(
            LOOK_PERIOD, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self._timer.cancel()

    def prepare(self, service: str, type_name: str) -> None:
        """Make the client of a service beforehand (called in the node's thread).

        Raises:
            ValueError: there is no such type.
        """
        self._client(service, type_name)

    def call(self, service: str, type_name: str, request: Any, timeout: float) -> Future[Any]:
        """Call a service; from any thread.

        Args:
            service: Its name.
            type_name: Its type, `std_srvs/SetBool` or `std_srvs/srv/SetBool`.
            request: The request message.
            timeout: Longest wait for service and answer, s.

        Returns:
            The future of the response; a TimeoutError says who did not answer, a ValueError that
            there is no such type.
        """
        answer: Future[Any] = Future()
        answer.set_running_or_notify_cancel()  # from here on nobody can cancel it

        def begin() -> None:
            client = self._client(service, type_name)
            self._open.append(_Call(answer, client, request, steady_seconds() + timeout))
            self._look()

        def begun(errand: Future[None]) -> None:
            if errand.cancelled():
                answer.set_exception(TimeoutError(f"{service} was not called: the node ends"))
            elif error := errand.exception():
                answer.set_exception(error)

        self._errands.do(begin).add_done_callback(begun)
        return answer

    def close(self) -> None:
        """Give up what has no answer yet (called in the node's thread)."""
        for call in self._open:
            call.answer.set_exception(TimeoutError(f"no answer from {call.client.srv_name} yet"))
        self._open.clear()

    def _client(self, service: str, type_name: str) -> Any:
        key = (service, type_name)
        if key not in self._clients:
            busy = {id(call.client) for call in self._open}
            idle = [k for k, client in self._clients.items() if id(client) not in busy]
            if len(self._clients) >= MAX_CLIENTS and idle:
                self._node.destroy_client(self._clients.pop(idle[0]))
            self._clients[key] = self._node.create_client(
                interface_class(type_name, "srv"), service
            )
        return self._clients[key]

    def _look(self) -> None:
        now = steady_seconds()
        for call in tuple(self._open):
            if call.sent is None and call.client.service_is_ready():
                call.sent = call.client.call_async(call.request)
                call.sent.add_done_callback(lambda _: self._look())
            if call.sent is not None and call.sent.done():
                self._settle(call)
            elif now > call.expires:
                self._give_up(call)
        if self._open:
            self._timer.reset()
        else:
            self._timer.cancel()

    def _settle(self, call: _Call) -> None:
        self._open.remove(call)
        error = call.sent.exception()
        if error is not None:
            call.answer.set_exception(error)
        else:
            call.answer.set_result(call.sent.result())

    def _give_up(self, call: _Call) -> None:
        self._open.remove(call)
        name = call.client.srv_name
        if call.sent is None:
            call.answer.set_exception(TimeoutError(f"there is no service {name} of that type"))
        else:
            call.client.remove_pending_request(call.sent)
            call.answer.set_exception(TimeoutError(f"no answer from {name} in time"))
