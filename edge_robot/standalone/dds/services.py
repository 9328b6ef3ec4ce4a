"""Requests and replies as rmw_cyclonedds sends them.

A request carries its client's id and a sequence number before its fields; the reply carries the
same two, and clients ignore replies that are not theirs.
"""

from __future__ import annotations

import ctypes as ct
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from edge_robot.standalone.dds import library
from edge_robot.standalone.dds.discovery import matched_reader, matched_writer
from edge_robot.standalone.dds.endpoints import Reader, Writer
from edge_robot.standalone.dds.library import S_TO_NS, check, lib
from edge_robot.standalone.dds.naming import reply_topic_name, request_topic_name, type_name
from edge_robot.standalone.dds.participant import Participant
from edge_robot.standalone.dds.qos import DdsQos
from edge_robot.standalone.dds.waitset import WaitSet

_ENCAPSULATION = 4
_LITTLE_ENDIAN_ID = struct.Struct("<Qq")
_BIG_ENDIAN_ID = struct.Struct(">Qq")

_CLIENT_DISCOVERY = 0.1
"""How long a server waits for a new client's reader to be discovered before it replies, s."""

_numbers = count(1)


@dataclass(frozen=True)
class RequestId:
    """Whose request it is.

    Attributes:
        client: The client's id.
        number: Its sequence number.
        writer: Instance handle of the writer it came from.
    """

    client: int
    number: int
    writer: int = 0


def _join(request: RequestId, data: bytes | bytearray) -> bytes:
    # The id takes 16 bytes, so the alignment of what follows it does not change.
    identity = _LITTLE_ENDIAN_ID.pack(request.client, request.number)
    return bytes(data[:_ENCAPSULATION]) + identity + bytes(data[_ENCAPSULATION:])


def _split(data: bytes, writer: int) -> tuple[RequestId, bytes] | None:
    """Return whose message it is and its CDR bytes; None if it is too short to be one."""
    order = _LITTLE_ENDIAN_ID if data[1:2] == b"\x01" else _BIG_ENDIAN_ID
    start = _ENCAPSULATION + order.size
    if len(data) < start:
        return None
    client, number = order.unpack_from(data, _ENCAPSULATION)
    return RequestId(client, number, writer), data[:_ENCAPSULATION] + data[start:]


def _identity(participant: Participant) -> str:
    """Return an id that only this client or server has, in rmw_cyclonedds' spelling."""
    first, *rest = participant.guid[:12] + next(_numbers).to_bytes(4, "big")
    return ".".join([f"{first:2x}", *(f"{byte:x}" for byte in rest)])  # two places for the first


class _Pair:
    """The writer and the reader of a client or server."""

    def __init__(
        self,
        participant: Participant,
        topics: tuple[tuple[str, str], tuple[str, str]],
        qos: DdsQos,
        hashes: tuple[bytes, bytes],
        role: str,
    ) -> None:
        identity = f"{role}={_identity(participant)};".encode()
        (write_topic, write_type), (read_topic, read_type) = topics
        self.participant = participant
        self.writer = Writer(participant, write_topic, write_type, qos, identity + hashes[0])
        self.reader = Reader(participant, read_topic, read_type, qos, identity + hashes[1])

    def take(self) -> tuple[RequestId, bytes | None] | None:
        """Return the oldest message; None if there is none, no bytes if it is malformed."""
        sample = self.reader.take()
        if sample is None:
            return None
        data, info = sample
        parts = _split(data, info.publication_handle)
        return (RequestId(0, 0), None) if parts is None else parts

    def close(self) -> None:
        """End both."""
        self.writer.close()
        self.reader.close()


