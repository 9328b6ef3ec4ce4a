"""Primitive shapes as SDF, seen or bumped into: no meshes, nothing to download."""

from __future__ import annotations

from collections.abc import Sequence

from edge_robot.sim.elements import Element, element, value, values
from edge_robot.sim.scenario import Rgb


def box(size: Sequence[float]) -> Element:
    """Return a box, m."""
    return element("box", value("size", size))


def sphere(radius: float) -> Element:
    """Return a ball, m."""
    return element("sphere", value("radius", radius))


def cylinder(radius: float, length: float) -> Element:
    """Return a cylinder along z, m."""
    return element("cylinder", *values(radius=radius, length=length))


def capsule(radius: float, length: float) -> Element:
    """Return a cylinder along z with a half ball beyond both ends, m."""
    return element("capsule", *values(radius=radius, length=length))


def linear(rgb: Rgb) -> Rgb:
    """Return a colour as its share of light: what ogre2 calculates with; IEC 61966-2-1."""
    red, green, blue = (
        level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in rgb
    )
    return red, green, blue


def paint(rgb: Rgb) -> Element:
    """Return a dull material of one colour, as it shall look in white light."""
    return element("material", value("diffuse", (*linear(rgb), 1.0)))


def visual(name: str, shape: Element, pose: str, material: Element, flags: int) -> Element:
    """Return what is seen, and what lidars measure; it casts no shadow.

    Args:
        name: Of the part, unique in its link.
        shape: What it looks like.
        pose: In its link: x, y, z, m, and roll, pitch, yaw, rad.
        material: Its material.
        flags: Who sees it: see `edge_robot.sim.gazebo.visibility`.
    """
    return element(
        "visual",
        *values(pose=pose, cast_shadows=False),
        element("geometry", shape),
        material,
        value("visibility_flags", flags),
        name=f"{name}_visual",
    )


def solid(name: str, shape: Element, pose: str, friction: float = 1.0) -> Element:
    """Return what is bumped into; for the arguments see `visual`."""
    ode = element("ode", *values(mu=friction, mu2=friction))
    surface = element("surface", element("friction", ode))
    return element(
        "collision",
        value("pose", pose),
        element("geometry", shape),
        surface,
        name=f"{name}_collision",
    )
