"""The robot as URDF, for robot_state_publisher, RViz and whoever else asks what it looks like."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edge_robot.sim.elements import Element, document, element, text
from edge_robot.sim.inertia import inertial
from edge_robot.sim.robot import BODY, CAMERA_MOUNT, MOUNTS, OPTICAL_FRAME, WHEELS, RobotPart

Vector = tuple[float, float, float]

_NOWHERE: Vector = (0.0, 0.0, 0.0)


def robot_urdf() -> str:
    """Return the description: the frames of `MOUNTS`, the body, and two wheels that turn."""
    robot = element("robot", _link("base_link", BODY), name="edge_robot")
    for wheel in WHEELS:
        name = f"{wheel.name}_link"
        robot.append(_link(name, [wheel], origin=wheel.position))
        axis = element("axis", xyz="0 1 0")
        robot.append(
            _joint(wheel.name, "continuous", "base_link", name, wheel.position, _NOWHERE, axis)
        )
    for mount in MOUNTS:
        robot.append(element("link", name=mount.frame))
        robot.append(_fixed("base_link", mount.frame, mount.position))
    robot.append(element("link", name=OPTICAL_FRAME))
    # z forward, x right, y down.
    optical = (-math.pi / 2, 0.0, -math.pi / 2)
    robot.append(_fixed(CAMERA_MOUNT.frame, OPTICAL_FRAME, _NOWHERE, optical))
    return document(
        robot,
        "Written by `python -m edge_robot.sim.gazebo`; do not change by hand.",
        flat=("visual", "collision", "inertial"),
    )


def _link(name: str, parts: Sequence[RobotPart], origin: Vector = _NOWHERE) -> Element:
    whole = inertial(parts)
    x, y, z = (whole.centre - origin).tolist()
    link = element(
        "link",
        element(
            "inertial",
            element("origin", xyz=text((x, y, z))),
            element("mass", value=text(whole.mass)),
            element("inertia", **{key: text(moment) for key, moment in whole.components.items()}),
        ),
        name=name,
    )
    for part in parts:
        place, shape = _origin(part, origin), element("geometry", _shape(part))
        colour = element("color", rgba=text((*part.rgb, 1.0)))
        paint = element("material", colour, name=f"{part.name}_paint")
        link.append(element("visual", place, shape, paint, name=part.name))
        if part.mass > 0.0:
            link.append(element("collision", place, shape, name=part.name))
    return link


def _origin(part: RobotPart, origin: Vector) -> Element:
    x, y, z = (a - b for a, b in zip(part.position, origin, strict=True))
    roll = math.pi / 2 if part.axis == "y" else 0.0
    return element("origin", xyz=text((x, y, z)), rpy=text((roll, 0.0, 0.0)))


def _shape(part: RobotPart) -> Element:
    if part.kind == "box":
        return element("box", size=text(part.size))
    if part.kind == "sphere":
        return element("sphere", radius=text(part.radius))
    # URDF has no capsule.
    length = part.length + (2 * part.radius if part.kind == "capsule" else 0.0)
    return element("cylinder", radius=text(part.radius), length=text(length))


def _fixed(parent: str, child: str, place: Vector, turn: Vector = _NOWHERE) -> Element:
    return _joint(f"{child}_mount", "fixed", parent, child, place, turn)


def _joint(
    name: str, kind: str, parent: str, child: str, place: Vector, turn: Vector, *details: Element
) -> Element:
    return element(
        "joint",
        element("parent", link=parent),
        element("child", link=child),
        element("origin", xyz=text(place), rpy=text(turn)),
        *details,
        name=name,
        type=kind,
    )
