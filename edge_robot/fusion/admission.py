"""What is let in: the one place where measurements, or boxes of them, are refused and counted.

A sensor that sends nonsense, floods, or lives by another clock loses what it sent and nothing else:
every bound is per sensor.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

from edge_robot.fusion.measurements import Measurement
from edge_robot.fusion.refusal import Refusal
from edge_robot.settings import Settings, setting


@dataclass(frozen=True)
class AdmissionSettings(Settings):
    """What a sensor may send."""

    max_lead: float = setting(
        0.5,
        "how far a stamp may be ahead of the clock; more is another clock's, s",
        ge=0.0,
        le=3600.0,
    )
    min_period: float = setting(
        0.01,
        "least time between two measurements of a sensor; what lies closer is a flood, s",
        ge=0.0,
        le=10.0,
    )
    max_boxes: int = setting(
        500, "boxes of a measurement that are used, those of highest score", ge=1, le=1000000
    )


class Admission:
    """Decides what is let in, and counts what is not.

    Args:
        settings: The bounds.
        memory: How far back measurements can come, s.

    Attributes:
        accepted: Measurements let in, by sensor.
        refused: Measurements and boxes refused, by sensor and reason.
    """

    def __init__(self, settings: AdmissionSettings, memory: float) -> None:
        self._settings = settings
        self._memory = int(memory * 1e9)
        self._stamps: defaultdict[str, list[int]] = defaultdict(list)
        self.accepted: Counter[str] = Counter()
        self.refused: defaultdict[str, Counter[Refusal]] = defaultdict(Counter)

    def newest(self, sensor: str) -> int | None:
        """Return the newest capture time of a sensor that was let in, ns; None before the first."""
        stamps = self._stamps.get(sensor)
        return stamps[-1] if stamps else None

    def refuse(self, sensor: str, why: Refusal, count: int = 1) -> None:
        """Count what a sensor sent and was not used."""
        self.refused[sensor][why] += count

    def stamp_refusal(self, sensor: str, stamp: int, now: int | None) -> Refusal | None:
        """Return why a sensor's measurement of this capture time is not let in; None if it is.

        Args:
            sensor: Its name.
            stamp: Capture time, ns.
            now: Time by the clock stamps are made with, ns; None where there is no such clock.
        """
        # Once fused, a stamp of the future would make everything after it too late.
        if now is not None and stamp - now > self._settings.max_lead * 1e9:
            return Refusal.FUTURE
        stamps = self._stamps[sensor]
        place = bisect_left(stamps, stamp)
        if place < len(stamps) and stamps[place] == stamp:
            return Refusal.DUPLICATE
        if any(
            abs(stamp - other) < self._settings.min_period * 1e9
            for other in stamps[max(place - 1, 0) : place + 1]
        ):
            return Refusal.TOO_OFTEN
        return None

    def sound(self, sensor: str, measurement: Measurement) -> Measurement | None:
        """Return what of a measurement can be used, or None if nothing; the rest is counted."""
        if not measurement.pose_is_finite():
            self.refuse(sensor, Refusal.POSE)
            return None
        sound = measurement.sound()
        if broken := len(measurement) - len(sound):
            self.refuse(sensor, Refusal.BOX, broken)
        if (surplus := len(sound) - self._settings.max_boxes) > 0:
            self.refuse(sensor, Refusal.TOO_MANY_BOXES, surplus)
            best = np.zeros(len(sound), bool)
            best[np.argsort(-np.asarray(sound.scores), kind="stable")[:-surplus]] = True
            sound = sound.select(best)
        return sound

    def accept(self, sensor: str, stamp: int) -> None:
        """Take note of a measurement that is let in."""
        self.accepted[sensor] += 1
        stamps = self._stamps[sensor]
        stamps.insert(bisect_left(stamps, stamp), stamp)
        del stamps[: bisect_left(stamps, stamps[-1] - self._memory)]
