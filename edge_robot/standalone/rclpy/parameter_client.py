"""Reads and sets the parameters of another node."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.interfaces.service import service_class
from edge_robot.standalone.rclpy.callback_groups import CallbackGroup
from edge_robot.standalone.rclpy.client import Client
from edge_robot.standalone.rclpy.event_handler import SubscriptionEventCallbacks
from edge_robot.standalone.rclpy.parameter import Parameter, parameter_dict_from_yaml_file
from edge_robot.standalone.rclpy.qos import (
    QoSProfile,
    qos_profile_parameter_events,
    qos_profile_services_default,
)
from edge_robot.standalone.rclpy.subscription import Subscription
from edge_robot.standalone.rclpy.task import Future

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.node import Node
    from edge_robot.standalone.rclpy.qos_overriding_options import QoSOverridingOptions

DoneCallback = Callable[[Future], None]


class AsyncParameterClient:
    """Calls the parameter services of another node.

    Every method that asks something returns a future of the service's response, and gives it to
    `callback`, if there is one, when it is complete.

    Args:
        node: Node that asks.
        remote_node_name: Node that is asked; relative to the namespace of the first if without `/`.
        qos_profile: Contract of the services.
        callback_group: Decides when responses may be taken in.
    """

    def __init__(
        self,
        node: Node,
        remote_node_name: str,
        qos_profile: QoSProfile = qos_profile_services_default,
        callback_group: CallbackGroup | None = None,
    ) -> None:
        self.node = node
        self.remote_node_name = remote_node_name

        def client(kind: str, name: str) -> Client:
            return node.create_client(
                service_class(f"rcl_interfaces/srv/{kind}"),
                f"{remote_node_name}/{name}",
                qos_profile=qos_profile,
                callback_group=callback_group,
            )

        self._describe = client("DescribeParameters", "describe_parameters")
        self._get = client("GetParameters", "get_parameters")
        self._get_types = client("GetParameterTypes", "get_parameter_types")
        self._list = client("ListParameters", "list_parameters")
        self._set = client("SetParameters", "set_parameters")
        self._set_atomically = client("SetParametersAtomically", "set_parameters_atomically")
        self._clients = (
            self._describe,
            self._get,
            self._get_types,
            self._list,
            self._set,
            self._set_atomically,
        )

    def services_are_ready(self) -> bool:
        """Return whether all parameter services of the node are there."""
        return all(client.service_is_ready() for client in self._clients)

    def wait_for_services(self, timeout_sec: float | None = None) -> bool:
        """Wait until all of them are there; False on time-out or shutdown."""
        deadline = None if timeout_sec is None else time.monotonic() + timeout_sec
        for client in self._clients:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not client.wait_for_service(left):
                return False
        return True

    def list_parameters(
        self,
        prefixes: list[str] | None = None,
        depth: int | None = None,
        callback: DoneCallback | None = None,
    ) -> Future:
        """Ask for the names of parameters.

        Args:
            prefixes: Only those below one of these; all if not given.
            depth: How many parts of a name may follow the prefix; any number if not given.
            callback: Called with the future.
        """
        return _call(self._list, callback, prefixes=prefixes or [], depth=depth or 0)

    def get_parameters(self, names: list[str], callback: DoneCallback | None = None) -> Future:
        """Ask for values."""
        return _call(self._get, callback, names=names)

    def get_parameter_types(self, names: list[str], callback: DoneCallback | None = None) -> Future:
        """Ask for types."""
        return _call(self._get_types, callback, names=names)

    def describe_parameters(self, names: list[str], callback: DoneCallback | None = None) -> Future:
        """Ask for descriptors."""
        return _call(self._describe, callback, names=names)

    def set_parameters(
        self, parameters: Sequence[Any], callback: DoneCallback | None = None
    ) -> Future:
        """Set parameters (`Parameter`, or its message) one by one."""
        return _call(self._set, callback, parameters=_messages(parameters))

    def set_parameters_atomically(
        self, parameters: Sequence[Any], callback: DoneCallback | None = None
    ) -> Future:
        """Set all of the parameters (`Parameter`, or its message) or none."""
        return _call(self._set_atomically, callback, parameters=_messages(parameters))

    def delete_parameters(self, names: list[str], callback: DoneCallback | None = None) -> Future:
        """Undeclare parameters; only those of dynamic type can be."""
        return self.set_parameters([Parameter(name) for name in names], callback)

    def load_parameter_file(
        self,
        parameter_file: str,
        use_wildcard: bool = False,
        callback: DoneCallback | None = None,
    ) -> Future:
        """Set the parameters of a file one by one; see `parameter_dict_from_yaml_file`."""
        parameters = parameter_dict_from_yaml_file(parameter_file, use_wildcard)
        return self.set_parameters(list(parameters.values()), callback)

    def load_parameter_file_atomically(
        self,
        parameter_file: str,
        use_wildcard: bool = False,
        callback: DoneCallback | None = None,
    ) -> Future:
        """Set all of the parameters of a file or none; see `parameter_dict_from_yaml_file`."""
        parameters = parameter_dict_from_yaml_file(parameter_file, use_wildcard)
        return self.set_parameters_atomically(list(parameters.values()), callback)

    def on_parameter_event(
        self,
        callback: Callable[..., Any],
        qos_profile: QoSProfile = qos_profile_parameter_events,
        *,
        callback_group: CallbackGroup | None = None,
        event_callbacks: SubscriptionEventCallbacks | None = None,
        qos_overriding_options: QoSOverridingOptions | None = None,
        raw: bool = False,
    ) -> Subscription:
        """Subscribe to the parameter events of all nodes; arguments of `create_subscription`."""
        return self.node.create_subscription(
            message_class("rcl_interfaces/msg/ParameterEvent"),
            "/parameter_events",
            callback,
            qos_profile,
            callback_group=callback_group,
            event_callbacks=event_callbacks,
            qos_overriding_options=qos_overriding_options,
            raw=raw,
        )


def _call(client: Client, callback: DoneCallback | None, **fields: Any) -> Future:
    future = client.call_async(client.srv_type.Request(**fields))
    if callback is not None:
        future.add_done_callback(callback)
    return future


def _messages(parameters: Sequence[Any]) -> list[Any]:
    return [item.to_parameter_msg() if isinstance(item, Parameter) else item for item in parameters]
