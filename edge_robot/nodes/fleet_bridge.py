"""Offers camera frames to the fleet backend: `CAMERA_IMAGE` → `FLEET_DETECTIONS` and `LINK`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from edge_robot import topics
from edge_robot.errors import UserError
from edge_robot.fleet.breaker import BreakerState
from edge_robot.fleet.camera_task import decode_detections, encode_image
from edge_robot.fleet.link import LinkTiming
from edge_robot.fleet.offload import Answer, Limits, NoAnswer, OffloadEngine, Reason, Status, Task
from edge_robot.msg import FleetDetections, LinkState
from edge_robot.nodes.conversions import image_to_bgr, nanoseconds
from edge_robot.nodes.detection_messages import to_detection_array
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.perception.detections import Detections

BREAKER = {
    BreakerState.CLOSED: LinkState.BREAKER_CLOSED,
    BreakerState.HALF_OPEN: LinkState.BREAKER_HALF_OPEN,
    BreakerState.OPEN: LinkState.BREAKER_OPEN,
}

# Not offering a frame is the daily run of things; these are worth a line in the log.
WORTH_A_WARNING = {Reason.TIMEOUT, Reason.REFUSED, Reason.ERROR, Reason.INVALID}


class FleetBridge(Node):
    """Hands frames to the offload engine and publishes what comes back, never waiting for it.

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
        rate = self._parameter("rate", 4.0, "frames offered a second, on average, Hz")
        quality = self._parameter("jpeg_quality", 80, "of the frames sent, 1..100")
        min_score = self._parameter("min_score", 0.3, "lowest score published, 0..1")
        period = self._parameter("heartbeat_period", 0.025, "between two heartbeats, s")
        silence = self._parameter(
            "silence", 0.075, "time without any answer until the link is down, s"
        )
        _check("deadline and expiry", 0.0 < deadline <= expiry, "0 < deadline <= expiry")
        _check("rate", rate > 0.0, "above 0")
        _check("jpeg_quality", 1 <= quality <= 100, "1..100")
        _check("heartbeat_period", 0.0 < period < silence, "above 0 and below silence")
        _check("endpoint", endpoint.rpartition(":")[2].isdigit(), "host:port")

        self._answers = self.create_publisher(
            FleetDetections, topics.FLEET_DETECTIONS.name, qos_profile(topics.FLEET_DETECTIONS)
        )
        self._links = self.create_publisher(LinkState, topics.LINK.name, qos_profile(topics.LINK))
        self._up: bool | None = None
        self._since = self.get_clock().now().to_msg()
        self._engine: OffloadEngine[NDArray[np.uint8], Detections] = OffloadEngine(
            endpoint,
            Task(
                encode=lambda image: encode_image(image, model, quality),
                decode=lambda response: decode_detections(response, min_score),
                deadline=deadline,
                expiry=expiry,
            ),
            Limits(rate=rate),
            LinkTiming(period=period, silence=silence),
            self._publish_outcome,
            self._publish_link,
        )
        newest = qos_profile(topics.CAMERA_IMAGE)
        newest.depth = 1
        self.create_subscription(Image, topics.CAMERA_IMAGE.name, self._on_image, newest)
        # A dead engine must end the node: its last word on the link would stand for ever.
        self.create_timer(
            0.2, self._engine.raise_if_failed, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self._engine.start()
        self.get_logger().info(f"offering up to {rate:g} frames a second to {model} at {endpoint}")

    def destroy_node(self) -> None:
        """Give up what is outstanding, then leave the graph."""
        engine = getattr(self, "_engine", None)
        if engine is not None:
            engine.close()
        super().destroy_node()

    def _parameter(self, name: str, default: Any, about: str) -> Any:
        return self.declare_parameter(name, default, ParameterDescriptor(description=about)).value

    def _on_image(self, image: Image) -> None:
        self._engine.raise_if_failed()
        try:
            pixels = image_to_bgr(image)
        except ValueError as error:
            self.get_logger().error(f"{error}; frame not offered", throttle_duration_sec=5.0)
            return
        age = (self.get_clock().now().nanoseconds - nanoseconds(image.header.stamp)) * 1e-9
        self._engine.offer(pixels, image.header, max(0.0, age))

    def _publish_outcome(self, outcome: Answer[Any] | NoAnswer) -> None:
        if isinstance(outcome, NoAnswer):
            if outcome.reason in WORTH_A_WARNING:
                self.get_logger().warning(
                    f"no answer from the fleet ({outcome.reason.value}): {outcome.detail}",
                    throttle_duration_sec=5.0,
                )
            return
        header: Header = outcome.stamp
        self._answers.publish(
            FleetDetections(
                detections=to_detection_array(outcome.value, header),
                computed_by=outcome.computed_by,
                model=outcome.model,
                model_sha256=outcome.model_sha256,
                age=outcome.age,
                late=outcome.late,
            )
        )

    def _publish_link(self, status: Status) -> None:
        now = self.get_clock().now().to_msg()
        changed = status.up is not self._up
        if changed:
            self._up, self._since = status.up, now
        message = LinkState(
            up=status.up,
            breaker=BREAKER[status.breaker],
            endpoint=status.endpoint,
            cause=status.cause,
            since=self._since,
            rtt_p50=status.rtt_p50,
            rtt_p95=status.rtt_p95,
            loss=status.loss,
            bandwidth=status.bandwidth,
            offered=status.offered,
            answered=status.answered,
            late=status.late,
            failed=status.failed,
        )
        message.header.stamp = now
        self._links.publish(message)
        if changed:
            self.get_logger().info(f"link {'up' if status.up else 'down'}: {status.cause}")


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