def _topics(service: str, service_type: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (
        (request_topic_name(service), type_name(f"{service_type}_Request")),
        (reply_topic_name(service), type_name(f"{service_type}_Response")),
    )


class ServerEndpoints(_Pair):
    """The DDS side of a service.

    Args:
        participant: Parent.
        service: Fully qualified name.
        service_type: `package/srv/Name`.
        qos: Contract of both directions.
        hashes: USER_DATA with the type hashes of request and response.
    """

    def __init__(
        self,
        participant: Participant,
        service: str,
        service_type: str,
        qos: DdsQos,
        hashes: tuple[bytes, bytes],
    ) -> None:
        request, reply = _topics(service, service_type)
        super().__init__(participant, (reply, request), qos, hashes[::-1], "serviceid")

    def reply(self, request: RequestId, data: bytes | bytearray) -> bool:
        """Send a reply; False if its client is not reachable."""
        deadline = time.monotonic() + _CLIENT_DISCOVERY
        while not self._hears_me(request):
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.002)  # discovery of a client's two endpoints is not atomic
        self.writer.write(_join(request, data))
        return True

    def _hears_me(self, request: RequestId) -> bool:
        """Return whether the client's reader has been discovered (or cannot be told apart)."""
        origin = matched_writer(self.reader.handle, request.writer)
        if origin is None:
            return True  # the client has gone; nobody waits for the reply
        client = origin.user_data.get("clientid")
        if client is None:
            return True
        readers = (matched_reader(self.writer.handle, handle) for handle in self.writer.matched())
        return any(reader and reader.user_data.get("clientid") == client for reader in readers)


class ClientEndpoints(_Pair):
    """The DDS side of a client; arguments as for `ServerEndpoints`."""

    def __init__(
        self,
        participant: Participant,
        service: str,
        service_type: str,
        qos: DdsQos,
        hashes: tuple[bytes, bytes],
    ) -> None:
        super().__init__(participant, _topics(service, service_type), qos, hashes, "clientid")
        self.identity = self.writer.instance_handle
        self._numbers = count(1)
        self._lock = threading.Lock()

    def request(self, data: bytes | bytearray, sent: Callable[[int], None]) -> int:
        """Send a request; `sent` learns its number before a reply can come. Return the number."""
        with self._lock:
            number = next(self._numbers)
        sent(number)
        self.writer.write(_join(RequestId(self.identity, number), data))
        return number

    def server_is_available(self) -> bool:
        """Return whether a server would get a request and its reply would come back."""
        servers = {
            reader.user_data.get("serviceid")
            for handle in self.writer.matched()
            if (reader := matched_reader(self.writer.handle, handle))
        }
        repliers = {
            writer.user_data.get("serviceid")
            for handle in self.reader.matched()
            if (writer := matched_writer(self.reader.handle, handle))
        }
        return bool(servers & repliers)

    def wait_for_server(
        self,
        timeout_sec: float | None,
        running: Callable[[], bool],
        register: Callable[[WaitSet], object],
    ) -> bool:
        """Wait until a server is available.

        Args:
            timeout_sec: Longest wait, s; None for no limit.
            running: Whether to go on waiting.
            register: Is given the wait set, to wake it when `running` changes.

        Returns:
            False on time-out, or when `running` says so.
        """
        deadline = None if timeout_sec is None else time.monotonic() + timeout_sec
        wait_set = WaitSet(self.participant)
        statuses = {
            self.writer.handle: library.PUBLICATION_MATCHED,
            self.reader.handle: library.SUBSCRIPTION_MATCHED,
        }
        try:
            for entity, status in statuses.items():
                check(lib.set_status_mask(entity, status), "watching for servers")
                wait_set.attach(entity)
            register(wait_set)
            while running():
                if self.server_is_available():
                    return True
                remaining = library.INFINITE
                if deadline is not None:
                    remaining = int((deadline - time.monotonic()) * S_TO_NS)
                    if remaining <= 0:
                        return False
                for entity in wait_set.wait(remaining):
                    lib.take_status(entity, ct.byref(ct.c_uint32()), statuses[entity])
            return False
        finally:
            wait_set.close()
