"""The tier policy, Sedna's filters, chance, foresight and hindsight on many splits of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_robot.bench.tiering.calibration import learn_calibration
from edge_robot.bench.tiering.chart import upload_chart
from edge_robot.bench.tiering.curve import caught, curve, oracle_order, orders
from edge_robot.bench.tiering.hard_examples import ibt_filter, threshold_filter
from edge_robot.bench.tiering.mixture import ClassMixture, match_tiers
from edge_robot.bench.tiering.second_opinion import fuse
from edge_robot.errors import UserError
from edge_robot.perception.detections import Detections
from edge_robot.perception.detector import Detector
from edge_robot.perception.evaluation import Labels, match
from edge_robot.perception.labelled_images import read_labelled_images, split
from edge_robot.perception.looks import FURTHER_LOOKS, look_further
from edge_robot.perception.tiering.gain import ExpectedGain

AP_FLOOR = 0.01
"""Lowest score of the detections whose precision is measured."""

SPLITS = 30
RANDOM_ORDERS = 20
"""Random orders on each split, for chance and where a filter leaves the order of frames open."""

SEDNA = ("sedna_threshold", "sedna_ibt")


@dataclass(frozen=True)
class Frame:
    """One frame as both tiers see it.

    Attributes:
        onboard: The onboard result, down to `AP_FLOOR`.
        second: The second opinion, likewise.
        labels: What is in it.
        working: The onboard detections at the detector's own threshold: all that policies see.
    """

    onboard: Detections
    second: Detections
    labels: Labels
    working: Detections

    @property
    def missed(self) -> bool:
        """Whether there are labelled objects and the onboard detector found none of them.

        Found: a detection of the object's class, at the detector's own threshold, overlaps it by
        an IoU of 0.5 or more.
        """
        labelled = np.unique(self.labels.class_ids[~self.labels.ignore])
        return len(labelled) > 0 and not any(
            match(
                self.working.boxes[self.working.class_ids == c],
                self.labels.boxes[self.labels.class_ids == c],
                self.labels.ignore[self.labels.class_ids == c],
                0.5,
            )[0].any()
            for c in labelled
        )


def measure(
    onboard_model: str,
    second_model: str,
    images: Path,
    labels: Path,
    *,
    seed: int = 0,
    splits: int = SPLITS,
    looks: int = 0,
    chart: Path | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Score every policy on one half of the images, on many splits.

    The other half says what the scores of each detector mean. Which classes are rare our policy
    learns from the onboard results of both, never from labels.
    A second opinion is used in two ways: fused with the onboard result, and in its place.

    Args:
        onboard_model: Detector of the first tier.
        second_model: Detector of the second.
        images: Folder of images.
        labels: Folder of their labels in YOLO's format.
        seed: Of the first split; the others have those that follow.
        splits: Number of splits, at least 1.
        looks: Further looks of the onboard detector at each image, for all policies alike.
        chart: Where to draw the mean curves over all splits, as SVG.
        progress: Is told what is being done.

    Returns:
        Under `first_split` and `mean_of_splits` and there `fused` and `replaced`, per policy:
        `map` by share of frames uploaded (as `share` has them), and at half the frames, mAP
        against that of all uploaded (`of_full`) and against the second detector alone on all
        frames (`of_second_alone`), and the part of total misses uploaded (`misses_caught`).
        Figures of a mean are means of the splits' figures, but for what the name says.

    Raises:
        UserError: images, labels or models cannot be used.
    """
    tiers = [Detector(model, min_score=AP_FLOOR) for model in (onboard_model, second_model)]
    threshold = tiers[0].card.score_threshold
    found = read_labelled_images(images, labels, tiers[0].class_names)
    seen: dict[str, Frame] = {}
    for number, item in enumerate(found):
        progress(f"both detectors: image {number + 1} of {len(found)}")
        image = item.read()
        first, second = (tier.detect(image) for tier in tiers)
        onboard, _ = look_further(tiers[0].detect, image, first, FURTHER_LOOKS[:looks])
        seen[item.sha256] = Frame(onboard, second, item.labels, _at_least(onboard, threshold))
    half = len(found) // 2
    results = []
    for number in range(splits):
        progress(f"split {number + 1} of {splits}")
        learn, score = (
            [seen[item.sha256] for item in part]
            for part in split(found, [half, len(found) - half], seed + number)
        )
        results.append(compare_policies(learn, score, np.random.default_rng(seed + number)))
    mean = _mean(results)
    for way in ("fused", "replaced"):
        mean[way]["mean_curve_above_sedna"] = _above(mean[way], SEDNA)
        mean[way]["mean_curve_above_random"] = _above(mean[way], ("random",))
    if chart is not None:
        try:
            chart.write_text(upload_chart(mean["fused"]))
        except OSError as error:
            raise UserError(f"cannot write {chart}: {error.strerror}") from error
    return {
        "onboard": {
            "model": onboard_model,
            "sha256": tiers[0].sha256,
            "threshold": threshold,
            "further_looks": looks,
        },
        "second": {"model": second_model, "sha256": tiers[1].sha256},
        "images": len(found),
        "seed": seed,
        "splits": splits,
        "share": np.linspace(0.0, 1.0, len(found) - half + 1).round(4).tolist(),
        "first_split": results[0],
        "mean_of_splits": mean,
    }


