"""The tier policy as a whole: which frames it offers, and why."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.perception.detections import Detections
from edge_robot.perception.tiering.expected import Expected
from edge_robot.perception.tiering.policy import TierPolicy, TierSettings, Verdict

NAMES = ("person", "box")
IMAGE = np.random.default_rng(1).integers(0, 256, (60, 80, 3)).astype(np.uint8)


def found(*rows: tuple[float, int]) -> Detections:
    count = len(rows)
    left = np.arange(count, dtype=np.float32) * 10
    return Detections(
        np.stack([left, left * 0, left + 9, left * 0 + 20], axis=1).reshape(-1, 4),
        np.array([score for score, _ in rows], np.float32),
        np.array([class_id for _, class_id in rows], np.int64),
        NAMES,
    )


def test_a_frame_is_worth_what_its_detections_are_against_those_of_late() -> None:
    policy = TierPolicy(TierSettings(novelty_weight=0.0))
    usual = found((0.9, 0))
    for frame in range(50):
        if policy.decide(IMAGE, usual, None, 0.1 * frame).offered:
            policy.settle(IMAGE, 1000, 0.1 * frame)
    assert policy.worth(IMAGE, usual, None, 5.0) == pytest.approx(1.0)
    assert policy.worth(IMAGE, found((0.9, 1)), None, 5.0) > 2.0  # never seen before


def test_contradicting_tracks_make_a_frame_worth_more() -> None:
    policy = TierPolicy()
    seen = found((0.9, 0))
    agreed = Expected(seen.boxes, ("person",), np.array([0.9], np.float32))
    gone = Expected(seen.boxes + 40, ("person",), np.array([0.9], np.float32))
    other = Expected(seen.boxes, ("box",), np.array([0.9], np.float32))
    plain = policy.worth(IMAGE, seen, agreed, 0.0)
    assert plain == policy.worth(IMAGE, seen, None, 0.0)
    assert policy.worth(IMAGE, seen, gone, 0.0) > plain
    assert policy.worth(IMAGE, seen, other, 0.0) > plain
    assert policy.worth(IMAGE, found(), agreed, 0.0) > policy.worth(IMAGE, found(), None, 0.0)


def test_a_view_just_sent_is_worth_less_until_it_is_old() -> None:
    policy = TierPolicy()
    fresh = policy.worth(IMAGE, found(), None, 10.0)
    assert policy.decide(IMAGE, found(), None, 10.0).offered
    policy.settle(IMAGE, 1000, 10.0)
    assert policy.worth(IMAGE, found(), None, 10.1) < fresh - 0.5
    assert policy.worth(IMAGE, found(), None, 60.0) == pytest.approx(fresh)


def test_a_quiet_place_after_a_lively_one_spends_the_budget_too() -> None:
    policy = TierPolicy(TierSettings(rate=4.0, novelty_weight=0.0))
    lively, quiet = found((0.5, 0), (0.5, 1), (0.4, 0)), found((0.99, 0))
    decisions = []
    for frame in range(80):  # 10 Hz
        decision = policy.decide(IMAGE, lively if frame < 40 else quiet, None, 0.1 * frame)
        if decision.offered:
            policy.settle(IMAGE, 1000, 0.1 * frame)
        decisions.append(decision.verdict)
    assert policy.worth(IMAGE, lively, None, 8.0) > policy.worth(IMAGE, quiet, None, 8.0)
    assert decisions[40] is not Verdict.WORTH_IT
    assert decisions[50:].count(Verdict.TO_SPARE) >= 5  # in 3 s
    assert Verdict.NOT_WORTH_IT in decisions[50:]  # from a budget that is not full


def test_where_nobody_looks_every_frame_is_offered_as_far_as_budgets_go() -> None:
    policy = TierPolicy(TierSettings(rate=2.0))
    verdicts = [policy.decide(IMAGE, None, None, 0.1 * k, silent=True).verdict for k in range(50)]
    assert set(verdicts) == {Verdict.UNSEEN, Verdict.FRAMES}
    assert 10 <= verdicts.count(Verdict.UNSEEN) <= 13


def test_a_frame_left_out_on_board_is_let_go() -> None:
    assert TierPolicy().decide(IMAGE, None, None, 0.0).verdict is Verdict.SKIPPED


@given(
    st.integers(0, 2**32 - 1),
    st.floats(0.5, 8.0),
    st.floats(1e4, 1e6),
    st.floats(0.0, 3.0),
)
@settings(max_examples=15, deadline=None)
def test_no_budget_is_exceeded_whatever_comes(
    seed: int, rate: float, byte_rate: float, power: float
) -> None:
    rng = np.random.default_rng(seed)
    policy = TierPolicy(
        TierSettings(
            rate=rate,
            byte_rate=byte_rate,
            byte_burst=50e3,
            power=power,
            frame_energy=0.5,
        ),
    )
    again = TierPolicy(policy.settings)
    now, sent_bytes, sent = 5.0, 0, 0
    for _ in range(60):
        now += rng.exponential(0.1)
        rows = [
            (float(rng.uniform(0.3, 1.0)), int(rng.integers(2))) for _ in range(rng.integers(4))
        ]
        seen = found(*rows) if rng.uniform() < 0.9 else None
        silent = bool(rng.uniform() < 0.2)
        decision = policy.decide(IMAGE, seen, None, now, silent=silent)
        twin = again.decide(IMAGE, seen, None, now, silent=silent)
        assert (decision.verdict, decision.offered) == (twin.verdict, twin.offered)
        if not decision.offered:
            continue
        size = 0 if rng.uniform() < 0.3 else int(rng.integers(1, IMAGE.size))
        policy.settle(IMAGE, size, now)
        again.settle(IMAGE, size, now)
        sent_bytes += size
        sent += size > 0
    elapsed = now - 5.0
    assert sent_bytes <= 50e3 + byte_rate * elapsed + 1.0
    assert sent <= max(2.0, rate) + rate * elapsed + 1e-6
    if power:
        assert 0.5 * sent <= max(0.5, 10 * power) + power * elapsed + 1e-6
