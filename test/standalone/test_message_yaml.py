"""What the tools print of any message fills the same message again."""

from __future__ import annotations

import random

import pytest
import yaml
from random_messages import random_message

from edge_robot.introspection.message_text import yaml_text
from edge_robot.introspection.message_values import fill
from edge_robot.standalone.interfaces.store import interfaces

NAMES = [
    f"{package}/msg/{short}"
    for package in sorted(interfaces().packages())
    for short in interfaces().names(package, "msg")
]


@pytest.mark.parametrize("name", NAMES)
def test_printed_messages_can_be_published(name: str) -> None:
    message = random_message(name, random.Random(name))
    again = type(message)()
    fill(again, yaml.safe_load(yaml_text(message)) or {})
    assert yaml_text(again) == yaml_text(message)
