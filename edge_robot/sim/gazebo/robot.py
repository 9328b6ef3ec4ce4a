"""The robot as an SDF model: the body of `edge_robot.sim.robot`, its drive and its sensors."""

from __future__ import annotations

import math

from edge_robot.sim.elements import Element, element, plugin, text, value, values
from edge_robot.sim.gazebo import names, visibility
from edge_robot.sim.gazebo.light import shares
from edge_robot.sim.gazebo.shapes import box, capsule, cylinder, paint, solid, sphere, visual
from edge_robot.sim.inertia import inertial
from edge_robot.sim.layout import Pose2
from edge_robot.sim.robot import (
    BODY,
    CAMERA_FOVX,
    CAMERA_MOUNT,
    IMU_MOUNT,
    LIDAR_MOUNT,
    MAX_ACCELERATION,
    MAX_SPEED,
    MAX_YAW_ACCELERATION,
    MAX_YAW_RATE,
    OPTICAL_FRAME,
    SCAN_MOUNT,
    TRACK,
    WHEEL_RADIUS,
    WHEELS,
    Mount,
    RobotPart,
)
from edge_robot.sim.scenario import Light
from edge_robot.sim.sensors import (
    CAMERA_RATE,
    COLUMNS,
    GYRO_NOISE,
    HEIGHT,
    LIDAR,
    SCANNER,
    WIDTH,
    Ranging,
)

IMU_RATE = 100
ODOMETRY_RATE = 50

_GRIP = 1.0


def robot_model(start: Pose2, light: Light) -> Element:
    """Return the robot, standing at a place in the map frame in the light of a hall."""
    base = element("link", inertial_element(*BODY), name="base_link")
    for part in BODY:
        if part.mass > 0.0:
            base.append(solid(part.name, _shape(part), _place(part), friction=_friction(part)))
        base.append(_visual(part))
    base.extend(_sensors())
    base.append(_headlight(light))
    model = element(
        "model",
        value("pose", (start.x, start.y, 0.0, 0.0, 0.0, start.yaw)),
        base,
        name=names.ROBOT,
    )
    for wheel in WHEELS:
        model.extend(_wheel(wheel))
    model.append(_drive())
    model.append(pose_publisher(ODOMETRY_RATE))
    return model


def pose_publisher(rate: int) -> Element:
    """Return the plugin that says where its model truly is, `rate` times a second."""
    return plugin(
        "gz-sim-pose-publisher-system",
        "gz::sim::systems::PosePublisher",
        *values(
            publish_link_pose=False,
            publish_nested_model_pose=True,  # of the model itself, in every version
            publish_visual_pose=False,
            publish_collision_pose=False,
            publish_sensor_pose=False,
            use_pose_vector_msg=False,
            update_frequency=rate,
        ),
    )


