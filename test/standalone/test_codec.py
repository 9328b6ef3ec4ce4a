from __future__ import annotations

import contextlib
import random
import struct
import tracemalloc
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_messages import random_message
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import String
from std_srvs.srv import Empty, SetBool

from edge_robot.share import share_dir
from edge_robot.standalone.interfaces.codec import CdrError, codec
from edge_robot.standalone.interfaces.definitions import Definition, Field, FieldType, wrappers_of
from edge_robot.standalone.interfaces.message import _classes, message_class
from edge_robot.standalone.interfaces.store import interfaces

FOLDERS = {
    "edge_robot": share_dir() / "msg",
    **{
        package: share_dir() / f"edge_robot/standalone/interfaces/share/{package}/msg"
        for package in ("example_interfaces", "nav2_msgs", "vision_msgs")
    },
}
NAMES = sorted(
    f"{package}/msg/{name}"
    for package in interfaces().packages()
    for name in interfaces().names(package, "msg")
)


@pytest.fixture(scope="module")
def rosbags_store() -> Any:
    """Give rosbags' own reading of all definitions, the oracle of these tests."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types: dict[str, Any] = {}
    for package, folder in FOLDERS.items():
        for file in folder.glob("*.msg"):
            if file.stem == "WString":
                continue
            types.update(get_types_from_msg(file.read_text(), f"{package}/msg/{file.stem}"))
    store.register(types)
    return store


def to_rosbags(message: Any, store: Any) -> Any:
    """Return the same message as an object of rosbags' classes."""
    values = []
    for field in type(message).definition.fields:
        value, kind = getattr(message, field.name, 0), field.type
        if not kind.is_primitive:
            if kind.array is not None or kind.sequence:
                value = [to_rosbags(item, store) for item in value]
            else:
                value = to_rosbags(value, store)
        elif kind.base == "byte":
            value = [item[0] for item in value] if kind.array or kind.sequence else value[0]
        elif kind.base != "string" and (kind.array is not None or kind.sequence):
            value = np.array(value, dtype="?" if kind.base == "bool" else kind.base)
        values.append(value)
    return store.types[type(message).definition.name](*values)


def test_bytes_are_those_of_rosbags_for_every_type(rosbags_store: Any) -> None:
    rng = random.Random(1)
    for name in NAMES:
        for _ in range(4):
            message = random_message(name, rng)
            if _holds(name, "byte", "wstring"):
                continue  # rosbags packs `byte` as a signed number and knows no `wstring`
            expected = rosbags_store.serialize_cdr(to_rosbags(message, rosbags_store), name)
            # rosbags pads after the last field of a few messages; readers ignore what follows.
            assert bytes(expected).rstrip(b"\0") == bytes(
                codec(type(message)).write(message)
            ).rstrip(b"\0"), name


def _holds(name: str, *primitives: str) -> bool:
    kinds = [field.type for field in interfaces().message(name).fields]
    return any(
        kind.base in primitives or (not kind.is_primitive and _holds(kind.base, *primitives))
        for kind in kinds
    )


def test_what_is_written_is_read_back(rosbags_store: Any) -> None:
    rng = random.Random(2)
    for name in NAMES:
        message = random_message(name, rng)
        assert codec(type(message)).read(bytes(codec(type(message)).write(message))) == message


def test_the_other_byte_order_is_read_too(rosbags_store: Any) -> None:
    rng = random.Random(3)
    for name in NAMES:
        if _holds(name, "byte", "wstring"):
            continue
        message = random_message(name, rng)
        data = rosbags_store.serialize_cdr(
            to_rosbags(message, rosbags_store), name, little_endian=False
        )
        assert codec(type(message)).read(bytes(data)) == message, name


def test_service_messages_have_codecs() -> None:
    request = SetBool.Request(data=True)
    assert bytes(codec(SetBool.Request).write(request)) == b"\0\1\0\0\1"
    assert bytes(codec(Empty.Request).write(Empty.Request())) == b"\0\1\0\0\0"
    response = SetBool.Response(success=True, message="é")
    assert codec(SetBool.Response).read(bytes(codec(SetBool.Response).write(response))) == response


def test_what_is_read_can_be_changed() -> None:
    image = codec(Image).read(bytes(codec(Image).write(Image(data=b"abc"))))
    image.data[0] = 7
    info = message_class("sensor_msgs/msg/CameraInfo")
    read = codec(info).read(bytes(codec(info).write(info())))
    read.k[0] = 7.0
    assert (image.data[0], read.k[0]) == (7, 7.0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\1",
        b"\0\1\0\0",
        b"\0\7\0\0" + b"\5\0\0\0abcd\0",  # XCDR version 2
        b"\0\1\0\0" + b"\3\0\0\0abc",  # no terminator
        b"\0\1\0\0" + b"\xff\xff\xff\xffabc\0",
    ],
)
def test_malformed_strings_are_refused(data: bytes) -> None:
    with pytest.raises(CdrError, match="std_msgs/msg/String"):
        codec(String).read(data)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\0\0\0\0", ""),  # no terminator, as some implementations send it
        (b"\1\0\0\0\0", ""),
        (b"\3\0\0\0a\xff\0", "a\ufffd"),  # not UTF-8
    ],
)
def test_strings_are_read_as_rmw_cyclonedds_reads_them(data: bytes, text: str) -> None:
    assert codec(String).read(b"\0\1\0\0" + data).data == text


