"""Model cards: reading, writing, recognising, finding."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_robot.errors import UserError
from edge_robot.perception.coco import COCO_CLASSES
from edge_robot.perception.graph import Graph, Tensor
from edge_robot.perception.model_card import ModelCard, find_model, read_card, user_models

CARD = ModelCard("yolox", ("person", "box"), 320, 240, score_threshold=0.3, figures={"map50": 0.9})

NEEDED = "layout: yolox\nclasses: [a]\nwidth: 8\nheight: 8\n"


def test_a_card_reads_back_as_written(tmp_path: Path) -> None:
    CARD.write(tmp_path / "card.yaml")
    assert read_card(tmp_path / "card.yaml") == CARD


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("- a\n- list\n", "not a YAML mapping"),
        ("layout: [", "parsing"),
        ("layout: yolox\n", "missing"),
        ("layout: yolox\nclasses: [a]\nwidth: 8\nheight: 8\ncolour: red\n", "colour"),
        (NEEDED.replace("yolox", "yolo99"), "layout"),
        (NEEDED.replace("yolox", "[yolox]"), "layout"),
        (NEEDED + "width: 8.5\n", "width"),
        (NEEDED + "width: true\n", "width"),
        (NEEDED + "height: 100000000000\n", "height"),
        (NEEDED + "pad: -1\n", "pad"),
        (NEEDED + "nms_iou: .nan\n", "nms_iou"),
        (NEEDED + "score_threshold: high\n", "score_threshold"),
        (NEEDED + "mean: [.inf, 0, 0]\n", "mean"),
        (NEEDED + "mean: [a, b, c]\n", "mean"),
        (NEEDED + "mean: 0\n", "mean"),
        (NEEDED + "std: [1, 1]\n", "std"),
        (NEEDED + "strides: [8, 0]\n", "strides"),
        (NEEDED + "strides: [8.5]\n", "strides"),
        (NEEDED + "classes: person\n", "classes"),
        (NEEDED + "classes: [1, 2]\n", "classes"),
        (NEEDED + "outputs: [boxes, scores]\n", "outputs"),
        (NEEDED + "outputs: [predictions, predictions]\n", "outputs"),
        (NEEDED + "box_order: xywh\n", "box_order"),
        (NEEDED + "sha256: 1234\n", "sha256"),
        (NEEDED + "sha256: abc\n", "sha256"),
        (NEEDED + "size: -5\n", "size"),
        (NEEDED + "figures: good\n", "figures"),
        ("[" * 1500, "card"),
        ("classes: " + "x" * 2**20, "bytes"),
        ("layout: yolox\nclasses: []\nwidth: 8\nheight: 8\n", "classes"),
        ("layout: yolox\nclasses: [a]\nwidth: wide\nheight: 8\n", "card"),
        ("layout: yolox\nclasses: [a]\nwidth: 0\nheight: 8\n", "width"),
        ("layout: yolox\nclasses: [a]\nwidth: 8\nheight: 8\nstd: [1, 1, 0]\n", "std"),
        ("layout: yolox\nclasses: [a]\nwidth: 8\nheight: 8\nscore_threshold: 2\n", "score"),
    ],
)
def test_a_bad_card_is_one_clear_line(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "card.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=reason) as raised:
        read_card(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@given(content=st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail_otherwise(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "card.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError):
        read_card(path)


def test_there_are_80_coco_classes() -> None:
    assert len(COCO_CLASSES) == len(set(COCO_CLASSES)) == 80
    assert (COCO_CLASSES[0], COCO_CLASSES[2], COCO_CLASSES[79]) == ("person", "car", "toothbrush")


def test_a_model_is_found_by_name_and_by_path() -> None:
    by_name = find_model("warehouse_edge")
    assert find_model(str(by_name)) == by_name


def test_a_model_of_the_user_is_found_by_its_name_but_hides_none_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    user_models().mkdir(parents=True)
    for name in ("mine", "warehouse_edge"):
        (user_models() / f"{name}.onnx").write_bytes(b"")
    assert find_model("mine") == tmp_path / "edge_robot" / "models" / "mine.onnx"
    assert user_models() not in find_model("warehouse_edge").parents


FREE = (1, 3, "height", None)


@pytest.mark.parametrize(
    ("card", "shapes"),
    [
        (ModelCard("yolov5", ("a", "b"), 64, 64), [(1, 3 * 84, 7)]),
        (ModelCard("yolov8", ("a", "b"), 64, 64), [(1, 6, 84)]),
        (ModelCard("yolov10", ("a", "b"), 64, 64), [(1, 300, 6)]),
        (ModelCard("nanodet_plus", ("a", "b"), 64, 64), [(1, 85, 34)]),
        (ModelCard("rt_detr", ("a", "b"), 64, 64), [(1, 300, 2), (1, 300, 4)]),
        (
            ModelCard("rt_detr", ("a", "b"), 64, 64, outputs=("boxes", "unused", "logits")),
            [(1, 300, 4), (7,), (1, 300, 2)],
        ),
        (ModelCard("rt_detr", ("a", "b"), 64, 64, outputs=("predictions",)), [(1, 300, 6)]),
        (ModelCard("ssd", ("a", "b"), 64, 64), [(1, 900, 4), (1, 900, 3)]),
        (
            ModelCard("ssd", ("a", "b"), 64, 64, outputs=("boxes", "classes", "scores")),
            [("boxes", 4), ("boxes",), ("boxes",)],
        ),
    ],
)
def test_a_card_fits_graphs_of_its_shape_and_no_others(
    card: ModelCard, shapes: list[tuple]
) -> None:
    def graph(shapes: list[tuple], image: tuple = (1, 3, 64, 64), kind: str = "FLOAT") -> Graph:
        outputs = tuple(Tensor(f"o{index}", "FLOAT", shape) for index, shape in enumerate(shapes))
        return Graph((Tensor("images", kind, image),), outputs, {})

    card.check_fit(graph(shapes), "m")
    card.check_fit(graph(shapes, FREE), "m")
    card.check_fit(graph([None for _ in shapes]), "m")
    others = [
        graph(shapes, (1, 3, 64, 96)),
        graph(shapes, kind="UINT8"),
        graph([*shapes, (1, 1)]),
        graph(shapes[1:]),
        graph([(*shapes[0], 1), *shapes[1:]]),
        graph([(*shapes[0][:-1], 99), *shapes[1:]]),
    ]
    for other in others:
        with pytest.raises(UserError, match="m") as raised:
            card.check_fit(other, "m")
        assert str(raised.value).isprintable()


@pytest.mark.parametrize("name", ["no_such_model", "/no/such/model.onnx", "models/nothing.onnx"])
def test_a_missing_model_is_said_with_those_there_are(name: str) -> None:
    with pytest.raises(UserError, match="warehouse_edge"):
        find_model(name)
