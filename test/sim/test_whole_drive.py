"""A warehouse can be driven through by a robot that follows a line and halts for people."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge_robot.sim.layout import length
from edge_robot.sim.scenario import Scenario, point_at
from edge_robot.sim.simulation import Simulation

LOOK_AHEAD = 0.5
KEEP_OFF = 1.3


def person_ahead(simulation: Simulation) -> bool:
    pose = simulation.robot_pose
    to_people = simulation.crowd.position - (pose.x, pose.y)
    ahead = to_people @ (math.cos(pose.yaw), math.sin(pose.yaw))
    aside = to_people @ (-math.sin(pose.yaw), math.cos(pose.yaw))
    near = np.hypot(ahead, aside) < KEEP_OFF
    return bool((near & (ahead > 0) & (np.abs(aside) < 0.8)).any())


@pytest.mark.parametrize("seed", [2, 5])
def test_line_follower_arrives_without_touching_anything(seed: int) -> None:
    scenario = Scenario.generate(seed)
    simulation = Simulation(scenario)
    route = np.array(scenario.reference_route)
    line = np.array([point_at(route, s) for s in np.arange(0, length(route), 0.05)])
    reached = 0
    while True:
        pose = simulation.robot_pose
        here = np.array([pose.x, pose.y])
        if math.dist(here, (scenario.goal.x, scenario.goal.y)) < 0.4:
            break
        assert simulation.time < 180.0, "the robot does not get through"
        reached += int(np.hypot(*(line[reached : reached + 40] - here).T).argmin())
        target = line[min(reached + round(LOOK_AHEAD / 0.05), len(line) - 1)]
        bearing = math.atan2(target[1] - pose.y, target[0] - pose.x)
        error = math.remainder(bearing - pose.yaw, 2 * math.pi)
        speed = max(math.cos(error), 0.0) if abs(error) < 0.8 else 0.0
        if person_ahead(simulation):
            speed = error = 0.0
        simulation.base.command(speed, 2 * error, simulation.time)
        while not simulation.step():
            pass
        odometry = simulation.base.odometry(simulation.world.data)
    assert simulation.referee.collided_with == []
    assert math.dist(here, (odometry.pose.x, odometry.pose.y)) < 0.4
