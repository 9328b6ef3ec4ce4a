"""Two detectors on one image: together they measure it once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scene import Sensors

from edge_robot.fusion.measurements import Source
from edge_robot.fusion.tracker import Tracker
from edge_robot.fusion.tracks import Track

BOTH, ROBOT_ONLY, FLEET_ONLY = (4.0, 0.5), (5.0, 2.0), (6.0, -1.5)


def followed(opinions: bool) -> list[Track]:
    """Return the tracks after a few images, with the fleet's opinion on each but the last."""
    sensors, fleet, tracker = Sensors(), Sensors(7), Tracker()
    for k in range(8):
        tracker.process(sensors.camera(0.1 * k, [BOTH, ROBOT_ONLY]))
        if opinions and k < 7:
            places = [BOTH, FLEET_ONLY]
            tracker.process(fleet.camera(0.1 * k, places, source=Source.FLEET))
    return tracker.tracks()


def test_a_second_opinion_repeats_nothing_and_adds_what_was_missed() -> None:
    alone, (seen_by_both, *others) = followed(False), followed(True)
    assert np.array_equal(seen_by_both.position, alone[0].position)
    assert np.array_equal(seen_by_both.covariance, alone[0].covariance)
    assert seen_by_both.sources == Source.CAMERA | Source.FLEET
    assert seen_by_both.class_score > alone[0].class_score
    robots, fleets = sorted(others, key=lambda track: -track.position[1])
    assert np.hypot(*(robots.position[:2] - ROBOT_ONLY)) < 1.0
    assert robots.existence <= alone[1].existence
    assert np.hypot(*(fleets.position[:2] - FLEET_ONLY)) < 1.0
    assert fleets.sources == Source.FLEET


def test_pixels_that_have_a_track_feed_no_other() -> None:
    """Where one of two neighbours leaves, the fleet's box of the other keeps nobody alive."""
    stays, leaves, between = (5.0, 0.0), (5.8, 0.35), (5.5, 0.22)
    sensors, fleet, tracker = Sensors(), Sensors(7), Tracker()
    for k in range(10):
        tracker.process(sensors.camera(0.1 * k, [stays, leaves]))
    assert len(tracker.tracks()) == 2
    for k in range(10, 18):
        tracker.process(sensors.camera(0.1 * k, [stays]))
        tracker.process(fleet.camera(0.1 * k, [between], source=Source.FLEET))
    (track,) = tracker.tracks()
    assert np.hypot(*(track.position[:2] - stays)) < 0.6


def test_what_was_not_looked_at_is_not_missed() -> None:
    """Of a look at some parts of an image, only what would lie in these parts is missed."""
    existence = {}
    for parts in (None, [], [[0.0, 0.0, 1.0, 1.0]], [[0.0, 0.0, 640.0, 480.0]]):
        sensors, fleet, tracker = Sensors(), Sensors(7), Tracker()
        for k in range(5):
            tracker.process(sensors.camera(0.1 * k, [BOTH]))
        regions = None if parts is None else np.array(parts).reshape(-1, 4)
        empty = fleet.camera(0.45, [], source=Source.FLEET)
        tracker.process(replace(empty, regions=regions))
        existence[str(parts)] = tracker.tracks()[0].existence
    nowhere, corner = existence["[]"], existence["[[0.0, 0.0, 1.0, 1.0]]"]
    assert nowhere == corner > existence["None"]
    assert existence["[[0.0, 0.0, 640.0, 480.0]]"] == existence["None"]


def silence(robot_sees: bool, opinions: bool) -> float:
    """Return the existence of a followed person after an image of which the fleet finds nothing."""
    sensors, fleet, tracker = Sensors(), Sensors(7), Tracker()
    for k in range(4):
        tracker.process(sensors.camera(0.1 * k, [BOTH]))
    tracker.process(sensors.camera(0.4, [BOTH] if robot_sees else []))
    if opinions:
        tracker.process(fleet.camera(0.4, [], source=Source.FLEET))
    return tracker.tracks()[0].existence


def test_what_the_robot_sees_is_not_denied_by_the_fleet() -> None:
    """It may have been made unrecognisable before it left the robot."""
    assert silence(True, True) == silence(True, False)


def test_silence_of_both_is_hardly_more_than_that_of_one() -> None:
    """Who is half out of sight is so for both detectors: they do not miss independently."""
    missed, by_both = silence(False, False), silence(False, True)
    assert missed < silence(True, False)
    assert by_both / (1.0 - by_both) == pytest.approx(0.75 * missed / (1.0 - missed))


@pytest.mark.parametrize(("score", "found"), [(0.75, 0), (0.85, 1)])
def test_what_the_fleet_alone_sees_must_be_sure(score: float, found: int) -> None:
    sensors, fleet, tracker = Sensors(), Sensors(7), Tracker()
    for k in range(6):
        tracker.process(sensors.camera(0.1 * k, []))
        seen = fleet.camera(0.1 * k, [FLEET_ONLY], source=Source.FLEET)
        tracker.process(replace(seen, scores=np.full(1, score)))
    assert len(tracker.tracks()) == found


def test_an_unsure_opinion_names_what_the_lidar_follows() -> None:
    sensors, fleet, tracker = Sensors(), Sensors(7), Tracker()
    for k in range(6):
        tracker.process(sensors.camera(0.1 * k, []))
        seen = fleet.camera(0.1 * k, [FLEET_ONLY], source=Source.FLEET)
        tracker.process(replace(seen, scores=np.full(1, 0.5)))
        tracker.process(sensors.lidar(0.1 * k + 0.05, [FLEET_ONLY]))
    (track,) = tracker.tracks()
    assert track.class_name == "person"
    assert np.hypot(*(track.position[:2] - FLEET_ONLY)) < 0.2
