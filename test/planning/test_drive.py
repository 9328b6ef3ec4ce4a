"""Drives on a navigator that is nothing but its answers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from edge_robot.planning.drive import Drive, DriveConfig, Failure, Goal
from edge_robot.planning.global_planner import GoalOccupied, GoalOutsideMap, NoPath
from edge_robot.planning.robot import State

GOALS = [Goal(1.0, 0.0, 0.1), Goal(2.0, 0.0, 0.2), Goal(3.0, 0.0, 0.3)]
CONFIG = DriveConfig(patience=3.0, max_recoveries=6, pass_radius=0.7)
ORIGIN = State(0.0, 0.0, 0.0)


class Answers:
    """In place of a navigator: notes its goals, answers what it is told to."""

    def __init__(self) -> None:
        self.goals: list[tuple[float, float | None]] = []
        self.goal: tuple[float, float] | None = None
        self.arrived = False
        self.failure: NoPath | None = None
        self.recoveries = 0
        self.path: SimpleNamespace | None = None

    def set_goal(self, x: float, y: float, now: float, yaw: float | None) -> None:
        self.goals.append((x, yaw))
        self.goal, self.arrived, self.failure, self.recoveries = (x, y), False, None, 0


def begun(**options) -> tuple[Drive, Answers]:
    drive, navigator = Drive(GOALS, CONFIG, **options), Answers()
    drive.begin(0.0, navigator)
    return drive, navigator


def test_goals_are_visited_in_order_and_again_as_often_as_asked() -> None:
    drive, navigator = begun(leave_out=True, first=1, loops=1)
    for _ in range(4):
        navigator.arrived = True
        assert drive.step(0.0, navigator, ORIGIN) is None
    navigator.arrived = True
    end = drive.step(0.0, navigator, ORIGIN)
    assert (end.failure, end.text) == (Failure.NONE, "goal reached")
    assert [x for x, _ in navigator.goals] == [2.0, 3.0, 1.0, 2.0, 3.0]


def test_poses_on_the_way_are_passed_near_by_and_at_any_heading() -> None:
    drive, navigator = begun(through=True)
    assert drive.step(0.0, navigator, State(0.2, 0.0, 0.0)) is None
    assert navigator.goals == [(1.0, None)]
    drive.step(0.1, navigator, State(0.4, 0.0, 0.0))
    drive.step(0.2, navigator, State(1.4, 0.0, 0.0))
    assert navigator.goals == [(1.0, None), (2.0, None), (3.0, 0.3)]
    assert drive.step(0.3, navigator, State(2.9, 0.0, 0.0)) is None, "the last one is reached"


@pytest.mark.parametrize(
    ("refusal", "failure"),
    [
        (NoPath("blocked"), Failure.NO_PATH),
        (GoalOccupied("blocked"), Failure.GOAL_OCCUPIED),
        (GoalOutsideMap("blocked"), Failure.GOAL_OUTSIDE_MAP),
    ],
)
def test_a_way_may_be_found_while_patience_lasts(refusal: NoPath, failure: Failure) -> None:
    drive, navigator = begun()
    navigator.failure = refusal
    assert drive.step(1.0, navigator, ORIGIN) is None
    navigator.failure = None
    assert drive.step(3.5, navigator, ORIGIN) is None
    navigator.failure = refusal
    assert drive.step(4.0, navigator, ORIGIN) is None
    # A clock that is set back neither ends patience nor prolongs it.
    assert drive.step(1.0, navigator, ORIGIN) is None
    assert drive.step(3.9, navigator, ORIGIN) is None
    end = drive.step(4.1, navigator, ORIGIN)
    assert (end.failure, end.text) == (failure, "blocked")
    assert drive.seconds == pytest.approx(7.1)


def test_what_the_navigator_has_given_up_needs_no_patience() -> None:
    drive, navigator = begun()
    navigator.goal, navigator.failure = None, GoalOutsideMap("far")
    assert drive.step(0.1, navigator, ORIGIN).failure == Failure.GOAL_OUTSIDE_MAP


def test_without_odometry_or_progress_it_ends() -> None:
    drive, navigator = begun()
    assert drive.step(1.0, navigator, None) is None
    assert drive.step(4.1, navigator, None).failure == Failure.NO_ODOMETRY
    drive, navigator = begun()
    navigator.recoveries = 6
    assert drive.step(1.0, navigator, ORIGIN) is None
    navigator.recoveries = 7
    assert drive.step(1.1, navigator, ORIGIN).failure == Failure.NO_PROGRESS


def test_waypoints_all_missed_are_no_success() -> None:
    drive, navigator = begun(leave_out=True)
    for _ in GOALS:
        navigator.recoveries = 7
        end = drive.step(1.0, navigator, ORIGIN)
    assert end.failure == Failure.NO_VALID_WAYPOINTS
    assert [index for index, _ in drive.missed] == [0, 1, 2]
    assert drive.recoveries(navigator) == 21


def test_the_way_left_follows_the_path_and_leads_through_the_poses() -> None:
    drive, navigator = begun(through=True)
    assert drive.distance(navigator, ORIGIN) == pytest.approx(3.0)
    corner = np.array([(0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0)])
    navigator.path = SimpleNamespace(path=corner)
    assert drive.distance(navigator, State(0.0, 0.1, 0.0)) == pytest.approx(2.9 + 2.0)
    drive, navigator = begun(leave_out=True)
    assert drive.distance(navigator, ORIGIN) == pytest.approx(1.0)
