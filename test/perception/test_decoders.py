"""Decoders and suppression against hand-made tensors and slow, obvious versions."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.perception.decoders.boxes import iou_matrix, suppress
from edge_robot.perception.decoders.candidates import MAX_CANDIDATES, Candidates
from edge_robot.perception.decoders.fastestdet import decode_fastestdet
from edge_robot.perception.decoders.grid import grid
from edge_robot.perception.decoders.yolox import decode_yolox

STRIDES = (8, 16, 32)

boxes_in_320x240 = st.tuples(
    st.floats(0, 300), st.floats(0, 220), st.floats(1, 320), st.floats(1, 240)
).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))


def test_grid_counts_the_cells_of_every_stride_in_order() -> None:
    cells = grid(416, 416, STRIDES)
    assert len(cells) == 52 * 52 + 26 * 26 + 13 * 13
    assert cells[0].tolist() == [0, 0, 8]
    assert cells[1].tolist() == [1, 0, 8]  # row-major
    assert cells[52].tolist() == [0, 1, 8]
    assert cells[52 * 52].tolist() == [0, 0, 16]
    assert cells[-1].tolist() == [12, 12, 32]


def test_grid_of_an_input_no_multiple_of_the_stride_has_a_partial_cell() -> None:
    assert len(grid(320, 240, (32,))) == 10 * 8


def test_yolox_decodes_a_hand_made_cell() -> None:
    output = np.zeros((1, len(grid(64, 64, STRIDES)), 5 + 3), np.float32)
    cell = 64 + 5  # second grid, stride 16, 4 columns: column 1, row 1
    output[0, cell] = [0.5, 0.25, np.log(2.0), np.log(3.0), 0.8, 0.1, 0.5, 0.2]
    found = decode_yolox(output, 64, 64, STRIDES, 0.1)
    np.testing.assert_allclose(found.scores, [0.4], rtol=1e-6)
    assert found.class_ids.tolist() == [1]
    # centre ((1 + 0.5) 16, (1 + 0.25) 16) = (24, 20), size (32, 48)
    np.testing.assert_allclose(found.boxes, [[8, -4, 40, 44]], rtol=1e-6)


def test_fastestdet_decodes_a_hand_made_cell() -> None:
    output = np.zeros((1, 5 + 2, 22, 22), np.float32)
    output[0, :, 3, 7] = [0.9, np.arctanh(0.5), np.arctanh(-0.25), 0.0, np.log(1 / 3), 0.3, 0.7]
    found = decode_fastestdet(output, 352, 352, 0.1)
    np.testing.assert_allclose(found.scores, [0.9**0.6 * 0.7**0.4], rtol=1e-5)
    assert found.class_ids.tolist() == [1]
    # centre ((7 + 0.5) 16, (3 - 0.25) 16) = (120, 44); sigmoid(0) = 1/2, sigmoid(-ln 3) = 1/4
    np.testing.assert_allclose(found.boxes, [[120 - 88, 44 - 44, 120 + 88, 44 + 44]], rtol=1e-5)


@given(box=boxes_in_320x240, cell=st.integers(0, len(grid(320, 240, STRIDES)) - 1))
def test_yolox_decodes_a_box_in_any_cell(box: tuple[float, ...], cell: int) -> None:
    cells = grid(320, 240, STRIDES)
    output = np.zeros((1, len(cells), 6), np.float32)
    (*at, stride), (x1, y1, x2, y2) = cells[cell], box
    centre = np.array([x1 + x2, y1 + y2]) / 2 / stride - at
    output[0, cell, :4] = [*centre, np.log((x2 - x1) / stride), np.log((y2 - y1) / stride)]
    output[0, cell, 4:] = 1.0
    found = decode_yolox(output, 320, 240, STRIDES, 0.5)
    np.testing.assert_allclose(found.boxes, [box], atol=0.01)


@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1.0, 100.0, 1e30, np.inf, np.nan]))
def test_no_output_makes_a_decoder_raise(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        rows = (rng.standard_normal((1, len(grid(64, 64, STRIDES)), 7)) * scale).astype(np.float32)
        planes = (rng.standard_normal((1, 7, 4, 4)) * scale).astype(np.float32)
        for found in (
            decode_yolox(rows, 64, 64, STRIDES, 0.0),
            decode_fastestdet(planes, 64, 64, 0.0),
        ):
            assert found.boxes.shape == (len(found.scores), 4)
            assert np.all(np.diff(found.scores[np.isfinite(found.scores)]) <= 0)
            suppress(found, 0.5)


def test_the_best_candidates_are_kept_where_there_are_too_many() -> None:
    cells = grid(416, 416, STRIDES)
    output = np.zeros((1, len(cells), 6), np.float32)
    output[0, :, 4] = np.linspace(0.1, 0.9, len(cells))
    output[0, :, 5] = 1.0
    found = decode_yolox(output, 416, 416, STRIDES, 0.0)
    assert len(found.scores) == MAX_CANDIDATES
    assert found.scores[0] == np.float32(0.9)


def naive_iou(a: np.ndarray, b: np.ndarray) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union > 0 else 0.0


def naive_suppression(candidates: Candidates, threshold: float) -> list[int]:
    kept: list[int] = []
    for index, (box, name) in enumerate(
        zip(candidates.boxes.astype(float), candidates.class_ids, strict=True)
    ):
        rivals = [k for k in kept if candidates.class_ids[k] == name]
        if all(naive_iou(candidates.boxes[k].astype(float), box) <= threshold for k in rivals):
            kept.append(index)
    return kept


@settings(max_examples=60)
@given(
    boxes=st.lists(boxes_in_320x240, max_size=25),
    seed=st.integers(0, 2**32 - 1),
    threshold=st.floats(0.1, 0.9),
)
def test_suppression_agrees_with_the_obvious_one(
    boxes: list[tuple[float, ...]], seed: int, threshold: float
) -> None:
    rng = np.random.default_rng(seed)
    candidates = Candidates(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.sort(rng.uniform(size=len(boxes)).astype(np.float32))[::-1],
        rng.integers(0, 3, len(boxes)),
    )
    assert suppress(candidates, threshold).tolist() == naive_suppression(candidates, threshold)


@given(a=boxes_in_320x240, b=boxes_in_320x240)
def test_iou_agrees_with_the_obvious_one(a: tuple[float, ...], b: tuple[float, ...]) -> None:
    matrix = iou_matrix(np.array([a]), np.array([b]))
    np.testing.assert_allclose(matrix, [[naive_iou(np.array(a), np.array(b))]], atol=1e-9)


def test_iou_of_boxes_without_area_is_zero() -> None:
    assert iou_matrix(np.zeros((1, 4)), np.zeros((1, 4))).tolist() == [[0.0]]
