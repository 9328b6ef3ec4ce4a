"""Boxes are as far off as they say: errors against their own covariance, on ray-cast scenes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lidar_scene import Block, sweep

from edge_robot.perception.lidar.detector import LidarConfig, LidarDetector
from edge_robot.perception.lidar.uncertainty import UncertaintyConfig, box_uncertainty

CHI_SQUARE_95 = 5.99  # of two degrees of freedom
TRIALS = 80
DETECTOR = LidarDetector(LidarConfig())
Scene = Callable[[np.random.Generator, float, float], list[Block]]


def anyhow(rng: np.random.Generator, r: float, a: float) -> list[Block]:
    """A box of any size and heading."""
    length, width, height = rng.uniform((0.3, 0.3, 0.8), (1.2, 1.0, 1.8))
    return [Block(r * np.cos(a), r * np.sin(a), length, width, height, rng.uniform(-3, 3))]


def one_face(rng: np.random.Generator, r: float, a: float) -> list[Block]:
    """A box that shows one face: its depth is hidden."""
    block = anyhow(rng, r, a)[0]
    return [Block(block.x, block.y, block.length, block.width, block.height, a)]


def person(rng: np.random.Generator, r: float, a: float) -> list[Block]:
    return [Block(r * np.cos(a), r * np.sin(a), 0.3, 0.5, 1.7, rng.uniform(-3, 3))]


def half_hidden(rng: np.random.Generator, r: float, a: float) -> list[Block]:
    """A box one end of which is behind a post."""
    beside = a + 1.6 * np.arctan(0.3 / r) * rng.choice([-1, 1])
    post = Block(r / 2 * np.cos(beside), r / 2 * np.sin(beside), 0.2, 0.35, 1.9, a)
    return [*anyhow(rng, r, a), post]


@pytest.mark.parametrize("scene", [anyhow, one_face, person, half_hidden])
def test_errors_are_consistent_with_the_covariance(scene: Scene) -> None:
    """The squared error in units of the covariance is 2 on average where both agree."""
    rng = np.random.default_rng(11)
    squared, turned = [], []
    for trial in range(TRIALS):
        blocks = scene(rng, rng.uniform(2.5, 9.0), rng.uniform(-3.1, 3.1))
        found = DETECTOR.detect(sweep(blocks, noise=0.015, seed=trial))
        error = found.centers[:, :2] - (blocks[0].x, blocks[0].y)
        i = int(np.hypot(*error.T).argmin()) if len(found) else 0
        if not len(found) or np.hypot(*error[i]) > 1.0:
            continue  # the post hides it, or its narrow side is all there is to see
        covariance = found.uncertainty.covariance[i]
        squared.append(error[i] @ np.linalg.solve(covariance[:2, :2], error[i]))
        turn = (found.yaws[i] - blocks[0].yaw + np.pi / 4) % (np.pi / 2) - np.pi / 4
        turned.append(turn / np.sqrt(covariance[5, 5]))
    assert len(squared) > 0.9 * TRIALS
    assert 0.7 < np.mean(squared) < 3.2
    assert np.mean(np.array(squared) < CHI_SQUARE_95) > 0.92
    assert np.mean(np.abs(turned) < 2.0) > 0.88


def test_a_hidden_depth_is_unsure_along_the_line_of_sight_alone() -> None:
    found = DETECTOR.detect(sweep([Block(5.0, 0.0, 0.5, 0.8, 1.5)]))
    along, across = np.diag(found.uncertainty.covariance[0])[:2]
    assert along > 20 * across
    both_sides = DETECTOR.detect(sweep([Block(5.0, 0.0, 0.5, 0.8, 1.5, np.pi / 4)]))
    assert both_sides.uncertainty.covariance[0, 0, 0] < along / 4


def test_what_is_cut_off_is_unsure_across() -> None:
    thing = Block(6.0, 0.0, 0.5, 1.0, 1.2)
    free = DETECTOR.detect(sweep([thing]))
    behind = DETECTOR.detect(sweep([thing, Block(3.0, 0.35, 0.3, 0.4, 1.9)]))
    points = sweep([thing])
    # Half of the thing is beyond the edge of the view.
    edge = DETECTOR.detect(points[np.arctan2(points[:, 1], points[:, 0]) < 0.02])
    for found in (behind, edge):
        i = int(np.abs(found.centers[:, 0] - 6.0).argmin())
        assert found.uncertainty.covariance[i, 1, 1] > 10 * free.uncertainty.covariance[0, 1, 1]


def test_what_reaches_over_the_view_is_unsure_in_height() -> None:
    wall = Block(-8.0, 0.0, 0.2, 20.0, 3.0)
    near, far = (
        DETECTOR.detect(sweep([Block(x, 0.0, 0.4, 0.4, 1.8), wall])).uncertainty for x in (2.0, 6.0)
    )
    assert near.size_sigma[0, 2] > 3 * far.size_sigma[0, 2]


finite = st.floats(-20.0, 20.0, width=32)
positive = st.floats(0.0, 5.0, width=32)


@settings(max_examples=200, deadline=None)
@given(
    center=st.tuples(finite, finite, finite),
    size=st.tuples(positive, positive, positive),
    yaw=st.floats(-1.5, 1.5, width=32),
    cuts=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_covariances_are_symmetric_and_positive(
    center: tuple[float, float, float],
    size: tuple[float, float, float],
    yaw: float,
    cuts: tuple[bool, bool, bool],
) -> None:
    found = box_uncertainty(
        np.array([center], np.float32),
        np.array([size], np.float32),
        np.array([yaw], np.float32),
        np.array([0.02], np.float32),
        np.array([cuts]),
        azimuth_step=0.0087,
        config=UncertaintyConfig(),
    )
    covariance = found.covariance[0]
    assert np.isfinite(covariance).all()
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-12)
    assert np.linalg.eigvalsh(covariance).min() > 0.0
    assert (found.size_sigma > 0.0).all()
