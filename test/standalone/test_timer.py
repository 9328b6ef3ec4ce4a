from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import rclpy
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType, JumpThreshold, ROSClock
from rclpy.constants import S_TO_NS
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor, TimeoutException
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.time import Time
from rclpy.time_source import CLOCK_TOPIC, TimeSource
from rclpy.timer import Timer, TimerInfo
from rosgraph_msgs.msg import Clock as ClockMsg

SpinUntil = Callable[[Node, Callable[[], Any]], None]
STEADY = Clock(clock_type=ClockType.STEADY_TIME)


def test_the_period_is_kept(node: Node, spin_until: SpinUntil) -> None:
    calls: list[float] = []
    node.create_timer(0.02, lambda: calls.append(time.monotonic()), clock=STEADY)
    start = time.monotonic()
    spin_until(node, lambda: len(calls) == 20)
    assert calls[0] - start >= 0.019
    # Late calls do not shift later ones: no drift, however busy the machine.
    assert calls[-1] - start >= 20 * 0.02 - 0.001


def test_missed_periods_are_left_out(node: Node) -> None:
    calls: list[int] = []
    timer = node.create_timer(0.01, lambda: calls.append(1), clock=STEADY)
    time.sleep(0.1)
    rclpy.spin_once(node, timeout_sec=0.0)
    assert len(calls) == 1
    remaining = timer.time_until_next_call()
    assert remaining is not None
    assert remaining <= 10_000_000


def test_cancel_reset_and_period(node: Node, spin_until: SpinUntil) -> None:
    calls: list[int] = []
    timer = node.create_timer(0.01, lambda: calls.append(1), clock=STEADY)
    timer.cancel()
    rclpy.spin_once(node, timeout_sec=0.05)
    assert calls == []
    assert timer.is_canceled()
    assert timer.time_until_next_call() is None
    timer.timer_period_ns = 1_000_000
    timer.reset()
    spin_until(node, lambda: calls)
    assert node.destroy_timer(timer)


def test_a_callback_may_ask_when_it_was_due(node: Node, spin_until: SpinUntil) -> None:
    infos: list[TimerInfo] = []
    node.create_timer(0.01, infos.append, clock=STEADY)
    spin_until(node, lambda: infos)
    assert infos[0].expected_call_time <= infos[0].actual_call_time


def test_simulated_time_drives_clock_and_timers(ros: None, spin_until: SpinUntil) -> None:
    node = Node("simulated", parameter_overrides=[Parameter("use_sim_time", value=True)])
    publisher = node.create_publisher(ClockMsg, "/clock", 1)
    calls: list[int] = []
    node.create_timer(1.0, lambda: calls.append(node.get_clock().now().nanoseconds))
    assert node.get_clock().now().nanoseconds == 0

    def tell(seconds: float) -> None:
        stamp = Time(seconds=seconds).to_msg()
        publisher.publish(ClockMsg(clock=stamp))
        spin_until(node, lambda: node.get_clock().now().to_msg() == stamp)

    tell(0.9)
    rclpy.spin_once(node, timeout_sec=0.05)
    assert calls == []
    tell(1.25)
    spin_until(node, lambda: calls)
    tell(2.0)
    spin_until(node, lambda: len(calls) == 2)
    assert calls == [1_250_000_000, 2_000_000_000]
    node.set_parameters([Parameter("use_sim_time", value=False)])
    assert abs(node.get_clock().now().nanoseconds - time.time_ns()) < 10**9


def test_simulated_time_wakes_only_who_waits_for_it(ros: None) -> None:
    node = Node("simulated", parameter_overrides=[Parameter("use_sim_time", value=True)])
    publisher = node.create_publisher(ClockMsg, "/clock", 1)
    executor, clock, jumps = SingleThreadedExecutor(), node.get_clock(), list[Duration]()
    executor.add_node(node)

    def is_woken() -> bool:
        try:
            executor.wait_for_ready_callbacks(timeout_sec=0.1)[0]()
        except TimeoutException:
            return False
        return True

    while is_woken():
        pass
    publisher.publish(ClockMsg(clock=Time(seconds=1).to_msg()))
    assert not is_woken()
    assert clock.now().nanoseconds == 10**9
    forward = JumpThreshold(Duration(nanoseconds=1), None)
    clock.create_jump_callback(forward, post_callback=lambda jump: jumps.append(jump.delta))
    publisher.publish(ClockMsg(clock=Time(seconds=2).to_msg()))
    assert is_woken()
    assert jumps == [Duration(seconds=1)]
    executor.shutdown()


