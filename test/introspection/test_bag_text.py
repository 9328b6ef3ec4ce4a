"""The description of a bag, against a text written down from rosbag2's rules."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from edge_robot.introspection.bag_text import bag_text, size_text


@dataclass
class Topic:
    name: str
    type: str
    count: int
    serialization: str = "cdr"


TEXT = """
Files:             a_0.mcap
                   a_1.mcap
Bag size:          1.5 KiB
Storage id:        mcap
ROS Distro:        jazzy
Duration:          61.000000005s
Start:             Jan  2 1970 00:00:01.500000000 (86401.500000000)
End:               Jan  2 1970 00:01:02.500000005 (86462.500000005)
Messages:          12
Topic information: Topic: /b | Type: std_msgs/msg/String | Count: 10 | Serialization Format: cdr
                   Topic: /a | Type: std_msgs/msg/Empty | Count: 2 | Serialization Format: cdr
Service:           1
Service information: Service: /s | Type: std_srvs/srv/Empty | Event Count: 4 | Serialization Format: cdr
"""  # noqa: E501


def test_description(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    topics = [
        Topic("/b", "std_msgs/msg/String", 10),
        Topic("/s/_service_event", "std_srvs/srv/Empty_Event", 4),
        Topic("/a", "std_msgs/msg/Empty", 2),
    ]
    facts = {"files": ["a_0.mcap", "a_1.mcap"], "size": 1536, "storage": "mcap"}
    start, duration = 86_401_500_000_000, 61_000_000_005
    assert bag_text(**facts, distro="jazzy", start=start, duration=duration, topics=topics) == TEXT
    empty = bag_text(**facts, distro="", start=0, duration=0, topics=[])
    assert empty.endswith("Topic information: \nService:           0\nService information: ")
    assert "ROS Distro:        unknown\nDuration:          0.000000000s\n" in empty


def test_sizes_are_in_the_greatest_unit_they_fill() -> None:
    assert [size_text(n) for n in (0, 1023, 1024, 5 << 20, 3 << 30, 2 << 40, 4 << 50)] == [
        "0 B", "1023 B", "1.0 KiB", "5.0 MiB", "3.0 GiB", "2.0 TiB", "4096.0 TiB",
    ]  # fmt: skip
