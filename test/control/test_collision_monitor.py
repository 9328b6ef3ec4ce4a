from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.control.collision_monitor import (
    DEFAULT_ZONES,
    Action,
    MonitorConfig,
    Outline,
    Sight,
    Verdict,
    Zone,
    ZoneMonitor,
    ZoneSettings,
)
from edge_robot.control.observation import DEFAULT_SOURCES, Observation, thinned
from edge_robot.errors import UserError
from edge_robot.planning.robot import State

FRONT, SIDE = 0.21, 0.155
RECTANGLE = np.array([[FRONT, SIDE], [-FRONT, SIDE], [-FRONT, -SIDE], [FRONT, -SIDE]])
ARROW = np.array([[0.35, 0.0], [-0.25, 0.3], [-0.1, 0.0], [-0.25, -0.3]])
CONFIG = MonitorConfig()


def monitor_of(outline: np.ndarray = RECTANGLE, **zones: ZoneSettings) -> ZoneMonitor:
    wanted = zones or DEFAULT_ZONES
    return ZoneMonitor(outline, [Zone.of(n, s, outline) for n, s in wanted.items()])


MONITOR = monitor_of()


def check(v: float, w: float, points: np.ndarray, vy: float = 0.0) -> Verdict:
    return MONITOR.check((v, vy, w), [Sight("scan", points)])


def wall_ahead(distance: float) -> np.ndarray:
    """Points across the way, `distance` in front of the bumper."""
    y = np.linspace(-1.5, 1.5, 200)
    return np.stack((np.full_like(y, FRONT + distance), y), 1)


def gap(points: np.ndarray, state: State, outline: Outline) -> float:
    """Signed distance from the robot to the nearest point."""
    c, s = np.cos(state.yaw), np.sin(state.yaw)
    dx, dy = points[:, 0] - state.x, points[:, 1] - state.y
    return float(outline.distance(dx * c + dy * s, dy * c - dx * s).min())


def drive(
    velocity: tuple[float, float],
    points: np.ndarray,
    seconds: float = 3.0,
    corners: np.ndarray = RECTANGLE,
    driving: bool = False,
) -> tuple[State, float]:
    """Command a velocity without end; return where the robot gets, and the least gap on the way.

    The base answers after 60 ms, its limits are those promised to the monitor, and the scan that
    the monitor sees was taken 50 ms ago and stays for another 100 ms.

    Args:
        velocity: Forward, m/s, and turning, rad/s.
        points: What there is, (n, 2), m.
        seconds: How long to look.
        corners: Of the robot.
        driving: Whether the robot has that velocity at the start.
    """
    monitor, outline = monitor_of(corners), Outline(corners)
    state = State(0.0, 0.0, 0.0, *(velocity if driving else (0.0, 0.0)))
    least = np.inf
    pipe: deque[tuple[float, float]] = deque([(state.v, state.w)] * 3)
    ahead, seen, taken = deque([state]), points, 0
    for tick in range(round(seconds / 0.02)):
        ahead.append(state)
        if tick % 5 == 0:
            past, taken = ahead[max(len(ahead) - 3, 0)], tick - 2
            c, s = np.cos(past.yaw), np.sin(past.yaw)
            seen = (points - (past.x, past.y)) @ np.array([[c, -s], [s, c]])
        sight = Sight("scan", seen, (tick - taken) * 0.02 + 0.01)
        verdict = monitor.check((velocity[0], 0.0, velocity[1]), [sight])
        pipe.append((verdict.velocity[0], verdict.velocity[2]))
        to_v, to_w = pipe.popleft()
        v = state.v + np.clip(to_v - state.v, -CONFIG.decel * 0.02, CONFIG.decel * 0.02)
        w = state.w + np.clip(to_w - state.w, -CONFIG.yaw_decel * 0.02, CONFIG.yaw_decel * 0.02)
        state = State(state.x, state.y, state.yaw, float(v), float(w)).after(0.02)
        least = min(least, gap(points, state, outline))
    return state, least


@settings(deadline=None, max_examples=8)
@given(st.floats(0.3, 2.0), st.floats(0.1, 2.0))
def test_it_always_stops_before_a_wall(speed, distance) -> None:
    state, least = drive((speed, 0.0), wall_ahead(distance), seconds=distance / speed + 2)
    assert least > 0.0
    assert state.v < 0.06


@settings(deadline=None, max_examples=10)
@given(st.floats(0.1, 2.0), st.floats(0.0, 0.5))
def test_at_full_speed_it_stops_wherever_a_stop_is_possible(speed, more) -> None:
    # A scan period of driving unseen, the scan's own age, the answer of the base, and braking.
    needed = speed * (0.1 + 0.05 + CONFIG.latency + CONFIG.dt) + speed**2 / (2 * CONFIG.decel)
    points = wall_ahead(needed + 0.05 + more)
    _, least = drive((speed, 0.0), points, seconds=2.5, driving=True)
    assert least > 0.0


