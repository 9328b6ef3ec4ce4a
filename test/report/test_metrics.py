"""Figures of recordings whose answers are known beforehand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synthetic import Scribe

from edge_robot import topics
from edge_robot.errors import UserError
from edge_robot.recording.reader import Recording
from edge_robot.report import run_metrics
from edge_robot.report.history import History

START, END = 1.0, 9.0
CUT, NOTICED, RESTORED, UP_AGAIN = 4.0, 4.13, 6.0, 6.2


def add_basics(s: Scribe) -> None:
    """Simulated time at half speed over 10 s, driven from START to END."""
    for i in range(501):
        s.clock(0.02 * i)
    s.event(START, "goal_sent", "to (1, 2)")
    s.event(END, "goal_reached")


def test_times_and_outcome(tmp_path: Path) -> None:
    file = tmp_path / "run.mcap"
    with Scribe(file, speed=0.5) as s:
        add_basics(s)
        for t, count in ((0.0, 0), (5.0, 1), (8.0, 2)):
            s.add(
                topics.SIMULATION_TRUTH, t, header=s.header(t, "map"), collisions=count,
                collided_with=["shelf_3", "person_1"][:count],
            )  # fmt: skip
    metrics = run_metrics(file, processes=17)
    assert metrics["reached_goal"] is True
    assert metrics["wall_seconds"] == pytest.approx(8.0, abs=1e-6)
    assert metrics["sim_seconds"] == pytest.approx(4.0, abs=1e-6)
    assert metrics["real_time_factor"] == pytest.approx(0.5, abs=1e-6)
    assert metrics["collisions"] == 2
    assert metrics["collided_with"] == ["shelf_3", "person_1"]
    assert metrics["processes"] == 17
    assert metrics["recording"] == {"complete": True, "dropped": 0}


def test_nothing_recorded_is_none_not_zero(tmp_path: Path) -> None:
    file = tmp_path / "run.mcap"
    with Scribe(file) as s:
        s.event(0.0, "goal_sent")
    metrics = run_metrics(file)
    assert metrics["reached_goal"] is False
    for name in ("collisions", "sim_seconds", "real_time_factor", "cmd_deadline_misses"):
        assert metrics[name] is None, name
    assert metrics["camera_to_cmd_ms"] == {"p50": None, "p99": None}
    assert metrics["link"]["fallback_ms"] is None
    assert metrics["link"]["recovered"] is None


def test_commands_late_and_expired(tmp_path: Path) -> None:
    file = tmp_path / "run.mcap"
    with Scribe(file, speed=0.5) as s:
        add_basics(s)
        for i in range(200):
            t = 0.05 * i
            if i in (100, 140, 141):  # one missing: 100 ms; two missing: 150 ms
                continue
            if 2 <= i <= 8 or i > 190:  # outside of the drive
                continue
            # Number 60 was made 150 ms before; number 80 has been seen twice on the way.
            made = t - 0.15 if i == 60 else t - 0.01
            s.command(t, made)
            if i != 90:  # made by the last stage itself
                s.command(made, made, topic=topics.CMD_VEL_NAV)
            if i == 80:
                s.command(t - 0.005, made, topic=topics.CMD_VEL_NAV)
    metrics = run_metrics(file)
    assert metrics["cmd_late_gaps"] == 2
    assert metrics["cmd_expired"] == 1
    assert metrics["cmd_deadline_misses"] == 3
    assert metrics["cmd_longest_gap_ms"] == pytest.approx(150.0, abs=0.01)


def test_gap_of_exactly_the_deadline_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "run.mcap"
    with Scribe(file) as s:
        add_basics(s)
        for i in range(40):
            s.command(2.0 + 0.0599 * i, 2.0 + 0.0599 * i)
    assert run_metrics(file)["cmd_deadline_misses"] == 0


def test_camera_to_command(tmp_path: Path) -> None:
    file = tmp_path / "run.mcap"
    latencies = {2.0: 0.070, 3.0: 0.050, 4.0: 0.170, 5.0: 0.060, 6.0: 0.080}
    with Scribe(file, speed=0.5) as s:
        add_basics(s)
        runs = []
        for number, (capture, latency) in enumerate(latencies.items()):
            # The controller makes its stamp, the command appears on /cmd_vel 4 ms later.
            made = capture + latency - 0.004
            s.command(capture + latency, made, extra_ns=number)
            runs.append(s.run(0.001, capture, made, extra_ns=number))
            # A second command that rests on the same capture does not count.
            s.command(capture + latency + 0.02, made + 0.02, extra_ns=number)
            runs.append(s.run(0.001, capture, made + 0.02, extra_ns=number))
        # Neither do: an older capture after a newer, none at all, a command that never came
        # through, and what happened before the drive.
        s.command(6.5, 6.496)
        runs.append(s.run(0.001, 5.5, 6.496))
        runs.append(s.make("edge_robot/StageRun", output_stamp=s.stamp(s.simulated(7.0))))
        runs.append(s.run(0.001, 7.2, 7.3))
        s.command(0.5, 0.496)
        runs.append(s.run(0.001, 0.4, 0.496))
        s.add(topics.DEADLINES, 9.5, stage="control", budget=0.005, runs=runs[::-1])
    metrics = run_metrics(file)
    assert metrics["camera_to_cmd_samples"] == 5
    expected = np.array(list(latencies.values())) * 1e3
    assert metrics["camera_to_cmd_ms"]["p50"] == pytest.approx(70.0, abs=0.01)
    assert metrics["camera_to_cmd_ms"]["p99"] == pytest.approx(
        np.percentile(expected, 99), abs=0.01
    )
    assert metrics["stages"]["control"]["runs"] == 14
    assert metrics["stages"]["control"]["missed"] == 0


def add_link(s: Scribe, *, recovers: bool) -> None:
    add_basics(s)
    s.event(CUT, "link_cut")
    s.event(RESTORED, "link_restored")
    changes = [(0.5, True), (2.0, True), (NOTICED, False), (5.0, False)]
    changes += [(UP_AGAIN, True), (8.0, True)] if recovers else [(8.0, False)]
    for t, up in changes:
        s.add(topics.LINK, t, header=s.header(t), up=up)
    for t in (1.5, 2.0, 3.9, *((6.5, 7.0) if recovers else ())):
        s.add(topics.FLEET_DETECTIONS, t)


def test_link_lost_and_regained(tmp_path: Path) -> None:
    file = tmp_path / "run.mcap"
    with Scribe(file) as s:
        add_link(s, recovers=True)
    link = run_metrics(file)["link"]
    assert link.pop("fallback_ms") == pytest.approx(130.0, abs=0.01)
    assert link == {"cuts": 1, "offloaded_before": 3, "offloaded_after": 2, "recovered": True}


def test_link_never_regained(tmp_path: Path) -> None:
    file = tmp_path / "run.mcap"
    with Scribe(file) as s:
        add_link(s, recovers=False)
    link = run_metrics(file)["link"]
    assert link["recovered"] is False
    assert link["offloaded_after"] == 0


def test_cut_never_noticed_is_no_fallback(tmp_path: Path) -> None:
    file = tmp_path / "run.mcap"
    with Scribe(file) as s:
        add_basics(s)
        s.event(CUT, "link_cut")
        s.add(topics.LINK, 1.0, header=s.header(1.0), up=True)
    link = run_metrics(file)["link"]
    assert link["cuts"] == 1
    assert link["fallback_ms"] is None
    assert link["recovered"] is False


def test_wall_time_follows_a_clock_that_changes_speed(tmp_path: Path) -> None:
    file = tmp_path / "run.mcap"
    with Scribe(file) as s:
        for wall, simulated in ((0.0, 10.0), (1.0, 11.0), (3.0, 12.0), (3.1, 12.0), (4.0, 13.0)):
            s.add(topics.CLOCK, wall, clock=s.stamp(simulated))
    history = History(Recording(file))
    stamps = np.array([9.5, 10.5, 11.5, 12.5, 14.0]) * 1e9
    wall = (history.wall_of(stamps.astype(np.int64)) - history.clock[0, 0]) * 1e-9
    assert wall == pytest.approx([-0.5, 0.5, 2.0, 3.5, 5.0], abs=1e-6)


def test_missing_recording_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        run_metrics(tmp_path / "none.mcap")


def test_a_robot_in_a_namespace_is_told_of_like_any_other(tmp_path: Path) -> None:
    file = tmp_path / "run.mcap"
    with Scribe(file, namespace="/fleet/robot1") as s:
        add_basics(s)
        s.add(topics.MODE, 0.0, mode=1, cause="all inputs alive")
        # As the launch files remap it; what no robot owns is global.
        s.add_as("/fleet/robot1/tf", topics.TF.type, 0.0)
    recording = Recording(file)
    assert recording.name_of(topics.TF) == "/fleet/robot1/tf"
    assert recording.name_of(topics.CLOCK) == "/clock"
    assert run_metrics(file)["reached_goal"] is True


def test_of_several_robots_one_must_be_named(tmp_path: Path) -> None:
    file = tmp_path / "run.mcap"
    with Scribe(file, namespace="/robot1") as s:
        add_basics(s)
        s.add(topics.MODE, 0.0, mode=1, cause="all inputs alive")
        s.namespace = "/robot2"
        s.add(topics.MODE, 0.0, mode=1, cause="all inputs alive")
    with pytest.raises(UserError, match="/robot1 or /robot2"):
        run_metrics(file)
    assert run_metrics(file, namespace="robot1")["reached_goal"] is True
    assert run_metrics(file, namespace="robot2")["reached_goal"] is False
