"""The detectors of a ladder of operating points, loaded and warm before the first image."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edge_robot.errors import UserError
from edge_robot.perception.adaptation import OperatingPoint
from edge_robot.perception.detector import Detector

_TIMED_RUNS = 5


def operating_points(
    model: str, divisors: Sequence[int], models: Sequence[str], looks: int = 0
) -> tuple[OperatingPoint, ...]:
    """Return a ladder of operating points.

    Args:
        model: The model of the first step, and of each step that names none.
        divisors: For each step, every how many images one is looked at.
        models: For each step, its model; empty for `model`. Steps it has no entry for use `model`.
        looks: Further looks at each image, which a step before all these has: the first to go.

    Raises:
        UserError: there is no step, a divisor is below 1, or there are more models than divisors.
    """
    if not divisors or min(divisors) < 1 or len(models) > len(divisors):
        raise UserError(
            "camera_perception: ladder_divisors needs a number from 1 on for each step, and "
            f"ladder_models no more entries than that; they are {list(divisors)} and {list(models)}"
        )
    names = [*models, *[""] * (len(divisors) - len(models))]
    steps = tuple(
        OperatingPoint(name or model, divisor)
        for name, divisor in zip(names, divisors, strict=True)
    )
    return (replace(steps[0], looks=looks), *steps) if looks else steps


def warm_detectors(
    points: Sequence[OperatingPoint], **options: Any
) -> tuple[dict[str, Detector], list[float]]:
    """Load each model of a ladder once, and measure what a run of it takes.

    Args:
        points: The ladder.
        options: Of `Detector`, the same for all.

    Returns:
        The detectors by name, and for each step the median time of a run, s.

    Raises:
        UserError: a model is missing, broken, or does not fit its card.
    """
    detectors: dict[str, Detector] = {}
    costs: dict[str, float] = {}
    for name in {point.model: None for point in points}:
        detector = Detector(name, **options)
        detector.warm_up()
        blank = np.zeros((detector.card.height, detector.card.width, 3), np.uint8)
        times = []
        for _ in range(_TIMED_RUNS):
            start = time.perf_counter()
            detector.detect(blank)
            times.append(time.perf_counter() - start)
        detectors[name], costs[name] = detector, float(np.median(times))
    return detectors, [costs[point.model] for point in points]
