"""Learning what a second opinion adds, on cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.perception.detections import Detections
from edge_robot.perception.evaluation import COCO_IOUS, Labels, mean_average_precision
from edge_robot.perception.tiering.calibration import ScoreCalibration, learn_calibration
from edge_robot.perception.tiering.features import FEATURES
from edge_robot.perception.tiering.learning import expected_gains, fit_gain_model
from edge_robot.perception.tiering.mixture import match_tiers
from edge_robot.perception.tiering.variations import vary

NAMES = ("a", "b", "c")
AS_THEY_ARE = ScoreCalibration(0.0, 1.0)


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


def random_labels(rng: np.random.Generator, frames: int) -> list[Labels]:
    found = random_results(rng, frames)
    return [Labels(f.boxes, f.class_ids, rng.uniform(size=len(f)) < 0.2) for f in found]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_a_mixture_scores_as_the_evaluation_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = random_labels(rng, 8)
    labels[0] = Labels(np.array([[0, 0, 9, 9]], np.float32), np.array([1]), np.array([False]))
    near = [
        Detections(
            t.boxes + 1, np.linspace(0.9, 0.1, len(t.boxes), dtype=np.float32), t.class_ids, NAMES
        )
        for t in labels
    ]
    onboard, second = random_results(rng, 8), near
    mixture = match_tiers(onboard, second, labels)
    uploaded = rng.uniform(size=8) < 0.5
    mixed = [second[k] if uploaded[k] else onboard[k] for k in range(8)]
    expected = mean_average_precision(mixed, labels, COCO_IOUS)
    assert mixture.mean_average_precision(uploaded) == pytest.approx(expected, abs=1e-12)

    for frame in range(8):
        with_it, without = uploaded.copy(), uploaded.copy()
        with_it[frame], without[frame] = True, False
        difference = mixture.mean_average_precision(with_it) - mixture.mean_average_precision(
            without
        )
        gain = mixture.gain(frame, uploaded, mixture.class_precisions(uploaded))
        assert gain == pytest.approx(difference, abs=1e-12)

    some = np.array([0, 2, 3, 6])
    picked = [mixed[k] for k in some]
    expected = mean_average_precision(picked, [labels[k] for k in some], COCO_IOUS)
    actual = mixture.subset(some).mean_average_precision(uploaded[some])
    assert actual == pytest.approx(expected, abs=1e-12)


def test_only_frames_that_the_second_opinion_betters_have_a_gain() -> None:
    box = np.array([[0, 0, 10, 10]], np.float32)
    one = Detections(box, np.array([0.9], np.float32), np.array([0]), NAMES)
    none = Detections(box[:0], np.zeros(0, np.float32), np.zeros(0, np.int64), NAMES)
    truth = Labels(box, np.array([0]), np.array([False]))
    mixture = match_tiers([none, one], [one, one], [truth, truth])
    gains = expected_gains(mixture, np.arange(2), 5, np.random.default_rng(1))
    assert gains[0] == pytest.approx(50 / 101, abs=0.01)  # recall from 0.5 to 1
    assert gains[1] == 0.0


def test_the_learner_finds_a_known_function_and_keeps_to_the_signs() -> None:
    rng = np.random.default_rng(4)
    features = rng.normal(size=(4000, len(FEATURES))) * 3.0 + 1.0
    features[:, 2] = 7.0  # says nothing
    wanted = np.array([0.5 * (k + 1) for k in range(len(FEATURES))])
    wanted[2] = 0.0
    bound = next(k for k, feature in enumerate(FEATURES) if feature.sign > 0)
    wanted[bound] = -2.0  # against its sign: must come out as nothing
    gains = features @ wanted + rng.normal(size=4000)
    model = fit_gain_model(features, gains, AS_THEY_ARE, ridge=1e-6, learnt_on="", seed=1, date="")
    learnt = np.array(model.weights)
    assert learnt[bound] == 0.0 and learnt[2] == 0.0
    others = [k for k in range(len(FEATURES)) if k not in (bound, 2)]
    ratio = learnt[others] / wanted[others]
    np.testing.assert_allclose(ratio / ratio.mean(), 1.0, atol=0.1)
    worths = (features @ learnt - model.centre) / model.spread
    assert abs(worths.mean()) < 1e-9 and worths.std() == pytest.approx(1.0)


def test_features_that_say_nothing_make_all_frames_alike() -> None:
    features = np.ones((10, len(FEATURES)))
    model = fit_gain_model(
        features, np.arange(10.0), AS_THEY_ARE, ridge=0.1, learnt_on="", seed=1, date=""
    )
    assert not any(model.weights) and model.spread == 1.0


def test_calibrated_scores_are_the_share_of_right_detections() -> None:
    rng = np.random.default_rng(5)
    found, labels = [], []
    for _ in range(3000):
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


def test_a_variation_carries_its_labels() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    image[60:120, 100:180] = (255, 128, 64)
    labels = Labels(np.array([[100, 60, 180, 120]], np.float32), np.array([2]), np.array([False]))
    counted = 0
    for seed in range(40):
        varied, truth = vary(image, labels, np.random.default_rng(seed))
        assert varied.dtype == np.uint8 and varied.shape[2] == 3
        if not len(truth.boxes):
            continue
        x1, y1, x2, y2 = truth.boxes[0].round().astype(int)
        inside = varied[y1 + 3 : y2 - 3, x1 + 3 : x2 - 3]
        outside = varied.astype(float).sum() - varied[y1:y2, x1:x2].astype(float).sum()
        assert inside.size == 0 or inside[..., 0].mean() > 60
        assert outside / varied.size < 30
        counted += not truth.ignore[0]
    assert counted > 20
