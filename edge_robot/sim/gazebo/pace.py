"""How fast Gazebo's world, with the robot in it, can go on a machine.

A world slower than was asked for is too slow for the robot's watchdogs, which stop it. So the pace
is chosen before anything starts, rather too low than too high, and everything lives at it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from edge_robot.sim import egl

PER_CORE = 0.1
"""Real-time factor that each core adds where Gazebo draws on the cores, as seen on two of them."""

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True)
class Suited:
    """A pace that suits a machine.

    Attributes:
        pace: Simulated seconds in one of the wall, above 0 to 1.
        reason: Why that, for people.
    """

    pace: float
    reason: str


def suited(cores: float, gpu: bool) -> Suited:
    """Return the pace for a machine with so many cores to use, and a GPU to draw with or none."""
    if gpu:
        return Suited(1.0, "a GPU draws")
    pace = max(0.01, min(1.0, round(PER_CORE * cores, 2)))
    return Suited(pace, f"no GPU draws, and {cores:g} cores are there to use")


def suited_here() -> Suited:
    """Return the pace for this machine."""
    devices = egl.devices()
    # Gazebo without a window draws with the first.
    gpu = bool(devices) and not devices[0].is_software and devices[0].works()
    return suited(cores_granted(), gpu)


def cores_granted(quota: Path = _QUOTA) -> float:
    """Return how many cores this process may use.

    Args:
        quota: What the container is granted, by the kernel (cgroup v2): microseconds, or max, of
            each period.
    """
    cores = float(len(os.sched_getaffinity(0)))
    try:
        granted, period = quota.read_text().split()
    except OSError:  # no container
        return cores
    return cores if granted == "max" else min(cores, int(granted) / int(period))
