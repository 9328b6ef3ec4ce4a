"""A sample is done when everything that follows from it has come, and not before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_robot.replay.lockstep import LockStep, Sensor


def test_cloud() -> None:
    step = LockStep()
    assert step.done
    step.send(Sensor.LIDAR, 100)
    step.tracks(90, 90)
    step.detections(Sensor.LIDAR, 90)
    step.detections(Sensor.CAMERA, 100)
    assert step.missing == "lidar detections and tracks of 0.000 s"
    step.detections(Sensor.LIDAR, 100)
    assert not step.done and step.missing.startswith("tracks")
    step.tracks(100, 90)
    assert step.done and step.missing == "nothing"
    assert (step.images, step.clouds) == (0, 1)


def test_image_needs_tracks_that_rest_on_it() -> None:
    step = LockStep()
    step.send(Sensor.CAMERA, 100)
    step.tracks(100, 90)  # by the cloud of the same instant
    step.detections(Sensor.CAMERA, 100)
    assert not step.done
    step.tracks(100, 100)
    assert step.done
    assert (step.images, step.clouds) == (1, 0)


@given(st.permutations(["detections", "tracks", "old detections", "old tracks"]))
def test_order_does_not_matter(order: list[str]) -> None:
    step = LockStep()
    step.send(Sensor.CAMERA, 100)
    for what in order:
        stamp = 50 if "old" in what else 100
        if "detections" in what:
            step.detections(Sensor.CAMERA, stamp)
        else:
            step.tracks(stamp, stamp)
    assert step.done
    step.tracks(200, 200)
    step.detections(Sensor.CAMERA, 100)
    assert step.done and step.images == 1
