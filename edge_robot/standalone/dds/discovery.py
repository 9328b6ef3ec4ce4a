"""What Cyclone DDS knows about endpoints elsewhere.

Read straight from the C library: the Python binding's way leaks every USER_DATA it returns, and
keeps it for a moment in a place that all threads share.
"""

from __future__ import annotations

import ctypes as ct
from collections.abc import Callable
from dataclasses import dataclass

from edge_robot.standalone.dds.library import SampleInfo, check, lib
from edge_robot.standalone.dds.participant import Participant
from edge_robot.standalone.dds.qos import DdsQos, read_endpoint_qos

_PUBLICATIONS_TOPIC = 0x7FFF0003
_SUBSCRIPTIONS_TOPIC = 0x7FFF0004
_ALIVE = 16
"""Instance state of an endpoint that exists."""

_MAX_ENDPOINTS = 4096


@dataclass(frozen=True)
class Endpoint:
    """A writer or a reader somewhere.

    Attributes:
        guid: The 16 bytes that name it on the network.
        participant: The 16 bytes of its participant's name.
        topic_name: DDS topic.
        type_name: DDS type.
        qos: What it offers or requests, as far as discovery tells: no history.
        user_data: Its USER_DATA: `key=value;` pairs.
    """

    guid: bytes
    participant: bytes
    topic_name: str
    type_name: str
    qos: DdsQos
    user_data: dict[str, str]


class _BuiltinEndpoint(ct.Structure):
    """`dds_builtintopic_endpoint_t`."""

    _fields_ = (
        ("key", ct.c_uint8 * 16),
        ("participant_key", ct.c_uint8 * 16),
        ("participant_instance_handle", ct.c_uint64),
        ("topic_name", ct.c_char_p),
        ("type_name", ct.c_char_p),
        ("qos", ct.c_void_p),
    )


def _pairs(text: bytes) -> dict[str, str]:
    pairs = (item.partition("=") for item in text.decode("utf-8", "replace").split(";"))
    return {key: value for key, separator, value in pairs if separator}


def _endpoint(address: int) -> Endpoint:
    found = _BuiltinEndpoint.from_address(address)
    qos, user_data = read_endpoint_qos(found.qos)
    return Endpoint(
        bytes(found.key),
        bytes(found.participant_key),
        (found.topic_name or b"").decode("utf-8", "replace"),
        (found.type_name or b"").decode("utf-8", "replace"),
        qos,
        _pairs(user_data),
    )


def _matched(get: Callable[[int, int], int | None], entity: int, other: int) -> Endpoint | None:
    address = get(entity, other)
    if not address:
        return None
    try:
        return _endpoint(address)
    finally:
        lib.builtintopic_free_endpoint(address)


def matched_reader(writer: int, reader: int) -> Endpoint | None:
    """Return the description of a reader (instance handle) matched with a writer; None if gone."""
    return _matched(lib.get_matched_subscription_data, writer, reader)


def matched_writer(reader: int, writer: int) -> Endpoint | None:
    """Return the description of a writer (instance handle) matched with a reader; None if gone."""
    return _matched(lib.get_matched_publication_data, reader, writer)


def discovery_reader(participant: Participant, *, writers: bool) -> int:
    """Return a new reader of what is discovered: of all writers, or of all readers."""
    topic = _PUBLICATIONS_TOPIC if writers else _SUBSCRIPTIONS_TOPIC
    handle = lib.create_reader(participant.handle, topic, None, None)
    return check(handle, "reading discovery data")


def endpoints(reader: int, *, take: bool = False) -> list[Endpoint]:
    """Return the endpoints that exist, from a `discovery_reader`.

    Args:
        reader: Its handle.
        take: Whether to leave out, next time, what has not changed since.
    """
    # Null pointers ask Cyclone to lend its own samples.
    samples = (ct.c_void_p * _MAX_ENDPOINTS)()
    infos = (SampleInfo * _MAX_ENDPOINTS)()
    get = lib.take if take else lib.read
    count = check(
        get(reader, samples, infos, _MAX_ENDPOINTS, _MAX_ENDPOINTS), "reading discovery data"
    )
    try:
        return [
            _endpoint(address)
            for address, info in zip(samples[:count], infos[:count], strict=True)
            if address and info.valid_data and info.instance_state == _ALIVE
        ]
    finally:
        lib.return_loan(reader, samples, count)


class Discovery:
    """All endpoints known in a participant's domain, its own included."""

    def __init__(self, participant: Participant) -> None:
        self._writers = discovery_reader(participant, writers=True)
        self._readers = discovery_reader(participant, writers=False)

    def writers(self) -> list[Endpoint]:
        """Return the writers."""
        return endpoints(self._writers)

    def readers(self) -> list[Endpoint]:
        """Return the readers."""
        return endpoints(self._readers)
