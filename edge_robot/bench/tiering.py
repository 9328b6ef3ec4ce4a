"""Which frames to upload: the learnt tier policy, Sedna's filters, chance and hindsight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_robot.bench.hard_examples import ibt_filter, threshold_filter
from edge_robot.bench.upload_chart import upload_chart
from edge_robot.bench.upload_curve import DRAWS, caught, curve, oracle_order, orders
from edge_robot.errors import UserError
from edge_robot.perception.detections import Detections
from edge_robot.perception.detector import Detector
from edge_robot.perception.evaluation import Labels, match
from edge_robot.perception.labelled_images import LabelledImage, read_labelled_images, split
from edge_robot.perception.tiering.calibration import ScoreCalibration, learn_calibration
from edge_robot.perception.tiering.features import frame_features, reduced
from edge_robot.perception.tiering.gain_model import GainModel
from edge_robot.perception.tiering.learning import expected_gains, fit_gain_model
from edge_robot.perception.tiering.mixture import match_tiers
from edge_robot.perception.tiering.variations import vary

AP_FLOOR = 0.01
"""Lowest score of the detections whose precision is measured."""

SETS = 200
"""Sets drawn to learn the gains from."""

RIDGE = 1.0
MISS_WEIGHT = 0.6
"""Standard deviations of gain that a total miss is worth besides. This, the ridge and the features
were chosen by cross-validation among images learnt on."""

RANDOM_ORDERS = 300


@dataclass(frozen=True)
class Frame:
    """One frame as both tiers see it.

    Attributes:
        onboard: The onboard result, down to `AP_FLOOR`.
        second: The second opinion, likewise.
        labels: What is in it.
        grey: The image as the policy sees it.
        working: The onboard detections at the detector's own threshold.
    """

    onboard: Detections
    second: Detections
    labels: Labels
    grey: NDArray[np.uint8]
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
    variations: int = 16,
    splits: int = 3,
    sets: int = SETS,
    write_policy: Path | None = None,
    chart: Path | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Learn on one half of the images, and score on the other.

    Args:
        onboard_model: Detector of the first tier.
        second_model: Detector of the second.
        images: Folder of images.
        labels: Folder of their labels in YOLO's format.
        seed: Of the split, of the variations, and of every draw.
        variations: Frames made of each image to learn from, itself among them.
        splits: Further splits, to see how much hangs on the one reported; the first of them is
            the same halves changed over.
        sets: Sets drawn to learn the gains from.
        write_policy: Where to write the policy that was learnt.
        chart: Where to draw the curves, as SVG.
        progress: Is told what is being done.

    Raises:
        UserError: images, labels or models cannot be used.
    """
    tiers = [Detector(model, min_score=AP_FLOOR) for model in (onboard_model, second_model)]
    threshold = tiers[0].card.score_threshold
    found = read_labelled_images(images, labels, tiers[0].class_names)
    half = len(found) // 2
    halves = split(found, [half, len(found) - half], seed)
    seen: dict[str, list[Frame]] = {}
    for number, item in enumerate(found):
        progress(f"both detectors: image {number + 1} of {len(found)}")
        count = variations if splits or item in halves[0] else 1
        seen[item.sha256] = look(item, tiers, threshold, count, seed)
    result: dict[str, Any] = {
        "onboard": {"model": onboard_model, "sha256": tiers[0].sha256, "threshold": threshold},
        "second": {"model": second_model, "sha256": tiers[1].sha256},
        "images": len(found),
        "seed": seed,
        "variations": variations,
    }

    def run(learn: Sequence[LabelledImage], score: Sequence[LabelledImage], name: str) -> Any:
        progress(f"{name}: learning from {len(learn)} images")
        policy, calibrations = learn_policy(
            [seen[item.sha256] for item in learn],
            f"{len(learn)} images of {images.resolve().parent.name}, {variations} variations each; "
            f"onboard {Path(onboard_model).stem}, second opinion {Path(second_model).stem}",
            seed,
            sets,
        )
        progress(f"{name}: scoring on {len(score)} images")
        frames = [seen[item.sha256][0] for item in score]
        return policy, compare_policies(frames, policy, calibrations, seed)

    policy, figures = run(halves[0], halves[1], "the split")
    if write_policy is not None:
        policy.write(write_policy)
    result |= figures
    if chart is not None:
        try:
            chart.write_text(upload_chart(figures["calibrated"]))
        except OSError as error:
            raise UserError(f"cannot write {chart}: {error.strerror}") from error
    if splits:
        others = [("halves changed over", halves[::-1])]
        others += [
            (f"seed {seed + k}", split(found, [half, half], seed + k)) for k in range(1, splits)
        ]
        result["other_splits"] = [
            {"split": name, **summary(run(parts[0], parts[1], name)[1])} for name, parts in others
        ]
    return result


def look(
    item: LabelledImage,
    tiers: Sequence[Detector],
    threshold: float,
    variations: int,
    seed: int,
) -> list[Frame]:
    """Return an image and variations of it as both tiers see them."""
    image, labels = item.read(), item.labels
    rng = np.random.default_rng([seed, int(item.sha256[:12], 16)])
    frames = []
    for number in range(variations):
        pixels, truth = (image, labels) if number == 0 else vary(image, labels, rng)
        onboard, second = (tier.detect(pixels) for tier in tiers)
        kept = onboard.scores >= threshold
        working = Detections(
            onboard.boxes[kept],
            onboard.scores[kept],
            onboard.class_ids[kept],
            onboard.class_names,
        )
        frames.append(Frame(onboard, second, truth, reduced(pixels), working))
    return frames


