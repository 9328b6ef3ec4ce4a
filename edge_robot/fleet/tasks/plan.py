"""The task `plan`: a map, a start and a goal out, a path back."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as pb

from edge_robot.fleet import protocol, tensors
from edge_robot.fleet.boundary import Cleared
from edge_robot.fleet.tasks.answers import outputs, texts
from edge_robot.fleet.work import Encoded, InvalidAnswerError
from edge_robot.planning.global_planner import GlobalPlannerConfig
from edge_robot.planning.map_plan import (
    Outcome,
    Point,
    Route,
    plan_on_map,
    to_cells,
)
from edge_robot.planning.static_map import StaticMap

_PNG_EFFORT = 1
"""Of 0..9: maps are flat, and more takes ten times as long for little."""
_OCCUPIED = 65
"""%; as nav2's map server has it."""
_LEAVING = 0.4
"""From the start, within which a path may lead out of where the map says the robot cannot be, m."""


@dataclass(frozen=True)
class Errand:
    """A way to be found.

    Attributes:
        static: The map.
        start: x, y in its frame, m.
        goal: The same.
        config: Weights of the search.
    """

    static: StaticMap
    start: Point
    goal: Point
    config: GlobalPlannerConfig

    def solve(self) -> Route:
        """Find the way here."""
        return plan_on_map(self.static, self.start, self.goal, self.config)


def encode_errand(cleared: Cleared[Errand], model: str) -> Encoded[Route]:
    """Return the request for a path.

    Args:
        cleared: What is asked.
        model: Name the backend serves its planner under.
    """
    errand = cleared.value
    static = errand.static
    _, png = cv2.imencode(
        ".png", static.occupancy.view(np.uint8), [cv2.IMWRITE_PNG_COMPRESSION, _PNG_EFFORT]
    )
    request = pb.ModelInferRequest(model_name=model)
    inputs = {
        protocol.MAP: np.array([png.tobytes()], np.object_),
        protocol.GEOMETRY: np.array((static.resolution, *static.origin)),
        protocol.START: np.array(errand.start, float),
        protocol.GOAL: np.array(errand.goal, float),
        protocol.PLANNER_CONFIG: np.array(astuple(errand.config), float),
    }
    tensors.add_arrays(request, {tensor.name: array for tensor, array in inputs.items()})
    return Encoded(request, lambda response: read_route(response, errand))


def read_route(response: Any, errand: Errand) -> Route:
    """Return the path that a `ModelInferResponse` carries.

    Raises:
        InvalidAnswerError: it is no path, or not one from this start to this goal over this map.
    """
    path, (code,), message = outputs(response, protocol.PLANNER_OUTPUTS)
    (reason,) = texts(protocol.PLAN_MESSAGE.name, message)
    if code not in list(Outcome):
        raise InvalidAnswerError(f"code {code} is unknown")
    outcome = Outcome(code)
    if outcome is not Outcome.FOUND:
        if len(path):
            raise InvalidAnswerError(f"a path, and code {code} that there is none")
        return Route(path, outcome, reason)
    if len(path) < 2 or not np.isfinite(path).all():
        raise InvalidAnswerError("a path of less than two points, or not finite")
    if np.abs(path[[0, -1]] - (errand.start, errand.goal)).max() > errand.static.resolution:
        raise InvalidAnswerError("a path from another start, or to another goal")
    if _hits(path, errand.static):
        raise InvalidAnswerError("a path through what the map says is occupied, or outside it")
    return Route(path)


def _hits(path: NDArray[np.float64], static: StaticMap) -> bool:
    """Whether a path leaves the map or leads through an obstacle, its beginning aside."""
    steps = np.diff(path, axis=0)
    finer = max(1, int(np.ceil(np.hypot(*steps.T).max() / static.resolution)))
    between = np.arange(finer)[:, None] / finer
    points = np.vstack([(path[:-1, None] + steps[:, None] * between).reshape(-1, 2), path[-1:]])
    points = points[np.hypot(*(points - path[0]).T) > _LEAVING]
    columns, rows = np.floor(to_cells(static, points) / static.resolution).astype(np.int64).T
    height, width = static.occupancy.shape
    if np.any((rows < 0) | (rows >= height) | (columns < 0) | (columns >= width)):
        return True
    return bool((static.occupancy[rows, columns] >= _OCCUPIED).any())
