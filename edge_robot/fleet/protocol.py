"""What the backend and its clients call things in the Open Inference Protocol, version 2.

The parameters of any request and answer, and the tensors of a detector (a request has exactly one
of its two inputs, an answer all outputs, or those the request names) and of a planner.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Tensor:
    """One tensor of the protocol; a size of -1 is free."""

    name: str
    datatype: str
    shape: tuple[int, ...]


JPEG = Tensor("jpeg", "BYTES", (1,))
"""The image as a JPEG file."""
IMAGE = Tensor("image", "UINT8", (-1, -1, 3))
"""The image as rows, columns, BGR."""
BOXES = Tensor("boxes", "FP32", (-1, 4))
"""x1 y1 x2 y2 in pixels of the image sent."""
SCORES = Tensor("scores", "FP32", (-1,))
"""0..1, best first."""
CLASS_IDS = Tensor("class_ids", "INT64", (-1,))
"""Indices into `class_names`."""
CLASS_NAMES = Tensor("class_names", "BYTES", (-1,))
"""Names of all classes the model knows."""

MAP = Tensor("map", "BYTES", (1,))
"""A map as a PNG file, 8-bit grey, row 0 first: 0..100 % occupied, 255 unknown."""
GEOMETRY = Tensor("geometry", "FP64", (4,))
"""Of the map: side of a cell, m; pose of the corner of its cell (0, 0): x, y, m; yaw, rad."""
START = Tensor("start", "FP64", (2,))
"""x, y in the map's frame, m."""
GOAL = Tensor("goal", "FP64", (2,))
"""The same."""
PLANNER_CONFIG = Tensor("config", "FP64", (6,))
"""The fields of `GlobalPlannerConfig`, in their order."""
PATH = Tensor("path", "FP64", (-1, 2))
"""From start to goal, evenly spaced, in the map's frame, m; no row where there is no way."""
PLAN_CODE = Tensor("code", "INT64", (1,))
"""0, or why there is no way, as in nav2: 204 goal outside the map, 206 occupied, 208 no path."""
PLAN_MESSAGE = Tensor("message", "BYTES", (1,))
"""The same for people; empty where there is a way."""

PLANNER_INPUTS = (MAP, GEOMETRY, START, GOAL, PLANNER_CONFIG)
PLANNER_OUTPUTS = (PATH, PLAN_CODE, PLAN_MESSAGE)

INPUTS = (JPEG, IMAGE)
OUTPUTS = (BOXES, SCORES, CLASS_IDS, CLASS_NAMES)

TIMEOUT = "timeout"
"""Request parameter, µs from arrival (as in Triton): work not begun by then is dropped."""
PRIORITY = "priority"
"""Request parameter, whole number (as in Triton): 1 is served first; 0, as none, leaves it to
the server."""
ROBOT = "robot"
"""Request parameter, text: who asks, for quotas and fair shares. A token's robot goes before it; an
input of this name (BYTES) must say the same as the token."""
MODEL_SHA256 = "model_sha256"
"""Response parameter: hash of the model file that computed the answer."""
SERVICE_TIME = "service_us"
"""Response parameter: µs from the arrival of the request to its answer, waiting included."""
QUEUE_TIME = "queue_us"
"""Response parameter: µs of these that the request waited for its computation to begin."""


def pack_bytes(items: Iterable[bytes]) -> bytes:
    """Return a BYTES tensor's raw contents: each item behind its length, uint32 little-endian."""
    return b"".join(struct.pack("<I", len(item)) + item for item in items)


def unpack_bytes(data: bytes, at_most: int | None = None) -> list[bytes]:
    """Return the items of a BYTES tensor's raw contents.

    Raises:
        ValueError: a length points past the end, or there are more items than `at_most`.
    """
    items: list[bytes] = []
    position = 0
    while position < len(data):
        if len(items) == at_most:
            raise ValueError(f"more than {at_most} items in the raw contents")
        start = position + 4
        if start > len(data):
            raise ValueError("raw contents end within an item's length")
        (length,) = struct.unpack_from("<I", data, position)
        position = start + length
        if position > len(data):
            raise ValueError(f"an item of {length} bytes runs past the end of the raw contents")
        items.append(data[start:position])
    return items
