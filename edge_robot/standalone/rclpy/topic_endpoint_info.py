"""Who publishes on a topic or subscribes to it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, ClassVar

from edge_robot.standalone.dds.graph import Graph, NodeEntities
from edge_robot.standalone.dds.library import INFINITE
from edge_robot.standalone.dds.naming import ros_type_name
from edge_robot.standalone.dds.qos import DdsQos
from edge_robot.standalone.rclpy.duration import Duration, Infinite
from edge_robot.standalone.rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSPresetProfiles,
    QoSProfile,
    ReliabilityPolicy,
)
from edge_robot.standalone.rclpy.type_hash import TypeHash

_NOBODY = NodeEntities("_NODE_NAMESPACE_UNKNOWN_", "_NODE_NAME_UNKNOWN_")


class TopicEndpointTypeEnum(IntEnum):
    """Which end of a topic."""

    INVALID = 0
    PUBLISHER = 1
    SUBSCRIPTION = 2


class TopicEndpointInfo:
    """One publisher or subscription.

    Args:
        node_name: Name of its node.
        node_namespace: Namespace of its node.
        topic_type: Type, as `package/msg/Name`.
        topic_type_hash: Hash of the type it means, or the hash's arguments.
        endpoint_type: Which end it is, or its number.
        endpoint_gid: Bytes that name it on the network.
        qos_profile: Its contract, or the contract's arguments.

    Raises:
        AssertionError: an argument is unknown or of another type.
    """

    _FIELDS: ClassVar[dict[str, type]] = {
        "node_name": str,
        "node_namespace": str,
        "topic_type": str,
        "topic_type_hash": TypeHash,
        "endpoint_type": TopicEndpointTypeEnum,
        "endpoint_gid": list,
        "qos_profile": QoSProfile,
    }

    node_name: str
    node_namespace: str
    topic_type: str
    topic_type_hash: TypeHash
    endpoint_type: TopicEndpointTypeEnum
    endpoint_gid: list[int]
    qos_profile: QoSProfile

    def __init__(self, **fields: Any) -> None:
        unknown = fields.keys() - self._FIELDS.keys()
        assert not unknown, f"Invalid arguments passed to constructor: {sorted(unknown)}"
        self.node_name = fields.get("node_name", "")
        self.node_namespace = fields.get("node_namespace", "")
        self.topic_type = fields.get("topic_type", "")
        self.topic_type_hash = fields.get("topic_type_hash", TypeHash())
        self.endpoint_type = fields.get("endpoint_type", TopicEndpointTypeEnum.INVALID)
        self.endpoint_gid = fields.get("endpoint_gid", [])
        self.qos_profile = fields.get("qos_profile", QoSPresetProfiles.UNKNOWN.value)

    def __setattr__(self, name: str, value: Any) -> None:
        kind = self._FIELDS.get(name)
        if kind is None:
            raise AttributeError(f"'TopicEndpointInfo' object has no attribute {name!r}")
        if isinstance(value, dict):
            value = kind(**value)
        elif kind is TopicEndpointTypeEnum and isinstance(value, int):
            value = kind(value)
        assert isinstance(value, kind)
        super().__setattr__(name, value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TopicEndpointInfo):
            return False
        return all(getattr(self, name) == getattr(other, name) for name in self._FIELDS)

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        qos = self.qos_profile
        history = qos.history.name
        if qos.history == HistoryPolicy.KEEP_LAST:
            history += f" ({qos.depth})"
        return "\n".join(
            [
                f"Node name: {self.node_name}",
                f"Node namespace: {self.node_namespace}",
                f"Topic type: {self.topic_type}",
                f"Topic type hash: {self.topic_type_hash}",
                f"Endpoint type: {self.endpoint_type.name}",
                f"GID: {'.'.join(f'{byte:02x}' for byte in self.endpoint_gid)}",
                "QoS profile:",
                f"  Reliability: {qos.reliability.name}",
                f"  History (Depth): {history}",
                f"  Durability: {qos.durability.name}",
                f"  Lifespan: {qos.lifespan}",
                f"  Deadline: {qos.deadline}",
                f"  Liveliness: {qos.liveliness.name}",
                f"  Liveliness lease duration: {qos.liveliness_lease_duration}",
            ]
        )


def topic_endpoints(
    graph: Graph, dds_topic: str, kind: TopicEndpointTypeEnum, *, mangled: bool = False
) -> list[TopicEndpointInfo]:
    """Return the publishers of a topic, or its subscriptions.

    Args:
        graph: What is known of the domain.
        dds_topic: The topic as DDS calls it.
        kind: Which end.
        mangled: Whether types are told as DDS calls them.
    """
    publishers = kind is TopicEndpointTypeEnum.PUBLISHER
    found = [
        endpoint
        for endpoint in (graph.writers() if publishers else graph.readers())
        if endpoint.topic_name == dds_topic
    ]
    owners = _owners(graph.nodes(), publishers) if found else {}
    infos = []
    for endpoint in found:
        owner = owners.get(endpoint.guid, _NOBODY)
        infos.append(
            TopicEndpointInfo(
                node_name=owner.name,
                node_namespace=owner.namespace,
                topic_type=endpoint.type_name if mangled else ros_type_name(endpoint.type_name),
                topic_type_hash=TypeHash.parse(endpoint.user_data.get("typehash", "")),
                endpoint_type=kind,
                endpoint_gid=list(endpoint.guid),
                qos_profile=_profile(endpoint.qos),
            )
        )
    return infos


def _owners(nodes: Iterable[NodeEntities], publishers: bool) -> dict[bytes, NodeEntities]:
    return {guid: node for node in nodes for guid in (node.writers if publishers else node.readers)}


def _duration(nanoseconds: int) -> Duration:
    return Infinite if nanoseconds >= INFINITE else Duration(nanoseconds=nanoseconds)


def _profile(qos: DdsQos) -> QoSProfile:
    """Return the contract of a discovered endpoint."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST if qos.depth else HistoryPolicy.KEEP_ALL,
        depth=qos.depth,
        reliability=ReliabilityPolicy.RELIABLE if qos.reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=(
            DurabilityPolicy.TRANSIENT_LOCAL if qos.transient_local else DurabilityPolicy.VOLATILE
        ),
        lifespan=_duration(qos.lifespan),
        deadline=_duration(qos.deadline),
        liveliness=(
            LivelinessPolicy.MANUAL_BY_TOPIC
            if qos.manual_liveliness
            else LivelinessPolicy.AUTOMATIC
        ),
        liveliness_lease_duration=_duration(qos.lease),
    )
