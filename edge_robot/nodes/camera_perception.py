"""Finds objects in the newest camera image: `CAMERA_IMAGE` → `CAMERA_DETECTIONS`."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import BatteryState, CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from edge_robot import stages, topics
from edge_robot.deadlines import Budget
from edge_robot.errors import UserError
from edge_robot.msg import Event
from edge_robot.nodes.camera_diagnostics import (
    camera_status,
    detector_status,
    drift_status,
    operating_status,
)
from edge_robot.nodes.conversions import compressed_image_to_bgr, image_to_bgr, seconds
from edge_robot.nodes.deadline_reporter import DeadlineReporter
from edge_robot.nodes.detection_messages import to_detection_array
from edge_robot.nodes.diagnostics import DiagnosticsReporter, Status
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.odometry import MotionMeter
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.steady import steady_seconds
from edge_robot.nodes.urgency import Urgency
from edge_robot.perception.adaptation import Adaptation, AdaptationLimits
from edge_robot.perception.camera_health import (
    CameraHealth,
    Cause,
    HealthLimits,
    Judgement,
    Motion,
)
from edge_robot.perception.detections import Detections
from edge_robot.perception.detector import Detector
from edge_robot.perception.drift import DriftLimits, DriftMonitor
from edge_robot.perception.ladder import operating_points, warm_detectors
from edge_robot.perception.looks import FURTHER_LOOKS, look_further
from edge_robot.perception.scene_change import LastLook, ReuseLimits
from edge_robot.perception.thermal import read_temperature
from edge_robot.settings import Settings, setting

TRANSPORTS = {
    "raw": (topics.CAMERA_IMAGE, Image, image_to_bgr),
    "compressed": (topics.CAMERA_COMPRESSED, CompressedImage, compressed_image_to_bgr),
}
"""How images come: topic, message type and what reads it."""

_TO_PUBLISH = 0.002
"""Set aside, of the time for further looks, for fusing and publishing what was found, s."""

_CHARGING = (
    BatteryState.POWER_SUPPLY_STATUS_CHARGING,
    BatteryState.POWER_SUPPLY_STATUS_FULL,
)
_MOMENTARY = {Cause.LATE, Cause.STAMP, Cause.AHEAD}
"""Causes that come and go with single images: logged, but no events on the report's time line."""


@dataclass(frozen=True)
class CameraPerceptionSettings(Settings):
    """Parameters of the node."""

    model: str = setting("warehouse_edge", "name of a model in models/, or its path")
    min_score: float = setting(
        -1.0, "lowest score published, 0..1; negative: the model card's own", ge=-1.0, le=1.0
    )
    threads: int = setting(1, "threads of one inference", ge=1, le=256)
    engine: str = setting(
        "onnxruntime",
        "inference runtime: onnxruntime, or openvino if installed",
        one_of=("onnxruntime", "openvino"),
    )
    provider: str = setting(
        "",
        "tensorrt, cuda or cpu; empty: the best this machine has",
        one_of=("", "tensorrt", "cuda", "cpu"),
    )
    transport: str = setting("raw", "how images come", one_of=tuple(TRANSPORTS))
    withhold_unusable: bool = setting(
        True, "publish nothing of images that a sick camera makes", live=True
    )
    further_looks: int = setting(
        0,
        "most looks at parts of an image after the one at all of it, in what is left of the budget",
        ge=0,
        le=len(FURTHER_LOOKS),
    )
    adaptive: bool = setting(True, "step down the ladder when budget, heat or battery ask for it")
    ladder_divisors: Sequence[int] = setting(
        (1, 2), "for each step, every how many images one is looked at", ge=1, le=1000
    )
    ladder_models: Sequence[str] = setting(
        ("",), "for each step, its model; empty: the parameter model"
    )
    temperature_file: str = setting(
        "", "'temp' of a thermal zone in /sys/class/thermal; empty: none"
    )
    adaptation: AdaptationLimits = field(default_factory=AdaptationLimits)
    health: HealthLimits = field(default_factory=HealthLimits)
    reuse: ReuseLimits = field(default_factory=ReuseLimits)
    drift: DriftLimits = field(default_factory=DriftLimits)


