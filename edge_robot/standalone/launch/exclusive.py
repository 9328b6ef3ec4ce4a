"""One node of a name on a DDS domain: how a second copy of the stack is noticed before it starts.

The claim is an abstract UNIX socket: it belongs to the kernel's network namespace, which is also
as far as DDS reaches on one machine, needs no file that another user could own, and ends with the
process that holds it, however that dies. Other systems than Linux have none; there a second copy
is not noticed.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from edge_robot.errors import UserError
from edge_robot.standalone.launch.description import Process


def claim_nodes(processes: Iterable[Process]) -> ExitStack:
    """Claim the name of every node for as long as the returned stack is open.

    Raises:
        UserError: a node of that name runs on the same domain of this machine.
    """
    with ExitStack() as claims:
        if sys.platform == "linux":
            for process in processes:
                if process.node is not None:
                    claims.enter_context(_claim(process.node, _domain(process)))
        return claims.pop_all()
    raise AssertionError("unreachable: the stack swallows no exception")


def _domain(process: Process) -> int:
    text = process.environment.get("ROS_DOMAIN_ID") or "0"
    if not text.isdecimal() or int(text) > 232:
        raise UserError(f"ROS_DOMAIN_ID={text} is no DDS domain; set it to a number from 0 to 232")
    return int(text)


def _claim(node: str, domain: int) -> socket.socket:
    address = f"\0edge_robot/domain/{domain}{node}"
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claim.bind(address)
        claim.listen()
    except OSError as error:
        claim.close()
        if error.errno != errno.EADDRINUSE:
            raise
        raise UserError(
            f"a copy of the stack already runs on DDS domain {domain}: node {node} is held by "
            f"{_holder(address)}; stop it, or give this one another domain with ROS_DOMAIN_ID"
        ) from None
    return claim


def _holder(address: str) -> str:
    """Return the process that holds a claim, as text."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(address)
        except OSError:
            return "a process that is just ending"
        credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, _, _ = struct.unpack("3i", credentials)
    try:
        command_line = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return f"process {pid}"
    return f"process {pid} ({command_line.replace(chr(0), ' ').strip()[:80]})"
