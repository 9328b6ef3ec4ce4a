"""Managed nodes: configured, activated and shut down from outside."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.interfaces.service import service_class
from edge_robot.standalone.rclpy.callback_groups import CallbackGroup
from edge_robot.standalone.rclpy.exceptions import RCLError
from edge_robot.standalone.rclpy.lifecycle import state_machine as machine
from edge_robot.standalone.rclpy.lifecycle.managed_entity import ManagedEntity
from edge_robot.standalone.rclpy.lifecycle.publisher import LifecyclePublisher
from edge_robot.standalone.rclpy.lifecycle.state_machine import (
    LifecycleState,
    StateMachine,
    Transition,
    TransitionCallbackReturn,
)
from edge_robot.standalone.rclpy.node import Node
from edge_robot.standalone.rclpy.publisher import Publisher

_CALLBACKS = {
    machine.CONFIGURING: "on_configure",
    machine.CLEANINGUP: "on_cleanup",
    machine.SHUTTINGDOWN: "on_shutdown",
    machine.ACTIVATING: "on_activate",
    machine.DEACTIVATING: "on_deactivate",
    machine.ERRORPROCESSING: "on_error",
}
"""States in which a callback runs."""

_CONFIGURE, _CLEANUP, _ACTIVATE, _DEACTIVATE = 1, 2, 3, 4

# The mixin uses what Node has, but must not inherit from it: users put it beside one.
if TYPE_CHECKING:
    _Base = Node
else:
    _Base = object


class LifecycleNodeMixin(ManagedEntity, _Base):
    """What makes a managed node of a node; to be inherited from beside `Node`.

    Override `on_configure` and its like to do something in a transition. By default they call the
    callbacks of the managed entities, up to the first that does not succeed. Private methods are
    mangled, as rclpy's are: a subclass may have a `_tell` of its own.

    Args:
        enable_communication_interface: Whether the state can be seen and changed from outside.
        callback_group: Decides when the services may be answered.

    Raises:
        TypeError: `enable_communication_interface` is no bool.
    """

    def __init__(
        self,
        *,
        enable_communication_interface: bool = True,
        callback_group: CallbackGroup | None = None,
    ) -> None:
        if not isinstance(enable_communication_interface, bool):
            raise TypeError(
                "enable_communication_interface must be a bool, not "
                f"{type(enable_communication_interface).__name__}"
            )
        self._managed_entities: list[ManagedEntity] = []
        self.__event_publisher: Publisher | None = None
        self._state_machine = StateMachine(self.__tell)
        if enable_communication_interface:
            self.__serve(callback_group)

    def __serve(self, group: CallbackGroup | None) -> None:
        event = message_class("lifecycle_msgs/msg/TransitionEvent")
        # Not by a method a subclass may have overridden, and not managed itself.
        self.__event_publisher = Node.create_publisher(self, event, "~/transition_event", 10)
        for name, kind, answer in (
            ("change_state", "ChangeState", self.__on_change_state),
            ("get_state", "GetState", self.__on_get_state),
            ("get_available_states", "GetAvailableStates", self.__on_get_states),
            ("get_available_transitions", "GetAvailableTransitions", self.__on_get_transitions),
            ("get_transition_graph", "GetAvailableTransitions", self.__on_get_graph),
        ):
            service = Node.create_service(
                self,
                service_class(f"lifecycle_msgs/srv/{kind}"),
                f"~/{name}",
                answer,
                callback_group=group,
            )
            setattr(self, f"_service_{name}", service)

    # Transitions.

    def trigger_configure(self) -> TransitionCallbackReturn:
        """Configure the node; returns how the transition went, here and below.

        Raises:
            RCLError: the state does not allow it.
        """
        return self.__change_state(_CONFIGURE)

    def trigger_cleanup(self) -> TransitionCallbackReturn:
        """Undo the configuration.

        Raises:
            RCLError: the state does not allow it.
        """
        return self.__change_state(_CLEANUP)

    def trigger_activate(self) -> TransitionCallbackReturn:
        """Activate the node.

        Raises:
            RCLError: the state does not allow it.
        """
        return self.__change_state(_ACTIVATE)

    def trigger_deactivate(self) -> TransitionCallbackReturn:
        """Deactivate the node.

        Raises:
            RCLError: the state does not allow it.
        """
        return self.__change_state(_DEACTIVATE)

    def trigger_shutdown(self) -> TransitionCallbackReturn:
        """Shut the node down, for good.

        Raises:
            RCLError: the state does not allow it.
        """
        return self.__change_state(self._state_machine.get_transition_by_label("shutdown"))

    def __change_state(self, transition_id: int) -> TransitionCallbackReturn:
        before = self._state_machine.state
        self._state_machine.trigger_transition_by_id(transition_id)
        result = self.__run_callback(before)
        self._state_machine.trigger_transition_by_label(result.to_label())
        if result is TransitionCallbackReturn.ERROR:
            recovery = self.__run_callback(before)
            self._state_machine.trigger_transition_by_label(recovery.to_label())
        return result

    def __run_callback(self, before: LifecycleState) -> TransitionCallbackReturn:
        """Run the callback of the state; what it raises is an error of the transition."""
        name = _CALLBACKS[self._state_machine.state]
        try:
            result = getattr(self, name)(before)
            return TransitionCallbackReturn(result)
        except Exception as error:
            self.get_logger().error(f"{name} failed: {type(error).__name__}: {error}")
            return TransitionCallbackReturn.ERROR

    def __tell(self, transition: Transition) -> None:
        """Publish a transition, with as much of it as rcl tells."""
        if self.__event_publisher is None:
            return
        event = self.__event_publisher.msg_type()
        event.start_state.id, event.start_state.label = _number_and_label(transition.start)
        event.goal_state.id, event.goal_state.label = _number_and_label(transition.goal)
        self.__event_publisher.publish(event)

    # Managed entities.

    def add_managed_entity(self, entity: ManagedEntity) -> None:
        """Let something follow the node's transitions.

        Raises:
            TypeError: it has no callbacks for them.
        """
        if not isinstance(entity, ManagedEntity):
            raise TypeError("Expected a rclpy.lifecycle.ManagedEntity instance.")
        if entity not in self._managed_entities:
            self._managed_entities.append(entity)

    def create_lifecycle_publisher(self, *args: Any, **kwargs: Any) -> LifecyclePublisher:
        """Create a publisher that is silent while the node is not active.

        Arguments and errors are those of `Node.create_publisher`, without `publisher_class`.
        """
        if "publisher_class" in kwargs:
            raise TypeError(
                "create_publisher() got an unexpected keyword argument 'publisher_class'"
            )
        publisher = Node.create_publisher(self, *args, **kwargs, publisher_class=LifecyclePublisher)
        assert isinstance(publisher, LifecyclePublisher)
        self.add_managed_entity(publisher)
        return publisher

    def destroy_lifecycle_publisher(self, publisher: LifecyclePublisher) -> bool:
        """End a publisher; False if it is not this node's."""
        if publisher in self._managed_entities:
            self._managed_entities.remove(publisher)
        return Node.destroy_publisher(self, publisher)

    def __call_entities(self, callback: str, state: LifecycleState) -> TransitionCallbackReturn:
        for entity in self._managed_entities:
            result = getattr(entity, callback)(state)
            if not isinstance(result, TransitionCallbackReturn):
                raise TypeError(
                    f"{callback}() return value of class {type(entity)} should be "
                    f"`TransitionCallbackReturn`, not {result!r}"
                )
            if result is not TransitionCallbackReturn.SUCCESS:
                return result
        return TransitionCallbackReturn.SUCCESS

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let the managed entities get ready."""
        return self.__call_entities("on_configure", state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let the managed entities undo what they did to get ready."""
        return self.__call_entities("on_cleanup", state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let the managed entities prepare for the end."""
        return self.__call_entities("on_shutdown", state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let the managed entities begin to work."""
        return self.__call_entities("on_activate", state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let the managed entities stop working."""
        return self.__call_entities("on_deactivate", state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let the managed entities recover."""
        return self.__call_entities("on_error", state)

    # Services.

    def __on_change_state(self, request: Any, response: Any) -> Any:
        number = request.transition.id
        try:
            if request.transition.label:
                number = self._state_machine.get_transition_by_label(request.transition.label)
            result = self.__change_state(number)
            response.success = result is TransitionCallbackReturn.SUCCESS
        except RCLError as error:
            self.get_logger().error(f"cannot change the state: {error}")
            response.success = False
        return response

    def __on_get_state(self, _: Any, response: Any) -> Any:
        state = response.current_state
        state.id, state.label = self._state_machine.current_state
        return response

    def __on_get_states(self, _: Any, response: Any) -> Any:
        state_class = message_class("lifecycle_msgs/msg/State")
        response.available_states = [
            state_class(id=state.state_id, label=state.label) for state in machine.STATES
        ]
        return response

    def __on_get_transitions(self, _: Any, response: Any) -> Any:
        response.available_transitions = _described(self._state_machine.available_transitions)
        return response

    def __on_get_graph(self, _: Any, response: Any) -> Any:
        response.available_transitions = _described(machine.TRANSITIONS)
        return response


def _number_and_label(state: LifecycleState) -> tuple[int, str]:
    return state.state_id, state.label


def _described(transitions: Iterable[Transition]) -> list[Any]:
    """Return transitions as `lifecycle_msgs.msg.TransitionDescription`."""
    description_class = message_class("lifecycle_msgs/msg/TransitionDescription")
    descriptions = []
    for transition in transitions:
        item = description_class()
        item.transition.id, item.transition.label = transition.id, transition.label
        item.start_state.id, item.start_state.label = _number_and_label(transition.start)
        item.goal_state.id, item.goal_state.label = _number_and_label(transition.goal)
        descriptions.append(item)
    return descriptions


class LifecycleNode(LifecycleNodeMixin, Node):
    """A managed node.

    Args:
        node_name: Name.
        enable_communication_interface: Whether the state can be seen and changed from outside.
        options: Those of `Node`.

    Raises:
        TypeError: `enable_communication_interface` is no bool.
    """

    def __init__(
        self, node_name: str, *, enable_communication_interface: bool = True, **options: Any
    ) -> None:
        Node.__init__(self, node_name, **options)
        LifecycleNodeMixin.__init__(
            self, enable_communication_interface=enable_communication_interface
        )
