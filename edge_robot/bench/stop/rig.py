"""One robot with its operator, in networks of their own: what `bench stop` lets things happen to.

The process that makes it plays the base, and must be alone in its network.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from edge_robot.bench.certificates import certify
from edge_robot.bench.nursery import Nursery
from edge_robot.bench.stop.base import StopBase
from edge_robot.bench.stop.network import ROBOT_ADDRESS, Network
from edge_robot.bench.stop.operator import Operator
from edge_robot.nodes.urgency import Urgency, claim_priority
from edge_robot.token_file import add_token

NODES = ("mode_manager", "command_mux", "collision_monitor", "dashboard")

# Named, not imported: this process needs none of what they load.
_NODES = "edge_robot.bench.stop.nodes"
_PROTOCOL, _BROWSER = "edge_robot.bench.stop.protocol", "edge_robot.bench.stop.browser"

_PORT = 8080
_START_LIMIT = 20.0  # s


class Rig:
    """A robot, its operator, and the network between them.

    Args:
        base: What the robot drives on.
        nursery: Where its nodes come from.
        network: Between robot and operator.
        operator: Who drives.
        parameters: Of nodes, by node.
        browser: Whether the operator works a real browser.

    Attributes:
        base: As given.
        network: As given.
        operator: As given.
        browser: As given.
        autonomy_drove: Whether autonomy drove the robot before any operator came.
    """

    def __init__(
        self,
        base: StopBase,
        nursery: Nursery,
        network: Network,
        operator: Operator,
        parameters: dict[str, dict[str, str]],
        browser: bool,
    ) -> None:
        self.base = base
        self.network = network
        self.operator = operator
        self.browser = browser
        self.autonomy_drove = False
        self._nursery = nursery
        self._parameters = parameters
        self._pids: dict[str, int] = {}

    def start(self, node: str) -> None:
        """Start a node."""
        parameters = self._parameters.get(node, {})
        self._pids[node] = self._nursery.start("node", name=node, parameters=parameters)

    def kill(self, node: str) -> None:
        """Kill a node: SIGKILL."""
        self._nursery.kill(self._pids[node])

    def signal(self, node: str, number: int) -> None:
        """Send a node a signal."""
        os.kill(self._pids[node], number)

    def begin(self) -> None:
        """Start all nodes, let autonomy drive, and have the operator open the page.

        Raises:
            RuntimeError: the robot does not come to life.
        """
        for node in NODES:
            self.start(node)
        self.autonomy_drove = self.base.until_moving(_START_LIMIT)
        self.connect(_START_LIMIT)

    def connect(self, limit: float) -> None:
        """Have the operator open the page, as often as it takes.

        Raises:
            RuntimeError: it could not for `limit` s.
        """
        until = time.monotonic() + limit
        while True:
            try:
                self.operator.do("connect")
                return
            except RuntimeError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)


@contextmanager
def rig(browser: bool, folder: Path) -> Iterator[Rig]:
    """Set up a robot and its operator; all of it ends with the body.

    Args:
        browser: Whether the operator works a real browser.
        folder: For logs, and what the nodes write.
    """
    tokens, certificate, key = folder / "tokens", folder / "robot.pem", folder / "robot.key"
    certify(certificate, key, ROBOT_ADDRESS)
    environment = {
        **os.environ,
        "EDGE_ROBOT_TOKEN": add_token(tokens, "operator", "admin"),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "OMP_NUM_THREADS": "1",
    }
    os.environ.update(environment)
    dashboard = {
        "host": ROBOT_ADDRESS,
        "port": str(_PORT),
        "tls_cert": str(certificate),
        "tls_key": str(key),
        "tokens": str(tokens),
        "audit_folder": str(folder / "audit"),
    }
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        log = stack.enter_context((folder / "log").open("a"))
        nursery = stack.enter_context(Nursery(_NODES, environment, log))
        module = _BROWSER if browser else _PROTOCOL
        options = {"url": f"https://{ROBOT_ADDRESS}:{_PORT}", "certificate": str(certificate)}
        operator = Operator(network.operator, module, options, environment, log)
        stack.callback(operator.end)
        rclpy.init(args=[])
        stack.callback(rclpy.try_shutdown)
        base = StopBase()
        executor = SingleThreadedExecutor()
        executor.add_node(base)
        spinning = threading.Thread(target=_spin, args=(executor,), daemon=True)
        spinning.start()
        # What a base's firmware does is late on no machine, and neither is what it notes.
        claim_priority(Urgency.CONTROL)
        made = Rig(base, nursery, network, operator, {"dashboard": dashboard}, browser)
        made.begin()
        yield made


def _spin(executor: SingleThreadedExecutor) -> None:
    with suppress(ExternalShutdownException):
        executor.spin()
