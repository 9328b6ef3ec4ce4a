"""How every node of the stack is started, spun and stopped."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType

import rclpy
from rcl_interfaces.msg import ParameterDescriptor
from rclpy._rclpy_pybind11 import RCLError
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from edge_robot.errors import UserError
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.spinning import spin
from edge_robot.nodes.urgency import Urgency, claim_priority, keep_to, settle_memory


def run(make_node: Callable[[], Node], urgency: Urgency = Urgency.ORDINARY) -> None:
    """Create one node, spin it until shutdown, and leave cleanly.

    Args:
        make_node: Creates it, after `rclpy.init`.
        urgency: Whether it goes before other work of the machine.

    A `UserError` (in the constructor, a callback or `destroy_node`), a parameter of the wrong
    type or out of range, and an unknown parameter are printed as one line and end the process
    with status 2; SIGINT and SIGTERM end it with status 0.

    Parameter `cpus` (text, read-only): the processors that it keeps to, `2,3` or `4-7`; all it was
    given if empty.
    """
    status = 0
    node: Node | None = None

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        # rclpy ends a spinning node between two callbacks, as for SIGTERM. An exception within one
        # would leave locks taken and files half written; but configuring may take long.
        if node is None or (isinstance(node, ManagedNode) and node.is_configuring):
            signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, on_interrupt)
    try:
        rclpy.init()
        node = make_node()
        try:
            about = "processors it keeps to, such as 2,3 or 4-7; empty: all it was given"
            descriptor = ParameterDescriptor(description=about, read_only=True)
            cpus = node.declare_parameter("cpus", "", descriptor).value
            _report_unknown_parameters(node)
            if cpus:
                keep_to(cpus)
            if urgency is not Urgency.ORDINARY:
                claim = partial(_claim, node, urgency)
                if isinstance(node, ManagedNode):
                    # Only then: what a node prepares, such as compiling, takes long and can wait.
                    node.around_activity(claim, partial(claim_priority, Urgency.ORDINARY))
                else:
                    claim()
            spin(node)
        finally:
            node.destroy_node()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RCLError:
        # A signal shuts the context down, also under a node that is being made or activated.
        if rclpy.ok():
            raise
    except (UserError, ParameterException) as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        status = 2
    finally:
        rclpy.try_shutdown()
    sys.exit(status)


def _claim(node: Node, urgency: Urgency) -> None:
    """Go before other work of the machine from now on."""
    settle_memory()
    node.get_logger().info(f"scheduled with {claim_priority(urgency)}")


def _report_unknown_parameters(node: Node) -> None:
    """Refuse parameters given on the command line, and warn of others, that the node lacks.

    Only the standalone runtime knows them; on ROS 2 they are silently ignored, as ever there.
    """
    undeclared_overrides = getattr(node, "undeclared_overrides", None)
    for override in undeclared_overrides() if undeclared_overrides else ():
        known = f"known are {', '.join(sorted(node.get_parameters_by_prefix('')))}"
        text = f"{node.get_name()} has no parameter {override.name!r} ({override.origin}); {known}"
        if override.explicit:
            raise UserError(text)
        node.get_logger().warning(text)
