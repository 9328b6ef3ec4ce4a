from __future__ import annotations

import time

import pytest
from builtin_interfaces.msg import Duration as DurationMsg
from builtin_interfaces.msg import Time as TimeMsg
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.clock import Clock, ClockType, JumpThreshold, ROSClock
from rclpy.duration import Duration
from rclpy.time import Time


@settings(deadline=None)
@given(st.integers(0, (2**31 - 1) * 10**9))
def test_times_survive_the_wire(nanoseconds: int) -> None:
    time_ = Time(nanoseconds=nanoseconds, clock_type=ClockType.ROS_TIME)
    assert Time.from_msg(time_.to_msg()) == time_
    assert time_.seconds_nanoseconds() == divmod(nanoseconds, 10**9)


@settings(deadline=None)
@given(st.integers(-(2**31) * 10**9, (2**31 - 1) * 10**9))
def test_durations_survive_the_wire(nanoseconds: int) -> None:
    duration = Duration(nanoseconds=nanoseconds)
    assert Duration.from_msg(duration.to_msg()) == duration


def test_negative_durations_have_positive_nanoseconds() -> None:
    assert Duration(seconds=-0.5).to_msg() == DurationMsg(sec=-1, nanosec=500_000_000)


def test_arithmetic() -> None:
    start = Time(seconds=10)
    later = start + Duration(seconds=1.5)
    assert later - start == Duration(seconds=1.5)
    assert later - Duration(seconds=1.5) == start
    assert start < later
    assert Duration(seconds=2) > Duration(seconds=1)
    assert Time.from_msg(TimeMsg(sec=1, nanosec=5)).nanoseconds == 1_000_000_005


def test_clock_types_do_not_mix() -> None:
    system, ros = Time(seconds=1), Time(seconds=1, clock_type=ClockType.ROS_TIME)
    with pytest.raises(TypeError):
        _ = system - ros
    with pytest.raises(TypeError):
        _ = system < ros
    with pytest.raises(TypeError):
        _ = system == ros


def test_impossible_times_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        Time(seconds=-1)
    with pytest.raises(OverflowError):
        Time(nanoseconds=2**63)
    with pytest.raises(OverflowError):
        Duration(nanoseconds=2**63)


def test_clocks_tell_their_time() -> None:
    system, steady = Clock(), Clock(clock_type=ClockType.STEADY_TIME)
    assert abs(system.now().nanoseconds - time.time_ns()) < 10**9
    assert abs(steady.now().nanoseconds - time.monotonic_ns()) < 10**9
    assert isinstance(Clock(clock_type=ClockType.ROS_TIME), ROSClock)


def test_ros_time_can_be_told() -> None:
    clock = ROSClock()
    jumps: list[tuple[str, int]] = []
    threshold = JumpThreshold(Duration(seconds=5), Duration(seconds=-1))
    clock.set_ros_time_override(Time(seconds=100, clock_type=ClockType.ROS_TIME))
    assert abs(clock.now().nanoseconds - time.time_ns()) < 10**9
    clock._set_ros_time_is_active(True)
    assert clock.now().nanoseconds == 100 * 10**9
    with clock.create_jump_callback(
        threshold,
        post_callback=lambda jump: jumps.append((jump.clock_change.name, jump.delta.nanoseconds)),
    ):
        for seconds in (101, 107, 106, 100):
            clock.set_ros_time_override(Time(seconds=seconds, clock_type=ClockType.ROS_TIME))
        clock._set_ros_time_is_active(False)
    change = "ROS_TIME_NO_CHANGE"
    assert jumps[:-1] == [(change, 6 * 10**9), (change, -(10**9)), (change, -6 * 10**9)]
    assert jumps[-1][0] == "ROS_TIME_DEACTIVATED"
