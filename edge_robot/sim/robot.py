"""The robot: a Clearpath Jackal's dimensions on a driven axle with casters.

A Jackal skids on four wheels; what its velocity controller makes of that is a differential drive,
and that is what is modelled: two driven wheels on an axle below the centre, with the Jackal's
wheel radius and track, and frictionless casters in front and behind. The four tyres one sees are
decoration.

The frame base_link lies on the floor below the middle of the axle, x forward, y left, z up.
"""

from __future__ import annotations

import math
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
IMU_MOUNT = Mount("imu_link", (0.0, 0.0, 0.1))
MOUNTS = (CAMERA_MOUNT, LIDAR_MOUNT, SCAN_MOUNT, IMU_MOUNT)

CAMERA_FOVX = 80.0
"""Horizontal field of view, degrees, of images that are 4 : 3."""
CAMERA_FOVY = math.degrees(2 * math.atan(math.tan(math.radians(CAMERA_FOVX / 2)) * 3 / 4))
"""Vertical field of view, degrees."""

WHEEL_MASS = 0.8
WHEEL_WIDTH = 0.04


@dataclass(frozen=True)
class RobotPart:
    """A piece of the robot's body, fixed to base_link.

    Attributes:
        name: Unique name.
        kind: "box", "sphere", "cylinder", or "capsule", which has a half ball at both ends.
        position: Centre in base_link, m.
        size: Full extents, m.
        rgb: Colour.
        mass: kg; 0 for what is only drawn, and collides with nothing.
        axis: Of a cylinder or capsule: "y" or "z".
        slides: Whether it touches without friction.
    """

    name: str
    kind: str
    position: tuple[float, float, float]
    size: tuple[float, float, float]
    rgb: tuple[float, float, float]
    mass: float = 0.0
    axis: str = "z"
    slides: bool = False

    @property
    def radius(self) -> float:
        """Of what is round, m."""
        return 0.5 * self.size[0]

    @property
    def length(self) -> float:
        """Of a cylinder, or of a capsule without its half balls, along the axis, m."""
        whole = self.size["xyz".index(self.axis)]
        return whole - (2 * self.radius if self.kind == "capsule" else 0.0)


_CASTER_RADIUS = 0.05
_CASTER_LIFT = 0.0005  # keeps the weight on the wheels, at a tilt nobody sees
_BLACK = (0.08, 0.08, 0.08)


def _body() -> tuple[RobotPart, ...]:
    camera = CAMERA_MOUNT.position
    ball, tyre = 2 * _CASTER_RADIUS, 2 * (WHEEL_RADIUS - 0.002)
    casters = [
        RobotPart(
            f"caster_{name}",
            "sphere",
            (x, 0.0, _CASTER_RADIUS + _CASTER_LIFT),
            (ball, ball, ball),
            (0.1, 0.1, 0.1),
            mass=0.1,
            slides=True,
        )
        for name, x in (("front", 0.15), ("rear", -0.15))
    ]
    mast = RobotPart(
        "mast", "capsule", (0.05, 0, 0.365), (0.04, 0.04, 0.27), (0.2, 0.2, 0.22), mass=0.3
    )
    lidar = RobotPart(
        "lidar", "cylinder", LIDAR_MOUNT.position, (0.1, 0.1, 0.07), (0.15, 0.15, 0.16), mass=0.3
    )
    rest = MASS - 2 * WHEEL_MASS - sum(part.mass for part in (*casters, mast, lidar))
    size = (CHASSIS_LENGTH, CHASSIS_WIDTH, 0.17)
    chassis = RobotPart("chassis", "box", (0, 0, 0.16), size, (0.95, 0.75, 0.05), mass=rest)
    deck = RobotPart("deck", "box", (0, 0, 0.25), (0.38, 0.24, 0.012), (0.12, 0.12, 0.13))
    housing = RobotPart(
        "camera", "box", (camera[0] - 0.042, 0, camera[2]), (0.08, 0.06, 0.04), (0.1, 0.1, 0.1)
    )
    tyres = [
        RobotPart(
            f"tyre_{x}_{y}", "cylinder", (x, y, WHEEL_RADIUS), (tyre, 0.04, tyre), _BLACK, axis="y"
        )
        for x in (-0.131, 0.131)
        for y in (-TRACK / 2, TRACK / 2)
    ]
    return chassis, mast, lidar, deck, housing, *tyres, *casters


BODY = _body()
"""What base_link consists of; the two driven wheels turn beside it."""

WHEELS = tuple(
    RobotPart(
        f"{side}_wheel",
        "cylinder",
        (0.0, y, WHEEL_RADIUS),
        (2 * WHEEL_RADIUS, WHEEL_WIDTH, 2 * WHEEL_RADIUS),
        _BLACK,
        mass=WHEEL_MASS,
        axis="y",
    )
    for side, y in (("left", TRACK / 2), ("right", -TRACK / 2))
)
"""The driven wheels; their joints have their names."""


def robot_mjcf(group: int) -> tuple[str, str, list[str]]:
    """Return the robot as MJCF: its body, its actuators and sensors, and its geoms' names.

    Args:
        group: Geom group of everything on it.
    """
    # Ellipsoids touch the floor in one point, as tyres do that are slightly round.
    wheels = "".join(
        f'<body name="{wheel.name}" pos="{_text(wheel.position)}">'
        f'<joint name="{wheel.name}" type="hinge" axis="0 1 0" damping="0.02" armature="0.01"/>'
        f'<geom name="{wheel.name}" type="ellipsoid" size="{_half(wheel.size)}"'
        f' mass="{wheel.mass}" friction="1.0 0.005 0.0001" {_look(wheel, group)}/></body>'
        for wheel in WHEELS
    )
    body = f"""
<body name="robot">
  <freejoint name="robot"/>
  {"".join(_geom(part, group) for part in BODY)}{wheels}
  <site name="imu" pos="{_text(IMU_MOUNT.position)}"/>
  <site name="lidar" pos="{_text(LIDAR_MOUNT.position)}"/>
  <site name="scan" pos="{_text(SCAN_MOUNT.position)}"/>
  <camera name="camera_front" pos="{_text(CAMERA_MOUNT.position)}" xyaxes="0 -1 0 0 0 1"
    fovy="{CAMERA_FOVY}"/>
</body>"""
    machinery = """
<actuator>
  <velocity name="left_wheel" joint="left_wheel" kv="8" forcerange="-15 15"/>
  <velocity name="right_wheel" joint="right_wheel" kv="8" forcerange="-15 15"/>
</actuator>
<sensor><gyro name="gyro" site="imu"/></sensor>"""
    return body, machinery, [part.name for part in (*BODY, *WHEELS)]


def _geom(part: RobotPart, group: int) -> str:
    if part.kind == "box":
        size = _half(part.size)
    elif part.kind == "sphere":
        size = f"{part.radius:g}"
    else:
        axis = "0 1 0" if part.axis == "y" else "0 0 1"
        size = f'{part.radius:g} {part.length / 2:g}" zaxis="{axis}'
    slides = ' condim="1" priority="1"' if part.slides else ""
    return (
        f'<geom name="{part.name}" type="{part.kind}" size="{size}" pos="{_text(part.position)}"'
        f' mass="{part.mass:.9g}"{slides} {_look(part, group)}/>'
    )


def _look(part: RobotPart, group: int) -> str:
    return (
        f'rgba="{_text(part.rgb)} 1" group="{group}" contype="0" conaffinity="{int(part.mass > 0)}"'
    )


def _half(size: tuple[float, float, float]) -> str:
    return _text((size[0] / 2, size[1] / 2, size[2] / 2))


def _text(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)
