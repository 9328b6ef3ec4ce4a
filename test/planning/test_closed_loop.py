"""The planners, the tracker and the collision monitor together, in a kinematic world."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from kinematic_world import World, drive, warehouse

from edge_robot.planning.costmap import Costmap, RangeScan
from edge_robot.planning.navigator import Navigator, NavigatorConfig
from edge_robot.planning.robot import Footprint, Limits, MovingObjects, State


@pytest.mark.parametrize("seed", range(4))
def test_it_crosses_a_warehouse_without_touching_anything_or_anybody(seed) -> None:
    result = drive(warehouse(seed, people=8), seed)
    assert result.clearance > 0.02
    assert result.person_clearance > 0.05
    assert result.reached
    assert result.seconds < 45.0


@pytest.mark.parametrize("number", [100, 290])
def test_it_finds_its_way_through_barn_worlds(shared_data: Path, number) -> None:
    barn = json.loads((shared_data / "barn" / f"world_{number:03}.json").read_text())
    world = World(
        boxes=np.empty((0, 4)),
        cylinders=np.array(barn["cylinders"]),
        people=[],
        robot=State(*barn["start"]),
        goal=tuple(barn["goal"]),
    )
    result = drive(world, timeout=60.0)
    assert result.clearance > 0.0
    assert result.reached


def navigator() -> Navigator:
    return Navigator(Limits(), Footprint(), Costmap())


def decide(navigator: Navigator, now: float, state: State, max_speed: float = 1.0):
    return navigator.decide(now, state, MovingObjects.none(), np.empty(0, bool), max_speed)


def test_without_a_goal_or_a_path_there_is_no_decision() -> None:
    planner = navigator()
    assert decide(planner, 0.0, State(0, 0, 0)) is None
    planner.set_goal(5.0, 0.0, 0.0)
    assert decide(planner, 0.0, State(0, 0, 0)) is None
    assert planner.think(0.0, State(0, 0, 0), 1.0)
    assert decide(planner, 0.0, State(0, 0, 0)).why == "following the path"
    planner.clear_goal()
    assert decide(planner, 0.1, State(0, 0, 0)) is None


def test_a_goal_too_far_away_is_refused() -> None:
    planner = navigator()
    planner.set_goal(1000.0, 0.0, 0.0)
    assert planner.think(0.0, State(0, 0, 0), 1.0)
    assert "longer than 200 m" in planner.refusal
    assert decide(planner, 0.0, State(0, 0, 0)) is None


def test_the_mode_can_hold_it_still_and_the_goal_ends_the_drive() -> None:
    planner = navigator()
    planner.set_goal(5.0, 0.0, 0.0)
    planner.think(0.0, State(0, 0, 0), 1.0)
    held = decide(planner, 0.0, State(0, 0, 0, 0.4), max_speed=0.0)
    assert held.trajectory.v[-1] == 0.0
    assert not held.goal_reached
    arrived = decide(planner, 0.1, State(4.95, 0.05, 0, 0.4))
    assert arrived.goal_reached
    assert arrived.trajectory.v[-1] == 0.0
    # It stays arrived, whatever odometry does meanwhile.
    assert decide(planner, 0.2, State(4.0, 0.0, 0)).goal_reached


def test_a_goal_given_again_does_not_start_the_search_afresh() -> None:
    planner = navigator()
    planner.set_goal(5.0, 0.0, 0.0)
    planner.think(0.0, State(0, 0, 0), 1.0)
    path = planner.path
    planner.set_goal(5.0, 0.0, 1.0)
    assert planner.path is path
    planner.set_goal(6.0, 0.0, 1.0)
    assert planner.path is None


def driving() -> Navigator:
    """Return a navigator that follows its path to (5, 0) at 0.1 s."""
    planner = navigator()
    planner.set_goal(5.0, 0.0, 0.0)
    planner.think(0.0, State(0, 0, 0), 1.0)
    assert decide(planner, 0.1, State(0, 0, 0, 0.8)) is not None
    return planner


def test_until_there_is_a_path_to_a_new_goal_it_follows_the_last_for_a_second() -> None:
    planner = driving()
    planner.set_goal(5.0, 3.0, 0.2)
    assert decide(planner, 0.8, State(0.5, 0, 0, 0.8)).trajectory.v[-1] > 0.5
    planner.set_goal(5.0, 2.0, 0.9)  # and the second does not begin anew
    assert planner.path is None
    assert decide(planner, 1.1, State(0.5, 0, 0, 0.8)).trajectory.v[-1] > 0.5
    assert decide(planner, 1.3, State(0.6, 0, 0, 0.8)) is None
    planner.think(1.4, State(0.7, 0, 0, 0.8), 1.0)
    assert decide(planner, 1.4, State(0.7, 0, 0, 0.8)) is not None

    planner.set_goal(1000.0, 0.0, 1.5)
    assert decide(planner, 1.5, State(0.7, 0, 0, 0.8)) is not None
    planner.think(1.6, State(0.7, 0, 0, 0.8), 1.0)
    assert decide(planner, 1.6, State(0.7, 0, 0, 0.8)) is None  # there is no way


def test_on_the_last_path_it_does_not_rush_past_the_new_goal() -> None:
    planner = driving()
    planner.set_goal(1.0, 0.0, 0.2)
    assert decide(planner, 0.3, State(0.8, 0, 0, 0.8)).trajectory.v[-1] < 0.7


@pytest.mark.parametrize("why", ["arrived", "nowhere", "at rest", "held"])
def test_a_robot_that_does_not_drive_does_not_begin_to_by_the_last_path(why: str) -> None:
    planner, now = driving(), 0.2
    if why == "arrived":
        assert decide(planner, 0.1, State(5.0, 0.0, 0)).goal_reached
    elif why == "nowhere":
        planner.clear_goal()
    elif why == "at rest":
        now = 5.0
        planner.think(now, State(0, 0, 0), 1.0)  # it has a path still
    planner.set_goal(-5.0, 0.0, now)
    if why == "held":
        assert decide(planner, now, State(0, 0, 0), max_speed=0.0).trajectory.v[-1] == 0.0
    assert decide(planner, now + 0.1, State(0, 0, 0)) is None


def test_standing_about_too_long_it_backs_out() -> None:
    planner = navigator()
    planner.set_goal(5.0, 0.0, 0.0)
    planner.think(0.0, State(0, 0, 0), 1.0)
    # The base does not move, whatever is asked of it.
    reasons = [decide(planner, 0.1 * i, State(0, 0, 0)).why for i in range(80)]
    assert reasons[30] == "following the path"
    assert "standing about: backing out" in reasons[55:70]


@pytest.mark.parametrize("tolerance", [0.25, np.pi])
def test_at_the_goal_it_turns_to_the_heading_asked_for(tolerance) -> None:
    planner = Navigator(
        Limits(), Footprint(), Costmap(), NavigatorConfig(goal_yaw_tolerance=tolerance)
    )
    planner.set_goal(5.0, 0.0, 0.0, yaw=3.0)
    planner.think(0.0, State(0, 0, 0), 1.0)
    state, now = State(4.97, 0.0, 0.0, 0.3), 0.0
    while not (decision := decide(planner, now, state)).goal_reached:
        assert decision.why == "turning at the goal"
        now += 0.05
        assert now < 8.0
        state = decision.trajectory.at(0.05)
    assert planner.arrived
    assert (abs(state.yaw - 3.0) < 0.25) == (tolerance < np.pi)
    assert np.hypot(state.x - 5.0, state.y) < 0.4
    assert decide(planner, now, State(5.0, 0.0, 0.0)).goal_reached


def test_without_room_to_turn_at_the_goal_it_says_so_and_holds() -> None:
    planner = navigator()
    planner.set_goal(5.0, 0.0, 0.0, yaw=3.0)
    planner.think(0.0, State(0, 0, 0), 1.0)
    angles = np.linspace(-np.pi, np.pi, 360)
    around = RangeScan(5.0, 0.0, 0.0, angles, 0.20 + 0.02 * np.abs(np.cos(angles)))
    for _ in range(3):
        planner.see_scan(around)
    held = decide(planner, 0.0, State(5.0, 0.0, 0.0))
    assert not held.goal_reached
    assert "no room to turn" in str(planner.failure)
