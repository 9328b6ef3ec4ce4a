"""Finds the frames in which the fleet contradicted the onboard detector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from edge_robot import topics
from edge_robot.fleet.boundary import Picture
from edge_robot.msg import FleetDetections
from edge_robot.nodes.conversions import image_to_bgr, nanoseconds, stamp_of
from edge_robot.nodes.detection_messages import from_detection_array
from edge_robot.nodes.qos import qos_profile
from edge_robot.perception.detections import Detections
from edge_robot.perception.tiering.consistency import compare
from edge_robot.perception.tiering.expected import Expected

_KEPT = 16
"""Images, and onboard detections, that wait for a second opinion: 1.6 s at 10 Hz."""

OnExample = Callable[[int, Picture, dict[str, Any]], None]


class HardExamples:
    """Hears images, onboard detections and second opinions, and tells where the two disagree.

    Images are kept as they come, unread, until a second opinion asks for one.

    Args:
        node: Node it belongs to.
        least: Disagreement from which a frame is a hard example: objects that only one of the two
            has found, or called otherwise, each counted by its score.
        on_example: Told the capture stamp, ns, the picture with all that either found in it, and
            both results.

    Attributes:
        least: As given; may be changed.
    """

    def __init__(self, node: Node, least: float, on_example: OnExample) -> None:
        self._node = node
        self.least = least
        self._on_example = on_example
        self._images: dict[int, bytes] = {}
        self._onboard: dict[int, Detections] = {}
        newest = qos_profile(topics.CAMERA_IMAGE)
        newest.depth = 1
        node.create_subscription(Image, topics.CAMERA_IMAGE.name, self._on_image, newest, raw=True)
        node.create_subscription(
            Detection2DArray,
            topics.CAMERA_DETECTIONS.name,
            self._on_detections,
            qos_profile(topics.CAMERA_DETECTIONS),
        )
        node.create_subscription(
            FleetDetections,
            topics.FLEET_DETECTIONS.name,
            self._on_second_opinion,
            qos_profile(topics.FLEET_DETECTIONS),
        )

    def _on_image(self, data: bytes) -> None:
        stamp = stamp_of(data)
        if stamp is not None:
            _keep(self._images, stamp, data)

    def _on_detections(self, message: Detection2DArray) -> None:
        found = from_detection_array(message)
        _keep(self._onboard, nanoseconds(message.header.stamp), found)

    def _on_second_opinion(self, message: FleetDetections) -> None:
        stamp = nanoseconds(message.detections.header.stamp)
        data, onboard = self._images.pop(stamp, None), self._onboard.get(stamp)
        if data is None or onboard is None:
            return
        fleet = from_detection_array(message.detections)
        surprise = compare(onboard, Expected(fleet.boxes, tuple(fleet.labels), fleet.scores))
        if surprise.total < self.least:
            return
        try:
            image = image_to_bgr(deserialize_message(data, Image))
        except ValueError as error:
            self._node.get_logger().error(
                f"{error}; a hard example is lost", throttle_duration_sec=5.0
            )
            return
        results = {
            "missed_on_board": surprise.unseen,
            "only_on_board": surprise.untracked,
            "called_otherwise": surprise.flipped,
            "onboard": _listed(onboard),
            "fleet": _listed(fleet),
            "fleet_model": message.model,
            "fleet_model_sha256": message.model_sha256,
        }
        # What either found is what a privacy rule must know of.
        self._on_example(stamp, Picture(image, _union(onboard, fleet)), results)


def to_jpeg(image: NDArray[np.uint8], quality: int) -> bytes:
    """Return an (H, W, 3) uint8 BGR image as a JPEG file of a quality, 1..100."""
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(jpeg)


def _keep(kept: dict[int, Any], stamp: int, item: Any) -> None:
    kept[stamp] = item
    if len(kept) > _KEPT:
        del kept[next(iter(kept))]


def _listed(found: Detections) -> list[dict[str, Any]]:
    return [
        {"class": label, "score": round(float(score), 3), "box": [round(x, 1) for x in box]}
        for label, score, box in zip(found.labels, found.scores, found.boxes.tolist(), strict=True)
    ]


def _union(one: Detections, other: Detections) -> Detections:
    names = tuple(sorted({*one.labels, *other.labels}))
    labels = [*one.labels, *other.labels]
    return Detections(
        np.concatenate([one.boxes, other.boxes]),
        np.concatenate([one.scores, other.scores]),
        np.array([names.index(label) for label in labels], np.int64),
        names,
    )
