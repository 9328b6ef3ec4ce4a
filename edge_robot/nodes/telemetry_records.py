"""What `fleet_telemetry` writes down of each topic it hears."""

from __future__ import annotations

from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from nav_msgs.msg import Odometry

from edge_robot.control.modes import NAMES
from edge_robot.msg import DeadlineStatus, Event, LinkState, RobotMode
from edge_robot.nodes.conversions import yaw_of

LEVELS = {
    DiagnosticStatus.OK: "ok",
    DiagnosticStatus.WARN: "warn",
    DiagnosticStatus.ERROR: "error",
    DiagnosticStatus.STALE: "stale",
}


def of_event(event: Event) -> dict[str, Any]:
    """Return name and detail."""
    return {"name": event.name, "detail": event.detail}


def of_mode(mode: RobotMode) -> dict[str, Any]:
    """Return the mode, why, and the speed it permits, m/s."""
    name = NAMES.get(mode.mode, str(mode.mode))
    return {"mode": name, "cause": mode.cause, "max_speed": mode.max_speed}


def of_links(link: LinkState) -> dict[str, Any]:
    """Return how the link to each backend is; times in s, bandwidth in bytes/s."""
    return {
        "up": link.up,
        "cause": link.cause,
        "endpoints": [
            {
                "name": item.name,
                "tier": item.tier,
                "up": item.up,
                "breaker": item.breaker,
                "cause": item.cause,
                "rtt_p50": item.rtt_p50,
                "rtt_p95": item.rtt_p95,
                "loss": item.loss,
                "bandwidth": item.bandwidth,
            }
            for item in link.endpoints
        ],
    }


def state_of_links(link: LinkState) -> tuple[Any, ...]:
    """Return what makes a change of the links worth a record."""
    return link.up, tuple((item.name, item.up, item.breaker) for item in link.endpoints)


def of_diagnostic(status: DiagnosticStatus) -> dict[str, Any]:
    """Return a status with its figures."""
    return {
        "name": status.name,
        "level": LEVELS.get(status.level, "unknown"),
        "message": status.message,
        "values": {item.key: item.value for item in status.values},
    }


def of_deadlines(status: DeadlineStatus) -> dict[str, Any]:
    """Return how a stage kept its budget since its last report; times in s."""
    durations = sorted(run.elapsed for run in status.runs)
    return {
        "stage": status.stage,
        "budget": status.budget,
        "runs": len(durations),
        "median": durations[len(durations) // 2] if durations else None,
        "longest": durations[-1] if durations else None,
        "total_runs": status.total_runs,
        "total_missed": status.total_missed,
    }


def of_odometry(odometry: Odometry) -> dict[str, Any]:
    """Return pose (m, rad) in its frame and velocity (m/s, rad/s) in the robot's."""
    pose, twist = odometry.pose.pose, odometry.twist.twist
    return {
        "frame": odometry.header.frame_id,
        "x": pose.position.x,
        "y": pose.position.y,
        "yaw": yaw_of(pose.orientation),
        "vx": twist.linear.x,
        "vy": twist.linear.y,
        "wz": twist.angular.z,
    }