def _at_least(found: Detections, threshold: float) -> Detections:
    kept = found.scores >= threshold
    return Detections(
        found.boxes[kept], found.scores[kept], found.class_ids[kept], found.class_names
    )


def compare_policies(
    learn: Sequence[Frame], score: Sequence[Frame], rng: np.random.Generator
) -> dict[str, Any]:
    """Score every policy on the same frames.

    Args:
        learn: Other frames, to calibrate on.
        score: The frames to choose from.
        rng: Source of chance.
    """
    truth = [frame.labels for frame in learn]
    onboard_scores = learn_calibration([frame.onboard for frame in learn], truth)
    second_scores = learn_calibration([frame.second for frame in learn], truth)
    onboard = [onboard_scores.apply(frame.onboard) for frame in score]
    second = [second_scores.apply(frame.second) for frame in score]
    fused = [fuse(*results) for results in zip(onboard, second, strict=True)]

    labels = [frame.labels for frame in score]
    working = [frame.working for frame in score]
    gain = ExpectedGain()
    for frame in (*learn, *score):  # as on the robot: which classes are rare, without any labels
        gain.learn(frame.working)
    values = {
        "ours": np.array([gain.of(found) for found in working]),
        "sedna_threshold": threshold_filter(working),
        "sedna_ibt": ibt_filter(working),
        "random": np.zeros(len(score)),
        "foresight": np.array([_news(frame) for frame in score]),
    }
    chosen = {name: orders(value, RANDOM_ORDERS, rng) for name, value in values.items()}
    missed = np.array([frame.missed for frame in score])
    replaced_classes = match_tiers(onboard, second, labels)
    alone = float(curve(replaced_classes, np.arange(len(score)))[-1])
    return {
        "frames_with_total_misses": int(missed.sum()),
        "frames_without_detections": sum(len(found) == 0 for found in working),
        "fused": _curves(match_tiers(onboard, fused, labels), chosen, missed, alone),
        "replaced": _curves(replaced_classes, chosen, missed, alone),
    }


def _news(frame: Frame) -> float:
    """Return what the second detector sees more of than the onboard one: no policy can know it."""
    best = np.zeros((2, len(frame.onboard.class_names)))
    for row, found in zip(best, (frame.onboard, frame.second), strict=True):
        np.maximum.at(row, found.class_ids, found.scores)
    return float(np.maximum(0.0, best[1] - best[0]).sum())


def _curves(
    classes: Sequence[ClassMixture],
    chosen: Mapping[str, Sequence[NDArray[np.int64]]],
    missed: NDArray[np.bool_],
    alone: float,
) -> dict[str, Any]:
    """Return mean average precision by share for each policy, and what stands out of it."""
    half = len(missed) // 2
    result: dict[str, Any] = {}
    for name, ways in {**chosen, "oracle": [oracle_order(classes, len(missed))]}.items():
        mean = np.mean([curve(classes, order) for order in ways], axis=0)
        result[name] = {
            "map": mean.tolist(),
            "of_full": float(mean[half] / mean[-1]),
            "of_second_alone": float(mean[half] / alone),
            "misses_caught": float(np.mean([caught(missed, order, 0.5) for order in ways]))
            if missed.any()
            else None,
        }
    result["ours_above_sedna"] = _above(result, SEDNA)
    return result


def _above(curves: Mapping[str, Any], others: Sequence[str]) -> dict[str, float]:
    """Return at which part of the shares, without none and all, our curve is above all others."""
    best = np.max([curves[name]["map"] for name in others], axis=0)
    margin = (np.array(curves["ours"]["map"]) - best)[1:-1]
    return {
        "part_of_shares": float(np.mean(margin > 0.0)),
        "smallest_margin": float(margin.min()),
        "mean_margin": float(margin.mean()),
    }


def _mean(results: Sequence[Any]) -> Any:
    """Return the means of like results, figure by figure, where known."""
    if not isinstance(results[0], dict):
        known = [item for item in results if item is not None]
        return np.mean(known, axis=0).tolist() if known else None
    mean = {key: _mean([item[key] for item in results]) for key in results[0]}
    if "map" in mean:
        mean["of_full_deviation"] = float(np.std([item["of_full"] for item in results]))
    return mean