def test_sleeping_follows_simulated_time(ros: None) -> None:
    clock = ROSClock()
    clock._set_ros_time_is_active(True)
    woken = threading.Event()

    def sleep() -> None:
        if clock.sleep_until(Time(seconds=5, clock_type=ClockType.ROS_TIME)):
            woken.set()

    thread = threading.Thread(target=sleep)
    thread.start()
    for seconds in (1, 4):
        clock.set_ros_time_override(Time(seconds=seconds, clock_type=ClockType.ROS_TIME))
    assert not woken.wait(0.05)
    clock.set_ros_time_override(Time(seconds=5, clock_type=ClockType.ROS_TIME))
    assert woken.wait(20.0)
    thread.join()


def test_sleeping_by_the_machines_clocks(ros: None) -> None:
    start = time.monotonic()
    assert STEADY.sleep_until(
        Time(nanoseconds=time.monotonic_ns() + 30_000_000, clock_type=ClockType.STEADY_TIME)
    )
    assert time.monotonic() - start >= 0.03


def test_a_rate_paces_a_loop_in_another_thread(node: Node, spin_until: SpinUntil) -> None:
    rate = node.create_rate(100.0, clock=STEADY)
    rounds: list[float] = []

    def loop() -> None:
        while len(rounds) < 5:
            rate.sleep()
            rounds.append(time.monotonic())

    thread = threading.Thread(target=loop)
    thread.start()
    spin_until(node, lambda: len(rounds) == 5)
    thread.join()
    assert rounds[-1] - rounds[0] >= 0.03
    assert node.destroy_rate(rate)
    with pytest.raises(RuntimeError, match="destroyed"):
        rate.sleep()


def test_time_set_back_begins_a_new_period() -> None:
    clock = ROSClock()
    clock._set_ros_time_is_active(True)
    clock.set_ros_time_override(Time(seconds=100))
    timer = Timer(lambda: None, ReentrantCallbackGroup(), S_TO_NS, clock)
    clock.set_ros_time_override(Time(seconds=3))
    assert timer.time_until_next_call() == S_TO_NS
    assert not timer.is_ready()
    clock.set_ros_time_override(Time(seconds=4))
    assert timer.is_ready()


def test_a_new_period_counts_from_the_next_call_on() -> None:
    clock = ROSClock()
    clock._set_ros_time_is_active(True)
    timer = Timer(lambda: None, ReentrantCallbackGroup(), S_TO_NS, clock)
    timer.timer_period_ns = 10 * S_TO_NS
    assert timer.time_until_next_call() == S_TO_NS
    timer.reset()
    assert timer.time_until_next_call() == 10 * S_TO_NS
    timer.cancel()
    assert timer.time_until_next_call() is None


def test_a_time_source_drives_the_clocks_attached(node: Node, spin_until: SpinUntil) -> None:
    source = TimeSource(node=node)
    first, second = ROSClock(), ROSClock()
    source.attach_clock(first)
    with pytest.raises(ValueError, match="ROS_TIME"):
        source.attach_clock(STEADY)
    node.set_parameters([Parameter("use_sim_time", value=True)])
    assert source.ros_time_is_active
    assert first.now().nanoseconds == 0
    publisher = node.create_publisher(ClockMsg, CLOCK_TOPIC, 1)
    publisher.publish(ClockMsg(clock=Time(seconds=7).to_msg()))
    spin_until(node, lambda: first.now().nanoseconds)
    source.attach_clock(second)
    assert second.now() == first.now() == Time(seconds=7, clock_type=ClockType.ROS_TIME)
    source.detach_node()
    node.set_parameters([Parameter("use_sim_time", value=False)])
    assert first.ros_time_is_active
    with pytest.raises(RuntimeError, match="no node"):
        source.detach_node()


@pytest.mark.parametrize("limits", [(0, -1), (-1, -1), (1, 0), (1, 1), (None, None)])
def test_jump_thresholds_that_make_no_sense(limits: tuple[int | None, int | None]) -> None:
    forward, backward = (None if ns is None else Duration(nanoseconds=ns) for ns in limits)
    with pytest.raises(ValueError, match=r"min_forward|min_backward|enabled"):
        JumpThreshold(forward, backward, on_clock_change=False)
