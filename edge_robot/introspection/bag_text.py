"""What is in a bag, as `ros2 bag info` prints it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

_COLUMN = 19
"""Where values begin."""


class Topic(Protocol):
    """A topic of a bag."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def type(self) -> str:
        """ROS 2 type."""

    @property
    def count(self) -> int:
        """Number of samples."""

    @property
    def serialization(self) -> str:
        """How they are serialized."""


def bag_text(
    *,
    files: Sequence[str],
    size: int,
    storage: str,
    distro: str,
    start: int,
    duration: int,
    topics: Sequence[Topic],
) -> str:
    """Return the description of a bag.

    Args:
        files: Names of its files.
        size: Of its files, bytes.
        storage: What stores it, for example "mcap".
        distro: ROS 2 distribution it was recorded with.
        start: Time of the first sample, ns.
        duration: From the first to the last sample, ns.
        topics: Its topics; those of service events are listed as services.
    """
    services = [topic for topic in topics if is_service_event(topic)]
    plain = [topic for topic in topics if not is_service_event(topic)]
    rows = [
        f"Topic: {t.name} | Type: {t.type} | Count: {t.count} | "
        f"Serialization Format: {t.serialization}"
        for t in plain
    ]
    service_rows = [
        f"Service: {t.name.removesuffix('/_service_event')} | Type: {t.type.removesuffix('_Event')}"
        f" | Event Count: {t.count} | Serialization Format: {t.serialization}"
        for t in services
    ]
    lines = [
        "",
        f"Files:             {_column(files, _COLUMN)}",
        f"Bag size:          {size_text(size)}",
        f"Storage id:        {storage}",
        f"ROS Distro:        {distro or 'unknown'}",
        f"Duration:          {_seconds(duration)}s",
        f"Start:             {_moment(start)}",
        f"End:               {_moment(start + duration)}",
        f"Messages:          {sum(topic.count for topic in plain)}",
        f"Topic information: {_column(rows, _COLUMN)}",
        f"Service:           {len(services)}",
        f"Service information: {_column(service_rows, _COLUMN + 2)}",
    ]
    return "\n".join(lines) + ("\n" if services else "")


def is_service_event(topic: Topic) -> bool:
    """Return whether a topic holds what a service was asked and answered."""
    return (
        "/srv/" in topic.type
        and topic.type.endswith("_Event")
        and topic.name.endswith("/_service_event")
    )


def size_text(size: float) -> str:
    """Return a size in bytes in the greatest unit it fills."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def _column(rows: Sequence[str], indent: int) -> str:
    return f"\n{' ' * indent}".join(rows)


def _seconds(nanoseconds: int) -> str:
    return "{}.{:09d}".format(*divmod(nanoseconds, 1_000_000_000))


def _moment(nanoseconds: int) -> str:
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    local = time.localtime(seconds)
    date = time.strftime("%b %e %Y", local)
    return f"{date} {time.strftime('%H:%M:%S', local)}.{fraction:09d} ({_seconds(nanoseconds)})"
