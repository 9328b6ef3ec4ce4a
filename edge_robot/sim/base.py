"""What the firmware of a mobile base does: obeys velocities, limits them, and reports odometry."""

from __future__ import annotations

import math

import numpy as np

from edge_robot.sim.gl import mujoco
from edge_robot.sim.layout import Pose2
from edge_robot.sim.odometry import Odometry
from edge_robot.sim.robot import (
    COMMAND_TIMEOUT,
    MAX_ACCELERATION,
    MAX_SPEED,
    MAX_YAW_ACCELERATION,
    MAX_YAW_RATE,
    TRACK,
    WHEEL_RADIUS,
)
from edge_robot.sim.sensors import GYRO_NOISE

_ENCODER_TICKS = 8192  # per turn of a wheel
_RADIUS_ERROR = 0.002  # of the calibrated wheel radius, standard deviation, relative
_GYRO_BIAS = 0.0001  # standard deviation of what calibration leaves, rad/s


class Base:
    """Drives the wheels of the simulated robot and reads its encoders and gyro.

    Args:
        model: The world's model.
        start: Where the odometry begins.
        seed: Seed of the sensors' errors.

    Attributes:
        timed_out: Whether the wheels are stopped because commands fail to come.
    """

    def __init__(self, model: mujoco.MjModel, start: Pose2, seed: int) -> None:
        self._rng = np.random.default_rng((seed, 0x0D0))
        self._dt = float(model.opt.timestep)
        self._wheels = [int(model.joint(f"{side}_wheel").qposadr[0]) for side in ("left", "right")]
        self._actuators = [model.actuator(f"{side}_wheel").id for side in ("left", "right")]
        self._gyro = int(model.sensor("gyro").adr[0]) + 2
        self._radius = WHEEL_RADIUS * (1 + _RADIUS_ERROR * self._rng.normal(size=2))
        self._bias = _GYRO_BIAS * self._rng.normal()
        self.timed_out = True
        self._command = (0.0, 0.0, -math.inf)  # one tuple, so that threads see it whole
        self._speed = self._yaw_rate = 0.0
        self._ticks = np.zeros(2)
        self._turned = 0.0
        self._sampled = 0
        self._odometry = Odometry(start)

    def command(self, speed: float, yaw_rate: float, now: float) -> None:
        """Ask for a velocity; it holds for `COMMAND_TIMEOUT` and is clipped to the limits.

        Args:
            speed: Forward, m/s.
            yaw_rate: Counter-clockwise, rad/s.
            now: Simulated time, s.

        Raises:
            ValueError: the velocity is not finite; the command is not taken.
        """
        if not (math.isfinite(speed) and math.isfinite(yaw_rate)):
            raise ValueError(f"velocity command ({speed}, {yaw_rate}) is not finite")
        self._command = (
            min(max(speed, -MAX_SPEED), MAX_SPEED),
            min(max(yaw_rate, -MAX_YAW_RATE), MAX_YAW_RATE),
            now,
        )

    def drive(self, data: mujoco.MjData) -> None:
        """Set the wheel actuators for the next step."""
        speed, yaw_rate, given_at = self._command
        self.timed_out = data.time - given_at >= COMMAND_TIMEOUT
        if self.timed_out:
            speed = yaw_rate = 0.0
        self._speed = _approach(self._speed, speed, MAX_ACCELERATION * self._dt)
        self._yaw_rate = _approach(self._yaw_rate, yaw_rate, MAX_YAW_ACCELERATION * self._dt)
        half = 0.5 * TRACK * self._yaw_rate
        left, right = self._actuators
        data.ctrl[left] = (self._speed - half) / WHEEL_RADIUS
        data.ctrl[right] = (self._speed + half) / WHEEL_RADIUS

    def sense(self, data: mujoco.MjData) -> None:
        """Sample the gyro after a step."""
        rate = data.sensordata[self._gyro] + self._bias + GYRO_NOISE * self._rng.normal()
        self._turned += float(rate) * self._dt
        self._sampled += 1

    def odometry(self, data: mujoco.MjData) -> Odometry:
        """Read the encoders, advance the odometry by all since the last call, and return it."""
        if self._sampled == 0:
            return self._odometry
        ticks = np.floor(data.qpos[self._wheels] * (_ENCODER_TICKS / (2 * math.pi)))
        turns = (ticks - self._ticks) * (2 * math.pi / _ENCODER_TICKS)
        self._ticks = ticks
        step = float((turns * self._radius).mean())
        self._odometry = self._odometry.advanced(step, self._turned, self._sampled * self._dt)
        self._turned, self._sampled = 0.0, 0
        return self._odometry


def _approach(value: float, target: float, limit: float) -> float:
    return value + min(max(target - value, -limit), limit)
