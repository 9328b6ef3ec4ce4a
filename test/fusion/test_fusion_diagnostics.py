"""What fusion says of its sensors, without the wire."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scene import Sensors, ns

from edge_robot.fusion.config import TrackerConfig
from edge_robot.fusion.consistency import ConsistencySettings
from edge_robot.fusion.tracker import Tracker
from edge_robot.nodes.diagnostics import OK, STALE, WARN, Status
from edge_robot.nodes.fusion_diagnostics import FusionDiagnostics

PLACES = [(4.0, -1.5), (5.0, 1.0), (7.0, 3.0)]


class Desk:
    """A tracker, its diagnostics, and a clock that is both steady and that of the stamps."""

    def __init__(self, config: TrackerConfig | None = None) -> None:
        self.t = 0.0
        self.tracker = Tracker(config)
        self._diagnostics = FusionDiagnostics(
            self.tracker, ["lidar", "camera"], [], lambda: self.t, lambda: ns(self.t)
        )

    def report(self, t: float) -> dict[str, Status]:
        self.t = t
        return {status.subject: status for status in self._diagnostics.statuses()}


def test_rate_age_and_silence_of_each_sensor() -> None:
    desk, sensors = Desk(), Sensors()
    before = desk.report(0.0)
    assert before["lidar"].level == before["camera"].level == before["tracks"].level == STALE
    for k in range(10):
        desk.tracker.process(sensors.lidar(0.1 * k, PLACES))
    now = desk.report(1.0)
    assert now["lidar"].level == OK
    assert now["lidar"].values["rate (Hz)"] == 10.0
    assert abs(now["lidar"].values["age (s)"] - 0.1) < 1e-6  # type: ignore[operator]
    assert now["camera"].level == STALE
    assert now["tracks"].message == "3 confirmed"
    desk.report(2.0)
    dead = desk.report(3.5)["lidar"]
    assert (dead.level, dead.message) == (STALE, "silent for 2 s")
    assert dead.values["rate (Hz)"] == 0.0


def test_what_is_refused_warns_once_and_stays_counted() -> None:
    desk, sensors = Desk(), Sensors()
    sweep = sensors.lidar(0.0, PLACES)
    desk.tracker.process(sweep)
    desk.tracker.process(sweep)
    first, second = desk.report(1.0)["lidar"], desk.report(2.0)["lidar"]
    assert (first.level, first.message) == (WARN, "1 refused (so far for: duplicate)")
    assert second.level == OK
    assert second.values["refused: duplicate"] == 1


def test_a_sensor_that_contradicts_and_one_turned_in_its_mount_are_named() -> None:
    desk = Desk(TrackerConfig(consistency=ConsistencySettings(consistency_window=2.0)))
    sensors, rng = Sensors(), np.random.default_rng(0)
    for k in range(60):
        t = 0.1 * k
        desk.tracker.process(sensors.lidar(t, PLACES))
        rear = sensors.lidar(t + 0.05, np.array(PLACES) + rng.normal(0.0, 0.2, (3, 2)))
        desk.tracker.process(replace(rear, sensor="rear"))
        image = sensors.camera(t + 0.03, PLACES)
        image.boxes[:, [0, 2]] += 7.0
        desk.tracker.process(image)
    status = desk.report(6.0)
    assert status["lidar"].level == OK
    assert "it contradicts the other sensors" in status["lidar rear"].message
    assert status["lidar rear"].values["noise scale"] > 2.5  # type: ignore[operator]
    assert "to the left against its calibration" in status["camera"].message
    assert status["camera"].values["yaw off (°)"] > 1.0  # type: ignore[operator]


def test_replays_are_counted() -> None:
    desk, sensors = Desk(), Sensors()
    for k in (0, 1, 2, 3, 5, 6, 4):
        desk.tracker.process(sensors.lidar(0.1 * k, PLACES))
    values = desk.report(1.0)["tracks"].values
    assert values["measurements kept"] == 7
    assert values["applied again for late ones"] == values["longest replay"] == 2
