"""A scenario as a Gazebo world: hall, racks, things, people and robot, in one SDF file.

Written for Gazebo Harmonic (gz-sim 8, SDF 1.9 to 1.11). Fortress knows the same elements under its
older names: `ignition-gazebo-…-system`, `ignition::gazebo::systems::…` and `ignition_frame_id`.
"""

from __future__ import annotations

import math

import numpy as np

from edge_robot.sim.body import LIMBS, STANDARD_HEIGHT, Shape, limb_poses, limb_shapes
from edge_robot.sim.crowd import RADIUS as PERSON_RADIUS
from edge_robot.sim.crowd import Crowd
from edge_robot.sim.elements import Element, document, element, plugin, text, value, values
from edge_robot.sim.furniture import bay_frame, item_body
from edge_robot.sim.gazebo import names
from edge_robot.sim.gazebo.light import shares
from edge_robot.sim.gazebo.robot import inertial_element, pose_publisher, robot_model
from edge_robot.sim.gazebo.shapes import box, capsule, cylinder, paint, solid, visual
from edge_robot.sim.gazebo.visibility import flags
from edge_robot.sim.layout import Footprint
from edge_robot.sim.robot import RobotPart
from edge_robot.sim.scenario import WALL_HEIGHT, Item, Light, Part, Person, Rack, Rgb, Scenario
from edge_robot.sim.textures import texture

TIME_STEP = 0.01
"""s; the IMU speaks with every step, the wheels with every other."""
PEOPLE_RATE = 25
"""How often Gazebo says where everyone is, Hz."""

_FLOOR, _WALL, _CEILING = range(3)  # indices into Scenario.surfaces
_SLAB = 0.1
_CAPS = 4 / 3  # radii by which a cylinder is longer that is as large as a rod with round ends
_SMALL = 0.06  # m: the second largest half axis of hands, feet and noses is less
_BOXED = 0.8  # half sides of a box about as large as a ball with half axes of 1
_PERSON_MASS = 75.0
_PERSON_LIFT = 0.02  # above the floor, so that people glide over it without friction


def world_sdf(scenario: Scenario, pace: float = 1.0) -> str:
    """Return the world file of a scenario: robot and people stand at their starts.

    Args:
        scenario: What stands, and who walks.
        pace: Simulated seconds in one of the wall, at most.
    """
    colours = [_mean_colour(index, scenario) for index in range(len(scenario.surfaces))]
    world = element(
        "world",
        element(
            "physics",
            *values(max_step_size=TIME_STEP, real_time_factor=pace),
            name="steps",
            type="dart",
        ),
        *_systems(),
        value("gravity", (0, 0, -9.81)),
        *_lighting(scenario.light),
        _hall(scenario, colours),
        *(_rack(rack, colours) for rack in scenario.racks),
        *(_item(item, colours) for item in scenario.items),
        *_people(scenario),
        robot_model(scenario.start, scenario.light),
        name=names.WORLD,
    )
    return document(
        element("sdf", world, version="1.9"),
        f"Seed {scenario.seed}, written by `edge-robot gazebo world`; do not change by hand.",
        flat=("visual", "collision", "inertial"),
    )


def _systems() -> list[Element]:
    """Return the plugins of the world; robot and people bring theirs."""
    plain = {
        "physics": "Physics",
        "user-commands": "UserCommands",
        "scene-broadcaster": "SceneBroadcaster",
        "imu": "Imu",
    }
    sensors = plugin(
        "gz-sim-sensors-system", "gz::sim::systems::Sensors", value("render_engine", "ogre2")
    )
    return [
        *(
            plugin(f"gz-sim-{name}-system", f"gz::sim::systems::{kind}")
            for name, kind in plain.items()
        ),
        sensors,
    ]


def _lighting(light: Light) -> list[Element]:
    """Return the light without a direction, and the lamps."""
    ambient, _, sun = shares(light)
    scene = element(
        "scene",
        *values(ambient=(*ambient, 1.0), background=(0.7, 0.7, 0.7, 1), shadows=False, grid=False),
    )
    lamps = element(
        "light",
        *values(
            cast_shadows=False,
            diffuse=(*sun, 1.0),
            specular=(0, 0, 0, 1),
            direction=light.direction,
        ),
        name="lamps",
        type="directional",
    )
    return [scene, lamps]


