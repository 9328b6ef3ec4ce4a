"""Writes CDR samples into one MCAP file without ever making the caller wait."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mcap.writer import CompressionType, Writer

from edge_robot.errors import UserError

COMPRESSIONS = {
    "zstd": CompressionType.ZSTD,
    "lz4": CompressionType.LZ4,
    "none": CompressionType.NONE,
}

_PAUSE = 0.02
"""Between two looks of the writing thread at the queue, s. To be woken for each of a thousand
samples a second would cost more than writing them."""

RESERVE_BYTES = 4 << 20
"""Disk space held back from the start, so that a full disk still leaves room for the index."""

Encoder = Callable[[bytes], bytes]


@dataclass(frozen=True)
class _Sample:
    channel: int
    log_time: int
    publish_time: int
    sequence: int
    data: bytes
    encode: Encoder | None


class _GuardedFile:
    """A file that survives the disk becoming full long enough to be finished properly.

    It holds `RESERVE_BYTES` in a nameless file beside the recording. The first write that fails
    frees them, is repeated, and leaves the failure in `failure` for the writer to act on.
    """

    def __init__(self, path: Path) -> None:
        self.failure: OSError | None = None
        self._file: BinaryIO = path.open("wb", buffering=0)
        try:
            self._reserve = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115
            os.posix_fallocate(self._reserve.fileno(), 0, RESERVE_BYTES)
        except OSError:
            self._file.close()
            path.unlink()
            raise

    def write(self, data: bytes) -> int:
        """Write all of `data`; raises OSError only when the reserve is spent as well."""
        view = memoryview(data)
        while view:
            try:
                view = view[self._file.write(view) :]
            except OSError as error:
                if self.failure is not None:
                    raise
                self.failure = error
                self._reserve.close()
        return len(data)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        """Do nothing: the file is unbuffered."""

    def close(self) -> None:
        self._reserve.close()
        self._file.close()


class RecordingWriter:
    """Writes samples into one MCAP file (profile ros2) from a thread of its own.

    Samples wait in a queue bounded in bytes. One that does not fit is dropped and counted by
    topic; the counts are in `dropped` and in the file's metadata record "recorder".

    Args:
        path: File to write; its folder is made if need be.
        compression: "zstd", "lz4" or "none"; of chunks of 1 MB.
        queue_bytes: Most bytes that may wait to be written.

    Raises:
        UserError: The file cannot be made there, or the compression is unknown.
    """

    def __init__(self, path: Path, compression: str = "zstd", queue_bytes: int = 64 << 20) -> None:
        if compression not in COMPRESSIONS:
            raise UserError(
                f"compression '{compression}' is unknown; use one of {', '.join(COMPRESSIONS)}"
            )
        self.path = path
        self.dropped: Counter[str] = Counter()
        self.unreadable: Counter[str] = Counter()
        self.written: Counter[str] = Counter()
        self._queue: deque[_Sample] = deque()
        self._queue_limit = queue_bytes
        self._queued_bytes = 0
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._closing = False
        self._failure: Exception | None = None
        self._topics: dict[int, str] = {}
        self._sequences: Counter[int] = Counter()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _GuardedFile(path)
            # The queue, not the writer, is what the threads share: only add_channel and the
            # writing thread touch the writer, under its own lock.
            self._writer = Writer(self._file, compression=COMPRESSIONS[compression])
            self._writer.start(profile="ros2", library="edge_robot")
        except OSError as error:
            raise UserError(
                f"cannot write {path}: {error.strerror}; free space or choose another place"
            ) from error
        self._writer_lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="recording-writer", daemon=True)
        self._thread.start()

    def add_channel(
        self,
        topic: str,
        type_name: str,
        definition: str,
        metadata: dict[str, str] | None = None,
    ) -> int:
        """Register a topic.

        Args:
            topic: Topic name.
            type_name: ROS 2 type, `package/msg/Name`.
            definition: Message definition with everything it depends on (encoding ros2msg).
            metadata: What else is to be known of the topic.

        Returns:
            The channel to write its samples to.
        """
        with self._writer_lock:
            schema = self._writer.register_schema(type_name, "ros2msg", definition.encode())
            channel = self._writer.register_channel(topic, "cdr", schema, metadata or {})
        self._topics[channel] = topic
        return channel

    def write(
        self,
        channel: int,
        log_time: int,
        publish_time: int,
        data: bytes,
        encode: Encoder | None = None,
    ) -> bool:
        """Queue one sample; never waits.

        Args:
            channel: From `add_channel`.
            log_time: When it counts as recorded, wall clock, ns.
            publish_time: When it was published, wall clock, ns.
            data: CDR with its 4-byte header.
            encode: Applied to `data` in the writing thread. A sample of which it raises
                ValueError contradicts itself: it is left out, and counted in `unreadable`.

        Returns:
            False if it was dropped: the queue was full or the recording has failed.
        """
        sample = _Sample(channel, log_time, publish_time, self._sequences[channel], data, encode)
        with self._lock:
            self._sequences[channel] += 1
            if (
                self._closing
                or self._failure is not None
                or self._queued_bytes + len(data) > self._queue_limit
            ):
                self.dropped[self._topics[channel]] += 1
                return False
            self._queue.append(sample)
            self._queued_bytes += len(data)
        return True

    def check(self) -> None:
        """Raise what stopped the recording, if anything did.

        Raises:
            UserError: The disk is full or the file cannot be written any more.
        """
        if isinstance(self._failure, OSError):
            raise UserError(
                f"cannot write {self.path}: {self._failure.strerror}; what was recorded until then "
                "is kept; free space or choose another place"
            ) from self._failure
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Write what waits, then the index, and close the file; a second call does nothing.

        Raises:
            UserError: As `check`.
        """
        with self._lock:
            if self._closing:
                return
            self._closing = True
        self._closed.set()
        self._thread.join()
        self.check()

    def _run(self) -> None:
        try:
            while (sample := self._next()) is not None:
                try:
                    data = sample.data if sample.encode is None else sample.encode(sample.data)
                except ValueError:
                    self.unreadable[self._topics[sample.channel]] += 1
                    continue
                with self._writer_lock:
                    self._writer.add_message(
                        sample.channel, sample.log_time, data, sample.publish_time, sample.sequence
                    )
                self.written[self._topics[sample.channel]] += 1
                if self._file.failure is not None:
                    break
            self._finish()
            self._failure = self._file.failure
        except Exception as error:  # handed to the caller's thread by check()
            self._failure = self._file.failure or error
        finally:
            self._file.close()

    def _next(self) -> _Sample | None:
        while True:
            with self._lock:
                if self._queue:
                    sample = self._queue.popleft()
                    self._queued_bytes -= len(sample.data)
                    return sample
                if self._closing:
                    return None
            self._closed.wait(_PAUSE)

    def _finish(self) -> None:
        counts = {f"dropped {topic}": str(count) for topic, count in sorted(self.dropped.items())}
        with self._writer_lock:
            self._writer.add_metadata("recorder", {"dropped": str(self.dropped.total()), **counts})
            self._writer.finish()
