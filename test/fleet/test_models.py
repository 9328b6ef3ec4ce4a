"""The models of the backend, each by itself: what they take, refuse and answer."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edge_robot.errors import UserError
from edge_robot.fleet.backend.models import InvalidRequestError, Model
from edge_robot.fleet.backend.onnx_model import OnnxModel
from edge_robot.fleet.backend.planner_model import PlannerModel
from edge_robot.planning.global_planner import GlobalPlannerConfig


def network(
    *nodes: onnx.NodeProto,
    kind: int = TensorProto.FLOAT,
    shape: tuple[Any, ...] = ("N", 3),
    weights: tuple[onnx.TensorProto, ...] = (),
) -> bytes:
    """An ONNX file with one input x and one output y."""
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, shape)],
        list(weights),
    )
    opset = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())


IDENTITY = helper.make_node("Identity", ["x"], ["y"])


def answers(model: Model, *requests: dict[str, Any]) -> list[Any]:
    return list(model.compute([model.prepare(model.read(inputs)) for inputs in requests]))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("BOOL", np.array([True, False, True])),
        ("UINT8", np.array([0, 1, 255], np.uint8)),
        ("UINT16", np.array([0, 1, 65535], np.uint16)),
        ("UINT32", np.array([0, 1, 2**32 - 1], np.uint32)),
        ("UINT64", np.array([0, 1, 2**64 - 1], np.uint64)),
        ("INT8", np.array([-128, 0, 127], np.int8)),
        ("INT16", np.array([-(2**15), 0, 1], np.int16)),
        ("INT32", np.array([-(2**31), 0, 1], np.int32)),
        ("INT64", np.array([-(2**63), 0, 1], np.int64)),
        ("FLOAT16", np.array([0.5, -1.0, np.inf], np.float16)),
        ("FLOAT", np.array([0.5, -1.0, 3e38], np.float32)),
        ("DOUBLE", np.array([0.5, -1.0, 1e300])),
        ("STRING", np.array([b"", "Übung".encode(), b"a"], object)),
    ],
)
def test_every_datatype_goes_through_an_onnx_model(kind: str, values: np.ndarray) -> None:
    content = network(IDENTITY, kind=TensorProto.DataType.Value(kind))
    model = OnnxModel("identity", "3", content, max_rows=4)
    one, two = answers(model, {"x": values[None]}, {"x": np.stack([values, values[::-1]])})
    assert one["y"].tolist() == [values.tolist()] and one["y"].dtype == values.dtype
    assert two["y"].tolist() == [values.tolist(), values[::-1].tolist()]


def test_requests_that_cannot_share_a_run_do_not() -> None:
    model = OnnxModel("identity", "1", network(IDENTITY, shape=("N", "M")), max_rows=3)
    runs: list[tuple[int, ...]] = []
    run = model._session.run

    class Watched:
        def run(self, names: Any, feed: dict[str, np.ndarray]) -> Any:
            runs.append(feed["x"].shape)
            return run(names, feed)

    model._session = Watched()
    shapes = [(1, 2), (2, 2), (1, 5), (1, 2), (2, 5)]
    given = [np.full(shape, number, np.float32) for number, shape in enumerate(shapes)]
    outputs = answers(model, *({"x": x} for x in given))
    assert all(np.array_equal(y["y"], x) for x, y in zip(given, outputs, strict=True))
    assert runs == [(3, 2), (3, 5), (1, 2)]
    with pytest.raises(InvalidRequestError, match="batch of"):
        model.read({"x": np.zeros((4, 2), np.float32)})
    with pytest.raises(InvalidRequestError, match="FP64"):
        model.read({"x": np.zeros((1, 2))})


def test_a_request_the_graph_cannot_compute_costs_no_other_its_answer() -> None:
    wanted = helper.make_tensor("i", TensorProto.INT64, [3], [0, 1, 2])
    nodes = (
        helper.make_node("Cast", ["x"], ["j"], to=TensorProto.INT64),
        helper.make_node("Gather", ["i", "j"], ["g"]),
        helper.make_node("Cast", ["g"], ["y"], to=TensorProto.FLOAT),
    )
    model = OnnxModel("pick", "1", network(*nodes, weights=(wanted,)), max_rows=8)
    good, bad = np.array([[0, 1, 2]], np.float32), np.array([[0, 99, 2]], np.float32)
    first, second, third = answers(model, {"x": good}, {"x": bad}, {"x": good})
    assert isinstance(second, InvalidRequestError) and "'pick' cannot compute" in str(second)
    assert first["y"].tolist() == third["y"].tolist() == good.tolist()


def test_files_that_cannot_be_served_are_refused_by_name() -> None:
    with pytest.raises(UserError, match="net version 7"):
        OnnxModel("net", "7", b"no network")
    with pytest.raises(UserError, match="BFLOAT16"):
        OnnxModel("net", "7", network(IDENTITY, kind=TensorProto.BFLOAT16))
    with pytest.raises(UserError, match="first size"):
        OnnxModel("net", "7", network(IDENTITY, shape=(2, 3)), max_rows=8)


def room(wall: bool) -> np.ndarray:
    """A room of 6 m × 4 m, 5 cm cells, with a wall across that is or is not shut."""
    grid = np.zeros((80, 120), np.int8)
    grid[[0, -1]] = 100
    grid[:, [0, -1]] = 100
    grid[: None if wall else 50, 60] = 100
    return grid


def png_of(grid: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", grid.view(np.uint8))[1])


def way(grid: np.ndarray, **changes: Any) -> dict[str, Any]:
    return {
        "map": np.array([png_of(grid)], object),
        "geometry": np.array([0.05, -1.0, 2.0, 0.0]),
        "start": np.array([0.0, 3.0]),
        "goal": np.array([4.0, 3.0]),
        "config": np.array(astuple(GlobalPlannerConfig())),
    } | changes


def test_the_planner_finds_the_way_around_a_wall_or_says_that_there_is_none() -> None:
    model = PlannerModel()
    found, blocked, occupied, outside = answers(
        model,
        way(room(wall=False)),
        way(room(wall=True)),
        way(room(wall=False), goal=np.array([2.0, 3.0])),
        way(room(wall=False), goal=np.array([40.0, 3.0])),
    )
    path = found["path"]
    assert found["code"].tolist() == [0] and found["message"].tolist() == [b""]
    assert path[0] == pytest.approx([0.0, 3.0]) and path[-1] == pytest.approx([4.0, 3.0])
    assert path[:, 1].max() > 2.0 + 50 * 0.05, "the gap is above the wall's end"
    codes = [outputs["code"].tolist() for outputs in (blocked, occupied, outside)]
    assert codes == [[208], [206], [204]]
    assert blocked["path"].shape == (0, 2) and b"blocked" in blocked["message"][0]


def test_maps_that_are_none_are_refused() -> None:
    model = PlannerModel()
    good = room(wall=False)
    png = png_of(good)
    giant = png[:16] + (60000).to_bytes(4, "big") * 2 + png[24:]
    for inputs, why in (
        ({key: value for key, value in way(good).items() if key != "map"}, "'map' is missing"),
        (way(good, goal=np.array([np.nan, 0.0])), "not finite"),
        (way(good, config=np.full(6, -1.0)), "search_resolution"),
        (way(good, geometry=np.array([1e-9, 0.0, 0.0, 0.0])), "cells of"),
        (way(np.full((9, 9), 101, np.int8)), "outside -1"),
        (way(good, map=np.array([giant], object)), "60000 × 60000"),
        (way(good, map=np.array([png[:200]], object)), "damaged"),
        (way(good, map=np.array([b"GIF89a"], object)), "no PNG"),
    ):
        with pytest.raises(InvalidRequestError, match=why):
            model.prepare(model.read(inputs))
