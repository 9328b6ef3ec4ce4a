"""Remembers transforms for some time and answers what lay where, when."""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.rclpy.constants import S_TO_NS
from edge_robot.standalone.rclpy.duration import Duration
from edge_robot.standalone.rclpy.node import Node
from edge_robot.standalone.rclpy.time import Time
from edge_robot.standalone.tf2_ros.exceptions import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TransformException,
)
from edge_robot.standalone.tf2_ros.rigid import IDENTITY, Rigid

TransformStamped = message_class("geometry_msgs/msg/TransformStamped")

_MAX_DEPTH = 1000
"""Frames on the way to the root; more mean a loop."""


class _Track:
    """Where a frame lay in its parent, over time."""

    def __init__(self, parent: str, *, static: bool) -> None:
        self.parent = parent
        self.static = static
        self._times: list[int] = []
        self._transforms: list[Rigid] = []

    @property
    def latest(self) -> int:
        """Time of the newest transform, ns."""
        return self._times[-1]

    def insert(self, stamp: int, transform: Rigid, cache: int) -> bool:
        """Add a transform; False if it is older than what is kept."""
        if self.static:
            self._times, self._transforms = [stamp], [transform]
            return True
        if self._times and stamp < self.latest - cache:
            return False
        index = bisect_left(self._times, stamp)
        if index < len(self._times) and self._times[index] == stamp:
            self._transforms[index] = transform
            return True
        self._times.insert(index, stamp)
        self._transforms.insert(index, transform)
        first = bisect_left(self._times, self.latest - cache)
        del self._times[:first], self._transforms[:first]
        return True

    def at(self, stamp: int) -> Rigid:
        """Return the transform at a time, interpolated between its neighbours.

        Raises:
            ExtrapolationException: the time is outside of what is known.
        """
        if self.static:
            return self._transforms[0]
        index = bisect_left(self._times, stamp)
        if index < len(self._times) and self._times[index] == stamp:
            return self._transforms[index]
        if index == 0:
            raise ExtrapolationException(
                "Lookup would require extrapolation into the past.  Requested time "
                f"{stamp / S_TO_NS:.6f} but the earliest data is at time "
                f"{self._times[0] / S_TO_NS:.6f}"
            )
        if index == len(self._times):
            raise ExtrapolationException(
                "Lookup would require extrapolation into the future.  Requested time "
                f"{stamp / S_TO_NS:.6f} but the latest data is at time {self.latest / S_TO_NS:.6f}"
            )
        before, after = self._times[index - 1], self._times[index]
        ratio = (stamp - before) / (after - before)
        return self._transforms[index - 1].towards(self._transforms[index], ratio)


