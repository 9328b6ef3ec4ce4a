"""QoS events cross from one runtime to the other, at both ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

RUNTIMES = ("ros2", "standalone")


@pytest.fixture
def seen(runtimes: dict[str, Any], start: Callable[..., Any]) -> Callable[[str, str], list[Any]]:
    """Give a function that returns what a publisher and its subscriber are told of each other."""

    def watch(publisher: str, subscriber: str) -> list[Any]:
        watched = start(publisher, "watched.py", "--stay")
        told = runtimes[subscriber].json("watcher.py")
        line = next(line for line in watched.stdout if line.startswith("{"))
        return [json.loads(line), told]

    return watch


@pytest.mark.parametrize("subscriber", RUNTIMES)
@pytest.mark.parametrize("publisher", RUNTIMES)
def test_both_ends_are_told_the_same(
    publisher: str, subscriber: str, seen: Callable[[str, str], list[Any]]
) -> None:
    watched, watcher = seen(publisher, subscriber)
    assert watched == {
        "kept": [],
        "broken": ["deadline", "incompatible", "liveliness", "policy"],
        "policy": "RELIABILITY",
        "several deadlines": True,
        "lost once": 1,
    }
    assert watcher == {
        "told": ["deadline", "incompatible", "liveliness", "matched", "policy"],
        "policy": "RELIABILITY",
        "several deadlines": True,
        "alive first": [[1, 0]],
        "then not": True,
    }
