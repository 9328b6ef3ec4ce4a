"""Tells a sick camera from an empty scene, image by image, in well under a millisecond.

A frozen, dark, over-exposed or covered camera shows nothing to a detector, and "nothing found" of
such an image would read as "nothing there". So each image is judged by itself: `Judgement.usable`
says whether what a detector finds in it, or does not, may be believed.

The rules, with the figures of `HealthLimits`:

- *dark*: even the brightest 2 % of the pixels are dim. A night scene with one lamp is not dark.
- *over-exposed*: most pixels are at the upper stop.
- *frozen*: the images stay the same while the robot moves; or, where it stands or its motion is not
  known, while time passes and the camera had shown noise everywhere before. A simulated camera
  without noise on a standing robot, and a dark scene with noise, are not frozen. Pixels at a
  stop show no noise: a dark or over-exposed image is not called frozen.
- *obstructed*: most of the image has no texture and stays the same though the robot has moved. Not
  judged where its motion is unknown. A plain wall that fills the image is called so as well; it
  hides what is behind it in the same way.
- *blurred*: edges are much wider than at this camera's own best, or so wide that no lens in focus
  makes them.
- *late*: an image is old when it comes, or a gap of several periods lies before it.
- *stamp jumped back*: an image is stamped before the one that came before it.
- *stamped in the future*: its clock is not the robot's.

Of a blurred or late image detections are still measurements; it is usable, and said to be ill.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot.settings import Settings, setting

Grey = NDArray[np.uint8]


class Cause(Enum):
    """What a camera can suffer from."""

    DARK = "dark"
    OVEREXPOSED = "over-exposed"
    FROZEN = "frozen"
    OBSTRUCTED = "obstructed"
    BLURRED = "blurred"
    LATE = "late"
    STAMP = "stamp jumped back"
    AHEAD = "stamped in the future"


UNUSABLE = frozenset({Cause.DARK, Cause.OVEREXPOSED, Cause.FROZEN, Cause.OBSTRUCTED})
"""Causes for which an image says nothing about the scene."""


@dataclass(frozen=True)
class HealthLimits(Settings):
    """From where on a camera is called sick."""

    dark_level: float = setting(
        16.0,
        "an image whose brightest 2 % stay below this grey value is dark",
        ge=0.0,
        le=255.0,
        live=True,
    )
    overexposed_share: float = setting(
        0.7,
        "share of pixels at the upper stop from which an image is over-exposed",
        ge=0.0,
        le=1.0,
        live=True,
    )
    frozen_distance: float = setting(
        0.10,
        "way of the robot, m, on which an image must change (or frozen_angle)",
        ge=0.0,
        le=100.0,
        live=True,
    )
    frozen_angle: float = setting(
        0.05, "turn of the robot, rad, on which an image must change", ge=0.0, le=6.3, live=True
    )
    frozen_time: float = setting(
        1.0,
        "time in which the image of a camera known to be noisy must change, s",
        ge=0.0,
        le=3600.0,
        live=True,
    )
    obstructed_share: float = setting(
        0.75,
        "share of the image, without texture and fixed as the robot moves, that is covered",
        ge=0.0,
        le=1.0,
        live=True,
    )
    blur_ratio: float = setting(
        0.5,
        "sharpness against this camera's own best below which it is blurred",
        ge=0.0,
        le=1.0,
        live=True,
    )
    blur_floor: float = setting(
        0.17,
        "sharpness that no lens in focus falls below: edges about 6 pixels wide",
        ge=0.0,
        le=1.0,
        live=True,
    )
    max_age: float = setting(
        0.3,
        "age on arrival from which an image is late, s; or ahead, where it is negative",
        ge=0.0,
        le=3600.0,
        live=True,
    )
    max_gap: float = setting(
        3.0,
        "periods between two images from which the second is late",
        ge=1.0,
        le=1000.0,
        live=True,
    )
    clear_time: float = setting(
        1.0,
        "how long a camera must be free of a cause before it is reported as such, s",
        ge=0.0,
        le=3600.0,
        live=True,
    )


@dataclass(frozen=True)
class Motion:
    """How the robot moved between two images.

    Attributes:
        distance: m, at least 0.
        angle: rad, at least 0.
    """

    distance: float
    angle: float

    @property
    def is_still(self) -> bool:
        """Whether that is less than anything that moves: the robot stands."""
        return self.distance < 0.001 and self.angle < 0.001


@dataclass(frozen=True)
class Judgement:
    """What is wrong with one image.

    Attributes:
        causes: Everything that is.
        begun: Causes the camera has not been reported for before.
        ended: Causes it is free of again.
    """

    causes: frozenset[Cause]
    begun: tuple[Cause, ...] = ()
    ended: tuple[Cause, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether detections in this image, or their absence, say something about the scene."""
        return not self.causes & UNUSABLE


