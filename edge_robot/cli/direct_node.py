"""The node through which a command looks at the graph; lives as long as the command."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from edge_robot.errors import UserError
from edge_robot.introspection.interfaces import interface_class
from edge_robot.introspection.qos import PRESETS, Contract

if TYPE_CHECKING:
    from rclpy.node import Node

NODE_NAME_PREFIX = "_ros2cli"
"""Hides the nodes of tools from lists, as the names of ROS 2's own tools do."""

_ANSWER_TIME = 10.0
"""Longest wait for the answer of a node's own services, s."""


@contextmanager
def direct_node(
    spin_time: float = 0.0,
    *,
    name: str | None = None,
    use_sim_time: bool = False,
    arguments: tuple[str, ...] = (),
    handle_signals: bool = True,
) -> Iterator[Node]:
    """Give a node that knows who is there; a signal ends the command with ROS 2's status.

    Args:
        spin_time: Time to listen first, s.
        name: Name of the node.
        use_sim_time: Whether its time comes from `/clock`.
        arguments: As after `--ros-args`.
        handle_signals: Whether a signal ends all communication at once.
    """
    import rclpy
    from rclpy.executors import ExternalShutdownException
    from rclpy.parameter import Parameter
    from rclpy.signals import SignalHandlerOptions

    rclpy.init(
        args=["--ros-args", *arguments] if arguments else [],
        signal_handler_options=SignalHandlerOptions.ALL
        if handle_signals
        else SignalHandlerOptions.NO,
    )
    try:
        node = rclpy.create_node(
            name or f"{NODE_NAME_PREFIX}_{os.getpid()}",
            start_parameter_services=False,
            parameter_overrides=[Parameter("use_sim_time", value=use_sim_time)],
            automatically_declare_parameters_from_overrides=True,
        )
        try:
            spin_for(node, spin_time)
            yield node
        finally:
            node.destroy_node()
    except KeyboardInterrupt:
        raise SystemExit(int(signal.SIGINT)) from None
    except ExternalShutdownException:
        raise SystemExit(int(signal.SIGTERM)) from None
    except UserError:
        raise
    except Exception as error:
        if not rclpy.ok():  # a call that a signal broke into
            raise SystemExit(int(signal.SIGINT)) from None
        if isinstance(error, (RuntimeError, ValueError, TimeoutError)):
            raise SystemExit(str(error)) from error
        raise
    finally:
        rclpy.try_shutdown()


def spin_for(node: Node, seconds: float) -> None:
    """Run a node's callbacks for a time, s."""
    spin_until(node, lambda: False, seconds)


def spin_until(node: Node, condition: Callable[[], bool], seconds: float | None) -> bool:
    """Run a node's callbacks until a condition holds; False if it does not within `seconds`."""
    import rclpy

    end = None if seconds is None else time.monotonic() + seconds
    while not condition():
        left = 0.1 if end is None else min(0.1, end - time.monotonic())
        if left <= 0.0:
            return False
        rclpy.spin_once(node, timeout_sec=left)
    return True


def call(node: Node, client: Any, request: Any) -> Any:
    """Call a service and return its response.

    Raises:
        TimeoutError: there is no response in time; a server may be busy or may have lost it.
        RuntimeError: the call failed.
    """
    import rclpy

    future = client.call_async(request)
    rclpy.spin_until_future_complete(node, future, timeout_sec=_ANSWER_TIME)
    if not future.done():
        raise TimeoutError(f"no answer from {client.srv_name} within {_ANSWER_TIME:.0f} s")
    response = future.result()
    if response is None:
        raise RuntimeError(f"Exception while calling service: {future.exception()!r}")
    return response


def is_hidden(name: str) -> bool:
    """Return whether a topic, service or node is hidden by an underscore in its name."""
    return any(part.startswith("_") for part in name.split("/"))


