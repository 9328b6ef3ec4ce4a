"""The models of the backend, each by itself: what they take, refuse and answer."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from edge_robot.fleet.backend.models import InvalidRequestError, Model
from edge_robot.fleet.backend.planner_model import PlannerModel


def answer(model: Model, inputs: dict[str, Any]) -> dict[str, Any]:
    (outputs,) = model.compute([model.prepare(model.read(inputs))])
    assert not isinstance(outputs, InvalidRequestError)
    assert set(outputs) == {spec.name for spec in model.outputs}
    return dict(outputs)


def room(wall: bool) -> np.ndarray:
    """A room of 6 m × 4 m, 5 cm cells, with a wall across that is or is not shut."""
    grid = np.zeros((80, 120), np.int8)
    grid[[0, -1]] = 100
    grid[:, [0, -1]] = 100
    grid[: None if wall else 50, 60] = 100
    return grid


def way(grid: np.ndarray, **changes: Any) -> dict[str, Any]:
    return {
        "grid": grid,
        "resolution": np.array([0.05]),
        "origin": np.array([-1.0, 2.0]),
        "start": np.array([0.0, 3.0]),
        "goal": np.array([4.0, 3.0]),
    } | changes


def test_the_planner_finds_the_way_around_a_wall_from_either_form_of_the_map() -> None:
    model = PlannerModel()
    given = way(room(wall=False))
    outputs = answer(model, given)
    path = outputs["path"]
    assert outputs["outcome"].tolist() == [b"path"] and outputs["reason"].tolist() == [b""]
    assert path[0] == pytest.approx([0.0, 3.0]) and path[-1] == pytest.approx([4.0, 3.0])
    assert path[:, 1].max() > 2.0 + 50 * 0.05, "the gap is above the wall's end"
    png = cv2.imencode(".png", given.pop("grid").view(np.uint8))[1].tobytes()
    again = answer(model, given | {"grid_png": np.array([png], object)})
    assert np.array_equal(again["path"], path)
    wide = answer(model, way(room(wall=False), clearance=np.array([0.9])))
    assert wide["outcome"].tolist() == [b"no_path"], "the gap has 1.4 m"


def test_no_way_is_an_answer_with_a_reason() -> None:
    model = PlannerModel()
    blocked = answer(model, way(room(wall=True)))
    assert blocked["outcome"].tolist() == [b"no_path"] and blocked["path"].shape == (0, 2)
    assert b"blocked" in blocked["reason"][0]
    occupied = answer(model, way(room(wall=False), goal=np.array([2.0, 3.0])))
    assert occupied["outcome"].tolist() == [b"goal_occupied"]
    outside = answer(model, way(room(wall=False), goal=np.array([40.0, 3.0])))
    assert outside["outcome"].tolist() == [b"goal_outside_map"]


def test_maps_that_are_none_are_refused() -> None:
    model = PlannerModel()
    good = room(wall=False)
    png = cv2.imencode(".png", good.view(np.uint8))[1].tobytes()
    giant = png[:16] + (60000).to_bytes(4, "big") * 2 + png[24:]
    without = {key: value for key, value in way(good).items() if key != "grid"}
    for inputs, why in (
        (without, "once"),
        (way(good, grid_png=np.array([png], object)), "once"),
        (way(good, goal=np.array([np.nan, 0.0])), "not finite"),
        (way(good, clearance=np.array([-1.0])), "clearance"),
        (way(good, resolution=np.array([1e-9])), "cells of"),
        (way(np.full((9, 9), 101, np.int8)), "outside -1"),
        (way(np.zeros((0, 9), np.int8)), "9 × 0 cells"),
        (without | {"grid_png": np.array([giant], object)}, "60000 × 60000"),
        (without | {"grid_png": np.array([png[:200]], object)}, "damaged"),
        (without | {"grid_png": np.array([b"GIF89a"], object)}, "no PNG"),
    ):
        with pytest.raises(InvalidRequestError, match=why):
            model.prepare(model.read(inputs))
