"""Whether a detector still sees what its model card says it was made for.

A model answers whatever it is shown. Away from the scenes it was checked on, its scores sink, its
classes shift, it finds far more or far less; none of that needs labels to be noticed. Three
histograms over the last minutes are held against those in the card: scores, classes, and detections
per frame.

Frames close to each other show the same objects, so a thousand detections may be worth ten. So a
frame counts only after the robot has moved on, the window is cut into blocks of frames, and the
scatter between blocks (and between twos, threes and fives of them, for what stays in view longer)
says what the counts are worth: the first-order correction of Rao and Scott (Annals of Statistics
12, 1984). With counts divided by that design effect, the likelihood-ratio statistic, which is
`2 (n + m)` times the Jensen–Shannon divergence of both samples weighted by their sizes n and m,
follows an F distribution where nothing has changed. There is an alarm only if that probability is
small *and* the change is large, by the population stability index less what chance adds to it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

from edge_robot.perception.camera_health import Motion
from edge_robot.perception.detections import Detections
from edge_robot.settings import Settings, setting

SCORE_BINS = 10
"""Bins of the score, from 0 to 1."""

FRAME_BINS = 10
"""Bins of the detections in a frame: 0, 1 … 8, and 9 or more."""

KEY = "reference"
"""Where a model card's `figures` hold what `reference` returns."""

BLOCK_FRAMES = 10
WINDOW_BLOCKS = 30
_MIN_BLOCKS = 20
_SCALES = (1, 2, 3, 5)
"""Blocks taken together to see how counts scatter."""

_HISTOGRAMS = ("scores", "classes", "per_frame")

_MIN_EFFECTIVE = 40.0
"""Fewer independent detections than that prove nothing: their scatter itself is badly known."""

_MIN_EXPECTED = 5.0
"""Bins of which fewer independent detections are expected are taken together."""


@dataclass(frozen=True)
class DriftLimits(Settings):
    """What counts as drift."""

    drift_distance: float = setting(
        1.0,
        "way of the robot, m, after which an image counts again (or drift_angle)",
        ge=0.0,
        le=1000.0,
        live=True,
    )
    drift_angle: float = setting(
        0.7, "turn of the robot, rad, after which an image counts again", ge=0.0, le=6.3, live=True
    )
    drift_time: float = setting(
        1.0,
        "time after which an image counts again where the robot's motion is not known, s",
        ge=0.0,
        le=3600.0,
        live=True,
    )
    drift_psi: float = setting(
        0.25,
        "population stability index from which a distribution has shifted",
        ge=0.0,
        le=100.0,
        live=True,
    )
    drift_false_alarms: float = setting(
        0.01,
        "share of looks at an unchanged world that may end in an alarm, where nothing stays in "
        "view for more than about 5 images that count",
        ge=0.0,
        le=1.0,
        live=True,
    )


@dataclass(frozen=True)
class Shift:
    """How far one distribution is from its reference.

    Attributes:
        name: Which: scores, classes or per_frame.
        psi: Population stability index, less what chance alone adds; at least 0.
        probability: Of a difference as large where nothing has changed.
        count: Detections (or frames) in the window.
        effective_count: Independent ones they are worth.
        alarm: Whether it is both large and no chance.
    """

    name: str
    psi: float
    probability: float
    count: int
    effective_count: float
    alarm: bool


def reference(found: Iterable[Detections], min_score: float) -> dict[str, Any]:
    """Return what a model card keeps, as `figures.reference`, of a model's normal behaviour.

    Args:
        found: What the model found in each image of a set like those it will see, not trained on.
        min_score: Lowest score reported when it was found.

    Returns:
        Plain numbers, fit for YAML: `min_score`, `frames`, and counts: `scores` in 10 bins from 0
        to 1, `classes` by name, `per_frame`: images with 0, 1 … 8, and 9 or more detections; and,
        in `design_effect`, what one of these counts is worth: how many times more they scatter from
        image to image than independent ones would.

    Raises:
        ValueError: there are no images.
    """
    names: tuple[str, ...] = ()
    images = []
    for detections in found:
        names = detections.class_names
        images.append(_Counts(len(names)))
        images[-1].add(detections)
    if not images:
        raise ValueError("a reference needs images")
    counts = {name: np.array([getattr(image, name) for image in images]) for name in _HISTOGRAMS}
    return {
        "min_score": float(min_score),
        "frames": len(images),
        "scores": counts["scores"].sum(0).tolist(),
        "classes": dict(zip(names, counts["classes"].sum(0).tolist(), strict=True)),
        "per_frame": counts["per_frame"].sum(0).tolist(),
        "design_effect": {
            name: round(_design_effect(values), 3) for name, values in counts.items()
        },
    }


