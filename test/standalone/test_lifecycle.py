from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from lifecycle_msgs.msg import Transition, TransitionEvent
from lifecycle_msgs.srv import (
    ChangeState,
    GetAvailableStates,
    GetAvailableTransitions,
    GetState,
)
from rclpy.exceptions import RCLError
from rclpy.lifecycle import (
    LifecycleNode,
    LifecycleState,
    ManagedEntity,
    SimpleManagedEntity,
    TransitionCallbackReturn,
)
from rclpy.node import Node
from std_msgs.msg import String

SpinUntil = Callable[[Node, Callable[[], Any]], None]
SUCCESS, FAILURE, ERROR = TransitionCallbackReturn


def silent(name: str = "managed", kind: type[LifecycleNode] = LifecycleNode) -> Any:
    """Return a managed node without services."""
    return kind(name, enable_communication_interface=False)


def state_of(node: LifecycleNode) -> str:
    return node._state_machine.current_state[1]


def test_a_node_walks_through_its_states(ros: None) -> None:
    node = silent()
    walk = ["configure", "activate", "deactivate", "cleanup", "configure", "activate", "shutdown"]
    states = ["inactive", "active", "inactive", "unconfigured", "inactive", "active", "finalized"]
    assert state_of(node) == "unconfigured"
    for step, state in zip(walk, states, strict=True):
        assert getattr(node, f"trigger_{step}")() is SUCCESS
        assert state_of(node) == state
    for step in walk:
        with pytest.raises(RCLError):
            getattr(node, f"trigger_{step}")()


@pytest.mark.parametrize(
    ("result", "recovery", "state"),
    [
        (FAILURE, SUCCESS, "unconfigured"),
        (ERROR, SUCCESS, "unconfigured"),
        (ERROR, FAILURE, "finalized"),
        (ERROR, ERROR, "finalized"),
        (RuntimeError("broken"), SUCCESS, "unconfigured"),
        (None, SUCCESS, "unconfigured"),
    ],
)
def test_a_transition_may_go_wrong(ros: None, result: Any, recovery: Any, state: str) -> None:
    seen: list[LifecycleState] = []

    class Managed(LifecycleNode):
        def on_configure(self, state: LifecycleState) -> Any:
            seen.append(state)
            if isinstance(result, Exception):
                raise result
            return result

        def on_error(self, state: LifecycleState) -> Any:
            return recovery

    node = silent(kind=Managed)
    assert node.trigger_configure() is (result if result is FAILURE else ERROR)
    assert state_of(node) == state
    assert seen == [LifecycleState("unconfigured", 1)]


def test_managed_entities_follow_up_to_the_first_that_fails(ros: None) -> None:
    calls: list[str] = []

    class Entity(ManagedEntity):
        def __init__(self, name: str, result: Any = SUCCESS) -> None:
            self.name, self.result = name, result

        def on_configure(self, state: LifecycleState) -> Any:
            calls.append(self.name)
            return self.result

    node = silent()
    for entity in (Entity("a"), Entity("b", FAILURE), Entity("c")):
        node.add_managed_entity(entity)
    assert node.trigger_configure() is FAILURE
    assert calls == ["a", "b"]
    with pytest.raises(TypeError):
        node.add_managed_entity("no entity")


def test_some_methods_work_only_while_active() -> None:
    class Entity(SimpleManagedEntity):
        done = refused = 0

        @SimpleManagedEntity.when_enabled
        def work(self) -> None:
            self.done += 1

    state = LifecycleState("inactive", 2)
    entity = Entity()
    entity.work()
    entity.on_activate(state)
    assert entity.is_activated
    entity.work()
    entity.on_deactivate(state)
    entity.work()
    assert entity.done == 1


def test_a_lifecycle_publisher_is_silent_while_inactive(node: Node, spin_until: SpinUntil) -> None:
    received: list[str] = []
    managed = silent()
    publisher = managed.create_lifecycle_publisher(String, "words", 10)
    node.create_subscription(String, "words", lambda message: received.append(message.data), 10)
    publisher.publish(String(data="too early"))
    managed.trigger_configure()
    managed.trigger_activate()
    publisher.publish(String(data="heard"))
    managed.trigger_deactivate()
    publisher.publish(String(data="too late"))
    managed.trigger_activate()
    publisher.publish(String(data="end"))
    spin_until(node, lambda: "end" in received)
    assert received == ["heard", "end"]
    assert managed.destroy_lifecycle_publisher(publisher)
    assert not managed.destroy_lifecycle_publisher(publisher)


PEER = """
    from rclpy.lifecycle import LifecycleNode
    rclpy.init(args=[])
    rclpy.spin(LifecycleNode("managed"))
"""


def test_the_state_is_seen_and_changed_from_another_process(
    node: Node, start_peer: Callable[..., Any], spin_until: SpinUntil
) -> None:
    events: list[Any] = []
    subscription = node.create_subscription(
        TransitionEvent, "/managed/transition_event", events.append, 10
    )
    start_peer(PEER)

    def call(kind: Any, name: str, request: Any = None) -> Any:
        client = node.create_client(kind, f"/managed/{name}")
        assert client.wait_for_service(20.0)
        future = client.call_async(request or kind.Request())
        spin_until(node, future.done)
        return future.result()

    def change(**transition: Any) -> bool:
        request = ChangeState.Request(transition=Transition(**transition))
        return bool(call(ChangeState, "change_state", request).success)

    assert call(GetState, "get_state").current_state.label == "unconfigured"
    states = call(GetAvailableStates, "get_available_states").available_states
    assert [state.id for state in states] == [0, 1, 2, 3, 4, 10, 11, 12, 13, 14, 15]

    spin_until(node, subscription.get_publisher_count)
    assert change(id=Transition.TRANSITION_CONFIGURE)
    spin_until(node, lambda: len(events) == 2)
    assert [(event.start_state.label, event.goal_state.label) for event in events] == [
        ("unconfigured", "configuring"),
        ("configuring", "inactive"),
    ]
    available = call(GetAvailableTransitions, "get_available_transitions").available_transitions
    assert [(item.transition.id, item.transition.label) for item in available] == [
        (2, "cleanup"),
        (3, "activate"),
        (6, "shutdown"),
    ]
    graph = call(GetAvailableTransitions, "get_transition_graph").available_transitions
    assert len(graph) == 25
    assert (graph[0].start_state.label, graph[0].goal_state.id) == ("unconfigured", 10)
    assert change(label="activate")
    assert not change(label="activate")
    assert not change(id=200)
    assert call(GetState, "get_state").current_state.id == 3


def test_the_interface_is_there_or_not(node: Node) -> None:
    silent("hidden")
    shown = LifecycleNode("shown")
    names = [name for name, _ in node.get_service_names_and_types_by_node("shown", "/")]
    assert "/shown/change_state" in names
    names = [name for name, _ in node.get_service_names_and_types_by_node("hidden", "/")]
    assert "/hidden/change_state" not in names
    assert shown.count_publishers("~/transition_event") == 1
    with pytest.raises(TypeError):
        LifecycleNode("odd", enable_communication_interface="yes")  # type: ignore[arg-type]
