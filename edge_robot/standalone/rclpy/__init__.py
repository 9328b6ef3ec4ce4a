"""The part of ROS 2's Python client library that the nodes use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge_robot.standalone.rclpy.context import Context, get_default_context
from edge_robot.standalone.rclpy.executors import (
    Executor,
    ExternalShutdownException,
    SingleThreadedExecutor,
)
from edge_robot.standalone.rclpy.node import Node
from edge_robot.standalone.rclpy.signals import (
    SignalHandlerOptions,
    install_signal_handlers,
    uninstall_signal_handlers,
)
from edge_robot.standalone.rclpy.task import Future
from edge_robot.standalone.rclpy.utilities import (
    get_rmw_implementation_identifier,
    ok,
    try_shutdown,
)
from edge_robot.standalone.rclpy.utilities import shutdown as _shutdown

__all__ = [
    "Context",
    "ExternalShutdownException",
    "Future",
    "InitContextManager",
    "Node",
    "create_node",
    "get_default_context",
    "get_global_executor",
    "get_rmw_implementation_identifier",
    "init",
    "ok",
    "shutdown",
    "spin",
    "spin_once",
    "spin_until_future_complete",
    "try_shutdown",
]

_executor: Executor | None = None


class InitContextManager:
    """Ends in `with rclpy.init():` what `init` began."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def __enter__(self) -> InitContextManager:
        return self

    def __exit__(self, *_: object) -> None:
        if self.context is get_default_context():
            try_shutdown()
            uninstall_signal_handlers()
        else:
            try_shutdown(context=self.context)


def init(
    *,
    args: Sequence[str] | None = None,
    context: Context | None = None,
    domain_id: int | None = None,
    signal_handler_options: SignalHandlerOptions | None = None,
) -> InitContextManager:
    """Begin: read arguments, and for the default context handle SIGINT and SIGTERM.

    Args:
        args: Command-line arguments; `sys.argv` if not given.
        context: Context to begin; the default one if not given.
        domain_id: DDS domain; ROS_DOMAIN_ID if not given.
        signal_handler_options: Signals to handle; both for the default context, none for others.

    Returns:
        What ends it again as a `with` block does.

    Raises:
        RuntimeError: the context has begun already.
        UserError: an argument or an environment variable cannot be understood.
    """
    if signal_handler_options is None:
        is_default = context is None or context is get_default_context()
        signal_handler_options = SignalHandlerOptions.ALL if is_default else SignalHandlerOptions.NO
    chosen = context or get_default_context()
    chosen.init(args, domain_id=domain_id)
    install_signal_handlers(signal_handler_options)
    return InitContextManager(chosen)


def shutdown(*, context: Context | None = None, uninstall_handlers: bool | None = None) -> None:
    """End a context; what is spinning in it stops.

    Raises:
        RuntimeError: the context is not in use.
    """
    is_default = context is None or context is get_default_context()
    _shutdown(context=None if is_default else context)
    if uninstall_handlers or (uninstall_handlers is None and is_default):
        uninstall_signal_handlers()


def create_node(node_name: str, **options: Any) -> Node:
    """Create a node; the options are those of `Node`."""
    return Node(node_name, **options)


def get_global_executor() -> Executor:
    """Return the executor that the functions below use where none is given."""
    global _executor
    if _executor is None:
        _executor = SingleThreadedExecutor()
        get_default_context().on_shutdown(_forget_global_executor)
    return _executor


def _forget_global_executor() -> None:
    global _executor
    _executor = None


def spin(node: Node, executor: Executor | None = None) -> None:
    """Run a node's callbacks until the context is shut down.

    Raises:
        ExternalShutdownException: the context was shut down by someone else.
    """
    executor = executor or get_global_executor()
    added = executor.add_node(node)
    try:
        executor.spin()
    finally:
        if added:
            executor.remove_node(node)


def spin_once(
    node: Node, *, executor: Executor | None = None, timeout_sec: float | None = None
) -> None:
    """Run one callback of a node, waiting for it at most `timeout_sec` (None: for ever)."""
    executor = executor or get_global_executor()
    added = executor.add_node(node)
    try:
        executor.spin_once(timeout_sec)
    finally:
        if added:
            executor.remove_node(node)


def spin_until_future_complete(
    node: Node,
    future: Future,
    executor: Executor | None = None,
    timeout_sec: float | None = None,
) -> None:
    """Run a node's callbacks until a future is complete, at most `timeout_sec` (None: for ever)."""
    executor = executor or get_global_executor()
    added = executor.add_node(node)
    try:
        executor.spin_until_future_complete(future, timeout_sec)
    finally:
        if added:
            executor.remove_node(node)
