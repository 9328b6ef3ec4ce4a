from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from edge_robot.errors import UserError
from edge_robot.planning.costmap import (
    Costmap,
    CostmapConfig,
    Grid,
    RangeScan,
    distance_to,
    occupancy,
)
from edge_robot.planning.robot import MovingObjects
from edge_robot.planning.static_map import StaticMap

NOTHING = MovingObjects.none()


def scan(x: float, y: float, yaw: float, ranges: np.ndarray) -> RangeScan:
    angles = (np.arange(len(ranges)) + 0.5) * 2 * np.pi / len(ranges) - np.pi
    return RangeScan(x, y, yaw, angles, ranges)


def person(x: float, y: float) -> MovingObjects:
    return MovingObjects(
        np.ones(1, np.int64),
        np.array([[x, y]]),
        np.array([[1.0, 0.0]]),
        np.full((1, 2), 0.25),
        np.zeros(1),
        np.eye(4)[None],
    )


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(-3, 3)),
    st.lists(st.floats(0.3, 6.0), min_size=16, max_size=16),
)
def test_ray_clearing_agrees_with_walking_along_every_ray(pose, knots) -> None:
    # Smooth walls of arbitrary shape, so that what lies between two rays is known as well.
    ranges = np.interp(np.arange(360) / 360 * 16, np.arange(17), [*knots, knots[0]])
    seen = scan(*pose, ranges)
    costmap = Costmap(CostmapConfig(resolution=0.1))
    costmap.integrate("scan", seen, NOTHING)
    grid = costmap.grid
    direction = seen.yaw + seen.angles
    ux, uy = np.cos(direction), np.sin(direction)

    ends_x, ends_y = seen.x + ranges * ux, seen.y + ranges * uy
    assert np.all(grid.at(ends_x, ends_y) > 0), "a ray's end is not marked"

    # Naive: a cell may be free only if some point of it lies before the end of its ray.
    rows, columns = np.nonzero(grid.values < 0)
    inside = np.linspace(0.0, 1.0, 5)
    x = grid.origin[0] + (columns[:, None, None] + inside[:, None]) * 0.1 - seen.x
    y = grid.origin[1] + (rows[:, None, None] + inside) * 0.1 - seen.y
    turn = (np.arctan2(y, x) - seen.yaw + np.pi) % (2 * np.pi)
    beam = (turn / (2 * np.pi) * 360).astype(int)
    near = np.stack([ranges[(beam + i) % 360] for i in (-1, 0, 1)]).max(0)
    assert np.all((np.hypot(x, y) < near).any((1, 2))), "a cell behind an obstacle was cleared"

    # Well inside, where rays lie close, everything is cleared.
    reach = np.minimum.reduce([np.roll(ranges, i) for i in range(-40, 41)])
    for share in (0.2, 0.5, 0.8):
        at = share * reach - 0.3
        far = at > 0.2
        values = grid.at(seen.x + (at * ux)[far], seen.y + (at * uy)[far])
        assert np.all(values < 0), "a cell in plain view was not cleared"


def test_an_obstacle_that_has_gone_is_cleared_and_one_that_stays_is_kept() -> None:
    costmap = Costmap()
    near, far = np.full(360, 2.0), np.full(360, 4.0)
    for _ in range(5):
        costmap.integrate("scan", scan(0, 0, 0, near), NOTHING)
    assert costmap.grid.at(np.array([1.98]), np.array([0.02]))[0] > 0
    for _ in range(12):
        costmap.integrate("scan", scan(0, 0, 0, far), NOTHING)
    assert costmap.grid.at(np.array([1.98]), np.array([0.02]))[0] < 0
    assert costmap.grid.at(np.array([3.98]), np.array([0.02]))[0] > 0


def test_a_wall_seen_at_a_flat_angle_keeps_no_holes() -> None:
    costmap = Costmap()
    wall = 0.6
    for step in range(60):
        x = step * 0.07
        angles = (np.arange(360) + 0.5) * 2 * np.pi / 360 - np.pi
        with np.errstate(divide="ignore"):
            ranges = np.where(np.sin(angles) > 0, wall / np.sin(angles), np.inf)
        costmap.integrate("scan", scan(x, 0, 0, ranges), NOTHING)
    along = np.arange(0.0, 4.0, 0.05)
    hits = np.stack(
        [costmap.grid.at(along, np.full_like(along, wall + d)) for d in (-0.05, 0, 0.05)]
    )
    assert np.all(hits.max(0) > 0)


def test_moving_objects_leave_no_trail() -> None:
    costmap = Costmap()
    for step in range(20):
        x = 1.0 + 0.05 * step
        ranges = np.full(360, np.inf)
        ranges[170:190] = x - 0.25
        costmap.integrate("scan", scan(0, 0, 0, ranges), person(x, 0.0))
    assert not np.any(costmap.grid.values > 0)


