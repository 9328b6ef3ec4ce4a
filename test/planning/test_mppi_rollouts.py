"""Compiled and NumPy rollouts judge alike; the cost knows the exact outline."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.planning import polygon
from edge_robot.planning.costmap import Grid, distance_to
from edge_robot.planning.kinematics import Motion, steering_angle
from edge_robot.planning.mppi import Guidance, MppiConfig, arrays
from edge_robot.planning.mppi.scene import Body, Crowd, Field, Scene, Weights
from edge_robot.planning.robot import Footprint, Limits, MovingObjects, State

CELL = 0.05
CONFIG = MppiConfig(steps=30)
DRIVES = ("differential", "omnidirectional", "ackermann")
L_SHAPE = "[[0.3, -0.2], [0.3, 0.2], [0.1, 0.2], [0.1, 0.0], [-0.3, 0.0], [-0.3, -0.2]]"
FOOTPRINTS = [Footprint(), Footprint(1.2, 0.5), Footprint(polygon=L_SHAPE)]


def crowd(random: np.random.Generator, count: int) -> MovingObjects:
    root = random.normal(0, 0.2, (count, 4, 4))
    return MovingObjects(
        np.arange(count),
        random.uniform(0, 8, (count, 2)),
        random.normal(0, 0.8, (count, 2)),
        random.uniform(0.1, 0.6, (count, 2)),
        random.uniform(-3, 3, count),
        root @ root.transpose(0, 2, 1),
    )


def scene(random: np.random.Generator, drive: str, footprint: Footprint, people: int) -> Scene:
    occupied = random.random((160, 160)) < 0.002
    distance = Grid(distance_to(occupied, CELL, 6.0), (0.0, 0.0), CELL)
    slope = np.hypot(*np.meshgrid(np.arange(80) * 0.1 - 7, np.arange(80) * 0.1 - 4))
    guidance = Guidance(Grid(slope, (0.0, 0.0), 0.1), Grid(np.abs(slope - 3), (0.0, 0.0), 0.1))
    limits, body = Limits(drive=drive), Body.of(footprint, CELL)
    state = State(*random.uniform(3, 5, 2), *random.uniform((-3, 0, -1), (3, 1.4, 1)))
    return Scene(
        (state.x, state.y, state.yaw, state.v, state.w, 0.0, steering_angle(limits, state)),
        Motion.of(limits, CONFIG.dt),
        Weights.of(CONFIG),
        body,
        Field.of(distance, "distance"),
        Field.of(guidance.cost_to_go, "cost to go"),
        Field.of(guidance.path_distance, "distance to the path"),
        Crowd.of(crowd(random, people), state, CONFIG, body, 1.5),
    )


def judged(rollouts, commands: np.ndarray, scene: Scene) -> tuple[np.ndarray, ...]:
    reached = np.zeros_like(commands)
    cost, meets = np.zeros(commands.shape[1], np.float32), np.zeros(commands.shape[1], bool)
    rollouts.judge(commands, 0, len(cost), scene, reached, cost, meets)
    return reached, cost, meets, rollouts.clearance_at_start(scene), rollouts.gaps_at_start(scene)


@pytest.mark.parametrize("drive", DRIVES)
def test_compiled_and_numpy_rollouts_agree(drive: str) -> None:
    pytest.importorskip("numba")
    from edge_robot.planning.mppi import kernels

    channels = 3 if drive == "omnidirectional" else 2
    compared = 0
    for seed in range(6):
        random = np.random.default_rng(seed)
        one = scene(random, drive, FOOTPRINTS[seed % 3], people=seed)
        # Knots, so that many get somewhere.
        knots = random.normal(0.3, 0.8, (channels, 150, 6))
        commands = np.repeat(knots.clip(-1, 1), 5, axis=2).astype(np.float32)
        compiled, plain = judged(kernels, commands, one), judged(arrays, commands, one)
        finite = np.isfinite(compiled[1])
        # Single and double precision may look into neighbouring cells, or see one sample that
        # just touches differently; hardly more.
        assert np.count_nonzero(finite != np.isfinite(plain[1])) <= 1
        finite &= np.isfinite(plain[1])
        compared += np.count_nonzero(finite)
        np.testing.assert_allclose(compiled[0][:, finite], plain[0][:, finite], atol=1e-4)
        np.testing.assert_allclose(compiled[1][finite], plain[1][finite], atol=2e-3, rtol=1e-3)
        assert np.count_nonzero(compiled[2][finite] != plain[2][finite]) <= 1
        assert compiled[3] == pytest.approx(plain[3], abs=1e-4)
        assert compiled[4] == pytest.approx(plain[4], abs=1e-4)
    assert compared > 150


corner = st.tuples(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6))


@st.composite
def star_shaped(draw: st.DrawFn) -> str:
    """A polygon seen whole from a point inside, convex or not, base_link in it or not."""
    count = draw(st.integers(3, 8))
    radii = draw(st.lists(st.floats(0.1, 0.6), min_size=count, max_size=count))
    angle = (np.arange(count) + 0.3) * 2 * np.pi / count
    middle = draw(corner)
    points = np.array(middle) + np.array(radii)[:, None] * np.stack(
        (np.cos(angle), np.sin(angle)), 1
    )
    return str(points.tolist())


@settings(max_examples=60, deadline=None)
@given(star_shaped(), corner, st.floats(-3.2, 3.2), st.integers(0, 2**31), st.floats(0.0005, 0.02))
def test_clearance_is_that_of_the_polygon(text, place, yaw, seed, density) -> None:
    """Against brute force: the distance from the true polygon to every occupied cell's square."""
    footprint = Footprint(polygon=text)
    random = np.random.default_rng(seed)
    occupied = random.random((80, 80)) < density
    field = Field.of(Grid(distance_to(occupied, CELL, 2.0), (-2.0, -2.0), CELL), "distance")
    start = (*place, yaw, 0.0, 0.0, 0.0, 0.0)
    poses = arrays.at_start(start)
    got = float(arrays.clearance(poses, Body.of(footprint, CELL), field, 0.5)[0, 0])
    turn = np.array(((np.cos(yaw), -np.sin(yaw)), (np.sin(yaw), np.cos(yaw))))
    true = min(0.5, true_distance(footprint.corners @ turn.T + place, occupied))
    # An obstacle inside may count as deeper than it is, but never as outside.
    assert got < true + TOLERANCE
    assert got > (true - TOLERANCE if true > 0 else -np.inf)


