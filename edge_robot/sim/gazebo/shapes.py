"""Primitive shapes as SDF, seen or bumped into: no meshes, nothing to download."""

from __future__ import annotations

from edge_robot.sim.elements import Element, element, value, values
from edge_robot.sim.scenario import Rgb


def geometry(shape: Element) -> Element:
    """Return the geometry of a shape."""
    return element("geometry", shape)


def sphere(radius: float) -> Element:
    """Return a ball, m."""
    return element("sphere", value("radius", radius))


def cylinder(radius: float, length: float) -> Element:
    """Return a cylinder along z, m."""
    return element("cylinder", *values(radius=radius, length=length))


def capsule(radius: float, length: float) -> Element:
    """Return a cylinder along z with a half ball beyond both ends, m."""
    return element("capsule", *values(radius=radius, length=length))


def paint(rgb: Rgb) -> Element:
    """Return a dull material of one colour."""
    return element("material", value("diffuse", (*rgb, 1.0)))


def visual(name: str, shape: Element, pose: str, material: Element) -> Element:
    """Return what is seen, and what lidars measure; it casts no shadow.

    Args:
        name: Of the part, unique in its link.
        shape: Its geometry.
        pose: In its link: x, y, z, m, and roll, pitch, yaw, rad.
        material: Its material.
    """
    return element(
        "visual",
        *values(pose=pose, cast_shadows=False),
        shape,
        material,
        name=f"{name}_visual",
    )


def solid(name: str, shape: Element, pose: str, friction: float = 1.0) -> Element:
    """Return what is bumped into; for the arguments see `visual`."""
    ode = element("ode", *values(mu=friction, mu2=friction))
    surface = element("surface", element("friction", ode))
    return element("collision", value("pose", pose), shape, surface, name=f"{name}_collision")
