from __future__ import annotations

import numpy as np
import pytest

from edge_robot.errors import UserError
from edge_robot.planning import polygon
from edge_robot.planning.robot import Footprint

L_SHAPE = "[[0.3, -0.2], [0.3, 0.2], [0.1, 0.2], [0.1, 0.0], [-0.3, 0.0], [-0.3, -0.2]]"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[[0.2, 0.1], [-0.2, 0.1]]", "three or more corners"),
        ("[[0, 0], [2, 2], [2, 0], [0, 1]]", "edges 0 and 2 meet"),
        ("[[0, 0], [1, 0], [2, 0]]", "no area"),
        ("[[0, 0], [2, 0], [2, 1], [1, 0], [0, 1]]", "meet"),
        ("[[0, 0], [2, 0], [1, 0], [1, 1]]", "edges 0 and 1 meet"),
        ("[[0, 0], [1, 0], [1, NaN]]", "finite"),
        ("[0.3, 0.2, -0.3]", "three or more corners"),
        ("[[0, 0], [1], [1, 2]]", "no list of corners"),
        ("0.3 x 0.2", "no list of corners"),
    ],
)
def test_what_is_no_polygon_is_refused(text: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        Footprint(polygon=text)


@pytest.mark.parametrize("footprint", [Footprint(), Footprint(polygon=L_SHAPE)])
def test_radii_and_covering_discs_hold(footprint: Footprint) -> None:
    x, y = np.meshgrid(np.linspace(-0.35, 0.35, 141), np.linspace(-0.25, 0.25, 101))
    points = np.stack((x.ravel(), y.ravel()), 1)
    inside = points[polygon.contains(points, footprint.corners)]
    away = np.linalg.norm(points, axis=1)
    assert polygon.contains(points, footprint.corners)[
        away < footprint.inscribed_radius - 1e-9
    ].all()
    assert np.linalg.norm(inside, axis=1).max() <= footprint.circumscribed_radius + 1e-9
    centres, radius = polygon.covering_discs(footprint.corners, 2)
    gaps = np.linalg.norm(inside[:, None] - centres, axis=2).min(1)
    assert gaps.max() <= radius + 1e-9
    assert radius < footprint.circumscribed_radius


def test_corners_run_counterclockwise_whichever_way_they_are_given() -> None:
    clockwise = Footprint(polygon="[[0.2, 0.1], [0.2, -0.1], [-0.2, -0.1], [-0.2, 0.1]]")
    np.testing.assert_allclose(clockwise.corners[0], (-0.2, 0.1))
    assert clockwise.inscribed_radius == pytest.approx(0.1)


def test_no_cell_fits_between_outline_and_inner_discs() -> None:
    """Every square inside touches a disc."""
    corners, cell = Footprint(polygon=L_SHAPE).corners, 0.05
    discs = polygon.inner_discs(corners, cell)
    middles = np.random.default_rng(1).uniform((-0.3, -0.2), (0.3, 0.2), (2000, 2))
    angles = np.random.default_rng(2).uniform(0, np.pi / 2, 2000)
    deep = polygon.contains(middles, corners) & (polygon.edge_distance(middles, corners) > cell / 2)
    assert deep.any()
    for middle, angle in zip(middles[deep], angles[deep], strict=True):
        turn = np.array(((np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))))
        local = (discs[:, :2] - middle) @ turn.T
        gap = np.hypot(*np.maximum(np.abs(local) - cell / 2, 0).T) - discs[:, 2]
        assert gap.min() <= 0
    depth = polygon.edge_distance(discs[:, :2], corners)
    assert np.all(discs[:, 2] <= depth + 1e-9)
