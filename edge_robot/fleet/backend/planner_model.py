"""The global planner as a model of the backend: a map, start and goal in, a path out.

That there is no way is an answer like any other, with a reason; it is not an error of the request.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
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
from edge_robot.planning import costmap, eikonal, global_planner
from edge_robot.planning.costmap import Grid
from edge_robot.planning.global_planner import (
    GlobalPlannerConfig,
    GoalOccupied,
    GoalOutsideMap,
    NoPath,
    Plan,
    search,
)
from edge_robot.planning.static_map import MAX_SIDE, StaticMap

MAX_CELLS = 16_000_000
"""Of a map: 200 m × 200 m at 5 cm. Planning takes about 50 bytes and a microsecond for each."""

_OCCUPIED, _FREE = 65, 25  # %; as nav2's map server has it
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_OPTIONAL = (protocol.GRID, protocol.GRID_PNG, protocol.CLEARANCE)


@dataclass(frozen=True)
class _Request:
    """A map, still as it came, and the way that is asked for."""

    grid: NDArray[np.int8] | bytes
    resolution: float
    origin: tuple[float, float]
    start: tuple[float, float]
    goal: tuple[float, float]
    config: GlobalPlannerConfig


class PlannerModel:
    """See `edge_robot.fleet.backend.models.Model`; the tensors are those of `fleet.protocol`.

    Args:
        name: It is served under.
        config: How paths weigh length, clearance and ignorance.
    """

    version = "1"
    platform = "python"
    inputs = tuple(
        TensorSpec(t.name, t.datatype, t.shape, t in _OPTIONAL) for t in protocol.PLANNER_INPUTS
    )
    outputs = tuple(TensorSpec(t.name, t.datatype, t.shape) for t in protocol.PLANNER_OUTPUTS)
    max_batch = 1

    def __init__(self, name: str = "planner", config: GlobalPlannerConfig | None = None) -> None:
        self.name = name
        self._config = config or GlobalPlannerConfig()
        code = (global_planner, eikonal, costmap)
        sources = b"".join(Path(str(module.__file__)).read_bytes() for module in code)
        self.sha256 = hashlib.sha256(sources + repr(self._config).encode()).hexdigest()

    def read(self, inputs: Tensors) -> _Request:
        """See `Model`."""
        check_inputs(inputs, self.inputs)
        if (protocol.GRID.name in inputs) == (protocol.GRID_PNG.name in inputs):
            raise InvalidRequestError("give the map once: as 'grid' (INT8) or 'grid_png' (BYTES)")
        for name in (protocol.RESOLUTION, protocol.ORIGIN, protocol.START, protocol.GOAL):
            if not np.isfinite(inputs[name.name]).all():
                raise InvalidRequestError(f"input {name.name!r} is not finite")
        config = self._config
        if protocol.CLEARANCE.name in inputs:
            clearance = float(inputs[protocol.CLEARANCE.name][0])
            try:
                config = replace(config, path_clearance=clearance)
            except UserError as error:
                raise InvalidRequestError(f"input 'clearance': {error}") from error
        grid: NDArray[np.int8] | bytes
        if protocol.GRID.name in inputs:
            grid = inputs[protocol.GRID.name]
            _check_cells(*grid.shape)
        else:
            grid = bytes(inputs[protocol.GRID_PNG.name][0])
            _check_cells(*_png_shape(grid))
        return _Request(
            grid,
            float(inputs[protocol.RESOLUTION.name][0]),
            _point(inputs[protocol.ORIGIN.name]),
            _point(inputs[protocol.START.name]),
            _point(inputs[protocol.GOAL.name]),
            config,
        )

    def prepare(self, item: _Request) -> tuple[_Request, Grid]:
        """See `Model`."""
        values = _decode_png(item.grid) if isinstance(item.grid, bytes) else item.grid
        try:
            StaticMap(values, item.resolution, (*item.origin, 0.0))
        except UserError as error:
            raise InvalidRequestError(f"input 'grid': {error}") from error
        evidence = np.zeros(values.shape, np.int8)
        evidence[(values >= 0) & (values < _FREE)] = -1
        evidence[values >= _OCCUPIED] = 1
        return item, Grid(evidence, item.origin, item.resolution)

    def compute(self, items: Sequence[tuple[_Request, Grid]]) -> list[Tensors]:
        """See `Model`."""
        return [_answer(request, grid) for request, grid in items]


def _answer(request: _Request, grid: Grid) -> Tensors:
    path, outcome, reason = np.zeros((0, 2)), "path", ""
    try:
        path = _in_slices(search(grid, request.start, request.goal, request.config)).path
    except NoPath as refusal:
        outcome, reason = _outcome(refusal), str(refusal)
    return {
        protocol.PATH.name: path,
        protocol.OUTCOME.name: np.array([outcome.encode()], object),
        protocol.REASON.name: np.array([reason.encode()], object),
    }


def _outcome(refusal: NoPath) -> str:
    if isinstance(refusal, GoalOccupied):
        return "goal_occupied"
    return "goal_outside_map" if isinstance(refusal, GoalOutsideMap) else "no_path"


def _in_slices(steps: Generator[None, None, Plan]) -> Plan:
    """Search in slices of milliseconds and, after each, let threads that wait for Python run.

    Compiled loops hold on to the interpreter, and heartbeats must not wait for a whole path.
    """
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Plan = end.value
            return found
        time.sleep(0.0)


def _point(array: NDArray[np.float64]) -> tuple[float, float]:
    return float(array[0]), float(array[1])


def _check_cells(rows: int, columns: int) -> None:
    sides_fit = 1 <= rows <= MAX_SIDE and 1 <= columns <= MAX_SIDE
    if not sides_fit or rows * columns > MAX_CELLS:
        raise InvalidRequestError(
            f"a map of {columns} × {rows} cells; from 1 to {MAX_SIDE} a side and "
            f"{MAX_CELLS // 1_000_000} million in all can be used"
        )


def _png_shape(png: bytes) -> tuple[int, int]:
    """Return rows and columns from a PNG file's header, without decoding it."""
    if png[:8] != _PNG_SIGNATURE or png[12:16] != b"IHDR" or len(png) < 33:
        raise InvalidRequestError("input 'grid_png' holds no PNG file")
    depth, colour = png[24], png[25]
    if (depth, colour) != (8, 0):
        raise InvalidRequestError("input 'grid_png' is not grey with 8 bits")
    return int.from_bytes(png[20:24], "big"), int.from_bytes(png[16:20], "big")


def _decode_png(png: bytes) -> NDArray[np.int8]:
    try:
        values = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        values = None
    if values is None or values.shape != _png_shape(png):
        raise InvalidRequestError("input 'grid_png' is damaged")
    return np.ascontiguousarray(values).view(np.int8)  # 255 is -1, unknown
