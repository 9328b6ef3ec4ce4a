"""Writes a bag as rosbag2 lays it out: a folder with one MCAP file and `metadata.yaml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from edge_robot.errors import UserError
from edge_robot.recording.writer import RecordingWriter

VERSION = 9
"""Of rosbag2's metadata: that of Jazzy."""


@dataclass(frozen=True)
class _Topic:
    name: str
    type: str
    type_hash: str
    offers: Sequence[Mapping[str, Any]]


class BagWriter:
    """Writes serialized samples into a new bag, without ever making the caller wait.

    Args:
        folder: Folder to make.
        distro: ROS 2 distribution to name in the metadata.
        compression: Of chunks: "none", "zstd" or "lz4".

    Raises:
        UserError: There is such a folder, or it cannot be made.
    """

    def __init__(self, folder: Path, distro: str, compression: str = "none") -> None:
        if folder.exists():
            raise UserError(f"{folder} exists already; name another folder with -o")
        self.folder = folder
        self._distro = distro
        self._writer = RecordingWriter(folder / f"{folder.name}_0.mcap", compression)
        self._topics: list[_Topic] = []
        self._first = 0
        self._last = 0

    @property
    def dropped(self) -> int:
        """How many samples the disk was too slow for."""
        return self._writer.dropped.total()

    @property
    def written(self) -> int:
        """How many samples are in the file."""
        return self._writer.written.total()

    def add_topic(
        self,
        name: str,
        type_name: str,
        definition: str,
        type_hash: str,
        offers: Sequence[Mapping[str, Any]],
    ) -> int:
        """Register a topic.

        Args:
            name: Its name.
            type_name: ROS 2 type, `package/msg/Name`.
            definition: Message definition with everything it depends on (encoding ros2msg).
            type_hash: RIHS01 hash of the type.
            offers: Contracts of its publishers, as rosbag2's metadata has them.

        Returns:
            The channel to write its samples to.
        """
        self._topics.append(_Topic(name, type_name, type_hash, offers))
        offered = yaml.safe_dump([dict(offer) for offer in offers], sort_keys=False)
        return self._writer.add_channel(
            name,
            type_name,
            definition,
            {
                "offered_qos_profiles": offered if offers else "",
                "topic_type_hash": type_hash,
            },
        )

    def write(self, channel: int, received: int, sent: int, data: bytes) -> bool:
        """Queue one sample; never waits.

        Args:
            channel: From `add_topic`.
            received: When it came, wall clock, ns.
            sent: When it was sent, wall clock, ns.
            data: CDR with its 4-byte header.

        Returns:
            False if it was dropped: the disk is too slow, or the recording has failed.
        """
        if not self._writer.write(channel, received, sent, data):
            return False
        self._first = min(self._first or received, received)
        self._last = max(self._last, received)
        return True

    def check(self) -> None:
        """Raise what stopped the recording, if anything did.

        Raises:
            UserError: The disk is full or the file cannot be written any more.
        """
        self._writer.check()

    def close(self) -> None:
        """Write what waits, the index and the metadata; a second call does nothing.

        Raises:
            UserError: As `check`; the bag can be read nevertheless.
        """
        try:
            self._writer.close()
        finally:
            self._write_metadata()

    def _write_metadata(self) -> None:
        counts = self._writer.written
        file = self._writer.path.name
        start = {"nanoseconds_since_epoch": self._first}
        duration = {"nanoseconds": self._last - self._first}
        content = {
            "version": VERSION,
            "storage_identifier": "mcap",
            "duration": duration,
            "starting_time": start,
            "message_count": counts.total(),
            "topics_with_message_count": [
                {
                    "topic_metadata": {
                        "name": topic.name,
                        "type": topic.type,
                        "serialization_format": "cdr",
                        "offered_qos_profiles": [dict(offer) for offer in topic.offers],
                        "type_description_hash": topic.type_hash,
                    },
                    "message_count": counts[topic.name],
                }
                for topic in self._topics
            ],
            "compression_format": "",
            "compression_mode": "",
            "relative_file_paths": [file],
            "files": [
                {
                    "path": file,
                    "starting_time": start,
                    "duration": duration,
                    "message_count": counts.total(),
                }
            ],
            "custom_data": None,
            "ros_distro": self._distro,
        }
        text = yaml.dump({"rosbag2_bagfile_information": content}, Dumper=_Plain, sort_keys=False)
        try:
            (self.folder / "metadata.yaml").write_text(text, encoding="utf-8")
        except OSError as error:
            raise UserError(
                f"cannot write {self.folder / 'metadata.yaml'}: {error.strerror}; free space, and "
                "`ros2 bag reindex` may mend the bag"
            ) from error


class _Plain(yaml.SafeDumper):
    """Writes everything out where it is meant: readers of bags know no YAML aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
