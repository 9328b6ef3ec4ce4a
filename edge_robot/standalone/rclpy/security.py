"""What becomes of ROS 2's wish for DDS security, which this runtime does not have."""

from __future__ import annotations

import os
from functools import cache

from edge_robot.errors import UserError
from edge_robot.standalone.rclpy.logging import get_logger


def check_wish() -> None:
    """Refuse to talk in the open where that is forbidden, and warn where it is merely not wished.

    `ROS_SECURITY_ENABLE` and `ROS_SECURITY_STRATEGY` are read as rcl reads them: only `true` and
    `Enforce`, spelled so, count.

    Raises:
        UserError: security is enabled and enforced.
    """
    if os.environ.get("ROS_SECURITY_ENABLE") != "true":
        return
    lack = "the standalone runtime has no DDS security"
    if os.environ.get("ROS_SECURITY_STRATEGY") == "Enforce":
        raise UserError(
            f"ROS_SECURITY_STRATEGY=Enforce, but {lack}: run this where ROS 2 is installed, or "
            "unset ROS_SECURITY_ENABLE to talk unprotected"
        )
    _warn(
        f"ROS_SECURITY_ENABLE=true, but {lack}: all is sent unprotected, and nodes that enforce "
        "security are not heard"
    )


@cache
def _warn(text: str) -> None:
    """Say it once in the life of the process, however many contexts there are."""
    get_logger("rclpy").warning(text)
