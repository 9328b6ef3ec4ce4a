"""The global planner as a model of the backend: a map, start and goal in, a path out.

That there is no way is an answer like any other, with a reason; it is no error of the request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot.errors import UserError
from edge_robot.fleet import protocol
from edge_robot.fleet.backend.models import (
    InvalidRequestError,
    Tensors,
    TensorSpec,
    check_inputs,
)
from edge_robot.planning import costmap, eikonal, global_planner, map_plan
from edge_robot.planning.global_planner import GlobalPlannerConfig
from edge_robot.planning.map_plan import Point, plan_on_map
from edge_robot.planning.static_map import MAX_SIDE, StaticMap

MAX_CELLS = 16_000_000
"""Of a map: 200 m × 200 m at 5 cm."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY_8 = (8, 0)
"""Bits and colour type in a PNG file's header."""


@dataclass(frozen=True)
class _Request:
    """A map, still as a PNG file, and the way that is asked for."""

    png: bytes
    resolution: float
    origin: tuple[float, float, float]
    start: Point
    goal: Point
    config: GlobalPlannerConfig


class PlannerModel:
    """See `edge_robot.fleet.backend.models.Model`; the tensors are those of `fleet.protocol`.

    Args:
        name: It is served under.
    """

    version = "1"
    platform = "python"
    inputs = tuple(TensorSpec(t.name, t.datatype, t.shape) for t in protocol.PLANNER_INPUTS)
    outputs = tuple(TensorSpec(t.name, t.datatype, t.shape) for t in protocol.PLANNER_OUTPUTS)
    max_batch = 1

    def __init__(self, name: str = "planner") -> None:
        self.name = name
        code = (map_plan, global_planner, eikonal, costmap)
        sources = b"".join(Path(str(module.__file__)).read_bytes() for module in code)
        self.sha256 = hashlib.sha256(sources).hexdigest()

    def read(self, inputs: Tensors) -> _Request:
        """See `Model`."""
        check_inputs(inputs, self.inputs)
        for name, array in inputs.items():
            if array.dtype != object and not np.isfinite(array).all():
                raise InvalidRequestError(f"input {name!r} is not finite")
        png = bytes(inputs[protocol.MAP.name][0])
        _check_size(*_png_shape(png))
        try:
            config = GlobalPlannerConfig(*inputs[protocol.PLANNER_CONFIG.name].tolist())
        except UserError as error:
            raise InvalidRequestError(f"input {protocol.PLANNER_CONFIG.name!r}: {error}") from error
        resolution, x, y, yaw = inputs[protocol.GEOMETRY.name].tolist()
        start, goal = (inputs[t.name].tolist() for t in (protocol.START, protocol.GOAL))
        return _Request(
            png, resolution, (x, y, yaw), (start[0], start[1]), (goal[0], goal[1]), config
        )

    def prepare(self, item: _Request) -> tuple[StaticMap, _Request]:
        """See `Model`."""
        try:
            return StaticMap(_decode_png(item.png), item.resolution, item.origin), item
        except UserError as error:
            raise InvalidRequestError(f"input {protocol.MAP.name!r}: {error}") from error

    def compute(self, items: Sequence[tuple[StaticMap, _Request]]) -> list[Tensors]:
        """See `Model`."""
        return [_answer(static, request) for static, request in items]


def _answer(static: StaticMap, request: _Request) -> Tensors:
    route = plan_on_map(static, request.start, request.goal, request.config)
    return {
        protocol.PATH.name: route.path,
        protocol.PLAN_CODE.name: np.array([route.outcome], np.int64),
        protocol.PLAN_MESSAGE.name: np.array([route.reason.encode()], object),
    }


def _check_size(rows: int, columns: int) -> None:
    sides_fit = 1 <= rows <= MAX_SIDE and 1 <= columns <= MAX_SIDE
    if not sides_fit or rows * columns > MAX_CELLS:
        raise InvalidRequestError(
            f"a map of {columns} × {rows} cells; from 1 to {MAX_SIDE} a side and "
            f"{MAX_CELLS // 1_000_000} million in all can be used"
        )


def _png_shape(png: bytes) -> tuple[int, int]:
    """Return rows and columns from a PNG file's header, without decoding it."""
    if len(png) < 33 or png[:8] != _PNG_SIGNATURE or png[12:16] != b"IHDR":
        raise InvalidRequestError(f"input {protocol.MAP.name!r} holds no PNG file")
    if (png[24], png[25]) != _GREY_8:
        raise InvalidRequestError(f"input {protocol.MAP.name!r} is not grey with 8 bits")
    return int.from_bytes(png[20:24], "big"), int.from_bytes(png[16:20], "big")


def _decode_png(png: bytes) -> NDArray[np.int8]:
    try:
        values = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        values = None
    if values is None or values.shape != _png_shape(png):
        raise InvalidRequestError(f"input {protocol.MAP.name!r} is a damaged PNG file")
    return np.ascontiguousarray(values).view(np.int8)  # 255 is -1, unknown
