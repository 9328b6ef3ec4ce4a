"""Reads a temperature of the machine from Linux's thermal zones."""

from __future__ import annotations

from pathlib import Path

from edge_robot.errors import UserError


def read_temperature(path: Path) -> float:
    """Return the temperature in °C of a file such as `/sys/class/thermal/thermal_zone0/temp`.

    Raises:
        UserError: the file cannot be read, or holds no number of thousandths of a degree.
    """
    try:
        return int(path.read_text()) / 1000.0
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds no whole number"
        raise UserError(
            f"temperature file {path} cannot be used: {reason}; name the 'temp' of a thermal zone "
            "in /sys/class/thermal, or none"
        ) from error