def message_class(name: str, kind: str = "msg") -> Any:
    """Return the class of an interface.

    Raises:
        SystemExit: there is no such interface.
    """
    words = {"msg": "message", "srv": "service", "action": "action"}
    try:
        return interface_class(name, kind)
    except ValueError:
        raise SystemExit(f"The passed {words[kind]} type is invalid") from None


def topic_class(node: Node, topic: str, *, wait: bool = False) -> Any:
    """Return the message class of a topic, found by who is on it.

    Args:
        node: Node that looks.
        topic: Name of the topic.
        wait: Whether to wait until somebody is.

    Raises:
        SystemExit: the topic has several types, or one that is not known here; or nobody is on it.
    """
    full_name = node.resolve_topic_name(topic)

    def types() -> list[str]:
        return dict(node.get_topic_names_and_types()).get(full_name, [])

    found = types()
    if not found:
        print(f"WARNING: topic [{topic}] does not appear to be published yet")
        if not wait:
            raise SystemExit("Could not determine the type for the passed topic")
        spin_until(node, lambda: bool(types()), None)
        found = types()
    if len(found) > 1:
        raise SystemExit(
            f"Cannot echo topic '{topic}', as it contains more than one type: [{', '.join(found)}]"
        )
    try:
        return interface_class(found[0])
    except ValueError:
        raise SystemExit(f"The message type '{found[0]}' is invalid") from None


def contract(
    preset: str,
    *,
    depth: int | None = None,
    history: str | None = None,
    reliability: str | None = None,
    durability: str | None = None,
    liveliness: str | None = None,
    lease: float | None = None,
) -> Contract:
    """Return a preset with what the `--qos-*` options change of it; `lease` in s.

    Raises:
        SystemExit: there is no such preset or policy.
    """
    from dataclasses import replace

    if preset not in PRESETS:
        raise SystemExit(f"'{preset}' is no QoS profile; there are {', '.join(PRESETS)}")
    changes: dict[str, Any] = {
        "history": history,
        "reliability": reliability,
        "durability": durability,
        "liveliness": liveliness,
        "depth": depth or None,
        "lease": round(lease * 1e9) if lease else None,
    }
    chosen = replace(PRESETS[preset], **{k: v for k, v in changes.items() if v is not None})
    if chosen.durability == "transient_local" and chosen.depth == 0:
        chosen = replace(chosen, depth=1)
    return chosen


def qos_profile(contract: Contract) -> Any:
    """Return a contract as rclpy takes it.

    Raises:
        SystemExit: it names a policy that does not exist.
    """
    from rclpy.duration import Duration
    from rclpy.qos import (
        DurabilityPolicy,
        HistoryPolicy,
        LivelinessPolicy,
        QoSProfile,
        ReliabilityPolicy,
    )

    try:
        return QoSProfile(
            reliability=ReliabilityPolicy[contract.reliability.upper()],
            durability=DurabilityPolicy[contract.durability.upper()],
            history=HistoryPolicy[contract.history.upper()],
            depth=contract.depth,
            liveliness=LivelinessPolicy[contract.liveliness.upper()],
            liveliness_lease_duration=Duration(nanoseconds=contract.lease),
            deadline=Duration(nanoseconds=contract.deadline),
            lifespan=Duration(nanoseconds=contract.lifespan),
        )
    except KeyError as error:
        raise SystemExit(f"{error.args[0].lower()} is no QoS policy of that kind") from None


def contract_of(
    profile: Any, nanoseconds: Callable[[Any], int] = attrgetter("nanoseconds")
) -> Contract:
    """Return a profile of rclpy, or of a bag, as a contract; `nanoseconds` reads its durations."""
    return Contract(
        reliability=profile.reliability.name.lower(),
        durability=profile.durability.name.lower(),
        history=profile.history.name.lower(),
        depth=profile.depth,
        liveliness=profile.liveliness.name.lower(),
        lease=nanoseconds(profile.liveliness_lease_duration),
        deadline=nanoseconds(profile.deadline),
        lifespan=nanoseconds(profile.lifespan),
    )
