"""Layouts read off graphs, and the doubts that are not decided by a guess."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.errors import UserError
from edge_robot.perception.coco import COCO_CLASSES
from edge_robot.perception.graph import Graph, Tensor
from edge_robot.perception.recognition import recognise

IMAGE = (1, 3, 192, 256)
CELLS = 24 * 32 + 12 * 16 + 6 * 8
MORE_CELLS = CELLS + 3 * 4


def graph(
    *outputs: tuple,
    image: tuple | None = IMAGE,
    names: str = "",
    labels: str = "output",
    **notes: str,
) -> Graph:
    tensors = [
        Tensor(name, "FLOAT", shape)
        for name, shape in zip(labels.split() * len(outputs), outputs, strict=False)
    ]
    notes |= {"names": names} if names else {}
    return Graph((Tensor("images", "FLOAT", image),), tuple(tensors), notes)


@pytest.mark.parametrize(
    ("shape", "layout", "channels", "resize"),
    [
        ((1, CELLS, 85), "yolox", "bgr", "letterbox"),
        ((1, 85, 6, 8), "fastestdet", "bgr", "stretch"),
        ((1, 3 * CELLS, 85), "yolov5", "rgb", "letterbox"),
        ((1, 84, CELLS), "yolov8", "rgb", "letterbox"),
        ((1, MORE_CELLS, 112), "nanodet_plus", "bgr", "stretch"),
        ((1, 300, 84), "rt_detr", "rgb", "stretch"),
        (("batch", CELLS, 85), "yolox", "bgr", "letterbox"),
    ],
)
def test_coco_models_are_recognised_by_their_shapes(
    shape: tuple, layout: str, channels: str, resize: str
) -> None:
    made = graph(shape)
    card = recognise(made, "m")
    assert (card.layout, card.channels, card.resize) == (layout, channels, resize)
    assert (card.classes, card.width, card.height) == (COCO_CLASSES, 256, 192)
    card.check_fit(made, "m")


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((1, CELLS, 7), "yolox"),
        ((1, 7, 6, 8), "fastestdet"),
        ((1, 3 * CELLS, 7), "yolov5"),
        ((1, 6, CELLS), "yolov8"),
        ((1, 300, 6), "yolov10"),
        ((1, MORE_CELLS, 34), "nanodet_plus"),
    ],
)
@pytest.mark.parametrize(
    "names", ["{0: 'cat', 1: 'dog'}", '["cat", "dog"]', '{"0":"cat","1":"dog"}']
)
def test_others_by_the_names_that_their_exporter_noted(
    shape: tuple, layout: str, names: str
) -> None:
    if layout == "yolov10":  # its corners could be an RT-DETR's centres and sizes
        with pytest.raises(UserError, match=r"yolov10.*rt_detr"):
            recognise(graph(shape, names=names), "m")
        return
    made = graph(shape, names=names)
    card = recognise(made, "m")
    assert (card.layout, card.classes) == (layout, ("cat", "dog"))
    card.check_fit(made, "m")


@pytest.mark.parametrize(
    ("notes", "layout", "resize"),
    [
        ({"head": "Detect"}, "yolov10", "letterbox"),
        ({"description": "Ultralytics YOLOv10n model"}, "yolov10", "letterbox"),
        ({"head": "RTDETRDecoder"}, "rt_detr", "stretch"),
    ],
)
def test_rows_of_six_are_told_apart_by_what_their_exporter_noted(
    notes: dict[str, str], layout: str, resize: str
) -> None:
    names = "{0: 'cat', 1: 'dog', 2: \"bird's nest\"}"
    made = graph((1, 300, 6), names=names, **notes)
    card = recognise(made, "m")
    assert (card.layout, card.resize, card.classes[2]) == (layout, resize, "bird's nest")
    card.check_fit(made, "m")


def test_two_outputs_are_told_apart_by_their_names() -> None:
    card = recognise(graph((1, 300, 4), (1, 300, 80), labels="pred_boxes logits"), "m")
    assert (card.layout, card.outputs) == ("rt_detr", ("boxes", "logits"))


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (graph((1, CELLS, 84)), "yolox of 79 classes"),
        (graph((1, CELLS - 1, 85)), "no known layout"),
        (graph((1, CELLS, 85), image=(1, 1, 192, 256)), "no known layout"),
        (graph((1, CELLS, 85), image=(1, 3, "height", "width")), "fixed size"),
        (graph((1, "cells", 85)), "no known layout"),
        (graph((1, 1000), image=(1, 3)), "no known layout"),
        (graph(None, image=None), "no known layout"),
        (graph((1, 84, CELLS), names="{0: 'cat'}"), "notes 1 class names"),
        (graph((1, 116, CELLS), (1, 32, 48, 64), task="segment"), "segment"),
        (graph((1, 900, 4), (1, 900, 81), labels="boxes scores"), "may be ssd"),
        (graph((9, 4), (9,), (9,), labels="boxes scores labels"), "may be ssd"),
        (graph((1, 300, 4), (1, 300, 7), labels="boxes logits"), "rt_detr of 7 classes"),
        (graph((1, 300, 4), (1, 300, 4), labels="boxes boxes"), "no known layout"),
    ],
)
def test_a_doubt_is_said_and_a_card_asked_for(made: Graph, reason: str) -> None:
    with pytest.raises(UserError, match=reason) as raised:
        recognise(made, "m")
    assert str(raised.value).isprintable()


sizes = (
    st.none() | st.integers(-5, 2**40) | st.text(max_size=2) | st.sampled_from([6, 84, 85, CELLS])
)
shapes = st.none() | st.lists(sizes, max_size=5).map(tuple)


@settings(deadline=None)
@given(
    image=shapes | st.just(IMAGE),
    outputs=st.lists(
        st.tuples(st.sampled_from(["boxes", "logits", "scores", "x"]), shapes), max_size=5
    ),
    names=st.text(max_size=40) | st.text("{}[]0123:'\"\\ ,ab", max_size=40),
)
def test_no_graph_makes_it_fail_otherwise(image: tuple, outputs: list, names: str) -> None:
    made = Graph(
        (Tensor("images", "FLOAT", image),),
        tuple(Tensor(name, "FLOAT", shape) for name, shape in outputs),
        {"names": names},
    )
    try:
        recognise(made, "m").check_fit(made, "m")
    except UserError as error:
        assert str(error)


@pytest.mark.parametrize(
    "names",
    [
        "{" * 10_000,
        "[" + "'a'," * 200_000 + "]",
        "{0: __import__('os')}",
        "{0: 'a', 2: 'b'}",
        "['\\x']",
    ],
)
def test_notes_are_read_and_never_run(names: str) -> None:
    with pytest.raises(UserError, match="notes no class names"):
        recognise(graph((1, 7, 6, 8), names=names), "m")
