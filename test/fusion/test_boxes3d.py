"""3D overlap against a clipping polygon by polygon, SciPy's hull, and what must hold of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from edge_robot.fusion.boxes import corners
from edge_robot.fusion.boxes3d import giou_3d_of_pairs, iou_3d
from edge_robot.fusion.kalman import Array

# Values that meet exactly are drawn often: clipping fails where boxes are equal, touch or align.
OFFSET = st.one_of(st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0]), st.floats(-4.0, 4.0))
SIZE = st.one_of(st.sampled_from([1.0, 2.0]), st.floats(0.1, 6.0))
YAW = st.one_of(
    st.sampled_from([0.0, np.pi / 4, np.pi / 2, np.pi, -np.pi / 2]), st.floats(-7.0, 7.0)
)
BOX = st.tuples(OFFSET, OFFSET, OFFSET, SIZE, SIZE, SIZE, YAW)
BOXES = st.lists(BOX, min_size=1, max_size=4).map(np.array)


def giou_3d(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the generalised IoU of all pairs, (N, M)."""
    pairs = np.repeat(a, len(b), axis=0), np.tile(b, (len(a), 1))
    return giou_3d_of_pairs(*pairs).reshape(len(a), len(b))


def outline(box: Array) -> Array:
    """Return the footprint counter-clockwise, (4, 2)."""
    return corners(box[None, :3], box[None, 3:6], box[None, 6])[0][[6, 2, 0, 4], :2]


def clipped(polygon: list[Array], window: Array) -> list[Array]:
    """Sutherland and Hodgman, 1974."""
    for start, end in zip(window, np.roll(window, -1, axis=0), strict=True):
        edge = end - start
        side = [edge[0] * (p - start)[1] - edge[1] * (p - start)[0] for p in polygon]
        kept = []
        for i, p in enumerate(polygon):
            q, at, then = polygon[i - 1], side[i], side[i - 1]
            if (at >= 0.0) != (then >= 0.0):
                kept.append(q + (p - q) * then / (then - at))
            if at >= 0.0:
                kept.append(p)
        polygon = kept
    return polygon


def area(polygon: list[Array]) -> float:
    if len(polygon) < 3:
        return 0.0
    x, y = np.transpose(polygon)
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def expected(a: Array, b: Array) -> tuple[float, float]:
    bottom, top = np.array([[box[2] - box[5] / 2, box[2] + box[5] / 2] for box in (a, b)]).T
    shared = area(clipped(list(outline(a)), outline(b))) * max(top.min() - bottom.max(), 0.0)
    union = a[3:6].prod() + b[3:6].prod() - shared
    hull = ConvexHull(np.concatenate([outline(a), outline(b)])).volume
    around = hull * (top.max() - bottom.min())
    return shared / union, shared / union - (around - union) / around


@given(BOXES, BOXES)
@settings(max_examples=150, deadline=None)
def test_every_pair_is_as_clipping_and_hull_have_it(a: Array, b: Array) -> None:
    iou, giou = iou_3d(a, b), giou_3d(a, b)
    assert iou.shape == giou.shape == (len(a), len(b))
    for i, first in enumerate(a):
        for j, second in enumerate(b):
            assert (iou[i, j], giou[i, j]) == pytest.approx(expected(first, second), abs=1e-9)


@given(BOXES, BOXES, OFFSET, YAW)
@settings(max_examples=50, deadline=None)
def test_a_rigid_motion_changes_nothing(a: Array, b: Array, shift: float, turn: float) -> None:
    cos, sin = np.cos(turn), np.sin(turn)

    def moved(boxes: Array) -> Array:
        xy = boxes[:, :2] @ np.array([[cos, sin], [-sin, cos]]) + shift
        return np.column_stack([xy, boxes[:, 2] - shift, boxes[:, 3:6], boxes[:, 6] + turn])

    assert iou_3d(moved(a), moved(b)) == pytest.approx(iou_3d(a, b), abs=1e-9)
    assert giou_3d(moved(b), moved(a)) == pytest.approx(giou_3d(a, b).T, abs=1e-9)


def test_known_overlaps() -> None:
    a = np.array([[0.0, 0.0, 0.0, 2.0, 2.0, 2.0, 0.3]])
    half_up = [0.0, 0.0, 1.0, 2.0, 2.0, 2.0, 0.3 + np.pi / 2]
    far_up = [0.0, 0.0, 6.0, 2.0, 2.0, 2.0, 0.3]
    inner = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.3]
    flat = [0.0, 0.0, 0.0, 2.0, 2.0, 0.0, 0.3]
    others = np.array([a[0], half_up, far_up, inner, flat])
    assert iou_3d(a, others)[0] == pytest.approx([1.0, 1 / 3, 0.0, 1 / 8, 0.0])
    assert giou_3d(a, others)[0] == pytest.approx([1.0, 1 / 3, -0.5, 1 / 8, 0.0])
    assert iou_3d(a[:0], others).shape == giou_3d(a[:0], others).shape == (0, 5)
