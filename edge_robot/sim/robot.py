"""The robot: a Clearpath Jackal's dimensions on a driven axle with casters.

A Jackal skids on four wheels; what its velocity controller makes of that is a differential drive,
and that is what is modelled: two driven wheels on an axle below the centre, with the Jackal's
wheel radius and track, and frictionless casters in front and behind. The four tyres one sees are
decoration.

The frame base_link lies on the floor below the middle of the axle, x forward, y left, z up.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

CHASSIS_LENGTH = 0.42
CHASSIS_WIDTH = 0.31
WHEEL_RADIUS = 0.098
TRACK = 0.376
MASS = 17.0
MAX_SPEED = 2.0
MAX_YAW_RATE = 4.0
MAX_ACCELERATION = 3.0
"""Change of speed the base allows, m/s²; wheels keep their grip up to about twice that."""
MAX_YAW_ACCELERATION = 8.0
COMMAND_TIMEOUT = 0.06
"""Time after the last command at which the wheels are stopped, s: the deadline of
`topics.CMD_VEL`."""


@dataclass(frozen=True)
class Mount:
    """Where a sensor sits on the robot, axes parallel to base_link's.

    Attributes:
        frame: Name of its frame.
        position: Origin in base_link, m.
    """

    frame: str
    position: tuple[float, float, float]


CAMERA_MOUNT = Mount("camera_front_link", (0.15, 0.0, 0.45))
OPTICAL_FRAME = "camera_front_optical_frame"
"""The camera's frame as images are understood: z forward, x right, y down."""
LIDAR_MOUNT = Mount("lidar_link", (0.0, 0.0, 0.55))
SCAN_MOUNT = Mount("scan_link", (0.0, 0.0, 0.18))

CAMERA_FOVY = math.degrees(2 * math.atan(math.tan(math.radians(40.0)) * 360 / 480))
"""Vertical field of view, degrees: 80° horizontally at 480×360."""

_CASTER_RADIUS = 0.05
_CASTER_LIFT = 0.0005  # keeps the weight on the wheels, at a tilt nobody sees
_WHEEL_MASS = 0.8


def robot_mjcf(group: int) -> tuple[str, str, list[str]]:
    """Return the robot as MJCF: its body, its actuators and sensors, and its geoms' names.

    Args:
        group: Geom group of everything on it.
    """
    lidar = LIDAR_MOUNT.position
    camera = CAMERA_MOUNT.position
    solid = f'group="{group}" contype="0" conaffinity="1"'
    ghost = f'group="{group}" contype="0" conaffinity="0" mass="0"'
    tyres = "".join(
        f'<geom name="tyre_{x}_{y}" type="cylinder" size="{WHEEL_RADIUS - 0.002} 0.02"'
        f' pos="{x} {y} {WHEEL_RADIUS}"'
        f' zaxis="0 1 0" rgba=".08 .08 .08 1" {ghost}/>'
        for x in (-0.131, 0.131)
        for y in (-TRACK / 2, TRACK / 2)
    )
    casters = "".join(
        f'<geom name="caster_{name}" type="sphere" size="{_CASTER_RADIUS}" mass="0.1"'
        ' condim="1" priority="1"'
        f' pos="{x} 0 {_CASTER_RADIUS + _CASTER_LIFT}" rgba=".1 .1 .1 1" {solid}/>'
        for name, x in (("front", 0.15), ("rear", -0.15))
    )
    wheels = "".join(
        f'<body name="{name}_wheel" pos="0 {y} {WHEEL_RADIUS}">'
        f'<joint name="{name}_wheel" type="hinge" axis="0 1 0" damping="0.02" armature="0.01"/>'
        f'<geom name="{name}_wheel" type="ellipsoid" size="{WHEEL_RADIUS} 0.02 {WHEEL_RADIUS}"'
        f' mass="{_WHEEL_MASS}" friction="1.0 0.005 0.0001" rgba=".08 .08 .08 1" {solid}/></body>'
        for name, y in (("left", TRACK / 2), ("right", -TRACK / 2))
    )
    chassis_mass = MASS - 2 * _WHEEL_MASS - 0.2 - 0.6
    body = f"""
<body name="robot">
  <freejoint name="robot"/>
  <geom name="chassis" type="box" size="{CHASSIS_LENGTH / 2} {CHASSIS_WIDTH / 2} .085"
    pos="0 0 .16" mass="{chassis_mass}" rgba=".95 .75 .05 1" {solid}/>
  <geom name="mast" type="capsule" size=".02" fromto=".05 0 .25 .05 0 .48" mass=".3"
    rgba=".2 .2 .22 1" {solid}/>
  <geom name="lidar" type="cylinder" size=".05 .035" pos="{_text(lidar)}" mass=".3"
    rgba=".15 .15 .16 1" {solid}/>
  <geom name="deck" type="box" size=".19 .12 .006" pos="0 0 .25" rgba=".12 .12 .13 1" {ghost}/>
  <geom name="camera" type="box" size=".04 .03 .02" pos="{camera[0] - 0.042} 0 {camera[2]}"
    rgba=".1 .1 .1 1" {ghost}/>
  {tyres}{casters}{wheels}
  <site name="imu" pos="0 0 .1"/>
  <site name="lidar" pos="{_text(lidar)}"/>
  <site name="scan" pos="{_text(SCAN_MOUNT.position)}"/>
  <camera name="camera_front" pos="{_text(camera)}" xyaxes="0 -1 0 0 0 1" fovy="{CAMERA_FOVY}"/>
</body>"""
    machinery = """
<actuator>
  <velocity name="left_wheel" joint="left_wheel" kv="8" forcerange="-15 15"/>
  <velocity name="right_wheel" joint="right_wheel" kv="8" forcerange="-15 15"/>
</actuator>
<sensor><gyro name="gyro" site="imu"/></sensor>"""
    return body, machinery, re.findall(r'<geom name="([^"]+)"', body)


def _text(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)