def test_wide_strings_are_four_bytes_per_utf_16_unit() -> None:
    element = FieldType("wstring")
    kinds = [element, FieldType("wstring", sequence=True), FieldType("uint8"), element]
    fields = tuple(Field(f"f{index}", kind) for index, kind in enumerate(kinds))
    with (
        patch.dict(interfaces()._cache, {"a/msg/W": Definition("a/msg/W", fields)}),
        patch.dict(_classes),
    ):
        kind = message_class("a/msg/W")
        message = kind(f0="ö", f1=["", "😀"], f2=7, f3="z")
        data = bytes(codec(kind).write(message))
        assert codec(kind).read(data) == message
    assert data == b"\0\1\0\0" + struct.pack(
        "<II III II B3x II", 1, 0xF6, 2, 0, 2, 0xD83D, 0xDE00, 7, 1, 0x7A
    )


def test_a_huge_count_is_refused_without_allocating() -> None:
    header = bytes(codec(Image).write(Image()))
    for count in (2**32 - 1, 2**31, 10):
        with pytest.raises(CdrError):
            codec(Image).read(header[:-4] + struct.pack("<I", count))


def implied_names() -> list[str]:
    """Return the names of all messages that services and actions imply."""
    names = [
        f"{package}/srv/{service}_{part}"
        for package in interfaces().packages()
        for service in interfaces().names(package, "srv")
        for part in ("Request", "Response", "Event")
    ]
    for package in interfaces().packages():
        for action in interfaces().names(package, "action"):
            name = f"{package}/action/{action}"
            names += [f"{name}_{part}" for part in ("Goal", "Result", "Feedback")]
            names += [wrapper.name for wrapper in wrappers_of(name)]
    return sorted(names)


EVERY_NAME = NAMES + implied_names()


def read_or_refuse(name: str, data: bytes) -> None:
    """Read bytes that may be no such message: nothing but CdrError may come of it."""
    with contextlib.suppress(CdrError):
        codec(message_class(name)).read(data)


@settings(max_examples=400, deadline=None)
@given(name=st.sampled_from(EVERY_NAME), seed=st.integers(0, 2**32), data=st.data())
def test_changed_and_shortened_bytes_are_read_or_refused(
    name: str, seed: int, data: st.DataObject
) -> None:
    rng = random.Random(seed)
    valid = bytearray(codec(message_class(name)).write(random_message(name, rng)))
    for _ in range(data.draw(st.integers(1, 4))):
        position = rng.randrange(len(valid))
        valid[position] = rng.randrange(256)
    cut = valid[: data.draw(st.integers(0, len(valid)))] if rng.random() < 0.5 else valid
    read_or_refuse(name, bytes(cut))


@settings(max_examples=400, deadline=None)
@given(
    name=st.sampled_from(EVERY_NAME),
    header=st.sampled_from([b"\0\1\0\0", b"\0\0\0\0", b""]),
    data=st.binary(max_size=300),
)
def test_random_bytes_are_read_or_refused(name: str, header: bytes, data: bytes) -> None:
    read_or_refuse(name, header + data)


@pytest.mark.parametrize("lie", [2**32 - 1, 2**31, 10**6])
def test_a_lying_length_anywhere_costs_neither_time_nor_memory(lie: int) -> None:
    rng = random.Random(4)
    forged = struct.pack("<I", lie)
    for name in EVERY_NAME:
        valid = bytes(codec(message_class(name)).write(random_message(name, rng)))[:400]
        read_or_refuse(name, valid)  # compiles the reader
        tracemalloc.start()
        for position in range(4, len(valid) - 3, 4):
            read_or_refuse(name, valid[:position] + forged + valid[position + 4 :])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1_000_000, name


def test_a_count_of_empty_messages_is_limited_by_the_bytes_there_are() -> None:
    fields = (Field("items", FieldType("std_msgs/msg/Empty", sequence=True)),)
    with (
        patch.dict(interfaces()._cache, {"a/msg/E": Definition("a/msg/E", fields)}),
        patch.dict(_classes),
    ):
        read = codec(message_class("a/msg/E")).read
        assert len(read(b"\0\1\0\0\3\0\0\0\0\0\0").items) == 3
        data = b"\0\1\0\0\xff\xff\xff\xff" + bytes(10**6)
        tracemalloc.start()
        with pytest.raises(CdrError, match="4294967295 elements"):
            read(data)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 100_000


def test_point_clouds_of_odd_sizes_keep_their_bytes() -> None:
    for size in range(9):
        cloud = PointCloud2(data=bytes(range(size)), is_dense=True)
        assert codec(PointCloud2).read(bytes(codec(PointCloud2).write(cloud))) == cloud
