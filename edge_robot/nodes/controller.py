"""Follows the newest trajectory at 50 Hz: `TRAJECTORY`, `ODOM`, `MODE` → `CMD_VEL_NAV`."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time as TimeMsg
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType

from edge_robot import stages, topics
from edge_robot.control.commands import Velocity
from edge_robot.control.inputs import Input, Severity
from edge_robot.control.modes import AUTONOMOUS
from edge_robot.control.pace import Pace, trusted_share
from edge_robot.control.smoothing import SmoothingLimits, VelocitySmoother
from edge_robot.control.tracking import TrackingGains, track
from edge_robot.msg import RobotMode, Trajectory
from edge_robot.nodes.contract_watch import ContractWatch
from edge_robot.nodes.conversions import nanoseconds, seconds, stamp_from_nanoseconds, yaw_of
from edge_robot.nodes.deadline_reporter import DeadlineReporter
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.steady import steady_seconds
from edge_robot.nodes.unhurried import unhurried
from edge_robot.nodes.urgency import Urgency
from edge_robot.planning.robot import Limits, State
from edge_robot.planning.trajectory import Trajectory as PlannedTrajectory

_PERIOD = 0.02  # s
_LONGEST_ODOMETRY_AGE = 0.3  # s; from there on the mode is a controlled stop anyway
_CLOCK_TOLERANCE = 0.1  # s; what is stamped later than that from now is of another time


class Controller(ManagedNode):
    """Commands what trajectory and mode ask for now; explicit zeros without either."""

    def __init__(self) -> None:
        super().__init__("controller")
        self._validity = self.parameter(
            "trajectory_validity",
            topics.TRAJECTORY_VALIDITY,
            "time from the start of a trajectory for which it is followed, s",
            ge=0.0,
            le=60.0,
        )
        self._fresh = self.parameter(
            "trajectory_fresh",
            0.15,
            "time from its start from which a trajectory is followed ever slower, s",
            ge=0.0,
            le=60.0,
        )
        self._limits = self.settings(Limits())
        self._gains = self.settings(TrackingGains())
        self._smoothing = self.settings(SmoothingLimits())

    def activate(self) -> None:
        """Listen, and command 50 times a second; what was heard before counts for nothing."""
        self._trajectory: PlannedTrajectory | None = None
        self._pace = Pace()
        self._start = 0  # ns, time of the trajectory's first point
        self._capture_stamp = TimeMsg()
        self._heard = -np.inf
        self._odometry: tuple[float, State] | None = None
        self._mode: RobotMode | None = None
        # A mode that nobody upholds any more is none.
        self._mode_life = Input(
            topics.MODE.name, Severity.LOST, Severity.LOST, topics.MODE.deadline
        )
        self._mode_watch = ContractWatch(
            self, topics.MODE, self._mode_life, self._on_mode, self._stop_if_forbidden, idle=False
        )
        self._smoother = VelocitySmoother(self._smoothing.value)
        self._last_stamp = 0
        self._last_tick = steady_seconds()
        self._reporter = DeadlineReporter(self, stages.CONTROL)
        for kind, topic, callback in (
            (Trajectory, topics.TRAJECTORY, self._on_trajectory),
            (Odometry, topics.ODOM, self._on_odometry),
        ):
            newest = qos_profile(topic)
            newest.depth = 1
            unhurried(self.create_subscription(kind, topic.name, callback, newest))
        self._publisher = self.create_publisher(
            TwistStamped, topics.CMD_VEL_NAV.name, qos_profile(topics.CMD_VEL_NAV)
        )
        self.create_timer(_PERIOD, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def reconfigure(self) -> None:
        """Let the next command change within the new limits."""
        if self.is_active:
            self._smoother.limits = self._smoothing.value

    def farewell(self) -> None:
        """Command zero, so that nobody goes on by the last command until it is too old."""
        self._publish(self._smoother.stop(), self.get_clock().now().nanoseconds)

    def _on_odometry(self, message: Odometry) -> None:
        pose, twist = message.pose.pose, message.twist.twist
        yaw = yaw_of(pose.orientation)
        state = State(pose.position.x, pose.position.y, yaw, twist.linear.x, twist.angular.z)
        if not all(map(isfinite, (state.x, state.y, state.yaw, state.v, state.w))):
            self.get_logger().error(
                "odometry that is not finite is left out", throttle_duration_sec=5.0
            )
            return
        self._odometry = (seconds(message.header.stamp), state)

    def _on_mode(self, message: RobotMode) -> None:
        self._mode = message
        self._mode_life.heard(steady_seconds())
        self._stop_if_forbidden()

    def _on_trajectory(self, message: Trajectory) -> None:
        rows = [(p.time_from_start, p.x, p.y, p.yaw, p.v, p.w) for p in message.points]
        points = np.array(rows, float).reshape(-1, 6)
        if (
            len(points) < 2
            or not np.isfinite(points).all()
            or not (np.diff(points[:, 0]) > 0).all()
        ):
            self.get_logger().error(
                "a trajectory that is not finite, or whose times do not increase, is left out",
                throttle_duration_sec=5.0,
            )
            return
        self._heard = steady_seconds()
        self._start = nanoseconds(message.header.stamp)
        self._capture_stamp = message.capture_stamp
        self._trajectory = PlannedTrajectory(*points.T)
        self._pace = Pace()

    def _tick(self) -> None:
        tick = steady_seconds()
        # After a pause of the process the command may still only change as in one period or two.
        elapsed, self._last_tick = min(tick - self._last_tick, 2 * _PERIOD), tick
        trajectory = self._current(tick)
        capture_stamp = TimeMsg() if trajectory is None else self._capture_stamp
        with self._reporter.measure(capture_stamp) as stage_run:
            now = self.get_clock().now().nanoseconds
            limit = self._permitted(tick)
            if limit is None:
                velocity = self._smoother.stop()
            elif trajectory is None:
                velocity = self._smoother.towards((0.0, 0.0, 0.0), elapsed)
            else:
                v, w = self._follow(trajectory, now, limit, elapsed)
                velocity = self._smoother.towards((v, 0.0, w), elapsed)
            stage_run.output_stamp = self._publish(velocity, now)

    def _stop_if_forbidden(self) -> None:
        """Say zero without waiting for the next period."""
        if any(self._smoother.velocity) and self._permitted(steady_seconds()) is None:
            self._tick()

    def _permitted(self, tick: float) -> float | None:
        """Return the speed that the mode permits, m/s; None where autonomy may not move."""
        mode = self._mode
        if mode is None or mode.mode not in AUTONOMOUS or not np.isfinite(mode.max_speed):
            return None
        return float(mode.max_speed) if self._mode_life.verdict(tick) is None else None

    def _current(self, tick: float) -> PlannedTrajectory | None:
        """Return the trajectory if it is still valid and odometry is fresh, else None."""
        now = self.get_clock().now().nanoseconds
        if self._odometry is None or tick - self._heard > self._validity.value:
            return None
        since_start = (now - self._start) * 1e-9
        since_odometry = now * 1e-9 - self._odometry[0]
        valid = -_CLOCK_TOLERANCE < since_start < self._validity.value
        fresh = -_CLOCK_TOLERANCE < since_odometry < _LONGEST_ODOMETRY_AGE
        return self._trajectory if valid and fresh else None

    def _follow(
        self, trajectory: PlannedTrajectory, now: int, limit: float, elapsed: float
    ) -> tuple[float, float]:
        assert self._odometry is not None
        stamp, state = self._odometry
        state = state.after(max(0.0, now * 1e-9 - stamp))
        age = (now - self._start) * 1e-9
        time = age - self._pace.lag
        gains = self._gains.value
        trusted = trusted_share(age, self._fresh.value, self._validity.value)
        planned = trajectory.at(time + gains.latency).v
        factor = self._pace.step(planned, limit, trusted, elapsed)
        v, w = track(trajectory, time, state, gains, self._limits.value)
        if abs(factor * v) > limit:  # what feedback adds is bounded, too
            factor = limit / abs(v)
        return factor * v, factor * w

    def _publish(self, velocity: Velocity, now: int) -> Any:
        # The stamp is a command's identity all the way to the wheels: no two may be equal.
        self._last_stamp = max(now, self._last_stamp + 1)
        command = TwistStamped()
        command.header.stamp = stamp_from_nanoseconds(self._last_stamp)
        command.header.frame_id = "base_link"
        command.twist.linear.x, command.twist.linear.y, command.twist.angular.z = velocity
        self._publisher.publish(command)
        return command.header.stamp


def main() -> None:
    """Run the node."""
    run(Controller, Urgency.CONTROL)


if __name__ == "__main__":
    main()
