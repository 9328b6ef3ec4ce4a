"""The topic table's contracts as rclpy profiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import rclpy
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from edge_robot import topics
from edge_robot.errors import UserError
from edge_robot.nodes import steady
from edge_robot.nodes.collision_monitor import CollisionMonitor
from edge_robot.nodes.command_mux import CommandMux
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.mode_manager import ModeManager
from edge_robot.nodes.qos import SENSOR_RELIABILITY, contract_profile, qos_profile


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


@pytest.fixture
def go_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Give a function that sets the pace of the world."""

    def set_pace(pace: str) -> None:
        monkeypatch.setenv(steady.PACE, pace)
        steady.pace.cache_clear()

    yield set_pace
    monkeypatch.undo()
    steady.pace.cache_clear()


def test_in_a_slower_world_robot_and_middleware_wait_longer(go_at: Callable[[str], None]) -> None:
    real = steady.steady_seconds()
    go_at("0.5")
    assert steady.steady_seconds() == pytest.approx(0.5 * real, rel=0.01)
    profile = contract_profile(topics.CMD_VEL)
    assert profile.deadline.nanoseconds == 120_000_000
    assert profile.lifespan.nanoseconds == 200_000_000
    assert profile.liveliness_lease_duration.nanoseconds == 400_000_000


@pytest.mark.parametrize("pace", ["0", "2", "slowly", "nan"])
def test_a_pace_that_is_none_is_refused(pace: str, go_at: Callable[[str], None]) -> None:
    go_at(pace)
    with pytest.raises(UserError, match=f"is '{pace}'"):
        steady.steady_seconds()


@pytest.mark.parametrize("make_node", [ModeManager, CommandMux, CollisionMonitor])
def test_a_robot_in_a_real_world_is_not_slowed(
    make_node: Callable[[], ManagedNode], go_at: Callable[[str], None]
) -> None:
    go_at("0.5")
    rclpy.init()
    try:
        node = make_node()
        with pytest.raises(UserError, match="use_sim_time"):
            node.configure()
        node.destroy_node()
    finally:
        rclpy.shutdown()
