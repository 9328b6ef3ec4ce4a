"""Messages full of random values."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from edge_robot.standalone.interfaces.checks import NUMPY_TYPES
from edge_robot.standalone.interfaces.definitions import STRINGS, FieldType
from edge_robot.standalone.interfaces.message import message_class


def random_message(name: str, rng: random.Random) -> Any:
    """Return a message of `package/msg/Name` with a random value in every field."""
    kind = message_class(name)
    return kind(**{field.name: _value(field.type, rng) for field in kind.definition.members})


def _value(kind: FieldType, rng: random.Random) -> Any:
    element = kind.element
    if kind.array is not None:
        return [_value(element, rng) for _ in range(kind.array)]
    if kind.sequence:
        return [_value(element, rng) for _ in range(rng.randrange(min(kind.bound or 4, 4)))]
    if kind.base in STRINGS:
        text = "".join(rng.choice("aé漢 ") for _ in range(rng.randrange(7)))
        return text[: kind.string_bound] if kind.string_bound else text
    if kind.base == "bool":
        return rng.random() < 0.5
    if kind.base == "byte":
        return bytes([rng.randrange(256)])
    if kind.base in ("float32", "float64"):
        return float(np.dtype(NUMPY_TYPES[kind.base]).type(rng.uniform(-1e3, 1e3)))
    if kind.base in NUMPY_TYPES:
        info = np.iinfo(NUMPY_TYPES[kind.base])
        return rng.randint(int(info.min), int(info.max))
    return random_message(kind.base, rng)
