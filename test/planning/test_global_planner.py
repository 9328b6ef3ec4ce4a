from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from edge_robot.bench.planning.global_plan import shortest
from edge_robot.planning.costmap import Grid, distance_to
from edge_robot.planning.global_planner import GlobalPlannerConfig, NoPath, plan

CONFIG = GlobalPlannerConfig()


def room(width: float, height: float, boxes: list[tuple[float, float, float, float]]) -> Grid:
    """Evidence of a walled room seen whole, with boxes x0, y0, x1, y1 in it."""
    values = np.full((round(height / 0.05), round(width / 0.05)), -4, np.int8)
    values[[0, -1]] = 6
    values[:, [0, -1]] = 6
    for box in boxes:
        c0, r0, c1, r1 = (round(v / 0.05) for v in box)
        values[max(r0, 0) : r1, max(c0, 0) : c1] = 6
    return Grid(values, (0.0, 0.0), 0.05)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_paths_keep_clear_of_obstacles_and_join_start_and_goal(seed) -> None:
    random = np.random.default_rng(seed)
    corners = random.uniform((2, 0.5), (10, 6.5), (6, 2))
    sides = random.uniform(0.2, 1.5, (6, 2))
    grid = room(13.0, 8.0, [tuple(box) for box in np.hstack((corners, corners + sides))])
    start, goal = (1.0, float(random.uniform(1, 7))), (12.0, float(random.uniform(1, 7)))
    try:
        path = plan(grid, start, goal, CONFIG).path
    except NoPath:
        # Refusing is right only if a disc of the required clearance cannot pass.
        free = distance_to(grid.values > 0, 0.05, 3.0) > CONFIG.path_clearance + 0.15
        parts, _ = ndimage.label(free)
        assert parts[grid.cell(*start)] != parts[grid.cell(*goal)] or not parts[grid.cell(*goal)]
        return
    np.testing.assert_allclose(path[0], start)
    np.testing.assert_allclose(path[-1], goal)
    steps = np.hypot(*np.diff(path, axis=0).T)
    assert steps.max() < 0.11
    field = Grid(distance_to(grid.values > 0, 0.05, 3.0), grid.origin, 0.05)
    assert field.at(path[:, 0], path[:, 1]).min() > CONFIG.path_clearance - 0.11
    assert steps.sum() < 40


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_paths_are_as_short_as_the_shortest_in_any_direction(seed) -> None:
    random = np.random.default_rng(seed)
    corners = random.uniform((2, 0.2), (10, 6.5), (7, 2))
    sides = random.uniform(0.2, 1.8, (7, 2))
    grid = room(13.0, 8.0, [tuple(box) for box in np.hstack((corners, corners + sides))])
    config = GlobalPlannerConfig(search_resolution=0.05, path_comfort=0.0)
    start, goal = (1.0, float(random.uniform(1, 7))), (12.0, float(random.uniform(1, 7)))
    free = distance_to(grid.values > 0, 0.05, 3.0) >= config.path_clearance
    exact = 0.05 * shortest(free, grid.cell(*start), grid.cell(*goal))
    try:
        path = plan(grid, start, goal, config).path
    except NoPath:
        assert exact == np.inf
        return
    assert np.hypot(*np.diff(path, axis=0).T).sum() < 1.02 * exact + 0.05


def test_in_an_empty_room_the_path_is_straight() -> None:
    path = plan(room(20.0, 12.0, []), (2.0, 2.0), (17.0, 8.0), CONFIG).path
    direct = np.hypot(15.0, 6.0)
    assert np.hypot(*np.diff(path, axis=0).T).sum() < 1.01 * direct


def test_the_path_keeps_to_the_middle_of_a_door() -> None:
    wall = [(5.0, 0.0, 5.3, 3.0), (5.0, 4.2, 5.3, 8.0)]
    path = plan(room(10.0, 8.0, wall), (1.0, 1.0), (9.0, 1.0), CONFIG).path
    crossing = path[np.argmin(np.abs(path[:, 0] - 5.15))]
    assert crossing[1] == pytest.approx(3.6, abs=0.2)


def test_the_cost_to_go_leads_downhill_along_the_path() -> None:
    result = plan(room(10.0, 8.0, [(4.0, 0.0, 6.0, 6.0)]), (1.0, 1.0), (9.0, 1.0), CONFIG)
    along = result.cost_to_go.at(result.path[:, 0], result.path[:, 1])
    assert along[-1] == 0.0
    assert np.all(np.diff(along) < 0.06)
    assert along[0] > 14.0


@pytest.mark.parametrize(
    ("goal", "reason"),
    [
        ((5.0, 4.0), "obstacle"),
        ((50.0, 4.0), "outside"),
        ((0.1, 4.0), "obstacle"),
        ((8.5, 7.0), "blocked"),
        ((np.nan, 4.0), "outside"),
    ],
)
def test_a_goal_that_cannot_be_reached_is_refused_with_the_reason(goal, reason) -> None:
    cell = [(7.0, 5.0, 7.3, 8.0), (7.0, 5.0, 10.0, 5.3)]
    with pytest.raises(NoPath, match=reason):
        plan(room(10.0, 8.0, [(4.0, 3.0, 6.0, 5.0), *cell]), (1.0, 1.0), goal, CONFIG)


