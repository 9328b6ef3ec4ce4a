"""What a second opinion on a frame may be expected to add: what is in sight, rare things more."""

from __future__ import annotations

import numpy as np

from edge_robot.perception.detections import Detections

_MEMORY = 1000
"""Frames by which a class is common or rare: longer than a scene lasts."""

_RAREST = 0.02
"""Mean evidence under which classes are equally rare; a sure object is ln 2 in its frame."""


class ExpectedGain:
    """Values frames by what the onboard detector reports, and learns what it often reports.

    A frame is worth, summed over the classes in sight, their evidence ln(1 + sum of scores) by the
    square root of its mean over the frames of late. The second of a kind adds less than the first;
    and the only frame of a class decides whether that class is known at all, while one of many
    does not. How often something is seen is learned from onboard results alone, wherever the robot
    is. docs/benchmarks.md has what that is worth, and what tells less.
    """

    def __init__(self) -> None:
        self._frames = 0
        self._means: dict[str, float] = {}
        self._typical = 0.0

    def of(self, found: Detections) -> float:
        """Return what a second opinion adds, against a typical frame, whose worth is 1.

        A frame without any detections has no scores to tell how sure the detector is of that, and
        is worth as much as a typical one.

        Args:
            found: The onboard detections.
        """
        evidence = _evidence(found)
        return self._value(evidence) / self._typical if evidence and self._frames else 1.0

    def learn(self, found: Detections) -> None:
        """Take a frame into account."""
        evidence = _evidence(found)
        if not evidence:
            return
        self._frames += 1
        rate = 1.0 / min(self._frames, _MEMORY)
        for name in {*self._means, *evidence}:
            mean = self._means.get(name, 0.0)
            self._means[name] = mean + rate * (evidence.get(name, 0.0) - mean)
        self._typical += rate * (self._value(evidence) - self._typical)

    def _value(self, evidence: dict[str, float]) -> float:
        return sum(
            seen / float(np.sqrt(self._means.get(name, 0.0) + _RAREST))
            for name, seen in evidence.items()
        )


def _evidence(found: Detections) -> dict[str, float]:
    """Return how much of each class is in sight, by its name: numbers differ between messages."""
    sums = np.zeros(len(found.class_names))
    np.add.at(sums, found.class_ids, found.scores)
    return {found.class_names[k]: float(np.log1p(sums[k])) for k in np.flatnonzero(sums)}
