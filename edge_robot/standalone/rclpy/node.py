"""Nodes: named sets of publishers, subscriptions, services, clients, timers and parameters."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from edge_robot.standalone.dds.endpoints import Reader, Writer
from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.interfaces.store import interfaces
from edge_robot.standalone.rclpy.arguments import ParameterOverride, parse_arguments
from edge_robot.standalone.rclpy.callback_groups import (
    CallbackGroup,
    MutuallyExclusiveCallbackGroup,
    ReentrantCallbackGroup,
)
from edge_robot.standalone.rclpy.client import Client
from edge_robot.standalone.rclpy.clock import Clock, ROSClock
from edge_robot.standalone.rclpy.constants import S_TO_NS
from edge_robot.standalone.rclpy.context import Context, get_default_context
from edge_robot.standalone.rclpy.event_handler import (
    PublisherEventCallbacks,
    SubscriptionEventCallbacks,
)
from edge_robot.standalone.rclpy.exceptions import InvalidHandle, NameValidationException, RCLError
from edge_robot.standalone.rclpy.guard_condition import GuardCondition
from edge_robot.standalone.rclpy.impl.logging_rosout import (
    RosoutPublisher,
    add_node,
    remove_node,
)
from edge_robot.standalone.rclpy.logging import Logger, get_logger
from edge_robot.standalone.rclpy.logging_service import LoggingService
from edge_robot.standalone.rclpy.names import remapped_identity, resolve_name
from edge_robot.standalone.rclpy.node_graph import NodeGraph
from edge_robot.standalone.rclpy.node_parameters import NodeParameters
from edge_robot.standalone.rclpy.parameter import Parameter
from edge_robot.standalone.rclpy.parameter_service import ParameterService
from edge_robot.standalone.rclpy.publisher import Publisher
from edge_robot.standalone.rclpy.qos import (
    QoSProfile,
    as_profile,
    is_best_available,
    qos_profile_parameter_events,
    qos_profile_services_default,
    settle_for_publisher,
    settle_for_service,
    settle_for_subscription,
)
from edge_robot.standalone.rclpy.service import Service
from edge_robot.standalone.rclpy.service_introspection import Introspection
from edge_robot.standalone.rclpy.subscription import Subscription
from edge_robot.standalone.rclpy.time_source import TimeSource
from edge_robot.standalone.rclpy.timer import Rate, Timer
from edge_robot.standalone.rclpy.type_description_service import TypeDescriptionService
from edge_robot.standalone.rclpy.type_support import (
    check_is_valid_msg_type,
    check_is_valid_srv_type,
)
from edge_robot.standalone.rclpy.validate_namespace import validate_namespace
from edge_robot.standalone.rclpy.validate_node_name import validate_node_name
from edge_robot.standalone.rclpy.waitable import Waitable

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.executors import Executable, Executor
    from edge_robot.standalone.rclpy.qos_overriding_options import QoSOverridingOptions

HIDDEN_NODE_PREFIX = "_"
PARAMETER_EVENT = "rcl_interfaces/msg/ParameterEvent"


class Node(NodeParameters, NodeGraph):
    """A participant of the ROS graph.

    Args:
        node_name: Name; `-r __node:=…` takes its place.
        context: Life it belongs to; the default one if not given.
        cli_args: Arguments for this node alone, as after `--ros-args`.
        namespace: Namespace; `-r __ns:=…` takes its place.
        use_global_arguments: Whether what was given to `rclpy.init` counts.
        enable_rosout: Whether what the node logs is published on `/rosout`.
        start_parameter_services: Whether other nodes can read and set its parameters.
        parameter_overrides: Initial parameter values that count over all others.
        allow_undeclared_parameters: Whether parameters may be set without being declared.
        automatically_declare_parameters_from_overrides: Declare all that was given from outside.
        enable_logger_service: Whether other nodes can read and set the levels of its loggers.

    Raises:
        NotInitializedException: the context is not in use.
        InvalidNodeNameException: the name is malformed.
        InvalidNamespaceException: the namespace is malformed.
    """

    def __init__(
        self,
        node_name: str,
        *,
        context: Context | None = None,
        cli_args: Sequence[str] | None = None,
        namespace: str | None = None,
        use_global_arguments: bool = True,
        enable_rosout: bool = True,
        start_parameter_services: bool = True,
        parameter_overrides: Sequence[Parameter] | None = None,
        allow_undeclared_parameters: bool = False,
        automatically_declare_parameters_from_overrides: bool = False,
        enable_logger_service: bool = False,
    ) -> None:
        self._context = context or get_default_context()
        self.__participant = self._context.participant
        own = parse_arguments(["--ros-args", *(cli_args or ())])
        sources = [self._context.arguments, own] if use_global_arguments else [own]
        # The node's own rules come first; of several that fit, the first counts.
        self._remaps = [remap for arguments in reversed(sources) for remap in arguments.remaps]
        self.__name = remapped_identity("__node", node_name, self._remaps) or node_name
        validate_node_name(self.__name)
        self.__namespace = remapped_identity("__ns", self.__name, self._remaps) or namespace or "/"
        if not self.__namespace.startswith("/"):
            self.__namespace = f"/{self.__namespace}"
        validate_namespace(self.__namespace)
        full_name = self.get_fully_qualified_name()
        overrides = [
            override
            for arguments in sources
            for override in arguments.overrides
            if override.matches(full_name)
        ]
        overrides += [
            ParameterOverride(
                full_name, item.name, item.value, "parameter_overrides", explicit=False
            )
            for item in parameter_overrides or ()
        ]
        super().__init__(overrides, allow_undeclared=allow_undeclared_parameters)
        self._logger = get_logger(full_name.strip("/").replace("/", "."))
        self._executor: weakref.ref[Executor] | None = None
        self.executables: list[Executable] = []
        self.__publishers: list[Publisher] = []
        self.__subscriptions: list[Subscription] = []
        self.__services: list[Service] = []
        self.__clients: list[Client] = []
        self.__timers: list[Timer] = []
        self.__destroyed = False
        self._default_callback_group: CallbackGroup = MutuallyExclusiveCallbackGroup()
        self.clock_callback_group: CallbackGroup = ReentrantCallbackGroup()
        self._clock = ROSClock()
        self.__rosout: RosoutPublisher | None = None
        with self._context.graph.gathered():
            self.__entities = self._context.graph.add_node(self.__namespace, self.__name)
            try:
                if enable_rosout and self._context.arguments.logs.get("rosout", True):
                    self.__publish_logs()
                self._parameter_event_publisher = self.create_publisher(
                    message_class(PARAMETER_EVENT),
                    "/parameter_events",
                    qos_profile_parameter_events,
                )
                if automatically_declare_parameters_from_overrides:
                    for name, value in {item.name: item.value for item in overrides}.items():
                        self.declare_parameter(name, value, ignore_override=True)
                self._time_source = TimeSource(node=self)
                self._time_source.attach_clock(self._clock)
                if start_parameter_services:
                    self._parameter_service = ParameterService(self)
                if enable_logger_service:
                    self._logger_service = LoggingService(self)
                if interfaces().has("type_description_interfaces/msg/TypeDescription"):
                    # Humble has no words to describe types with.
                    self._type_description_service = TypeDescriptionService(self)
            except BaseException:
                self.destroy_node()
                raise

    def __publish_logs(self) -> None:
        """Publish on `/rosout` what is logged under the node's name."""
        self.__rosout = RosoutPublisher(
            self.__participant, self.__topic("/rosout"), self._logger.name
        )
        add_node(self.__rosout)
        self.__announce(self.__rosout.writer, None)

    def _parameters_changed(
        self, new: list[Parameter], changed: list[Parameter], deleted: list[Parameter]
    ) -> None:
        # The topic is volatile: what nobody hears now, nobody ever will.
        if not self._parameter_event_publisher.get_subscription_count():
            return
        self._parameter_event_publisher.publish(
            message_class(PARAMETER_EVENT)(
                stamp=self._clock.now().to_msg(),
                node=self.get_fully_qualified_name(),
                new_parameters=[item.to_parameter_msg() for item in new],
                changed_parameters=[item.to_parameter_msg() for item in changed],
                deleted_parameters=[item.to_parameter_msg() for item in deleted],
            )
        )

    def __overridden_qos(
        self,
        kind: type[Publisher] | type[Subscription],
        topic: str,
        profile: QoSProfile,
        options: QoSOverridingOptions | None,
    ) -> QoSProfile:
        """Return a contract as parameters may have changed it."""
        if options is None:
            return profile
        from edge_robot.standalone.rclpy.qos_overriding_options import _declare_qos_parameters

        changed = copy.copy(profile)  # the caller's may serve for others too
        _declare_qos_parameters(kind, self, topic, changed, options)
        return changed

    # What it is.

    def get_name(self) -> str:
        """Return the name without namespace."""
        return self.__name

    def get_namespace(self) -> str:
        """Return the namespace."""
        return self.__namespace

    def get_fully_qualified_name(self) -> str:
        """Return namespace and name."""
        return f"{self.__namespace.rstrip('/')}/{self.__name}"

    def get_logger(self) -> Logger:
        """Return the node's logger."""
        return self._logger

    def get_clock(self) -> Clock:
        """Return the node's clock: ROS time, from `/clock` while `use_sim_time` is true."""
        return self._clock

    @property
    def context(self) -> Context:
        """The life it belongs to."""
        return self._context

    @property
    def default_callback_group(self) -> CallbackGroup:
        """Group of what is created without one: mutually exclusive."""
        return self._default_callback_group

    @property
    def executor(self) -> Executor | None:
        """Who runs its callbacks."""
        return None if self._executor is None else self._executor()

    @executor.setter
    def executor(self, executor: Executor | None) -> None:
        current = self.executor
        if current is executor:
            return
        if current is not None:
            current.remove_node(self)
        if executor is None:
            self._executor = None
        else:
            self._executor = weakref.ref(executor)
            executor.add_node(self)

    @property
    def publishers(self) -> list[Publisher]:
        """Its publishers."""
        return list(self.__publishers)

    @property
    def subscriptions(self) -> list[Subscription]:
        """Its subscriptions."""
        return list(self.__subscriptions)

    @property
    def services(self) -> list[Service]:
        """Its services."""
        return list(self.__services)

    @property
    def clients(self) -> list[Client]:
        """Its clients."""
        return list(self.__clients)

    @property
    def timers(self) -> list[Timer]:
        """Its timers."""
        return list(self.__timers)

    @property
    def guards(self) -> list[GuardCondition]:
        """Its guard conditions."""
        return [item for item in self.executables if isinstance(item, GuardCondition)]

    @property
    def waitables(self) -> list[Waitable]:
        """Its waitables."""
        return [item for item in self.executables if isinstance(item, Waitable)]

    def resolve_topic_name(self, topic: str, *, only_expand: bool = False) -> str:
        """Return a topic's fully qualified name, after renamings unless `only_expand`.

        Raises:
            RCLError: the name is malformed.
        """
        return self.__resolve(topic, only_expand, is_service=False)

    def resolve_service_name(self, service: str, *, only_expand: bool = False) -> str:
        """Return a service's fully qualified name, after renamings unless `only_expand`.

        Raises:
            RCLError: the name is malformed.
        """
        return self.__resolve(service, only_expand, is_service=True)

    def __resolve(self, name: str, only_expand: bool, *, is_service: bool) -> str:
        remaps = [] if only_expand else self._remaps
        try:
            return resolve_name(name, self.__name, self.__namespace, remaps, is_service=is_service)
        except (NameValidationException, ValueError) as error:
            raise RCLError(f"failed to resolve name: {error}") from error

    def __topic(self, name: str) -> str:
        self.__check_alive()
        return resolve_name(name, self.__name, self.__namespace, self._remaps)

    def __service(self, name: str) -> str:
        self.__check_alive()
        return resolve_name(name, self.__name, self.__namespace, self._remaps, is_service=True)

    def __check_alive(self) -> None:
        if self.__destroyed:
            raise InvalidHandle("cannot use a node after it was destroyed")

    # What it is made of.

    def __announce(self, writer: Writer | None, reader: Reader | None) -> None:
        """Tell the other participants of new endpoints of this node."""
        if writer is not None:
            self.__entities.writers.append(writer.guid)
        if reader is not None:
            self.__entities.readers.append(reader.guid)
        self._context.graph.announce()

    def __take_back(self, writer: Writer | None, reader: Reader | None) -> None:
        """Tell the other participants that endpoints are about to end."""
        if writer is not None:
            self.__entities.writers.remove(writer.guid)
        if reader is not None:
            self.__entities.readers.remove(reader.guid)
        if self._context.ok():
            self._context.graph.announce()

    def __add(self, executable: Any, group: CallbackGroup) -> None:
        group.add_entity(executable)
        self.executables.append(executable)
        executor = self.executor
        if executor is not None:
            executor.attach(executable)

    def __remove(self, executable: Any) -> None:
        if executable in self.executables:
            self.executables.remove(executable)
            executor = self.executor
            if executor is not None:
                executor.detach(executable)

    def __destroy(self, entity: Any, kept_in: list[Any]) -> bool:
        if entity not in kept_in:
            return False
        kept_in.remove(entity)
        events = getattr(entity, "events", None)
        if events is not None:
            self.__remove(events)
        self.__remove(entity)
        entity.destroy()
        return True

    def create_publisher(
        self,
        msg_type: Any,
        topic: str,
        qos_profile: QoSProfile | int,
        *,
        callback_group: CallbackGroup | None = None,
        event_callbacks: PublisherEventCallbacks | None = None,
        qos_overriding_options: QoSOverridingOptions | None = None,
        publisher_class: type[Publisher] = Publisher,
    ) -> Publisher:
        """Create a publisher.

        Args:
            msg_type: Message class.
            topic: Topic; relative and private names are resolved, renamings applied.
            qos_profile: Contract, or a depth.
            callback_group: Decides when event callbacks may run.
            event_callbacks: What to call for QoS events.
            qos_overriding_options: Which policies may be changed by parameters.
            publisher_class: Class to make.

        Raises:
            InvalidTopicNameException: the name is malformed.
            ValueError: the name has an unknown substitution, or the depth is negative.
            TypeError: the contract is neither a profile nor a depth.
            AttributeError: the class is no interface's.
            RuntimeError: the class is another interface's.
            RCLError: the contract is impossible.
            InvalidHandle: the node was destroyed.
            InvalidQosOverridesError: the contract that parameters ask for is refused.
        """
        profile = as_profile(qos_profile)
        full_name = self.__topic(topic)
        profile = self.__overridden_qos(Publisher, full_name, profile, qos_overriding_options)
        check_is_valid_msg_type(msg_type)
        if is_best_available(profile):
            known = self.get_subscriptions_info_by_topic(full_name)
            profile = settle_for_publisher(profile, [info.qos_profile for info in known])
        group = callback_group or self._default_callback_group
        publisher = publisher_class(
            self.__participant,
            msg_type,
            topic,
            full_name,
            profile,
            event_callbacks or PublisherEventCallbacks(),
            group,
            self._logger,
        )
        self.__publishers.append(publisher)
        self.__announce(publisher.writer, None)
        self.__add(publisher.events, group)
        return publisher

    def create_subscription(
        self,
        msg_type: Any,
        topic: str,
        callback: Callable[..., Any],
        qos_profile: QoSProfile | int,
        *,
        callback_group: CallbackGroup | None = None,
        event_callbacks: SubscriptionEventCallbacks | None = None,
        qos_overriding_options: QoSOverridingOptions | None = None,
        raw: bool = False,
    ) -> Subscription:
        """Create a subscription.

        Args:
            msg_type: Message class.
            topic: Topic; relative and private names are resolved, renamings applied.
            callback: Called with a message, or with a message and its `MessageInfo`.
            qos_profile: Contract, or a depth.
            callback_group: Decides when callbacks may run.
            event_callbacks: What to call for QoS events.
            qos_overriding_options: Which policies may be changed by parameters.
            raw: Whether the callback gets the serialized bytes.

        Raises:
            InvalidTopicNameException: the name is malformed.
            ValueError: the name has an unknown substitution, or the depth is negative.
            TypeError: the contract is neither a profile nor a depth.
            AttributeError: the class is no interface's.
            RuntimeError: the class is another interface's, or the callback takes neither one
                argument nor two.
            RCLError: the contract is impossible.
            InvalidHandle: the node was destroyed.
            InvalidQosOverridesError: the contract that parameters ask for is refused.
        """
        profile = as_profile(qos_profile)
        full_name = self.__topic(topic)
        profile = self.__overridden_qos(Subscription, full_name, profile, qos_overriding_options)
        check_is_valid_msg_type(msg_type)
        if is_best_available(profile):
            known = self.get_publishers_info_by_topic(full_name)
            profile = settle_for_subscription(profile, [info.qos_profile for info in known])
        group = callback_group or self._default_callback_group
        subscription = Subscription(
            self.__participant,
            msg_type,
            topic,
            full_name,
            callback,
            group,
            profile,
            raw,
            event_callbacks or SubscriptionEventCallbacks(),
            self._logger,
        )
        self.__subscriptions.append(subscription)
        self.__announce(None, subscription.reader)
        self.__add(subscription, group)
        self.__add(subscription.events, group)
        return subscription

    def create_service(
        self,
        srv_type: Any,
        srv_name: str,
        callback: Callable[[Any, Any], Any],
        *,
        qos_profile: QoSProfile = qos_profile_services_default,
        callback_group: CallbackGroup | None = None,
    ) -> Service:
        """Create a service.

        Args:
            srv_type: Service class.
            srv_name: Name; relative and private names are resolved, renamings applied.
            callback: Called with a request and a response to fill in; returns the response.
            qos_profile: Contract of both directions.
            callback_group: Decides when callbacks may run.

        Raises:
            InvalidServiceNameException: the name is malformed.
            ValueError: the name has an unknown substitution.
            AttributeError: the class is no interface's.
            RuntimeError: the class is another interface's.
            RCLError: the contract is impossible.
            InvalidHandle: the node was destroyed.
        """
        check_is_valid_srv_type(srv_type)
        group = callback_group or self._default_callback_group
        full_name = self.__service(srv_name)
        service = Service(
            self.__participant,
            srv_type,
            srv_name,
            full_name,
            callback,
            group,
            settle_for_service(qos_profile),
            self._logger,
            Introspection(self, srv_type, full_name),
        )
        self.__services.append(service)
        self.__announce(service.endpoints.writer, service.endpoints.reader)
        self.__add(service, group)
        return service

    def create_client(
        self,
        srv_type: Any,
        srv_name: str,
        *,
        qos_profile: QoSProfile = qos_profile_services_default,
        callback_group: CallbackGroup | None = None,
    ) -> Client:
        """Create a client of a service; arguments and errors as for `create_service`."""
        check_is_valid_srv_type(srv_type)
        group = callback_group or self._default_callback_group
        full_name = self.__service(srv_name)
        client = Client(
            self._context,
            self.__participant,
            srv_type,
            srv_name,
            full_name,
            group,
            settle_for_service(qos_profile),
            self._logger,
            Introspection(self, srv_type, full_name),
        )
        self.__clients.append(client)
        self.__announce(client.endpoints.writer, client.endpoints.reader)
        self.__add(client, group)
        return client

    def create_timer(
        self,
        timer_period_sec: float,
        callback: Callable[..., Any] | None,
        callback_group: CallbackGroup | None = None,
        clock: Clock | None = None,
        autostart: bool = True,
    ) -> Timer:
        """Create a timer.

        Args:
            timer_period_sec: Period, s.
            callback: Called without arguments, or with a `TimerInfo` if it takes one.
            callback_group: Decides when it may run.
            clock: Clock whose time counts; the node's if not given.
            autostart: Whether the first period begins now.
        """
        group = callback_group or self._default_callback_group
        timer = Timer(
            callback,
            group,
            int(timer_period_sec * S_TO_NS),
            clock or self._clock,
            autostart=autostart,
        )
        self.__timers.append(timer)
        self.__add(timer, group)
        return timer

    def create_guard_condition(
        self, callback: Callable[[], None], callback_group: CallbackGroup | None = None
    ) -> GuardCondition:
        """Create a guard condition, whose callback runs after `trigger`."""
        group = callback_group or self._default_callback_group
        guard = GuardCondition(callback, group)
        self.__add(guard, group)
        return guard

    def create_rate(self, frequency: float, clock: Clock | None = None) -> Rate:
        """Create a rate for a loop in a thread that does not spin.

        Raises:
            ValueError: the frequency is not positive.
        """
        if frequency <= 0:
            raise ValueError("frequency must be greater than 0")
        timer = self.create_timer(1.0 / frequency, None, ReentrantCallbackGroup(), clock)
        return Rate(timer, context=self._context)

    def destroy_publisher(self, publisher: Publisher) -> bool:
        """End a publisher; False if it is not this node's."""
        if publisher in self.__publishers:
            self.__take_back(publisher.writer, None)
        return self.__destroy(publisher, self.__publishers)

    def destroy_subscription(self, subscription: Subscription) -> bool:
        """End a subscription; False if it is not this node's."""
        if subscription in self.__subscriptions:
            self.__take_back(None, subscription.reader)
        return self.__destroy(subscription, self.__subscriptions)

    def destroy_service(self, service: Service) -> bool:
        """End a service; False if it is not this node's."""
        if service in self.__services:
            self.__take_back(service.endpoints.writer, service.endpoints.reader)
        return self.__destroy(service, self.__services)

    def destroy_client(self, client: Client) -> bool:
        """End a client; False if it is not this node's."""
        if client in self.__clients:
            self.__take_back(client.endpoints.writer, client.endpoints.reader)
        return self.__destroy(client, self.__clients)

    def destroy_timer(self, timer: Timer) -> bool:
        """End a timer; False if it is not this node's."""
        return self.__destroy(timer, self.__timers)

    def destroy_guard_condition(self, guard: GuardCondition) -> bool:
        """End a guard condition; False if it is not this node's."""
        if guard not in self.executables:
            return False
        self.__remove(guard)
        guard.destroy()
        return True

    def add_waitable(self, waitable: Waitable) -> None:
        """Have the executor run a waitable."""
        self.__add(waitable, waitable.callback_group)

    def remove_waitable(self, waitable: Waitable) -> None:
        """Have the executor run it no more."""
        self.__remove(waitable)

    def destroy_rate(self, rate: Rate) -> bool:
        """End a rate; False if it is not this node's."""
        rate.destroy()
        return self.destroy_timer(rate._timer)

    def destroy_node(self) -> None:
        """End everything the node is made of, and the node; a second time does nothing."""
        if self.__destroyed:
            return
        self.__destroyed = True
        self.executor = None
        if self.__rosout is not None:
            remove_node(self.__rosout)
        self.__entities.readers.clear()
        self.__entities.writers.clear()
        if self._context.ok():
            self._context.graph.remove_node(self.__entities)
        kinds: tuple[list[Any], ...] = (
            self.__publishers,
            self.__subscriptions,
            self.__services,
            self.__clients,
            self.__timers,
        )
        for kind in kinds:
            for entity in list(kind):
                self.__destroy(entity, kind)

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy_node()

    def __repr__(self) -> str:
        return f"Node({self.get_fully_qualified_name()!r})"
