"""Mass, centre and moments of inertia of the robot's parts, alone and together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.sim.robot import RobotPart


@dataclass(frozen=True)
class Inertial:
    """What a rigid body needs to be moved by forces.

    Attributes:
        mass: kg.
        centre: Centre of mass, shape (3,), m.
        moments: Inertia tensor about that centre, shape (3, 3), kg·m².
    """

    mass: float
    centre: NDArray[np.float64]
    moments: NDArray[np.float64]

    @property
    def components(self) -> dict[str, float]:
        """The tensor's six numbers as SDF and URDF name them: ixx, ixy, ixz, iyy, iyz, izz."""
        (xx, xy, xz), (_, yy, yz), (_, _, zz) = self.moments.tolist()
        return {"ixx": xx, "ixy": xy, "ixz": xz, "iyy": yy, "iyz": yz, "izz": zz}


def inertial(parts: Sequence[RobotPart]) -> Inertial:
    """Return the inertia of parts fixed to each other; those without mass do not count."""
    heavy = [part for part in parts if part.mass > 0.0]
    masses = np.array([part.mass for part in heavy])
    places = np.array([part.position for part in heavy])
    centre = masses @ places / masses.sum()
    moments = np.zeros((3, 3))
    for part, arm in zip(heavy, places - centre, strict=True):
        # The parallel axis theorem.
        moments += np.diag(_moments(part)) + part.mass * (
            arm @ arm * np.eye(3) - np.outer(arm, arm)
        )
    return Inertial(float(masses.sum()), centre, moments)


def _moments(part: RobotPart) -> tuple[float, float, float]:
    """Return the moments about x, y and z through the centre of a part of even density, kg·m²."""
    mass = part.mass
    if part.kind == "box":
        x, y, z = (extent**2 for extent in part.size)
        return mass * (y + z) / 12, mass * (x + z) / 12, mass * (x + y) / 12
    if part.kind == "sphere":
        return (0.4 * mass * part.radius**2,) * 3
    if part.kind == "capsule":
        along, across = _capsule(mass, part.radius, part.length)
    else:
        along = 0.5 * mass * part.radius**2
        across = mass * (3 * part.radius**2 + part.length**2) / 12
    return (across, along, across) if part.axis == "y" else (across, across, along)


def _capsule(mass: float, radius: float, length: float) -> tuple[float, float]:
    """Return the moments along and across the axis of a cylinder with two half balls."""
    cylinder = math.pi * radius**2 * length
    balls = 4 / 3 * math.pi * radius**3
    density = mass / (cylinder + balls)
    along = density * (cylinder * radius**2 / 2 + balls * 2 * radius**2 / 5)
    # A half ball's centre is 3/8 of its radius beyond the cylinder's end.
    across = density * (
        cylinder * (length**2 / 12 + radius**2 / 4)
        + balls * (2 * radius**2 / 5 + length**2 / 4 + 3 * length * radius / 8)
    )
    return along, across
