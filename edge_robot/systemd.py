"""What a service of systemd tells its manager: sd_notify(3) without libsystemd."""

from __future__ import annotations

import os
import socket

from edge_robot.errors import UserError


def notify(state: str) -> None:
    """Send a state such as `READY=1` or `WATCHDOG=1`; several are separated by line feeds.

    systemd hears a process that is not the unit's main process only with `NotifyAccess=all`.

    Raises:
        UserError: nobody is there to be told, or the message could not be delivered at once: a
            manager that does not read must not hold up who tells it that all is well.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        raise UserError(
            "NOTIFY_SOCKET names no socket: start this in a unit of systemd with Type=notify and "
            "NotifyAccess=all, as deploy/systemd has it"
        )
    name = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.setblocking(False)
        try:
            sender.sendto(state.encode(), name)
        except OSError as error:
            raise UserError(f"systemd does not listen on {address}: {error.strerror}") from error


def watchdog_time() -> float | None:
    """Return the silence after which systemd takes the unit for dead, s; None for never.

    WATCHDOG_PID, which is the unit's main process, is not asked: of a launch, one process speaks
    for all.

    Raises:
        UserError: WATCHDOG_USEC is no positive number.
    """
    text = os.environ.get("WATCHDOG_USEC")
    if text is None:
        return None
    if not text.isdecimal() or int(text) == 0:
        raise UserError(f"WATCHDOG_USEC={text!r} is no time in microseconds; systemd sets it")
    return int(text) * 1e-6
