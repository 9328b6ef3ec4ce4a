from __future__ import annotations

from collections.abc import Iterator

import pytest
import rclpy
from rclpy.context import Context

from edge_robot.errors import UserError


@pytest.fixture
def contexts() -> Iterator[list[Context]]:
    made: list[Context] = []
    yield made
    for context in made:
        context.try_shutdown()


def test_enforced_security_is_refused_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ROS_SECURITY_ENABLE", "true")
    monkeypatch.setenv("ROS_SECURITY_STRATEGY", "Enforce")
    context = Context()
    with pytest.raises(UserError, match="no DDS security"):
        rclpy.init(args=[], context=context)
    assert not context.ok()


def test_permitted_lack_of_security_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], contexts: list[Context]
) -> None:
    monkeypatch.setenv("ROS_SECURITY_ENABLE", "true")
    monkeypatch.setenv("ROS_SECURITY_STRATEGY", "enforce")  # rcl too takes that for Permissive
    for _ in range(2):
        contexts.append(Context())
        rclpy.init(args=[], context=contexts[-1])
    assert all(context.ok() for context in contexts)
    assert capfd.readouterr().err.count("no DDS security") == 1


def test_what_rcl_does_not_take_for_true_is_not(
    monkeypatch: pytest.MonkeyPatch, contexts: list[Context]
) -> None:
    monkeypatch.setenv("ROS_SECURITY_ENABLE", "TRUE")
    monkeypatch.setenv("ROS_SECURITY_STRATEGY", "Enforce")
    contexts.append(Context())
    rclpy.init(args=[], context=contexts[0])
