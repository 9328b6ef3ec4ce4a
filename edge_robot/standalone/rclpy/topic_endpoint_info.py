"""Who publishes on a topic or subscribes to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from edge_robot.standalone.dds.graph import Graph, NodeEntities
from edge_robot.standalone.dds.library import INFINITE
from edge_robot.standalone.dds.naming import ros_type_name, topic_name
from edge_robot.standalone.dds.qos import DdsQos
from edge_robot.standalone.rclpy.duration import Duration, Infinite
from edge_robot.standalone.rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSProfile,
    ReliabilityPolicy,
)

_UNKNOWN = "_NODE_NAME_UNKNOWN_"


class TopicEndpointTypeEnum(IntEnum):
    """Which end of a topic."""

    INVALID = 0
    PUBLISHER = 1
    SUBSCRIPTION = 2


@dataclass(frozen=True)
class TopicEndpointInfo:
    """One publisher or subscription."""

    node_name: str
    node_namespace: str
    topic_type: str
    topic_type_hash: str
    endpoint_type: TopicEndpointTypeEnum
    endpoint_gid: list[int]
    qos_profile: QoSProfile


def topic_endpoints(
    graph: Graph, topic: str, kind: TopicEndpointTypeEnum
) -> list[TopicEndpointInfo]:
    """Return the publishers of a fully qualified topic, or its subscriptions."""
    publishers = kind is TopicEndpointTypeEnum.PUBLISHER
    wanted = topic_name(topic)
    found = graph.writers() if publishers else graph.readers()
    owners = _owners(graph.nodes(), publishers)
    unknown = NodeEntities(_UNKNOWN, _UNKNOWN)
    return [
        TopicEndpointInfo(
            node_name=owners.get(endpoint.guid, unknown).name,
            node_namespace=owners.get(endpoint.guid, unknown).namespace,
            topic_type=ros_type_name(endpoint.type_name),
            topic_type_hash=endpoint.user_data.get("typehash", "INVALID"),
            endpoint_type=kind,
            endpoint_gid=list(endpoint.guid),
            qos_profile=_profile(endpoint.qos),
        )
        for endpoint in found
        if endpoint.topic_name == wanted
    ]


def _owners(nodes: Iterable[NodeEntities], publishers: bool) -> dict[bytes, NodeEntities]:
    return {guid: node for node in nodes for guid in (node.writers if publishers else node.readers)}


def _duration(nanoseconds: int) -> Duration:
    return Infinite if nanoseconds >= INFINITE else Duration(nanoseconds=nanoseconds)


def _profile(qos: DdsQos) -> QoSProfile:
    """Return the contract of a discovered endpoint; discovery does not tell its history."""
    return QoSProfile(
        history=HistoryPolicy.UNKNOWN,
        depth=0,
        reliability=(ReliabilityPolicy.RELIABLE if qos.reliable else ReliabilityPolicy.BEST_EFFORT),
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
