"""A robot, a router and an operator, each with a network of its own: Linux network namespaces.

The router forwards, or drops all in silence: neither end's link goes down, no socket is closed,
nobody is told. That is what a hole in radio coverage looks like.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from edge_robot.errors import UserError

ROBOT_ADDRESS = "10.75.1.2"
_OPERATOR_ADDRESS = "10.75.2.2"
_ROBOT_GATEWAY, _OPERATOR_GATEWAY = "10.75.1.1", "10.75.2.1"

_HOLD = "exec 3> /proc/sys/net/ipv4/ip_forward; echo done; read -r end"

_AS_ROOT = () if os.geteuid() == 0 else ("--map-root-user",)
ALONE = ("unshare", *_AS_ROOT, "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
"""What runs a command in a network of its own; when it ends, all that it started ends with it."""


def check() -> None:
    """Check that networks can be made here.

    Raises:
        UserError: they cannot.
    """
    tools = {"ip": "iproute2", "unshare": "util-linux", "nsenter": "util-linux"}
    for tool, package in tools.items():
        if shutil.which(tool) is None:
            raise UserError(
                f"no program {tool!r} here; install {package}: robot and operator get a network of "
                "their own each"
            )
    tried = subprocess.run([*ALONE, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        raise UserError(
            f"no network namespaces can be made here ({tried.stderr.strip()}); run this as root"
        )


class _Place:
    """A network of its own, held by a shell that waits for its end.

    Attributes:
        pid: Of the shell.
        inside: What a command is appended to that runs there.
    """

    def __init__(self) -> None:
        self._shell = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", _HOLD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._shell.pid
        self.inside = ("nsenter", "--net", f"--target={self.pid}", "--")
        assert self._shell.stdout is not None
        if self._shell.stdout.readline().strip() != "done":
            raise RuntimeError("no network could be made")

    def forward(self, on: bool) -> None:
        """Pass packets on to other networks, or drop them: from now on, no other process asked."""
        # The shell's own descriptor: by its path, the file would be this process's network's.
        with Path(f"/proc/{self.pid}/fd/3").open("w") as file:
            file.write("1" if on else "0")

    def close(self) -> None:
        """End it."""
        self._shell.communicate()


class Network:
    """The three networks; this process's is the robot's, and it must have none yet.

    Attributes:
        operator: What a command is appended to that runs in the operator's network.
    """

    def __init__(self) -> None:
        self._router, self._operator = _Place(), _Place()
        self.operator = self._operator.inside
        self._lay("robot", ROBOT_ADDRESS, _ROBOT_GATEWAY, (), os.getpid())
        self._lay(
            "operator", _OPERATOR_ADDRESS, _OPERATOR_GATEWAY, self.operator, self._operator.pid
        )
        self.mend()

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._router.close()
        self._operator.close()

    def cut(self) -> None:
        """Drop every packet between robot and operator from now on."""
        self._router.forward(False)

    def mend(self) -> None:
        """Forward again."""
        self._router.forward(True)

    def _lay(
        self, name: str, address: str, gateway: str, inside: tuple[str, ...], pid: int
    ) -> None:
        """Lay a cable from the router to another network, whose way to everywhere it becomes."""

        def ip(where: tuple[str, ...], text: str) -> None:
            subprocess.run([*where, "ip", *text.split()], check=True)

        router = self._router.inside
        ip(router, f"link add to_{name} type veth peer name {name} netns {pid}")
        ip(router, f"addr add {gateway}/24 dev to_{name}")
        ip(router, f"link set to_{name} up")
        ip(inside, f"addr add {address}/24 dev {name}")
        ip(inside, f"link set {name} up")
        ip(inside, "link set lo up")
        ip(inside, f"route add default via {gateway}")
