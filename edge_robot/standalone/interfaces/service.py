"""Service and action classes like those rosidl generates: they hold the classes of messages."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar, Protocol, cast

from edge_robot.standalone.interfaces.message import (
    InterfaceMeta,
    Message,
    message_class,
    private_module,
)
from edge_robot.standalone.interfaces.store import interfaces

_EVENT_INFO = "service_msgs/msg/ServiceEventInfo"


class Service(Protocol):
    """A service type: its name, `package/srv/Name`, and the classes of its messages."""

    name: ClassVar[str]
    Request: ClassVar[type[Message]]
    Response: ClassVar[type[Message]]


class Action(Protocol):
    """An action type: its name, `package/action/Name`, and what it consists of."""

    name: ClassVar[str]
    Goal: ClassVar[type[Message]]
    Result: ClassVar[type[Message]]
    Feedback: ClassVar[type[Message]]
    Impl: ClassVar[Any]


class ServiceMeta(InterfaceMeta):
    """Class of service classes: makes the classes of their messages when they are asked for."""

    name: str

    def __getattr__(cls, part: str) -> type[Message]:
        # Humble cannot introspect services.
        if part in ("Request", "Response") or (part == "Event" and interfaces().has(_EVENT_INFO)):
            made = message_class(f"{cls.name}_{part}")
            setattr(cls, part, made)
            return made
        raise AttributeError(f"type object {cls.__name__!r} has no attribute {part!r}")


class ActionMeta(InterfaceMeta):
    """Class of action classes."""


def _refuse_instances(kind: str) -> Any:
    def init(self: object) -> None:
        raise NotImplementedError(f"{kind} classes can not be instantiated")

    return init


@cache
def service_class(name: str) -> type[Service]:
    """Return the class of a service, `package/srv/Name`, or of one that an action implies.

    Raises:
        InterfaceError: there is no such interface.
    """
    request = interfaces().message(f"{name}_Request")
    namespace = {
        "__module__": private_module(interfaces().owner(request.name)),
        "__init__": _refuse_instances("Service"),
        "name": name,
    }
    service: Any = ServiceMeta(name.rpartition("/")[2], (), namespace)
    return cast("type[Service]", service)


@cache
def action_class(name: str) -> type[Action]:
    """Return the class of an action, `package/action/Name`.

    Raises:
        InterfaceError: there is no such interface.
    """
    module = private_module(name)
    goal = message_class(f"{name}_Goal")
    implementation = type(
        "Impl",
        (),
        {
            "__module__": module,
            "__doc__": "The services and topics that carry the action.",
            "SendGoalService": service_class(f"{name}_SendGoal"),
            "GetResultService": service_class(f"{name}_GetResult"),
            "FeedbackMessage": message_class(f"{name}_FeedbackMessage"),
            "CancelGoalService": service_class("action_msgs/srv/CancelGoal"),
            "GoalStatusMessage": message_class("action_msgs/msg/GoalStatusArray"),
        },
    )
    namespace = {
        "__module__": module,
        "__init__": _refuse_instances("Action"),
        "name": name,
        "Goal": goal,
        "Result": message_class(f"{name}_Result"),
        "Feedback": message_class(f"{name}_Feedback"),
        "Impl": implementation,
    }
    action: Any = ActionMeta(name.rpartition("/")[2], (), namespace)
    return cast("type[Action]", action)


def interface_class(name: str) -> Any:
    """Return a message, service or action class, stated or implied.

    Raises:
        InterfaceError: there is no such interface.
    """
    if "/action/" in name and interfaces().has(name):
        return action_class(name)
    if "/srv/" in name and interfaces().has(name):
        return service_class(name)
    if name.endswith(("_SendGoal", "_GetResult")):
        return service_class(name)
    return message_class(name)
