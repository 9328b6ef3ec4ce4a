"""Watches parameters of this and other nodes."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.rclpy.callback_groups import CallbackGroup
from edge_robot.standalone.rclpy.event_handler import SubscriptionEventCallbacks
from edge_robot.standalone.rclpy.qos import QoSProfile, qos_profile_parameter_events

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.node import Node
    from edge_robot.standalone.rclpy.qos_overriding_options import QoSOverridingOptions

Callback = Callable[[Any], None]


class ParameterCallbackHandle:
    """Names a callback for one parameter of one node."""

    def __init__(self, parameter_name: str, node_name: str, callback: Callback) -> None:
        self.parameter_name = parameter_name
        self.node_name = node_name
        self.callback = callback


class ParameterEventCallbackHandle:
    """Names a callback for the events of all nodes."""

    def __init__(self, callback: Callback) -> None:
        self.callback = callback


class ParameterEventHandler:
    """Calls callbacks when parameters change, the newest callback first.

    Args:
        node: Node that subscribes to `/parameter_events`.
        qos_profile: Contract of the subscription.
        callback_group: Decides when callbacks may run.
        event_callbacks: What to call for QoS events of the subscription.
        qos_overriding_options: Which of its policies may be changed by parameters.
        raw: Whether callbacks for all events get the serialized bytes.
    """

    class Callbacks:
        """The callbacks of a handler."""

        def __init__(self) -> None:
            self.parameter_callbacks: dict[tuple[str, str], list[ParameterCallbackHandle]] = (
                defaultdict(list)
            )
            self.event_callbacks: list[ParameterEventCallbackHandle] = []
            # Recursive: a callback may add or remove callbacks.
            self._lock = threading.RLock()

        def event_callback(self, event: Any) -> None:
            """Call all that wait for this event."""
            with self._lock:
                watched = [
                    (key, list(handles)) for key, handles in self.parameter_callbacks.items()
                ]
                everything = list(self.event_callbacks)
            for (parameter_name, node_name), handles in watched:
                parameter = ParameterEventHandler.get_parameter_from_event(
                    event, parameter_name, node_name
                )
                if parameter is not None:
                    for handle in handles:
                        handle.callback(parameter)
            for event_handle in everything:
                event_handle.callback(event)

        def add_parameter_callback(
            self, parameter_name: str, node_name: str, callback: Callback
        ) -> ParameterCallbackHandle:
            """Wait for one parameter."""
            handle = ParameterCallbackHandle(parameter_name, node_name, callback)
            with self._lock:
                self.parameter_callbacks[parameter_name, node_name].insert(0, handle)
            return handle

        def remove_parameter_callback(self, handle: ParameterCallbackHandle) -> None:
            """Wait for it no more; RuntimeError if nobody does."""
            key = handle.parameter_name, handle.node_name
            with self._lock:
                handles = self.parameter_callbacks.get(key, [])
                if handle not in handles:
                    raise RuntimeError("Callback doesn't exist")
                handles.remove(handle)
                if not handles:
                    del self.parameter_callbacks[key]

        def add_parameter_event_callback(self, callback: Callback) -> ParameterEventCallbackHandle:
            """Wait for all events."""
            handle = ParameterEventCallbackHandle(callback)
            with self._lock:
                self.event_callbacks.insert(0, handle)
            return handle

        def remove_parameter_event_callback(self, handle: ParameterEventCallbackHandle) -> None:
            """Wait for them no more; RuntimeError if nobody does."""
            with self._lock:
                if handle not in self.event_callbacks:
                    raise RuntimeError("Callback doesn't exist")
                self.event_callbacks.remove(handle)

    def __init__(
        self,
        node: Node,
        qos_profile: QoSProfile = qos_profile_parameter_events,
        callback_group: CallbackGroup | None = None,
        event_callbacks: SubscriptionEventCallbacks | None = None,
        qos_overriding_options: QoSOverridingOptions | None = None,
        raw: bool = False,
    ) -> None:
        self.node = node
        self._callbacks = self.Callbacks()
        self.parameter_event_subscription = node.create_subscription(
            message_class("rcl_interfaces/msg/ParameterEvent"),
            "/parameter_events",
            self._callbacks.event_callback,
            qos_profile,
            callback_group=callback_group,
            event_callbacks=event_callbacks,
            qos_overriding_options=qos_overriding_options,
            raw=raw,
        )

    def destroy(self) -> None:
        """End the subscription."""
        self.node.destroy_subscription(self.parameter_event_subscription)

    @staticmethod
    def get_parameter_from_event(event: Any, parameter_name: str, node_name: str) -> Any:
        """Return the parameter message of an event that is new or changed, or None.

        Args:
            event: `rcl_interfaces.msg.ParameterEvent`.
            parameter_name: Parameter.
            node_name: Full name of its node.
        """
        if event.node != node_name:
            return None
        return next((item for item in _set_in(event) if item.name == parameter_name), None)

    @staticmethod
    def get_parameters_from_event(event: Any) -> Iterator[Any]:
        """Give the parameter messages of an event that are new or changed."""
        return _set_in(event)

    def add_parameter_callback(
        self, parameter_name: str, node_name: str, callback: Callback
    ) -> ParameterCallbackHandle:
        """Call a callback with the parameter's message whenever the parameter is set.

        Args:
            parameter_name: Parameter.
            node_name: Its node; relative to the namespace of this one if without `/`, this one if
                empty.
            callback: Called with `rcl_interfaces.msg.Parameter`.
        """
        return self._callbacks.add_parameter_callback(
            parameter_name, self._resolve_path(node_name), callback
        )

    def remove_parameter_callback(self, handle: ParameterCallbackHandle) -> None:
        """Call it no more.

        Raises:
            RuntimeError: it is not there.
        """
        self._callbacks.remove_parameter_callback(handle)

    def add_parameter_event_callback(self, callback: Callback) -> ParameterEventCallbackHandle:
        """Call a callback with every `rcl_interfaces.msg.ParameterEvent`."""
        return self._callbacks.add_parameter_event_callback(callback)

    def remove_parameter_event_callback(self, handle: ParameterEventCallbackHandle) -> None:
        """Call it no more.

        Raises:
            RuntimeError: it is not there.
        """
        self._callbacks.remove_parameter_event_callback(handle)

    def _resolve_path(self, node_path: str = "") -> str:
        if not node_path:
            return self.node.get_fully_qualified_name()
        if node_path.startswith("/"):
            return node_path
        return f"{self.node.get_namespace().rstrip('/')}/{node_path}"


def _set_in(event: Any) -> Iterator[Any]:
    yield from event.new_parameters
    yield from event.changed_parameters
