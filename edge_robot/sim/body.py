"""The human figure: its limbs, and where they are at a phase of the gait.

A figure is a set of rigid limbs. Each is drawn with a few capsules and ellipsoids in the limb's
own frame (x forward, y left, z up, origin at the joint nearest the trunk), and `limb_poses` says
where every limb of every person is, vectorised over people.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.sim.scenario import Person, Rgb

Array = NDArray[np.float64]

LIMBS = (
    "pelvis",
    "trunk",
    "left_upper_arm",
    "right_upper_arm",
    "left_forearm",
    "right_forearm",
    "left_thigh",
    "right_thigh",
    "left_shin",
    "right_shin",
)

STANDARD_HEIGHT = 1.75
"""Height of the figure all lengths below belong to, m."""

_HIP_HALF_WIDTH = 0.095
_WAIST = 0.08  # trunk's joint above the hip
_SHOULDER = 0.42  # above the waist
_SHOULDER_HALF_WIDTH = 0.205
_UPPER_ARM = 0.29
_THIGH = 0.44
_SHIN = 0.49  # down to the sole
_SHOULDERS = np.array([[0.0, _SHOULDER_HALF_WIDTH, 0.0], [0.0, -_SHOULDER_HALF_WIDTH, 0.0]])
_HIPS = np.array([[0.0, _HIP_HALF_WIDTH, 0.0], [0.0, -_HIP_HALF_WIDTH, 0.0]])


@dataclass(frozen=True)
class Shape:
    """A drawn primitive of a limb.

    Attributes:
        kind: "ellipsoid" or "capsule".
        at: Centre of an ellipsoid, or first end of a capsule, m.
        to: Semi-axes of an ellipsoid, or second end of a capsule, m.
        radius: Of a capsule, m; 0 for an ellipsoid.
        rgb: Colour.
    """

    kind: str
    at: tuple[float, float, float]
    to: tuple[float, float, float]
    radius: float
    rgb: Rgb


def _ball(at: tuple[float, float, float], axes: tuple[float, float, float], rgb: Rgb) -> Shape:
    return Shape("ellipsoid", at, axes, 0.0, rgb)


def _rod(
    start: tuple[float, float, float], end: tuple[float, float, float], radius: float, rgb: Rgb
) -> Shape:
    return Shape("capsule", start, end, radius, rgb)


def limb_shapes(person: Person) -> dict[str, list[Shape]]:
    """Return the primitives of every limb, for the standard height."""
    girth = person.build
    trousers, top, skin = person.trousers, person.top, person.skin
    chest = person.vest or top
    trunk = [
        _ball((0, 0, 0.06), (0.105 * girth, 0.150 * girth, 0.14), top),
        _ball((0, 0, 0.26), (0.120 * girth, 0.185 * girth, 0.24), chest),
        _rod((0, -0.13, 0.40), (0, 0.13, 0.40), 0.070 * girth, chest),
        _rod((0, 0, 0.44), (0.01, 0, 0.53), 0.055, skin),
        _ball((0.015, 0, 0.64), (0.095, 0.076, 0.122), skin),
        _ball((0.105, 0, 0.63), (0.020, 0.014, 0.022), skin),
    ]
    if person.vest is not None:
        silver = (0.85, 0.86, 0.86)
        trunk.append(_ball((0, 0, 0.17), (0.124 * girth, 0.187 * girth, 0.022), silver))
        trunk.append(_ball((0, 0, 0.30), (0.124 * girth, 0.189 * girth, 0.022), silver))
    if person.helmet is not None:
        trunk.append(_ball((0.005, 0, 0.70), (0.118, 0.098, 0.085), person.helmet))
        trunk.append(_ball((0.045, 0, 0.68), (0.115, 0.085, 0.014), person.helmet))
    else:
        trunk.append(_ball((-0.012, 0, 0.685), (0.094, 0.083, 0.095), person.hair))
    shapes = {
        "pelvis": [_ball((0, 0, 0.02), (0.110 * girth, 0.160 * girth, 0.125), trousers)],
        "trunk": trunk,
    }
    for side in ("left", "right"):
        forearm = skin if person.short_sleeves else top
        shapes[f"{side}_upper_arm"] = [_rod((0, 0, 0), (0, 0, -_UPPER_ARM), 0.048 * girth, top)]
        shapes[f"{side}_forearm"] = [
            _rod((0, 0, 0), (0, 0, -0.22), 0.039 * girth, forearm),
            _ball((0.005, 0, -0.31), (0.042, 0.026, 0.068), skin),
        ]
        shapes[f"{side}_thigh"] = [
            _rod((0, 0, -0.02), (0, 0, -_THIGH), 0.078 * girth, trousers),
        ]
        shapes[f"{side}_shin"] = [
            _rod((0, 0, 0), (0, 0, -0.38), 0.057 * girth, trousers),
            _ball((0.055, 0, -0.445), (0.135, 0.050, 0.045), person.shoes),
        ]
    return shapes


def limb_poses(
    people: tuple[Person, ...], place: Array, phase: Array, stride: Array
) -> tuple[Array, Array]:
    """Return where all limbs are.

    Args:
        people: The figures.
        place: x, y and heading of each person, shape (n, 3), m and rad, map frame.
        phase: Phase of the gait, shape (n,), rad; one double step per turn.
        stride: Size of the steps, 0 standing to 1 walking briskly, shape (n,).

    Returns:
        Positions of the limbs' joints, shape (n, len(LIMBS), 3), m, and their orientations as
        quaternions w x y z, shape (n, len(LIMBS), 4), map frame.
    """
    count = len(people)
    scale = np.array([person.height for person in people]) / STANDARD_HEIGHT
    stoop = np.array([person.stoop for person in people]) + 0.05 * stride
    lift = np.array([person.arms for person in people])
    swing = 0.46 * stride * np.sin(phase)
    # A knee bends while its leg swings forward, and hardly at all while it carries.
    left_knee = stride * (0.12 + 0.85 * np.maximum(np.cos(phase), 0) ** 2)
    right_knee = stride * (0.12 + 0.85 * np.maximum(-np.cos(phase), 0) ** 2)
    elbow = 0.18 + 0.30 * stride + 0.25 * lift

    # Pitch of every limb about its own joint, positive leaning forward / swinging backward-up.
    pitch = np.zeros((count, len(LIMBS)))
    pitch[:, 1] = stoop
    pitch[:, 2] = 0.75 * swing - lift
    pitch[:, 3] = -0.75 * swing - lift
    pitch[:, 4], pitch[:, 5] = pitch[:, 2] - elbow, pitch[:, 3] - elbow
    pitch[:, 6], pitch[:, 7] = -swing, swing
    pitch[:, 8], pitch[:, 9] = pitch[:, 6] + left_knee, pitch[:, 7] + right_knee

    joint = np.zeros((count, len(LIMBS), 3))
    # The leg that reaches further down carries: its sole is on the floor.
    reach = _THIGH * np.cos(pitch[:, 6:8]) + _SHIN * np.cos(pitch[:, 8:10])
    joint[:, 0, 2] = reach.max(axis=1)
    joint[:, 1] = joint[:, 0] + (0, 0, _WAIST)
    # Arms and legs, left and right together.
    joint[:, 2:4] = joint[:, 1:2] + _along(stoop, _SHOULDER)[:, None] + _SHOULDERS
    joint[:, 4:6] = joint[:, 2:4] + _along(pitch[:, 2:4], -_UPPER_ARM)
    joint[:, 6:8] = joint[:, :1] + _HIPS
    joint[:, 8:10] = joint[:, 6:8] + _along(pitch[:, 6:8], -_THIGH)
    joint *= scale[:, None, None]

    heading = place[:, 2]
    cos, sin = np.cos(heading)[:, None], np.sin(heading)[:, None]
    position = np.empty_like(joint)
    position[..., 0] = place[:, :1] + joint[..., 0] * cos - joint[..., 1] * sin
    position[..., 1] = place[:, 1:2] + joint[..., 0] * sin + joint[..., 1] * cos
    position[..., 2] = joint[..., 2]

    # Yaw about z, then pitch about y.
    half_yaw, half_pitch = 0.5 * heading[:, None], 0.5 * pitch
    cos_yaw, sin_yaw = np.cos(half_yaw), np.sin(half_yaw)
    cos_pitch, sin_pitch = np.cos(half_pitch), np.sin(half_pitch)
    quaternion = np.empty((*pitch.shape, 4))
    quaternion[..., 0] = cos_yaw * cos_pitch
    quaternion[..., 1] = -sin_yaw * sin_pitch
    quaternion[..., 2] = cos_yaw * sin_pitch
    quaternion[..., 3] = sin_yaw * cos_pitch
    return position, quaternion


def _along(pitch: Array, distance: float) -> Array:
    """Return the end of a limb of the given length that leans by `pitch`, shape (n, 3)."""
    end = np.zeros((*pitch.shape, 3))
    end[..., 0], end[..., 2] = np.sin(pitch), np.cos(pitch)
    end *= distance
    return end