@pytest.mark.parametrize("corners", [RECTANGLE, ARROW], ids=["rectangle", "arrow"])
@settings(deadline=None, max_examples=8)
@given(st.floats(0.2, 1.5), st.floats(-2, 2), st.floats(-0.6, 0.6), st.floats(0.3, 3.0))
def test_it_never_touches_a_post_whatever_the_arc(corners, v, w, bearing, distance) -> None:
    post = np.array([[np.cos(bearing), np.sin(bearing)]]) * (0.4 + distance)
    ring = post + 0.05 * np.stack([f(np.arange(8)) for f in (np.cos, np.sin)], 1)
    _, least = drive((v, w), ring, corners=corners)
    assert least > 0.0


def test_it_comes_close_before_it_stops() -> None:
    state, least = drive((0.5, 0.0), wall_ahead(1.0), seconds=8.0)
    assert 0.0 < least < 0.15
    assert state.x > 0.85


def test_free_motion_passes_unchanged() -> None:
    for points in (np.empty((0, 2)), wall_ahead(4.0), wall_ahead(0.02)):
        verdict = check(0.0, 0.0, points)
        assert (verdict.velocity, verdict.action) == ((0.0, 0.0, 0.0), Action.PASS)
    assert check(1.4, 0.7, wall_ahead(4.0)).velocity == (1.4, 0.0, 0.7)
    beside = np.stack((np.linspace(-2, 4, 100), np.full(100, SIDE + 0.4)), 1)
    assert check(1.4, 0.0, beside).action is Action.PASS
    assert check(0.01, 0.0, wall_ahead(0.12)).velocity == (0.01, 0.0, 0.0)


def test_close_to_something_it_slows_and_keeps_the_arc() -> None:
    beside = np.stack((np.linspace(0.25, 4, 100), np.full(100, SIDE + 0.1)), 1)
    verdict = check(1.4, 0.0, beside)
    assert (verdict.action, verdict.zone, verdict.source) == (Action.SLOW, "slow", "scan")
    assert verdict.velocity[0] == pytest.approx(DEFAULT_ZONES["slow"].speed)
    near = check(0.4, 0.2, wall_ahead(0.13))
    assert near.action is Action.APPROACH
    assert near.velocity[0] / near.velocity[2] == pytest.approx(2.0)


@pytest.mark.parametrize("distance", [0.001, 0.02, 0.04])
def test_it_permits_escaping_from_inside_the_zone(distance) -> None:
    points = wall_ahead(distance)
    forward = check(0.3, 0.0, points)
    assert (forward.velocity, forward.action) == ((0.0, 0.0, 0.0), Action.STOP)
    back = check(-0.3, 0.0, points)
    assert (back.velocity, back.action) == ((-0.3, 0.0, 0.0), Action.PASS)


def test_it_permits_turning_away_and_forbids_turning_into() -> None:
    # A post touching the left flank, at the front: turning left rubs it, turning right frees it.
    post = np.array([[0.15, SIDE + 0.02]])
    assert check(0.0, 0.5, post).action is Action.STOP
    assert check(0.0, -0.5, post).velocity == (0.0, 0.0, -0.5)


def test_an_omnidirectional_base_is_stopped_sideways_too() -> None:
    post = np.array([[0.0, SIDE + 0.03]])
    assert check(0.0, 0.0, post, vy=0.3).action is Action.STOP
    assert check(0.0, 0.0, post, vy=-0.3).velocity == (0.0, -0.3, 0.0)


def test_the_corners_of_the_footprint_count_when_turning() -> None:
    # Reachable by a corner only: the corner's circle has 0.26 m, the flank passes at 0.155 m.
    post = 0.27 * np.array([[np.cos(1.0), np.sin(1.0)]])
    turning = check(0.0, 2.0, post)
    assert (turning.action, turning.zone) == (Action.APPROACH, "approach")
    assert check(0.8, 0.0, post).action is Action.PASS


def test_old_points_are_nearer_than_they_look() -> None:
    wall, monitor = wall_ahead(0.5), monitor_of(approach=ZoneSettings())
    speeds = [
        monitor.check((1.4, 0.0, 0.0), [Sight("scan", wall, age)]).velocity[0]
        for age in (0.0, 0.05, 0.1)
    ]
    assert speeds[0] > speeds[1] > speeds[2]


def test_the_sensor_that_restrains_is_named() -> None:
    free, wall = Sight("scan", wall_ahead(3.0)), Sight("lidar", wall_ahead(0.1))
    for sights in ([free, wall], [wall, free], [Sight("none", np.empty((0, 2))), wall]):
        assert MONITOR.check((0.5, 0.0, 0.0), sights).source == "lidar"


