"""Serves the topics to Foxglove on this machine: bytes as they are, read-only unless told."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from types import ModuleType
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.serialization import deserialize_message, serialize_message

from edge_robot import topics
from edge_robot.errors import UserError
from edge_robot.introspection.interfaces import interface_class
from edge_robot.listening import is_loopback
from edge_robot.nodes.errands import Errands
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.message_text import definition_with_dependencies
from edge_robot.nodes.parameter_reading import by_node, read_parameters
from edge_robot.nodes.qos import listening_profile, matching_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.service_calls import ServiceCalls
from edge_robot.settings import Settings, setting
from edge_robot.teleop.access import Role
from edge_robot.teleop.permissions import STOP_SERVICE, Permissions
from edge_robot.topics import Durability, Topic, full_name

DISCOVERY_PERIOD = 1.0
"""Between two looks for topics and services that have a type only once somebody offers them, s."""

CLOCK_PERIOD = 0.1
"""Between two words of what simulated time it is, s."""

SERVICE_TIMEOUT = 5.0
QUEUE_DEPTH = 5
"""Samples of one topic that may wait in the middleware; what is latched has its publisher's."""

_STEADY = Clock(clock_type=ClockType.STEADY_TIME)
_PUBLISHED_DEPTH = 10


@dataclass(frozen=True)
class FoxgloveSettings(Settings):
    """Where Foxglove connects to, and what it may do."""

    host: str = setting("127.0.0.1", "loopback address to listen on")
    port: int = setting(8765, "TCP port; 0 for any free one", ge=0, le=65535)
    backlog: int = setting(16, "messages that may wait for a slow client", ge=1, le=65536)
    topics: Sequence[str] = setting(("",), "topics besides those of the topic table; * and ? match")
    publish: Sequence[str] = setting(("",), "topics that Foxglove may publish on")
    call: Sequence[str] = setting(("",), f"services that Foxglove may call besides {STOP_SERVICE}")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_loopback(self.host):
            raise UserError(
                f"host {self.host!r} is not a loopback address, and Foxglove's server asks nobody "
                "who they are: listen on 127.0.0.1 and reach it through an SSH tunnel"
            )

    def permissions(self, namespace: str) -> Permissions:
        """Return what is permitted, names taken as in a namespace.

        Foxglove logs nobody in: whoever reaches the port may do what is listed, as a viewer.

        Raises:
            UserError: a name is none.
        """
        return Permissions(
            publish=(f"view {name}" for name in self.publish if name),
            call=(f"view {name}" for name in self.call if name),
            namespace=namespace,
        )


