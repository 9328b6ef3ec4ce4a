"""Builds the MuJoCo model of a scenario and knows what each of its geoms is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.sim import textures
from edge_robot.sim.body import LIMBS, STANDARD_HEIGHT, Shape, limb_poses, limb_shapes
from edge_robot.sim.crowd import RADIUS as PERSON_RADIUS
from edge_robot.sim.crowd import Crowd
from edge_robot.sim.furniture import bay_frame, item_body
from edge_robot.sim.gl import mujoco
from edge_robot.sim.layout import Footprint
from edge_robot.sim.robot import robot_mjcf
from edge_robot.sim.scenario import (
    WALL_HEIGHT,
    Item,
    Part,
    Person,
    Rack,
    Rgb,
    Scenario,
)

Array = NDArray[np.float64]

CLASSES = ("background", "person", "box", "shelf", "pallet", "forklift", "goods", "robot")
"""Class names; `World.geom_class` holds indices into it. "goods" lie on shelves, a "box" stands
on the floor or on a pallet."""

TIME_STEP = 0.005

SOLID_GROUP = 0  # what stands; seen by camera and lidar
PEOPLE_GROUP = 1  # seen by camera and lidar
ROBOT_GROUP = 3  # seen by the camera only: a robot's lidar does not see the robot
COLLISION_GROUP = 4  # seen by nothing

_FLOOR_TILE = 3.0  # m per repetition of the texture
_WALL_TILE = 2.0


@dataclass(frozen=True)
class World:
    """A scenario in MuJoCo.

    Attributes:
        scenario: What it was built from.
        model: The compiled model.
        data: Its state; robot and people stand at their starts.
        geom_class: Index into `CLASSES` for every geom, shape (ngeom,).
        geom_object: Index into `object_names` for every geom, -1 for floor and ceiling,
            shape (ngeom,).
        object_names: Name of every object. Each bay of a rack is an object of its own.
    """

    scenario: Scenario
    model: mujoco.MjModel
    data: mujoco.MjData
    geom_class: NDArray[np.int32]
    geom_object: NDArray[np.int32]
    object_names: tuple[str, ...]

    def place_robot(self, x: float, y: float, yaw: float) -> None:
        """Put the robot down at rest, map frame, m and rad."""
        self.data.qpos[:] = 0.0
        self.data.qpos[:7] = (x, y, 0.0, math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2))
        self.data.qvel[:] = 0.0
        mujoco.mj_forward(self.model, self.data)

    def people_positions(self, data: mujoco.MjData) -> Array:
        """Return where everyone stands in a state, shape (n, 2), m, map frame."""
        return data.mocap_pos[:: 1 + len(LIMBS), :2]

    def place_people(self, place: Array, phase: Array, stride: Array) -> None:
        """Pose all people; takes effect with the next `mj_step` or `mj_forward`.

        Args:
            place: x, y and heading of each, shape (n, 3), m and rad, map frame.
            phase: Phase of the gait, shape (n,), rad.
            stride: Size of the steps, 0 standing to 1 walking briskly, shape (n,).
        """
        people = self.scenario.people
        if not people:
            return
        position, quaternion = limb_poses(people, place, phase, stride)
        # Mocap bodies were written person by person: the collision body, then the limbs.
        each = (len(people), 1 + len(LIMBS))
        mocap_pos = self.data.mocap_pos.reshape(*each, 3)
        mocap_pos[:, 0, :2] = place[:, :2]
        mocap_pos[:, 1:] = position
        self.data.mocap_quat.reshape(*each, 4)[:, 1:] = quaternion


def build_world(scenario: Scenario) -> World:
    """Compile a scenario; the robot stands at its start, the people at theirs."""
    writer = _Writer(scenario)
    model = mujoco.MjModel.from_xml_string(writer.mjcf())
    _paint(model, scenario)
    labels = np.array([writer.labels[model.geom(i).name] for i in range(model.ngeom)], np.int32)
    world = World(
        scenario=scenario,
        model=model,
        data=mujoco.MjData(model),
        geom_class=labels[:, 0],
        geom_object=labels[:, 1],
        object_names=tuple(writer.object_names),
    )
    crowd = Crowd(scenario)
    world.place_people(crowd.place, crowd.phase, crowd.stride)
    world.place_robot(scenario.start.x, scenario.start.y, scenario.start.yaw)
    return world


def _paint(model: mujoco.MjModel, scenario: Scenario) -> None:
    """Put the procedural patterns into the textures the model has reserved."""
    for index, surface in enumerate(scenario.surfaces):
        texture = model.texture(f"surface_{index}")
        pattern = textures.texture(surface)
        faces = int(texture.height[0]) // textures.SIZE
        start = int(texture.adr[0])
        model.tex_data[start : start + faces * pattern.size] = np.tile(pattern.ravel(), faces)


class _Writer:
    """Writes a scenario as MJCF and remembers what each geom belongs to."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._count = 0
        self.labels: dict[str, tuple[int, int]] = {}
        self.object_names: list[str] = []

    def mjcf(self) -> str:
        """Return the whole model."""
        scenario = self._scenario
        light = scenario.light
        body, machinery = self._robot()
        parts = [self._hall()]
        parts += [self._rack(rack) for rack in scenario.racks]
        parts += [self._item(item) for item in scenario.items]
        parts += [self._person(person) for person in scenario.people]
        centre = (scenario.size[0] / 2, scenario.size[1] / 2, 1.0)
        return f"""
<mujoco>
  <compiler angle="radian" autolimits="true"/>
  <option timestep="{TIME_STEP}" integrator="implicitfast" cone="elliptic" impratio="10"/>
  <statistic extent="20" center="{_text(centre)}"/>
  <visual>
    <quality shadowsize="0" offsamples="0" numslices="14" numstacks="8" numquads="1"/>
    <map znear="0.0025" zfar="3"/>
    <headlight ambient="{_text(light.ambient)}" diffuse="{_text(light.headlight)}"
      specular="0 0 0"/>
  </visual>
  <asset>{"".join(_material(i, s.kind) for i, s in enumerate(scenario.surfaces))}</asset>
  <worldbody>
    <light type="directional" dir="{_text(light.direction)}" diffuse="{_text(light.sun)}"
      ambient="0 0 0" specular="0 0 0" castshadow="false"/>
    {"".join(parts)}
    {body}
  </worldbody>
  {machinery}
</mujoco>"""

    def _object(self, name: str) -> int:
        self.object_names.append(name)
        return len(self.object_names) - 1

    def _geom(
        self,
        label: tuple[str, int],
        shape: str,
        rgb: Rgb = (1.0, 1.0, 1.0),
        *,
        surface: int | None = None,
        solid: bool = False,
        group: int = SOLID_GROUP,
    ) -> str:
        """Write one geom; without `solid` nothing collides with it."""
        name = f"geom_{self._count}"
        self._count += 1
        self.labels[name] = (CLASSES.index(label[0]), label[1])
        material = "" if surface is None else f' material="surface_{surface}"'
        return (
            f'<geom name="{name}" {shape} rgba="{_text(rgb)} 1"{material} group="{group}"'
            f' contype="{int(solid)}" conaffinity="0"/>'
        )

    def _part(self, label: tuple[str, int], part: Part) -> str:
        half = tuple(0.5 * extent for extent in part.size)
        if part.kind == "wheel":
            radius, width, _ = half
            kind = f'type="cylinder" size="{radius:g} {width:g}" zaxis="0 1 0"'
        else:
            kind = f'type="box" size="{_text(half)}" euler="0 0 {part.yaw:g}"'
        shape = f'{kind} pos="{_text(part.position)}"'
        return self._geom(label, shape, part.rgb, surface=part.surface)

    def _robot(self) -> tuple[str, str]:
        body, machinery, names = robot_mjcf(ROBOT_GROUP)
        label = (CLASSES.index("robot"), self._object("robot"))
        self.labels.update(dict.fromkeys(names, label))
        return body, machinery

    def _solid(self, label: tuple[str, int], place: Footprint, height: float) -> str:
        """Write the invisible block things collide with."""
        shape = (
            f'type="box" pos="{place.x} {place.y} {height / 2}" euler="0 0 {place.yaw}"'
            f' size="{place.length / 2} {place.width / 2} {height / 2}"'
        )
        return self._geom(label, shape, solid=True, group=COLLISION_GROUP)

    def _hall(self) -> str:
        """Floor, ceiling, and walls that are drawn as planes and collide as blocks."""
        x, y = self._scenario.size
        z = WALL_HEIGHT
        floor = ("background", -1)
        out = [
            self._geom(
                floor,
                f'type="plane" pos="{x / 2} {y / 2} 0" size="{x / 2} {y / 2} 1"',
                surface=0,
                solid=True,
            ),
            self._geom(
                floor,
                f'type="plane" pos="{x / 2} {y / 2} {z}" size="{x / 2} {y / 2} 1" zaxis="0 0 -1"',
                surface=2,
            ),
        ]
        inward = {"wall_south": (0, 1), "wall_north": (0, -1), "wall_west": (1, 0)}
        for wall in self._scenario.walls:
            nx, ny = inward.get(wall.name, (-1, 0))
            label = ("background", self._object(wall.name))
            thick = min(wall.length, wall.width)
            long = max(wall.length, wall.width)
            shape = (
                f'type="plane" pos="{wall.x + nx * thick / 2} {wall.y + ny * thick / 2} {z / 2}"'
                f' size="{long / 2} {z / 2} 1" xyaxes="{-ny} {nx} 0 0 0 1"'
            )
            out.append(self._geom(label, shape, surface=1))
            out.append(self._solid(label, wall, z))
        return "".join(out)

    def _rack(self, rack: Rack) -> str:
        place = rack.footprint
        bays = [self._bay(rack, number) for number in range(len(rack.bays))]
        label = ("shelf", self._object(place.name))
        size = f"{place.length / 2} {place.width / 2} {rack.height / 2}"
        shape = f'type="box" pos="0 0 {rack.height / 2}" size="{size}"'
        solid = self._geom(label, shape, solid=True, group=COLLISION_GROUP)
        return _body(place, [solid, *bays])

    def _bay(self, rack: Rack, number: int) -> str:
        """One bay, as bodies of its own: rays skip a body that is not in their direction."""
        bay = rack.bays[number]
        label = ("shelf", self._object(f"{rack.footprint.name}_bay{number + 1}"))
        frame = [self._part(label, part) for part in bay_frame(rack, number)]
        goods = [self._part(("goods", label[1]), part) for part in bay.goods]
        return f'<frame pos="{bay.x} 0 0">{"".join(frame + goods)}</frame>'

    def _item(self, item: Item) -> str:
        place = item.footprint
        label = (place.kind, self._object(place.name))
        out = [self._part(label, part) for part in item_body(item)]
        load = label
        if place.kind == "pallet" and item.parts:
            load = ("box", self._object(f"{place.name}_load"))
        out += [self._part(load, part) for part in item.parts]
        size = f"{place.length / 2} {place.width / 2} {item.height / 2}"
        shape = f'type="box" pos="0 0 {item.height / 2}" size="{size}"'
        out.append(self._geom(label, shape, solid=True, group=COLLISION_GROUP))
        return _body(place, out)

    def _person(self, person: Person) -> str:
        label = ("person", self._object(person.name))
        scale = person.height / STANDARD_HEIGHT
        top = person.height - PERSON_RADIUS
        shape = f'type="capsule" size="{PERSON_RADIUS}" fromto="0 0 {PERSON_RADIUS} 0 0 {top}"'
        solid = self._geom(label, shape, solid=True, group=COLLISION_GROUP)
        shapes = limb_shapes(person)
        out = [f'<body name="{person.name}" mocap="true">{solid}</body>']
        for limb in LIMBS:
            drawn = "".join(
                self._geom(label, _primitive(shape, scale), shape.rgb, group=PEOPLE_GROUP)
                for shape in shapes[limb]
            )
            out.append(f'<body name="{person.name}_{limb}" mocap="true">{drawn}</body>')
        return "".join(out)


