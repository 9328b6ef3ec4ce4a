"""What the referee of a simulated world says, for every world."""

from __future__ import annotations

from collections.abc import Sequence

from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from edge_robot.msg import SimulationTruth, TrackedObject
from edge_robot.nodes.conversions import quaternion_from_yaw
from edge_robot.sim import crowd
from edge_robot.sim.layout import Pose2
from edge_robot.sim.scenario import Person


def truth_message(
    stamp: Time, robot: Pose2, collided_with: Sequence[str], people: Sequence[TrackedObject]
) -> SimulationTruth:
    """Return where everybody is and what was touched; pace and base are the caller's to add."""
    truth = SimulationTruth(
        header=Header(stamp=stamp, frame_id="map"),
        people=people,
        collisions=len(collided_with),
        collided_with=list(collided_with),
    )
    truth.robot.position.x, truth.robot.position.y = robot.x, robot.y
    truth.robot.orientation = quaternion_from_yaw(robot.yaw)
    return truth


def person_message(
    number: int, person: Person, place: Pose2, velocity: Sequence[float]
) -> TrackedObject:
    """Return a person as a track without doubt.

    Args:
        number: Of the person in the scenario, from 0 on.
        person: Whose height it has.
        place: Where, and which way they look; map frame.
        velocity: x and y, m/s.
    """
    track = TrackedObject(id=number + 1, class_name="person", class_score=1.0, existence=1.0)
    position = track.position
    position.x, position.y, position.z = place.x, place.y, person.height / 2
    track.size.x = track.size.y = 2 * crowd.RADIUS
    track.size.z = person.height
    track.yaw = place.yaw
    track.velocity.x, track.velocity.y = velocity
    return track