def _mean_colour(index: int, scenario: Scenario) -> Rgb:
    """Return the colour a surface has from afar: Gazebo gets no textures, which are files."""
    red, green, blue = (texture(scenario.surfaces[index]).mean(axis=(0, 1)) / 255).tolist()
    return red, green, blue


# --- what stands --------------------------------------------------------------------------------


def _standing(name: str, pose: str, *children: Element) -> Element:
    """Return a model that never moves."""
    link = element("link", *children, name="link")
    return element("model", *values(static=True, pose=pose), link, name=name)


def _on_floor(place: Footprint) -> str:
    return text((place.x, place.y, 0.0, 0.0, 0.0, place.yaw))


def _block(name: str, size: tuple[float, float, float]) -> Element:
    """Return the block that a thing is to whoever bumps into it, standing on the floor."""
    pose = text((0.0, 0.0, size[2] / 2, 0.0, 0.0, 0.0))
    return solid(name, box(size), pose)


def _slab(name: str, size: tuple[float, float, float], z: float, rgb: Rgb) -> Element:
    return visual(
        name,
        box(size),
        text((0.0, 0.0, z, 0.0, 0.0, 0.0)),
        paint(rgb),
        flags(z - size[2] / 2, z + size[2] / 2),
    )


def _hall(scenario: Scenario, colours: list[Rgb]) -> Element:
    """Return floor, ceiling and walls as one model with a link for each."""
    length, width = scenario.size
    middle = text((length / 2, width / 2, 0.0, 0.0, 0.0, 0.0))
    ground = element("plane", *values(normal=(0, 0, 1), size=(length, width)))
    floor = element(
        "link",
        value("pose", middle),
        solid("floor", ground, text((0.0,) * 6)),
        _slab("floor", (length, width, _SLAB), -_SLAB / 2, colours[_FLOOR]),
        _slab("ceiling", (length, width, _SLAB), WALL_HEIGHT + _SLAB / 2, colours[_CEILING]),
        name="floor",
    )
    walls = []
    for wall in scenario.walls:
        size = (wall.length, wall.width, WALL_HEIGHT)
        walls.append(
            element(
                "link",
                value("pose", _on_floor(wall)),
                _block(wall.name, size),
                _slab(wall.name, size, WALL_HEIGHT / 2, colours[_WALL]),
                name=wall.name,
            )
        )
    return element("model", value("static", True), floor, *walls, name="hall")


def _part(name: str, part: Part, colours: list[Rgb], x: float = 0.0) -> Element:
    """Return a part, its bay shifted by x along the rack."""
    px, py, pz = part.position
    if part.kind == "wheel":
        diameter, width, _ = part.size
        shape, roll = cylinder(diameter / 2, width), math.pi / 2
    else:
        shape, roll = box(part.size), 0.0
    surface = (1.0, 1.0, 1.0) if part.surface is None else colours[part.surface]
    red, green, blue = (tint * own for tint, own in zip(part.rgb, surface, strict=True))
    pose = text((px + x, py, pz, roll, 0.0, part.yaw))
    seen = flags(pz - part.size[2] / 2, pz + part.size[2] / 2)
    return visual(name, shape, pose, paint((red, green, blue)), seen)


def _rack(rack: Rack, colours: list[Rgb]) -> Element:
    place = rack.footprint
    parts = [
        _part(f"bay{number}_{index}", part, colours, rack.bays[number - 1].x)
        for number in range(1, len(rack.bays) + 1)
        for index, part in enumerate((*bay_frame(rack, number - 1), *rack.bays[number - 1].goods))
    ]
    block = _block(place.name, (place.length, place.width, rack.height))
    return _standing(place.name, _on_floor(place), block, *parts)


def _item(item: Item, colours: list[Rgb]) -> Element:
    place = item.footprint
    parts = [
        _part(f"part{index}", part, colours)
        for index, part in enumerate((*item_body(item), *item.parts))
    ]
    block = _block(place.name, (place.length, place.width, item.height))
    return _standing(place.name, _on_floor(place), block, *parts)


# --- who walks ----------------------------------------------------------------------------------


