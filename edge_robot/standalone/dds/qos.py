"""QoS contracts as Cyclone DDS takes them."""

from __future__ import annotations

import ctypes as ct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edge_robot.standalone.dds.library import INFINITE, lib

_KEEP_LAST, _KEEP_ALL = 0, 1
_BEST_EFFORT, _RELIABLE = 0, 1
_VOLATILE, _TRANSIENT_LOCAL = 0, 1
_AUTOMATIC, _MANUAL_BY_TOPIC = 0, 2
_IGNORE_LOCAL_PARTICIPANT = 1
_UNLIMITED = -1
_XCDR1 = 0


@dataclass(frozen=True)
class DdsQos:
    """What an endpoint offers or requests.

    Attributes:
        depth: Samples kept; 0 keeps all.
        reliable: Whether lost samples are resent.
        transient_local: Whether a late joiner gets the kept samples.
        deadline: Longest promised time between samples, ns.
        lifespan: Age after which a sample is dropped, ns; writers only.
        lease: Liveliness lease, ns.
        manual_liveliness: Whether the writer itself, not its process, must show signs of life.
        ignore_local: Whether samples of the same participant are ignored.
    """

    depth: int = 10
    reliable: bool = True
    transient_local: bool = False
    deadline: int = INFINITE
    lifespan: int = INFINITE
    lease: int = INFINITE
    manual_liveliness: bool = False
    ignore_local: bool = False


@contextmanager
def participant_qos(user_data: bytes) -> Iterator[int]:
    """Give a `dds_qos_t *` that carries a participant's USER_DATA, for as long as the body runs."""
    handle = lib.create_qos()
    try:
        lib.qset_userdata(handle, user_data, len(user_data))
        yield handle
    finally:
        lib.delete_qos(handle)


@contextmanager
def endpoint_qos(qos: DdsQos, user_data: bytes, *, writer: bool) -> Iterator[int]:
    """Give the `dds_qos_t *` of a writer or reader, for as long as the body runs."""
    handle = lib.create_qos()
    try:
        history, depth = (_KEEP_LAST, qos.depth) if qos.depth else (_KEEP_ALL, _UNLIMITED)
        lib.qset_history(handle, history, depth)
        if qos.reliable:
            lib.qset_reliability(handle, _RELIABLE, INFINITE)
        else:
            lib.qset_reliability(handle, _BEST_EFFORT, 0)
        lib.qset_durability(handle, _TRANSIENT_LOCAL if qos.transient_local else _VOLATILE)
        if qos.transient_local:
            # Cyclone keeps history for late joiners by the durability service's settings.
            lib.qset_durability_service(
                handle, 0, history, depth, _UNLIMITED, _UNLIMITED, _UNLIMITED
            )
        lib.qset_deadline(handle, qos.deadline)
        lib.qset_liveliness(
            handle, _MANUAL_BY_TOPIC if qos.manual_liveliness else _AUTOMATIC, qos.lease
        )
        if writer:
            lib.qset_lifespan(handle, qos.lifespan)
            lib.qset_writer_data_lifecycle(handle, False)
        if qos.ignore_local:
            lib.qset_ignorelocal(handle, _IGNORE_LOCAL_PARTICIPANT)
        lib.qset_data_representation(handle, 1, (ct.c_int16 * 1)(_XCDR1))
        lib.qset_userdata(handle, user_data, len(user_data))
        yield handle
    finally:
        lib.delete_qos(handle)


def read_endpoint_qos(handle: int) -> tuple[DdsQos, bytes]:
    """Return what a discovered endpoint's `dds_qos_t *` says, and USER_DATA.

    An endpoint that does not tell its history has DDS's default, keep-last 1.
    """
    kind, number, depth = ct.c_int(), ct.c_int64(), ct.c_int32()

    def duration(get: Callable[..., bool]) -> int:
        return number.value if get(handle, ct.byref(number)) else INFINITE

    kept = lib.qget_history(handle, ct.byref(kind), ct.byref(depth))
    keep_all = kept and kind.value == _KEEP_ALL
    deadline, lifespan = duration(lib.qget_deadline), duration(lib.qget_lifespan)
    reliable = lib.qget_reliability(handle, ct.byref(kind), None) and kind.value == _RELIABLE
    durable = lib.qget_durability(handle, ct.byref(kind)) and kind.value != _VOLATILE
    told = lib.qget_liveliness(handle, ct.byref(kind), ct.byref(number))
    qos = DdsQos(
        depth=0 if keep_all else max(depth.value, 1),
        reliable=reliable,
        transient_local=durable,
        deadline=deadline,
        lifespan=lifespan,
        lease=number.value if told else INFINITE,
        manual_liveliness=told and kind.value == _MANUAL_BY_TOPIC,
    )
    return qos, read_user_data(handle)


def read_user_data(handle: int) -> bytes:
    """Return the USER_DATA of a `dds_qos_t *`."""
    text, size = ct.c_void_p(), ct.c_size_t()
    if not lib.qget_userdata(handle, ct.byref(text), ct.byref(size)) or not text:
        return b""
    try:
        return ct.string_at(text, size.value)
    finally:
        lib.free(text)
