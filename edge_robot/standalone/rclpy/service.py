"""Services."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge_robot.standalone.dds.drops import Drops
from edge_robot.standalone.dds.participant import Participant
from edge_robot.standalone.dds.services import RequestId, ServerEndpoints
from edge_robot.standalone.interfaces.codec import CdrError, codec
from edge_robot.standalone.interfaces.hashing import type_hash_user_data
from edge_robot.standalone.rclpy.callback_groups import CallbackGroup
from edge_robot.standalone.rclpy.logging import Logger
from edge_robot.standalone.rclpy.qos import QoSProfile, dds_qos
from edge_robot.standalone.rclpy.service_introspection import (
    EventType,
    Introspected,
    Introspection,
)

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.executors import Executor


class Service(Introspected):
    """Answers requests. Made by `Node.create_service`.

    What cannot be understood is dropped, counted (`drops.count`) and reported once a second.

    Args:
        participant: DDS parent.
        srv_type: Service class.
        srv_name: Name as the program says it.
        service_name: Fully qualified name, after renamings.
        callback: Called with a request and a response to fill in; returns the response.
        callback_group: Decides when callbacks may run.
        qos_profile: Contract of both directions.
        logger: Writes warnings.
        introspection: Publishes what passes, if someone wants it.
    """

    def __init__(
        self,
        participant: Participant,
        srv_type: Any,
        srv_name: str,
        service_name: str,
        callback: Callable[[Any, Any], Any],
        callback_group: CallbackGroup,
        qos_profile: QoSProfile,
        logger: Logger,
        introspection: Introspection,
    ) -> None:
        self.srv_type = srv_type
        self.srv_name = srv_name
        self.service_name = service_name
        self.callback = callback
        self.callback_group = callback_group
        self.qos_profile = qos_profile
        self.drops = Drops(service_name, "request", logger.warn)
        self._logger = logger
        self._introspection = introspection
        # For what may only begin when the client can know of the response.
        self.after_response: Callable[[Any], object] | None = None
        self.endpoints = ServerEndpoints(
            participant, service_name, srv_type.name, dds_qos(qos_profile), service_hashes(srv_type)
        )

    def send_response(self, response: Any, header: RequestId) -> None:
        """Send a response.

        Raises:
            TypeError: it is not of the service's response type.
        """
        if not isinstance(response, self.srv_type.Response):
            raise TypeError(f"Expected {self.srv_type.Response}, got {type(response)}")
        if not self.endpoints.reply(header, codec(self.srv_type.Response).write(response)):
            self._logger.warning(f"{self.service_name}: the client of a request cannot be reached")
        self._tell(EventType.RESPONSE_SENT, header, response)
        if self.after_response is not None:
            self.after_response(response)

    def _tell(self, event_type: EventType, header: RequestId, message: Any) -> None:
        # All that a server knows of its client is the 8 bytes of the header.
        client = header.client.to_bytes(8, "little")
        self._introspection.tell(event_type, client, header.number, message)

    # What an executor needs.

    def handles(self) -> list[int]:
        """Return the condition that waiting requests trigger."""
        return [self.endpoints.reader.condition]

    def bind(self, executor: Executor | None) -> None:
        """Nothing to tell the executor: DDS triggers."""

    def take(self) -> Callable[[], object] | None:
        """Take the oldest waiting request; return the work of answering it."""
        while (message := self.endpoints.take()) is not None:
            header, data = message
            try:
                if data is None:
                    raise CdrError("shorter than a request's header")
                request = codec(self.srv_type.Request).read(data)
            except CdrError as error:
                self.drops.add(error)
                continue
            self._tell(EventType.REQUEST_RECEIVED, header, request)
            return self._answer(header, request)
        return None

    def _answer(self, header: RequestId, request: Any) -> Callable[[], object]:
        def answer() -> Any:
            response = self.callback(request, self.srv_type.Response())
            if hasattr(response, "__await__"):
                return self._answer_later(header, response)
            self.send_response(response, header)
            return None

        return answer

    async def _answer_later(self, header: RequestId, response: Any) -> None:
        self.send_response(await response, header)

    def destroy(self) -> None:
        """End it; use `Node.destroy_service`."""
        self.endpoints.close()


def service_hashes(srv_type: Any) -> tuple[bytes, bytes]:
    """Return the USER_DATA with the type hashes of a service's request and response."""
    return (
        type_hash_user_data(f"{srv_type.name}_Request"),
        type_hash_user_data(f"{srv_type.name}_Response"),
    )
