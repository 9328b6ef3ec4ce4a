"""One source under two runtimes, asked by one source under two runtimes: four times the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

SUBJECTS = ("graph", "topics", "services", "parameters", "actions", "lifecycle")
RUNTIMES = ("ros2", "standalone")


@pytest.fixture
def reference(answers_of: Callable[[str, str], dict[str, Any]]) -> dict[str, Any]:
    """Return what ROS 2 answers to ROS 2."""
    return answers_of("ros2", "ros2")


@pytest.fixture(scope="session")
def known() -> dict[tuple[str, str], dict[str, Any]]:
    return {}


@pytest.fixture
def answers_of(
    runtimes: dict[str, Any],
    start: Callable[..., Any],
    known: dict[tuple[str, str], dict[str, Any]],
) -> Callable[[str, str], dict[str, Any]]:
    """Give a function that returns what a node of one runtime answers to a client of another."""

    def ask(asked: str, asking: str) -> dict[str, Any]:
        pair = asked, asking
        if pair not in known:
            node = start(asked, "everything_node.py")
            known[pair] = runtimes[asking].json("questioner.py")
            node.kill()
            node.wait()
        return known[pair]

    return ask


@pytest.mark.timeout(600)
@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("asking", RUNTIMES)
@pytest.mark.parametrize("asked", RUNTIMES)
def test_the_answers_are_the_same(
    asked: str,
    asking: str,
    subject: str,
    reference: dict[str, Any],
    answers_of: Callable[[str, str], dict[str, Any]],
) -> None:
    wanted = reference[subject]
    assert isinstance(wanted, dict), wanted
    answered = answers_of(asked, asking)[subject]
    if subject == "parameters":
        # rclpy loses the name of the parameter on the way to this text; ours tells it.
        reasons = [
            each["not declared"]["results"][0].pop("reason", "") for each in (wanted, answered)
        ]
        assert all(
            reason.startswith("Invalid access to undeclared") for reason in reasons if reason
        )
    assert answered == wanted
