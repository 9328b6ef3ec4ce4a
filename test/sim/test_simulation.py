"""The robot drives as commanded, knows about where it is, and collisions are counted."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest

from edge_robot.sim.layout import Pose2
from edge_robot.sim.robot import COMMAND_TIMEOUT, MAX_ACCELERATION, MAX_SPEED, MAX_YAW_RATE
from edge_robot.sim.scenario import Scenario
from edge_robot.sim.simulation import Simulation

START = Pose2(5.0, 5.0, 0.0)


@pytest.fixture
def hall(empty_hall: Scenario) -> Simulation:
    return Simulation(dataclasses.replace(empty_hall, start=START))


def drive(simulation: Simulation, speed: float, yaw_rate: float, seconds: float) -> None:
    end = simulation.time + seconds
    while simulation.time < end - 1e-9:
        simulation.base.command(speed, yaw_rate, simulation.time)
        if simulation.step():
            simulation.base.odometry(simulation.world.data)


def coast(simulation: Simulation, seconds: float) -> None:
    for _ in range(round(seconds / 0.005)):
        simulation.step()


def test_drives_straight(hall: Simulation) -> None:
    drive(hall, 1.0, 0.0, 5.0)
    pose = hall.robot_pose
    # It lags by half the time it takes to reach the speed.
    assert pose.x == pytest.approx(START.x + 5.0 - 0.5 / MAX_ACCELERATION, abs=0.03)
    assert pose.y == pytest.approx(START.y, abs=0.01)
    assert pose.yaw == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("yaw_rate", [1.0, -2.5])
def test_turns_on_the_spot(hall: Simulation, yaw_rate: float) -> None:
    coast(hall, 0.5)
    drive(hall, 0.0, yaw_rate, 1.0)
    before = hall.robot_pose
    drive(hall, 0.0, yaw_rate, 2.0)
    after = hall.robot_pose
    turned = math.remainder(after.yaw - before.yaw - 2.0 * yaw_rate, 2 * math.pi)
    assert abs(turned) < 0.04 * abs(2.0 * yaw_rate)
    assert math.dist((after.x, after.y), (START.x, START.y)) < 0.02


def test_drives_a_circle_of_the_commanded_radius(hall: Simulation) -> None:
    drive(hall, 0.8, 0.8, 1.0)
    points = []
    for _ in range(30):
        drive(hall, 0.8, 0.8, 0.2)
        points.append((hall.robot_pose.x, hall.robot_pose.y))
    x, y = np.array(points).T
    # Least squares: x² + y² = 2 a x + 2 b y + c.
    a, b, c = np.linalg.lstsq(
        np.column_stack([2 * x, 2 * y, np.ones_like(x)]), x * x + y * y, rcond=None
    )[0]
    assert math.sqrt(c + a * a + b * b) == pytest.approx(1.0, abs=0.06)


def test_limits_what_is_asked_for(hall: Simulation) -> None:
    drive(hall, 50.0, 0.0, 2.0)
    assert hall.base.odometry(hall.world.data).speed == pytest.approx(MAX_SPEED, rel=0.03)
    drive(hall, 0.0, 0.0, 1.5)
    drive(hall, 0.0, -50.0, 2.0)
    assert hall.world.data.qvel[5] == pytest.approx(-MAX_YAW_RATE, rel=0.05)


def test_wheels_stop_when_commands_cease(hall: Simulation) -> None:
    drive(hall, 1.0, 0.0, 2.0)
    moving = hall.robot_pose
    coast(hall, COMMAND_TIMEOUT - 0.01)
    assert np.hypot(*hall.world.data.qvel[:2]) == pytest.approx(1.0, abs=0.05)
    coast(hall, 1.0)
    assert np.hypot(*hall.world.data.qvel[:2]) < 0.01
    way = math.dist((moving.x, moving.y), (hall.robot_pose.x, hall.robot_pose.y))
    assert way == pytest.approx(COMMAND_TIMEOUT + 0.5 / MAX_ACCELERATION, abs=0.05)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_commands_that_are_not_finite_are_refused(hall: Simulation, bad: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        hall.base.command(bad, 0.0, 0.0)


def test_odometry_starts_at_the_start_and_drifts_little(hall: Simulation) -> None:
    assert hall.base.odometry(hall.world.data).pose == START
    for speed, yaw_rate, seconds in ((1.2, 0.0, 8.0), (0.6, 0.9, 3.5)) * 4:
        drive(hall, speed, yaw_rate, seconds)
    odometry, truth = hall.base.odometry(hall.world.data), hall.robot_pose
    assert hall.referee.collided_with == []
    error = math.dist((odometry.pose.x, odometry.pose.y), (truth.x, truth.y))
    assert odometry.distance > 30.0
    assert 0.001 < error < 0.02 * odometry.distance, "exact odometry would be the truth in disguise"
    assert abs(math.remainder(odometry.pose.yaw - truth.yaw, 2 * math.pi)) < 0.05
    assert odometry.yaw_rate == pytest.approx(0.9, abs=0.05)


def test_odometry_is_fooled_by_spinning_wheels(hall: Simulation) -> None:
    """It comes from the encoders: against a wall, the wheels go on turning."""
    hall.world.place_robot(29.6, 8.0, 0.0)
    drive(hall, 1.0, 0.0, 5.0)
    believed = hall.base.odometry(hall.world.data).pose.x - START.x
    assert hall.robot_pose.x < 30.0
    assert believed > 1.0


def test_collisions_are_counted_once_and_named(hall: Simulation) -> None:
    drive(hall, 1.0, 0.0, 1.0)
    assert hall.referee.collided_with == []
    hall.world.place_robot(29.0, 8.0, 0.0)
    drive(hall, 0.5, 0.0, 3.0)
    assert hall.referee.collided_with == ["wall_east"]
    drive(hall, -0.5, 0.0, 2.0)
    drive(hall, 0.5, 0.0, 4.0)
    assert hall.referee.collided_with == ["wall_east", "wall_east"]


def find_front(scenario: Scenario, kind: str) -> tuple[str, Pose2]:
    """Return something of a kind, and a pose 0.4 m before it, looking at it."""
    for place in scenario.footprints:
        for side in range(4):
            yaw = place.yaw + side * math.pi / 2
            half = (place.length if side % 2 == 0 else place.width) / 2
            away = half + 0.25 + 0.4
            pose = Pose2(
                place.x + away * math.cos(yaw), place.y + away * math.sin(yaw), yaw + math.pi
            )
            others = [other for other in scenario.footprints if other is not place]
            here = np.array([pose.x, pose.y])
            if place.kind == kind and all(other.distance(here) > 0.35 for other in others):
                return place.name, pose
    raise AssertionError(f"no free {kind}")


@pytest.mark.parametrize("kind", ["shelf", "box", "pallet"])
def test_driving_into_things_is_a_collision(warehouse: Scenario, kind: str) -> None:
    alone = dataclasses.replace(warehouse, people=())
    name, start = find_front(alone, kind)
    simulation = Simulation(dataclasses.replace(alone, start=start))
    drive(simulation, 0.0, 0.0, 0.5)
    assert simulation.referee.collided_with == []
    drive(simulation, 0.5, 0.0, 2.0)
    assert simulation.referee.collided_with[0] == name


def test_driving_into_a_person_is_a_collision(warehouse: Scenario) -> None:
    person = dataclasses.replace(
        warehouse.people[0], route=((8.0, 5.0), (5.0, 5.0)), start=0.0, speed=0.6
    )
    simulation = Simulation(
        dataclasses.replace(warehouse, racks=(), items=(), people=(person,), start=START)
    )
    drive(simulation, 0.0, 0.0, 4.0)
    assert simulation.referee.collided_with == []  # they halted in front of the robot
    drive(simulation, 0.8, 0.0, 1.5)
    assert simulation.referee.collided_with == [person.name]


def test_same_commands_same_drive(warehouse: Scenario) -> None:
    def ride(scenario: Scenario) -> tuple[Pose2, Pose2, bytes]:
        simulation = Simulation(scenario)
        drive(simulation, 0.5, 0.2, 2.0)
        return (
            simulation.robot_pose,
            simulation.base.odometry(simulation.world.data).pose,
            simulation.world.data.mocap_pos.tobytes(),
        )

    assert ride(warehouse) == ride(warehouse)


@pytest.mark.parametrize("limb", ["head", "sole"])
def test_people_stand_on_the_floor_at_their_height(warehouse: Scenario, limb: str) -> None:
    """Whatever the phase of their gait."""
    simulation = Simulation(warehouse)
    world, count = simulation.world, len(warehouse.people)
    owner: Callable[[str], int] = world.object_names.index
    for phase in np.linspace(0, 2 * math.pi, 8, endpoint=False):
        world.place_people(simulation.crowd.place, np.full(count, phase), np.ones(count))
        simulation.step()
        for person in warehouse.people:
            geoms = np.flatnonzero(
                (world.geom_object == owner(person.name)) & (world.model.geom_group == 1)
            )
            z, radius = world.data.geom_xpos[geoms, 2], world.model.geom_aabb[geoms, 3:].max(axis=1)
            if limb == "head":
                top = float((z + world.model.geom_size[geoms, 2] * 0.7).max())
                assert top == pytest.approx(person.height, abs=0.12)
            else:
                assert float(z.min()) == pytest.approx(0.06, abs=0.06)
                assert float((z - radius).min()) > -0.15