def _people(scenario: Scenario) -> list[Element]:
    people = scenario.people
    if not people:
        return []
    crowd = Crowd(scenario)
    # Each in a step of their own, which they keep: in Gazebo people glide.
    at_rest = np.zeros((len(people), 3))
    joints, turns = limb_poses(people, at_rest, crowd.phase, crowd.stride)
    pitches = 2.0 * np.arctan2(turns[..., 2], turns[..., 0])
    return [
        _person(person, place, joint, pitch)
        for person, place, joint, pitch in zip(
            people, crowd.place.tolist(), joints.tolist(), pitches.tolist(), strict=True
        )
    ]


def _person(
    person: Person, place: list[float], joints: list[list[float]], pitches: list[float]
) -> Element:
    """Return a figure that goes where it is told: nothing but commands moves it.

    Args:
        person: Whose figure.
        place: x, y, m, and heading, rad, in the map frame.
        joints: Where each limb of `LIMBS` is joined, m, in the person's frame.
        pitches: How each limb leans, rad.
    """
    scale = person.height / STANDARD_HEIGHT
    length = person.height - _PERSON_LIFT - 2 * PERSON_RADIUS
    middle = text((0.0, 0.0, (person.height + _PERSON_LIFT) / 2, 0.0, 0.0, 0.0))
    body = capsule(PERSON_RADIUS, length)
    shapes = limb_shapes(person)
    link = element(
        "link",
        value("gravity", False),
        _person_inertial(person.height),
        solid(person.name, body, middle, friction=0.0),
        name="body",
    )
    for limb, joint, pitch in zip(LIMBS, joints, pitches, strict=True):
        for index, shape in enumerate(shapes[limb]):
            link.extend(_limb(f"{limb}{index}", shape, joint, pitch, scale))
    x, y, heading = place
    return element(
        "model",
        value("pose", (x, y, 0.0, 0.0, 0.0, heading)),
        link,
        plugin("gz-sim-velocity-control-system", "gz::sim::systems::VelocityControl"),
        pose_publisher(PEOPLE_RATE),
        name=person.name,
    )


def _person_inertial(height: float) -> Element:
    """Return an upright cylinder's inertia."""
    size = (2 * PERSON_RADIUS, 2 * PERSON_RADIUS, height)
    body = RobotPart("body", "cylinder", (0, 0, height / 2), size, (0, 0, 0), mass=_PERSON_MASS)
    return inertial_element(body)


def _limb(name: str, shape: Shape, joint: list[float], pitch: float, scale: float) -> list[Element]:
    """Return the primitives for one of a limb that is joined and leans as given.

    Gazebo makes balls and capsules of thousands of triangles, too many for software to draw: rods
    become cylinders, balls one or two upright cylinders, and what is small a box.
    """
    at = scale * np.array(shape.at)
    if shape.kind == "capsule":
        end = scale * np.array(shape.to)
        centre, way = (at + end) / 2, end - at
        long, radius = float(np.linalg.norm(way)), scale * shape.radius
        # Rods lie in the plane of x and z, or across the body along y.
        across = abs(way[1]) > 0.5 * long
        roll = math.pi / 2 if across else 0.0
        lean = pitch if across else pitch + math.atan2(way[0], way[2])
        drawn, reach = [(centre, cylinder(radius, long + _CAPS * radius))], long / 2 + radius
    else:
        roll, lean = 0.0, pitch
        radii = scale * np.array(shape.to)
        reach = float(radii.max())
        if sorted(radii)[1] < _SMALL:
            drawn = [(at, box((2 * _BOXED * radii).tolist()))]
        else:
            radius = float(radii[:2].min())
            column = cylinder(radius, 2 * _BOXED * float(radii[2]))
            apart = np.array([0.0, float(radii[1]) - radius, 0.0])
            drawn = [(at - apart, column), (at + apart, column)] if apart.any() else [(at, column)]
    cos, sin = math.cos(pitch), math.sin(pitch)
    out = []
    for index, (centre, kind) in enumerate(drawn):
        x = float(joint[0] + cos * centre[0] + sin * centre[2])
        z = float(joint[2] - sin * centre[0] + cos * centre[2])
        pose = text((x, float(joint[1] + centre[1]), z, roll, lean, 0.0))
        seen = flags(z - reach, z + reach)
        out.append(visual(f"{name}_{index}", kind, pose, paint(shape.rgb), seen))
    return out
