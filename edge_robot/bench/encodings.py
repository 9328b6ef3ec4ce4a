"""What a detector still finds in images that were made smaller for the link.

The table of `edge_robot.fleet.adaptation` comes from here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edge_robot.fleet import protocol
from edge_robot.fleet.adaptation import BEST, Candidate, Encoding
from edge_robot.fleet.tasks.detect import image_request, scaled
from edge_robot.perception.detector import Detector
from edge_robot.perception.evaluation import COCO_IOUS, Resampled
from edge_robot.perception.images import decode_image
from edge_robot.perception.labelled_images import read_labelled_images

QUALITIES = (90, 80, 65, 50, 35, 20)
SCALES = (1.0, 0.75, 0.5, 0.35, 0.25)
MIN_SCORE = 0.02
"""Average precision is an area under all scores."""


def measure(
    model: str, images: Path, labels: Path, progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Score a detector on images in every encoding, as the task `detect` sends them.

    Args:
        model: The detector.
        images: Folder of the images.
        labels: Folder of their labels in YOLO's text format.
        progress: Is told what is being done.

    Returns:
        A row per encoding that no smaller one beats, largest first: `quality`, `scale`, `bytes` of
        a file on average, `map` (IoU 0.50 to 0.95), and `size` and `worth` as shares of the first.

    Raises:
        UserError: images, labels or model cannot be used.
    """
    detector = Detector(model, min_score=MIN_SCORE)
    items = read_labelled_images(images, labels, detector.class_names)
    truths = [item.labels for item in items]
    measured = []
    for encoding in (Encoding(quality, scale) for scale in SCALES for quality in QUALITIES):
        progress(f"quality {encoding.quality}, scale {encoding.scale}")
        found, total = [], 0
        for item in items:
            image = item.read()
            request, size = image_request(image, model, encoding)
            (jpeg,) = protocol.unpack_bytes(request.raw_input_contents[0])
            total += len(jpeg)
            detections = detector.detect(decode_image(jpeg, str(item.path)))
            found.append(scaled(detections, size, (image.shape[1], image.shape[0])))
        precision = Resampled(found, truths, COCO_IOUS).mean_average_precision()
        measured.append(Candidate(encoding, total / len(items), precision))
    best = next(item for item in measured if item.encoding == BEST)
    return [
        {
            "quality": item.encoding.quality,
            "scale": item.encoding.scale,
            "bytes": round(item.size),
            "map": item.worth,
            "size": item.size / best.size,
            "worth": item.worth / best.worth,
        }
        for item in front(measured)
    ]


def front(measured: Sequence[Candidate]) -> list[Candidate]:
    """Return those that none of the same size or smaller equals, largest first."""
    kept: list[Candidate] = []
    for item in sorted(measured, key=lambda item: (item.size, -item.worth)):
        if not kept or item.worth > kept[-1].worth:
            kept.append(item)
    return kept[::-1]
