"""Reads a recording: every sample decoded, in the order it was published."""

from __future__ import annotations

import os
import struct
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mcap.exceptions import EndOfFile, InvalidMagic, McapError
from mcap.records import Channel, Footer, Message, Metadata, Schema
from mcap.stream_reader import StreamReader
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore
from zstandard import ZstdError

from edge_robot import topics
from edge_robot.errors import UserError
from edge_robot.topics import Topic, full_name

_DAMAGE = (
    McapError,
    TypesysError,
    ZstdError,
    ValueError,
    KeyError,
    RuntimeError,
    struct.error,
    MemoryError,
    OverflowError,
)
"""What the libraries raise on bytes that are not a recording: lz4 a RuntimeError, a chunk that
claims to unpack to more than there is memory a MemoryError, to more than a size can say an
OverflowError."""


class _WholeReads:
    """A file in which a read past the end returns nothing instead of a part.

    A length that lies is found out before memory is asked for.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = os.fstat(file.fileno()).st_size

    def read(self, length: int) -> bytes:
        if length > self._left:  # leaves nothing to read, as at the end of a file
            self._left = 0
            return b""
        self._left -= length
        return self._file.read(length)


@dataclass(frozen=True)
class Sample:
    """One recorded sample.

    Attributes:
        wall: When it was published, wall clock, ns.
        message: Decoded message; fields as in ROS 2, arrays as NumPy arrays.
    """

    wall: int
    message: Any


class Recording:
    """A recording in memory, its samples decoded when asked for.

    A file that ends abruptly (recorder killed, disk full) is read up to its last whole chunk.

    Args:
        path: MCAP file with message encoding cdr and schema encoding ros2msg.
        namespace: Of the robot it is about; by default the only one in it.

    Attributes:
        path: The file.
        namespace: Of the robot, full name.
        complete: Whether the file was closed properly.
        metadata: Its metadata records by name.

    Raises:
        UserError: No such file, not an MCAP file, damaged, or of several robots of which none is
            named.
    """

    def __init__(self, path: Path, namespace: str = "") -> None:
        self.path = path
        self.complete = False
        self.metadata: dict[str, dict[str, str]] = {}
        self._types: dict[str, str] = {}
        self._samples: dict[str, list[tuple[int, bytes]]] = {}
        self._typestore: Typestore = get_typestore(Stores.EMPTY)
        try:
            with path.open("rb") as file:
                self._read(StreamReader(_WholeReads(file), validate_crcs=True))
        except FileNotFoundError as error:
            raise UserError(f"recording {path} does not exist; check the path") from error
        except OSError as error:
            raise UserError(f"recording {path} cannot be read: {error.strerror}") from error
        except InvalidMagic as error:
            raise UserError(f"recording {path} is not an MCAP file") from error
        except _DAMAGE as error:
            raise UserError(f"recording {path} is damaged: {error!r}") from error
        if not self._samples:
            raise UserError(f"recording {path} holds no samples; record again")
        self.namespace = full_name(namespace) if namespace else self._only_robot()

    def _read(self, reader: StreamReader) -> None:
        schemas: dict[int, Schema] = {}
        channels: dict[int, Channel] = {}
        try:
            for record in reader.records:
                if isinstance(record, Schema):
                    schemas[record.id] = record
                elif isinstance(record, Channel) and record.id not in channels:
                    channels[record.id] = record
                    schema = schemas[record.schema_id]
                    self._types[record.topic] = schema.name
                    types = get_types_from_msg(schema.data.decode(), schema.name)
                    known = self._typestore.fielddefs
                    self._typestore.register({k: v for k, v in types.items() if k not in known})
                elif isinstance(record, Message):
                    topic = channels[record.channel_id].topic
                    self._samples.setdefault(topic, []).append((record.publish_time, record.data))
                elif isinstance(record, Metadata):
                    self.metadata[record.name] = record.metadata
                elif isinstance(record, Footer):
                    self.complete = True
        except EndOfFile:
            pass  # complete stays False: the caller can say so
        for samples in self._samples.values():
            samples.sort(key=lambda sample: sample[0])

    def _only_robot(self) -> str:
        """Return the namespace of the robot that was recorded; "/" where nothing tells it."""
        telling = (topics.MODE.name, topics.TRACKS.name)
        found = {
            name.removesuffix(f"/{tail}") or "/"
            for name in self._samples
            for tail in telling
            if name.endswith(f"/{tail}")
        }
        if len(found) > 1:
            raise UserError(
                f"recording {self.path} is of several robots: name the namespace of one, "
                f"{' or '.join(sorted(found))}"
            )
        return found.pop() if found else "/"

    def name_of(self, topic: Topic) -> str:
        """Return the name by which a row of the topic table was recorded of the robot.

        `/tf` is looked for in the robot's namespace first: there launch files remap it to.
        """
        own = full_name(topic.name.removeprefix("/"), self.namespace)
        return own if own in self._samples else full_name(topic.name, self.namespace)

    @property
    def topics(self) -> Collection[str]:
        """Names of the topics that hold samples."""
        return self._samples.keys()

    def count(self, topic: str) -> int:
        """Return how many samples `topic` has."""
        return len(self._samples.get(topic, ()))

    def extent(self, exclude: Collection[str] = ()) -> tuple[int, int]:
        """Return the wall times of the first and the last sample, ns.

        Args:
            exclude: Topics that do not count, unless there are no others.
        """
        counted = [rows for name, rows in self._samples.items() if name not in exclude]
        counted = counted or list(self._samples.values())
        return min(rows[0][0] for rows in counted), max(rows[-1][0] for rows in counted)

    def samples(self, topic: str) -> list[Sample]:
        """Return the decoded samples of `topic`, oldest first; none if it was not recorded.

        Raises:
            UserError: A sample does not fit its message definition.
        """
        try:
            return [
                Sample(wall, self._typestore.deserialize_cdr(data, self._types[topic]))
                for wall, data in self._samples.get(topic, ())
            ]
        except (SerdeError, ValueError) as error:
            raise UserError(f"recording {self.path}: broken sample on {topic}: {error}") from error


def nanoseconds(stamp: Any) -> int:
    """Return a `builtin_interfaces/Time` as nanoseconds."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
