"""How accurate and how quick detectors are, measured side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.detections import Detections
from edge_robot.perception.detector import Detector
from edge_robot.perception.evaluation import Resampled

MIN_SCORE = 0.01
"""Score down to which detections are rated: precision is averaged over all thresholds."""
MAX_DETECTIONS = 100
"""Most detections per image that are rated, as COCO has it."""


@dataclass(frozen=True)
class Latency:
    """Time from image to detections, on one thread.

    Attributes:
        p50_ms: Median.
        p99_ms: 99th percentile.
        ratio: Median over that of the first detector measured with it.
    """

    p50_ms: float
    p99_ms: float
    ratio: float


@dataclass(frozen=True)
class Accuracy:
    """Agreement with labels, in points of 100.

    Attributes:
        map50_95: Mean average precision over IoU 0.5:0.95, COCO's.
        map50: At IoU 0.5.
        ap50_95: Per class that has labels.
    """

    map50_95: float
    map50: float
    ap50_95: dict[str, float]


def detect(detector: Detector, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
    """Return what a detector finds in each image, its best `MAX_DETECTIONS`."""
    found = []
    for image in images:
        item = detector.detect(image)
        best = np.argsort(-item.scores, kind="stable")[:MAX_DETECTIONS]
        found.append(
            Detections(item.boxes[best], item.scores[best], item.class_ids[best], item.class_names)
        )
    return found


def summarise(rated: Resampled, names: Sequence[str]) -> Accuracy:
    """Return the figures of a set of images that was rated over `COCO_IOUS`.

    Args:
        rated: Detections matched with labels.
        names: Of the classes.
    """
    values = {names[index]: ious for index, ious in rated.average_precision().items()}
    return Accuracy(
        map50_95=100.0 * rated.mean_average_precision(),
        map50=100.0 * float(np.mean([ious[0] for ious in values.values()])),
        ap50_95={name: 100.0 * float(np.mean(ious)) for name, ious in values.items()},
    )


def race(
    detectors: Mapping[str, Detector],
    images: Sequence[NDArray[np.uint8]],
    rounds: int,
    done: Callable[[], None],
) -> dict[str, Latency]:
    """Time detectors in turn on the same images, so that what else the machine does hits all.

    Args:
        detectors: By name; ratios are to the first.
        images: Taken in turn.
        rounds: Runs of each detector.
        done: Called after each round.
    """
    for detector in detectors.values():
        detector.warm_up()
    elapsed: dict[str, list[float]] = {name: [] for name in detectors}
    names = list(detectors)
    for turn in range(rounds):
        image = images[turn % len(images)]
        first = turn % len(names)
        for name in names[first:] + names[:first]:  # nobody always follows the same neighbour
            start = time.perf_counter()
            detectors[name].detect(image)
            elapsed[name].append(time.perf_counter() - start)
        done()
    times = {name: 1e3 * np.array(values) for name, values in elapsed.items()}
    base = float(np.median(times[names[0]]))
    return {
        name: Latency(
            float(np.median(values)),
            float(np.percentile(values, 99)),
            float(np.median(values)) / base,
        )
        for name, values in times.items()
    }
