"""The C functions of Cyclone DDS that the package calls, within one process and in virtual time.

Names, arguments and results are those of the C library without the prefix `dds_` (and those of
its Python extension), so that all of the package above them is what runs on a robot.
"""

# The functions are documented where they are at home.
# ruff: noqa: D102

from __future__ import annotations

import ctypes as ct
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

from edge_robot.standalone.dds import library
from edge_robot.standalone.dds.discovery import (
    ALIVE,
    PARTICIPANTS_TOPIC,
    PUBLICATIONS_TOPIC,
    BuiltinEndpoint,
    BuiltinParticipant,
)
from edge_robot.standalone.dds.qos import DdsQos
from edge_robot.standalone.virtual.network import (
    Endpoint,
    Network,
    Reader,
    Sample,
    Writer,
    contract,
)
from edge_robot.standalone.virtual.process import Process

_BAD_PARAMETER = -3
_WOULD_BLOCK = -2
_TEXTS = {
    _BAD_PARAMETER: b"no such entity",
    _WOULD_BLOCK: b"waiting inside a callback would last for ever in virtual time",
}


class _Participant:
    """A participant."""

    def __init__(self, user_data: bytes) -> None:
        self.user_data = user_data


class _Topic:
    """A topic of a participant."""

    def __init__(self, name: str, type_name: str) -> None:
        self.name = name
        self.type_name = type_name


class _BuiltinReader:
    """Reads what is discovered: `PARTICIPANTS_TOPIC` or one of the endpoints' topics."""

    def __init__(self, topic: int) -> None:
        self.topic = topic


class _Condition:
    """Triggered while samples wait; those that have outlived their lifespan too, until taken."""

    def __init__(self, cache: deque[Sample]) -> None:
        self._cache = cache

    @property
    def triggered(self) -> bool:
        return bool(self._cache)


class _Guard:
    """Triggered when told."""

    triggered = False


class _WaitSet:
    """Entities by handle; a wait gives the handles."""

    def __init__(self) -> None:
        self.attached: dict[int, Any] = {}