def test_what_was_marked_before_an_object_was_known_to_move_is_taken_back() -> None:
    costmap = Costmap()
    ranges = np.full(360, np.inf)
    ranges[175:185] = 2.0
    costmap.integrate("scan", scan(0, 0, 0, ranges), NOTHING)
    for nothing in (NOTHING, person(2.7, 0.0), person(500.0, 0.0)):
        costmap.unmark(nothing, 0.0)
    assert np.any(costmap.grid.values > 0)
    costmap.unmark(person(2.7, 0.0), 0.7)
    assert not np.any(costmap.grid.values > 0)


def test_a_layer_does_not_clear_what_another_marked() -> None:
    costmap = Costmap()
    box = np.array([[2.0, 0.0]])
    costmap.integrate("lidar", RangeScan.from_points(0, 0, 0, box, 360), NOTHING)
    for _ in range(20):
        costmap.integrate("scan", scan(0, 0, 0, np.full(360, 5.0)), NOTHING)
    assert costmap.grid.at(np.array([1.98]), np.array([0.02]))[0] > 0
    assert costmap.distance_field(0, 0, 4.0).at(np.array([1.98]), np.array([0.02]))[0] == 0


def test_the_lidar_clears_nothing_in_its_blind_zone() -> None:
    costmap = Costmap()
    for _ in range(3):
        costmap.integrate(
            "lidar", RangeScan.from_points(0, 0, 0, np.array([[2.0, 0]]), 360), NOTHING
        )
    nothing = RangeScan.from_points(1.0, 0, 0, np.empty((0, 2)), 360)
    for _ in range(20):
        costmap.integrate("lidar", nothing, NOTHING, blind_range=1.5)
    assert costmap.grid.at(np.array([1.98]), np.array([0.02]))[0] > 0
    for _ in range(20):
        costmap.integrate("lidar", nothing, NOTHING, blind_range=0.5)
    assert costmap.grid.at(np.array([1.98]), np.array([0.02]))[0] < 0


def test_rays_that_tell_nothing_change_nothing_behind_them() -> None:
    costmap = Costmap()
    ranges = np.full(360, 3.0)
    ranges[90:270] = np.nan
    costmap.integrate("scan", scan(0, 0, 0, ranges), NOTHING)
    assert costmap.grid.at(np.array([1.5]), np.array([0.0]))[0] == 0
    assert costmap.grid.at(np.array([-1.5]), np.array([0.0]))[0] < 0


def test_the_map_grows_and_keeps_what_it_holds() -> None:
    costmap = Costmap()
    costmap.integrate("scan", scan(0, 0, 0, np.full(360, 2.0)), NOTHING)
    before = costmap.grid
    occupied = before.values > 0
    rows, columns = np.nonzero(occupied)
    x = before.origin[0] + (columns + 0.5) * before.resolution
    y = before.origin[1] + (rows + 0.5) * before.resolution
    assert costmap.include(-37.0, 25.0, 3.0)
    after = costmap.grid
    assert after.contains(-37.0, 25.0)
    assert np.all(after.at(x, y) > 0)
    assert np.count_nonzero(after.values > 0) == np.count_nonzero(occupied)
    assert not costmap.include(500.0, 0.0, 3.0)


def test_driving_on_for_ever_it_forgets_what_lies_behind() -> None:
    costmap = Costmap(CostmapConfig(max_map_side=40.0))
    for x in (*range(0, 100, 3), *range(100, -40, -3)):
        costmap.integrate("scan", scan(x, 0.5 * x, 0, np.full(360, 2.0)), NOTHING)
        assert costmap.grid.at(np.array([x - 1.98]), np.array([0.5 * x + 0.02]))[0] > 0
        field = costmap.distance_field(x, 0.5 * x, 6.0)
        assert field.values.shape == (240, 240)
        assert field.at(np.array([x - 1.98]), np.array([0.5 * x + 0.02]))[0] == 0
        assert max(costmap.grid.values.shape) <= 800


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31))
def test_distance_field_is_the_euclidean_distance(seed) -> None:
    random = np.random.default_rng(seed)
    occupied = random.random((24, 31)) < 0.03
    occupied[random.integers(24), random.integers(31)] = True
    exact_points = np.argwhere(occupied)
    cells = np.argwhere(np.ones_like(occupied))
    exact = np.linalg.norm(cells[:, None] - exact_points[None], axis=2).min(1).reshape(24, 31)
    exact = np.where(occupied, 0.0, np.minimum((exact - 0.5) * 0.1, 3.0))
    np.testing.assert_allclose(distance_to(occupied, 0.1, 3.0), exact, atol=0.025 * 3.0)