def learn_policy(
    frames: Sequence[Sequence[Frame]], learnt_on: str, seed: int, sets: int = SETS
) -> tuple[GainModel, tuple[ScoreCalibration, ScoreCalibration]]:
    """Learn from frames, given per image: the policy, and what the scores of both tiers mean."""
    flat = [frame for variations in frames for frame in variations]
    truth = [frame.labels for frame in flat]
    calibrations = (
        learn_calibration([frame.onboard for frame in flat], truth),
        learn_calibration([frame.second for frame in flat], truth),
    )
    flat = calibrated(flat, calibrations)
    mixture = match_tiers([f.onboard for f in flat], [f.second for f in flat], truth)
    groups = np.repeat(np.arange(len(frames)), [len(variations) for variations in frames])
    gains = expected_gains(mixture, groups, sets, np.random.default_rng(seed))
    drawn = np.isfinite(gains)
    missed = np.array([frame.missed for frame in flat])[drawn]
    features = [frame_features(f.working, f.grey, calibrations[0]) for f in flat]
    policy = fit_gain_model(
        np.stack(features)[drawn],
        _standardised(gains[drawn]) + MISS_WEIGHT * _standardised(missed.astype(float)),
        calibrations[0],
        ridge=RIDGE,
        learnt_on=learnt_on,
        seed=seed,
        date=date.today().isoformat(),
    )
    return policy, calibrations


def _standardised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((values - values.mean()) / max(float(values.std()), 1e-12))


def calibrated(
    frames: Sequence[Frame], calibrations: tuple[ScoreCalibration, ScoreCalibration]
) -> list[Frame]:
    """Return frames with the scores of both tiers on one scale."""
    return [
        replace(f, onboard=calibrations[0].apply(f.onboard), second=calibrations[1].apply(f.second))
        for f in frames
    ]


def compare_policies(
    frames: Sequence[Frame],
    policy: GainModel,
    calibrations: tuple[ScoreCalibration, ScoreCalibration],
    seed: int,
) -> dict[str, Any]:
    """Score every policy on the same frames, with calibrated scores and with the raw ones."""
    worth = np.array([policy.worth(frame.working, frame.grey) for frame in frames])
    working = [frame.working for frame in frames]
    values = {
        "ours": worth,
        "sedna_threshold": threshold_filter(working),
        "sedna_ibt": ibt_filter(working),
    }
    missed = np.array([frame.missed for frame in frames])
    result: dict[str, Any] = {
        "scored_on": len(frames),
        "frames_with_total_misses": int(missed.sum()),
        "frames_without_detections": sum(len(found) == 0 for found in working),
        "calibrated": _curves(calibrated(frames, calibrations), values, missed, seed, (0.5,)),
        "raw_scores": _curves(frames, values, missed, seed, (0.5,)),
    }
    return result


def _curves(
    frames: Sequence[Frame],
    values: dict[str, NDArray[np.float64]],
    missed: NDArray[np.bool_],
    seed: int,
    shares: Sequence[float],
) -> dict[str, Any]:
    """Return mean average precision by share for each ranking, and what stands out of it."""
    rng = np.random.default_rng(seed)
    truth = [frame.labels for frame in frames]
    onboard, second = [f.onboard for f in frames], [f.second for f in frames]
    mixture = match_tiers(onboard, second, truth)
    at_50 = match_tiers(onboard, second, truth, (0.5,))
    all_orders = {name: orders(value, DRAWS, rng) for name, value in values.items()}
    all_orders["oracle"] = [oracle_order(mixture, len(frames))]
    all_orders["random"] = orders(np.zeros(len(frames)), RANDOM_ORDERS, rng)
    result: dict[str, Any] = {"share": np.linspace(0.0, 1.0, len(frames) + 1).round(4).tolist()}
    for name, ways in all_orders.items():
        curves = np.array([curve(mixture, order) for order in ways])
        mean = curves.mean(axis=0)
        half = len(frames) // 2
        result[name] = {
            "map": mean.round(5).tolist(),
            "map50": np.mean([curve(at_50, order) for order in ways[:50]], axis=0)
            .round(5)
            .tolist(),
            "of_full_at_half": round(float(mean[half] / mean[-1]), 4),
            "misses_caught_at_half": round(
                float(np.mean([caught(missed, order, 0.5) for order in ways])), 3
            )
            if missed.any()
            else None,
        }
        if name == "random":
            low, high = np.percentile(curves, (5, 95), axis=0)
            result[name] |= {"map_p5": low.round(5).tolist(), "map_p95": high.round(5).tolist()}
    ours = np.array(result["ours"]["map"])[1:-1]
    sedna = np.array([result[name]["map"] for name in values if name != "ours"])[:, 1:-1]
    margin = ours - sedna.max(axis=0)
    result["ours_above_both"] = {
        "share_of_shares": round(float(np.mean(margin > 0.0)), 4),
        "smallest_margin": round(float(margin.min()), 5),
        "mean_margin": round(float(margin.mean()), 5),
    }
    return result


def summary(figures: dict[str, Any]) -> dict[str, Any]:
    """Return the few figures of a comparison that tell how it ended."""
    curves = figures["calibrated"]
    return {
        "frames_with_total_misses": figures["frames_with_total_misses"],
        "of_full_at_half": {
            name: curves[name]["of_full_at_half"]
            for name in ("ours", "sedna_threshold", "sedna_ibt", "random", "oracle")
        },
        "misses_caught_at_half": curves["ours"]["misses_caught_at_half"],
        "ours_above_both": curves["ours_above_both"],
    }
