"""The fault campaign: repeats exactly, drives, and sees what it is there to see."""

from __future__ import annotations

import math

import pytest
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import LaserScan

from edge_robot.bench.campaign import drivers
from edge_robot.bench.campaign.arena import GOAL, Arena
from edge_robot.bench.campaign.drill import drill
from edge_robot.bench.campaign.schedule import (
    CORRUPTIONS,
    NODE_FAULTS,
    OTHERS,
    TRAFFIC_FAULTS,
    Fault,
    corrupted,
    draw,
)
from edge_robot.sim.flat.vehicle import STEP


def test_schedules_are_drawn_from_their_seed_and_hold_everything() -> None:
    schedules = [draw(seed) for seed in range(300)]
    assert schedules == [draw(seed) for seed in range(300)]
    kinds = {fault.kind for schedule in schedules for fault in schedule}
    assert kinds == {*NODE_FAULTS, *TRAFFIC_FAULTS, *OTHERS}
    assert {fault.how for schedule in schedules for fault in schedule} == {"", *CORRUPTIONS}
    assert max(map(len, schedules)) > 1


@pytest.mark.parametrize("how", CORRUPTIONS)
def test_corruption_spoils_samples_that_can_still_be_read(how: str) -> None:
    scan = LaserScan(range_max=10.0, ranges=[1.0, 2.0, 3.0, 4.0])
    scan.header.frame_id, scan.header.stamp.sec = "scan_link", 100
    data = bytes(serialize_message(scan))
    spoilt = corrupted("/scan", data, how)
    assert spoilt != data
    if how == "garbage":
        return
    read = deserialize_message(spoilt, LaserScan)
    assert {
        "nan": all(map(math.isnan, read.ranges)),
        "huge": read.range_max > 1e20,
        "frame": read.header.frame_id == "nowhere",
        "stale": read.header.stamp.sec == 95,
        "future": read.header.stamp.sec == 105,
        "truncated": len(read.ranges) == 2,
    }[how]


def test_a_contact_counts_if_the_robot_moves() -> None:
    arena = Arena(1)
    arena.command, arena.holds_until = (1.0, 0.0), math.inf
    arena.motion.yaw = math.pi / 2
    while arena.time < 4.0 and not arena.collision:
        arena.step()
    assert "a post" in arena.collision

    arena = Arena(1)
    walker = arena.walkers[2]
    walker.ends, walker.target, walker.attention = ((0.0, 0.0), (GOAL[0], 0.0)), 0, -1.0
    walker.x, walker.y = 1.0, 0.0
    for _ in range(round(1.5 / STEP)):
        arena.step()
    assert not arena.collision
    assert arena.bumps == 1


def test_the_same_seed_repeats_and_the_referee_sees_a_base_that_stops_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lost = [Fault("kill", "collision_monitor", 2.0, math.inf)]
    first, second = (drill(4, lost, seconds=2.5) for _ in range(2))
    assert first.digest == second.digest
    assert first.violations == []
    assert first.distance > 0.2
    assert len(first.reactions["collision_monitor"]) == 1
    assert any("nominal" in mode for mode in first.modes)

    monkeypatch.setattr(drivers, "LIFESPAN", 1.0)
    late = drill(4, lost, seconds=2.5)
    assert ["no stop after loss of collision_monitor" in text for text in late.violations] == [True]
    assert late.digest != first.digest


def test_who_was_stopped_in_the_middle_of_a_run_may_send_an_old_command_on() -> None:
    halted = [Fault("stop", "collision_monitor", 2.5432, 2.7432)]
    assert drill(4, halted, seconds=2.8).violations == []


def test_where_zero_cannot_get_through_an_emergency_stop_takes_a_lifespan_and_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut_off = [
        Fault("stop", "collision_monitor", 4.52, 6.52),
        Fault("emergency stop", "", 4.53, 5.03),
    ]
    assert drill(20832, cut_off, seconds=5.0).violations == []
    monkeypatch.setattr(drivers, "LIFESPAN", 0.25)
    late = drill(20832, cut_off, seconds=5.0)
    assert any("emergency stop not obeyed" in text for text in late.violations)
