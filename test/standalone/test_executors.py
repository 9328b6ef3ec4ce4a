from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.executors import (
    ExternalShutdownException,
    MultiThreadedExecutor,
    SingleThreadedExecutor,
)
from rclpy.node import Node
from rclpy.task import Future
from std_msgs.msg import String

SpinUntil = Callable[[Node, Callable[[], Any]], None]
STEADY = Clock(clock_type=ClockType.STEADY_TIME)


class BoomError(Exception):
    pass


def boom(*_: object) -> None:
    raise BoomError


@pytest.mark.parametrize("executor_class", [SingleThreadedExecutor, MultiThreadedExecutor])
def test_exceptions_of_callbacks_come_out_of_spin(node: Node, executor_class: Any) -> None:
    node.create_timer(0.01, boom, clock=STEADY)
    with executor_class() as executor:
        executor.add_node(node)
        with pytest.raises(BoomError):
            executor.spin()


def test_spin_once_runs_one_callback_or_times_out(node: Node) -> None:
    calls: list[int] = []
    start = time.monotonic()
    rclpy.spin_once(node, timeout_sec=0.05)
    assert time.monotonic() - start >= 0.05
    for number in range(2):
        node.create_timer(0.0, lambda number=number: calls.append(number), clock=STEADY)
    rclpy.spin_once(node, timeout_sec=1.0)
    assert len(calls) == 1


def test_timers_do_not_starve_subscriptions(node: Node, spin_until: SpinUntil) -> None:
    received: list[String] = []
    node.create_timer(0.0, lambda: None, clock=STEADY)
    node.create_subscription(String, "s", received.append, 1)
    node.create_publisher(String, "s", 1).publish(String())
    for _ in range(10):
        rclpy.spin_once(node, timeout_sec=1.0)
    assert received


def run_for_two_calls(node: Node, group: Any) -> int:
    """Return how many of two timers' callbacks ran at the same time at most."""
    running = 0
    most = 0
    lock = threading.Lock()
    both = threading.Barrier(2)
    done = Future()

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.3)
        with lock:
            running -= 1
        done.set_result(None)

    for _ in range(2):
        node.create_timer(0.01, work, callback_group=group, clock=STEADY)
    with MultiThreadedExecutor(num_threads=4) as executor:
        executor.add_node(node)
        executor.spin_until_future_complete(done, timeout_sec=20.0)
        assert done.done()
    return most


def test_groups_decide_what_runs_together(node: Node) -> None:
    assert run_for_two_calls(node, MutuallyExclusiveCallbackGroup()) == 1
    other = rclpy.create_node("other")
    assert run_for_two_calls(other, ReentrantCallbackGroup()) > 1


def test_waiting_for_a_busy_group_costs_no_processor(node: Node) -> None:
    group = MutuallyExclusiveCallbackGroup()
    received: list[String] = []
    started = Future()

    def slow() -> None:
        timer.cancel()
        publisher.publish(String())
        time.sleep(0.3)
        started.set_result(None)

    node.create_subscription(String, "s", received.append, 1, callback_group=group)
    publisher = node.create_publisher(String, "s", 1)
    timer = node.create_timer(0.0, slow, callback_group=group, clock=STEADY)
    with MultiThreadedExecutor(num_threads=4) as executor:
        executor.add_node(node)
        before = time.process_time()
        executor.spin_until_future_complete(started, timeout_sec=20.0)
        assert time.process_time() - before < 0.15
        deadline = time.monotonic() + 20.0
        while not received and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.1)
        executor.shutdown()
    assert received


def test_futures_and_tasks(node: Node) -> None:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    step = Future()

    async def two_steps() -> int:
        return await step + 1

    task = executor.create_task(two_steps)
    timer = threading.Timer(0.05, step.set_result, (41,))
    timer.start()
    executor.spin_until_future_complete(task, timeout_sec=20.0)
    assert task.result() == 42
    failing = executor.create_task(boom)
    with pytest.raises(BoomError):
        executor.spin_until_future_complete(failing, timeout_sec=20.0)
    with pytest.raises(BoomError):
        failing.result()
    cancelled = Future()
    cancelled.cancel()
    executor.spin_until_future_complete(cancelled, timeout_sec=20.0)
    assert cancelled.cancelled()


def test_guard_conditions_run_their_callback_once(node: Node, spin_until: SpinUntil) -> None:
    calls: list[int] = []
    guard = node.create_guard_condition(lambda: calls.append(1))
    threading.Timer(0.05, guard.trigger).start()
    spin_until(node, lambda: calls)
    rclpy.spin_once(node, timeout_sec=0.05)
    assert calls == [1]
    assert node.destroy_guard_condition(guard)


def test_shutdown_from_another_thread_ends_spin(node: Node) -> None:
    threading.Timer(0.1, rclpy.shutdown).start()
    with pytest.raises(ExternalShutdownException):
        rclpy.spin(node)


def test_what_is_created_while_spinning_is_served(node: Node, spin_until: SpinUntil) -> None:
    received: list[String] = []

    def create() -> None:
        timer.cancel()
        node.create_subscription(String, "s", received.append, 1)
        node.create_publisher(String, "s", 1).publish(String())

    timer = node.create_timer(0.0, create, clock=STEADY)
    spin_until(node, lambda: received)


def test_a_node_belongs_to_one_executor(node: Node) -> None:
    first, second = SingleThreadedExecutor(), SingleThreadedExecutor()
    assert first.add_node(node)
    assert not first.add_node(node)
    assert second.add_node(node)
    assert first.get_nodes() == []
    assert node.executor is second
