"""What Cyclone DDS knows about participants and endpoints elsewhere.

Read straight from the C library: the Python binding's way leaks every USER_DATA it returns, and
keeps it for a moment in a place that all threads share.
"""

from __future__ import annotations

import ctypes as ct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from edge_robot.standalone.dds.library import ANY_STATE, SampleInfo, check, lib
from edge_robot.standalone.dds.participant import Participant
from edge_robot.standalone.dds.qos import DdsQos, read_endpoint_qos, read_user_data

_T = TypeVar("_T")

PARTICIPANTS_TOPIC = 0x7FFF0001
PUBLICATIONS_TOPIC = 0x7FFF0003
SUBSCRIPTIONS_TOPIC = 0x7FFF0004
ALIVE = 16
"""Instance state of an endpoint that exists."""

_CHUNK = 1024
"""Descriptions asked for at once, at first."""


@dataclass(frozen=True)
class Endpoint:
    """A writer or a reader somewhere.

    Attributes:
        guid: The 16 bytes that name it on the network.
        participant: The 16 bytes of its participant's name.
        topic_name: DDS topic.
        type_name: DDS type.
        qos: What it offers or requests, as far as discovery tells.
        user_data: Its USER_DATA: `key=value;` pairs.
    """

    guid: bytes
    participant: bytes
    topic_name: str
    type_name: str
    qos: DdsQos
    user_data: dict[str, str]


class BuiltinEndpoint(ct.Structure):
    """`dds_builtintopic_endpoint_t`."""

    _fields_ = (
        ("key", ct.c_uint8 * 16),
        ("participant_key", ct.c_uint8 * 16),
        ("participant_instance_handle", ct.c_uint64),
        ("topic_name", ct.c_char_p),
        ("type_name", ct.c_char_p),
        ("qos", ct.c_void_p),
    )


class BuiltinParticipant(ct.Structure):
    """`dds_builtintopic_participant_t`."""

    _fields_ = (("key", ct.c_uint8 * 16), ("qos", ct.c_void_p))


def _pairs(text: bytes) -> dict[str, str]:
    pairs = (item.partition("=") for item in text.decode("utf-8", "replace").split(";"))
    return {key: value for key, separator, value in pairs if separator}


def _endpoint(address: int) -> Endpoint:
    found = BuiltinEndpoint.from_address(address)
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
    topic = PUBLICATIONS_TOPIC if writers else SUBSCRIPTIONS_TOPIC
    handle = lib.create_reader(participant.handle, topic, None, None)
    return check(handle, "reading discovery data")


def _described(reader: int, describe: Callable[[int], _T], *, take: bool) -> list[_T]:
    """Return what a built-in reader has of things that exist, each as `describe` reads it."""
    get = lib.take if take else lib.read
    size = _CHUNK
    while True:
        # Null pointers ask Cyclone to lend its own samples.
        samples = (ct.c_void_p * size)()
        infos = (SampleInfo * size)()
        count = check(get(reader, samples, infos, size, size), "reading discovery data")
        try:
            if count < size or take:
                return [
                    describe(address)
                    for address, info in zip(samples[:count], infos[:count], strict=True)
                    if address and info.valid_data and info.instance_state == ALIVE
                ]
        finally:
            lib.return_loan(reader, samples, count)
        size *= 2


def endpoints(reader: int, *, take: bool = False) -> list[Endpoint]:
    """Return the endpoints that exist, from a `discovery_reader`.

    Args:
        reader: Its handle.
        take: Whether to leave out, next time, what has not changed since.
    """
    found = _described(reader, _endpoint, take=take)
    # Readers of discovery data, such as this one, are nobody's business.
    return [endpoint for endpoint in found if not endpoint.topic_name.startswith("DCPS")]


def _participant(address: int) -> tuple[bytes, dict[str, str]]:
    found = BuiltinParticipant.from_address(address)
    return bytes(found.key), _pairs(read_user_data(found.qos))


class Discovery:
    """All participants and endpoints known in a participant's domain, its own included."""

    def __init__(self, participant: Participant) -> None:
        handle = lib.create_reader(participant.handle, PARTICIPANTS_TOPIC, None, None)
        self._participants = check(handle, "reading discovery data")
        self._writers = discovery_reader(participant, writers=True)
        self._readers = discovery_reader(participant, writers=False)

    def participants(self) -> dict[bytes, dict[str, str]]:
        """Return the participants' GUIDs, each with its USER_DATA."""
        return dict(_described(self._participants, _participant, take=False))

    def writers(self) -> list[Endpoint]:
        """Return the writers."""
        return endpoints(self._writers)

    def readers(self) -> list[Endpoint]:
        """Return the readers."""
        return endpoints(self._readers)


class TypeWatch:
    """Notices endpoints that come to a topic with another type, which DDS passes over in silence.

    `condition` is the handle to attach to a wait set: it is triggered while there is news.

    Args:
        participant: Parent.
        topic: DDS topic name.
        type_name: DDS type that others should have.
        writers: Whether to watch for writers, not for readers.
    """

    def __init__(
        self, participant: Participant, topic: str, type_name: str, *, writers: bool
    ) -> None:
        self._reader = discovery_reader(participant, writers=writers)
        self.condition = check(
            lib.create_readcondition(self._reader, ANY_STATE), "watching discovery data"
        )
        self._topic = topic
        self._type_name = type_name
        self._total = 0

    def take(self) -> tuple[int, int] | None:
        """Return how many have come, and how many since the last call; None if none since."""
        change = sum(
            endpoint.topic_name == self._topic and endpoint.type_name != self._type_name
            for endpoint in endpoints(self._reader, take=True)
        )
        self._total += change
        return (self._total, change) if change else None

    def close(self) -> None:
        """End it."""
        lib.delete(self._reader)
