from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.errors import UserError
from edge_robot.planning.costmap import Grid, distance_to
from edge_robot.planning.global_planner import GlobalPlannerConfig, plan
from edge_robot.planning.mppi import Guidance, Mppi, MppiConfig
from edge_robot.planning.robot import Footprint, Limits, MovingObjects, State

LIMITS, FOOTPRINT = Limits(), Footprint()


def hall(boxes=(), goal=(14.0, 5.0), start=(2.0, 5.0)) -> tuple[Guidance, Grid]:
    values = np.full((200, 320), -4, np.int8)
    values[[0, -1]] = 6
    values[:, [0, -1]] = 6
    for x0, y0, x1, y1 in boxes:
        values[round(y0 * 20) : round(y1 * 20), round(x0 * 20) : round(x1 * 20)] = 6
    grid = Grid(values, (0.0, 0.0), 0.05)
    guidance = Guidance.along(plan(grid, start, goal, GlobalPlannerConfig()))
    return guidance, Grid(distance_to(values > 0, 0.05, 6.0), (0.0, 0.0), 0.05)


OPEN = hall()


def people(*rows: tuple[float, float, float, float]) -> MovingObjects:
    table = np.array(rows, float).reshape(-1, 4)
    count = len(table)
    return MovingObjects(
        np.arange(count),
        table[:, :2],
        table[:, 2:],
        np.full((count, 2), 0.25),
        np.zeros(count),
        np.tile(np.eye(4) * 0.01, (count, 1, 1)),
    )


@pytest.mark.parametrize("drive", ["differential", "omnidirectional", "ackermann"])
@settings(max_examples=20, deadline=None)
@given(
    st.tuples(st.floats(0.5, 15.5), st.floats(0.5, 9.5), st.floats(-3.2, 3.2)),
    st.tuples(st.floats(-0.7, 1.4), st.floats(-1, 1), st.floats(-0.5, 0.5)),
    st.floats(0.1, 1.4),
    st.lists(
        st.tuples(st.floats(0, 16), st.floats(0, 10), st.floats(-2, 2), st.floats(-2, 2)),
        max_size=6,
    ),
)
def test_answers_are_within_limits_whatever_happens(drive, pose, velocity, top, crowd) -> None:
    v, bend, vy = velocity
    limits = Limits(drive=drive)
    w = bend * 2 if drive != "ackermann" else bend * v * np.tan(0.5) / limits.wheelbase
    state = State(*pose, v, w, vy if drive == "omnidirectional" else 0.0)
    mppi = Mppi(limits, FOOTPRINT, MppiConfig(samples=100))
    for call in range(2):
        answer = mppi.plan(0.05 * call, state, OPEN[0], people(*crowd), OPEN[1], top)
        path = answer.trajectory
        values = np.stack((path.time, path.x, path.y, path.yaw, path.v, path.w))
        assert np.isfinite(values).all()
        assert np.abs(np.diff(path.v)).max() <= limits.max_accel * 0.1 + 1e-4
        # What is too fast already may only come down.
        assert np.all(path.v <= np.maximum(top, state.v - 0.2 * np.arange(31)) + 1e-4)
        assert np.all(path.v >= -limits.max_reverse - 1e-4)
        if drive == "ackermann":
            moving = np.abs(path.v) > 0.1
            angle = np.arctan(limits.wheelbase * path.w[moving] / path.v[moving])
            assert np.all(np.abs(angle) <= limits.max_steering + 1e-3)
            together = moving[1:] & moving[:-1] & (np.sign(path.v[1:]) == np.sign(path.v[:-1]))
            angle = np.arctan(limits.wheelbase * path.w / np.where(moving, path.v, 1.0))
            change = np.abs(np.diff(angle))[together]
            assert np.all(change <= limits.max_steering_rate * 0.1 + 1e-3)
        else:
            assert np.abs(np.diff(path.w)).max() <= limits.max_yaw_accel * 0.1 + 1e-4
            assert np.abs(path.w).max() <= limits.max_yaw_rate + 1e-4
        if drive == "omnidirectional":
            assert np.abs(np.diff(path.vy)).max() <= limits.max_lateral_accel * 0.1 + 1e-4
            assert np.abs(path.vy).max() <= limits.max_lateral_speed + 1e-4
        assert (path.x[0], path.y[0]) == pytest.approx(pose[:2])


