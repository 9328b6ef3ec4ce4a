"""A plain kinematic world for closed-loop tests: boxes, cylinders, walking people, one robot.

People walk to and fro between two points, turn on the spot, and pay no heed to the robot but for
halting when it is right in front of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import cos, hypot, sin

import numpy as np

from edge_robot.control.collision_monitor import DEFAULT_ZONES, Sight, Zone, ZoneMonitor
from edge_robot.control.smoothing import VelocitySmoother
from edge_robot.control.tracking import TrackingGains, track
from edge_robot.planning.costmap import Costmap, RangeScan
from edge_robot.planning.navigator import Navigator
from edge_robot.planning.robot import Footprint, Limits, MovingObjects, State
from edge_robot.planning.trajectory import Trajectory

PERSON_RADIUS = 0.25
RAYS = 360
ANGLES = (np.arange(RAYS) - RAYS / 2) * (2 * np.pi / RAYS)


@dataclass
class Person:
    here: np.ndarray
    there: np.ndarray
    speed: float
    position: np.ndarray = field(init=False)
    velocity: np.ndarray = field(init=False)
    waited: float = 0.0

    def __post_init__(self) -> None:
        self.position = self.here.copy()
        self.velocity = np.zeros(2)

    def step(self, dt: float, robot: State) -> None:
        way = self.there - self.position
        left = max(hypot(*way), 1e-9)
        to_robot = np.array((robot.x, robot.y)) - self.position
        ahead, aside = (
            to_robot @ way / left,
            abs(to_robot[0] * way[1] - to_robot[1] * way[0]) / left,
        )
        if ahead > 0 and aside < PERSON_RADIUS + 0.35 and hypot(*to_robot) < PERSON_RADIUS + 0.8:
            self.velocity = np.zeros(2)
            self.waited += dt
            if self.waited > 4.0:
                self.here, self.there, self.waited = self.there, self.here, 0.0
            return
        if left < self.speed * dt:
            self.here, self.there = self.there, self.here
            return
        self.velocity = way / left * self.speed
        self.position = self.position + self.velocity * dt


@dataclass
class World:
    boxes: np.ndarray  # (n, 4): x0, y0, x1, y1
    cylinders: np.ndarray  # (n, 3): x, y, radius
    people: list[Person]
    robot: State
    goal: tuple[float, float]

    def cast(self, state: State) -> np.ndarray:
        """Ranges along ANGLES from the robot's centre."""
        direction = state.yaw + ANGLES
        ux, uy = np.cos(direction)[:, None], np.sin(direction)[:, None]
        ranges = np.full(RAYS, np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            if len(self.boxes):
                x0, y0, x1, y1 = self.boxes.T
                tx = np.sort([(x0 - state.x) / ux, (x1 - state.x) / ux], axis=0)
                ty = np.sort([(y0 - state.y) / uy, (y1 - state.y) / uy], axis=0)
                enter, leave = np.maximum(tx[0], ty[0]), np.minimum(tx[1], ty[1])
                hit = (enter < leave) & (enter > 0)
                ranges = np.minimum(ranges, np.where(hit, enter, np.inf).min(1))
        circles = [*self.cylinders, *([*p.position, PERSON_RADIUS] for p in self.people)]
        if circles:
            cx, cy, r = np.array(circles).T
            along = (cx - state.x) * ux + (cy - state.y) * uy
            square = r**2 - ((cx - state.x) ** 2 + (cy - state.y) ** 2 - along**2)
            enter = along - np.sqrt(np.maximum(square, 0))
            hit = (square > 0) & (enter > 0)
            ranges = np.minimum(ranges, np.where(hit, enter, np.inf).min(1))
        return np.where(ranges < 12.0, ranges, np.inf)

    def clearance(self, footprint: Footprint) -> tuple[float, float]:
        """Distance from the footprint to the nearest obstacle and the nearest person."""
        half = np.array((footprint.length, footprint.width)) / 2
        c, s = cos(self.robot.yaw), sin(self.robot.yaw)

        def outside(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            dx, dy = x - self.robot.x, y - self.robot.y
            ox, oy = np.abs(dx * c + dy * s) - half[0], np.abs(dy * c - dx * s) - half[1]
            inside = np.minimum(np.maximum(ox, oy), 0)
            return np.hypot(np.maximum(ox, 0), np.maximum(oy, 0)) + inside

        # Between rectangles the shortest way starts at a corner of one of them; the rest of the
        # outline is for overlaps.
        u = np.linspace(-1, 1, 5)
        edges = np.concatenate([np.stack((u, i * np.ones(5)), 1) for i in (-1, 1)])
        outline = np.concatenate((edges, edges[:, ::-1])) * half
        x = self.robot.x + outline[:, 0] * c - outline[:, 1] * s
        y = self.robot.y + outline[:, 0] * s + outline[:, 1] * c
        walls = np.array([1e9])
        if len(self.boxes):
            x0, y0, x1, y1 = (side[:, None] for side in self.boxes.T)
            ox, oy = np.maximum(x0 - x, x - x1), np.maximum(y0 - y, y - y1)
            out = np.hypot(np.maximum(ox, 0), np.maximum(oy, 0)) + np.minimum(np.maximum(ox, oy), 0)
            corners = outside(self.boxes[:, [0, 0, 2, 2]], self.boxes[:, [1, 3, 1, 3]])
            walls = np.concatenate((walls, out.min(1), corners.min(1)))
        if len(self.cylinders):
            walls = np.append(walls, outside(*self.cylinders.T[:2]) - self.cylinders[:, 2])
        people = [float(outside(*p.position)) - PERSON_RADIUS for p in self.people]
        return float(walls.min()), min(people, default=1e9)


def warehouse(seed: int, people: int = 5) -> World:
    """30 × 16 m with two rows of shelves, boxes in the aisles, and people on their way."""
    random = np.random.default_rng(seed)
    boxes = [[0, -0.2, 30, 0], [0, 16, 30, 16.2], [-0.2, 0, 0, 16], [30, 0, 30.2, 16]]
    boxes += [[x, y, x + 8.0, y + 1.0] for x in (4.5, 17.0) for y in (3.2, 7.2, 11.2)]
    start, goal = (1.5, random.uniform(1.5, 14.5)), (28.5, random.uniform(1.5, 14.5))
    while len(boxes) < 22:
        x, y, side = random.uniform(3, 27), random.uniform(0.5, 15.5), random.uniform(0.3, 0.8)
        box = [x, y, x + side, y + side]
        if all(
            box[0] > b[2] + 0.9 or box[2] < b[0] - 0.9 or box[1] > b[3] + 0.9 or box[3] < b[1] - 0.9
            for b in boxes[4:]
        ):
            boxes.append(box)
    array = np.array(boxes)

    def free(point):
        out = np.maximum(array[:, :2] - point, point - array[:, 2:]).max(1)
        return out.min() > 0.4

    walkers = []
    while len(walkers) < people:
        here = random.uniform((3, 0.5), (27, 15.5))
        angle, length = random.uniform(0, 2 * np.pi), random.uniform(3, 9)
        there = here + length * np.array((np.cos(angle), np.sin(angle)))
        line = here + np.linspace(0, 1, 40)[:, None] * (there - here)
        if all(free(p) for p in line) and hypot(*(here - start)) > 2.5:
            walkers.append(Person(here, there, random.uniform(0.6, 1.3)))
    return World(array, np.empty((0, 3)), walkers, State(*start, 0.0), goal)


@dataclass
class Result:
    reached: bool
    seconds: float
    clearance: float
    person_clearance: float
    log: list[tuple]


def drive(
    world: World, seed: int = 0, timeout: float = 90.0, limits: Limits | None = None
) -> Result:
    """Drive to the goal, planner, tracker and monitor in the loop; end at the first contact."""
    limits, footprint = limits or Limits(), Footprint()
    random = np.random.default_rng(seed)
    navigator = Navigator(limits, footprint, Costmap(), seed=seed)
    smoother, gains, corners = VelocitySmoother(), TrackingGains(), footprint.corners
    zones = [Zone.of(name, settings, corners) for name, settings in DEFAULT_ZONES.items()]
    monitor = ZoneMonitor(corners, zones)
    navigator.set_goal(*world.goal, 0.0)
    trajectory = Trajectory.stop(world.robot, limits, 0.1, 30)
    planned_at, points, why = 0.0, np.empty((0, 2)), ""
    tick, result = 0.01, Result(False, 0.0, 1e9, 1e9, [])
    late: list[MovingObjects] = []
    command, reached = (0.0, 0.0), False
    for n in range(round(timeout / tick)):
        now, robot = n * tick, world.robot
        if n % 5 == 0:
            objects = _observe(world, random)
            late.append(objects)
            # Fusion tells where things were 0.1 s ago, moved on to now.
            known = late[-3].after(0.1) if len(late) > 2 else MovingObjects.none()
            ranges = world.cast(robot) + random.normal(0, 0.01, RAYS)
            navigator.see_scan(RangeScan(robot.x, robot.y, robot.yaw, ANGLES, ranges))
            seen = np.isfinite(ranges)
            points = ranges[seen, None] * np.stack((np.cos(ANGLES), np.sin(ANGLES)), 1)[seen]
            navigator.think(now, robot, 1.0)
            persons = np.ones(len(known), bool)
            answer = navigator.decide(now, robot, known, persons, limits.max_speed)
            if answer is not None:
                trajectory, planned_at, why = answer.trajectory, now, answer.why
                reached = answer.goal_reached
            # The answer arrives 20 ms after it was asked for.
        if n % 2 == 0 and n % 5 >= 2:
            v, w = track(trajectory, now - planned_at, robot, gains, limits)
            sight = Sight("scan", points, n % 5 * tick)
            verdict = monitor.check(smoother.towards((v, 0.0, w), 0.02), [sight])
            command = (verdict.velocity[0], verdict.velocity[2])
            if verdict.action.value == "stop":
                smoother.stop()
        v = robot.v + min(max(command[0] - robot.v, -3.0 * tick), 3.0 * tick)
        w = robot.w + min(max(command[1] - robot.w, -8.0 * tick), 8.0 * tick)
        world.robot = State(robot.x, robot.y, robot.yaw, v, w).after(tick)
        for person in world.people:
            person.step(tick, robot)
        wall, body = world.clearance(footprint)
        result.clearance = min(result.clearance, wall)
        result.person_clearance = min(result.person_clearance, body)
        result.seconds = now
        result.log.append((now, *vars(world.robot).values(), *command, wall, body, why))
        if min(wall, body) <= 0:
            return result
        if reached and abs(world.robot.v) < 0.01:
            away = hypot(world.goal[0] - world.robot.x, world.goal[1] - world.robot.y)
            result.reached = away < 0.4
            return result
    return result


def _observe(world: World, random: np.random.Generator) -> MovingObjects:
    """Noisy tracks of the people within 12 m."""
    near = [
        (i, p)
        for i, p in enumerate(world.people)
        if hypot(p.position[0] - world.robot.x, p.position[1] - world.robot.y) < 12
    ]
    if not near:
        return MovingObjects.none()
    count = len(near)
    ids, near = zip(*near, strict=True)
    return MovingObjects(
        np.array(ids),
        np.array([p.position for p in near]) + random.normal(0, 0.05, (count, 2)),
        np.array([p.velocity for p in near]) + random.normal(0, 0.1, (count, 2)),
        np.full((count, 2), PERSON_RADIUS),
        np.zeros(count),
        np.tile(np.diag((0.05, 0.05, 0.1, 0.1)) ** 2, (count, 1, 1)),
    )
