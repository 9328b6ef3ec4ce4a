"""Offers frames worth a second opinion: `CAMERA_IMAGE` → `FLEET_DETECTIONS`.

In this order: what may leave, the privacy boundary says; which are worth it, the tier policy; where
they go, the engine. A frame that may not leave whole, or is too much for the link, is offered as
its doubtful parts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image, RegionOfInterest
from std_msgs.msg import Header
from tf2_ros import Buffer, TransformException
from vision_msgs.msg import Detection2DArray

from edge_robot import topics
from edge_robot.fleet.boundary import Boundary, Cleared, Crop, Picture, Regions
from edge_robot.fleet.endpoints import Endpoint
from edge_robot.fleet.offload import OffloadEngine
from edge_robot.fleet.privacy_policy import Kind, Level
from edge_robot.fleet.tasks.detect import SecondOpinion, encode_frame
from edge_robot.fleet.tasks.detect_crop import doubtful_regions, encode_crops
from edge_robot.fleet.work import Answer, Clearances, NoAnswer, Reason, Task
from edge_robot.msg import FleetDetections, TrackedObjectArray
from edge_robot.nodes.conversions import image_to_bgr, nanoseconds, pose_matrix
from edge_robot.nodes.detection_messages import from_detection_array, to_detection_array
from edge_robot.nodes.diagnostics import OK, WARN
from edge_robot.nodes.diagnostics import Status as Health
from edge_robot.nodes.fleet_parameters import BridgeSettings
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.steady import steady_seconds
from edge_robot.nodes.track_messages import camera_view, expected_in_view
from edge_robot.perception.detections import Detections
from edge_robot.perception.tiering.expected import Expected
from edge_robot.perception.tiering.pairing import Pairing
from edge_robot.perception.tiering.policy import TierPolicy

# Not offering a frame is the daily run of things; these are worth a line in the log.
_WORTH_A_WARNING = {
    Reason.TIMEOUT,
    Reason.REFUSED,
    Reason.ERROR,
    Reason.INVALID,
    Reason.OLD_MODEL,
}
_TOO_MUCH = {Reason.PRIVACY, Reason.TOO_LATE, Reason.BUDGET}
"""For these a frame stays on board whose doubtful parts may still be sent."""

_MAX_TRACK_AGE = 0.5
"""Tracks older than this against an image say nothing about it, s."""


@dataclass(frozen=True)
class _Offer:
    """A frame that is offered.

    Attributes:
        header: Of the image.
        picture: The frame as it was decided about.
        parts: Whether only parts of it were offered.
        sent_bytes: Sent for it before.
    """

    header: Header
    picture: Picture
    parts: bool
    sent_bytes: int = 0


class SecondOpinions:
    """Hands frames to the engine and publishes what comes back, never waiting for it.

    A frame that the onboard detector left out is let go: others are looked at. Where it looks at
    none, every frame is worth a second opinion.

    Nothing is published for a frame without an answer: the onboard detections stand alone.
    Outcomes arrive, and are published, in the engine's thread.

    Args:
        node: Node it belongs to.
        engine: Where work is offered.
        endpoints: The engine's.
        boundary: Clears what is sent.
        policy: Says which frames are worth it.
        buffer: Where the transforms are.
        settings: Name of the model, times.
        on_placement: Told where each piece of work went, or why nowhere.

    Attributes:
        settings: As given; may be replaced.
    """

    def __init__(
        self,
        node: Node,
        engine: OffloadEngine,
        endpoints: Sequence[Endpoint],
        boundary: Boundary,
        policy: TierPolicy,
        buffer: Buffer,
        settings: BridgeSettings,
        on_placement: Callable[[str], None],
    ) -> None:
        self._node = node
        self._engine = engine
        self._boundary = boundary
        self._policy = policy
        self._buffer = buffer
        self._pairing: Pairing[Image] = Pairing(
            settings.onboard_wait, settings.onboard_silence, steady_seconds()
        )
        self._on_placement = on_placement
        self._tiers = {item.address: item.tier for item in endpoints}
        self._hidden = self._hidden_classes()
        self.settings = settings
        self._policy_lock = threading.Lock()  # outcomes come in the engine's thread
        self._tracks: TrackedObjectArray | None = None
        self._info: CameraInfo | None = None
        self._answers = node.create_publisher(
            FleetDetections, topics.FLEET_DETECTIONS.name, qos_profile(topics.FLEET_DETECTIONS)
        )
        newest = qos_profile(topics.CAMERA_IMAGE)
        newest.depth = 1
        node.create_subscription(Image, topics.CAMERA_IMAGE.name, self._on_image, newest)
        for topic, kind, callback in (
            (topics.CAMERA_DETECTIONS, Detection2DArray, self._on_detections),
            (topics.CAMERA_INFO, CameraInfo, self._on_info),
            (topics.TRACKS, TrackedObjectArray, self._on_tracks),
        ):
            node.create_subscription(kind, topic.name, callback, qos_profile(topic))
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(0.25 * settings.onboard_wait, self._let_go, clock=steady)

    def health(self) -> Iterable[Health]:
        """Return the diagnostics."""
        with self._policy_lock:
            counts = dict(self._policy.counts)
            share = self._policy.share(steady_seconds())
        silent = self._pairing.silent(steady_seconds())
        yield Health(
            "second opinions",
            WARN if silent else OK,
            "the onboard detector is silent" if silent else "choosing frames",
            {**counts, "share aimed at": share},
        )

    def _hidden_classes(self) -> tuple[str, ...]:
        """Return the classes of which no tier may see more than a blur."""
        policy = self._boundary.policy
        levels = [policy.level(tier, Kind.DETECT) for tier in self._tiers.values()]
        return policy.protected_classes if max(levels) < Level.CROPS else ()

    def _on_info(self, info: CameraInfo) -> None:
        self._info = info

    def _on_tracks(self, tracks: TrackedObjectArray) -> None:
        self._tracks = tracks

    def _on_image(self, image: Image) -> None:
        self._engine.raise_if_failed()
        stamp = nanoseconds(image.header.stamp)
        self._consider(self._pairing.add_image(stamp, image, steady_seconds()))

    def _on_detections(self, message: Detection2DArray) -> None:
        stamp, found = nanoseconds(message.header.stamp), from_detection_array(message)
        self._consider(self._pairing.add_found(stamp, found, steady_seconds()))

    def _let_go(self) -> None:
        self._consider(self._pairing.let_go(steady_seconds()))

    def _consider(self, pairs: Iterable[tuple[Image, Detections | None]]) -> None:
        for image, found in pairs:
            self._decide(image, found)

    def _decide(self, image: Image, found: Detections | None) -> None:
        """Ask boundary and policy about an image, and offer it if both agree."""
        try:
            pixels = image_to_bgr(image)
        except ValueError as error:
            self._node.get_logger().error(f"{error}; frame not offered", throttle_duration_sec=5.0)
            return
        expected = None if found is None else self._expected(image.header)
        picture = Picture(pixels, found, expected)
        whole = self._cleared(picture)
        parts = None if _any_cleared(whole) else self._parts(picture)
        if parts is None and not _any_cleared(whole):
            return
        with self._policy_lock:
            now = steady_seconds()
            silent = self._pairing.silent(now)
            decision = self._policy.decide(pixels, found, expected, now, silent=silent)
        if not decision.offered:
            return
        age = (self._node.get_clock().now().nanoseconds - nanoseconds(image.header.stamp)) * 1e-9
        offer = _Offer(image.header, picture, parts is not None)
        if parts is not None:
            self._offer_parts(parts, offer, max(0.0, age))
        else:
            self._offer_whole(whole, offer, max(0.0, age))

    def _cleared(self, picture: Picture) -> Clearances[NDArray[np.uint8]]:
        return {
            tier: self._boundary.clear(Kind.DETECT, picture, tier)
            for tier in set(self._tiers.values())
        }

    def _parts(self, picture: Picture) -> Clearances[tuple[Crop, ...]] | None:
        """Return the doubtful parts of a picture, as they may leave; None if there are none."""
        if picture.found is None:
            return None
        height, width = picture.image.shape[:2]
        boxes = doubtful_regions(picture.found, picture.expected, (width, height), self._hidden)
        if not len(boxes):
            return None
        parts = {
            tier: self._boundary.clear(Kind.DETECT, Regions(picture, boxes), tier)
            for tier in set(self._tiers.values())
        }
        return parts if _any_cleared(parts) else None

    def _offer_whole(self, whole: Clearances[NDArray[np.uint8]], offer: _Offer, age: float) -> None:
        settings = self.settings
        task: Task[NDArray[np.uint8], SecondOpinion] = Task(
            "detect",
            lambda cleared, encoding: encode_frame(
                cleared, settings.model, settings.min_score, encoding
            ),
            settings.deadline,
            settings.expiry,
            adaptive=True,
        )
        self._engine.offer(task, whole, offer, age, self._on_outcome)

    def _offer_parts(self, parts: Clearances[tuple[Crop, ...]], offer: _Offer, age: float) -> None:
        height, width = offer.picture.image.shape[:2]
        settings = self.settings
        task: Task[tuple[Crop, ...], SecondOpinion] = Task(
            "detect_crop",
            lambda cleared, encoding: encode_crops(
                cleared, (width, height), settings.model, settings.min_score, encoding
            ),
            settings.deadline,
            settings.expiry,
            adaptive=True,
        )
        self._engine.offer(task, parts, offer, age, self._on_outcome)

    def _expected(self, header: Header) -> Expected | None:
        """Return where tracks should be in an image; None where that is not known."""
        tracks, info = self._tracks, self._info
        if tracks is None or info is None:
            return None
        age = nanoseconds(header.stamp) - nanoseconds(tracks.header.stamp)
        if abs(age) > _MAX_TRACK_AGE * 1e9:
            return None
        try:
            pose = self._buffer.lookup_transform(
                tracks.header.frame_id, header.frame_id, Time.from_msg(header.stamp)
            )
        except TransformException:
            return None
        return expected_in_view(tracks, camera_view(info, pose_matrix(pose.transform)))

    def _on_outcome(self, outcome: Answer[SecondOpinion] | NoAnswer) -> None:
        offer: _Offer = outcome.stamp
        sent_bytes = offer.sent_bytes + outcome.sent_bytes
        if isinstance(outcome, NoAnswer) and outcome.reason in _TOO_MUCH and not offer.parts:
            parts = self._parts(offer.picture)
            if parts is not None:
                smaller = _Offer(offer.header, offer.picture, True, sent_bytes)
                self._offer_parts(parts, smaller, outcome.age)
                return
        with self._policy_lock:
            self._policy.settle(offer.picture.image, sent_bytes, steady_seconds())
        if isinstance(outcome, NoAnswer):
            self._on_placement(f"nowhere: {outcome.reason.value}: {outcome.detail}")
            if outcome.reason in _WORTH_A_WARNING:
                self._node.get_logger().warning(
                    f"no answer from the fleet ({outcome.reason.value}): {outcome.detail}",
                    throttle_duration_sec=5.0,
                )
            return
        self._on_placement(outcome.reason)
        opinion = outcome.value
        self._answers.publish(
            FleetDetections(
                detections=to_detection_array(opinion.found, offer.header),
                regions=_regions(opinion),
                computed_by=outcome.computed_by,
                tier=self._tiers[outcome.computed_by].value,
                model=outcome.model,
                model_sha256=outcome.model_sha256,
                reason=outcome.reason,
                age=outcome.age,
                late=outcome.late,
            )
        )


def _any_cleared(clearances: Clearances[Any]) -> bool:
    return any(isinstance(item, Cleared) for item in clearances.values())


def _regions(opinion: SecondOpinion) -> list[RegionOfInterest]:
    if opinion.regions is None:
        return []
    return [
        RegionOfInterest(x_offset=x1, y_offset=y1, width=x2 - x1, height=y2 - y1)
        for x1, y1, x2, y2 in opinion.regions.tolist()
    ]
