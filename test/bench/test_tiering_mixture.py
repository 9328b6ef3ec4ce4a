"""Accuracy of two tiers together, and what stands behind it, on cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.bench.tiering.calibration import learn_calibration
from edge_robot.bench.tiering.curve import curve, oracle_order
from edge_robot.bench.tiering.mixture import match_tiers
from edge_robot.bench.tiering.second_opinion import fuse
from edge_robot.perception.detections import Detections
from edge_robot.perception.evaluation import Labels, mean_average_precision

NAMES = ("a", "b", "c")
IOUS = (0.5, 0.6, 0.75)


def random_results(rng: np.random.Generator, frames: int) -> list[Detections]:
    results = []
    for _ in range(frames):
        count = int(rng.integers(0, 6))
        low = rng.uniform(0, 30, (count, 2))
        scores = np.sort(rng.uniform(0, 1, count).round(1))[::-1]
        results.append(
            Detections(
                np.hstack([low, low + rng.uniform(5, 30, (count, 2))]).astype(np.float32),
                scores.astype(np.float32),
                rng.integers(0, 3, count),
                NAMES,
            )
        )
    return results


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=6, deadline=None)
def test_a_curve_is_what_the_evaluation_says_of_each_choice(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = [Labels(f.boxes, f.class_ids, np.zeros(len(f), bool)) for f in random_results(rng, 6)]
    labels[0] = Labels(np.array([[0, 0, 9, 9]], np.float32), np.array([1]), np.array([False]))
    onboard, second = random_results(rng, 6), random_results(rng, 6)
    for k, truth in enumerate(labels[:4]):
        scores = np.linspace(0.9, 0.1, len(truth.boxes), dtype=np.float32)
        second[k] = Detections(truth.boxes + 1, scores, truth.class_ids, NAMES)
    classes = match_tiers(onboard, second, labels, IOUS)

    def evaluated(uploaded: set[int]) -> float:
        mixed = [second[k] if k in uploaded else onboard[k] for k in range(6)]
        return mean_average_precision(mixed, labels, IOUS)

    order = rng.permutation(6)
    expected = [evaluated(set(order[:count].tolist())) for count in range(7)]
    assert curve(classes, order) == pytest.approx(expected, abs=1e-12)

    greedy = oracle_order(classes, 6).tolist()
    for count in range(6):
        done = set(greedy[:count])
        best = max(evaluated({*done, k}) for k in range(6) if k not in done)
        assert evaluated({*done, greedy[count]}) == pytest.approx(best, abs=1e-12)


def test_fused_results_keep_what_either_found_and_believe_two_witnesses() -> None:
    here, near, away = (0.0, 0.0, 10.0, 10.0), (1.0, 0.0, 11.0, 10.0), (30.0, 0.0, 40.0, 10.0)

    def result(*rows: tuple[tuple[float, ...], float, int]) -> Detections:
        return Detections(
            np.array([box for box, _, _ in rows], np.float32).reshape(-1, 4),
            np.array([score for _, score, _ in rows], np.float32),
            np.array([class_id for _, _, class_id in rows], np.int64),
            NAMES,
        )

    onboard = result((here, 0.6, 0), (away, 0.5, 1), (here, 0.2, 0))
    fused = fuse(onboard, result((near, 0.5, 0), (away, 0.4, 2)))
    assert fused.scores == pytest.approx([0.8, 0.5, 0.4, 0.2])
    assert fused.boxes.tolist() == [list(box) for box in (near, away, away, here)]
    assert fused.class_ids.tolist() == [0, 1, 2, 0]
    assert len(fuse(result(), result())) == 0
    assert fuse(onboard, result()).scores == pytest.approx([0.6, 0.5, 0.2])


def test_calibrated_scores_are_the_share_of_right_detections() -> None:
    rng = np.random.default_rng(5)
    found, labels = [], []
    for _ in range(1000):
        score = rng.uniform(0.05, 0.95)
        right = rng.uniform() < score**3  # over-confident
        box = np.array([[0, 0, 10, 10]], np.float32)
        found.append(Detections(box, np.array([score], np.float32), np.array([0]), NAMES))
        labels.append(Labels(box if right else box + 50, np.array([0]), np.array([False])))
    calibration = learn_calibration(found, labels)
    assert calibration.slope > 0.0
    for score in (0.3, 0.6, 0.9):
        one = Detections(box, np.array([score], np.float32), np.array([0]), NAMES)
        assert calibration.apply(one).scores[0] == pytest.approx(score**3, abs=0.08)
