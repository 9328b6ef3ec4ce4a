"""Offers frames worth a second opinion: `CAMERA_IMAGE` → `FLEET_DETECTIONS` and `LINK`.

Which ones, the tier policy says, from the onboard detections in the frame and the tracks.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from tf2_ros import Buffer, TransformException, TransformListener
from vision_msgs.msg import Detection2DArray

from edge_robot import topics
from edge_robot.errors import UserError
from edge_robot.fleet.adaptation import Encoding
from edge_robot.fleet.boundary import Boundary, Cleared, Picture
from edge_robot.fleet.breaker import BreakerState
from edge_robot.fleet.camera_task import decode_detections, encode_image
from edge_robot.fleet.endpoints import Endpoint
from edge_robot.fleet.link import LinkTiming
from edge_robot.fleet.offload import OffloadEngine, Settings, Status
from edge_robot.fleet.privacy_policy import Kind, PrivacyPolicy, Tier
from edge_robot.fleet.work import Answer, Encoded, NoAnswer, Reason, Task
from edge_robot.msg import FleetDetections, LinkState, TrackedObjectArray
from edge_robot.nodes.conversions import image_to_bgr, nanoseconds
from edge_robot.nodes.detection_messages import from_detection_array, to_detection_array
from edge_robot.nodes.diagnostics import OK, WARN, DiagnosticsReporter
from edge_robot.nodes.diagnostics import Status as Health
from edge_robot.nodes.parameters import declare_settings
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.steady import steady_seconds
from edge_robot.nodes.track_messages import camera_view, expected_in_view, pose_matrix
from edge_robot.perception.detections import Detections
from edge_robot.perception.tiering.expected import Expected
from edge_robot.perception.tiering.policy import TierPolicy, TierSettings

BREAKER = {
    BreakerState.CLOSED: LinkState.BREAKER_CLOSED,
    BreakerState.HALF_OPEN: LinkState.BREAKER_HALF_OPEN,
    BreakerState.OPEN: LinkState.BREAKER_OPEN,
}

# Not offering a frame is the daily run of things; these are worth a line in the log.
WORTH_A_WARNING = {Reason.TIMEOUT, Reason.REFUSED, Reason.ERROR, Reason.INVALID}


MAX_WAITING = 8
"""Images held for their onboard detections."""

MAX_TRACK_AGE = 0.5
"""Tracks older than this against an image say nothing about it, s."""


@dataclass
class _Work:
    """A frame that is offered.

    Attributes:
        header: Of the image.
        image: The frame as it was decided about.
    """

    header: Header
    image: NDArray[np.uint8]


class FleetBridge(Node):
    """Hands frames to the offload engine and publishes what comes back, never waiting for it.

    An image is held until its onboard detections are there, and decided about at once then. One
    that they do not come for in time was left out on board: others are looked at, it is let go.
    Where none come for any image, nobody looks, and every image is worth a second opinion.

    Nothing is published for a frame without an answer: the onboard detections stand alone.
    Outcomes and link states arrive, and are published, in the engine's thread: a lost link is
    announced even while the executor is busy.
    """

    def __init__(self) -> None:
        super().__init__("fleet_bridge")
        endpoint = self._parameter("endpoint", "127.0.0.1:8001", "host:port of the backend")
        model = self._parameter("model", "warehouse_fleet", "name of the model at the backend")
        deadline = self._parameter("deadline", 0.25, "age by which an answer is wanted, s")
        expiry = self._parameter("expiry", 0.75, "age after which an answer is useless, s")
        quality = self._parameter("jpeg_quality", 80, "of the frames sent, 1..100")
        min_score = self._parameter("min_score", 0.3, "lowest score published, 0..1")
        period = self._parameter("heartbeat_period", 0.025, "between two heartbeats, s")
        silence = self._parameter(
            "silence", 0.075, "time without any answer until the link is down, s"
        )
        self._wait = self._parameter(
            "onboard_wait", 0.15, "time an image waits for its onboard detections, s"
        )
        self._silence = self._parameter(
            "onboard_silence", 0.5, "time without any, after which nobody looks on board, s"
        )
        settings = declare_settings(self, TierSettings())
        _check("onboard_wait", 0.0 < self._wait <= self._silence, "above 0, up to onboard_silence")
        _check("deadline and expiry", 0.0 < deadline <= expiry, "0 < deadline <= expiry")
        _check("jpeg_quality", 1 <= quality <= 100, "1..100")
        _check("heartbeat_period", 0.0 < period < silence, "above 0 and below silence")
        _check("endpoint", endpoint.rpartition(":")[2].isdigit(), "host:port")

        self._answers = self.create_publisher(
            FleetDetections, topics.FLEET_DETECTIONS.name, qos_profile(topics.FLEET_DETECTIONS)
        )
        self._links = self.create_publisher(LinkState, topics.LINK.name, qos_profile(topics.LINK))
        self._up: bool | None = None
        self._since = self.get_clock().now().to_msg()
        try:
            self._policy = TierPolicy(settings)
        except ValueError as error:
            raise UserError(
                f"fleet_bridge parameters: {error}; see config/fleet_bridge.yaml"
            ) from error
        self._policy_lock = threading.Lock()  # outcomes come in the engine's thread
        self._waiting: dict[int, tuple[Image, float]] = {}
        self._early: dict[int, Detections] = {}  # detections that overtook their image
        self._last_onboard = steady_seconds()
        # Tracks come twice as often as images: only those that are asked for are read.
        self._unread_tracks: bytes | None = None
        self._tracks: TrackedObjectArray | None = None
        self._info: CameraInfo | None = None
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, self)

        def encode(cleared: Cleared[NDArray[np.uint8]], encoding: Encoding) -> Encoded[Detections]:
            return Encoded(
                encode_image(cleared.value, model, quality),
                lambda response: decode_detections(response, min_score),
            )

        self._task: Task[NDArray[np.uint8], Detections] = Task("detect", encode, deadline, expiry)
        self._boundary = Boundary(PrivacyPolicy())
        self._engine = OffloadEngine(
            [Endpoint("", endpoint)],
            Settings(timing=LinkTiming(period=period, silence=silence)),
            self._publish_link,
        )
        newest = qos_profile(topics.CAMERA_IMAGE)
        newest.depth = 1
        self.create_subscription(Image, topics.CAMERA_IMAGE.name, self._on_image, newest)
        for topic, kind, callback in (
            (topics.CAMERA_DETECTIONS, Detection2DArray, self._on_detections),
            (topics.CAMERA_INFO, CameraInfo, self._on_info),
        ):
            self.create_subscription(kind, topic.name, callback, qos_profile(topic))
        self.create_subscription(
            TrackedObjectArray,
            topics.TRACKS.name,
            self._on_tracks,
            qos_profile(topics.TRACKS),
            raw=True,
        )
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(0.25 * self._wait, self._let_go, clock=steady)
        self._diagnostics = DiagnosticsReporter(self, self._health)
        # A dead engine must end the node: its last word on the link would stand for ever.
        self.create_timer(0.2, self._engine.raise_if_failed, clock=steady)
        self._engine.start()
        self.get_logger().info(
            f"offering up to {settings.rate:g} frames a second to {model} at {endpoint}"
        )

    def destroy_node(self) -> None:
        """Give up what is outstanding, then leave the graph."""
        engine = getattr(self, "_engine", None)
        if engine is not None:
            engine.close()
        super().destroy_node()

    def _parameter(self, name: str, default: Any, about: str) -> Any:
        return self.declare_parameter(name, default, ParameterDescriptor(description=about)).value

    def _on_info(self, info: CameraInfo) -> None:
        self._info = info

    def _on_tracks(self, data: bytes) -> None:
        self._unread_tracks = data

    def _on_image(self, image: Image) -> None:
        self._engine.raise_if_failed()
        stamp = nanoseconds(image.header.stamp)
        found = self._early.pop(stamp, None)
        if found is not None or self._silent:
            self._consider(image, found)
            return
        self._waiting[stamp] = image, steady_seconds()
        if len(self._waiting) > MAX_WAITING:
            self._consider(self._waiting.pop(next(iter(self._waiting)))[0], None)

    def _on_detections(self, message: Detection2DArray) -> None:
        self._last_onboard = steady_seconds()
        stamp, found = nanoseconds(message.header.stamp), from_detection_array(message)
        held = self._waiting.pop(stamp, None)
        if held is not None:
            self._consider(held[0], found)
            return
        self._early[stamp] = found
        if len(self._early) > MAX_WAITING:
            del self._early[next(iter(self._early))]

    def _let_go(self) -> None:
        """Decide about images whose onboard detections did not come in time."""
        now = steady_seconds()
        for stamp, (image, since) in list(self._waiting.items()):
            if now - since >= self._wait:
                del self._waiting[stamp]
                self._consider(image, None)

    @property
    def _silent(self) -> bool:
        return steady_seconds() - self._last_onboard > self._silence

    def _consider(self, image: Image, found: Detections | None) -> None:
        """Ask the policy about an image, and offer it if it says so."""
        try:
            pixels = image_to_bgr(image)
        except ValueError as error:
            self.get_logger().error(f"{error}; frame not offered", throttle_duration_sec=5.0)
            return
        expected = None if found is None else self._expected(image.header)
        with self._policy_lock:
            decision = self._policy.decide(
                pixels, found, expected, steady_seconds(), silent=self._silent
            )
        if decision.offered:
            age = (self.get_clock().now().nanoseconds - nanoseconds(image.header.stamp)) * 1e-9
            picture = Picture(self._policy.rules.cleared(pixels, found), found)
            cleared = self._boundary.clear(Kind.DETECT, picture, Tier.FOG)
            self._engine.offer(
                self._task,
                {Tier.FOG: cleared},
                _Work(image.header, pixels),
                max(0.0, age),
                self._publish_outcome,
            )

    def _expected(self, header: Header) -> Expected | None:
        """Return where tracks should be in an image; None where that is not known."""
        if self._unread_tracks is not None:
            self._tracks = deserialize_message(self._unread_tracks, TrackedObjectArray)
            self._unread_tracks = None
        tracks, info = self._tracks, self._info
        if tracks is None or info is None:
            return None
        age = nanoseconds(header.stamp) - nanoseconds(tracks.header.stamp)
        if abs(age) > MAX_TRACK_AGE * 1e9:
            return None
        try:
            pose = self._buffer.lookup_transform(
                tracks.header.frame_id, header.frame_id, Time.from_msg(header.stamp)
            )
        except TransformException:
            return None
        return expected_in_view(tracks, camera_view(info, pose_matrix(pose.transform)))

    def _health(self) -> Iterable[Health]:
        with self._policy_lock:
            counts = dict(self._policy.counts)
            share = self._policy.share(steady_seconds())
        silent = self._silent
        yield Health(
            "second opinions",
            WARN if silent else OK,
            "the onboard detector is silent" if silent else "choosing frames",
            {**counts, "share aimed at": share},
        )

    def _publish_outcome(self, outcome: Answer[Any] | NoAnswer) -> None:
        work: _Work = outcome.stamp
        with self._policy_lock:
            self._policy.settle(work.image, outcome.sent_bytes, steady_seconds())
        if isinstance(outcome, NoAnswer):
            if outcome.reason in WORTH_A_WARNING:
                self.get_logger().warning(
                    f"no answer from the fleet ({outcome.reason.value}): {outcome.detail}",
                    throttle_duration_sec=5.0,
                )
            return
        self._answers.publish(
            FleetDetections(
                detections=to_detection_array(outcome.value, work.header),
                computed_by=outcome.computed_by,
                model=outcome.model,
                model_sha256=outcome.model_sha256,
                age=outcome.age,
                late=outcome.late,
            )
        )

    def _publish_link(self, status: Status) -> None:
        now = self.get_clock().now().to_msg()
        link = status.links[0]
        changed = link.up is not self._up
        if changed:
            self._up, self._since = link.up, now
        message = LinkState(
            up=link.up,
            breaker=BREAKER[link.breaker],
            endpoint=link.endpoint,
            cause=link.cause,
            since=self._since,
            rtt_p50=link.rtt_p50,
            rtt_p95=link.rtt_p95,
            loss=link.loss,
            bandwidth=link.bandwidth,
            offered=link.sent,
            answered=link.answered,
            late=link.late,
            failed=link.failed,
        )
        message.header.stamp = now
        self._links.publish(message)
        if changed:
            self.get_logger().info(f"link {'up' if link.up else 'down'}: {link.cause}")


def _check(name: str, holds: bool, expected: str) -> None:
    if not holds:
        raise UserError(
            f"fleet_bridge parameter {name} must be {expected}; see config/fleet_bridge.yaml"
        )


def main() -> None:
    """Run the node."""
    run(FleetBridge)


if __name__ == "__main__":
    main()
