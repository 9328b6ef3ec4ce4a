from __future__ import annotations

from edge_robot.control.inputs import Input, Severity

SLOW, LOST = Severity.DEGRADED, Severity.LOST


def test_each_event_of_a_contract_is_named_with_its_topic() -> None:
    scan = Input("/scan", SLOW, LOST, timeout=0.3)
    assert scan.verdict(0.0) == (LOST, "/scan: never heard")
    scan.refused("DEADLINE")
    assert scan.verdict(0.0) == (LOST, "/scan (incompatible QoS: DEADLINE): never heard")
    scan.heard(1.0)
    assert scan.verdict(1.0) is None
    scan.missed(1.15, deadline=0.15)
    assert scan.verdict(1.15) == (SLOW, "/scan (deadline missed)")
    assert scan.verdict(1.31) == (LOST, "/scan (silent for more than 0.3 s)")
    scan.heard(1.4)
    assert scan.verdict(1.4) is None
    scan.alive(0)
    assert scan.verdict(1.4) == (LOST, "/scan (liveliness lost: nobody alive sends it)")
    scan.alive(1)
    assert scan.verdict(1.4) is None


def test_an_event_that_was_overtaken_by_its_message_is_none() -> None:
    scan = Input("/scan", SLOW, LOST, timeout=0.3)
    scan.heard(1.0)
    scan.missed(1.01, deadline=0.15)
    assert scan.verdict(1.01) is None


def test_who_may_fall_silent_is_overdue_for_a_while_and_then_forgotten() -> None:
    plan = Input("/plan", Severity.LATE, Severity.LATE, timeout=0.8, needed=False, pauses=True)
    assert plan.verdict(0.0) is None
    plan.heard(1.0)
    plan.missed(1.2, deadline=0.2)
    assert plan.verdict(1.2) == (Severity.LATE, "/plan (deadline missed)")
    assert plan.verdict(1.9) is None
    plan.alive(0)
    assert plan.verdict(2.0) is not None


def test_the_age_of_data_counts_from_their_capture() -> None:
    scan = Input("/scan", SLOW, LOST, timeout=0.3)
    scan.heard(1.0, age=0.2)
    assert abs(scan.age(1.1) - 0.3) < 1e-12
    scan.heard(1.2, age=-5.0)  # a stamp of the future makes nothing younger
    assert abs(scan.age(1.2)) < 1e-12
