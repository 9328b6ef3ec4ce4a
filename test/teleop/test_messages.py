from __future__ import annotations

import json
from math import isfinite
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.teleop.messages import (
    GoTo,
    Input,
    Limit,
    MessageError,
    Request,
    Stop,
    Take,
    parse,
)

INPUT = {"type": "input", "tick": 7, "n": 3, "held": True, "vx": 1, "vy": 0.5, "wz": -1}
INPUT["age_ms"] = 12.5
GOAL = {"type": "goal", "id": 1, "x": 1.5, "y": -2, "yaw": 0}


def test_what_is_said_is_understood() -> None:
    assert parse(json.dumps(INPUT)) == Input(7, 3, True, 1.0, 0.5, -1.0, 0.0125)
    assert parse('{"type": "take", "id": 4}') == Take(4, force=False)
    assert parse('{"type": "take", "id": 4, "force": true}') == Take(4, force=True)
    assert parse('{"type": "stop", "id": 0}') == Stop(0)
    assert parse(json.dumps(GOAL)) == GoTo(1, 1.5, -2.0, 0.0)
    assert parse('{"type": "limit", "id": 2, "speed": 0.3}') == Limit(2, 0.3)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not JSON"),
        ("[]", "not an object"),
        ("[" * 1000, "nested"),
        ('{"type": "input"}', "tick"),
        ('{"type": "shutdown", "id": 1}', "type"),
        ('{"type": ["stop"], "id": 1}', "type"),
        ('{"type": "stop", "id": 1, "id": 2}', "twice"),
        ('{"type": "stop", "id": true}', "id"),
        ('{"type": "stop", "id": 1, "<script>": 2}', "unknown field"),
        ('{"type": "limit", "id": 1, "speed": -1}', "negative"),
        ('{"type": "take", "id": 1, "force": 1}', "force"),
        ('{"type": "stop", "id": ' + "9" * 900 + "}", "id"),
        ('{"type": "stop", "id": 1}' + " " * 1024, "longer"),
        *(
            (json.dumps(INPUT | {"vx": "?"}).replace('"?"', number), "vx|no number")
            for number in ("NaN", "Infinity", "-Infinity", "1e999", "-1e30", "null", '"1"', "true")
        ),
        (json.dumps(INPUT | {"age_ms": -1}), "age_ms"),
        (json.dumps(INPUT | {"tick": 2**53}), "tick"),
        (json.dumps(INPUT | {"n": -1}), "n is"),
        (json.dumps(INPUT | {"n": 1.5}), "n is"),
        (json.dumps(GOAL | {"x": 1e9}), "x is beyond"),
        (json.dumps(GOAL | {"yaw": 1e9}), "yaw is beyond"),
    ],
)
def test_what_is_no_message_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(MessageError, match=why):
        parse(text)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@st.composite
def _mutated(draw: st.DrawFn) -> str:
    message: dict[str, Any] = dict(draw(st.sampled_from([INPUT, GOAL, {"type": "stop", "id": 1}])))
    for name in draw(st.lists(st.sampled_from(sorted(message)), max_size=2)):
        message[name] = draw(_json)
    return json.dumps(message)


@settings(max_examples=200, deadline=None)
@given(_mutated() | _json.map(json.dumps) | st.text(max_size=1100))
def test_whatever_comes_is_understood_within_bounds_or_refused(text: str) -> None:
    try:
        read = parse(text)
    except MessageError as error:
        assert str(error)
        return
    assert isinstance(read, (Input, Request))
    numbers = [value for value in vars(read).values() if isinstance(value, float)]
    assert all(isfinite(value) for value in numbers)