TOLERANCE = 0.7 * CELL


def true_distance(corners: np.ndarray, occupied: np.ndarray) -> float:
    """From a polygon to the squares of occupied cells on a grid from (-2, -2) on."""
    least = np.inf
    for row, column in np.argwhere(occupied):
        low = np.array((column, row)) * CELL - 2.0
        square = low + CELL * np.array(((0, 0), (1, 0), (1, 1), (0, 1)))
        if polygon.contains(square, corners).any() or polygon.contains(corners, square).any():
            return 0.0
        a, b = corners, np.roll(corners, -1, 0)
        c, d = square, np.roll(square, -1, 0)
        if crossing(a, b, c, d):
            return 0.0
        least = min(
            least,
            polygon.edge_distance(square, corners).min(),
            polygon.edge_distance(corners, square).min(),
        )
    return float(least)


def crossing(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> bool:
    """Whether any of the edges a to b crosses any of the edges c to d."""

    def side(p, q, r):
        u, v = q - p, r - p
        return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]

    a, b = a[:, None], b[:, None]
    return bool(((side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)).any())


def test_uncertainty_counts_along_the_line_between() -> None:
    """A straight way past somebody who is badly located along the way, or across it."""
    commands = np.zeros((2, 1, 30), np.float32)
    commands[0] = 1.0
    costs = []
    for along, across in ((0.3, 0.02), (0.02, 0.3)):
        one = scene(np.random.default_rng(0), "differential", Footprint(), people=1)
        # Aslant: along the axes both are uncertain alike.
        one = one._replace(start=(3.0, 3.0, np.pi / 4, 1.0, 0.0, 0.0, 0.0))
        x, y, yaw = one.start[:3]
        ahead, left = np.array((np.cos(yaw), np.sin(yaw))), np.array((-np.sin(yaw), np.cos(yaw)))
        axes = np.stack((ahead, left), 1)
        cov = axes @ np.diag((along**2, across**2)) @ axes.T
        steps = one.crowd.centre.shape[0]
        somebody = one.crowd._replace(
            centre=np.tile((x, y) + 1.5 * ahead + 1.0 * left, (steps, 1, 1)),
            covariance=np.tile((cov[0, 0], cov[0, 1], cov[1, 1]), (steps, 1, 1)),
            box=np.array([[0.2, 0.2, 1.0, 0.0]]),
        )
        free = one.obstacles._replace(values=np.full((160, 160), 6.0, np.float32))
        costs.append(judged(arrays, commands, one._replace(crowd=somebody, obstacles=free))[1][0])
    assert costs[1] > costs[0] + 0.2
