"""The task `detect`: a whole image out, a second opinion on it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as pb

from edge_robot.fleet import protocol, tensors
from edge_robot.fleet.adaptation import Encoding
from edge_robot.fleet.boundary import Cleared
from edge_robot.fleet.tasks.answers import outputs, texts
from edge_robot.fleet.work import Encoded, InvalidAnswerError
from edge_robot.perception.detections import Detections

_OVERHANG = 1.0
"""By how much a box may reach over the edge of what was sent, px: it was rounded somewhere."""


@dataclass(frozen=True)
class SecondOpinion:
    """What the fleet found.

    Attributes:
        found: The detections, boxes in pixels of the raw image.
        regions: (N, 4) x1 y1 x2 y2 of the only parts that were looked at, px; None: all of it.
    """

    found: Detections
    regions: NDArray[np.int64] | None = None


def encode_frame(
    cleared: Cleared[NDArray[np.uint8]], model: str, min_score: float, encoding: Encoding
) -> Encoded[SecondOpinion]:
    """Return the request for the detections of an image.

    Args:
        cleared: (H, W, 3) uint8, BGR.
        model: Name the backend serves the model under.
        min_score: Lowest score of what is returned, 0..1.
        encoding: Of the image sent.
    """
    image = cleared.value
    request, shrunk = image_request(image, model, encoding)
    height, width = image.shape[:2]

    def decode(response: Any) -> SecondOpinion:
        found = read_detections(response, shrunk, min_score)
        return SecondOpinion(scaled(found, shrunk, (width, height)))

    return Encoded(request, decode)


def image_request(
    image: NDArray[np.uint8], model: str, encoding: Encoding
) -> tuple[Any, tuple[int, int]]:
    """Return the `ModelInferRequest` that carries an image, and width and height as sent, px."""
    height, width = image.shape[:2]
    size = max(1, round(width * encoding.scale)), max(1, round(height * encoding.scale))
    if size != (width, height):
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, encoding.quality])
    request = pb.ModelInferRequest(model_name=model)
    tensors.add_arrays(request, {protocol.JPEG.name: np.array([jpeg.tobytes()], np.object_)})
    return request, size


def read_detections(response: Any, size: tuple[int, int], min_score: float) -> Detections:
    """Return the detections that a `ModelInferResponse` carries, down to a score.

    Args:
        response: The answer.
        size: Width and height of the image as sent, px.
        min_score: Lowest score of what is returned, 0..1.

    Raises:
        InvalidAnswerError: tensors are missing, of another type or shape, or hold values that no
            detection in that image can have.
    """
    boxes, scores, class_ids, class_names = outputs(response, protocol.OUTPUTS)
    names = tuple(texts(protocol.CLASS_NAMES.name, class_names))
    if not len(boxes) == len(scores) == len(class_ids):
        raise InvalidAnswerError(
            f"{len(boxes)} boxes, {len(scores)} scores and {len(class_ids)} classes"
        )
    if not np.isfinite(boxes).all() or np.any(boxes[:, 2:] <= boxes[:, :2]):
        raise InvalidAnswerError("a box is not finite, or has no area")
    limits = np.array(size * 2, np.float32)
    if np.any(boxes < -_OVERHANG) or np.any(boxes > limits + _OVERHANG):
        raise InvalidAnswerError(f"a box reaches out of an image of {size[0]} x {size[1]}")
    if not np.all((scores >= 0.0) & (scores <= 1.0)):  # NaN included
        raise InvalidAnswerError("a score is not in 0..1")
    if np.any((class_ids < 0) | (class_ids >= len(names))):
        raise InvalidAnswerError(f"a class is not in 0..{len(names) - 1}")
    boxes = np.clip(boxes, np.float32(0.0), limits)
    kept = (scores >= min_score) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return Detections(boxes[kept], scores[kept], class_ids[kept], names)


def scaled(found: Detections, sent: tuple[int, int], size: tuple[int, int]) -> Detections:
    """Return detections of an image in pixels of the same in another size.

    Args:
        found: In the image as sent.
        sent: Its width and height, px.
        size: Width and height of the other, px.
    """
    ratio: NDArray[np.float32] = np.divide(size * 2, sent * 2, dtype=np.float32)
    return Detections(found.boxes * ratio, found.scores, found.class_ids, found.class_names)
