"""Which node has which endpoints: what `ros_discovery_info` carries."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from edge_robot.standalone.dds.discovery import Discovery, Endpoint
from edge_robot.standalone.dds.drops import Drops
from edge_robot.standalone.dds.endpoints import Reader, Writer
from edge_robot.standalone.dds.naming import type_name
from edge_robot.standalone.dds.participant import Participant
from edge_robot.standalone.dds.qos import DdsQos
from edge_robot.standalone.interfaces.codec import CdrError, codec
from edge_robot.standalone.interfaces.hashing import type_hash_user_data
from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.interfaces.store import interfaces

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


def announcement(participant: bytes, nodes: Iterable[NodeEntities]) -> bytearray:
    """Return the CDR form of a `ParticipantEntitiesInfo`.

    Every node of every process writes this for each of its endpoints, and most never read one: so
    it is made without the message's class and codec.

    Args:
        participant: GUID.
        nodes: Its nodes.
    """
    out = bytearray(b"\x00\x01\x00\x00")  # little endian; 4 bytes, so alignment is the buffer's
    gid_size = interfaces().message("rmw_dds_common/msg/Gid").fields[0].type.array or 0

    def number(value: int) -> None:
        out.extend(bytes(-len(out) % 4))
        out.extend(value.to_bytes(4, "little"))

    def gids(guids: Sequence[bytes]) -> None:
        number(len(guids))
        for guid in guids:
            out.extend(guid.ljust(gid_size, b"\0"))

    out.extend(participant.ljust(gid_size, b"\0"))
    nodes = list(nodes)
    number(len(nodes))
    for node in nodes:
        for text in (node.namespace.encode(), node.name.encode()):
            number(len(text) + 1)
            out.extend(text + b"\0")
        gids(node.readers)
        gids(node.writers)
    return out


class Graph:
    """Tells other participants of this one's nodes, and knows theirs.

    Others' announcements are only looked at when someone asks.

    Args:
        participant: Whose nodes to tell of.
        warn: Writes a warning: of announcements that cannot be understood.
    """

    def __init__(self, participant: Participant, warn: Callable[[str], object]) -> None:
        self._participant = participant
        self._own: list[NodeEntities] = []
        self._others: dict[bytes, list[NodeEntities]] = {}
        self._lock = threading.RLock()
        self._gathering = 0
        self._changed = False
        self._discovery: Discovery | None = None
        self.drops = Drops(TOPIC, "announcement", warn)
        latched = DdsQos(depth=1, transient_local=True)
        self._writer = Writer(
            participant, TOPIC, type_name(_TYPE), latched, type_hash_user_data(_TYPE)
        )
        self._reader = self._new_reader()

    def _new_reader(self) -> Reader:
        return Reader(
            self._participant,
            TOPIC,
            type_name(_TYPE),
            DdsQos(depth=_HISTORY, transient_local=True, ignore_local=True),
            type_hash_user_data(_TYPE),  # rmw_cyclonedds warns of endpoints without one
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

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Announce all changes of the body at its end, at once."""
        with self._lock:
            self._gathering += 1
        try:
            yield
        finally:
            with self._lock:
                self._gathering -= 1
                if self._changed:
                    self.announce()

    def announce(self) -> None:
        """Tell the other participants how things are."""
        with self._lock:
            self._changed = self._gathering > 0
            if not self._changed:
                self._writer.write(announcement(self._participant.guid, self._own))

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
        read = codec(message_class(_TYPE)).read
        taken = 0
        while (sample := self._reader.take()) is not None:
            taken += 1
            try:
                info = read(sample[0])
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
        if taken >= _HISTORY:
            # Some may have been pushed out by newer ones: who is still there tells a new reader.
            self._reader.close()
            self._reader = self._new_reader()
