"""The files for Gazebo, ROS's bridge and RViz say what scenario, robot and topic table say."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import yaml

from edge_robot import topics
from edge_robot.sim.gazebo.__main__ import kept_files
from edge_robot.sim.gazebo.world import world_sdf
from edge_robot.sim.robot import (
    BODY,
    CAMERA_FOVX,
    CHASSIS_LENGTH,
    CHASSIS_WIDTH,
    LIDAR_MOUNT,
    MASS,
    MAX_SPEED,
    MAX_YAW_RATE,
    MOUNTS,
    OPTICAL_FRAME,
    SCAN_MOUNT,
    TRACK,
    WHEEL_RADIUS,
    WHEELS,
)
from edge_robot.sim.scenario import Scenario
from edge_robot.sim.sensors import LIDAR, SCANNER, WIDTH
from edge_robot.sim.world import PEOPLE_GROUP, ROBOT_GROUP, SOLID_GROUP, build_world

Array = np.ndarray


_RATES = ("update_rate", "update_frequency", "odom_publish_frequency")


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario.generate(1)


@pytest.fixture(scope="module")
def kept(scenario: Scenario) -> dict[Path, str]:
    return kept_files(scenario)


def parsed(kept: dict[Path, str], name: str) -> ET.Element:
    (text,) = [text for file, text in kept.items() if file.name == name]
    return ET.fromstring(text)


@pytest.fixture(scope="module")
def world(kept: dict[Path, str]) -> ET.Element:
    found = parsed(kept, "warehouse.sdf").find("world")
    assert found is not None
    return found


@pytest.fixture(scope="module")
def robot(world: ET.Element) -> ET.Element:
    return named(world, "model", "robot")


def named(parent: ET.Element, tag: str, name: str) -> ET.Element:
    (found,) = [child for child in parent.iter(tag) if child.get("name") == name]
    return found


def numbers(element: ET.Element, path: str) -> list[float]:
    text = element.findtext(path)
    assert text is not None, path
    return [float(word) for word in text.split()]


def test_the_files_of_the_repository_are_those_that_are_written(kept: dict[Path, str]) -> None:
    for file, text in kept.items():
        assert file.read_text() == text, f"{file}: run `python -m edge_robot.sim.gazebo`"


def test_nothing_is_downloaded_and_nothing_else_is_read(kept: dict[Path, str]) -> None:
    for name in ("warehouse.sdf", "robot.urdf"):
        tags = {element.tag for element in parsed(kept, name).iter()}
        assert not tags & {"mesh", "include", "uri", "heightmap", "albedo_map", "script", "actor"}


def test_both_worlds_are_drawn_with_the_same_shapes_in_the_same_places(
    scenario: Scenario, world: ET.Element
) -> None:
    assert any(item.footprint.kind == "forklift" for item in scenario.items)
    embedded = build_world(scenario)
    model, data = embedded.model, embedded.data
    is_seen = (model.geom_group == SOLID_GROUP) & (model.geom_type != 0)  # planes are the hall
    is_seen |= model.geom_group == ROBOT_GROUP
    wanted = data.geom_xpos[is_seen]
    people = {person.name for person in scenario.people}
    drawn = np.array(
        [
            centre
            for standing in world.iter("model")
            if standing.get("name") not in {"hall", *people}
            for centre in _centres(standing)
        ]
    )
    assert len(drawn) == len(wanted)
    gaps = np.linalg.norm(drawn[:, None] - wanted[None], axis=2)
    assert gaps.min(axis=0).max() < 2e-3
    assert gaps.min(axis=1).max() < 2e-3
    # People are drawn with simpler shapes, where the limbs of the others are.
    figures = data.geom_xpos[model.geom_group == PEOPLE_GROUP]
    for person in people:
        for centre in _centres(named(world, "model", person)):
            assert np.linalg.norm(figures - centre, axis=1).min() < 0.12


def _centres(model: ET.Element) -> list[Array]:
    """Return where the visuals of a model are in the world; models stand upright."""
    x, y, z, _, _, yaw = numbers(model, "pose")
    turn = np.array([[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0]])
    turn = np.vstack([turn, [0, 0, 1]])
    out = []
    for link in model.iter("link"):
        origin = np.array(numbers(link, "pose")[:3]) if link.find("pose") is not None else 0.0
        for visual in link.iter("visual"):
            out.append(turn @ (origin + np.array(numbers(visual, "pose")[:3])) + (x, y, z))
    return out


def test_what_can_be_bumped_into_is_what_stands_and_walks(world: ET.Element) -> None:
    scenario = Scenario.generate(1)
    blocks = {
        collision.get("name", "").removesuffix("_collision"): numbers(
            collision, "geometry/box/size"
        )
        for collision in world.iter("collision")
        if collision.find("geometry/box") is not None
    }
    for thing in scenario.footprints:
        assert blocks[thing.name][:2] == pytest.approx([thing.length, thing.width], abs=1e-4)
    for person in scenario.people:
        place = numbers(named(world, "model", person.name), "pose")
        assert math.dist(place[:2], person.route[0]) < 25.0
        body = named(world, "collision", f"{person.name}_collision")
        assert numbers(body, "geometry/capsule/radius") == [0.25]


def test_the_robot_is_that_of_the_embedded_world(robot: ET.Element) -> None:
    assert sum(numbers(link, "inertial/mass")[0] for link in robot.iter("link")) == pytest.approx(
        MASS
    )
    chassis = named(robot, "collision", "chassis_collision")
    assert numbers(chassis, "geometry/box/size")[:2] == [CHASSIS_LENGTH, CHASSIS_WIDTH]
    assert {part.name for part in (*BODY, *WHEELS) if part.mass} == {
        collision.get("name", "").removesuffix("_collision")
        for collision in robot.iter("collision")
    }
    (drive,) = [p for p in robot.iter("plugin") if "DiffDrive" in p.get("name", "")]
    assert numbers(drive, "wheel_separation") == [TRACK]
    assert numbers(drive, "wheel_radius") == [WHEEL_RADIUS]
    assert numbers(drive, "max_linear_velocity") == [MAX_SPEED]
    assert numbers(drive, "max_angular_velocity") == [MAX_YAW_RATE]
    for caster in ("caster_front", "caster_rear"):
        ode = named(robot, "collision", f"{caster}_collision").find("surface/friction/ode")
        assert ode is not None and numbers(ode, "mu") == [0.0]


def test_everything_that_moves_has_a_physical_inertia(world: ET.Element) -> None:
    for model in world.iter("model"):
        for link in model.iter("link"):
            if model.findtext("static") == "true":
                continue
            assert numbers(link, "inertial/mass")[0] > 0.0
            inertia = link.find("inertial/inertia")
            assert inertia is not None
            xx, xy, xz, yy, yz, zz = (
                numbers(inertia, key)[0] for key in ("ixx", "ixy", "ixz", "iyy", "iyz", "izz")
            )
            moments = np.linalg.eigvalsh([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
            assert moments.min() > 0.0
            assert moments[0] + moments[1] >= moments[2]


SENSORS = {
    "camera_front": ("camera", topics.CAMERA_IMAGE, OPTICAL_FRAME),
    "lidar": ("gpu_lidar", topics.LIDAR_POINTS, LIDAR_MOUNT.frame),
    "scan": ("gpu_lidar", topics.SCAN, SCAN_MOUNT.frame),
    "imu": ("imu", topics.IMU, "imu_link"),
}


def test_every_sensor_has_frame_place_and_rate_of_the_tables(robot: ET.Element) -> None:
    sensors = {sensor.get("name", ""): sensor for sensor in robot.iter("sensor")}
    assert set(sensors) == set(SENSORS)
    mounts = {mount.frame.removesuffix("_link"): mount for mount in MOUNTS}
    for name, sensor in sensors.items():
        kind, topic, frame = SENSORS[name]
        assert sensor.get("type") == kind
        assert sensor.findtext("gz_frame_id") == frame
        assert frame in topic.about
        assert sensor.findtext("update_rate") == topic.rate
        assert sensor.findtext("always_on") == "true"
        assert numbers(sensor, "pose") == [*mounts[name].position, 0.0, 0.0, 0.0]
    camera = sensors["camera_front"]
    fov = numbers(camera, "camera/horizontal_fov")[0]
    assert fov == pytest.approx(math.radians(CAMERA_FOVX), abs=1e-5)
    assert numbers(camera, "camera/image/width") == [WIDTH]
    for name, ranging in (("lidar", LIDAR), ("scan", SCANNER)):
        scan = sensors[name].find("lidar")
        assert scan is not None
        assert numbers(scan, "scan/horizontal/samples") == [720]
        low, high = (numbers(scan, f"scan/horizontal/{end}_angle")[0] for end in ("min", "max"))
        assert low == pytest.approx(-math.pi, abs=1e-5)
        assert (high - low) / 719 == pytest.approx(2 * math.pi / 720, rel=1e-5)
        assert numbers(scan, "range/max") == [ranging.max_range]
        assert numbers(scan, "noise/stddev") == [ranging.noise]
        flags = {
            int(text)
            for visual in robot.iter("visual")
            if (text := visual.findtext("visibility_flags"))
        }
        assert len(flags) == 1
        assert not flags.pop() & int(scan.findtext("visibility_mask", "")), "it would see the robot"
    assert numbers(sensors["lidar"], "lidar/scan/vertical/samples") == [LIDAR.beams]


def test_the_world_steps_and_draws_as_fast_as_two_cores_can(world: ET.Element) -> None:
    (step,) = numbers(world, "physics/max_step_size")
    rates = [element.text for tag in _RATES for element in world.iter(tag)]
    assert len(rates) > 12
    steps = 1.0 / (step * np.array(rates, dtype=float))
    assert steps == pytest.approx(np.round(steps)), "what is due comes with a step, not after it"
    assert steps.min() == pytest.approx(1.0), "no more steps than somebody waits for"
    assert {element.text for element in world.iter("cast_shadows")} == {"false"}
    assert world.findtext("scene/shadows") == "false"


def test_a_world_goes_at_the_pace_that_is_asked_for(scenario: Scenario) -> None:
    world = ET.fromstring(world_sdf(scenario, pace=0.35)).find("world")
    assert world is not None
    assert numbers(world, "physics/real_time_factor") == [0.35]


def test_plugins_are_those_a_server_without_window_has(world: ET.Element) -> None:
    used = {plugin.get("filename") for plugin in world.iter("plugin")}
    assert used == {
        f"gz-sim-{name}-system"
        for name in (
            *("physics", "user-commands", "scene-broadcaster", "sensors", "imu"),
            *("diff-drive", "velocity-control", "pose-publisher"),
        )
    }


def test_the_bridge_carries_every_driver_topic_of_the_table(kept: dict[Path, str]) -> None:
    (text,) = [text for file, text in kept.items() if file.name == "gazebo_bridge.yaml"]
    rows = {row["ros_topic_name"]: row for row in yaml.safe_load(text)}
    for topic in (
        topics.CAMERA_IMAGE,
        topics.CAMERA_INFO,
        topics.LIDAR_POINTS,
        topics.SCAN,
        topics.IMU,
    ):
        row = rows.pop(topic.name)
        assert row["ros_type_name"] == topic.type.replace("/", "/msg/")
        assert row["direction"] == "GZ_TO_ROS"
    for name, row in rows.items():
        assert name.startswith("gazebo/"), "everything else is between the bridge and gazebo_world"
        assert (row["direction"] == "ROS_TO_GZ") == name.endswith("/cmd_vel")


def test_both_ends_of_the_bridge_meet(kept: dict[Path, str], world: ET.Element) -> None:
    (text,) = [text for file, text in kept.items() if file.name == "gazebo_bridge.yaml"]
    rows = yaml.safe_load(text)
    asked = {topic.text for topic in world.iter("topic")} | {
        topic.text for topic in world.iter("odom_topic")
    }
    named_after_models = {
        f"/model/{model.get('name')}/{end}"
        for model in world.iter("model")
        if model.findtext("static") != "true"
        for end in ("pose", "cmd_vel")
    }
    for row in rows:
        name = row["gz_topic_name"]
        beside_a_sensor = name.removesuffix("/points"), name.replace("camera_info", "image_raw")
        if "person_8" in name or "person_7" in name:
            continue  # seeds have six to eight people
        assert name in asked | named_after_models or set(beside_a_sensor) & asked, name


def test_the_description_for_rviz_has_the_frames_of_the_transforms(kept: dict[Path, str]) -> None:
    robot = parsed(kept, "robot.urdf")
    links = {link.get("name") for link in robot.iter("link")}
    assert {"base_link", OPTICAL_FRAME, *(mount.frame for mount in MOUNTS)} <= links
    joints = {joint.find("child").get("link"): joint for joint in robot.iter("joint")}  # type: ignore[union-attr]
    assert set(joints) == links - {"base_link"}, "one tree"
    for mount in MOUNTS:
        origin = joints[mount.frame].find("origin")
        assert origin is not None
        place = [float(word) for word in origin.get("xyz", "").split()]
        assert place == pytest.approx(mount.position)
