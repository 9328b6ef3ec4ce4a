from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.executors import (
    Executor,
    ExternalShutdownException,
    MultiThreadedExecutor,
    ShutdownException,
    SingleThreadedExecutor,
    TimeoutException,
)
from rclpy.guard_condition import GuardCondition
from rclpy.node import Node
from rclpy.task import Future
from rclpy.wait_for_message import wait_for_message
from rclpy.waitable import NumberOfEntities, Waitable
from std_msgs.msg import String
from std_srvs.srv import SetBool

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


def test_a_callback_that_awaits_keeps_its_group(node: Node, spin_until: SpinUntil) -> None:
    step = Future()
    order: list[str] = []

    async def slow() -> None:
        first.cancel()
        order.append("begin")
        await step
        order.append("end")

    def other() -> None:
        second.cancel()
        order.append("other")

    group = MutuallyExclusiveCallbackGroup()
    first = node.create_timer(0.0, slow, callback_group=group, clock=STEADY)
    spin_until(node, lambda: order)
    second = node.create_timer(0.0, other, callback_group=group, clock=STEADY)
    rclpy.spin_once(node, timeout_sec=0.1)
    assert order == ["begin"]
    step.set_result(None)
    spin_until(node, lambda: len(order) == 3)
    assert order == ["begin", "end", "other"]


class OwnExecutor(Executor):
    """An executor as ROS 2's documentation teaches to write one."""

    ran: list[str]

    def spin_once(self, timeout_sec: float | None = None) -> None:
        try:
            handler, entity, owner = self.wait_for_ready_callbacks(timeout_sec=timeout_sec)
        except (TimeoutException, ExternalShutdownException):
            return
        handler()
        assert owner is not None
        self.ran.append(f"{owner.get_name()} {type(entity).__name__}")


def test_an_executor_of_ones_own(node: Node) -> None:
    executor = OwnExecutor()
    executor.ran = []
    executor.add_node(node)
    executor.spin_once(timeout_sec=0.01)
    assert executor.ran == []
    timer = node.create_timer(0.0, lambda: timer.cancel(), clock=STEADY)
    executor.spin_once(timeout_sec=20.0)
    assert executor.ran == ["tested Timer"]
    executor.shutdown()
    with pytest.raises(ShutdownException):
        executor.wait_for_ready_callbacks(timeout_sec=0.0)


def test_shutdown_from_a_callback_and_while_another_runs(node: Node) -> None:
    executor = MultiThreadedExecutor(num_threads=2)
    executor.add_node(node)
    begun, leave = threading.Event(), threading.Event()

    def long() -> None:
        begun.set()
        assert leave.wait(20.0)

    executor.create_task(long)
    spinning = threading.Thread(target=executor.spin)
    spinning.start()
    assert begun.wait(20.0)
    assert not executor.shutdown(timeout_sec=0.05)
    leave.set()
    assert executor.shutdown(timeout_sec=20.0)
    spinning.join(20.0)
    assert not spinning.is_alive()

    single = SingleThreadedExecutor()
    single.create_task(single.shutdown)
    single.spin()
    assert single.get_nodes() == []


def test_nodes_come_and_go_in_callbacks(node: Node) -> None:
    with SingleThreadedExecutor() as executor:
        executor.add_node(node)
        visitor = rclpy.create_node("visitor")
        calls: list[int] = []
        gone = Future()

        def visit() -> None:
            calls.append(1)
            executor.remove_node(visitor)

        def come() -> None:
            arrival.cancel()
            executor.add_node(visitor)

        def leave() -> None:
            if calls:
                gone.set_result(None)

        visitor.create_timer(0.0, visit, clock=STEADY)
        arrival = node.create_timer(0.0, come, clock=STEADY)
        node.create_timer(0.05, leave, clock=STEADY)
        executor.spin_until_future_complete(gone, timeout_sec=20.0)
        assert calls == [1]
        assert visitor.executor is None
        visitor.destroy_node()


class Pair(Waitable):
    """Waits for a topic and a guard condition at once."""

    def __init__(self, node: Node) -> None:
        super().__init__(ReentrantCallbackGroup())
        self.seen: list[str] = []
        self.guard = GuardCondition(None, None)
        self.subscription = node.create_subscription(String, "s", self.receive, 1)
        node.remove_waitable(self.subscription)
        self.ready: list[str] = []

    def receive(self, message: Any) -> None:
        self.seen.append(message.data)

    def add_to_wait_set(self, wait_set: Any) -> None:
        self.indices = {
            "subscription": wait_set.add_subscription(self.subscription),
            "guard_condition": wait_set.add_guard_condition(self.guard),
        }

    def is_ready(self, wait_set: Any) -> bool:
        self.ready = [kind for kind, at in self.indices.items() if wait_set.is_ready(kind, at)]
        return bool(self.ready)

    def take_data(self) -> list[Any]:
        return [self.subscription.take() if kind == "subscription" else None for kind in self.ready]

    async def execute(self, taken_data: list[Any]) -> None:
        for run in taken_data:
            if run is None:
                self.seen.append("guard")
            else:
                run()

    def get_num_entities(self) -> NumberOfEntities:
        return NumberOfEntities(1, 1)


