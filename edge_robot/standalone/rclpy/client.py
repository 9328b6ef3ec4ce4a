"""Clients of services."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge_robot.standalone.dds.drops import Drops
from edge_robot.standalone.dds.participant import Participant
from edge_robot.standalone.dds.services import ClientEndpoints
from edge_robot.standalone.interfaces.codec import CdrError, codec
from edge_robot.standalone.rclpy.callback_groups import CallbackGroup
from edge_robot.standalone.rclpy.context import Context
from edge_robot.standalone.rclpy.logging import Logger
from edge_robot.standalone.rclpy.qos import QoSProfile, dds_qos
from edge_robot.standalone.rclpy.service import service_hashes
from edge_robot.standalone.rclpy.service_introspection import (
    EventType,
    Introspected,
    Introspection,
)
from edge_robot.standalone.rclpy.task import Future

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.executors import Executor


class Client(Introspected):
    """Sends requests to a service. Made by `Node.create_client`.

    What cannot be understood is dropped, counted (`drops.count`) and reported once a second.

    Args:
        context: Life it belongs to.
        participant: DDS parent.
        srv_type: Service class.
        srv_name: Name of the service as the program says it.
        service_name: Fully qualified name, after renamings.
        callback_group: Decides when callbacks may run.
        qos_profile: Contract of both directions.
        logger: Writes warnings.
        introspection: Publishes what passes, if someone wants it.
    """

    def __init__(
        self,
        context: Context,
        participant: Participant,
        srv_type: Any,
        srv_name: str,
        service_name: str,
        callback_group: CallbackGroup,
        qos_profile: QoSProfile,
        logger: Logger,
        introspection: Introspection,
    ) -> None:
        self.context = context
        self.srv_type = srv_type
        self.srv_name = srv_name
        self.service_name = service_name
        self.callback_group = callback_group
        self.qos_profile = qos_profile
        self.drops = Drops(service_name, "response", logger.warn)
        self._pending: dict[int, Future] = {}
        self._executor: Executor | None = None
        self._introspection = introspection
        self.endpoints = ClientEndpoints(
            participant, service_name, srv_type.name, dds_qos(qos_profile), service_hashes(srv_type)
        )

    def service_is_ready(self) -> bool:
        """Return whether a service with this name and type is there."""
        return self.endpoints.server_is_available()

    def wait_for_service(self, timeout_sec: float | None = None) -> bool:
        """Wait until the service is there; False on time-out or shutdown."""
        return self.endpoints.wait_for_server(
            timeout_sec, self.context.ok, self.context.add_waiting
        )

    def call_async(self, request: Any) -> Future:
        """Send a request; return the future of its response.

        Raises:
            TypeError: the request is not of the service's request type.
        """
        if not isinstance(request, self.srv_type.Request):
            raise TypeError(f"Expected {self.srv_type.Request}, got {type(request)}")
        future = Future(executor=self._executor)

        def remember(number: int) -> None:
            self._pending[number] = future

        number = self.endpoints.request(codec(self.srv_type.Request).write(request), remember)
        self._tell(EventType.REQUEST_SENT, number, request)

        def forget(_: Future) -> None:
            self._pending.pop(number, None)

        future.add_done_callback(forget)
        return future

    def call(self, request: Any, timeout_sec: float | None = None) -> Any:
        """Send a request and wait for the response, while another thread spins the node.

        Returns:
            The response; None if it did not come within `timeout_sec` (s; None for no limit).

        Raises:
            TypeError: the request is not of the service's request type.
        """
        done = threading.Event()
        future = self.call_async(request)
        future.add_done_callback(lambda _: done.set())
        if not done.wait(timeout_sec):
            self.remove_pending_request(future)
        return future.result()

    def get_pending_request(self, sequence_number: int) -> Future:
        """Return the future of the response to a request.

        Raises:
            KeyError: no response to this request is waited for.
        """
        return self._pending[sequence_number]

    def remove_pending_request(self, future: Future) -> None:
        """Wait for a response no more."""
        for number, pending in list(self._pending.items()):
            if pending is future:
                self._pending.pop(number, None)

    def _tell(self, event_type: EventType, number: int, message: Any) -> None:
        self._introspection.tell(event_type, self.endpoints.writer.guid, number, message)

    # What an executor needs.

    def handles(self) -> list[int]:
        """Return the condition that waiting responses trigger."""
        return [self.endpoints.reader.condition]

    def bind(self, executor: Executor | None) -> None:
        """Learn who runs done-callbacks of futures."""
        self._executor = executor

    def take(self) -> Callable[[], object] | None:
        """Take the oldest waiting response of ours; return the work of completing its future."""
        while (message := self.endpoints.take()) is not None:
            header, data = message
            if data is None:
                self.drops.add("shorter than a response's header")
                continue
            if header.client != self.endpoints.identity or header.number not in self._pending:
                continue  # someone else's, all clients of a service hear all its replies; or late
            try:
                response = codec(self.srv_type.Response).read(data)
            except CdrError as error:
                self.drops.add(error)
                continue
            future = self._pending.pop(header.number, None)
            if future is None:
                continue  # given up in the meantime, by another thread
            self._tell(EventType.RESPONSE_RECEIVED, header.number, response)
            return lambda: future.set_result(response)
        return None

    def destroy(self) -> None:
        """End it; use `Node.destroy_client`."""
        self.endpoints.close()
