"""A robot, a router and an operator, each with a network of its own: Linux network namespaces.

The router forwards, or drops all in silence: neither end's link goes down, no socket is closed,
nobody is told. That is what a hole in radio coverage looks like.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

from edge_robot.errors import UserError

ROBOT_ADDRESS = "10.75.1.2"
_OPERATOR_ADDRESS = "10.75.2.2"
_ROBOT_GATEWAY, _OPERATOR_GATEWAY = "10.75.1.1", "10.75.2.1"

_FORWARD = 'while read -r on; do echo "$on" > /proc/sys/net/ipv4/ip_forward && echo done; done'

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


class Network:
    """The three networks; this process's is the robot's, and it must have none yet.

    Attributes:
        operator: What a command is appended to that runs in the operator's network.
    """

    def __init__(self) -> None:
        self._router = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", f"echo done; {_FORWARD}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo done; read -r end"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for process in (self._router, self._holder):
            _await_word(process)
        self.operator = _inside(self._holder)
        router = _inside(self._router)
        _link((), "robot", ROBOT_ADDRESS, router, "to_robot", _ROBOT_GATEWAY)
        _link(
            self.operator, "operator", _OPERATOR_ADDRESS, router, "to_operator", _OPERATOR_GATEWAY
        )
        self.mend()

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *exception: Any) -> None:
        for process in (self._router, self._holder):
            process.communicate()

    def cut(self) -> None:
        """Drop every packet between robot and operator from now on."""
        self._forward(0)

    def mend(self) -> None:
        """Forward again."""
        self._forward(1)

    def _forward(self, on: int) -> None:
        assert self._router.stdin is not None
        self._router.stdin.write(f"{on}\n")
        self._router.stdin.flush()
        _await_word(self._router)


def _inside(process: subprocess.Popen[str]) -> tuple[str, ...]:
    return ("nsenter", "--net", f"--target={process.pid}", "--")


def _await_word(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    if process.stdout.readline().strip() != "done":
        raise RuntimeError("the helper in another network namespace ended")


def _link(
    end: Sequence[str], name: str, address: str, router: Sequence[str], port: str, gateway: str
) -> None:
    """Lay a cable from a network to the router, and send there whatever is not for itself."""

    def ip(where: Sequence[str], text: str) -> None:
        subprocess.run([*where, "ip", *text.split()], check=True)

    at = os.getpid() if not end else int(end[2].partition("=")[2])
    ip(router, f"link add {port} type veth peer name {name} netns {at}")
    ip(router, f"addr add {gateway}/24 dev {port}")
    ip(router, f"link set {port} up")
    ip(end, f"addr add {address}/24 dev {name}")
    ip(end, f"link set {name} up")
    ip(end, "link set lo up")
    ip(end, f"route add default via {gateway}")
