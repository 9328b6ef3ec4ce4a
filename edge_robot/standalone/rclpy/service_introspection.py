"""Events that tell what passes between a service and its clients."""

from __future__ import annotations

import weakref
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Any

from edge_robot.standalone.rclpy.clock import Clock
from edge_robot.standalone.rclpy.qos import QoSProfile

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.node import Node
    from edge_robot.standalone.rclpy.publisher import Publisher

_GID_SIZE = 16


class ServiceIntrospectionState(Enum):
    """What is told."""

    OFF = 0
    METADATA = 1
    CONTENTS = 2


class EventType(IntEnum):
    """What happened, by the numbers of `service_msgs/msg/ServiceEventInfo`."""

    REQUEST_SENT = 0
    REQUEST_RECEIVED = 1
    RESPONSE_SENT = 2
    RESPONSE_RECEIVED = 3


class Introspected:
    """What services and clients have in common: others can be told what passes through them."""

    _introspection: Introspection

    def configure_introspection(
        self,
        clock: Clock,
        service_event_qos_profile: QoSProfile,
        introspection_state: ServiceIntrospectionState,
    ) -> None:
        """Choose what is told on `<service>/_service_event`.

        Args:
            clock: Clock of the events' stamps.
            service_event_qos_profile: Contract of the topic; a change counts after OFF.
            introspection_state: What is told.
        """
        self._introspection.configure(clock, service_event_qos_profile, introspection_state)


class Introspection:
    """Publishes the events of one service or client on `<service>/_service_event`.

    Args:
        node: Whose service or client it is; it is not kept alive.
        srv_type: Service class.
        service_name: Fully qualified name.
    """

    def __init__(self, node: Node, srv_type: Any, service_name: str) -> None:
        self.state = ServiceIntrospectionState.OFF
        self._node = weakref.ref(node)
        self._srv_type = srv_type
        self._topic = f"{service_name}/_service_event"
        self._publisher: Publisher | None = None
        self._clock: Clock | None = None

    def configure(
        self, clock: Clock, qos_profile: QoSProfile, state: ServiceIntrospectionState
    ) -> None:
        """Choose what is told.

        Args:
            clock: Clock of the events' stamps.
            qos_profile: Contract of the topic; a change counts after the state was OFF.
            state: What is told.
        """
        node = self._node()
        if state is ServiceIntrospectionState.OFF:
            if node is not None and self._publisher is not None:
                node.destroy_publisher(self._publisher)
            self._publisher = None
        elif node is not None and self._publisher is None:
            self._publisher = node.create_publisher(self._srv_type.Event, self._topic, qos_profile)
        self._clock = clock
        self.state = state

    def tell(self, event_type: EventType, client: bytes, number: int, message: Any) -> None:
        """Publish an event, unless the state is OFF.

        Args:
            event_type: What happened.
            client: The client's id, up to 16 bytes.
            number: The request's sequence number.
            message: Request or response.
        """
        if self._publisher is None or self._clock is None:
            return
        event = self._srv_type.Event()
        event.info.event_type = event_type
        event.info.stamp = self._clock.now().to_msg()
        event.info.client_gid = list(client.ljust(_GID_SIZE, b"\0"))
        event.info.sequence_number = number
        if self.state is ServiceIntrospectionState.CONTENTS:
            is_request = event_type in (EventType.REQUEST_SENT, EventType.REQUEST_RECEIVED)
            setattr(event, "request" if is_request else "response", [message])
        self._publisher.publish(event)
