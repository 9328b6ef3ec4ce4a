"""Bytes that are no message kill no node of the control path."""

from __future__ import annotations

from functools import partial

import pytest
from rclpy.node import Node

from edge_robot import topics
from edge_robot.bench.campaign.drill import STACK
from edge_robot.introspection.interfaces import interface_class
from edge_robot.nodes.qos import contract_profile
from edge_robot.standalone.virtual import VirtualWorld

MALFORMED = (
    b"",
    b"\x00\x01\x00\x00",
    b"\x00\x01\x00\x00\x07",
    b"\xff" * 24,
    b"\x00\x01" + bytes(30),
)


class Vandal(Node):
    """Publishes what is no message on every topic."""

    def __init__(self) -> None:
        super().__init__("vandal")
        for topic in topics.TOPICS:
            kind, profile = interface_class(topic.type), contract_profile(topic)
            self.create_timer(
                0.1, partial(self._spoil, self.create_publisher(kind, topic.name, profile))
            )

    def _spoil(self, publisher: object) -> None:
        for data in MALFORMED:
            publisher.publish(data)  # type: ignore[attr-defined]


def test_malformed_samples_kill_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with VirtualWorld(seed=1) as world:
        for name, (make, _) in STACK.items():
            world.start(name, make)
        world.start("vandal", Vandal)
        world.run_for(0.25)
        died = {name: repr(one.error) for name, one in world.processes.items() if one.error}
        assert not died
    assert "dropped a malformed" in capfd.readouterr().err