class DriftMonitor:
    """Collects detections and compares them with the reference whenever a block is full.

    Args:
        figures: A model card's `figures`.
        class_names: Names of the classes the model knows.
        min_score: Lowest score it reports here.
        limits: What counts as drift.

    Attributes:
        limits: As given; may be replaced.
        shifts: The last comparison, empty before the first.
        note: Why there is none, in words; empty where there is one.

    Raises:
        ValueError: the reference in the card is malformed.
    """

    def __init__(
        self,
        figures: Mapping[str, Any],
        class_names: tuple[str, ...],
        min_score: float,
        limits: DriftLimits | None = None,
    ) -> None:
        self.limits = limits or DriftLimits()
        self._names = class_names
        self.shifts: tuple[Shift, ...] = ()
        self._expected: dict[str, NDArray[np.int64]] | None = None
        content = figures.get(KEY)
        if content is None:
            self.note = "the model card has no reference"
        else:
            self._expected, self._effects = _read(content, class_names)
            self.note = "collecting"
            known = content.get("min_score")
            if not isinstance(known, (int, float)) or abs(known - min_score) > 1e-3:
                self._expected = None
                self.note = (
                    f"the model card's reference is for scores from {known}, not {min_score:g}"
                )
        self._blocks: deque[_Counts] = deque(maxlen=WINDOW_BLOCKS)
        self._block = _Counts(len(class_names))
        self._stamp: float | None = None
        self._way = Motion(0.0, 0.0)

    @property
    def alarm(self) -> bool:
        """Whether any distribution has shifted."""
        return any(shift.alarm for shift in self.shifts)

    def add(self, found: Detections, stamp: float, motion: Motion | None) -> None:
        """Take in what was found in an image.

        Args:
            found: The detections.
            stamp: When it was captured, s.
            motion: How the robot moved since the image before; None where that is not known.
        """
        if self._expected is None or not self._is_another_view(stamp, motion):
            return
        self._block.add(found)
        if self._block.per_frame.sum() == BLOCK_FRAMES:
            self._blocks.append(self._block)
            self._block = _Counts(len(self._names))
            if len(self._blocks) >= _MIN_BLOCKS:
                self.shifts, self.note = self._compare(), ""

    def _is_another_view(self, stamp: float, motion: Motion | None) -> bool:
        limits = self.limits
        if motion is not None:
            self._way = Motion(self._way.distance + motion.distance, self._way.angle + motion.angle)
            moved = (
                self._way.distance >= limits.drift_distance or self._way.angle >= limits.drift_angle
            )
        else:
            moved = self._stamp is None or not 0.0 <= stamp - self._stamp < limits.drift_time
        if moved or self._stamp is None:
            self._stamp, self._way = stamp, Motion(0.0, 0.0)
            return True
        return False

    def _compare(self) -> tuple[Shift, ...]:
        assert self._expected is not None
        shifts = []
        for name in _HISTOGRAMS:
            blocks = np.array([getattr(block, name) for block in self._blocks])
            found = compare(blocks, self._expected[name], self._effects[name])
            # Three distributions are looked at, and each may be the one that errs.
            alarm = (
                found.probability < self.limits.drift_false_alarms / 3
                and found.psi >= self.limits.drift_psi
                and found.effective_count >= _MIN_EFFECTIVE
            )
            shifts.append(
                Shift(name, found.psi, found.probability, found.count, found.effective_count, alarm)
            )
        return tuple(shifts)


@dataclass(frozen=True)
class Comparison:
    """A window against a reference; see `Shift`."""

    psi: float
    probability: float
    count: int
    effective_count: float


