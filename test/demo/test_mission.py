"""The conductor's decisions: plain observations in, actions out."""

from __future__ import annotations

import pytest

from edge_robot.sim.mission import (
    Action,
    Announce,
    Mission,
    MissionSettings,
    Phase,
    SendGoal,
    SetLink,
)

GOAL = (20.0, 0.0)
SETTINGS = MissionSettings()


def make() -> Mission:
    return Mission(GOAL, 20.0, SETTINGS, now=0.0)


def ready(mission: Mission) -> None:
    mission.seen.nominal = True
    mission.seen.link_up = True
    mission.seen.true_position = (0.0, 0.0)


def drive_to(mission: Mission, x: float, speed: float = 1.0) -> None:
    mission.seen.planned = True
    mission.seen.odometer = x
    mission.seen.true_position = (x, 0.0)
    mission.seen.speed = speed


def names(actions: list[Action]) -> list[str]:
    return [action.name for action in actions if isinstance(action, Announce)]


@pytest.mark.parametrize("lacking", ["nominal", "link_up", "true_position"])
def test_no_goal_before_everything_is_ready(lacking: str) -> None:
    mission = make()
    ready(mission)
    setattr(mission.seen, lacking, None)
    assert mission.step(1.0) == []
    assert not mission.is_late(SETTINGS.start_timeout - 1.0)
    assert mission.is_late(SETTINGS.start_timeout + 1.0)


def test_a_robot_that_stays_at_reduced_ability_drives_after_some_patience() -> None:
    mission = make()
    ready(mission)
    mission.seen.nominal = False
    assert mission.step(100.0) == []
    mission.seen.reduced = True
    assert mission.step(100.0 + SETTINGS.nominal_patience) == []
    assert names(mission.step(100.1 + SETTINGS.nominal_patience)) == ["goal_sent"]


def test_the_goal_is_sent_again_until_there_is_a_plan() -> None:
    mission = make()
    ready(mission)
    first = mission.step(1.0)
    assert names(first) == ["goal_sent"]
    assert SendGoal() in first
    assert mission.step(1.5) == []
    assert mission.step(2.5) == [SendGoal()]
    mission.seen.planned = True
    assert mission.step(9.0) == []
    assert not mission.is_late(1000.0), "a robot that has started is not late"


def test_a_whole_run() -> None:
    mission = make()
    ready(mission)
    mission.step(0.0)
    drive_to(mission, 6.9)
    assert mission.step(7.0) == []
    drive_to(mission, 7.1)
    mission.seen.link_up = False
    assert mission.step(7.5) == [], "only a link that is up can be seen to go down"
    mission.seen.link_up = True
    assert mission.step(8.0) == [
        Announce("link_cut", "36 % of the way"),
        SetLink(up=False),
    ], "announced before it happens"
    mission.seen.link_up = False
    drive_to(mission, 12.0)
    assert mission.step(17.9) == []
    restored = mission.step(18.1)
    assert names(restored) == ["link_restored"]
    assert SetLink(up=True) in restored
    drive_to(mission, 19.9, speed=0.5)
    assert mission.step(20.0) == [], "still rolling"
    drive_to(mission, 19.9, speed=0.0)
    assert names(mission.step(21.0)) == ["goal_reached"]
    assert mission.phase is Phase.RECOVERING
    mission.seen.link_up = True
    mission.step(22.0)
    assert mission.phase is Phase.RECOVERING, "a link that is up has not answered yet"
    mission.seen.answers = 1
    mission.step(23.0)
    assert mission.phase is Phase.OVER
    facts = mission.facts()
    assert facts["reached_goal"] is True
    assert facts["collisions"] == 0


def test_the_link_is_restored_at_the_goal_and_waited_for() -> None:
    mission = make()
    ready(mission)
    mission.step(0.0)
    drive_to(mission, 10.0)
    mission.step(1.0)
    drive_to(mission, 20.0, speed=0.0)
    assert names(mission.step(2.0)) == ["goal_reached"]
    assert names(mission.step(11.1)) == ["link_restored"]
    assert mission.step(11.0 + SETTINGS.recovery_timeout) == []
    assert names(mission.step(11.2 + SETTINGS.recovery_timeout)) == ["timeout"]
    assert mission.phase is Phase.OVER


def test_a_drive_that_takes_too_long_is_over() -> None:
    mission = make()
    ready(mission)
    mission.step(0.0)
    drive_to(mission, 5.0)
    assert names(mission.step(SETTINGS.drive_timeout + 1.0)) == ["timeout"]
    assert mission.phase is Phase.OVER
    assert mission.facts()["reached_goal"] is False


def test_every_collision_is_announced_once() -> None:
    mission = make()
    ready(mission)
    mission.step(0.0)
    drive_to(mission, 1.0)
    mission.seen.collisions, mission.seen.collided_with = 1, ["shelf_3"]
    assert mission.step(1.0) == [Announce("collision", "shelf_3")]
    assert mission.step(2.0) == []
    mission.seen.collisions, mission.seen.collided_with = 2, ["shelf_3", "person_1"]
    assert mission.step(3.0) == [Announce("collision", "person_1")]
    assert mission.facts()["collisions"] == 2
