"""What moves and judges in Gazebo, without Gazebo: commands, odometry, people, touches."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest

from edge_robot.sim import egl
from edge_robot.sim.crowd import RADIUS, Crowd
from edge_robot.sim.gazebo.base import CommandHold, DeadReckoning
from edge_robot.sim.gazebo.pace import cores_granted, suited, suited_here
from edge_robot.sim.gazebo.referee import TOUCH, Referee
from edge_robot.sim.gazebo.steering import steering
from edge_robot.sim.layout import Pose2
from edge_robot.sim.robot import CHASSIS_LENGTH, COMMAND_TIMEOUT, TRACK, WHEEL_WIDTH
from edge_robot.sim.scenario import Scenario

NOBODY = np.zeros((0, 2))


def test_a_command_holds_until_the_base_times_out() -> None:
    hold = CommandHold()
    assert hold.timed_out(0.0)
    hold.command(0.5, -0.2, now=1.0)
    assert hold.velocity(1.0 + COMMAND_TIMEOUT - 0.01) == (0.5, -0.2)
    assert hold.velocity(1.0 + COMMAND_TIMEOUT) == (0.0, 0.0)
    assert hold.timed_out(1.0 + COMMAND_TIMEOUT)


def test_odometry_goes_as_far_as_the_wheels_and_turns_as_the_gyro() -> None:
    """Wheels that slip tell a wrong heading: a quarter circle of 1 m radius is one all the same."""
    reckoning = DeadReckoning(Pose2(3.0, 2.0, 0.0))
    rate, speed, duration = 0.5, 0.5, math.pi
    odometry = None
    for tick in range(round(duration / 0.02) + 1):
        time = 0.02 * tick
        reckoning.turn(time, rate)
        reckoning.turn(time + 0.01, rate)
        slipping = 0.8 * rate * time
        wheels = Pose2(
            speed / (0.8 * rate) * math.sin(slipping),
            speed / (0.8 * rate) * (1 - math.cos(slipping)),
            slipping,
        )
        odometry = reckoning.roll(time, wheels)
    assert odometry is not None
    assert (odometry.pose.x, odometry.pose.y) == pytest.approx((4.0, 3.0), abs=0.01)
    assert odometry.pose.yaw == pytest.approx(math.pi / 2, abs=0.01)
    assert odometry.distance == pytest.approx(speed * duration, rel=0.01)
    assert odometry.speed == pytest.approx(speed, rel=0.01)
    assert odometry.yaw_rate == pytest.approx(rate)


def test_reversing_counts_backward() -> None:
    reckoning = DeadReckoning(Pose2(0.0, 0.0, 0.0))
    for tick in range(3):
        reckoning.turn(0.02 * tick, 0.0)
        odometry = reckoning.roll(0.02 * tick, Pose2(-0.01 * tick, 0.0, 0.0))
    assert odometry is not None
    assert odometry.speed == pytest.approx(-0.5)
    assert odometry.pose.x == pytest.approx(-0.02)
    assert odometry.distance == pytest.approx(0.02)


def test_a_silent_gyro_gives_no_odometry_rather_than_a_straight_one() -> None:
    reckoning = DeadReckoning(Pose2(0.0, 0.0, 0.0))
    reckoning.turn(0.0, 0.1)
    assert reckoning.roll(0.05, Pose2(0.01, 0.0, 0.0)) is not None
    assert reckoning.roll(0.15, Pose2(0.02, 0.0, 0.0)) is None


def test_people_are_steered_to_where_the_crowd_has_them(warehouse: Scenario) -> None:
    """Put aside and turned away, and told only every 50 ms, everybody is back within seconds."""
    crowd = Crowd(warehouse)
    place = crowd.place + np.array([0.3, -0.2, 1.0])
    for tick in range(400):
        crowd.step(0.02, None)
        if tick % 3 == 0:
            forward, leftward, turning = steering(crowd, place).T
        cos, sin = np.cos(place[:, 2]), np.sin(place[:, 2])
        place[:, 0] += 0.02 * (forward * cos - leftward * sin)
        place[:, 1] += 0.02 * (forward * sin + leftward * cos)
        place[:, 2] += 0.02 * turning
    assert np.hypot(*(place[:, :2] - crowd.position).T).max() < 0.1
    assert np.hypot(forward, leftward).max() < 2.0


def test_the_referee_counts_each_touch_once(warehouse: Scenario) -> None:
    referee = Referee(warehouse)
    free = Pose2(CHASSIS_LENGTH / 2 + TOUCH + 0.002, 8.0, 0.0)
    touching = Pose2(CHASSIS_LENGTH / 2 + TOUCH - 0.002, 8.0, 0.0)
    people = np.full((len(warehouse.people), 2), np.nan)
    for tick in range(10):
        referee.watch(0.02 * tick, free, people)
    assert referee.collided_with == []
    for tick in range(10, 20):
        referee.watch(0.02 * tick, touching, people)
    assert referee.collided_with == ["wall_west"]
    referee.watch(5.0, touching, people)
    assert referee.collided_with == ["wall_west", "wall_west"]


def test_the_wheels_reach_further_than_the_chassis(warehouse: Scenario) -> None:
    referee = Referee(warehouse)
    referee.watch(0.0, Pose2(15.0, (TRACK + WHEEL_WIDTH) / 2 + TOUCH / 2, 0.0), NOBODY)
    assert referee.collided_with == ["wall_south"]


def test_a_corner_into_the_robots_side_is_a_touch(warehouse: Scenario) -> None:
    """The robot's own corners are all far from the thing: the thing's corner is not."""
    thing = warehouse.items[0].footprint
    corner = thing.polygon()[0]
    out = math.atan2(corner[1] - thing.y, corner[0] - thing.x)
    away = CHASSIS_LENGTH / 2 + TOUCH / 2
    robot = Pose2(corner[0] + away * math.cos(out), corner[1] + away * math.sin(out), out)
    referee = Referee(warehouse)
    referee.watch(0.0, robot, NOBODY)
    assert thing.name in referee.collided_with


def test_a_person_is_a_disc(warehouse: Scenario) -> None:
    robot = Pose2(15.0, 8.0, math.pi / 4)
    people = np.full((len(warehouse.people), 2), np.nan)
    for gap, touched in ((TOUCH + 0.01, []), (TOUCH - 0.001, [warehouse.people[1].name])):
        referee = Referee(warehouse)
        reach = CHASSIS_LENGTH / 2 + RADIUS + gap
        people[1] = (15.0 + reach * math.sqrt(0.5), 8.0 + reach * math.sqrt(0.5))
        referee.watch(0.0, robot, people)
        standing = [name for name in referee.collided_with if name.startswith("person")]
        assert standing == touched


def test_a_gpu_keeps_real_time_and_cores_as_much_as_they_are() -> None:
    assert suited(cores=2, gpu=True).pace == 1.0
    paces = [suited(cores, gpu=False).pace for cores in (0.05, 1, 2, 4, 64)]
    assert paces == sorted(paces)
    assert (paces[0], paces[2], paces[-1]) == (0.01, 0.2, 1.0)


@pytest.mark.parametrize(
    ("draw", "slower"), [([], True), ([True], True), ([True, False], True), ([False, True], False)]
)
@pytest.mark.parametrize("works", [True, False])
def test_gazebo_draws_with_the_first_device_if_it_works(
    draw: list[bool], slower: bool, works: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = [egl.Device(None, 0, is_software) for is_software in draw]
    monkeypatch.setattr(egl, "devices", lambda: devices)
    monkeypatch.setattr(egl.Device, "works", lambda _: works)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert (suited_here().pace < 1.0) == (slower or not works)


def test_a_container_has_the_cores_it_is_granted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    quota = tmp_path / "cpu.max"
    assert cores_granted(quota) == 8
    for text, cores in (("max 100000", 8), ("150000 100000", 1.5), ("1600000 100000", 8)):
        quota.write_text(f"{text}\n")
        assert cores_granted(quota) == cores
