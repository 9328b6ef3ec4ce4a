"""Values of parameters."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_robot.introspection.parameter_values import dump, load, parse


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("true", "boolean", True),
        ("-5", "integer", -5),
        ("2.5", "double", 2.5),
        ("fast", "string", "fast"),
        ("'5'", "string", "5"),
        ("", "string", ""),
        ("[true, false]", "boolean array", [True, False]),
        ("[1, 2]", "integer array", [1, 2]),
        ("[1.0, 2.0]", "double array", [1.0, 2.0]),
        ("[a, b]", "string array", ["a", "b"]),
        ("[]", "boolean array", []),
        ("[1, a]", "string", "[1, a]"),
        ("[1, 2.0]", "string", "[1, 2.0]"),
        ("{a: 1}", "string", "{a: 1}"),
        ("[oops", "string", "[oops"),
        ("2020-01-01", "string", "2020-01-01"),
    ],
)
def test_a_text_is_of_the_type_that_yaml_reads(text: str, name: str, value: Any) -> None:
    kind, parsed = parse(text)
    assert (kind.name, parsed) == (name, value)
    assert type(parsed) is type(value)


def test_dump_groups_names_at_their_dots() -> None:
    assert dump("/ns/planner", [("rate", 20.0), ("map.size", [1, 2]), ("map.frame", "map")]) == (
        "/ns/planner:\n"
        "  ros__parameters:\n"
        "    map:\n"
        "      frame: map\n"
        "      size:\n"
        "      - 1\n"
        "      - 2\n"
        "    rate: 20.0\n"
    )


def test_load_takes_the_nodes_own_values_over_those_of_all_nodes() -> None:
    text = yaml.safe_dump(
        {
            "/**": {"ros__parameters": {"a": 1, "b": {"c": 2}}},
            "planner": {"ros__parameters": {"a": 3}},
            "/other": {"ros__parameters": {"d": 4}},
        }
    )
    assert load(text, "/planner") == {"a": 3, "b.c": 2}
    assert load(text, "/planner", wildcard=False) == {"a": 3}
    with pytest.raises(ValueError, match="does not contain any valid parameters for node /nobody"):
        load(text, "/nobody", wildcard=False)


@pytest.mark.parametrize("text", ["", "5", "[1]", "{a: [", "{/node: 5}", "{/node: {x: 1}}"])
def test_what_is_no_parameter_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        load(text, "/node")


_NAMES = st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=3).map(".".join)
_VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(),
    st.lists(st.integers(0, 9)),
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first text is
@given(st.dictionaries(_NAMES, _VALUES, max_size=5))
def test_load_gives_back_what_was_dumped(parameters: dict[str, Any]) -> None:
    groups = {name.rpartition(".")[0] for name in parameters}
    prefixes = {group[:end] for group in groups for end in range(len(group) + 1)}
    kept = {name: value for name, value in parameters.items() if name not in prefixes}
    assert load(dump("/node", kept.items()), "/node") == kept
