"""Transforming messages, and other things, of any type that someone has registered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.rclpy.duration import Duration


class TypeException(Exception):
    """Nobody has registered how to transform or convert this type."""

    def __init__(self, errstr: str) -> None:
        super().__init__(errstr)
        self.errstr = errstr


class NotImplementedException(Exception):
    """A buffer lacks lookups."""

    def __init__(self) -> None:
        self.errstr = "CanTransform or LookupTransform not implemented"
        super().__init__(self.errstr)


class _Registry:
    """Functions by type."""

    def __init__(self) -> None:
        self._functions: dict[Any, Callable[..., Any]] = {}

    def add(self, key: Any, callback: Callable[..., Any]) -> None:
        self._functions[key] = callback

    def get(self, key: Any) -> Callable[..., Any]:
        try:
            return self._functions[key]
        except KeyError:
            raise TypeException(f"Type {key} is not loaded or supported") from None


class TransformRegistration:
    """How types are transformed: functions of an object and a `TransformStamped`."""

    _registry: ClassVar[_Registry] = _Registry()

    def add(self, key: Any, callback: Callable[[Any, Any], Any]) -> None:
        """Register a type."""
        self._registry.add(key, callback)

    def get(self, key: Any) -> Callable[[Any, Any], Any]:
        """Return the function of a type.

        Raises:
            TypeException: there is none.
        """
        return self._registry.get(key)


class ConvertRegistration:
    """How types are converted: to messages, from messages, or directly."""

    _to_msg: ClassVar[_Registry] = _Registry()
    _from_msg: ClassVar[_Registry] = _Registry()
    _convert: ClassVar[_Registry] = _Registry()

    def add_to_msg(self, key: Any, callback: Callable[[Any], Any]) -> None:
        """Register how a type becomes a message."""
        self._to_msg.add(key, callback)

    def add_from_msg(self, key: Any, callback: Callable[[Any], Any]) -> None:
        """Register how a message becomes of this type."""
        self._from_msg.add(key, callback)

    def add_convert(self, key: tuple[Any, Any], callback: Callable[[Any], Any]) -> None:
        """Register how one type becomes another."""
        self._convert.add(key, callback)

    def get_to_msg(self, key: Any) -> Callable[[Any], Any]:
        """Return how a type becomes a message; TypeException if unknown."""
        return self._to_msg.get(key)

    def get_from_msg(self, key: Any) -> Callable[[Any], Any]:
        """Return how a message becomes of this type; TypeException if unknown."""
        return self._from_msg.get(key)

    def get_convert(self, key: tuple[Any, Any]) -> Callable[[Any], Any]:
        """Return how one type becomes another; TypeException if unknown."""
        return self._convert.get(key)


def convert(a: Any, b_type: Any) -> Any:
    """Return something as another type, directly or by way of a message.

    Raises:
        TypeException: nobody has registered how.
    """
    registration = ConvertRegistration()
    try:
        direct = registration.get_convert((type(a), b_type))
    except TypeException:
        if isinstance(a, b_type):
            return a
        return registration.get_from_msg(b_type)(registration.get_to_msg(type(a))(a))
    return direct(a)


def Stamped(obj: Any, stamp: Any, frame_id: str) -> Any:
    """Return an object with a header of this time and frame."""
    obj.header = message_class("std_msgs/msg/Header")(frame_id=frame_id, stamp=stamp)
    return obj


class BufferInterface:
    """Transforms what is registered, by the lookups of the class that derives from it."""

    def __init__(self) -> None:
        self.registration = TransformRegistration()

    def transform(
        self,
        object_stamped: Any,
        target_frame: str,
        timeout: Duration | None = None,
        new_type: Any = None,
    ) -> Any:
        """Return an object in another frame.

        Args:
            object_stamped: Something with a header.
            target_frame: Frame it is wanted in.
            timeout: How long to wait for the transform.
            new_type: Type it is wanted as; its own if not given.

        Raises:
            TypeException: its type is not registered.
            TransformException: there is no such transform.
        """
        do_transform = self.registration.get(type(object_stamped))
        header = object_stamped.header
        transform = self.lookup_transform(target_frame, header.frame_id, header.stamp, timeout)
        result = do_transform(object_stamped, transform)
        return result if new_type is None else convert(result, new_type)

    def transform_full(
        self,
        object_stamped: Any,
        target_frame: str,
        target_time: Any,
        fixed_frame: str,
        timeout: Duration | None = None,
        new_type: Any = None,
    ) -> Any:
        """As `transform`, to another time by way of a frame that does not move."""
        do_transform = self.registration.get(type(object_stamped))
        header = object_stamped.header
        transform = self.lookup_transform_full(
            target_frame, target_time, header.frame_id, header.stamp, fixed_frame, timeout
        )
        result = do_transform(object_stamped, transform)
        return result if new_type is None else convert(result, new_type)

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Any, timeout: Duration | None = None
    ) -> Any:
        """Return a transform."""
        raise NotImplementedException

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: Any,
        source_frame: str,
        source_time: Any,
        fixed_frame: str,
        timeout: Duration | None = None,
    ) -> Any:
        """Return a transform from one time to another."""
        raise NotImplementedException
