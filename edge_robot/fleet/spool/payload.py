"""What the robot's own records hold: a line of JSON, and after it, where there is one, a file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def pack(values: Mapping[str, Any], content: bytes = b"") -> bytes:
    """Return a payload.

    Args:
        values: Anything that JSON can hold; numbers that are not finite become null.
        content: Of a file, such as a JPEG image.
    """
    line = json.dumps(_plain(values), separators=(",", ":"), ensure_ascii=False).encode()
    return line + b"\n" + content if content else line


def unpack(payload: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the values and the file of a payload.

    Raises:
        ValueError: it is none of `pack`.
    """
    line, _, content = payload.partition(b"\n")
    values = json.loads(line)
    if not isinstance(values, dict):
        raise ValueError("the payload's first line is no JSON object")
    return values, content


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
