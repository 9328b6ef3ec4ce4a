"""The tiering curve on cases worked out by hand, and on real images."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from edge_robot.bench.tiering.curve import caught, curve, oracle_order, orders
from edge_robot.bench.tiering.hard_examples import ibt_filter, threshold_filter
from edge_robot.bench.tiering.measurement import measure
from edge_robot.bench.tiering.mixture import match_tiers
from edge_robot.perception.detections import Detections
from edge_robot.perception.evaluation import Labels

NAMES = ("a", "b")
BOX = np.array([[0, 0, 10, 10]], np.float32)


def found(*scores: float) -> Detections:
    count = len(scores)
    return Detections(
        np.repeat(BOX, count, axis=0), np.array(scores, np.float32), np.zeros(count, int), NAMES
    )


def test_sedna_threshold_by_hand() -> None:
    values = threshold_filter([found(0.9, 0.5), found(0.4), found(), found(0.9)])
    np.testing.assert_allclose(values, [-0.7, -0.4, -np.inf, -0.9], rtol=1e-6)


def test_sedna_ibt_by_hand() -> None:
    values = ibt_filter([found(0.9, 0.5, 0.4), found(0.4), found(), found(0.9, 0.8)])
    np.testing.assert_allclose(values, [2 / 3, 1.0, -np.inf, 0.0])
    assert ibt_filter([found(0.9, 0.5)], box_threshold=0.95)[0] == 1.0


def test_equal_values_are_ordered_by_chance_and_others_are_not() -> None:
    ways = orders(np.array([1.0, 5.0, 1.0, -np.inf]), 200, np.random.default_rng(1))
    assert len(ways) == 200
    assert all(way[0] == 1 and way[3] == 3 for way in ways)
    assert 60 < sum(way[1] == 0 for way in ways) < 140
    assert [
        way.tolist() for way in orders(np.array([1.0, 3.0, 2.0]), 9, np.random.default_rng(1))
    ] == [[1, 2, 0]]


def test_a_curve_by_hand() -> None:
    """Three frames, one object of its own class each: what is found counts a third."""
    names = ("a", "b", "c")

    def one(class_id: int) -> Detections:
        return Detections(BOX, np.array([0.9], np.float32), np.array([class_id]), names)

    none = Detections(BOX[:0], np.zeros(0, np.float32), np.zeros(0, int), names)
    truth = [Labels(BOX, np.array([c]), np.array([False])) for c in range(3)]
    classes = match_tiers([none, one(1), one(2)], [one(0), one(1), none], truth)
    np.testing.assert_allclose(curve(classes, np.array([2, 1, 0])), [2 / 3, 1 / 3, 1 / 3, 2 / 3])
    assert oracle_order(classes, 3).tolist() == [0, 1, 2]
    np.testing.assert_allclose(curve(classes, oracle_order(classes, 3)), [2 / 3, 1, 1, 2 / 3])


def test_caught_by_hand() -> None:
    marked = np.array([True, False, True, False])
    order = np.array([2, 1, 0, 3])
    assert caught(marked, order, 0.5) == 0.5
    assert caught(marked, order, 0.75) == 1.0
    assert np.isnan(caught(np.zeros(4, bool), order, 0.5))


def test_a_small_benchmark_on_real_images(shared_data: Path, tmp_path: Path) -> None:
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
        for file in sorted((shared_data / "coco128" / kind).iterdir())[:6]:
            (tmp_path / kind / file.name).symlink_to(file)
    (tmp_path / "names.txt").symlink_to(shared_data / "coco128" / "names.txt")
    models = shared_data / "models"
    result = measure(
        str(models / "fastestdet_352.onnx"),
        str(models / "yolox_nano_416.onnx"),
        tmp_path / "images",
        tmp_path / "labels",
        splits=2,
        chart=tmp_path / "curve.svg",
    )
    assert result["onboard"]["further_looks"] == 0
    looked = measure(
        str(models / "fastestdet_352.onnx"),
        str(models / "yolox_nano_416.onnx"),
        tmp_path / "images",
        tmp_path / "labels",
        splits=2,
        looks=4,
    )
    assert looked["onboard"]["further_looks"] == 4
    ends = [item["mean_of_splits"]["replaced"]["ours"]["map"] for item in (result, looked)]
    assert ends[0][0] != ends[1][0]  # another onboard result; the second opinion is the same
    assert ends[0][-1] == pytest.approx(ends[1][-1])
    drawing = ElementTree.fromstring((tmp_path / "curve.svg").read_text())
    lines = [item for item in drawing if item.tag.endswith("polyline")]
    assert len([item for item in lines if len(item.get("points", "").split()) == 4]) == 6
    assert len(result["share"]) == 4
    first, mean = result["first_split"], result["mean_of_splits"]
    for way in ("fused", "replaced"):
        for at in (0, -1):  # whoever chooses, none and all are the same
            ends = [first[way][name]["map"][at] for name in ("ours", "oracle", "random")]
            assert ends == pytest.approx(ends[:1] * 3)
        assert len(mean[way]["ours"]["map"]) == 4
    assert first["fused"]["ours"]["map"][0] == first["replaced"]["ours"]["map"][0]
    full, half = (first["replaced"]["ours"]["map"][at] for at in (-1, 1))
    assert first["replaced"]["ours"]["of_second_alone"] == pytest.approx(half / full)
    assert first["fused"]["ours"]["of_second_alone"] == pytest.approx(
        first["fused"]["ours"]["map"][1] / full
    )
