"""What programs from outside (rosbridge, Foxglove) may publish and call; the robot stays ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from edge_robot.errors import UserError
from edge_robot.teleop.access import Role
from edge_robot.topics import full_name

STOP_SERVICE = "estop/set"
"""The `std_srvs/SetBool` by which the emergency stop is latched (true) and reset (false)."""

_NEVER = re.compile(r"(.*/)?(cmd_vel|estop|robot/mode|rosapi)(/.*)?")
"""Names that no list can permit, of this robot or another, and all below them."""

_NAME = re.compile(r"/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)
_MAX_NAME = 256


def checked_name(name: str, namespace: str = "/") -> str:
    """Return the full name of a topic, service or node: `chatter` is `/chatter`.

    Raises:
        ValueError: it is no name.
    """
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        raise ValueError(f"{name[:40]!r} is no name of a topic or service")
    return full_name(name, namespace)


class Permissions:
    """Decides by lists of exact names, each with the least role that it takes.

    Nobody is permitted anything by default but to latch the emergency stop, which everybody may,
    and to reset it, which drivers may. No list permits velocities, whoever asks: the wheel is had
    by the dashboard's own channel, with its lease and watchdog.

    Args:
        publish: Entries `ROLE TOPIC`.
        call: Entries `ROLE SERVICE`.
        namespace: The robot's, in which relative names are.

    Attributes:
        stop_service: Full name of the robot's `STOP_SERVICE`.

    Raises:
        UserError: an entry is malformed or names what is never permitted.
    """

    def __init__(
        self, publish: Iterable[str] = (), call: Iterable[str] = (), namespace: str = "/"
    ) -> None:
        self._publish = _parsed(publish, namespace)
        self._call = _parsed(call, namespace)
        self.stop_service = full_name(STOP_SERVICE, namespace)

    @property
    def topics(self) -> Mapping[str, Role]:
        """Topics that may be published on, with the least role."""
        return self._publish

    @property
    def services(self) -> Mapping[str, Role]:
        """Services that may be called besides the stop, with the least role."""
        return self._call

    def publishing(self, topic: str, role: Role) -> str | None:
        """Return why a person may not publish on a topic, None for who may.

        Args:
            topic: Full name.
            role: The person's.
        """
        if _is_never(topic):
            return f"nobody may publish on {topic} from outside: drive by the dashboard's own page"
        return _refusal(self._publish, topic, role, "publish on")

    def calling(self, service: str, request: object, role: Role) -> str | None:
        """Return why a person may not call a service, None for who may.

        Args:
            service: Full name.
            request: Its request; of the stop, the value of `data` counts.
            role: The person's.
        """
        if service == self.stop_service:
            # Only what is certainly a stop is everybody's.
            if getattr(request, "data", None) is True or role >= Role.DRIVE:
                return None
            return "only drivers may reset the emergency stop; everybody may press it (data: true)"
        if _is_never(service):
            return f"nobody may call {service} from outside"
        return _refusal(self._call, service, role, "call")


def _is_never(name: str) -> bool:
    return _NEVER.fullmatch(name) is not None


def _refusal(allowed: Mapping[str, Role], name: str, role: Role, verb: str) -> str | None:
    least = allowed.get(name)
    if least is None:
        return f"nobody is permitted to {verb} {name}; the robot's parameters list what is"
    if role < least:
        return f"to {verb} {name} takes the role {least.name.lower()}; yours is {role.name.lower()}"
    return None


def _parsed(entries: Iterable[str], namespace: str) -> dict[str, Role]:
    roles: dict[str, Role] = {}
    for entry in entries:
        word, _, name = entry.partition(" ")
        try:
            role, name = Role[word.upper()], checked_name(name.strip(), namespace)
        except (KeyError, ValueError):
            raise UserError(
                f"{entry!r} permits nothing: write a role (view, drive, admin) and a name, "
                "such as 'drive goal_pose'"
            ) from None
        if _is_never(name):
            raise UserError(
                f"{entry!r} cannot be permitted: velocities and stop have ways of their own"
            )
        roles[name] = role
    return roles