def test_zones_of_a_user() -> None:
    box = "[[0.9, 0.3], [0.2, 0.3], [0.2, -0.3], [0.9, -0.3]]"
    bumper = ZoneSettings(action="stop", points=box, margin=0.0, min_points=3)
    monitor = monitor_of(bumper=bumper)
    for count, expected in ((2, Action.PASS), (3, Action.STOP)):
        points = np.stack((np.full(count, 0.5), 0.02 * np.arange(count)), 1)
        for velocity, action in (((0.2, 0.0, 0.0), expected), ((-0.2, 0.0, 0.0), Action.PASS)):
            verdict = monitor.check(velocity, [Sight("scan", points)])
            assert verdict.action is action, (count, velocity)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (ZoneSettings(points="[[1, 0], [2, 0]]"), "polygon"),
        (ZoneSettings(points="[[0, 0], [1, 1], [1, 0], [0, 1]]"), "polygon"),
        (ZoneSettings(points="0.4 0.3"), "corners"),
    ],
)
def test_what_is_no_zone_is_refused_with_its_name(wrong, why) -> None:
    with pytest.raises(UserError, match=f"'front'.*{why}"):
        Zone.of("front", wrong, RECTANGLE)


@settings(max_examples=30)
@given(st.floats(-1, 1), st.floats(-1, 1))
def test_distances_from_a_polygon_are_those_from_its_edges(x, y) -> None:
    ends = np.roll(ARROW, -1, axis=0)
    share = np.linspace(0, 1, 400)[:, None, None]
    edge = (ARROW + share * (ends - ARROW)).reshape(-1, 2)
    nearest = np.hypot(*(edge - (x, y)).T).min()
    found = float(Outline(ARROW).distance(np.array([x]), np.array([y]))[0])
    assert abs(found) == pytest.approx(nearest, abs=2e-3)
    # Two triangles make the arrow.
    inside = any(_in_triangle((x, y), ARROW[[0, i, i + 1]]) for i in (1, 2))
    assert (found < 0) == inside or nearest < 1e-6


def _in_triangle(point: tuple[float, float], corners: np.ndarray) -> bool:
    (a, b), (x, y) = corners[1:] - corners[0], np.array(point) - corners[0]
    u, v = np.linalg.solve(np.stack((a, b), 1), (x, y))
    return bool(min(u, v, 1 - u - v) >= -1e-9)


def test_only_measurements_of_now_are_believed() -> None:
    second = 1_000_000_000
    seen = Observation("scan", DEFAULT_SOURCES["scan"])
    assert seen.is_stale(0.0)
    assert not seen.reason_against(5 * second, 5 * second + 20_000_000)
    seen.take(wall_ahead(1.0), 5 * second, 5 * second + 20_000_000, 7.0)
    assert seen.sight(7.03).age == pytest.approx(0.05)
    for stamp, why in ((5 * second, "again"), (4 * second, "old"), (6 * second, "future")):
        assert why in seen.reason_against(stamp, 5 * second + 100_000_000)
    assert sum(seen.refused.values()) == 3
    assert not seen.is_stale(7.1)
    assert seen.is_stale(7.2)
    # A recording begins anew: the clock is back, and so are the stamps.
    assert not seen.reason_against(second, second)


def test_thinning_leaves_a_point_near_each() -> None:
    random = np.random.default_rng(0)
    points = random.normal(0, 0.05, (2000, 2))
    kept = thinned(points)
    assert len(kept) < len(points) / 2
    gaps = np.hypot(*(points[:, None] - kept[None]).transpose(2, 0, 1)).min(1)
    assert gaps.max() < 0.0142


class Thorough(Zone):
    """A zone for which every point matters, and long."""

    def horizon(self, braking: float, config: MonitorConfig) -> float:
        return 3.0

    def reach(self, speed: float) -> float:
        return 100.0


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(st.floats(-2, 2), st.floats(-0.5, 0.5), st.floats(-4, 4)),
    st.integers(0, 10_000),
    st.floats(0.0, 0.3),
    st.sampled_from([("approach",), ("slow",), ("stop",), tuple(DEFAULT_ZONES)]),
)
def test_what_is_left_out_would_change_no_verdict(velocity, seed, age, names) -> None:
    random = np.random.default_rng(seed)
    points = np.array([0.26, 0.0]) + random.uniform(-1.5, 1.5, (random.integers(1, 12), 2))
    points = points[Outline(RECTANGLE).distance(*points.T) > 0.0]
    sights = [Sight("scan", points, age)]
    verdicts = [
        ZoneMonitor(
            RECTANGLE, [kind.of(name, DEFAULT_ZONES[name], RECTANGLE) for name in names]
        ).check(velocity, sights)
        for kind in (Zone, Thorough)
    ]
    assert verdicts[0].velocity == pytest.approx(verdicts[1].velocity)
    assert verdicts[0].action is verdicts[1].action