def inertial_element(
    *parts: RobotPart, origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> Element:
    """Return the inertia of parts fixed to each other, in a link whose origin is there."""
    whole = inertial(parts)
    x, y, z = (whole.centre - origin).tolist()
    return element(
        "inertial",
        value("pose", (x, y, z, 0.0, 0.0, 0.0)),
        value("mass", whole.mass),
        element("inertia", *values(**whole.components)),
    )


def _shape(part: RobotPart) -> Element:
    if part.kind == "box":
        return box(part.size)
    if part.kind == "sphere":
        return sphere(part.radius)
    return (capsule if part.kind == "capsule" else cylinder)(part.radius, part.length)


def _place(part: RobotPart, origin: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> str:
    """Return the pose of a part; SDF's cylinders stand along z."""
    x, y, z = (a - b for a, b in zip(part.position, origin, strict=True))
    return text((x, y, z, math.pi / 2 if part.axis == "y" else 0.0, 0.0, 0.0))


def _visual(part: RobotPart, origin: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Element:
    place = _place(part, origin)
    return visual(part.name, _shape(part), place, paint(part.rgb), visibility.ROBOT)


def _friction(part: RobotPart) -> float:
    return 0.0 if part.slides else _GRIP


def _wheel(wheel: RobotPart) -> list[Element]:
    """Return the link of a wheel, its origin in the middle, and its joint."""
    name, origin = wheel.name, wheel.position
    link = element(
        "link",
        value("pose", (*origin, 0.0, 0.0, 0.0)),
        inertial_element(wheel, origin=origin),
        solid(name, _shape(wheel), _place(wheel, origin), friction=_GRIP),
        _visual(wheel, origin),
        name=f"{name}_link",
    )
    limit = element("limit", *values(lower=-1e16, upper=1e16, effort=15.0))
    axis = element("axis", value("xyz", (0, 1, 0)), limit)
    joint = element(
        "joint",
        *values(parent="base_link", child=f"{name}_link"),
        axis,
        name=name,
        type="revolute",
    )
    return [link, joint]


def _drive() -> Element:
    """Return the differential drive with the limits of `edge_robot.sim.robot`."""
    return plugin(
        "gz-sim-diff-drive-system",
        "gz::sim::systems::DiffDrive",
        *values(
            left_joint="left_wheel",
            right_joint="right_wheel",
            wheel_separation=TRACK,
            wheel_radius=WHEEL_RADIUS,
            odom_publish_frequency=ODOMETRY_RATE,
            topic=names.command_topic(names.ROBOT),
            odom_topic=names.ODOMETRY,
            frame_id="odom",
            child_frame_id="base_link",
            min_linear_velocity=-MAX_SPEED,
            max_linear_velocity=MAX_SPEED,
            min_angular_velocity=-MAX_YAW_RATE,
            max_angular_velocity=MAX_YAW_RATE,
            min_linear_acceleration=-MAX_ACCELERATION,
            max_linear_acceleration=MAX_ACCELERATION,
            min_angular_acceleration=-MAX_YAW_ACCELERATION,
            max_angular_acceleration=MAX_YAW_ACCELERATION,
        ),
    )


def _sensors() -> list[Element]:
    return [
        _camera(),
        _ranging(LIDAR_MOUNT, LIDAR, names.LIDAR, visibility.ALL & ~visibility.ROBOT),
        _ranging(SCAN_MOUNT, SCANNER, names.SCAN, visibility.SCANNED),
        _imu(),
    ]


def _sensor(
    mount: Mount, kind: str, topic: str, rate: float, frame: str, *details: Element
) -> Element:
    return element(
        "sensor",
        value("pose", (*mount.position, 0.0, 0.0, 0.0)),
        *values(topic=topic, update_rate=rate, always_on=True, visualize=False, gz_frame_id=frame),
        *details,
        name=mount.frame.removesuffix("_link"),
        type=kind,
    )


def _camera() -> Element:
    camera = element(
        "camera",
        value("horizontal_fov", math.radians(CAMERA_FOVX)),
        element(
            "image",
            # Smoothing edges takes as long again, and the detector does not need it.
            *values(width=WIDTH, height=HEIGHT, format="R8G8B8", anti_aliasing=0),
        ),
        element("clip", *values(near=0.02, far=60.0)),
    )
    # Its pixels are those of the optical frame, whatever the axes of the sensor.
    return _sensor(CAMERA_MOUNT, "camera", names.CAMERA, CAMERA_RATE, OPTICAL_FRAME, camera)


def _headlight(light: Light) -> Element:
    """Return the light that goes with the camera, along its line of sight."""
    _, headlight, _ = shares(light)
    return element(
        "light",
        value("pose", (*CAMERA_MOUNT.position, 0.0, 0.0, 0.0)),
        *values(
            cast_shadows=False,
            diffuse=(*headlight, 1.0),
            specular=(0, 0, 0, 1),
            direction=(1, 0, 0),
        ),
        name="headlight",
        type="directional",
    )


def _ranging(mount: Mount, ranging: Ranging, topic: str, mask: int) -> Element:
    step = 2 * math.pi / COLUMNS
    up = math.radians(ranging.elevation)
    horizontal = values(samples=COLUMNS, resolution=1, min_angle=-math.pi, max_angle=math.pi - step)
    scan = element("scan", element("horizontal", *horizontal))
    if ranging.beams > 1:
        vertical = values(samples=ranging.beams, resolution=1, min_angle=-up, max_angle=up)
        scan.append(element("vertical", *vertical))
    limits = values(min=ranging.min_range, max=ranging.max_range, resolution=0.001)
    noise = values(type="gaussian", mean=0.0, stddev=ranging.noise)
    lidar = element(
        "lidar",
        scan,
        element("range", *limits),
        element("noise", *noise),
        value("visibility_mask", mask),
    )
    return _sensor(mount, "gpu_lidar", topic, ranging.rate, mount.frame, lidar)


def _imu() -> Element:
    noise = element("noise", *values(mean=0.0, stddev=GYRO_NOISE), type="gaussian")
    rates = element("angular_velocity", element("z", noise))
    return _sensor(IMU_MOUNT, "imu", names.IMU, IMU_RATE, IMU_MOUNT.frame, element("imu", rates))
