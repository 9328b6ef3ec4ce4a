from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import rclpy
from action_msgs.msg import GoalStatus, GoalStatusArray
from action_msgs.srv import CancelGoal
from example_interfaces.action import Fibonacci
from hypothesis import given
from hypothesis import strategies as st
from rclpy.action import (
    ActionClient,
    ActionServer,
    CancelResponse,
    GoalResponse,
    get_action_names_and_types,
)
from rclpy.action.goal_state import GoalEvent, GoalState, after
from rclpy.exceptions import RCLError
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future
from rclpy.waitable import NumberOfEntities

SpinUntil = Callable[[Node, Callable[[], Any]], None]

SERVER = """
    import time
    from example_interfaces.action import Fibonacci
    from rclpy.action import ActionServer, CancelResponse, GoalResponse
    from rclpy.callback_groups import ReentrantCallbackGroup
    from rclpy.executors import MultiThreadedExecutor

    def execute(handle):
        sequence = [0, 1]
        for _ in range(handle.request.order - 1):
            if handle.is_cancel_requested:
                handle.canceled()
                return Fibonacci.Result(sequence=sequence)
            sequence.append(sequence[-1] + sequence[-2])
            handle.publish_feedback(Fibonacci.Feedback(sequence=sequence))
            time.sleep(0.02)
        if handle.request.order == 3:
            raise ValueError("three is not to be had")
        if handle.request.order != 4:
            handle.succeed()
        return Fibonacci.Result(sequence=sequence)

    rclpy.init()
    node = rclpy.create_node("server")
    server = ActionServer(
        node, Fibonacci, "fibonacci", execute,
        goal_callback=lambda goal: GoalResponse.ACCEPT if goal.order >= 0 else GoalResponse.REJECT,
        cancel_callback=lambda handle: CancelResponse.ACCEPT,
        callback_group=ReentrantCallbackGroup(),
    )
    print("ready")
    rclpy.spin(node, MultiThreadedExecutor(3))
"""


def complete(node: Node, spin_until: SpinUntil, future: Future) -> Any:
    spin_until(node, future.done)
    return future.result()


@pytest.fixture
def client(node: Node, start_peer: Callable[..., Any]) -> ActionClient:
    server = start_peer(SERVER)
    server.wait_for("ready")
    client = ActionClient(node, Fibonacci, "fibonacci")
    assert client.wait_for_server(20.0)
    client.peer = server  # for tests of its end
    return client


def test_a_goal_is_reached(client: ActionClient, node: Node, spin_until: SpinUntil) -> None:
    heard: list[list[int]] = []
    sent = client.send_goal_async(
        Fibonacci.Goal(order=6), feedback_callback=lambda m: heard.append(list(m.feedback.sequence))
    )
    handle = complete(node, spin_until, sent)
    assert handle.accepted
    assert handle.stamp.sec > 0
    result = complete(node, spin_until, handle.get_result_async())
    assert result.status == GoalStatus.STATUS_SUCCEEDED
    assert list(result.result.sequence) == [0, 1, 1, 2, 3, 5, 8]
    assert heard[0] == [0, 1, 1]
    spin_until(node, lambda: handle.status == GoalStatus.STATUS_SUCCEEDED)
    # Results are kept: who asks later gets the same answer.
    again = complete(node, spin_until, handle.get_result_async())
    assert again == result


def test_a_goal_is_rejected(client: ActionClient, node: Node, spin_until: SpinUntil) -> None:
    handle = complete(node, spin_until, client.send_goal_async(Fibonacci.Goal(order=-1)))
    assert not handle.accepted


def test_a_goal_is_cancelled(client: ActionClient, node: Node, spin_until: SpinUntil) -> None:
    heard: list[Any] = []
    sent = client.send_goal_async(Fibonacci.Goal(order=1000), feedback_callback=heard.append)
    handle = complete(node, spin_until, sent)
    spin_until(node, lambda: len(heard) >= 2)
    response = complete(node, spin_until, handle.cancel_goal_async())
    assert [bytes(info.goal_id.uuid) for info in response.goals_canceling] == [
        bytes(handle.goal_id.uuid)
    ]
    result = complete(node, spin_until, handle.get_result_async())
    assert result.status == GoalStatus.STATUS_CANCELED
    refused = complete(node, spin_until, handle.cancel_goal_async())
    assert refused.return_code == CancelGoal.Response.ERROR_GOAL_TERMINATED


@pytest.mark.parametrize("order", [3, 4])
def test_a_goal_whose_callback_fails_is_aborted(
    client: ActionClient, node: Node, spin_until: SpinUntil, order: int
) -> None:
    handle = complete(node, spin_until, client.send_goal_async(Fibonacci.Goal(order=order)))
    result = complete(node, spin_until, handle.get_result_async())
    assert result.status == GoalStatus.STATUS_ABORTED
    client.peer.wait_for("three is not to be had" if order == 3 else "assuming aborted")


def test_the_graph_knows_the_action(client: ActionClient, node: Node) -> None:
    assert get_action_names_and_types(node) == [
        ("/fibonacci", ["example_interfaces/action/Fibonacci"])
    ]
    (status,) = node.get_publishers_info_by_topic("/fibonacci/_action/status")
    assert status.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL


def test_a_killed_server_is_not_waited_for(client: ActionClient, node: Node) -> None:
    client.peer.process.kill()
    limit = time.monotonic() + 20.0
    while client.server_is_ready():
        assert time.monotonic() < limit
        time.sleep(0.05)
    assert not client.wait_for_server(0.1)


