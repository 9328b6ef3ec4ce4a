"""The C functions of Cyclone DDS that the package calls itself.

`cyclonedds` wraps most of them in classes that own what they create; here entities are plain
handles, deleted explicitly, and every call releases the interpreter lock.
"""

from __future__ import annotations

import ctypes as ct
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any


class SampleInfo(ct.Structure):
    """`dds_sample_info_t`."""

    _fields_ = (
        ("sample_state", ct.c_int),
        ("view_state", ct.c_int),
        ("instance_state", ct.c_int),
        ("valid_data", ct.c_bool),
        ("source_timestamp", ct.c_int64),
        ("instance_handle", ct.c_uint64),
        ("publication_handle", ct.c_uint64),
        ("disposed_generation_count", ct.c_uint32),
        ("no_writers_generation_count", ct.c_uint32),
        ("sample_rank", ct.c_uint32),
        ("generation_rank", ct.c_uint32),
        ("absolute_generation_rank", ct.c_uint32),
    )


def _load() -> tuple[Any, Any]:
    """Return the C library and the C extension of the `cyclonedds` package.

    The package imports all its modules (an IDL compiler, asyncio), which would double the time a
    node takes to start. So the two that are needed are imported without running the package's
    own `__init__`; whoever imports `cyclonedds` later gets it complete.

    For every sample that the extension takes it calls the `SampleInfo` of `cyclonedds.internal`,
    and it does not survive an exception there: as that is written in Python, a Ctrl-C at the wrong
    moment was a segmentation fault. So it finds ours there, which runs no bytecode.
    """
    name = "cyclonedds"
    present = name in sys.modules
    if not present:
        spec = find_spec(name)
        if spec is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        sys.modules[name] = module_from_spec(spec)
    try:
        if not present:
            stand_in = sys.modules[f"{name}.internal"] = ModuleType(f"{name}.internal")
            stand_in.__dict__["SampleInfo"] = SampleInfo
            import_module(f"{name}._clayer")
            del sys.modules[f"{name}.internal"]
        internal = import_module(f"{name}.internal")
        return internal.DDS._dll_handle, import_module(f"{name}._clayer")
    finally:
        if not present:
            del sys.modules[name]


_c_library, _extension = _load()


