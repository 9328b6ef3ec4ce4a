"""Nodes with ROS 2's life cycle: what they may do in which state, and how they come to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.publisher import Publisher
from rclpy.qos_overriding_options import InvalidQosOverridesError
from rclpy.subscription import Subscription

from edge_robot.errors import UserError
from edge_robot.nodes.parameters import Declared, NamedSettings, Parameters
from edge_robot.nodes.qos import overriding_options
from edge_robot.settings import Meaning, Settings

T = TypeVar("T")
SettingsT = TypeVar("SettingsT", bound=Settings)


class ManagedNode(LifecycleNode):
    """A node that is configured, activated and taken back, by itself or by a lifecycle manager.

    A subclass declares its parameters in `__init__`, which must be quick, and overrides the four
    steps. By itself (parameter `autostart`) it is configured and activated as soon as it spins.

    While it is not active it has no publisher, subscription, timer, service or action but those of
    every ROS 2 node: it says nothing, hears nothing and costs nothing, and who relies on its topics
    learns from their deadlines and liveliness that they have ended.

    Args:
        name: Name of the node.
        options: Those of `rclpy.node.Node`.
    """

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.is_configured = self.is_active = self.is_configuring = False
        self.__claimed = False
        self.around_activity(lambda: None, lambda: None)
        self.__permanent: set[int] = set()
        self.__fatal: Exception | None = None
        self.__declared = Parameters(
            self, lambda: self.is_configured or self.is_configuring, self.reconfigure
        )
        autostart = self.parameter(
            "autostart", True, "configure and activate itself; false: a lifecycle manager does"
        )
        self.__starting = False
        self.__own_work = self.create_guard_condition(self.__on_own_work)
        if autostart.value:
            self.__own_work.trigger()

    # --- what a subclass does -----------------------------------------------------------------

    def configure(self) -> None:
        """Read the parameters, and prepare what takes long: models, maps, compiled code, sockets.

        Raises:
            UserError: it cannot be configured so. Nothing that was opened stays open.
        """

    def activate(self) -> None:
        """Forget what was heard before, create all endpoints and timers, and begin to work.

        Raises:
            UserError: it cannot begin.
        """

    def farewell(self) -> None:
        """Say what must be said before the node falls silent; not called where it no longer can."""

    def deactivate(self) -> None:
        """Stop threads and the like; endpoints and timers end after it."""

    def cleanup(self) -> None:
        """Give back what `configure` took that Python would not: threads, files, sockets."""

    def reconfigure(self) -> None:
        """Hand on parameters that were changed while the node is configured; see `live`."""

    # --- endpoints ----------------------------------------------------------------------------

    def create_publisher(
        self, msg_type: Any, topic: str, qos_profile: Any, **options: Any
    ) -> Publisher:
        """Create a publisher whose QoS parameters may change; see `overriding_options`.

        Raises:
            UserError: they ask for what is not permitted.
        """
        return self.__overridden(
            super().create_publisher, "publisher", (msg_type, topic), qos_profile, options
        )

    def create_subscription(
        self, msg_type: Any, topic: str, callback: Any, qos_profile: Any, **options: Any
    ) -> Subscription:
        """Create a subscription whose QoS parameters may change; as `create_publisher`."""
        return self.__overridden(
            super().create_subscription,
            "subscription",
            (msg_type, topic, callback),
            qos_profile,
            options,
        )

    def __overridden(
        self,
        create: Callable[..., Any],
        kind: str,
        what: tuple[Any, ...],
        profile: Any,
        options: dict[str, Any],
    ) -> Any:
        options.setdefault(
            "qos_overriding_options", overriding_options(self, what[1], profile, kind)
        )
        try:
            return create(*what, profile, **options)
        except InvalidQosOverridesError as error:
            raise UserError(f"{self.get_name()}: {error}") from None

    # --- parameters ---------------------------------------------------------------------------

    def parameter(
        self,
        name: str,
        default: T,
        about: str,
        *,
        ge: float | None = None,
        le: float | None = None,
        one_of: Sequence[str] = (),
        live: bool = False,
    ) -> Declared[T]:
        """Declare a parameter; for the arguments see `edge_robot.settings.setting`."""
        meaning = Meaning(about, ge, le, tuple(one_of), live)
        return self.__declared.parameter(name, default, meaning)

    def settings(self, defaults: SettingsT, prefix: str = "") -> Declared[SettingsT]:
        """Declare a component's settings; see `Parameters.settings`."""
        return self.__declared.settings(defaults, prefix)

    def named_settings(
        self, parameter: str, about: str, known: Mapping[str, SettingsT], otherwise: SettingsT
    ) -> NamedSettings[SettingsT]:
        """Declare a list of names, and settings for each; see `Parameters.named_settings`."""
        return self.__declared.named_settings(parameter, about, known, otherwise)

    # --- transitions --------------------------------------------------------------------------

    def around_activity(self, claim: Callable[[], object], release: Callable[[], object]) -> None:
        """Have something done before it works as configured, and undone before that changes."""
        self.__claim, self.__release = claim, release

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Make the transition; subclasses override `configure`."""
        self.is_configuring = True
        try:
            result = self.__attempt(self.__configure)
        finally:
            self.is_configuring = False
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Make the transition; subclasses override `activate`."""
        self.__permanent = {id(item) for items, _ in self.__entities() for item in items}
        result = self.__attempt(self.__activate)
        self.is_active = result is TransitionCallbackReturn.SUCCESS
        if not self.is_active:
            self.__end_activity()
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Make the transition; subclasses override `deactivate`."""
        return self.__attempt(self.__deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Make the transition; subclasses override `cleanup`."""
        return self.__attempt(self.__cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Make the transition, from any state."""
        return self.__attempt(self.__take_back)

    def destroy_node(self) -> None:
        """End the node in good order, from any state."""
        try:
            self.__take_back()
        finally:
            super().destroy_node()
            # Jazzy's lifecycle node forgets this one, which keeps the DDS participant: its threads
            # would still run while the process falls apart around them.
            destroy = getattr(self._state_machine, "destroy_when_not_in_use", None)
            if destroy is not None:  # the standalone runtime's holds nothing
                destroy()

    def __configure(self) -> None:
        if self.__claimed:
            self.__claimed = False
            self.__release()
        self.__declared.check()
        self.configure()
        self.is_configured = True

    def __activate(self) -> None:
        if not self.__claimed:
            self.__claimed = True
            self.__claim()
        self.activate()

    def __take_back(self) -> None:
        if self.is_active:
            self.__deactivate()
        if self.is_configured:
            self.__cleanup()

    def __deactivate(self) -> None:
        self.is_active = False
        try:
            if self.context.ok():
                self.farewell()
            self.deactivate()
        finally:
            self.__end_activity()

    def __cleanup(self) -> None:
        self.is_configured = False
        self.cleanup()

    def __attempt(self, step: Callable[[], None]) -> TransitionCallbackReturn:
        """Do a step. rclpy swallows what it raises: what nobody can mend ends the process here."""
        try:
            step()
        except UserError as error:
            if self.__starting or step not in (self.__configure, self.__activate):
                self.__end_with(error)
            else:
                self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        except Exception as error:
            self.__end_with(error)
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def __end_with(self, error: Exception) -> None:
        self.__fatal = error
        self.__own_work.trigger()

    def __on_own_work(self) -> None:
        if self.__fatal is None:
            self.__start()
        if self.__fatal is not None:
            raise self.__fatal

    def __start(self) -> None:
        """Become active by itself, where nobody was faster."""
        self.__starting = True
        if not self.is_configured:
            self.trigger_configure()
        if self.is_configured and not self.is_active and self.context.ok():
            self.trigger_activate()
        self.__starting = False

    # --- the end of activity ----------------------------------------------------------------

    def __entities(self) -> tuple[tuple[Iterable[Any], Callable[[Any], object]], ...]:
        """Return what the node is made of, and how each is destroyed."""
        return (
            (self.publishers, self.destroy_publisher),
            (self.subscriptions, self.destroy_subscription),
            (self.services, self.destroy_service),
            (self.clients, self.destroy_client),
            (self.timers, self.destroy_timer),
            (self.guards, self.destroy_guard_condition),
            # After what else they consist of: actions of ROS 2, events of what is destroyed by now.
            (self.waitables, lambda waitable: waitable.destroy()),
        )

    def __end_activity(self) -> None:
        """Destroy what was created since the node was activated."""
        for items, destroy in self.__entities():
            for item in list(items):
                # Simulated time may have been switched on meanwhile, and is the node's own.
                is_clock = item is self._time_source._clock_sub
                if id(item) not in self.__permanent and not is_clock:
                    destroy(item)
