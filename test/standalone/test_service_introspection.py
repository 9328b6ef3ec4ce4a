from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rclpy.node import Node
from rclpy.qos import qos_profile_system_default
from rclpy.service_introspection import ServiceIntrospectionState
from service_msgs.msg import ServiceEventInfo
from std_srvs.srv import SetBool

SpinUntil = Callable[[Node, Callable[[], Any]], None]
OFF, METADATA, CONTENTS = ServiceIntrospectionState


@pytest.mark.parametrize("state", [METADATA, CONTENTS])
def test_all_that_passes_is_told(
    node: Node, spin_until: SpinUntil, state: ServiceIntrospectionState
) -> None:
    def switch(request: Any, response: Any) -> Any:
        response.message = "switched"
        return response

    events: list[Any] = []
    service = node.create_service(SetBool, "switch", switch)
    client = node.create_client(SetBool, "switch")
    node.create_subscription(SetBool.Event, "switch/_service_event", events.append, 10)
    for end in (service, client):
        end.configure_introspection(node.get_clock(), qos_profile_system_default, state)
    future = client.call_async(SetBool.Request(data=True))
    spin_until(node, lambda: future.done() and len(events) == 4)

    by_type = {event.info.event_type: event for event in events}
    sent, received = ServiceEventInfo.REQUEST_SENT, ServiceEventInfo.REQUEST_RECEIVED
    assert set(by_type) == {
        sent,
        received,
        ServiceEventInfo.RESPONSE_SENT,
        ServiceEventInfo.RESPONSE_RECEIVED,
    }
    assert len({event.info.sequence_number for event in events}) == 1
    assert all(event.info.stamp.sec > 0 and any(event.info.client_gid) for event in events)
    for kind, event in by_type.items():
        requests, responses = list(event.request), list(event.response)
        if state is METADATA:
            assert not requests
            assert not responses
        elif kind in (sent, received):
            assert [request.data for request in requests] == [True]
        else:
            assert [response.message for response in responses] == ["switched"]


def test_telling_can_be_turned_off(node: Node) -> None:
    client = node.create_client(SetBool, "switch")
    client.configure_introspection(node.get_clock(), qos_profile_system_default, METADATA)
    assert node.count_publishers("switch/_service_event") == 1
    client.configure_introspection(node.get_clock(), qos_profile_system_default, OFF)
    assert node.count_publishers("switch/_service_event") == 0
    client.call_async(SetBool.Request())