def compare(
    blocks: NDArray[np.int64], expected: NDArray[np.int64], expected_effect: float = 1.0
) -> Comparison:
    """Compare a window, cut into blocks, with a reference.

    Args:
        blocks: (blocks, bins) counts.
        expected: (bins,) counts of the reference.
        expected_effect: Their design effect, at least 1.
    """
    count = int(blocks.sum())
    if count == 0 or expected.sum() == 0:
        # Nothing at all where something was expected shows in the detections per frame.
        return Comparison(0.0, 1.0, count, 0.0)
    effect, clusters = _effect_of_window(blocks)
    observed, known = blocks.sum(0) / effect, expected / expected_effect
    n, m = float(observed.sum()), float(known.sum())
    pooled = (observed + known) / (n + m)
    rare = min(n, m) * pooled < _MIN_EXPECTED
    observed, known = _merged(observed, rare), _merged(known, rare)
    freedom = len(known) - 1
    if freedom < 1:
        return Comparison(0.0, 1.0, count, n)
    pooled = (observed + known) / (n + m)
    g = 2.0 * (_log_ratio(observed, n * pooled) + _log_ratio(known, m * pooled))
    # Of what is alike, rounding may leave a little below zero, where fdtrc is no number.
    probability = float(fdtrc(freedom, freedom * (clusters - 1), max(g, 0.0) / freedom))
    p = (known + 0.5) / (m + 0.5 * len(known))
    q = (observed + 0.5) / (n + 0.5 * len(known))
    by_chance = freedom * (1.0 / n + 1.0 / m)
    psi = max(0.0, float(np.sum((q - p) * np.log(q / p))) - by_chance)
    return Comparison(psi, probability, count, n)


class _Counts:
    """Three histograms of detections."""

    def __init__(self, classes: int) -> None:
        self.scores = np.zeros(SCORE_BINS, np.int64)
        self.classes = np.zeros(classes, np.int64)
        self.per_frame = np.zeros(FRAME_BINS, np.int64)

    def add(self, found: Detections) -> None:
        bins = np.clip(found.scores * SCORE_BINS, 0, SCORE_BINS - 1).astype(np.int64)
        self.scores += np.bincount(bins, minlength=SCORE_BINS)
        self.classes += np.bincount(found.class_ids, minlength=len(self.classes))
        self.per_frame[min(len(found), FRAME_BINS - 1)] += 1


def _read(
    content: Any, class_names: tuple[str, ...]
) -> tuple[dict[str, NDArray[np.int64]], dict[str, float]]:
    """Return a card's reference: counts and design effect of each histogram."""
    try:
        effects = {name: float(content["design_effect"][name]) for name in _HISTOGRAMS}
        classes = [content["classes"].get(name, 0) for name in class_names]
        counts = {
            "scores": np.array(content["scores"], np.int64),
            "classes": np.array(classes, np.int64),
            "per_frame": np.array(content["per_frame"], np.int64),
        }
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError) as error:
        raise ValueError(f"figures.{KEY} is malformed: {error!r}") from error
    bins = {"scores": SCORE_BINS, "classes": len(class_names), "per_frame": FRAME_BINS}
    for name in _HISTOGRAMS:
        if counts[name].shape != (bins[name],) or counts[name].min() < 0:
            raise ValueError(f"figures.{KEY}.{name} is not {bins[name]} counts")
        if not 1.0 <= effects[name] < np.inf:
            raise ValueError(f"figures.{KEY}.design_effect.{name} is not a number from 1 on")
    return counts, effects


def _merged(counts: NDArray[np.float64], rare: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Take together the bins too rare to be compared by themselves."""
    together = counts[rare].sum()
    return np.append(counts[~rare], together) if rare.any() else counts


def _effect_of_window(blocks: NDArray[np.int64]) -> tuple[float, int]:
    """Return the largest design effect at any scale, and the clusters it was estimated from."""
    effects = []
    for scale in _SCALES:
        clusters = len(blocks) // scale
        together = blocks[: clusters * scale].reshape(clusters, scale, -1).sum(1)
        effects.append((_design_effect(together), clusters))
    return max(effects)


def _design_effect(blocks: NDArray[np.int64]) -> float:
    """Return how many times more the proportions scatter than those of independent counts would.

    Rao and Scott's mean of the design effects of all proportions, each estimated from the scatter
    between blocks; never below 1.

    Args:
        blocks: (clusters, bins) counts.
    """
    count = len(blocks)
    totals = blocks.sum(1)
    n = totals.sum()
    if count < 2 or n == 0:
        return 1.0
    shares = blocks.sum(0) / n
    used = (shares > 0.0) & (shares < 1.0)
    if not used.any():
        return 1.0
    residuals = blocks[:, used] - totals[:, None] * shares[used]
    variances = count / (count - 1) * np.sum(residuals**2, 0) / n**2
    effects = variances / (shares[used] * (1.0 - shares[used]) / n)
    return max(1.0, float(np.sum((1.0 - shares[used]) * effects) / max(1, used.sum() - 1)))


def _log_ratio(counts: NDArray[np.float64], means: NDArray[np.float64]) -> float:
    used = counts > 0
    return float(np.sum(counts[used] * np.log(counts[used] / means[used])))
