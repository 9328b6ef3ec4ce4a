"""What the referee of a simulated world says, for every world."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from std_msgs.msg import Header

from edge_robot.msg import SimulationTruth, TrackedObject
from edge_robot.nodes.conversions import quaternion_from_yaw
from edge_robot.sim import crowd
from edge_robot.sim.layout import Pose2
from edge_robot.sim.scenario import Person

Array = NDArray[np.float64]


TRUTH_PERIOD = 0.1
"""Simulated time from one to the next, s."""


def truth_message(
    stamp: Time,
    robot: Pose2,
    collided_with: Sequence[str],
    people: Sequence[Person],
    places: Array,
    velocities: Array,
) -> SimulationTruth:
    """Return where everybody is and what was touched; pace and base are the caller's to add.

    Args:
        stamp: When.
        robot: Where the robot truly is, map frame.
        collided_with: What it has touched, oldest first.
        people: Who walks.
        places: x, y, m, and heading, rad, of each, map frame, shape (n, 3).
        velocities: x and y of each, m/s, shape (n, 2).
    """
    rows = zip(people, places.tolist(), velocities.tolist(), strict=True)
    truth = SimulationTruth(
        header=Header(stamp=stamp, frame_id="map"),
        people=[_person(number, *row) for number, row in enumerate(rows)],
        collisions=len(collided_with),
        collided_with=list(collided_with),
    )
    truth.robot.position.x, truth.robot.position.y = robot.x, robot.y
    truth.robot.orientation = quaternion_from_yaw(robot.yaw)
    return truth


def _person(
    number: int, person: Person, place: Sequence[float], velocity: Sequence[float]
) -> TrackedObject:
    """Return a person as a track without doubt; `number` is that in the scenario, from 0 on."""
    track = TrackedObject(id=number + 1, class_name="person", class_score=1.0, existence=1.0)
    position = track.position
    position.x, position.y, track.yaw = place
    position.z = person.height / 2
    track.size.x = track.size.y = 2 * crowd.RADIUS
    track.size.z = person.height
    track.velocity.x, track.velocity.y = velocity
    return track