def test_waitables(node: Node, spin_until: SpinUntil) -> None:
    pair = Pair(node)
    node.add_waitable(pair)
    assert node.waitables == [pair]
    pair.guard.trigger()
    spin_until(node, lambda: pair.seen)
    node.create_publisher(String, "s", 1).publish(String(data="hello"))
    spin_until(node, lambda: len(pair.seen) == 2)
    assert pair.seen == ["guard", "hello"]
    node.remove_waitable(pair)
    pair.guard.trigger()
    rclpy.spin_once(node, timeout_sec=0.05)
    assert pair.seen == ["guard", "hello"]


def test_wait_for_message(node: Node) -> None:
    publisher = node.create_publisher(String, "s", 1)
    assert wait_for_message(String, node, "s", time_to_wait=0.05) == (False, None)
    timer = threading.Timer(0.1, publisher.publish, (String(data="now"),))
    timer.start()
    assert wait_for_message(String, node, "s", time_to_wait=20.0) == (True, String(data="now"))
    assert list(node.subscriptions) == []


def test_messages_come_before_answers(node: Node, spin_until: SpinUntil) -> None:
    order: list[str] = []
    publisher = node.create_publisher(String, "told", 10)

    def serve(request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        publisher.publish(String(data="before the answer"))
        return response

    node.create_service(SetBool, "serve", serve)
    client = node.create_client(SetBool, "serve")
    node.create_subscription(String, "told", lambda message: order.append("message"), 10)
    assert client.wait_for_service(20.0)
    client.call_async(SetBool.Request()).add_done_callback(lambda _: order.append("answer"))
    spin_until(node, lambda: len(order) == 2)
    assert order == ["message", "answer"]


@pytest.mark.parametrize("executor_class", [SingleThreadedExecutor, MultiThreadedExecutor])
def test_a_wake_up_before_the_first_wait_is_not_lost(ros: None, executor_class: Any) -> None:
    for _ in range(50):
        with executor_class() as executor:
            future = Future()
            spinning = threading.Thread(
                target=executor.spin_once_until_future_complete, args=(future, 20.0)
            )
            spinning.start()
            future.set_result(None)
            spinning.join(10.0)
            assert not spinning.is_alive()


def test_a_busy_group_never_loses_who_waits_for_it(node: Node) -> None:
    group = MutuallyExclusiveCallbackGroup()
    calls = [0] * 4
    done = Future()

    def count(number: int) -> None:
        calls[number] += 1
        if min(calls) >= 300 and not done.done():
            done.set_result(None)

    for number in range(len(calls)):
        node.create_timer(0.0, partial(count, number), callback_group=group, clock=STEADY)
    with MultiThreadedExecutor(num_threads=4) as executor:
        executor.add_node(node)
        executor.spin_until_future_complete(done, timeout_sec=20.0)
    assert done.done(), calls


def test_the_unhurried_wait_for_what_wakes_their_node_and_come_before_it(node: Node) -> None:
    heard: list[str] = []

    def hear(message: String) -> None:
        heard.append(message.data)

    node.create_subscription(String, "hurried", hear, 10)
    node.create_subscription(String, "unhurried", hear, 10).unhurried = True
    hurried = node.create_publisher(String, "hurried", 10)
    unhurried = node.create_publisher(String, "unhurried", 10)
    with SingleThreadedExecutor() as executor:
        executor.add_node(node)
        deadline = time.monotonic() + 10.0
        while not (hurried.get_subscription_count() and unhurried.get_subscription_count()):
            assert time.monotonic() < deadline
            executor.spin_once(timeout_sec=0.01)
        spinning = threading.Thread(target=spin_until_shutdown, args=(executor,))
        spinning.start()
        for _ in range(10):  # until no news of endpoints wakes the node any more
            heard.clear()
            for data in ("one", "two", "three"):
                unhurried.publish(String(data=data))
            time.sleep(0.2)
            if not heard:
                break
        assert heard == []
        hurried.publish(String(data="go"))
        while len(heard) < 4:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert heard == ["one", "two", "three", "go"]
        executor.shutdown()
        spinning.join()


def test_an_error_loses_none_of_the_unhurried(node: Node) -> None:
    heard: list[str] = []

    def hear(message: String) -> None:
        heard.append(message.data)
        if message.data == "one":
            raise ValueError("of this one")

    subscription = node.create_subscription(String, "unhurried", hear, 10)
    subscription.unhurried = True
    publisher = node.create_publisher(String, "unhurried", 10)
    deadline = time.monotonic() + 5.0
    while not publisher.get_subscription_count():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for data in ("one", "two", "three"):
        publisher.publish(String(data=data))
    node.create_timer(0.01, lambda: None)
    with SingleThreadedExecutor() as executor:
        executor.add_node(node)
        with pytest.raises(ValueError, match="of this one"):
            while True:
                executor.spin_once(timeout_sec=1.0)
        deadline = time.monotonic() + 5.0
        while len(heard) < 3 and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.1)
    assert heard == ["one", "two", "three"]


def test_a_coroutine_function_cannot_be_unhurried(node: Node) -> None:
    async def hear(_: String) -> None: ...

    with pytest.raises(TypeError, match="coroutine"):
        node.create_subscription(String, "unhurried", hear, 10).unhurried = True


def spin_until_shutdown(executor: Executor) -> None:
    with contextlib.suppress(ExternalShutdownException):
        executor.spin()
