"""The bench of stops: its judgement on commands as they come, and a few real trials."""

from __future__ import annotations

import pytest

from edge_robot.bench.stop import measurement, network
from edge_robot.bench.stop.verdict import Command, Sender, judge
from edge_robot.bench.teleop.client import InputDevice, input_message
from edge_robot.errors import UserError

TIMEOUT = 0.06
EVENT, RECOVERY = 1.0, 1.5


def driving(until: float) -> list[Command]:
    """Return what an operator commands up to a time, 50 times a second."""
    return [
        Command(0.9 + 0.02 * n, True, Sender.OPERATOR) for n in range(50) if 0.9 + 0.02 * n <= until
    ]


def zeros(since: float, sender: Sender) -> list[Command]:
    return [Command(since + 0.02 * n, False, sender) for n in range(50)]


def test_the_robot_stops_with_the_first_of_the_zeros_that_last() -> None:
    verdict = judge(driving(1.05) + zeros(1.07, Sender.MUX), EVENT, RECOVERY, TIMEOUT)
    assert verdict.moved and verdict.resumed_after is None
    assert verdict.stopped_after == pytest.approx(0.07) and verdict.stopped_by is Sender.MUX
    flicker = [Command(1.09, False, Sender.MUX), Command(1.11, True, Sender.OPERATOR)]
    verdict = judge(
        driving(1.08) + flicker + zeros(1.13, Sender.OPERATOR), EVENT, RECOVERY, TIMEOUT
    )
    assert verdict.stopped_after == pytest.approx(0.13)


def test_where_no_zero_comes_the_base_stops_by_itself() -> None:
    verdict = judge(driving(1.05), EVENT, RECOVERY, TIMEOUT)
    assert verdict.stopped_after == pytest.approx(0.04 + TIMEOUT)
    assert verdict.stopped_by is Sender.NOBODY


def test_whatever_moves_after_the_recovery_has_resumed() -> None:
    again = [Command(1.7, True, Sender.AUTONOMY), Command(1.72, False, Sender.MUX)]
    verdict = judge(driving(1.05) + zeros(1.07, Sender.MUX)[:5] + again, EVENT, RECOVERY, TIMEOUT)
    assert verdict.resumed_after == pytest.approx(0.2) and verdict.resumed_by is Sender.AUTONOMY
    assert verdict.stopped_after == pytest.approx(0.07)


def test_a_robot_that_never_stops_is_as_late_as_can_be() -> None:
    verdict = judge(driving(1.8), EVENT, RECOVERY, TIMEOUT)
    assert verdict.stopped_after == pytest.approx(RECOVERY - EVENT)
    assert verdict.resumed_after is not None


def test_a_robot_that_stood_shows_nothing() -> None:
    assert not judge(driving(0.9) + zeros(0.92, Sender.MUX), EVENT, RECOVERY, TIMEOUT).moved
    assert not judge(driving(0.9), EVENT, RECOVERY, TIMEOUT).moved


def told(**values: object) -> dict[str, object]:
    good = {"kind": "tab_closed", "variant": "", "trouble": "", "watched": 0.3}
    good |= {"stopped_after": 0.01, "stopped_by": "x", "resumed_after": None, "resumed_by": None}
    return {**good, **values}


def test_no_failure_is_rounded_away() -> None:
    many = [told() for _ in range(999)]
    slow, moved = told(stopped_after=0.3), told(resumed_after=0.1, resumed_by="autonomy")
    unclear = {"kind": "tab_closed", "variant": "", "invalid": "stood already"}
    assert measurement.summary([*many, told()], 1000)["passed"]
    assert not measurement.summary([*many, unclear], 1000)["passed"]
    assert not measurement.summary([*many, moved], 1000)["passed"]
    one_slow = measurement.summary([*many, slow], 1000)
    assert one_slow["over_limit"] == 1 and one_slow["stopped_ms"]["max"] == 300.0
    assert one_slow["passed"] and one_slow["failures"] == [slow]
    assert not measurement.summary([*many, slow, slow], 1000)["passed"]
    assert not measurement.summary([], 1)["passed"]


def test_a_frozen_device_ages_and_counts_no_further() -> None:
    now = 10.0
    device = InputDevice(rate=50.0, clock=lambda: now)
    device.move((0.4, 0.0, 0.0))
    now = 10.05
    assert device.freeze() == pytest.approx(10.04)
    frozen = device.sample()
    now = 10.5
    assert device.sample().number == frozen.number
    message = input_message(7, device.sample())
    assert message["held"] and message["tick"] == 7 and message["age_ms"] == pytest.approx(460.0)
    device.thaw()
    assert device.sample().number > frozen.number and device.sample().age < 0.02


def test_real_nodes_stop_a_real_robot_and_it_stays() -> None:
    try:
        network.check()
    except UserError as error:
        pytest.skip(str(error))
    figures = measurement.measure(1, ("tab_closed", "black_hole", "stop_pressed"), rigs=1)
    assert figures["autonomy_drove"] == 1
    for name, kind in figures["kinds"].items():
        assert kind["trials"] == 1 and kind["resumed"] == 0, name
        # Not 0.2: that is for a machine that does nothing else.
        assert kind["stopped_ms"]["max"] < 400.0, name


def test_kinds_that_do_not_exist_are_refused() -> None:
    with pytest.raises(UserError, match=r"no kind 'meteorite'.*tab_closed"):
        measurement.measure(1, ("meteorite",), rigs=1)
