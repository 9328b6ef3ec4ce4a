"""Where the robot is among the obstacles it has already seen.

Wheels slip, and odometry counts on. A scan is laid over the map of the scans before it: the pose
is moved until the scan's points lie on the map's obstacles, as far as they say more than odometry
does. It is the maximum a posteriori pose under a Gaussian prior from odometry and a robust
likelihood of the distances of the points from the nearest obstacle (a likelihood field: Thrun,
Burgard and Fox, Probabilistic Robotics, 2005, 6.4), found by Gauss–Newton. Directions that the
scan tells nothing about, such as along a corridor, stay as odometry has them.
"""

from __future__ import annotations

from math import cos, sin

import numpy as np
from numpy.typing import NDArray

from edge_robot.planning.costmap import Grid

Pose = tuple[float, float, float]
"""x, y, m, and yaw, rad."""

_ITERATIONS = 5
_SIGMA = 0.05  # m; noise of a range and half a cell of the map
_ROBUST = 0.1  # m; points farther off the map count ever less
_REACH = 0.3  # m; points farther off are new
_FEWEST = 30


def match(field: Grid, points: NDArray[np.float64], guess: Pose, sigma: Pose) -> Pose:
    """Return the pose at which a scan fits the map, and odometry, best.

    Args:
        field: Distance to the nearest obstacle, as `Costmap.distance_field` gives it.
        points: Of the scan, in base_link, (n, 2), m.
        guess: Where odometry takes the robot to be.
        sigma: Standard deviation of that: x, y, m, and yaw, rad.

    Returns:
        The pose; the guess where less than 30 points, or less than half of them, lie near
        anything known.
    """
    prior = np.diag(1.0 / np.square(sigma))
    pose = np.array(guess)
    half = 0.5 * field.resolution
    for _ in range(_ITERATIONS):
        c, s = cos(pose[2]), sin(pose[2])
        dx, dy = points[:, 0] * c - points[:, 1] * s, points[:, 0] * s + points[:, 1] * c
        x, y = pose[0] + dx, pose[1] + dy
        distance = field.interpolated(x, y)
        near = distance < _REACH
        if near.sum() < max(_FEWEST, 0.5 * len(near)):
            return guess
        x, y, dx, dy, distance = x[near], y[near], dx[near], dy[near], distance[near]
        along_x = (field.interpolated(x + half, y) - field.interpolated(x - half, y)) / (2 * half)
        along_y = (field.interpolated(x, y + half) - field.interpolated(x, y - half)) / (2 * half)
        jacobian = np.stack((along_x, along_y, along_y * dx - along_x * dy), 1)
        weight = 1.0 / np.square(1.0 + np.square(distance / _ROBUST))
        weighted = jacobian * (weight / _SIGMA**2)[:, None]
        information = weighted.T @ jacobian + prior
        step = np.linalg.solve(information, weighted.T @ distance + prior @ (pose - guess))
        pose -= step
        if np.abs(step).max() < 1e-4:
            break
    x, y, yaw = pose.tolist()
    return x, y, yaw


def compose(a: Pose, b: Pose) -> Pose:
    """Return the pose that is `b` in the frame of `a`, in the frame of `a`'s own frame."""
    c, s = cos(a[2]), sin(a[2])
    return a[0] + c * b[0] - s * b[1], a[1] + s * b[0] + c * b[1], a[2] + b[2]


def inverse(a: Pose) -> Pose:
    """Return the frame that a pose is given in, seen from that pose."""
    c, s = cos(a[2]), sin(a[2])
    return -c * a[0] - s * a[1], s * a[0] - c * a[1], -a[2]
