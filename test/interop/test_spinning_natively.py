"""Our executor under Jazzy does what rclpy's does, for less."""

from __future__ import annotations

from conftest import HERE, Runtime


def test_it_does_the_same_as_rclpy_for_less(stacks: dict[str, Runtime]) -> None:
    told, cost = stacks["ros2"].json(str(HERE / "spinning_node.py"), "ours")
    expected, expected_cost = stacks["ros2"].json(str(HERE / "spinning_node.py"), "rclpy")
    assert told == expected
    assert told == {
        "counted": 300,
        "barred meanwhile": 0,
        "answer": "slow and quick",
        "barred again": True,
        "barred guard": True,
        "from a thread": True,
        "events of two": 1,
        "timers of three": 1,
        "guards of two": 1,
        "ended by": "the end",
        "threads left": told["threads left"],
    }
    assert cost < 0.7 * expected_cost
