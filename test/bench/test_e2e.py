from __future__ import annotations

import pytest

from edge_robot import topics
from edge_robot.bench.e2e.measurement import CONTRACTS, FAULTS, judged, selected
from edge_robot.bench.e2e.trace import Command, ModeNote, Trace, figures
from edge_robot.errors import UserError
from edge_robot.topics import full_name

MS = 1_000_000
BY_NAME = {fault.name: fault for fault in FAULTS}


def driving(until: int, zero_from: int) -> Trace:
    """A second of commands at 50 Hz, zeros from a time on; times in ms."""
    trace = Trace()
    for wall in range(0, until, 20):
        for topic in (topics.CMD_VEL_NAV, topics.CMD_VEL):
            later = wall + (topic is topics.CMD_VEL)
            trace.commands[topic.name].append(
                Command(later * MS, wall * MS, is_zero=wall >= zero_from)
            )
    return trace


def test_zero_counts_from_the_end_of_the_contract_and_must_last() -> None:
    fault = BY_NAME["killed:controller"]
    for zero_from, ok in ((540, True), (580, True), (620, False)):
        trace = driving(1000, zero_from)
        trace.heard[topics.CMD_VEL_NAV.name] = [wall * MS for wall in range(0, 501, 20)]
        verdict = judged(trace, fault, 500 * MS, 990 * MS)
        assert verdict["ok"] == ok, zero_from
        assert verdict["silent_to_consequence_ms"] == zero_from + 1 - 500
    trace = driving(1000, 540)
    trace.heard[topics.CMD_VEL_NAV.name] = [500 * MS]
    trace.commands[topics.CMD_VEL.name].append(Command(985 * MS, 985 * MS, is_zero=False))
    assert not judged(trace, fault, 500 * MS, 990 * MS)["ok"], "it moved again"
    trace.heard[topics.CMD_VEL_NAV.name].append(980 * MS)
    assert judged(trace, fault, 500 * MS, 990 * MS)["ok"], "it moved when the fault was over"


def test_where_the_robot_may_go_on_the_mode_must_say_so_and_why() -> None:
    fault = BY_NAME["stopped:camera_perception"]
    topic = full_name(topics.CAMERA_DETECTIONS.name)
    trace = driving(2000, 2000)
    trace.heard[topics.CAMERA_DETECTIONS.name] = [450 * MS]
    trace.modes = [ModeNote(700 * MS, "REDUCED", "fusion misses its budget")]
    assert not judged(trace, fault, 500 * MS, 1990 * MS)["ok"]
    trace.modes.append(ModeNote(1060 * MS, "REDUCED", f"{topic} (liveliness lost)"))
    verdict = judged(trace, fault, 500 * MS, 1990 * MS)
    assert verdict["ok"]
    assert verdict["after_contract_ms"] == 10.0
    assert topic in verdict["cause"]
    trace.modes[0] = ModeNote(900 * MS, "CONTROLLED_STOP", "lost /scan")
    assert judged(trace, fault, 500 * MS, 1990 * MS)["after_contract_ms"] == -150.0


def test_a_base_that_is_told_nothing_must_stop_by_itself() -> None:
    fault = BY_NAME["lost:/cmd_vel"]
    trace = driving(520, 2000)
    trace.heard[topics.CMD_VEL.name] = [500 * MS]
    trace.time_outs = [(0, True), (50 * MS, False), (500 * MS, False), (585 * MS, True)]
    assert judged(trace, fault, 500 * MS, 890 * MS)["after_contract_ms"] == 25.0
    trace.time_outs.pop()
    assert not judged(trace, fault, 500 * MS, 890 * MS)["ok"]


def test_figures_of_a_calm_span() -> None:
    trace = driving(1000, 2000)
    trace.clock = [(wall * MS, wall * MS - 7 * MS) for wall in range(0, 1000, 20)]
    trace.runs = [((wall + 80) * MS, wall * MS) for wall in range(100, 800, 100)]
    found = figures(trace, 0, 1000 * MS)
    # A capture at simulated 100 ms was 107 ms by the wall; its command came at 181 ms.
    assert found["camera_to_cmd_ms"] == {"p50": 74.0, "p99": 74.0, "samples": 7}
    assert found["wheels_period"] == {"mean_ms": 20.0, "std_periods": 0.0, "worst_periods": 1.0}
    assert (found["deadline_misses"], found["expired_commands"]) == (0, 0)
    late = trace.commands[topics.CMD_VEL.name].pop()
    trace.commands[topics.CMD_VEL.name].append(Command(late.wall + 150 * MS, late.stamp, False))
    found = figures(trace, 0, 2000 * MS)
    assert (found["deadline_misses"], found["expired_commands"]) == (1, 1)


def test_faults_are_chosen_by_name_or_kind() -> None:
    assert [f.name for f in selected(["killed:planner", "lost:/scan"])] == [
        "killed:planner",
        "lost:/scan",
    ]
    assert len(selected(["stopped"])) == len(CONTRACTS)
    assert selected([]) == []
    with pytest.raises(UserError, match="lost:/scan"):
        selected(["lost:/scam"])
