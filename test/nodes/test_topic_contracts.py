"""The topic table's contracts as rclpy profiles."""

from __future__ import annotations

import pytest
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from edge_robot import topics
from edge_robot.errors import UserError
from edge_robot.nodes.qos import SENSOR_RELIABILITY, qos_profile


def test_a_command_carries_its_whole_contract() -> None:
    profile = qos_profile(topics.CMD_VEL)
    assert profile.reliability is ReliabilityPolicy.RELIABLE
    assert profile.durability is DurabilityPolicy.VOLATILE
    assert profile.depth == 1
    assert profile.deadline.nanoseconds == 60_000_000
    assert profile.lifespan.nanoseconds == 100_000_000
    assert profile.liveliness_lease_duration.nanoseconds == 200_000_000


def test_the_mode_is_latched() -> None:
    assert qos_profile(topics.MODE).durability is DurabilityPolicy.TRANSIENT_LOCAL


def test_sensors_are_best_effort_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SENSOR_RELIABILITY, raising=False)
    assert qos_profile(topics.CAMERA_IMAGE).reliability is ReliabilityPolicy.BEST_EFFORT
    monkeypatch.setenv(SENSOR_RELIABILITY, "reliable")
    assert qos_profile(topics.CAMERA_IMAGE).reliability is ReliabilityPolicy.RELIABLE
    assert qos_profile(topics.SCAN).reliability is ReliabilityPolicy.BEST_EFFORT
    monkeypatch.setenv(SENSOR_RELIABILITY, "sometimes")
    with pytest.raises(UserError, match="sometimes"):
        qos_profile(topics.CAMERA_IMAGE)