class CameraHealth:
    """Judges a camera's images one after the other.

    Args:
        limits: From where on it is called sick.

    Attributes:
        limits: As given; may be replaced.
        since: What the camera suffers from, and the stamp of the image it began with, s.
        sharpness: Of the last image that had edges to judge by, 0..1; None before.
        best_sharpness: What this camera can do; None before it is known.
        brightness: Grey value that 2 % of the last image exceed.
        age: Of the last image on arrival, s.
        gaps: Images with a gap before them, so far.
        jumps: Images stamped before their predecessor, so far.
    """

    def __init__(self, limits: HealthLimits | None = None) -> None:
        self.limits = limits or HealthLimits()
        self.since: dict[Cause, float] = {}
        self.sharpness: float | None = None
        self.best_sharpness: float | None = None
        self.brightness = 0.0
        self.age = 0.0
        self.gaps = 0
        self.jumps = 0
        self._last_true: dict[Cause, float] = {}
        self._stamp: float | None = None
        self._periods: deque[float] = deque(maxlen=20)
        self._sample: Grey | None = None
        self._frozen = _Frozen()
        self._obstructed = _Obstructed()
        self._soft_images = 0

    def see(
        self, image: NDArray[np.uint8], stamp: float, now: float, motion: Motion | None
    ) -> Judgement:
        """Judge an image.

        Args:
            image: (H, W, 3) uint8.
            stamp: Its capture time, s.
            now: The time, s, on the same clock; 0 while it is not known.
            motion: How the robot moved since the image before; None where that is not known.
        """
        causes = self._timing(stamp, now)
        sample = sampled(image)
        self.brightness, stopped = exposure(sample)
        if self.brightness < self.limits.dark_level:
            causes.add(Cause.DARK)
        elif stopped >= self.limits.overexposed_share:
            causes.add(Cause.OVEREXPOSED)
        elif self._is_blurred(image):
            causes.add(Cause.BLURRED)
        passed = 0.0 if self._stamp is None else stamp - self._stamp
        if not causes & UNUSABLE:  # at its stops a pixel changes for no other reason either
            if self._sample is not None and self._sample.shape == sample.shape and passed > 0.0:
                if self._frozen.see(
                    self.limits, changed_share(self._sample, sample), passed, motion
                ):
                    causes.add(Cause.FROZEN)
            elif passed != 0.0:  # a second copy of an image is no sign of anything
                self._frozen.restart()
            if self._obstructed.see(self.limits, sample, motion):
                causes.add(Cause.OBSTRUCTED)
        self._sample, self._stamp = sample, stamp
        return self._report(causes, stamp)

    def _timing(self, stamp: float, now: float) -> set[Cause]:
        causes: set[Cause] = set()
        if now > 0.0:
            self.age = now - stamp
            if self.age > self.limits.max_age:
                causes.add(Cause.LATE)
            elif self.age < -self.limits.max_age:
                causes.add(Cause.AHEAD)
        if self._stamp is not None:
            passed = stamp - self._stamp
            if passed < 0.0:
                self.jumps += 1
                causes.add(Cause.STAMP)
            elif passed > 0.0:
                if len(self._periods) >= 5 and passed > self.limits.max_gap * self.period:
                    self.gaps += 1
                    causes.add(Cause.LATE)
                self._periods.append(passed)
        return causes

    @property
    def period(self) -> float:
        """Usual time between two images, s; 0 before it is known."""
        return float(np.median(self._periods)) if self._periods else 0.0

    def _is_blurred(self, image: NDArray[np.uint8]) -> bool:
        found = sharpness(image)
        if found is None:
            return False
        self.sharpness = found
        best = found if self.best_sharpness is None else self.best_sharpness
        blurred = found < max(self.limits.blur_floor, self.limits.blur_ratio * best)
        self._soft_images = self._soft_images + 1 if blurred else 0
        if not blurred:
            # The best is learned fast and forgotten slowly, and never from blurred images.
            best += (0.1 if found > best else 0.002) * (found - best)
        self.best_sharpness = best
        return self._soft_images >= _SOFT_IMAGES

    def _report(self, causes: set[Cause], stamp: float) -> Judgement:
        """Follow the causes with hysteresis: begun at once, ended when clear for a while."""
        begun = tuple(cause for cause in Cause if cause in causes and cause not in self.since)
        for cause in causes:
            self.since.setdefault(cause, stamp)
            self._last_true[cause] = stamp
        ended = tuple(
            cause
            for cause in self.since
            if cause not in causes and abs(stamp - self._last_true[cause]) >= self.limits.clear_time
        )
        for cause in ended:
            del self.since[cause]
        return Judgement(frozenset(causes), begun, ended)


_SOFT_IMAGES = 5
"""Blurred images in a row before it is the lens and not a moment's motion."""

_SAME_SHARE = 0.005
"""Share of pixels that may differ between two copies of one image: a clock drawn into it ticks."""

_NOISY_SHARE = 0.25
"""Share of pixels that differ where noise is everywhere; a person walking by changes less."""

_NOISY_PAIRS = 20
"""Such pairs of images in a row after which a camera counts as noisy."""


