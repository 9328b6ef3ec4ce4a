from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import rclpy
from rcl_interfaces.msg import Parameter as ParameterMsg
from rcl_interfaces.msg import ParameterDescriptor, ParameterEvent, ParameterValue
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rclpy.parameter_event_handler import ParameterEventHandler

SpinUntil = Callable[[Node, Callable[[], Any]], None]

SERVER = """
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter
rclpy.init()
node = Node("served", namespace="/far")
node.declare_parameter("rate", 10.0)
node.declare_parameter("limits.low", 1)
node.declare_parameter("limits.high", 9, ParameterDescriptor(read_only=True))
node.declare_parameter("any", "x", ParameterDescriptor(dynamic_typing=True))
node.declare_parameter("unset", Parameter.Type.STRING)
node.declare_parameter("bytes", [b"a", b"b"])
print("ready")
rclpy.spin(node)
"""


class Asking:
    """Asks the node in another process."""

    def __init__(self, node: Node, spin_until: SpinUntil) -> None:
        self.node = node
        self.client = AsyncParameterClient(node, "/far/served")
        self._spin_until = spin_until

    def __call__(self, method: str, *arguments: Any) -> Any:
        done: list[Any] = []
        future = getattr(self.client, method)(*arguments, callback=done.append)
        self._spin_until(self.node, lambda: done)
        return future.result()


@pytest.fixture
def ask(node: Node, start_peer: Callable[..., Any], spin_until: SpinUntil) -> Asking:
    start_peer(SERVER).wait_for("ready")
    asking = Asking(node, spin_until)
    assert asking.client.wait_for_services(20.0)
    return asking


def test_parameters_elsewhere_are_read(ask: Asking) -> None:
    values = ask("get_parameters", ["rate", "limits.low", "bytes"]).values
    assert [values[0].double_value, values[1].integer_value] == [10.0, 1]
    assert values[2].byte_array_value == [b"a", b"b"]
    assert ask("get_parameters", ["rate", "unset"]).values == []
    assert ask("get_parameters", ["rate", "unknown"]).values == []
    assert list(ask("get_parameter_types", ["rate", "any", "unset"]).types) == [3, 4, 0]
    (descriptor,) = ask("describe_parameters", ["limits.high"]).descriptors
    assert (descriptor.name, descriptor.type, descriptor.read_only) == ("limits.high", 2, True)
    listed = ask("list_parameters").result
    own = {"use_sim_time", "start_type_description_service"}
    assert {"rate", "limits.low", "limits.high", "any", "unset", "bytes"} | own == set(listed.names)
    assert listed.prefixes == ["limits"]
    assert ask("list_parameters", ["limits"]).result.names == ["limits.low", "limits.high"]
    assert "limits.low" not in ask("list_parameters", [], 1).result.names


def test_parameters_elsewhere_are_set_and_refused(ask: Asking) -> None:
    given = [
        Parameter("rate", value=5.0),
        Parameter("rate", value=5),
        Parameter("limits.high", value=8),
        Parameter("unknown", value=1),
        ParameterMsg(name="rate", value=ParameterValue(type=99)),
    ]
    results = ask("set_parameters", given).results
    assert [result.successful for result in results] == [True, False, False, False, False]
    reasons = [result.reason for result in results[1:]]
    assert reasons.pop().startswith("99 is not a valid ")
    assert reasons == [
        "Wrong parameter type, expected 'Type.DOUBLE' got 'Type.INTEGER'",
        "Trying to set a read-only parameter: limits.high.",
        "Invalid access to undeclared parameter(s): ['unknown']",
    ]
    both = [Parameter("limits.low", value=2), Parameter("rate", value="fast")]
    assert not ask("set_parameters_atomically", both).result.successful
    assert ask("get_parameters", ["limits.low"]).values[0].integer_value == 1
    (result,) = ask("delete_parameters", ["any"]).results
    assert result.successful
    assert ask("get_parameters", ["any"]).values == []


