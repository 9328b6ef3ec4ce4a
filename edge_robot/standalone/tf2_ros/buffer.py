"""Remembers transforms for some time and answers what lay where, when."""

from __future__ import annotations

import math
import threading
import time
import weakref
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.interfaces.service import service_class
from edge_robot.standalone.rclpy.clock import Clock, JumpThreshold, TimeJump
from edge_robot.standalone.rclpy.constants import S_TO_NS
from edge_robot.standalone.rclpy.duration import Duration
from edge_robot.standalone.rclpy.logging import get_logger
from edge_robot.standalone.rclpy.node import Node
from edge_robot.standalone.rclpy.task import Future
from edge_robot.standalone.rclpy.time import Time
from edge_robot.standalone.tf2_ros.buffer_interface import BufferInterface
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

    def __init__(self, parent: str, authority: str, *, static: bool) -> None:
        self.parent = parent
        self.authority = authority
        self.static = static
        self._times: list[int] = []
        self._transforms: list[Rigid] = []

    @property
    def latest(self) -> int:
        """Time of the newest transform, ns."""
        return self._times[-1]

    def describe(self) -> str:
        """Return what is known, as YAML in tf2's words."""
        # tf2 knows no times of static transforms, and no shorter span for a rate than 0.1 ms.
        newest, oldest = (0, 0) if self.static else (self._times[-1], self._times[0])
        span = newest - oldest
        return (
            f"  parent: '{self.parent}'\n"
            f"  broadcaster: '{self.authority}'\n"
            f"  rate: {len(self._times) * S_TO_NS / max(span, 100_000):.3f}\n"
            f"  most_recent_transform: {newest / S_TO_NS:.6f}\n"
            f"  oldest_transform: {oldest / S_TO_NS:.6f}\n"
            f"  buffer_length: {span / S_TO_NS:.3f}\n"
        )

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
        if len(self._times) == 1:
            raise ExtrapolationException(
                f"Lookup would require extrapolation at time {stamp / S_TO_NS:.6f}, but only time "
                f"{self.latest / S_TO_NS:.6f} is in the buffer"
            )
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