class _Refused(Exception):
    """An image of which nothing is published.

    Attributes:
        reason: Under which it is counted.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class CameraPerception(ManagedNode):
    """Runs the onboard detector on every image it can keep up with, and on none twice.

    Nothing is published for an image that cannot be read, or that shows nothing because the camera
    is sick: an empty result would say that nothing is there. Who needs the camera notices the
    silence, and `DIAGNOSTICS` says why.
    """

    def __init__(self) -> None:
        super().__init__("camera_perception")
        self._settings = self.settings(CameraPerceptionSettings())
        self.counts: Counter[str] = Counter()

    def configure(self) -> None:
        """Load the models, and let each run once."""
        settings = self._settings.value
        points = operating_points(
            settings.model,
            settings.ladder_divisors,
            settings.ladder_models,
            settings.further_looks,
        )
        self._points = points if settings.adaptive else points[:1]
        self._detectors, costs = warm_detectors(
            self._points,
            min_score=settings.min_score if settings.min_score >= 0.0 else None,
            threads=settings.threads,
            engine=settings.engine,
            provider=settings.provider or None,
        )
        self._costs = costs
        self._drift = {
            name: _drift_monitor(detector, settings.drift)
            for name, detector in self._detectors.items()
        }
        self._temperature_file = (
            Path(settings.temperature_file) if settings.temperature_file else None
        )
        if self._temperature_file is not None:
            read_temperature(self._temperature_file)  # one that never works is refused
        for name, detector in self._detectors.items():
            self.get_logger().info(
                f"{name}: {detector.path.name} sha256 {detector.sha256[:12]} on "
                f"{detector.engine}, {detector.provider}, {settings.threads} thread(s), "
                f"score >= {detector.min_score:.2f}"
            )

    def activate(self) -> None:
        """Look at images; nothing is known of the camera yet."""
        settings, budget = self._settings.value, stages.CAMERA_PERCEPTION.budget
        self._adaptation = Adaptation(self._costs, budget, settings.adaptation)
        self._health = CameraHealth(settings.health)
        self._last = LastLook(settings.reuse)
        self._motion = MotionMeter(self)
        self._temperature = self._charge = math.nan
        self._images = self._further_looks = 0
        self._arrived = -math.inf
        self._frame = ""
        self._times: deque[float] = deque(maxlen=600)
        self._reporter = DeadlineReporter(self, stages.CAMERA_PERCEPTION)
        self._publisher = self.create_publisher(
            Detection2DArray,
            topics.CAMERA_DETECTIONS.name,
            qos_profile(topics.CAMERA_DETECTIONS),
        )
        self._events = self.create_publisher(Event, topics.EVENTS.name, qos_profile(topics.EVENTS))
        DiagnosticsReporter(self, self._diagnose)
        self.create_timer(1.0, self._tend, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.create_subscription(
            BatteryState, topics.BATTERY.name, self._on_battery, qos_profile(topics.BATTERY)
        )
        topic, kind, self._read_pixels = TRANSPORTS[settings.transport]
        newest = qos_profile(topic)
        newest.depth = 1  # a frame that waited is a frame too old: take only the last
        self.create_subscription(kind, topic.name, self._on_image, newest)

    def reconfigure(self) -> None:
        """Look at the next image with the new settings."""
        settings = self._settings.value
        for monitor in self._drift.values():
            monitor.limits = settings.drift
        if self.is_active:
            self._adaptation.limits = settings.adaptation
            self._health.limits = settings.health
            self._last.limits = settings.reuse

    @property
    def _detector(self) -> Detector:
        return self._detectors[self._points[self._adaptation.step].model]

    # --- images -----------------------------------------------------------------------------

    def _on_image(self, message: Any) -> None:
        self._images += 1
        self._arrived = steady_seconds()
        self._frame = message.header.frame_id
        if self._images % self._points[self._adaptation.step].divisor:
            self.counts["passed over to save time"] += 1
            return
        try:
            with self._reporter.measure(message.header.stamp) as stage_run:
                found, is_fresh = self._look(message)
                self._publisher.publish(to_detection_array(found, message.header))
                stage_run.output_stamp = message.header.stamp
        except _Refused as refusal:
            self.counts[refusal.reason] += 1
            self.get_logger().error(
                f"{refusal}; {self.counts[refusal.reason]} image(s) {refusal.reason} so far",
                throttle_duration_sec=5.0,
            )
            return
        if is_fresh:
            self.counts["looked at"] += 1
            self._times.append(stage_run.elapsed)
            self._adaptation.ran(stage_run.elapsed)
            self._adapt()
        else:
            self.counts["unchanged"] += 1

    def _look(self, message: Any) -> tuple[Detections, bool]:
        """Return what is in an image, and whether that took an inference of its own.

        Raises:
            _Refused: it cannot be read, or shows nothing.
        """
        try:
            pixels = self._read_pixels(message)
        except ValueError as error:
            raise _Refused("unreadable", str(error)) from error
        stamp, motion = seconds(message.header.stamp), self._motion.since_last()
        self._judge(pixels, stamp, motion)
        found = self._last.holds_for(pixels, stamp, motion)
        if found is not None:
            return found, False
        point, detector = self._points[self._adaptation.step], self._detector
        begun = steady_seconds()
        first = detector.detect(pixels)
        longest = steady_seconds() - begun
        # The card's figures, which drift is told by, are of one look.
        self._drift[point.model].add(first, stamp, motion)
        found, looks = look_further(
            detector.detect,
            pixels,
            first,
            FURTHER_LOOKS[: point.looks],
            longest=longest,
            deadline=self._deadline(stamp),
            clock=steady_seconds,
        )
        self._further_looks += looks
        self._last.keep(pixels, found, stamp)
        return found, True

    def _deadline(self, stamp: float) -> float:
        """Return by when to have looked at an image of that stamp, s on the steady clock."""
        now = self.get_clock().now().nanoseconds * 1e-9
        left = Budget.of(stamp).for_stage(stages.CAMERA_PERCEPTION, now)
        in_time = self._arrived + stages.CAMERA_PERCEPTION.budget
        return min(in_time, steady_seconds() + left) - _TO_PUBLISH

    def _judge(self, pixels: np.ndarray, stamp: float, motion: Motion | None) -> None:
        """Look at the camera before looking through it.

        Raises:
            _Refused: the image says nothing about the scene.
        """
        now = self.get_clock().now().nanoseconds * 1e-9
        judgement = self._health.see(pixels, stamp, now, motion)
        self._announce(judgement)
        if not judgement.usable and self._settings.value.withhold_unusable:
            self._last.forget()
            causes = ", ".join(sorted(cause.value for cause in judgement.causes))
            raise _Refused("withheld", f"the camera is {causes}: detections are withheld")

    def _announce(self, judgement: Judgement) -> None:
        for causes, name, text in (
            (judgement.begun, "camera_sick", "the camera is {}"),
            (judgement.ended, "camera_well", "the camera is no longer {}"),
        ):
            for cause in causes:
                detail = text.format(cause.value)
                if cause in _MOMENTARY:
                    self.get_logger().warning(detail, throttle_duration_sec=5.0)
                else:
                    self.get_logger().warning(detail)
                    self._tell(name, detail)

    # --- the machine ------------------------------------------------------------------------

    def _tend(self) -> None:
        self._measure_temperature()
        self._adapt()

    def _adapt(self) -> None:
        if self._adaptation.update(steady_seconds()):
            detail = f"{self._points[self._adaptation.step]}: {self._adaptation.cause}"
            self._last.forget()
            self.get_logger().warning(detail)
            self._tell("perception_adapted", detail)

    def _measure_temperature(self) -> None:
        if self._temperature_file is None:
            return
        try:
            self._temperature = read_temperature(self._temperature_file)
        except UserError as error:
            self.get_logger().error(str(error), throttle_duration_sec=60.0)
            return
        self._adaptation.temperature(self._temperature, steady_seconds())

    def _on_battery(self, battery: BatteryState) -> None:
        self._charge = float(battery.percentage)
        self._adaptation.battery(self._charge, battery.power_supply_status in _CHARGING)

    # --- what others hear of it -------------------------------------------------------------

    def _tell(self, name: str, detail: str) -> None:
        event = Event(name=name, detail=detail)
        event.header.stamp = self.get_clock().now().to_msg()
        self._events.publish(event)

    def _diagnose(self) -> Iterator[Status]:
        silence = steady_seconds() - self._arrived
        withholds = self._settings.value.withhold_unusable
        yield camera_status(self._health, silence, withholds, self.counts["withheld"], self._frame)
        yield detector_status(
            self._detector,
            self._times,
            stages.CAMERA_PERCEPTION.budget,
            self.counts,
            self._further_looks,
        )
        yield drift_status(self._drift[self._points[self._adaptation.step].model])
        yield operating_status(self._adaptation, self._points, self._temperature, self._charge)


def _drift_monitor(detector: Detector, limits: DriftLimits) -> DriftMonitor:
    try:
        return DriftMonitor(detector.card.figures, detector.class_names, detector.min_score, limits)
    except ValueError as error:
        raise UserError(
            f"model card of {detector.path}: {error}; remove it, or make the card anew"
        ) from error


def main() -> None:
    """Run the node."""
    run(CameraPerception, Urgency.PERCEPTION)


if __name__ == "__main__":
    main()