def test_changes_elsewhere_are_told(ask: Asking, spin_until: SpinUntil) -> None:
    events: list[ParameterEvent] = []
    rates: list[float] = []
    handler = ParameterEventHandler(ask.node)
    handler.add_parameter_event_callback(events.append)
    handle = handler.add_parameter_callback(
        "rate", "/far/served", lambda message: rates.append(message.value.double_value)
    )
    spin_until(ask.node, lambda: ask.node.count_publishers("/parameter_events") == 2)
    ask("set_parameters", [Parameter("rate", value=1.0)])
    spin_until(ask.node, lambda: rates == [1.0])
    ask("delete_parameters", ["any"])
    spin_until(ask.node, lambda: len(events) == 2)
    assert {event.node for event in events} == {"/far/served"}
    assert [item.name for item in events[0].changed_parameters] == ["rate"]
    assert [item.name for item in events[1].deleted_parameters] == ["any"]
    handler.remove_parameter_callback(handle)
    with pytest.raises(RuntimeError, match="doesn't exist"):
        handler.remove_parameter_callback(handle)


def test_own_declarations_are_told_to_who_listens(node: Node, spin_until: SpinUntil) -> None:
    events: list[ParameterEvent] = []
    node.create_subscription(ParameterEvent, "/parameter_events", events.append, 10)
    node.declare_parameter("new", 1)
    node.declare_parameter("unset", Parameter.Type.DOUBLE)
    node.set_parameters([Parameter("new", value=2)])
    spin_until(node, lambda: len(events) == 3)
    kinds = [(len(event.new_parameters), len(event.changed_parameters)) for event in events]
    assert kinds == [(1, 0), (1, 0), (0, 1)]
    assert events[2].changed_parameters[0].value.integer_value == 2


def test_a_node_may_keep_its_parameters_to_itself(node: Node) -> None:
    alone = Node("alone", start_parameter_services=False)
    assert [service.srv_name for service in alone.services] == ["alone/get_type_description"]
    alone.destroy_node()


def test_a_node_that_cannot_be_made_leaves_nothing(node: Node) -> None:
    with pytest.raises(Exception, match="use_sim_time"):
        Node("broken", cli_args=["-p", "use_sim_time:=maybe"])
    assert "broken" not in node.get_node_names()


def test_descriptors_can_be_changed(node: Node) -> None:
    node.declare_parameter("n", 1, ParameterDescriptor(dynamic_typing=True))
    assert node.set_descriptor("n", ParameterDescriptor(type=2, description="count"))
    assert node.describe_parameter("n").description == "count"
    (result,) = node.set_parameters([Parameter("n", value="text")])
    assert not result.successful


def test_logger_levels_elsewhere_are_read_and_set(
    node: Node, start_peer: Callable[..., Any], spin_until: SpinUntil
) -> None:
    from rcl_interfaces.msg import LoggerLevel
    from rcl_interfaces.srv import GetLoggerLevels, SetLoggerLevels

    start_peer(
        """
        from rclpy.node import Node
        rclpy.init()
        node = Node("served", enable_logger_service=True)
        print("ready")
        rclpy.spin(node)
        """
    ).wait_for("ready")
    set_levels = node.create_client(SetLoggerLevels, "/served/set_logger_levels")
    get_levels = node.create_client(GetLoggerLevels, "/served/get_logger_levels")
    assert set_levels.wait_for_service(20.0)
    assert get_levels.wait_for_service(20.0)
    levels = [LoggerLevel(name="served", level=10), LoggerLevel(name="served", level=11)]
    future = set_levels.call_async(SetLoggerLevels.Request(levels=levels))
    rclpy.spin_until_future_complete(node, future, timeout_sec=20.0)
    assert [item.successful for item in future.result().results] == [True, False]
    future = get_levels.call_async(GetLoggerLevels.Request(names=["served", "other"]))
    rclpy.spin_until_future_complete(node, future, timeout_sec=20.0)
    assert [item.level for item in future.result().levels] == [10, 0]