class FoxgloveBridge(ManagedNode):
    """Subscribes to what somebody looks at, and only then; hands the serialized bytes on."""

    def __init__(self) -> None:
        super().__init__("foxglove_bridge")
        self._settings = self.settings(FoxgloveSettings())

    def configure(self) -> None:
        """Load Foxglove's server, and read what is permitted."""
        self._foxglove = _sdk()
        namespace, settings = self.get_namespace(), self._settings.value
        self._patterns = [full_name(name, namespace) for name in settings.topics if name]
        self._permissions = settings.permissions(namespace)

    def activate(self) -> None:
        """Listen on the port.

        Raises:
            UserError: it is taken.
        """
        settings = self._settings.value
        self._stop_service = self._permissions.stop_service
        self._errands = Errands(self)
        self._calls = ServiceCalls(self, self._errands)
        self._calls.prepare(self._stop_service, "std_srvs/SetBool")
        self._sink = self._foxglove.Context()
        self._streams: dict[int, _Stream] = {}
        self._known: set[str] = set()
        self._offered_services: set[str] = set()
        self._publications = _Publications(self, self._permissions)
        for topic in topics.TOPICS:
            name = self.resolve_topic_name(topic.name)
            self._offer(name, topic.type.replace("/", "/msg/"), topic)
        self._server = self._start(settings.host, settings.port, settings.backlog)
        self._discover()
        self.create_timer(DISCOVERY_PERIOD, self._discover, clock=_STEADY)
        self._simulated = self.get_parameter("use_sim_time").value
        if self._simulated:
            self.create_timer(CLOCK_PERIOD, self._tell_time, clock=_STEADY)
        self.get_logger().info(
            f"Foxglove: open a connection to ws://{settings.host}:{self._server.port}"
        )

    @property
    def port(self) -> int:
        """TCP port it listens on."""
        return int(self._server.port)

    def deactivate(self) -> None:
        """Disconnect every client."""
        self._server.stop()
        self._errands.close()
        self._calls.close()

    def _start(self, host: str, port: int, backlog: int) -> Any:
        capability = self._foxglove.websocket.Capability
        capabilities = [capability.Parameters, capability.Services]
        if self._permissions.topics:
            capabilities.append(capability.ClientPublish)
        if self.get_parameter("use_sim_time").value:
            capabilities.append(capability.Time)
        try:
            return self._foxglove.start_server(
                name=self.get_fully_qualified_name(),
                host=host,
                port=port,
                capabilities=capabilities,
                server_listener=_Listener(self),
                supported_encodings=["cdr"],
                services=[self._service(self._stop_service, "std_srvs/srv/SetBool")],
                context=self._sink,
                message_backlog_size=backlog,
            )
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"cannot listen for Foxglove on {host}:{port} ({error}): stop what listens there "
                "or choose another with the parameter `port` (launch argument foxglove_port)"
            ) from None

    # Topics, on their way out.

    def _offer(self, name: str, type_name: str, topic: Topic | None = None) -> None:
        """Advertise a topic; what has no definition here is left out, once and for all."""
        self._known.add(name)
        try:
            kind = interface_class(type_name)
        except ValueError as error:
            self.get_logger().warning(f"{name} is not served: {error}")
            return
        schema = self._schema(type_name)
        channel = self._foxglove.Channel(
            name, message_encoding="cdr", schema=schema, context=self._sink
        )
        self._streams[channel.id()] = _Stream(self, channel, kind, topic)

    def _schema(self, type_name: str) -> Any:
        text = definition_with_dependencies(type_name)
        return self._foxglove.Schema(name=type_name, encoding="ros2msg", data=text.encode())

    def _discover(self) -> None:
        if self._patterns:
            for name, types in self.get_topic_names_and_types():
                wanted = any(fnmatchcase(name, pattern) for pattern in self._patterns)
                if wanted and name not in self._known and len(types) == 1:
                    self._offer(name, types[0])
        missing = self._permissions.services.keys() - self._offered_services
        for name, types in self.get_service_names_and_types() if missing else ():
            if name in missing:
                self._offered_services.add(name)
                self._server.add_services([self._service(name, types[0])])

    def log_time(self, published: int) -> int:
        """Return when a sample counts as logged, ns: by the robot's clock where that is simulated.

        Args:
            published: Its source timestamp, wall clock, ns.
        """
        return int(self.get_clock().now().nanoseconds) if self._simulated else published

    def _tell_time(self) -> None:
        self._server.broadcast_time(self.get_clock().now().nanoseconds)

    def listen(self, channel: int, client: int, wanted: bool) -> None:
        """Begin or end to serve a topic to a client; from any thread."""
        self._errands.tell(partial(self._streams[channel].serve, client, wanted))

    # What clients ask of the robot.

    def _service(self, name: str, type_name: str) -> Any:
        sdk = self._foxglove
        request, response = (
            sdk.MessageSchema(encoding="cdr", schema=self._schema(f"{type_name}_{half}"))
            for half in ("Request", "Response")
        )
        schema = sdk.ServiceSchema(type_name, request=request, response=response)
        return sdk.Service(name, schema=schema, handler=partial(self._call, name, type_name))

    def _call(self, name: str, type_name: str, call: Any) -> bytes:
        """Answer a client's call; what is raised here is told to the client."""
        kind = interface_class(type_name, "srv")
        request = deserialize_message(call.payload, kind.Request)
        refusal = self._permissions.calling(name, request, Role.VIEW)
        if refusal is not None:
            raise PermissionError(refusal)
        answer = self._calls.call(name, type_name, request, SERVICE_TIMEOUT)
        self.get_logger().warning(f"Foxglove client {call.client_id} calls {name}")
        return bytes(serialize_message(answer.result()))

    def advertised(self, client: int, channel: Any) -> None:
        """Take note of what a client wants to publish."""
        refusal = self._publications.begin(client, channel)
        if refusal is not None:
            self._tell(refusal)

    def unadvertised(self, client: int, channel: int) -> None:
        """Forget what a client wanted to publish."""
        self._publications.end(client, channel)

    def received(self, client: int, channel: int, data: bytes) -> None:
        """Publish what a client sends, if it may."""
        refusal = self._publications.publish(client, channel, data)
        if refusal is not None:
            self._tell(refusal)

    def in_node(self, errand: Any) -> None:
        """Run something in the thread that spins the node."""
        self._errands.tell(errand)

    def _tell(self, text: str) -> None:
        self.get_logger().warning(text)
        self._server.publish_status(text, self._foxglove.StatusLevel.Warning)

    def parameters(self, names: Iterable[str]) -> list[Any]:
        """Return parameters of the robot's nodes, `/node.name`; all of them if none is named."""
        wanted = by_node(names, ".") or {
            f"{namespace.rstrip('/')}/{name}": []
            for name, namespace in self.get_node_names_and_namespaces()
            if not name.startswith("_")
        }
        values, silent = read_parameters(self._calls, wanted)
        if silent:
            self._tell(f"no answer about parameters from {', '.join(silent)}")
        return [
            self._foxglove.Parameter(f"{node}.{name}", value=value)
            for node in sorted(values)
            for name, value in sorted(values[node].items())
        ]


