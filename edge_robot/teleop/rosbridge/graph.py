"""What rosbridge needs of the robot's graph; `edge_robot.nodes.rosbridge_graph` has it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

Names = dict[str, list[str]]
"""Names of topics or services, each with its types, `std_msgs/msg/String`."""


class Listening(Protocol):
    """A subscription of the robot's.

    Attributes:
        keeps: Samples that a late joiner is to have too; 0 where nothing is latched.
    """

    keeps: int

    def close(self) -> None:
        """End it."""


class Publication(Protocol):
    """A publisher of the robot's."""

    def publish(self, message: Any) -> None:
        """Publish a message."""

    def close(self) -> None:
        """End it."""


class Graph(Protocol):
    """Topics, services and nodes; each method may be called from any thread and returns at once."""

    def topics(self) -> Names:
        """Return all topics."""

    def services(self) -> Names:
        """Return all services."""

    def nodes(self) -> list[str]:
        """Return the full names of all nodes."""

    def node(self, name: str) -> tuple[list[str], list[str], list[str]]:
        """Return the topics a node publishes, those it subscribes to, and its services.

        Raises:
            LookupError: there is no such node.
        """

    def publishers(self, topic: str) -> list[str]:
        """Return the full names of the nodes that publish a topic."""

    def subscribers(self, topic: str) -> list[str]:
        """Return the full names of the nodes that subscribe to a topic."""

    def listen(self, topic: str, type_name: str, hear: Callable[[bytes], None]) -> Listening:
        """Subscribe to a topic; `hear` gets serialized samples, in the robot's thread."""

    def decode(self, type_name: str, data: bytes) -> Any:
        """Return a message from its bytes.

        Raises:
            ValueError: they are no such message.
        """

    def advertise(self, topic: str, type_name: str) -> Publication:
        """Make a publisher."""

    def call(self, service: str, type_name: str, request: Any) -> Future[Any]:
        """Call a service; the future ends with a TimeoutError where there is no answer."""

    def now(self) -> tuple[int, int]:
        """Return the robot's time, s and ns."""