class _Frozen:
    """Whether images stay the same that should not."""

    def __init__(self) -> None:
        self._noisy_pairs = 0
        self.restart()

    def restart(self) -> None:
        """Begin anew with the next pair; what is known of the camera's noise stays."""
        self._copies = 0
        self._passed = self._distance = self._angle = 0.0

    def see(
        self, limits: HealthLimits, changed: float, passed: float, motion: Motion | None
    ) -> bool:
        """Take in the share of pixels that changed since the image before, and judge."""
        if changed > _SAME_SHARE:
            self.restart()
            if self._noisy_pairs < _NOISY_PAIRS and (motion is None or motion.is_still):
                self._noisy_pairs = self._noisy_pairs + 1 if changed >= _NOISY_SHARE else 0
            return False
        self._copies += 1
        self._passed += passed
        if motion is not None:
            self._distance += motion.distance
            self._angle += motion.angle
        moved = self._distance >= limits.frozen_distance or self._angle >= limits.frozen_angle
        silent = self._noisy_pairs >= _NOISY_PAIRS and self._passed >= limits.frozen_time
        return self._copies >= 2 and (moved or silent)


class _Obstructed:
    """Whether something sits on the lens: fixed and plain, though the robot moves."""

    _WAY = Motion(0.5, 0.35)  # between two looks

    def __init__(self) -> None:
        self._means: NDArray[np.float32] | None = None
        self._distance = self._angle = 0.0
        self._looks = 0

    def see(self, limits: HealthLimits, sample: Grey, motion: Motion | None) -> bool:
        if motion is None:
            self._means, self._looks = None, 0
            return False
        self._distance += motion.distance
        self._angle += motion.angle
        if self._means is None or (
            self._distance >= self._WAY.distance or self._angle >= self._WAY.angle
        ):
            means, deviations = block_statistics(sample)
            if self._means is not None:
                fixed = (np.abs(means - self._means) < 4.0) & (deviations < 6.0)
                covered = float(fixed.mean()) >= limits.obstructed_share
                self._looks = self._looks + 1 if covered else 0
            self._means = means
            self._distance = self._angle = 0.0
        return self._looks >= 2


def sampled(image: NDArray[np.uint8]) -> Grey:
    """Return the green of a grid of pixels, about 160 × 120 of them, as (h, w) uint8."""
    step = max(1, min(image.shape[:2]) // 120)
    return np.ascontiguousarray(image[::step, ::step, 1])


def exposure(sample: Grey) -> tuple[float, float]:
    """Return the grey value that 2 % of the pixels exceed, and the share at the upper stop."""
    counts = _histogram(sample)
    return float(_quantile(counts, 0.98)), float(counts[250:].sum() / sample.size)


def changed_share(before: Grey, after: Grey) -> float:
    """Return the share of pixels that differ between two samples of one shape."""
    return cv2.countNonZero(cv2.absdiff(before, after)) / after.size


def sharpness(image: NDArray[np.uint8]) -> float | None:
    """Return how steep an image's edges are, whatever its contrast: 1 sharp, 0.1 hopeless.

    The strongest differences between neighbours are divided by those between pixels 8 apart. A step
    gives 1; a step blurred by a Gaussian of 2 px gives 0.2, of 4 px 0.15. A sharp step shows in 8
    times as many differences over 8 pixels as between neighbours, so quantiles are taken
    accordingly. Of both directions the better counts: a turn of the robot smears but one.

    Returns:
        None where there are no edges to judge by.
    """
    height, width = image.shape[:2]
    found = []
    for lines in (image[:: max(1, height // 64), :, 1], image[:, :: max(1, width // 64), 1].T):
        if lines.shape[1] <= _SPAN:
            continue
        lines = np.ascontiguousarray(lines)
        near = cv2.absdiff(lines[:, 1:], lines[:, :-1])
        far = cv2.absdiff(lines[:, _SPAN:], lines[:, :-_SPAN])
        strong = _quantile(_histogram(far), 1.0 - _SPAN * _EDGE_SHARE)
        if strong >= _FAINT:
            found.append(_quantile(_histogram(near), 1.0 - _EDGE_SHARE) / strong)
    return min(1.0, max(found)) if found else None


_SPAN = 8  # px
_EDGE_SHARE = 0.005
_FAINT = 16  # grey values; below it noise decides


def block_statistics(sample: Grey) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and standard deviation of 8 × 6 blocks of a sample, (6, 8) each."""
    values = sample.astype(np.float32)
    means = cv2.resize(values, (8, 6), interpolation=cv2.INTER_AREA)
    squares = cv2.resize(values * values, (8, 6), interpolation=cv2.INTER_AREA)
    return means, np.sqrt(np.maximum(squares - means * means, 0.0))


def _histogram(values: Grey) -> NDArray[np.float32]:
    return cv2.calcHist([values], [0], None, [256], [0, 256]).ravel()


def _quantile(counts: NDArray[np.float32], share: float) -> int:
    """Return the grey value that `share` of the pixels do not exceed."""
    return int(np.searchsorted(np.cumsum(counts), share * counts.sum()))
