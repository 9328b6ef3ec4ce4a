"""Checks that a class is that of an interface."""

from __future__ import annotations

from typing import Any

from edge_robot.standalone.interfaces.message import Message
from edge_robot.standalone.interfaces.service import ServiceMeta
from edge_robot.standalone.rclpy.exceptions import NoTypeSupportImportedException


def _is_message(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Message)


def _is_service(kind: Any) -> bool:
    return isinstance(kind, ServiceMeta)


def check_for_type_support(msg_or_srv_type: Any) -> None:
    """Accept the classes of messages and services.

    Raises:
        AttributeError: it is no class of an interface.
        NoTypeSupportImportedException: it looks like one of rosidl's, but lacks its type support.
    """
    if _is_message(msg_or_srv_type) or _is_service(msg_or_srv_type):
        return
    metaclass = type(msg_or_srv_type)
    if not hasattr(metaclass, "_TYPE_SUPPORT"):
        raise AttributeError(
            f"type object '{metaclass.__name__}' has no attribute '_TYPE_SUPPORT'"
            " This might be a ROS 1 message type but it should be a ROS 2 message type."
            " Make sure to source your ROS 2 workspace after your ROS 1 workspace."
        )
    raise NoTypeSupportImportedException


def check_is_valid_msg_type(msg_type: Any) -> None:
    """Accept the classes of messages.

    Raises:
        AttributeError: it is no class of an interface.
        RuntimeError: it is another interface's.
    """
    check_for_type_support(msg_type)
    if not _is_message(msg_type):
        raise RuntimeError(
            f"The message type provided is not valid ({msg_type}),"
            " this might be a service or action"
        )


def check_is_valid_srv_type(srv_type: Any) -> None:
    """Accept the classes of services.

    Raises:
        AttributeError: it is no class of an interface.
        RuntimeError: it is another interface's.
    """
    check_for_type_support(srv_type)
    if not _is_service(srv_type):
        raise RuntimeError(
            f"The service type provided is not valid ({srv_type}),"
            " this might be a message or action"
        )