class _Stream:
    """One topic: subscribed to while somebody looks at it; lives in the node's thread."""

    def __init__(self, node: FoxgloveBridge, channel: Any, kind: type, topic: Topic | None) -> None:
        self._node = node
        self._channel = channel
        self._kind = kind
        self._topic = topic
        self._listeners: set[int] = set()
        self._subscription: Any = None

    def serve(self, client: int, wanted: bool) -> None:
        """Begin or end to serve a client."""
        if wanted:
            self._listeners.add(client)
            # What is latched comes to new subscriptions only: one more listener takes a new one.
            if self._subscription is None or self._is_latched():
                self._unsubscribe()
                self._subscribe()
        else:
            self._listeners.discard(client)
            if not self._listeners:
                self._unsubscribe()

    def _subscribe(self) -> None:
        name = self._channel.topic()
        if self._topic is not None:
            depth = self._topic.qos.depth if self._is_latched() else QUEUE_DEPTH
            profile = listening_profile(self._topic, depth)
        else:
            profile = matching_profile(self._node.get_publishers_info_by_topic(name), QUEUE_DEPTH)
        self._subscription = self._node.create_subscription(
            self._kind, name, self._on_sample, profile, raw=True
        )

    def _is_latched(self) -> bool:
        if self._topic is None:
            return True  # as far as anybody knows
        return self._topic.qos.durability is Durability.TRANSIENT_LOCAL

    def _unsubscribe(self) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def _on_sample(self, data: bytes, info: dict[str, int]) -> None:
        self._channel.log(bytes(data), log_time=self._node.log_time(info["source_timestamp"]))


class _Publications:
    """What clients publish, where that is permitted; called by the SDK's threads."""

    def __init__(self, node: FoxgloveBridge, permissions: Permissions) -> None:
        self._node = node
        self._permissions = permissions
        self._lock = threading.Lock()
        self._advertised: dict[tuple[int, int], tuple[str, str]] = {}
        self._publishers: dict[tuple[str, str], Any] = {}

    def begin(self, client: int, channel: Any) -> str | None:
        """Return why a client may not publish on a channel, None if it may."""
        refusal = self._permissions.publishing(channel.topic, Role.VIEW)
        if refusal is not None:
            return refusal
        if channel.encoding != "cdr":
            return f"{channel.topic}: encoding {channel.encoding} is not taken, only cdr"
        try:
            interface_class(channel.schema_name)
        except ValueError as error:
            return f"{channel.topic}: {error}"
        key = (channel.topic, channel.schema_name)
        with self._lock:
            self._advertised[client, channel.id] = key
        # At once: what is published before a new publisher was discovered is heard by nobody.
        self._node.in_node(partial(self._publisher, *key))
        return None

    def end(self, client: int, channel: int) -> None:
        """Forget a channel."""
        with self._lock:
            self._advertised.pop((client, channel), None)

    def publish(self, client: int, channel: int, data: bytes) -> str | None:
        """Publish a message; return why not, None if it is done."""
        with self._lock:
            known = self._advertised.get((client, channel))
        if known is None:
            return f"client {client} may not publish on its channel {channel}"
        topic, type_name = known
        try:
            message = deserialize_message(data, interface_class(type_name))
        except Exception as error:  # of what kind depends on the middleware
            return f"{topic}: what client {client} sent is no {type_name} ({error})"
        self._node.in_node(lambda: self._publisher(topic, type_name).publish(message))
        return None

    def _publisher(self, topic: str, type_name: str) -> Any:
        key = (topic, type_name)
        if key not in self._publishers:
            self._publishers[key] = self._node.create_publisher(
                interface_class(type_name), topic, _PUBLISHED_DEPTH
            )
        return self._publishers[key]


class _Listener:
    """What the SDK calls, in threads of its own."""

    def __init__(self, node: FoxgloveBridge) -> None:
        self._node = node

    def on_subscribe(self, client: Any, channel: Any) -> None:
        self._node.listen(channel.id, client.id, True)

    def on_unsubscribe(self, client: Any, channel: Any) -> None:
        self._node.listen(channel.id, client.id, False)

    def on_client_advertise(self, client: Any, channel: Any) -> None:
        self._node.advertised(client.id, channel)

    def on_client_unadvertise(self, client: Any, client_channel_id: int) -> None:
        self._node.unadvertised(client.id, client_channel_id)

    def on_message_data(self, client: Any, client_channel_id: int, data: bytes) -> None:
        self._node.received(client.id, client_channel_id, data)

    def on_get_parameters(
        self, client: Any, param_names: list[str], request_id: str | None = None
    ) -> list[Any]:
        return self._node.parameters(param_names)

    def on_set_parameters(
        self, client: Any, parameters: list[Any], request_id: str | None = None
    ) -> list[Any]:
        """Return what the parameters are: nothing is set from here."""
        return self._node.parameters(parameter.name for parameter in parameters)

    def on_parameters_subscribe(self, param_names: list[str]) -> None:
        """Do nothing: parameters are read when they are asked for."""

    def on_parameters_unsubscribe(self, param_names: list[str]) -> None:
        """Do nothing, as above."""


def _sdk() -> ModuleType:
    try:
        import foxglove
        import foxglove.websocket
    except ImportError:
        raise UserError(
            "foxglove_bridge needs foxglove-sdk: pip install 'edge_robot[foxglove]'"
        ) from None
    return foxglove


def main() -> None:
    """Run the node."""
    run(FoxgloveBridge)


if __name__ == "__main__":
    main()
