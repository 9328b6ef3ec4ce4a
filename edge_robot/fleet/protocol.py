"""What the backend and its clients call things in the Open Inference Protocol, version 2.

The parameters of any request and answer, the tensors of a detector and those of the planner. A
request to a detector has exactly one of its two inputs, one to the planner the map in one of two
forms; an answer has all outputs, or those the request names.
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

INPUTS = (JPEG, IMAGE)
OUTPUTS = (BOXES, SCORES, CLASS_IDS, CLASS_NAMES)

GRID = Tensor("grid", "INT8", (-1, -1))
"""The map as `nav_msgs/OccupancyGrid` has it: rows from the origin on, -1 unknown, 0..100 %."""
GRID_PNG = Tensor("grid_png", "BYTES", (1,))
"""The same as a grey PNG file of 8 bits, 255 for unknown: its first row is at the origin, too."""
RESOLUTION = Tensor("resolution", "FP64", (1,))
"""Side of a cell, m."""
ORIGIN = Tensor("origin", "FP64", (2,))
"""x and y of the corner of the first cell, m, in the frame of start and goal."""
START = Tensor("start", "FP64", (2,))
"""x, y, m."""
GOAL = Tensor("goal", "FP64", (2,))
"""x, y, m."""
CLEARANCE = Tensor("clearance", "FP64", (1,))
"""Distance from obstacles that no path goes below, m: at least the robot's inscribed radius."""
PATH = Tensor("path", "FP64", (-1, 2))
"""Points from start to goal, evenly spaced, x, y, m; none where there is no way."""
OUTCOME = Tensor("outcome", "BYTES", (1,))
"""`path`, `no_path`, `goal_occupied` or `goal_outside_map`."""
REASON = Tensor("reason", "BYTES", (1,))
"""Why there is no way, in words; empty where there is one."""

PLANNER_INPUTS = (GRID, GRID_PNG, RESOLUTION, ORIGIN, START, GOAL, CLEARANCE)
PLANNER_OUTPUTS = (PATH, OUTCOME, REASON)

TIMEOUT = "timeout"
"""Request parameter, µs from arrival (as in Triton): work not begun by then is dropped."""
PRIORITY = "priority"
"""Request parameter, whole number (as in Triton): 1 is served first; 0, as none, is the default."""
ROBOT = "robot"
"""Request parameter, text: who asks, for quotas and fair shares. A token's robot goes before it."""
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