def _material(index: int, kind: str) -> str:
    """Reserve the texture of a surface: flat ones for the hall, cubes for boxes."""
    flat = index < 3
    tile = _FLOOR_TILE if index != 1 else _WALL_TILE
    # MuJoCo counts repetitions per two metres.
    repeat = f'texrepeat="{2 / tile} {2 / tile}" texuniform="true"' if flat else ""
    height = textures.SIZE * (1 if flat else 6)
    return (
        f'<texture name="surface_{index}" type="{"2d" if flat else "cube"}" builtin="flat"'
        f' width="{textures.SIZE}" height="{height}"/>'
        f'<material name="surface_{index}" texture="surface_{index}" {repeat} specular="0"'
        f' shininess="0"/>'
    )


def _body(place: Footprint, geoms: list[str]) -> str:
    return (
        f'<body name="{place.name}" pos="{place.x} {place.y} 0" euler="0 0 {place.yaw}">'
        f"{''.join(geoms)}</body>"
    )


def _primitive(shape: Shape, scale: float) -> str:
    at = tuple(scale * value for value in shape.at)
    to = tuple(scale * value for value in shape.to)
    if shape.kind == "ellipsoid":
        return f'type="ellipsoid" pos="{_text(at)}" size="{_text(to)}"'
    return f'type="capsule" size="{scale * shape.radius}" fromto="{_text(at)} {_text(to)}"'


def _text(values: Sequence[float]) -> str:
    return " ".join(f"{value:.6g}" for value in values)
