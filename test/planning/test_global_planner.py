from __future__ import annotations

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.planning.costmap import Grid, distance_to
from edge_robot.planning.global_planner import GlobalPlannerConfig, NoPath, _sweep, plan

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


def dijkstra(cost: np.ndarray, seed: tuple[int, int]) -> np.ndarray:
    value = np.full(cost.shape, np.inf)
    value[seed] = 0.0
    queue = [(0.0, seed)]
    while queue:
        here, (i, j) = heapq.heappop(queue)
        if here > value[i, j]:
            continue
        for di in (-1, 0, 1):
            for dj in (-1, 0, 1):
                a, b = i + di, j + dj
                if (di or dj) and 0 <= a < cost.shape[0] and 0 <= b < cost.shape[1]:
                    there = here + 0.5 * np.hypot(di, dj) * (cost[i, j] + cost[a, b])
                    if there < value[a, b] - 1e-12:
                        value[a, b] = there
                        heapq.heappush(queue, (there, (a, b)))
    return value


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31))
def test_sweeping_finds_what_dijkstra_finds(seed) -> None:
    random = np.random.default_rng(seed)
    cost = 1.0 + random.random((17, 26)) * 3
    cost[random.random(cost.shape) < 0.35] = 1000.0
    start = (int(random.integers(17)), int(random.integers(26)))
    steps = _sweep(cost, start)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value = end.value
            break
    np.testing.assert_allclose(value, dijkstra(cost, start), rtol=1e-6)


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
        reached = np.where(free, 1.0, 1e6)
        cells = [tuple((np.array(p)[::-1] / 0.05).astype(int)) for p in (start, goal)]
        assert dijkstra(reached, cells[0])[cells[1]] > 1e5
        return
    np.testing.assert_allclose(path[0], start)
    np.testing.assert_allclose(path[-1], goal)
    steps = np.hypot(*np.diff(path, axis=0).T)
    assert steps.max() < 0.11
    field = Grid(distance_to(grid.values > 0, 0.05, 3.0), grid.origin, 0.05)
    assert field.at(path[:, 0], path[:, 1]).min() > CONFIG.path_clearance - 0.11
    assert steps.sum() < 40


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
    ],
)
def test_a_goal_that_cannot_be_reached_is_refused_with_the_reason(goal, reason) -> None:
    cell = [(7.0, 5.0, 7.3, 8.0), (7.0, 5.0, 10.0, 5.3)]
    with pytest.raises(NoPath, match=reason):
        plan(room(10.0, 8.0, [(4.0, 3.0, 6.0, 5.0), *cell]), (1.0, 1.0), goal, CONFIG)


def test_a_robot_that_stands_too_near_a_wall_still_gets_a_path() -> None:
    path = plan(room(10.0, 8.0, []), (0.2, 4.0), (8.0, 4.0), CONFIG).path
    np.testing.assert_allclose(path[-1], (8.0, 4.0))


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
