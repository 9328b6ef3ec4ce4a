"""What the kernel is asked of a connection of the dashboard, where it can do that."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from contextlib import suppress
from typing import Any

_SIOCOUTQNSD = 0x894B  # linux/sockios.h: bytes in the queue of a socket that were never sent


def bear_losses(end: Any) -> None:
    """Let a socket send on regardless of what is lost (BBR), where the kernel permits that.

    The usual control of congestion, CUBIC, takes each lost packet for a full link: at a loss of 5 %
    it holds small messages back for hundreds of milliseconds, and large ones for ever.
    """
    if sys.platform == "linux":
        with suppress(OSError):  # not every kernel has it, or lets everybody have it
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"bbr")


def unsent(transport: asyncio.WriteTransport) -> int:
    """Return how many bytes have not left this machine once, in the process or in its kernel."""
    left = bytearray(4)
    if sys.platform == "linux":
        from fcntl import ioctl

        ioctl(transport.get_extra_info("socket").fileno(), _SIOCOUTQNSD, left)
    return transport.get_write_buffer_size() + int.from_bytes(left, byteorder=sys.byteorder)


def reset(transport: asyncio.WriteTransport) -> None:
    """End a connection at once: what the kernel still holds is not delivered any more."""
    end = transport.get_extra_info("socket")
    if end is not None:
        with suppress(OSError):  # closed already
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