class VirtualLibrary:
    """Takes the place of the functions of `edge_robot.standalone.dds.library`.

    Args:
        network: Carries the samples.
        process: Tells whose code runs now; None for the program that drives the world.
    """

    def __init__(self, network: Network, process: Callable[[], Process | None]) -> None:
        self._network = network
        self._process = process
        self._handles = count(1)
        self._entities: dict[int, Any] = {}
        self._qos: dict[int, dict[str, int | bytes]] = {}
        self._lent: list[Any] = []  # descriptions whose addresses were given away

    def _now(self) -> int:
        return self._network.schedule.now

    def _add(self, entity: Any) -> int:
        handle = next(self._handles)
        self._entities[handle] = entity
        return handle

    def strretcode(self, code: int) -> bytes:
        return _TEXTS.get(code, b"error")

    # Entities.

    def create_domain(self, _number: int, _configuration: bytes) -> int:
        return self._add(None)

    def create_participant(self, _domain: int, qos: int, _listener: None) -> int:
        _, user_data = contract(dict(self._qos[qos]))
        return self._add(_Participant(user_data))

    def ddspy_topic_create(self, _participant: int, name: str, raw: Any, *_: None) -> int:
        return self._add(_Topic(name, raw.idl_transformed_typename))

    def create_writer(self, _participant: int, topic: int, qos: int, _listener: None) -> int:
        return self._create(Writer, topic, qos)

    def create_reader(self, _participant: int, topic: int, qos: int, _listener: None) -> int:
        if topic >= PARTICIPANTS_TOPIC:
            return self._add(_BuiltinReader(topic))
        return self._create(Reader, topic, qos)

    def _create(self, kind: type[Writer] | type[Reader], topic: int, qos: int) -> int:
        of, handle = self._entities[topic], next(self._handles)
        agreed, user_data = contract(dict(self._qos[qos]))
        endpoint = kind(handle, self._process(), of.name, of.type_name, agreed, user_data)
        self._entities[handle] = endpoint
        self._network.add(endpoint)
        return handle

    def create_readcondition(self, reader: int, _mask: int) -> int:
        found = self._entities[reader]
        if not isinstance(found, Reader):
            return self._add(_Condition(deque()))
        found.condition = self._add(_Condition(found.cache))
        return found.condition

    def create_guardcondition(self, _participant: int) -> int:
        return self._add(_Guard())

    def set_guardcondition(self, guard: int, triggered: bool) -> int:
        if guard in self._entities:
            self._entities[guard].triggered = triggered
        return 0

    def triggered(self, entity: int) -> int:
        found = self._entities.get(entity)
        return _BAD_PARAMETER if found is None else int(found.triggered)

    def delete(self, entity: int) -> int:
        found = self._entities.pop(entity, None)
        if isinstance(found, Writer | Reader):
            self._network.remove(found)
        return 0

    def get_guid(self, entity: int, guid: Any) -> int:
        guid[:] = _guid(entity)
        return 0

    def get_instance_handle(self, entity: int, found: Any) -> int:
        found._obj.value = entity
        return 0

    # Samples.

    def ddspy_write(self, writer: int, data: bytes | bytearray | memoryview) -> int:
        found = self._entities.get(writer)
        if found is None:
            return _BAD_PARAMETER
        self._network.write(found, bytes(data))
        return 0

    def ddspy_take(self, reader: int, _mask: int, _count: int) -> Any:
        found = self._entities.get(reader)
        if found is None:
            return _BAD_PARAMETER
        sample = found.take(self._now())
        return [] if sample is None else [(sample.data, sample)]

    def assert_liveliness(self, writer: int) -> int:
        self._network.show_life(self._entities[writer])
        return 0

    def wait_for_acks(self, _writer: int, _timeout: int) -> int:
        return 0

    # Waiting.

    def create_waitset(self, _participant: int) -> int:
        return self._add(_WaitSet())

    def waitset_attach(self, waits: int, entity: int, _given: int) -> int:
        found = self._entities[entity]
        self._entities[waits].attached[entity] = found
        process = self._process()
        if process is not None and found.triggered:
            process.wake(entity)
        return 0

    def waitset_detach(self, waits: int, entity: int) -> int:
        found = self._entities[waits].attached.pop(entity, None)
        return _BAD_PARAMETER if found is None else 0

    def waitset_wait(self, waits: int, triggered: Any, capacity: int, timeout: int) -> int:
        """Look once: time passes only between callbacks."""
        number = 0
        for handle, entity in self._entities[waits].attached.items():
            if entity.triggered and number < capacity:
                triggered[number] = handle
                number += 1
        return number if number or timeout == 0 else _WOULD_BLOCK

    # Events.

    def set_status_mask(self, entity: int, mask: int) -> int:
        self._entities[entity].mask = mask
        return 0

    def take_status(self, entity: int, occurred: Any, mask: int) -> int:
        endpoint = self._entities[entity]
        occurred._obj.value = endpoint.occurred & mask
        endpoint.occurred &= ~mask
        if endpoint.triggered and endpoint.process is not None:
            endpoint.process.wake(entity)
        return 0

    def __getattr__(self, name: str) -> Any:
        """Return one of the functions that read a status."""
        if name in _STATUSES:
            return partial(self._get_status, _STATUSES[name])
        raise AttributeError(f"Cyclone DDS in virtual time has no function {name!r}")

    def _get_status(self, status: int, entity: int, numbers: Any) -> int:
        found = self._entities[entity].read_status(status)
        numbers[: len(found)] = found
        return 0

    # Discovery.

    def get_matched_subscriptions(self, writer: int, found: Any, size: int) -> int:
        return self._matched(writer, found, size)

    def get_matched_publications(self, reader: int, found: Any, size: int) -> int:
        return self._matched(reader, found, size)

    def _matched(self, entity: int, found: Any, size: int) -> int:
        handles = [other.handle for other in self._entities[entity].matched]
        found[: min(size, len(handles))] = handles[:size]
        return len(handles)

    def get_matched_subscription_data(self, _writer: int, reader: int) -> int:
        return self._describe(self._entities.get(reader))

    def get_matched_publication_data(self, _reader: int, writer: int) -> int:
        return self._describe(self._entities.get(writer))

    def _describe(self, endpoint: Endpoint | None) -> int:
        """Return the address of an endpoint's description; 0 if it is gone."""
        if endpoint is None:
            return 0
        qos = self.create_qos()
        self._qos[qos] = {**vars(endpoint.qos), "user_data": endpoint.user_data}
        told = BuiltinEndpoint(
            topic_name=endpoint.topic.encode(), type_name=endpoint.type_name.encode(), qos=qos
        )
        told.key[:] = _guid(endpoint.handle)
        return self._lend(told)

    def _lend(self, structure: ct.Structure) -> int:
        self._lent.append(structure)
        return ct.addressof(structure)

    def builtintopic_free_endpoint(self, _address: int) -> None:
        for structure in self._lent:
            del self._qos[structure.qos]
        self._lent.clear()

    def read(self, reader: int, samples: Any, infos: Any, size: int, _most: int) -> int:
        topic = self._entities[reader].topic
        if topic == PARTICIPANTS_TOPIC:
            there = [item for item in self._entities.items() if isinstance(item[1], _Participant)]
            addresses = [self._describe_participant(*item) for item in there]
        else:
            endpoints = self._network.endpoints(writers=topic == PUBLICATIONS_TOPIC)
            addresses = [self._describe(endpoint) for endpoint in endpoints]
        addresses = addresses[:size]
        samples[: len(addresses)] = addresses
        for info in infos[: len(addresses)]:
            info.valid_data, info.instance_state = True, ALIVE
        return len(addresses)

    def take(self, reader: int, *arguments: Any) -> int:
        return self.read(reader, *arguments)

    def _describe_participant(self, handle: int, participant: _Participant) -> int:
        qos = self.create_qos()
        self._qos[qos] = {"user_data": participant.user_data}
        told = BuiltinParticipant(qos=qos)
        told.key[:] = _guid(handle)
        return self._lend(told)

    def return_loan(self, _reader: int, _samples: Any, _count: int) -> int:
        self.builtintopic_free_endpoint(0)
        return 0

    def free(self, _address: Any) -> None:
        """Nothing to do: what is lent is Python's."""

    # Contracts, as they are set and read field by field.

    def create_qos(self) -> int:
        handle = next(self._handles)
        self._qos[handle] = {}
        return handle

    def delete_qos(self, qos: int) -> None:
        del self._qos[qos]

    def qset_userdata(self, qos: int, data: bytes, size: int) -> None:
        self._qos[qos]["user_data"] = data[:size]

    def qset_history(self, qos: int, kind: int, depth: int) -> None:
        self._qos[qos]["depth"] = 0 if kind else depth

    def qset_reliability(self, qos: int, kind: int, _blocking: int) -> None:
        self._qos[qos]["reliable"] = bool(kind)

    def qset_durability(self, qos: int, kind: int) -> None:
        self._qos[qos]["transient_local"] = bool(kind)

    def qset_durability_service(self, *_: int) -> None:
        """Histories for late joiners are as deep as the writer's."""

    def qset_deadline(self, qos: int, span: int) -> None:
        self._qos[qos]["deadline"] = span

    def qset_lifespan(self, qos: int, span: int) -> None:
        self._qos[qos]["lifespan"] = span

    def qset_liveliness(self, qos: int, kind: int, lease: int) -> None:
        self._qos[qos].update(lease=lease, manual_liveliness=bool(kind))

    def qset_writer_data_lifecycle(self, _qos: int, _autodispose: bool) -> None:
        """There are no instances to dispose of."""

    def qset_ignorelocal(self, qos: int, kind: int) -> None:
        self._qos[qos]["ignore_local"] = bool(kind)

    def qset_data_representation(self, *_: Any) -> None:
        """All speak the same."""

    def qget_userdata(self, qos: int, text: Any, size: Any) -> bool:
        data = self._qos[qos].get("user_data", b"")
        assert isinstance(data, bytes)
        # The caller copies it at once, and the contract keeps it until then.
        text._obj.value, size._obj.value = ct.cast(ct.c_char_p(data), ct.c_void_p).value, len(data)
        return True

    def qget_history(self, qos: int, kind: Any, depth: Any) -> bool:
        kept = self._value(qos, "depth")
        kind._obj.value, depth._obj.value = int(kept == 0), kept
        return True

    def qget_reliability(self, qos: int, kind: Any, _blocking: None) -> bool:
        return self._tell(qos, "reliable", kind)

    def qget_durability(self, qos: int, kind: Any) -> bool:
        return self._tell(qos, "transient_local", kind)

    def qget_deadline(self, qos: int, span: Any) -> bool:
        return self._tell(qos, "deadline", span)

    def qget_lifespan(self, qos: int, span: Any) -> bool:
        return self._tell(qos, "lifespan", span)

    def qget_liveliness(self, qos: int, kind: Any, lease: Any) -> bool:
        kind._obj.value = _MANUAL_BY_TOPIC * self._value(qos, "manual_liveliness")
        return self._tell(qos, "lease", lease)

    def _value(self, qos: int, name: str) -> int:
        return int(self._qos[qos].get(name, getattr(DdsQos(), name)))

    def _tell(self, qos: int, name: str, where: Any) -> bool:
        where._obj.value = self._value(qos, name)
        return True


_MANUAL_BY_TOPIC = 2

_STATUSES = {
    "get_requested_deadline_missed_status": library.REQUESTED_DEADLINE_MISSED,
    "get_offered_deadline_missed_status": library.OFFERED_DEADLINE_MISSED,
    "get_liveliness_changed_status": library.LIVELINESS_CHANGED,
    "get_liveliness_lost_status": library.LIVELINESS_LOST,
    "get_requested_incompatible_qos_status": library.REQUESTED_INCOMPATIBLE_QOS,
    "get_offered_incompatible_qos_status": library.OFFERED_INCOMPATIBLE_QOS,
    "get_sample_lost_status": library.SAMPLE_LOST,
    "get_publication_matched_status": library.PUBLICATION_MATCHED,
    "get_subscription_matched_status": library.SUBSCRIPTION_MATCHED,
}


def _guid(handle: int) -> bytes:
    return b"virtual " + handle.to_bytes(8, "big")
