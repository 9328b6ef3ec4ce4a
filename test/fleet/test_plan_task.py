"""A path over a map, found on board or by the fleet, is the same; a wrong one is rejected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from tritonclient.grpc import service_pb2 as pb

from edge_robot.fleet import protocol, tensors
from edge_robot.fleet.boundary import Boundary, Cleared, Data
from edge_robot.fleet.privacy_policy import Kind, Level, PrivacyPolicy, Tier
from edge_robot.fleet.tasks.plan import Errand, encode_errand, read_route
from edge_robot.fleet.work import InvalidAnswerError
from edge_robot.planning.global_planner import GlobalPlannerConfig
from edge_robot.planning.map_plan import Outcome, plan_on_map
from edge_robot.planning.static_map import StaticMap


def walled(yaw: float = 0.3) -> StaticMap:
    """A hall of 10 x 6 m, unknown at one side, with a wall across it that has a door."""
    occupancy = np.zeros((60, 100), np.int8)
    occupancy[[0, -1]] = occupancy[:, [0, -1]] = 100
    occupancy[:, 50] = 100
    occupancy[40:52, 50] = 0
    occupancy[:, 80:99] = -1
    return StaticMap(occupancy, 0.1, (-3.0, 2.0, yaw))


def place(static: StaticMap, x: float, y: float) -> tuple[float, float]:
    """Return a place along the map's rows and columns in its frame."""
    at_x, at_y, yaw = static.origin
    cos, sin = np.cos(yaw), np.sin(yaw)
    return float(at_x + cos * x - sin * y), float(at_y + sin * x + cos * y)


STATIC = walled()
CONFIG = GlobalPlannerConfig()
ERRAND = Errand(STATIC, place(STATIC, 1, 1), place(STATIC, 9, 1), CONFIG)


def answer(path: np.ndarray, code: int = Outcome.FOUND, reason: str = "") -> Any:
    message = pb.ModelInferResponse()
    values = (path, np.array([code], np.int64), np.array([reason.encode()], np.object_))
    names = (tensor.name for tensor in protocol.PLANNER_OUTPUTS)
    tensors.add_arrays(message, dict(zip(names, values, strict=True)))
    return message


def test_the_request_holds_all_that_the_path_depends_on() -> None:
    cleared = Boundary(PrivacyPolicy()).clear(Kind.PLAN, Data(ERRAND, Level.FEATURES), Tier.CLOUD)
    assert isinstance(cleared, Cleared)
    encoded = encode_errand(cleared, "planner")
    assert encoded.request.model_name == "planner"
    assert encoded.request.ByteSize() < 0.2 * STATIC.occupancy.size

    sent = tensors.to_arrays(encoded.request)
    grey = cv2.imdecode(np.frombuffer(sent["map"][0], np.uint8), cv2.IMREAD_UNCHANGED)
    resolution, *origin = sent["geometry"].tolist()
    static = StaticMap(grey.view(np.int8), resolution, tuple(origin))
    np.testing.assert_array_equal(static.occupancy, STATIC.occupancy)
    config = GlobalPlannerConfig(*sent["config"].tolist())
    there = plan_on_map(static, tuple(sent["start"]), tuple(sent["goal"]), config)
    read = encoded.decode(answer(there.path))
    assert read.outcome is Outcome.FOUND
    np.testing.assert_array_equal(read.path, ERRAND.solve().path)
    np.testing.assert_allclose(read.path[[0, -1]], (ERRAND.start, ERRAND.goal), atol=1e-9)


def test_a_path_leads_through_the_door_however_the_map_lies() -> None:
    lengths = []
    for yaw in (0.0, 0.3, -2.0):
        static = walled(yaw)
        route = plan_on_map(static, place(static, 1, 1), place(static, 9, 1), CONFIG)
        assert np.abs(route.path - place(static, 5, 4.6)).max(axis=1).min() < 0.6
        lengths.append(np.hypot(*np.diff(route.path, axis=0).T).sum())
    assert max(lengths) - min(lengths) < 1e-6


@pytest.mark.parametrize(
    ("goal", "outcome"),
    [
        ((50, 50), Outcome.GOAL_OUTSIDE_MAP),
        ((5.05, 1), Outcome.GOAL_OCCUPIED),
        ((float("nan"), 1), Outcome.GOAL_OUTSIDE_MAP),
    ],
)
def test_no_way_is_an_answer(goal: tuple[float, float], outcome: Outcome) -> None:
    route = plan_on_map(STATIC, ERRAND.start, place(STATIC, *goal), CONFIG)
    assert (route.outcome, len(route.path)) == (outcome, 0)
    assert route.reason
    read = read_route(answer(route.path, outcome, route.reason), ERRAND)
    assert (read.outcome, read.reason) == (outcome, route.reason)


def test_a_wall_without_a_door_has_no_path() -> None:
    closed = STATIC.occupancy.copy()
    closed[:, 50] = 100
    static = StaticMap(closed, STATIC.resolution, STATIC.origin)
    assert plan_on_map(static, ERRAND.start, ERRAND.goal, CONFIG).outcome is Outcome.NO_PATH


def bad_path(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[], Any]:
    return lambda: answer(change(ERRAND.solve().path))


def bent(path: np.ndarray) -> np.ndarray:
    path[len(path) // 2] = np.nan
    return path


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "another start": (bad_path(lambda path: path[5:]), "another start"),
    "another goal": (bad_path(lambda path: path[:-5]), "another goal"),
    "through the wall": (bad_path(lambda path: path[[0, -1]]), "occupied"),
    "out of the map": (bad_path(lambda path: np.insert(path, 9, (-9, 1), axis=0)), "outside"),
    "NaN": (bad_path(bent), "not finite"),
    "no point": (bad_path(lambda path: path[:0]), "less than two"),
    "three columns": (bad_path(lambda path: np.c_[path, path[:, 0]]), r"'path' is FP64"),
    "single precision": (bad_path(lambda path: path.astype(np.float32)), "FP32"),
    "unknown code": (lambda: answer(np.zeros((0, 2)), 7), "code 7"),
    "a path and none": (lambda: answer(ERRAND.solve().path, 208), "code 208"),
    "nothing": (pb.ModelInferResponse, "missing"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_path_is_rejected_with_its_reason(name: str) -> None:
    make, reason = WRONG[name]
    with pytest.raises(InvalidAnswerError, match=reason):
        read_route(make(), ERRAND)
