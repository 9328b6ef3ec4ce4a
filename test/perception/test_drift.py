"""Drift of scores and classes: found where it is, and not where chance alone is at work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.perception.camera_health import Motion
from edge_robot.perception.detections import Detections
from edge_robot.perception.drift import DriftLimits, DriftMonitor, compare, reference

NAMES = ("person", "forklift", "pallet")
FAR = Motion(2.0, 0.0)
USUAL = np.array([0, 0, 0, 0.2, 0.15, 0.1, 0.1, 0.15, 0.2, 0.1])
UNSURE = np.array([0, 0, 0, 0.45, 0.2, 0.1, 0.1, 0.1, 0.03, 0.02])


def detections(scores: Any, class_ids: Any) -> Detections:
    count = len(scores)
    return Detections(
        np.zeros((count, 4), np.float32),
        np.asarray(scores, np.float32),
        np.asarray(class_ids, np.int64),
        NAMES,
    )


def images(
    count: int, seed: int, *, shares: Any = USUAL, classes: Any = (0.5, 0.2, 0.3), mean: float = 3.0
) -> list[Detections]:
    """Images of different scenes with a few objects each."""
    rng = np.random.default_rng(seed)
    found = []
    for objects in rng.poisson(mean, count):
        scores = (rng.choice(10, objects, p=shares) + rng.random(objects)) / 10
        found.append(detections(scores, rng.choice(3, objects, p=classes)))
    return found


FIGURES = {"reference": reference(images(500, 0), 0.3)}


def watch(found: list[Detections], figures: Any = None) -> DriftMonitor:
    monitor = DriftMonitor(FIGURES if figures is None else figures, NAMES, 0.3)
    for number, item in enumerate(found):
        monitor.add(item, 0.1 * number, FAR)
    return monitor


def test_a_reference_is_counts_that_survive_a_card() -> None:
    found = [detections([0.95, 1.0, 0.3], [0, 0, 2]), detections([], []), detections([0.5], [1])]
    made = reference(found, 0.3)
    assert made["frames"] == 3
    assert made["scores"] == [0, 0, 0, 1, 0, 1, 0, 0, 0, 2]
    assert made["classes"] == {"person": 2, "forklift": 1, "pallet": 1}
    assert made["per_frame"] == [1, 1, 0, 1, 0, 0, 0, 0, 0, 0]
    assert yaml.safe_load(yaml.safe_dump(made)) == made
    with pytest.raises(ValueError, match="images"):
        reference([], 0.3)


def test_the_same_world_is_no_drift() -> None:
    monitor = watch(images(300, 1))
    assert len(monitor.shifts) == 3
    assert not monitor.alarm
    assert monitor.note == ""


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"shares": UNSURE}, "scores"),
        ({"classes": (0.1, 0.2, 0.7)}, "classes"),
        ({"mean": 0.5}, "per_frame"),
        ({"mean": 0.0}, "per_frame"),
    ],
)
def test_another_world_is_and_it_is_said_in_what(changed: dict[str, Any], name: str) -> None:
    monitor = watch(images(300, 1, **changed))
    assert monitor.alarm
    assert [shift.name for shift in monitor.shifts if shift.alarm] == [name]


def test_a_change_that_is_certain_but_small_is_no_alarm() -> None:
    known = {"reference": reference(images(1500, 0, mean=6.0), 0.3)}
    slightly = USUAL + 0.25 * (UNSURE - USUAL)
    monitor = watch(images(300, 1, shares=slightly, mean=6.0), known)
    scores = monitor.shifts[0]
    assert scores.probability < 0.001
    assert 0.0 < scores.psi < DriftLimits().drift_psi
    assert not monitor.alarm


def test_it_is_over_when_the_window_holds_nothing_of_it_any_more() -> None:
    monitor = watch(images(300, 1, shares=UNSURE) + images(300, 2))
    assert not monitor.alarm


def test_a_window_that_is_just_like_the_reference_is_by_chance() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        blocks = np.tile(rng.integers(1, 50, 10), (30, 1))
        assert compare(blocks, blocks[0] * 7).probability == 1.0


def correlated(rng: np.random.Generator, shares: Any, life: int) -> np.ndarray:
    """Counts of 30 blocks of 10 frames with objects that stay in view for `life` frames or so."""
    objects = rng.poisson(2 * (300 + 2 * life) / life)
    start = rng.integers(-2 * life, 300, objects)
    end = start + rng.geometric(1 / life, objects)
    bins = rng.choice(len(shares), objects, p=shares)
    changes = np.zeros((301, len(shares)), np.int64)
    np.add.at(changes, (np.clip(start, 0, 300), bins), 1)
    np.add.at(changes, (np.clip(end, 0, 300), bins), -1)
    return np.cumsum(changes[:300], 0).reshape(30, 10, -1).sum(1)


@pytest.mark.parametrize("life", [1, 3, 5])
def test_chance_raises_the_alarm_in_no_more_looks_than_stated(life: int) -> None:
    """Though detections come in runs, as the same object is seen again and again."""
    rng = np.random.default_rng(life)
    bound, looks = DriftLimits().drift_false_alarms, 300
    alarms = naive = 0
    for _ in range(looks):
        known = rng.multinomial(1000, USUAL)
        blocks = correlated(rng, USUAL, life)
        found = compare(blocks, known)
        alarms += found.probability < bound / 3
        # The same detections, dealt out at random: no block knows of another's objects.
        labels = rng.permutation(np.repeat(np.arange(10), blocks.sum(0)))
        dealt = [np.bincount(part, minlength=10) for part in np.array_split(labels, 30)]
        naive += compare(np.array(dealt), known).probability < bound / 3
    # With 300 looks at the stated rate of 1/3 %, more than 5 have a probability of 0.001.
    assert alarms <= 5
    if life == 5:
        assert naive > 30  # what the correction is for


def test_a_robot_that_stands_proves_nothing() -> None:
    monitor = DriftMonitor(FIGURES, NAMES, 0.3)
    for number in range(5000):
        monitor.add(detections([0.31] * 6, [1] * 6), 0.1 * number, Motion(0.0, 0.0))
    assert not monitor.shifts
    assert monitor.note == "collecting"


def test_without_odometry_images_count_once_a_second() -> None:
    monitor = DriftMonitor(FIGURES, NAMES, 0.3)
    strange = detections([0.31] * 6, [1] * 6)
    for number in range(1990):
        monitor.add(strange, 0.1 * number, None)
    assert not monitor.shifts
    for number in range(1990, 2100):
        monitor.add(strange, 0.1 * number, None)
    assert monitor.shifts


def test_without_a_reference_it_says_so() -> None:
    assert watch(images(300, 1), {}).note == "the model card has no reference"
    other = {"reference": FIGURES["reference"] | {"min_score": 0.5}}
    assert "scores from 0.5, not 0.3" in watch(images(300, 1), other).note


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(max_size=3), inner)),
    max_leaves=5,
)


@given(st.sampled_from(["", *sorted(FIGURES["reference"])]), values)
@settings(max_examples=30, deadline=None)
def test_a_malformed_reference_is_refused(key: str, value: Any) -> None:
    """Whatever a card says there, it is compared with, or refused with a ValueError."""
    content = FIGURES["reference"] | {key: value} if key else value
    try:
        watch(images(210, 1), {"reference": content})
    except ValueError as error:
        assert "figures.reference" in str(error)


def test_half_a_reference_is_refused() -> None:
    for key in FIGURES["reference"]:
        content = {k: v for k, v in FIGURES["reference"].items() if k != key}
        if key in ("frames", "min_score"):
            continue
        with pytest.raises(ValueError, match=r"figures\.reference"):
            DriftMonitor({"reference": content}, NAMES, 0.3)