def test_the_same_seed_gives_the_same_answers() -> None:
    def answers(seed: int) -> np.ndarray:
        mppi = Mppi(LIMITS, FOOTPRINT, seed=seed)
        state = State(2.0, 5.0, 0.3, 0.5, 0.0)
        crowd = people((5.0, 5.5, -0.5, -0.2))
        plans = [mppi.plan(0.05 * i, state, OPEN[0], crowd, OPEN[1]) for i in range(5)]
        return np.stack([answer.trajectory.w for answer in plans])

    np.testing.assert_array_equal(answers(3), answers(3))
    assert not np.array_equal(answers(3), answers(4))


def clearance(trajectory, field: Grid) -> float:
    """Of the exact rectangle, by sampling its outline."""
    u = np.linspace(-1, 1, 15)
    outline = np.concatenate([np.stack((u, s * np.ones(15)), 1) for s in (-1, 1)])
    outline = np.concatenate([outline, outline[:, ::-1]]) * (0.21, 0.155)
    cos, sin = np.cos(trajectory.yaw)[:, None], np.sin(trajectory.yaw)[:, None]
    x = trajectory.x[:, None] + outline[:, 0] * cos - outline[:, 1] * sin
    y = trajectory.y[:, None] + outline[:, 0] * sin + outline[:, 1] * cos
    return float(field.at(x, y).min())


def run(scene: tuple[Guidance, Grid], state: State, crowd: MovingObjects, seconds: float):
    """Follow the plans exactly; yield state and people."""
    mppi = Mppi(LIMITS, FOOTPRINT)
    for step in range(round(seconds / 0.05)):
        answer = mppi.plan(step * 0.05, state, scene[0], crowd, scene[1])
        state = answer.trajectory.at(0.05)
        crowd = replace(crowd.after(0.05), covariance=crowd.covariance)
        yield answer, state, crowd


def test_it_drives_to_the_goal_around_a_wall_and_stays_there() -> None:
    scene = hall([(6.0, 2.5, 6.5, 9.95)])
    drive = list(run(scene, State(2.0, 5.0, 0.0), MovingObjects.none(), 16.0))
    for answer, _, _ in drive:
        assert answer.feasible
        assert clearance(answer.trajectory, scene[1]) > 0
    state = drive[-1][1]
    assert np.hypot(state.x - 14.0, state.y - 5.0) < 0.3
    assert abs(state.v) < 0.1


def test_it_turns_round_when_the_goal_lies_behind() -> None:
    *_, (_, state, _) = run(OPEN, State(8.0, 5.0, np.pi), MovingObjects.none(), 5.0)
    assert state.x > 10.0


@pytest.mark.parametrize(
    "walker",
    [
        (6.0, 2.0, 0.0, 1.0),  # crosses from the right
        (6.0, 8.0, 0.0, -1.0),  # crosses from the left
        (10.0, 5.0, -1.2, 0.0),  # comes straight on
        (4.0, 5.2, 0.4, 0.0),  # walks slowly ahead
        (7.0, 5.0, 0.0, 0.0),  # stands in the way
    ],
)
def test_it_keeps_its_distance_from_people(walker) -> None:
    scene, gap = OPEN, np.inf
    for answer, state, crowd in run(scene, State(2.0, 5.0, 0.0, 1.0), people(walker), 9.0):
        assert answer.feasible
        gap = min(gap, np.hypot(*(crowd.position[0] - (state.x, state.y))) - 0.25 - 0.26)
    assert gap > 0.25
    assert state.x > 8.0


def test_it_stops_when_every_way_touches() -> None:
    guidance, _ = OPEN
    boxed_in = np.ones((200, 320), bool)
    boxed_in[94:106, 35:46] = False  # 0.6 m × 0.55 m around (2.025, 5.0)
    field = Grid(distance_to(boxed_in, 0.05, 6.0), (0.0, 0.0), 0.05)
    answer = Mppi(LIMITS, FOOTPRINT).plan(
        0.0, State(2.025, 5.0, 0.0, 1.2, 0.0), guidance, MovingObjects.none(), field
    )
    assert not answer.feasible
    assert answer.trajectory.v[-1] == 0.0
    assert np.all(np.diff(answer.trajectory.v) <= 0)


def test_a_robot_that_touches_already_may_leave_but_not_go_on() -> None:
    scene = hall([(3.0, 3.0, 3.3, 7.0)])
    field = scene[1]
    # The front is one centimetre from the wall, much nearer than what counts as contact.
    for answer, state, _ in run(scene, State(2.78, 5.0, 0.0), MovingObjects.none(), 12.0):
        assert clearance(answer.trajectory, field) >= 0.0 or state.x < 2.8
    assert state.x > 6.0


