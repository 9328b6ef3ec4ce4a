"""Model cards: reading, writing, recognising, finding."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_robot.errors import UserError
from edge_robot.perception.coco import COCO_CLASSES
from edge_robot.perception.model_card import ModelCard, find_model, read_card, recognise

CARD = ModelCard("yolox", ("person", "box"), 320, 240, score_threshold=0.3, figures={"map50": 0.9})


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
        ("layout: ssd\nclasses: [a]\nwidth: 8\nheight: 8\n", "layout"),
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


def test_coco_models_are_recognised_by_their_shapes() -> None:
    yolox = recognise((1, 3, 416, 416), (1, 3549, 85))
    assert yolox is not None
    assert (yolox.layout, yolox.resize, yolox.channels) == ("yolox", "letterbox", "bgr")
    assert yolox.classes == COCO_CLASSES
    fastestdet = recognise((1, 3, 352, 352), (1, 85, 22, 22))
    assert fastestdet is not None
    assert (fastestdet.layout, fastestdet.resize, fastestdet.std[0]) == (
        "fastestdet",
        "stretch",
        255.0,
    )


@pytest.mark.parametrize(
    ("given_shape", "made_shape"),
    [
        ((1, 3, 416, 416), (1, 3549, 84)),
        ((1, 3, 416, 416), (1, 3548, 85)),
        ((1, 1, 416, 416), (1, 3549, 85)),
        ((1, 3, "height", "width"), (1, "cells", 85)),
        ((1, 3), (1, 1000)),
    ],
)
def test_other_shapes_are_not(given_shape: tuple, made_shape: tuple) -> None:
    assert recognise(given_shape, made_shape) is None


def test_there_are_80_coco_classes() -> None:
    assert len(COCO_CLASSES) == len(set(COCO_CLASSES)) == 80
    assert (COCO_CLASSES[0], COCO_CLASSES[2], COCO_CLASSES[79]) == ("person", "car", "toothbrush")


def test_a_model_is_found_by_name_and_by_path() -> None:
    by_name = find_model("warehouse_edge")
    assert find_model(str(by_name)) == by_name


@pytest.mark.parametrize("name", ["no_such_model", "/no/such/model.onnx", "models/nothing.onnx"])
def test_a_missing_model_is_said_with_those_there_are(name: str) -> None:
    with pytest.raises(UserError, match="warehouse_edge"):
        find_model(name)