@pytest.mark.parametrize("start", [(-1.0, 4.0), (np.nan, 4.0), (np.inf, 4.0)])
def test_a_robot_outside_the_map_is_refused(start) -> None:
    with pytest.raises(NoPath, match=r"the robot .* outside"):
        plan(room(10.0, 8.0, []), start, (8.0, 4.0), CONFIG)


def test_a_robot_that_stands_too_near_a_wall_still_gets_a_path() -> None:
    path = plan(room(10.0, 8.0, []), (0.2, 4.0), (8.0, 4.0), CONFIG).path
    np.testing.assert_allclose(path[-1], (8.0, 4.0))


def test_a_robot_too_near_a_wall_does_not_leave_through_it() -> None:
    grid = room(10.0, 8.0, [(5.0, 0.0, 5.05, 7.0)])
    path = plan(grid, (4.83, 1.0), (8.0, 1.0), CONFIG).path
    assert np.hypot(*np.diff(path, axis=0).T).sum() > 12.0
    assert not np.any(grid.at(path[:, 0], path[:, 1]) > 0)


def test_a_robot_that_stands_on_a_mark_leaves_it() -> None:
    path = plan(room(10.0, 8.0, [(1.95, 3.95, 2.05, 4.05)]), (2.0, 4.0), (8.0, 4.0), CONFIG).path
    np.testing.assert_allclose(path[-1], (8.0, 4.0))


def test_a_gap_that_coarse_cells_close_is_found_on_fine_ones() -> None:
    wall = [(5.0, 0.0, 5.3, 3.05), (5.0, 3.55, 5.3, 8.0)]
    result = plan(room(10.0, 8.0, wall), (1.0, 1.0), (9.0, 1.0), CONFIG)
    assert result.cost_to_go.resolution == 0.05
    with pytest.raises(NoPath, match="blocked"):
        plan(room(10.0, 8.0, [wall[0], (5.0, 3.4, 5.3, 8.0)]), (1.0, 1.0), (9.0, 1.0), CONFIG)


def test_corners_are_rounded() -> None:
    path = plan(room(12.0, 8.0, [(4.0, 0.0, 6.0, 5.0)]), (1.0, 1.0), (11.0, 1.0), CONFIG).path
    heading = np.unwrap(np.arctan2(*np.diff(path, axis=0).T[::-1]))
    assert np.ptp(heading) > 1.5
    assert np.abs(np.diff(heading)).max() < 0.35
    assert np.hypot(*np.diff(path, axis=0).T) == pytest.approx(0.1, abs=0.01)


def test_around_the_robot_guidance_has_a_value_everywhere() -> None:
    grid = room(60.0, 12.0, [(20.0, 0.0, 20.3, 9.0), (25.0, 4.0, 27.0, 6.0)])
    result = plan(grid, (15.0, 2.0), (55.0, 2.0), CONFIG)
    to_go = result.cost_to_go
    assert np.all(np.isfinite(to_go.values))
    assert to_go.values.shape == (120, 351)
    along = to_go.at(result.path[:, 0], result.path[:, 1])[: int(18 / 0.1)]
    assert np.all(np.diff(along) < 0.06)
    # Into an obstacle it rises steeply.
    assert to_go.at(np.array([26.0]), np.array([5.0]))[0] > along[0] + 100


def test_a_tall_map_and_a_wide_one_give_mirrored_paths() -> None:
    wide = room(14.0, 6.0, [(5.0, 0.0, 6.0, 4.0)])
    tall = Grid(np.ascontiguousarray(wide.values.T), wide.origin, wide.resolution)
    a = plan(wide, (1.0, 1.0), (12.0, 1.0), CONFIG).path
    b = plan(tall, (1.0, 1.0), (1.0, 12.0), CONFIG).path
    assert np.hypot(*np.diff(a, axis=0).T).sum() == pytest.approx(
        np.hypot(*np.diff(b, axis=0).T).sum(), rel=0.02
    )


def test_unknown_space_is_passable_but_seen_space_is_preferred() -> None:
    grid = room(12.0, 8.0, [])
    unknown = grid.values.copy()
    unknown[20:-20, 60:180] = 0
    through_unknown = np.zeros_like(unknown)
    path = plan(Grid(through_unknown, grid.origin, 0.05), (1.0, 4.0), (11.0, 4.0), CONFIG).path
    assert np.hypot(*np.diff(path, axis=0).T).sum() < 10.2
    around = plan(
        Grid(unknown, grid.origin, 0.05),
        (1.0, 1.5),
        (11.0, 1.5),
        GlobalPlannerConfig(path_unknown=5.0),
    ).path
    assert around[:, 1].min() < 1.0