def test_it_gives_way_to_somebody_who_walks_into_it() -> None:
    answer = Mppi(LIMITS, FOOTPRINT).plan(
        0.0, State(8.0, 5.0, 0.0, 0.0, 0.0), OPEN[0], people((9.3, 5.0, -1.3, 0.0)), OPEN[1]
    )
    end = answer.trajectory.at(1.0)
    assert end.x < 7.9 or abs(end.y - 5.0) > 0.3


def test_constant_motion_is_offered_only_if_clear() -> None:
    mppi = Mppi(LIMITS, FOOTPRINT)
    nobody = MovingObjects.none()
    back = mppi.constant(State(2.0, 5.0, 0.0), -0.3, 0.0, 1.5, nobody, OPEN[1])
    assert back is not None
    assert 1.4 < back.x[-1] < 1.7
    assert back.v[-1] == 0.0
    assert mppi.constant(State(0.4, 5.0, 0.0), -0.3, 0.0, 1.5, nobody, OPEN[1]) is None
    behind = people((1.2, 5.0, 0.0, 0.0))
    assert mppi.constant(State(2.0, 5.0, 0.0), -0.3, 0.0, 1.5, behind, OPEN[1]) is None


class SlowClock:
    """Every look at it takes a millisecond."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


@pytest.mark.parametrize("compiled", [True, False])
def test_it_answers_within_its_budget_with_what_it_has(compiled: bool) -> None:
    config = MppiConfig(samples=1000, iterations=4)
    state, nobody = State(2.0, 5.0, 0.0, 1.0), MovingObjects.none()
    judged = []
    for budget in (0.0, 0.008, 0.02, None):
        clock = SlowClock()
        mppi = Mppi(LIMITS, FOOTPRINT, config, compiled=compiled, clock=clock)
        mppi.warm_up()  # and know how long it takes to choose
        clock.now = 0.0
        answer = mppi.plan(0.0, state, *OPEN[:1], nobody, OPEN[1], budget=budget)
        assert answer.feasible
        assert answer.trajectory.v[1:].min() > 0.5
        judged.append(answer.samples)
        if budget:
            assert clock.now <= budget + 0.0035
    assert judged == sorted(judged)
    assert judged[0] < 200
    assert judged[1] < judged[2]
    # 112 fixed ones and 1000 with noise; the last answer and 1000 in later iterations.
    assert judged[3] > 4000


def test_more_iterations_find_nothing_worse() -> None:
    scene = hall([(6.0, 2.5, 6.5, 9.95)])
    once, often = (
        Mppi(LIMITS, FOOTPRINT, MppiConfig(iterations=n)).plan(
            0.0, State(4.5, 4.0, 0.5, 0.8), scene[0], MovingObjects.none(), scene[1]
        )
        for n in (1, 5)
    )
    ends = [scene[0].cost_to_go.at(a.trajectory.x[-1], a.trajectory.y[-1]) for a in (once, often)]
    assert ends[1] < ends[0] + 0.1


@pytest.mark.parametrize(
    ("state", "crowd", "obstacles", "why"),
    [
        (State(np.nan, 5.0, 0.0), people(), OPEN[1], "must be finite"),
        (State(2.0, 5.0, 0.0), people((np.inf, 0, 0, 0)), OPEN[1], "position of object 0"),
        (
            State(2.0, 5.0, 0.0),
            replace(people((5, 5, 0, 0)), covariance=-np.eye(4)[None]),
            OPEN[1],
            "covariance of object 0",
        ),
        (
            State(2.0, 5.0, 0.0),
            people(),
            Grid(np.zeros((0, 0)), (0.0, 0.0), 0.05),
            r"distance to obstacles has the shape \(0, 0\)",
        ),
    ],
)
def test_what_cannot_be_planned_with_is_refused(state, crowd, obstacles, why) -> None:
    mppi = Mppi(LIMITS, FOOTPRINT)
    with pytest.raises(ValueError, match=why):
        mppi.plan(0.0, state, OPEN[0], crowd, obstacles)


def test_a_margin_within_contact_is_refused() -> None:
    with pytest.raises(UserError, match=r"object_margin is 0\.1 m: it has to be above"):
        Mppi(LIMITS, FOOTPRINT, MppiConfig(object_margin=0.1))