def test_wrong_types_are_refused(node: Node) -> None:
    client = ActionClient(node, Fibonacci, "fibonacci")
    with pytest.raises(TypeError):
        client.send_goal_async(Fibonacci.Result())
    with pytest.raises(TypeError):
        client.cancel_goal_async("a goal")
    with pytest.raises(TypeError, match="not callable"):
        ActionServer(node, Fibonacci, "fibonacci", "a callback")
    client.destroy()
    assert not list(node.clients)


def test_coroutines_serve_on_one_thread(node: Node, spin_until: SpinUntil) -> None:
    """All callbacks may wait for each other, though one thread runs them all."""
    go_on = Future()

    async def execute(handle: Any) -> Any:
        await go_on
        handle.succeed()
        return Fibonacci.Result(sequence=[handle.request.order])

    async def decide(goal: Any) -> GoalResponse:
        return GoalResponse.ACCEPT

    async def refuse(handle: Any) -> CancelResponse:
        return CancelResponse.REJECT

    server = ActionServer(
        node, Fibonacci, "alone", execute, goal_callback=decide, cancel_callback=refuse
    )
    client = ActionClient(node, Fibonacci, "alone")
    assert client.wait_for_server(20.0)
    handle = complete(node, spin_until, client.send_goal_async(Fibonacci.Goal(order=7)))
    refused = complete(node, spin_until, handle.cancel_goal_async())
    assert len(refused.goals_canceling) == 0
    go_on.set_result(None)
    result = complete(node, spin_until, handle.get_result_async())
    assert list(result.result.sequence) == [7]
    client.destroy()
    server.destroy()


def test_acceptance_is_heard_before_feedback(node: Node, spin_until: SpinUntil) -> None:
    """The server tells of its progress at once, so feedback and acceptance come together."""
    told: list[str] = []

    def execute(handle: Any) -> Any:
        handle.publish_feedback(Fibonacci.Feedback(sequence=[1]))
        handle.succeed()
        return Fibonacci.Result()

    server = ActionServer(node, Fibonacci, "eager", execute)
    client = ActionClient(node, Fibonacci, "eager")
    assert client.wait_for_server(20.0)
    for _ in range(5):
        sent = client.send_goal_async(
            Fibonacci.Goal(order=1), feedback_callback=lambda _: told.append("feedback")
        )
        spin_until(node, sent.done)
        told.append("accepted")
        spin_until(node, lambda: told[-1] == "feedback")
    assert told == ["accepted", "feedback"] * 5
    client.destroy()
    server.destroy()


def test_who_waits_for_a_result_holds_nobody_up(node: Node, spin_until: SpinUntil) -> None:
    """All of this is in one mutually exclusive group, the node's own."""
    ticks: list[None] = []
    handles: list[Any] = []

    def give_up(handle: Any) -> Any:
        handle.canceled()
        return Fibonacci.Result()

    server = ActionServer(
        node,
        Fibonacci,
        "patient",
        lambda handle: Fibonacci.Result(),
        handle_accepted_callback=handles.append,
        cancel_callback=lambda handle: CancelResponse.ACCEPT,
    )
    client = ActionClient(node, Fibonacci, "patient")
    assert client.wait_for_server(20.0)
    handle = complete(node, spin_until, client.send_goal_async(Fibonacci.Goal(order=7)))
    result = handle.get_result_async()
    spin_until(node, lambda: handles)
    for _ in range(5):
        rclpy.spin_once(node, timeout_sec=0.05)
    node.create_timer(0.01, lambda: ticks.append(None))
    spin_until(node, lambda: len(ticks) >= 3)
    cancelled = complete(node, spin_until, handle.cancel_goal_async())
    assert len(cancelled.goals_canceling) == 1
    handles[0].execute(give_up)
    assert complete(node, spin_until, result).status == GoalStatus.STATUS_CANCELED
    client.destroy()
    server.destroy()


@given(st.lists(st.sampled_from(GoalEvent), max_size=8))
def test_a_goal_that_is_done_stays_so(events: list[GoalEvent]) -> None:
    state = GoalState.ACCEPTED
    for event in events:
        try:
            following = after(state, event)
        except RCLError:
            continue
        assert state.is_active
        assert following is not state
        state = following


def test_what_clients_and_servers_consist_of(node: Node) -> None:
    client = ActionClient(node, Fibonacci, "count")
    server = ActionServer(node, Fibonacci, "count", lambda handle: Fibonacci.Result())
    assert client.get_num_entities() == NumberOfEntities(num_subscriptions=2, num_clients=3)
    assert server.get_num_entities() == NumberOfEntities(num_timers=1, num_services=3)


def test_results_are_forgotten_after_the_time_out(node: Node, spin_until: SpinUntil) -> None:
    def execute(handle: Any) -> Fibonacci.Result:
        handle.succeed()
        return Fibonacci.Result(sequence=[1])

    server = ActionServer(node, Fibonacci, "count", execute, result_timeout=0.5)
    client = ActionClient(node, Fibonacci, "count")
    assert client.wait_for_server(20.0)
    sent = client.send_goal_async(Fibonacci.Goal(order=1))
    spin_until(node, sent.done)
    kept = sent.result().get_result_async()
    spin_until(node, kept.done)
    assert kept.result().status == GoalStatus.STATUS_SUCCEEDED
    statuses: list[GoalStatusArray] = []
    node.create_subscription(
        GoalStatusArray,
        "count/_action/status",
        statuses.append,
        QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL),
    )
    spin_until(node, lambda: statuses)  # latched
    assert [item.status for item in statuses[-1].status_list] == [GoalStatus.STATUS_SUCCEEDED]

    def asked() -> int:
        future = sent.result().get_result_async()
        spin_until(node, future.done)
        return int(future.result().status)

    spin_until(node, lambda: asked() == GoalStatus.STATUS_UNKNOWN)
    server.destroy()
