"""Which node has which endpoints: what `ros_discovery_info` carries."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edge_robot.standalone.dds.discovery import Discovery, Endpoint
from edge_robot.standalone.dds.drops import Drops
from edge_robot.standalone.dds.endpoints import Reader, Writer
from edge_robot.standalone.dds.naming import type_name
from edge_robot.standalone.dds.participant import Participant
from edge_robot.standalone.dds.qos import DdsQos
from edge_robot.standalone.interfaces.codec import CdrError, codec
from edge_robot.standalone.interfaces.message import message_class

TOPIC = "ros_discovery_info"
_TYPE = "rmw_dds_common/msg/ParticipantEntitiesInfo"

_HISTORY = 1000
"""Updates of other participants kept until someone asks for the graph."""


@dataclass
class NodeEntities:
    """A node, its participant's GUID and the GUIDs of its endpoints."""

    namespace: str
    name: str
    participant: bytes = b""
    readers: list[bytes] = field(default_factory=list)
    writers: list[bytes] = field(default_factory=list)


class Graph:
    """Tells other participants of this one's nodes, and knows theirs.

    Others' announcements are only looked at when someone asks.

    Args:
        participant: Whose nodes to tell of.
        warn: Writes a warning: of announcements that cannot be understood.
    """

    def __init__(self, participant: Participant, warn: Callable[[str], object]) -> None:
        message_type = message_class(_TYPE)
        self._codec = codec(message_type)
        self._message_type = message_type
        self._entities_type = message_class("rmw_dds_common/msg/NodeEntitiesInfo")
        self._gid_type = message_class("rmw_dds_common/msg/Gid")
        self._participant = participant
        self._own: list[NodeEntities] = []
        self._others: dict[bytes, list[NodeEntities]] = {}
        self._lock = threading.RLock()
        self._discovery: Discovery | None = None
        self.drops = Drops(TOPIC, "announcement", warn)
        dds_type = type_name(_TYPE)
        latched = DdsQos(depth=1, transient_local=True)
        self._writer = Writer(participant, TOPIC, dds_type, latched)
        self._reader = Reader(
            participant,
            TOPIC,
            dds_type,
            DdsQos(depth=_HISTORY, transient_local=True, ignore_local=True),
        )

    # This participant's nodes.

    def add_node(self, namespace: str, name: str) -> NodeEntities:
        """Announce a node; change what is returned, then call `announce`."""
        entities = NodeEntities(namespace, name, self._participant.guid)
        with self._lock:
            self._own.append(entities)
        self.announce()
        return entities

    def remove_node(self, entities: NodeEntities) -> None:
        """Take a node back."""
        with self._lock:
            self._own.remove(entities)
        self.announce()

    def announce(self) -> None:
        """Tell the other participants how things are."""
        with self._lock:
            info = self._message_type(
                gid=self._gid(self._participant.guid),
                node_entities_info_seq=[
                    self._entities_type(
                        node_namespace=entities.namespace,
                        node_name=entities.name,
                        reader_gid_seq=[self._gid(guid) for guid in entities.readers],
                        writer_gid_seq=[self._gid(guid) for guid in entities.writers],
                    )
                    for entities in self._own
                ],
            )
            self._writer.write(self._codec.write(info))

    def _gid(self, guid: bytes) -> Any:
        gid = self._gid_type()
        gid.data[: len(guid)] = list(guid)
        return gid

    # Everybody's.

    def nodes(self) -> list[NodeEntities]:
        """Return all nodes known, this participant's first."""
        with self._lock:
            self._listen()
            # A participant that was killed cannot take its nodes back.
            alive = self._discovered().participants()
            self._others = {guid: on for guid, on in self._others.items() if guid in alive}
            return [*self._own, *(node for nodes in self._others.values() for node in nodes)]

    def enclaves(self) -> dict[bytes, str]:
        """Return participants' GUIDs with their security enclaves."""
        return {
            guid: user_data.get("enclave", "")
            for guid, user_data in self._discovered().participants().items()
        }

    def writers(self) -> list[Endpoint]:
        """Return all writers."""
        return self._discovered().writers()

    def readers(self) -> list[Endpoint]:
        """Return all readers."""
        return self._discovered().readers()

    def _discovered(self) -> Discovery:
        with self._lock:
            if self._discovery is None:
                self._discovery = Discovery(self._participant)
            return self._discovery

    def _listen(self) -> None:
        while (sample := self._reader.take()) is not None:
            try:
                info = self._codec.read(sample[0])
            except CdrError as error:
                self.drops.add(error)
                continue
            participant = bytes(info.gid.data[:16])
            self._others[participant] = [
                NodeEntities(
                    entities.node_namespace,
                    entities.node_name,
                    participant,
                    [bytes(gid.data[:16]) for gid in entities.reader_gid_seq],
                    [bytes(gid.data[:16]) for gid in entities.writer_gid_seq],
                )
                for entities in info.node_entities_info_seq
            ]
