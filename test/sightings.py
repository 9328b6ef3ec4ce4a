"""What a detector found, and what tracks let expect, written down briefly."""

from __future__ import annotations

import numpy as np

from edge_robot.perception.detections import Detections
from edge_robot.perception.tiering.expected import Expected

NAMES = ("person", "box")


def found(*rows: tuple[tuple[float, ...], float, int]) -> Detections:
    """Return detections: box, score and class of each."""
    return Detections(
        np.array([box for box, _, _ in rows], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in rows], np.float32),
        np.array([class_id for _, _, class_id in rows], np.int64),
        NAMES,
    )


def expected(*rows: tuple[tuple[float, ...], str, float]) -> Expected:
    """Return what tracks let expect: box, class and existence of each."""
    return Expected(
        np.array([box for box, _, _ in rows], np.float32).reshape(-1, 4),
        tuple(label for _, label, _ in rows),
        np.array([existence for _, _, existence in rows], np.float32),
    )