class Buffer(BufferInterface):
    """Remembers transforms and answers lookups; safe to use from several threads.

    Args:
        cache_time: How long transforms are kept; 10 s if not given.
        node: Serves what is known as `tf2_frames`, and tells by its clock when time jumps back:
            then what was known of times to come is forgotten.
    """

    def __init__(self, cache_time: Duration | None = None, node: Node | None = None) -> None:
        super().__init__()
        self._cache = (cache_time or Duration(seconds=10)).nanoseconds
        self._tracks: dict[str, _Track] = {}
        self._frames: set[str] = set()
        self._changed = threading.Condition()
        self._awaited: dict[Future, Callable[[], Any]] = {}
        self.clock = Clock() if node is None else node.get_clock()
        back = JumpThreshold(min_forward=None, min_backward=Duration(seconds=-1))
        forget = weakref.WeakMethod(self.time_jump_callback)
        self.jump_handle = self.clock.create_jump_callback(
            back, post_callback=lambda jump: (bound := forget()) and bound(jump)
        )
        if node is not None:
            self.srv = node.create_service(
                service_class("tf2_msgs/srv/FrameGraph"), "tf2_frames", self._serve_frames
            )

    def _serve_frames(self, request: Any, response: Any) -> Any:
        del request
        response.frame_yaml = self.all_frames_as_yaml()
        return response

    def time_jump_callback(self, time_jump: TimeJump) -> None:
        """Forget what was known after time was set back or changed its source."""
        del time_jump
        get_logger("tf2_buffer").warning("Detected jump back in time. Clearing tf buffer.")
        self.clear()

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
                track = self._tracks[child] = _Track(parent, authority, static=static)
            self._frames.update((parent, child))
            if not track.insert(stamp, rigid, self._cache):
                return
            self._changed.notify_all()
        self._serve_awaited()

    def _serve_awaited(self) -> None:
        """Complete the futures whose transform has become known."""
        for future, look_up in list(self._awaited.items()):
            try:
                found = look_up()
            except TransformException:
                continue
            self._awaited.pop(future, None)
            if not future.cancelled():
                future.set_result(found)

    def _forget(self, future: Future) -> None:
        self._awaited.pop(future, None)

    def _await(self, look_up: Callable[[], Any]) -> Future:
        future = Future()
        self._awaited[future] = look_up
        self._serve_awaited()
        future.add_done_callback(self._forget)
        return future

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
        return self._wait_for(
            lambda: self.lookup_transform_core(target_frame, source_frame, time), timeout
        )

    def lookup_transform_core(self, target_frame: str, source_frame: str, time: Any) -> Any:
        """As `lookup_transform`, without waiting."""
        target, source = target_frame.removeprefix("/"), source_frame.removeprefix("/")
        with self._changed:
            transform, stamp = self._transform(target, source, _nanoseconds(time))
        return _message(target, source, stamp, transform)

    async def lookup_transform_async(self, target_frame: str, source_frame: str, time: Any) -> Any:
        """As `lookup_transform`, awaiting the transform for as long as it takes."""
        return await self.wait_for_transform_async(target_frame, source_frame, time)

    def wait_for_transform_async(self, target_frame: str, source_frame: str, time: Any) -> Future:
        """Return a future of what `lookup_transform` returns."""
        return self._await(lambda: self.lookup_transform_core(target_frame, source_frame, time))

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
        frames = target_frame, target_time, source_frame, source_time, fixed_frame
        return self._wait_for(lambda: self.lookup_transform_full_core(*frames), timeout)

    def lookup_transform_full_core(
        self,
        target_frame: str,
        target_time: Any,
        source_frame: str,
        source_time: Any,
        fixed_frame: str,
    ) -> Any:
        """As `lookup_transform_full`, without waiting."""
        target, source = target_frame.removeprefix("/"), source_frame.removeprefix("/")
        fixed = fixed_frame.removeprefix("/")
        with self._changed:
            to_fixed, _ = self._transform(fixed, source, _nanoseconds(source_time))
            from_fixed, stamp = self._transform(target, fixed, _nanoseconds(target_time))
        return _message(target, source, stamp, from_fixed.after(to_fixed))

    async def lookup_transform_full_async(
        self,
        target_frame: str,
        target_time: Any,
        source_frame: str,
        source_time: Any,
        fixed_frame: str,
    ) -> Any:
        """As `lookup_transform_full`, awaiting the transform for as long as it takes."""
        return await self.wait_for_transform_full_async(
            target_frame, target_time, source_frame, source_time, fixed_frame
        )

    def wait_for_transform_full_async(
        self,
        target_frame: str,
        target_time: Any,
        source_frame: str,
        source_time: Any,
        fixed_frame: str,
    ) -> Future:
        """Return a future of what `lookup_transform_full` returns."""
        frames = target_frame, target_time, source_frame, source_time, fixed_frame
        return self._await(lambda: self.lookup_transform_full_core(*frames))

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Any,
        timeout: Duration | None = None,
        return_debug_tuple: bool = False,
    ) -> Any:
        """Return whether `lookup_transform` would succeed (and why not, if asked to)."""
        return _succeeds(
            lambda: self.lookup_transform(target_frame, source_frame, time, timeout),
            return_debug_tuple,
        )

    def can_transform_core(
        self, target_frame: str, source_frame: str, time: Any
    ) -> tuple[bool, str]:
        """Return whether `lookup_transform_core` would succeed, and why not."""
        return _succeeds(
            lambda: self.lookup_transform_core(target_frame, source_frame, time), explain=True
        )

    def can_transform_full(
        self,
        target_frame: str,
        target_time: Any,
        source_frame: str,
        source_time: Any,
        fixed_frame: str,
        timeout: Duration | None = None,
        return_debug_tuple: bool = False,
    ) -> Any:
        """Return whether `lookup_transform_full` would succeed (and why not, if asked to)."""
        frames = target_frame, target_time, source_frame, source_time, fixed_frame
        return _succeeds(lambda: self.lookup_transform_full(*frames, timeout), return_debug_tuple)

    def can_transform_full_core(
        self,
        target_frame: str,
        target_time: Any,
        source_frame: str,
        source_time: Any,
        fixed_frame: str,
    ) -> tuple[bool, str]:
        """Return whether `lookup_transform_full_core` would succeed, and why not."""
        frames = target_frame, target_time, source_frame, source_time, fixed_frame
        return _succeeds(lambda: self.lookup_transform_full_core(*frames), explain=True)

    def all_frames_as_string(self) -> str:
        """Return what is known, one line per frame."""
        with self._changed:
            return "".join(
                f"Frame {child} exists with parent {track.parent}.\n"
                for child, track in sorted(self._tracks.items())
            )

    def all_frames_as_yaml(self) -> str:
        """Return what is known, with rates and times, as `tf2_frames` serves it."""
        with self._changed:
            described = [
                f"{child}: \n{track.describe()}" for child, track in sorted(self._tracks.items())
            ]
        return "".join(described) or "[]"

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


def _succeeds(look_up: Callable[[], Any], explain: bool) -> Any:
    """Return whether a lookup succeeds; with the reason why not, if that is to be explained."""
    try:
        look_up()
    except TransformException as error:
        return (False, str(error)) if explain else False
    return (True, "") if explain else True


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