class Buffer:
    """Remembers transforms and answers lookups; safe to use from several threads.

    Args:
        cache_time: How long transforms are kept; 10 s if not given.
        node: Accepted as in ROS 2; frames are not served over the network.
    """

    def __init__(self, cache_time: Duration | None = None, node: Node | None = None) -> None:
        del node
        self._cache = (cache_time or Duration(seconds=10)).nanoseconds
        self._tracks: dict[str, _Track] = {}
        self._frames: set[str] = set()
        self._changed = threading.Condition()

    def clear(self) -> None:
        """Forget all transforms that are not static."""
        with self._changed:
            self._tracks = {name: track for name, track in self._tracks.items() if track.static}

    def set_transform(self, transform: Any, authority: str) -> None:
        """Remember a `geometry_msgs.msg.TransformStamped`.

        Raises:
            InvalidArgumentException: frame names or numbers make no sense.
        """
        self._set(transform, authority, static=False)

    def set_transform_static(self, transform: Any, authority: str) -> None:
        """Remember a transform that holds for all times.

        Raises:
            InvalidArgumentException: frame names or numbers make no sense.
        """
        self._set(transform, authority, static=True)

    def _set(self, transform: Any, authority: str, *, static: bool) -> None:
        parent = transform.header.frame_id.removeprefix("/")
        child = transform.child_frame_id.removeprefix("/")
        translation, rotation = transform.transform.translation, transform.transform.rotation
        rigid = Rigid(
            (translation.x, translation.y, translation.z),
            (rotation.x, rotation.y, rotation.z, rotation.w),
        )
        reason = _reason_to_refuse(parent, child, rigid)
        if reason:
            raise InvalidArgumentException(
                f"Ignoring transform from {parent!r} to {child!r} of {authority}: {reason}"
            )
        stamp = transform.header.stamp.sec * S_TO_NS + transform.header.stamp.nanosec
        with self._changed:
            track = self._tracks.get(child)
            if track is None or track.parent != parent or track.static != static:
                track = self._tracks[child] = _Track(parent, static=static)
            self._frames.update((parent, child))
            if track.insert(stamp, rigid, self._cache):
                self._changed.notify_all()

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Any, timeout: Duration | None = None
    ) -> Any:
        """Return the transform that takes points of the source frame into the target frame.

        Args:
            target_frame: Frame the points are wanted in.
            source_frame: Frame the points are in.
            time: When, `rclpy.time.Time` or its message; zero for the latest time known for all
                frames on the way.
            timeout: How long to wait for it, by the machine's clock; not at all if not given. What
                brings the transforms must run in another thread meanwhile.

        Returns:
            `geometry_msgs.msg.TransformStamped`.

        Raises:
            LookupException: a frame does not exist.
            ConnectivityException: the frames are not connected.
            ExtrapolationException: the time is outside of what is known.
        """
        stamp = _nanoseconds(time)
        target, source = target_frame.removeprefix("/"), source_frame.removeprefix("/")
        return self._wait_for(lambda: self._lookup(target, source, stamp), timeout)

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: Any,
        source_frame: str,
        source_time: Any,
        fixed_frame: str,
        timeout: Duration | None = None,
    ) -> Any:
        """As `lookup_transform`, from one time to another by way of a frame that does not move."""
        target, source = target_frame.removeprefix("/"), source_frame.removeprefix("/")
        fixed = fixed_frame.removeprefix("/")

        def look_up() -> Any:
            to_fixed, _ = self._transform(fixed, source, _nanoseconds(source_time))
            from_fixed, stamp = self._transform(target, fixed, _nanoseconds(target_time))
            return _message(target, source, stamp, from_fixed.after(to_fixed))

        return self._wait_for(look_up, timeout)

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Any,
        timeout: Duration | None = None,
        return_debug_tuple: bool = False,
    ) -> Any:
        """Return whether `lookup_transform` would succeed (and why not, if asked to)."""
        try:
            self.lookup_transform(target_frame, source_frame, time, timeout)
        except TransformException as error:
            return (False, str(error)) if return_debug_tuple else False
        return (True, "") if return_debug_tuple else True

    def all_frames_as_string(self) -> str:
        """Return what is known, one line per frame."""
        with self._changed:
            return "\n".join(
                f"Frame {child} exists with parent {track.parent}."
                for child, track in sorted(self._tracks.items())
            )

    def _wait_for(self, look_up: Callable[[], Any], timeout: Duration | None) -> Any:
        deadline = time.monotonic() + (timeout.nanoseconds / S_TO_NS if timeout else 0.0)
        with self._changed:
            while True:
                try:
                    return look_up()
                except TransformException:
                    remaining = deadline - time.monotonic()
                    if remaining <= 0:
                        raise
                self._changed.wait(remaining)

    def _lookup(self, target: str, source: str, stamp: int) -> Any:
        transform, stamp = self._transform(target, source, stamp)
        return _message(target, source, stamp, transform)

    def _transform(self, target: str, source: str, stamp: int) -> tuple[Rigid, int]:
        for name, frame in (("target_frame", target), ("source_frame", source)):
            if frame not in self._frames:
                raise LookupException(
                    f'"{frame}" passed to lookupTransform argument {name} does not exist.'
                )
        up, down = self._ways_to_common_ancestor(source, target)
        if not stamp:
            moving = [track.latest for track in (*up, *down) if not track.static]
            stamp = min(moving, default=0)
        try:
            return _chain(down, stamp).inverse().after(_chain(up, stamp)), stamp
        except ExtrapolationException as error:
            raise ExtrapolationException(
                f"{error}, when looking up transform from frame [{source}] to frame [{target}]"
            ) from None

    def _ways_to_common_ancestor(
        self, source: str, target: str
    ) -> tuple[list[_Track], list[_Track]]:
        """Return the tracks from both frames up to the first ancestor they share."""
        source_way, target_way = self._way_to_root(source), self._way_to_root(target)
        if source_way[-1] != target_way[-1]:
            raise ConnectivityException(
                f"Could not find a connection between '{target}' and '{source}' because they are "
                "not part of the same tree. Tf has two or more unconnected trees."
            )
        while len(source_way) > 1 and len(target_way) > 1 and source_way[-2] == target_way[-2]:
            source_way.pop()
            target_way.pop()
        return (
            [self._tracks[frame] for frame in source_way[:-1]],
            [self._tracks[frame] for frame in target_way[:-1]],
        )

    def _way_to_root(self, frame: str) -> list[str]:
        way = [frame]
        while frame in self._tracks:
            frame = self._tracks[frame].parent
            way.append(frame)
            if len(way) > _MAX_DEPTH:
                raise LookupException(f"The frames above '{way[0]}' form a loop.")
        return way


def _chain(tracks: list[_Track], stamp: int) -> Rigid:
    """Return the transform from the first track's frame into the last one's parent."""
    result = IDENTITY
    for track in tracks:
        result = track.at(stamp).after(result)
    return result


def _reason_to_refuse(parent: str, child: str, rigid: Rigid) -> str | None:
    if not parent or not child:
        return "a frame name is empty"
    if parent == child:
        return "a frame cannot be its own parent"
    if not all(math.isfinite(value) for part in rigid for value in part):
        return "it holds a value that is not finite"
    if abs(sum(value * value for value in rigid.rotation) - 1.0) > 1e-2:
        return "its quaternion is not normalized"
    return None


def _nanoseconds(moment: Any) -> int:
    if isinstance(moment, Time):
        return moment.nanoseconds
    return int(moment.sec) * S_TO_NS + int(moment.nanosec)


def _message(target: str, source: str, stamp: int, transform: Rigid) -> Any:
    message = TransformStamped(child_frame_id=source)
    message.header.frame_id = target
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, S_TO_NS)
    translation, rotation = message.transform.translation, message.transform.rotation
    translation.x, translation.y, translation.z = transform.translation
    rotation.x, rotation.y, rotation.z, rotation.w = transform.rotation
    return message