def test_interpolation_is_exact_for_a_plane() -> None:
    rows, columns = np.indices((20, 30))
    x, y = (columns + 0.5) * 0.1 - 1.0, (rows + 0.5) * 0.1 + 2.0
    grid = Grid((3 * x - 2 * y).astype(np.float32), (-1.0, 2.0), 0.1)
    px, py = np.float32([-0.7, 0.33, 1.9]), np.float32([2.2, 3.01, 3.9])
    np.testing.assert_allclose(grid.interpolated(px, py), 3 * px - 2 * py, atol=1e-4)


def test_occupancy_for_people_shows_what_was_seen() -> None:
    costmap = Costmap()
    costmap.integrate("scan", scan(0.3, 0.2, 0, np.full(720, 2.0)), NOTHING)
    shown = occupancy(costmap.grid, 2)
    assert shown.resolution == 0.1
    assert 40 <= shown.values.shape[0] <= 43
    assert shown.at(np.array([2.3]), np.array([0.2]))[0] == 100
    assert shown.at(np.array([1.0]), np.array([0.2]))[0] == 0
    assert shown.at(np.array([2.2]), np.array([2.1]))[0] == -1


def walled(rows: int, columns: int) -> np.ndarray:
    """Occupancy with a wall all around and one pillar."""
    values = np.zeros((rows, columns), np.int8)
    values[[0, -1]] = values[:, [0, -1]] = 100
    values[10:14, 20:24] = 100
    values[30:, 40:] = -1
    return values


@settings(max_examples=15, deadline=None)
@given(
    st.tuples(st.floats(-20, 20), st.floats(-20, 20), st.floats(-3, 3)),
    st.tuples(st.floats(-20, 20), st.floats(-20, 20), st.floats(-3, 3)),
    st.sampled_from([0.025, 0.05, 0.1]),
)
def test_a_static_map_lies_where_its_frame_and_origin_say(frame, origin, side) -> None:
    occupancy_ = walled(40, 60)
    costmap = Costmap()
    costmap.set_static(StaticMap(occupancy_, side, origin), *frame)
    grid = costmap.grid
    i, j = np.indices(occupancy_.shape)
    places = np.stack(((j + 0.5) * side, (i + 0.5) * side))
    for x, y, yaw in (origin, frame):
        turn = np.array(((np.cos(yaw), -np.sin(yaw)), (np.sin(yaw), np.cos(yaw))))
        places = np.tensordot(turn, places, 1) + np.array((x, y))[:, None, None]
    there = grid.at(*places)
    # Between cells that differ either may be found, so only what has its like around counts.
    like = ndimage.minimum_filter(
        occupancy_, 5, mode="constant", cval=-2
    ) == ndimage.maximum_filter(occupancy_, 5, mode="constant", cval=-2)
    assert np.all(there[like & (occupancy_ == 0)] < 0)
    assert np.all(there[like & (occupancy_ == -1)] == 0)
    middle = places[:, 11:13, 21:23]
    assert np.all(grid.at(*middle) > 0)


def test_sensors_add_to_a_static_map_and_do_not_clear_it() -> None:
    costmap = Costmap()
    costmap.integrate("scan", scan(1.5, 1.5, 0, np.full(360, 1.0)), NOTHING)
    costmap.set_static(StaticMap(walled(40, 60), 0.05, (0.0, 0.0, 0.0)))
    for _ in range(20):
        costmap.integrate("scan", scan(1.5, 1.5, 0, np.full(360, 1.2)), NOTHING)
    seen = costmap.distance_field(1.5, 1.5, 3.0)
    np.testing.assert_array_equal(seen.at(np.array([1.1, 2.68]), np.array([0.6, 1.52])), 0)
    assert seen.at(np.array([0.52]), np.array([1.52]))[0] > 0  # what the first scan marked


def test_a_static_map_larger_than_the_window_rolls_in_and_out() -> None:
    occupancy_ = np.zeros((1000, 2000), np.int8)
    occupancy_[480:490, ::100] = 100
    costmap = Costmap(CostmapConfig(max_map_side=40.0))
    costmap.set_static(StaticMap(occupancy_, 0.05, (0.0, 0.0, 0.0)))
    assert costmap.grid.values.size == 0  # nobody has said yet where the window is
    for x in (*range(10, 90, 5), *range(90, 10, -5)):
        field = costmap.distance_field(x, 24.0, 6.0)
        assert field.at(np.array([x + 0.02]), np.array([24.2]))[0] == 0
        assert max(costmap.grid.values.shape) <= 800


@pytest.mark.parametrize(
    "values",
    [
        {"max_map_side": 20.0},
        {"max_map_side": 500.0},
    ],
)
def test_an_absurd_size_is_refused(values) -> None:
    with pytest.raises(UserError, match=next(iter(values))):
        CostmapConfig(**values)


def test_a_view_that_no_map_can_hold_is_refused() -> None:
    with pytest.raises(UserError, match="max_map_side at least"):
        Costmap(CostmapConfig(max_map_side=40.0)).distance_field(9.0, 0.0, 30.0)