def _keep_freed_memory() -> None:
    """Let the C library keep freed memory for the next sample instead of giving it back.

    A sample of a megabyte is allocated and freed several times on its way. With glibc's settings
    each time costs a page fault per 4 kB, which takes three times as long as all copying.
    """
    if any(name in os.environ for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")):
        return  # the user's own choice
    mallopt = getattr(ct.CDLL(None), "mallopt", None)
    if mallopt is not None:  # only glibc has it
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_KEPT = 32 << 20
"""Size from which memory goes back to the kernel at once, bytes; glibc allows no more."""

_KEPT = 64 << 20
"""Most that is kept, bytes."""

_keep_freed_memory()

S_TO_NS = 1_000_000_000

INFINITE = (1 << 63) - 1
"""A duration without end, ns."""

DATA_AVAILABLE = 1 << 8
OFFERED_DEADLINE_MISSED = 1 << 1
REQUESTED_DEADLINE_MISSED = 1 << 2
OFFERED_INCOMPATIBLE_QOS = 1 << 3
REQUESTED_INCOMPATIBLE_QOS = 1 << 4
SAMPLE_LOST = 1 << 5
LIVELINESS_LOST = 1 << 9
LIVELINESS_CHANGED = 1 << 10
PUBLICATION_MATCHED = 1 << 11
SUBSCRIPTION_MATCHED = 1 << 12

ANY_STATE = 0x7F
"""Mask of all sample, view and instance states."""

_entity = ct.c_int32
_duration = ct.c_int64
_qos = ct.c_void_p


_samples = [ct.c_void_p, ct.POINTER(SampleInfo), ct.c_size_t, ct.c_uint32]

_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "dds_create_domain": (_entity, [ct.c_uint32, ct.c_char_p]),
    "dds_create_participant": (_entity, [ct.c_uint32, _qos, ct.c_void_p]),
    "dds_create_writer": (_entity, [_entity, _entity, _qos, ct.c_void_p]),
    "dds_create_reader": (_entity, [_entity, _entity, _qos, ct.c_void_p]),
    "dds_create_readcondition": (_entity, [_entity, ct.c_uint32]),
    "dds_create_guardcondition": (_entity, [_entity]),
    "dds_set_guardcondition": (ct.c_int32, [_entity, ct.c_bool]),
    "dds_create_waitset": (_entity, [_entity]),
    "dds_waitset_attach": (ct.c_int32, [_entity, _entity, ct.c_ssize_t]),
    "dds_waitset_detach": (ct.c_int32, [_entity, _entity]),
    "dds_waitset_wait": (
        ct.c_int32,
        [_entity, ct.POINTER(ct.c_ssize_t), ct.c_size_t, _duration],
    ),
    "dds_triggered": (ct.c_int32, [_entity]),
    "dds_delete": (ct.c_int32, [_entity]),
    "dds_set_status_mask": (ct.c_int32, [_entity, ct.c_uint32]),
    "dds_take_status": (ct.c_int32, [_entity, ct.POINTER(ct.c_uint32), ct.c_uint32]),
    "dds_get_instance_handle": (ct.c_int32, [_entity, ct.POINTER(ct.c_uint64)]),
    "dds_get_guid": (ct.c_int32, [_entity, ct.c_void_p]),
    "dds_get_matched_subscriptions": (
        ct.c_int32,
        [_entity, ct.POINTER(ct.c_uint64), ct.c_size_t],
    ),
    "dds_get_matched_publications": (
        ct.c_int32,
        [_entity, ct.POINTER(ct.c_uint64), ct.c_size_t],
    ),
    "dds_assert_liveliness": (ct.c_int32, [_entity]),
    "dds_wait_for_acks": (ct.c_int32, [_entity, _duration]),
    "dds_get_requested_deadline_missed_status": (ct.c_int32, [_entity, ct.c_void_p]),
    "dds_get_offered_deadline_missed_status": (ct.c_int32, [_entity, ct.c_void_p]),
    "dds_get_liveliness_changed_status": (ct.c_int32, [_entity, ct.c_void_p]),
    "dds_get_liveliness_lost_status": (ct.c_int32, [_entity, ct.c_void_p]),
    "dds_get_requested_incompatible_qos_status": (ct.c_int32, [_entity, ct.c_void_p]),
    "dds_get_offered_incompatible_qos_status": (ct.c_int32, [_entity, ct.c_void_p]),
    "dds_get_sample_lost_status": (ct.c_int32, [_entity, ct.c_void_p]),
    "dds_get_publication_matched_status": (ct.c_int32, [_entity, ct.c_void_p]),
    "dds_get_subscription_matched_status": (ct.c_int32, [_entity, ct.c_void_p]),
    "dds_strretcode": (ct.c_char_p, [ct.c_int32]),
    "dds_get_matched_subscription_data": (ct.c_void_p, [_entity, ct.c_uint64]),
    "dds_get_matched_publication_data": (ct.c_void_p, [_entity, ct.c_uint64]),
    "dds_builtintopic_free_endpoint": (None, [ct.c_void_p]),
    "dds_read": (ct.c_int32, [_entity, *_samples]),
    "dds_take": (ct.c_int32, [_entity, *_samples]),
    "dds_return_loan": (ct.c_int32, [_entity, ct.c_void_p, ct.c_int32]),
    "dds_free": (None, [ct.c_void_p]),
    "dds_create_qos": (_qos, []),
    "dds_delete_qos": (None, [_qos]),
    "dds_qset_userdata": (None, [_qos, ct.c_char_p, ct.c_size_t]),
    "dds_qset_reliability": (None, [_qos, ct.c_int, _duration]),
    "dds_qset_durability": (None, [_qos, ct.c_int]),
    "dds_qset_durability_service": (
        None,
        [_qos, _duration, ct.c_int, ct.c_int32, ct.c_int32, ct.c_int32, ct.c_int32],
    ),
    "dds_qset_history": (None, [_qos, ct.c_int, ct.c_int32]),
    "dds_qset_deadline": (None, [_qos, _duration]),
    "dds_qset_lifespan": (None, [_qos, _duration]),
    "dds_qset_liveliness": (None, [_qos, ct.c_int, _duration]),
    "dds_qset_writer_data_lifecycle": (None, [_qos, ct.c_bool]),
    "dds_qset_ignorelocal": (None, [_qos, ct.c_int]),
    "dds_qset_data_representation": (None, [_qos, ct.c_uint32, ct.POINTER(ct.c_int16)]),
    "dds_qget_userdata": (ct.c_bool, [_qos, ct.POINTER(ct.c_void_p), ct.POINTER(ct.c_size_t)]),
    "dds_qget_history": (ct.c_bool, [_qos, ct.POINTER(ct.c_int), ct.POINTER(ct.c_int32)]),
    "dds_qget_reliability": (ct.c_bool, [_qos, ct.POINTER(ct.c_int), ct.POINTER(_duration)]),
    "dds_qget_durability": (ct.c_bool, [_qos, ct.POINTER(ct.c_int)]),
    "dds_qget_deadline": (ct.c_bool, [_qos, ct.POINTER(_duration)]),
    "dds_qget_lifespan": (ct.c_bool, [_qos, ct.POINTER(_duration)]),
    "dds_qget_liveliness": (ct.c_bool, [_qos, ct.POINTER(ct.c_int), ct.POINTER(_duration)]),
}


class Library:
    """The functions named in `_SIGNATURES`, as attributes, without the prefix `dds_`.

    Those of the extension, which begin with `ddspy_`, keep their names.
    """

    def __init__(self) -> None:
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(_c_library, name)
            function.restype = result
            function.argtypes = arguments
        self._other: object | None = None

    def __getattr__(self, name: str) -> Any:
        if self._other is not None:
            function = getattr(self._other, name)
        elif name.startswith("ddspy_"):
            function = getattr(_extension, name)
        else:
            function = getattr(_c_library, f"dds_{name}")
        setattr(self, name, function)
        return function

    @contextmanager
    def replaced(self, other: object) -> Iterator[None]:
        """Let the methods of `other` take the functions' place for as long as the body runs."""
        before = self._other
        self.__dict__ = {"_other": other}
        try:
            yield
        finally:
            self.__dict__ = {"_other": before}


lib = Library()


class DdsError(RuntimeError):
    """Cyclone DDS refused an operation."""


def check(result: int, what: str) -> int:
    """Return the result of a call that gives a handle, a count or a negative error code.

    Raises:
        DdsError: it is an error code.
    """
    if result < 0:
        raise DdsError(f"{what}: {lib.strretcode(result).decode()}")
    return result
