"""Camera detections as `vision_msgs/Detection2DArray`."""

from __future__ import annotations

import numpy as np
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from edge_robot.perception.detections import Detections


def to_detection_array(detections: Detections, header: Header) -> Detection2DArray:
    """Return detections as a message.

    Args:
        detections: What was found, boxes in pixels of the raw image.
        header: The image's: its capture time and frame.
    """
    return Detection2DArray(
        header=header,
        detections=[
            _to_detection(header, *row)
            for row in zip(
                detections.boxes.tolist(),
                detections.labels,
                detections.scores.tolist(),
                strict=True,
            )
        ],
    )


def from_detection_array(message: Detection2DArray) -> Detections:
    """Return the detections of a message, of each its best hypothesis, best score first."""
    rows = []
    for detection in message.detections:
        best = max(detection.results, key=lambda result: result.hypothesis.score, default=None)
        if best is not None:
            center, box = detection.bbox.center.position, detection.bbox
            half_x, half_y = box.size_x / 2, box.size_y / 2
            corners = (center.x - half_x, center.y - half_y, center.x + half_x, center.y + half_y)
            rows.append((best.hypothesis.score, best.hypothesis.class_id, corners))
    rows.sort(key=lambda row: -row[0])
    names = sorted({name for _, name, _ in rows})
    return Detections(
        np.array([corners for _, _, corners in rows], np.float32).reshape(-1, 4),
        np.array([score for score, _, _ in rows], np.float32),
        np.array([names.index(name) for _, name, _ in rows], np.int64),
        tuple(names),
    )


def _to_detection(header: Header, box: list[float], label: str, score: float) -> Detection2D:
    x1, y1, x2, y2 = box
    hypothesis = ObjectHypothesisWithPose()
    hypothesis.hypothesis.class_id = label
    hypothesis.hypothesis.score = score
    detection = Detection2D(header=header, results=[hypothesis])
    detection.bbox.center.position.x = 0.5 * (x1 + x2)
    detection.bbox.center.position.y = 0.5 * (y1 + y2)
    detection.bbox.size_x = x2 - x1
    detection.bbox.size_y = y2 - y1
    return detection
