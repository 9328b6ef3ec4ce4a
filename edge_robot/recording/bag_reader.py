"""Reads a bag, without decoding its samples: a bag folder, an MCAP or a SQLite file."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from rosbags.interfaces import Qos
from rosbags.rosbag2 import Reader

from edge_robot.errors import UserError


@dataclass(frozen=True)
class BagTopic:
    """A topic of a bag.

    Attributes:
        name: Its name.
        type: ROS 2 type, `package/msg/Name`.
        count: Number of samples.
        serialization: How they are serialized: "cdr".
        offers: Contracts of its publishers.
    """

    name: str
    type: str
    count: int
    serialization: str
    offers: tuple[Qos, ...]


class Bag:
    """What a bag holds.

    Args:
        path: Bag folder, `.mcap` or `.db3` file.

    Attributes:
        path: The same.
        files: Its files' names.
        size: Of its files, bytes.
        storage: "mcap" or "sqlite3".
        distro: ROS 2 distribution it was recorded with; empty if unknown.
        start: When the first sample was received, ns.
        duration: From the first to the last sample, ns.
        count: Number of samples.
        topics: Its topics.

    Raises:
        UserError: The bag is missing or broken.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise UserError(f"bag {path} does not exist; check the path")
        with self._open() as reader:
            self.distro = str(reader.ros_distro or "")
            self.topics = [
                BagTopic(
                    c.topic,
                    c.msgtype,
                    c.msgcount,
                    c.ext.serialization_format,
                    tuple(c.ext.offered_qos_profiles),
                )
                for c in reader.connections
            ]
            self.count = reader.message_count
            self.start = reader.start_time if self.count else 0
            # The reader's end is 1 ns past the last sample.
            self.duration = reader.end_time - 1 - self.start if self.count else 0
            self.files, self.storage = self._files()
        folder = path if path.is_dir() else path.parent
        self.size = sum((folder / Path(name).name).stat().st_size for name in self.files)

    def messages(
        self, topics: Collection[str], start: int | None = None
    ) -> Iterator[tuple[str, int, bytes]]:
        """Iterate over topic, time of reception (ns) and CDR of the samples, oldest first.

        Args:
            topics: Names of the topics wanted.
            start: Earliest time of reception, ns.

        Raises:
            UserError: The bag is broken.
        """
        with self._open() as reader:
            chosen = [c for c in reader.connections if c.topic in topics]
            if not chosen:  # which would mean all
                return
            for connection, time, data in reader.messages(chosen, start=start):
                yield connection.topic, time, data

    def _files(self) -> tuple[list[str], str]:
        if not self.path.is_dir():
            return [self.path.name], {".mcap": "mcap", ".db3": "sqlite3"}[self.path.suffix]
        text = (self.path / "metadata.yaml").read_text(encoding="utf-8")
        information = yaml.safe_load(text)["rosbag2_bagfile_information"]
        return information["relative_file_paths"], information["storage_identifier"]

    @contextmanager
    def _open(self) -> Iterator[Reader]:
        try:
            with Reader(self.path) as reader:
                yield reader
        except (UserError, GeneratorExit, KeyboardInterrupt):
            raise
        except Exception as error:  # whatever the reader makes of a broken file
            raise unreadable(self.path, error) from error


def unreadable(path: Path, error: Exception) -> UserError:
    """Return the error to raise for a bag that a reader fails on."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return UserError(
        f"bag {path} cannot be read: {reason.rstrip('.')}; is the copy whole? "
        "`ros2 bag reindex` or `mcap recover` may mend it"
    )
