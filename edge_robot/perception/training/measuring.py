"""How well a detector finds what is in a scoring set, and how fast two or more of them run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edge_robot.perception.detections import Detections
from edge_robot.perception.detector import Detector
from edge_robot.perception.evaluation import (
    COCO_IOUS,
    average_precision,
    mean_average_precision,
)
from edge_robot.perception.training.dataset import Dataset
from edge_robot.perception.training.export import INPUT

PERSON_RANGE = 10.0
"""Distance within which finding people is measured by itself, m."""

_WARM_UP = 5  # runs


def detections(detector: Detector, scoring: Dataset) -> list[Detections]:
    """Return what a detector finds in each image of a set."""
    return [detector.detect(np.asarray(image)) for image in scoring.images]


def accuracy(found: Sequence[Detections], scoring: Dataset) -> dict[str, Any]:
    """Measure how well detections agree with a set's labels.

    Returns:
        `map50`, `map50_95` and `ap50` per class, 0..1, None where the set has no label; and of
        sets with people at known distances, `person_ap50` of those within `PERSON_RANGE`.
    """
    truth = [scoring.truth(index) for index in range(len(scoring))]

    def rounded(value: float | None) -> float | None:
        return None if value is None else round(value, 4)

    figures: dict[str, Any] = {
        "map50": rounded(mean_average_precision(found, truth)),
        "map50_95": rounded(mean_average_precision(found, truth, COCO_IOUS)),
    }
    if "person" in scoring.classes and np.any(scoring.labels[:, 6] > 0.0):
        near = [scoring.truth(index, within=PERSON_RANGE) for index in range(len(scoring))]
        figures[f"person_ap50_within_{PERSON_RANGE:.0f}_m"] = rounded(
            average_precision(found, near, scoring.classes.index("person"), 0.5)
        )
    figures["ap50"] = {
        name: rounded(average_precision(found, truth, index, 0.5))
        for index, name in enumerate(scoring.classes)
    }
    return figures


def inference_ms(
    models: Mapping[str, Path], width: int, height: int, rounds: int
) -> dict[str, float]:
    """Return the median time of one inference of each model, alone, on one thread, in ms.

    The models take turns, so that whatever else the machine does slows all of them alike.

    Args:
        models: ONNX files of our networks.
        width: Input width, px.
        height: Input height, px.
        rounds: Turns of each.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = {
        name: ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        for name, path in models.items()
    }
    pixels = np.random.default_rng(0).uniform(0.0, 255.0, (1, 3, height, width))
    feed = {INPUT: pixels.astype(np.float32)}
    elapsed: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(_WARM_UP + rounds):
        for name, session in sessions.items():
            start = time.perf_counter()
            session.run(None, feed)
            elapsed[name].append(time.perf_counter() - start)
    return _medians(elapsed)


def end_to_end_ms(
    detectors: Mapping[str, Detector], images: Sequence[NDArray[np.uint8]]
) -> dict[str, float]:
    """Return each detector's median time from image to detections, in ms, taking turns."""
    elapsed: dict[str, list[float]] = {name: [] for name in detectors}
    for turn in range(_WARM_UP + len(images)):
        pixels = np.asarray(images[turn % len(images)])
        for name, detector in detectors.items():
            start = time.perf_counter()
            detector.detect(pixels)
            elapsed[name].append(time.perf_counter() - start)
    return _medians(elapsed)


def _medians(elapsed: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {
        name: round(1e3 * float(np.median(values[_WARM_UP:])), 3)
        for name, values in elapsed.items()
    }
