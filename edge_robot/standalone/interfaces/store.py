"""Where definitions come from.

Common messages come from `rosbags` (one set per ROS 2 distribution); `vision_msgs` and the
services and actions of common packages from the files beside this module; `edge_robot`'s own from
its share folder; the user's from EDGE_ROBOT_INTERFACE_PATH.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from edge_robot.errors import UserError
from edge_robot.share import share_dir
from edge_robot.standalone.interfaces.common import common_definitions
from edge_robot.standalone.interfaces.definitions import (
    KINDS,
    Constant,
    Definition,
    Field,
    FieldType,
    InterfaceError,
    define,
    event_of,
    wrappers_of,
)
from edge_robot.standalone.interfaces.parser import parse_action, parse_message, parse_service

DEFAULT_DISTRO = "jazzy"


def ros_distro() -> str:
    """Return the ROS 2 distribution whose message definitions are in use."""
    return os.environ.get("EDGE_ROBOT_ROS_DISTRO") or os.environ.get("ROS_DISTRO") or DEFAULT_DISTRO


_DEFAULTS: dict[tuple[str, str], Any] = {
    **{("geometry_msgs/msg/Quaternion", axis): 0.0 for axis in "xyz"},
    ("geometry_msgs/msg/Quaternion", "w"): 1.0,
    ("rcl_interfaces/msg/ParameterDescriptor", "read_only"): False,
    ("rcl_interfaces/msg/ParameterDescriptor", "dynamic_typing"): False,
    ("type_description_interfaces/msg/FieldType", "type_id"): 0,
}
"""Defaults stated by the common packages; `rosbags` does not keep them."""


class Interfaces:
    """All interfaces of one ROS 2 distribution, looked up by name.

    Args:
        distro: ROS 2 distribution, for example `jazzy`.
        folders: Package name to a folder that holds `msg/` and `srv/`, beside the common ones.

    Raises:
        UserError: there is no such distribution.
    """

    def __init__(self, distro: str, folders: Mapping[str, Path]) -> None:
        try:
            self._common = common_definitions(distro)
        except ModuleNotFoundError:
            raise UserError(
                f"no message definitions for the ROS 2 distribution {distro!r}; "
                "set EDGE_ROBOT_ROS_DISTRO to humble, iron, jazzy, kilted or lyrical"
            ) from None
        self._files = {
            f"{package}/{file.suffix[1:]}/{file.stem}": file
            for package, folder in folders.items()
            for kind in KINDS
            for file in sorted((folder / kind).glob(f"*.{kind}"))
        }
        self._cache: dict[str, Definition] = {}

    def packages(self) -> frozenset[str]:
        """Return the names of all packages."""
        return frozenset(name.split("/")[0] for name in (*self._common, *self._files))

    def names(self, package: str, kind: str) -> list[str]:
        """Return the short names of a package's interfaces of a kind in `KINDS`."""
        prefix = f"{package}/{kind}/"
        return sorted(
            name.removeprefix(prefix)
            for name in {*self._common, *self._files}
            if name.startswith(prefix)
        )

    def has(self, name: str) -> bool:
        """Return whether `package/kind/Name` exists."""
        return name in self._files or name in self._common

    def file(self, name: str) -> Path | None:
        """Return the file that defines `package/kind/Name`; None where it is none of its own."""
        return self._files.get(name)

    def owner(self, name: str) -> str:
        """Return the interface that a message belongs to: its service, its action or itself."""
        if "/msg/" in name:
            return name
        return next((owner for owner in _owners(name) if owner in self._files), name)

    def message(self, name: str) -> Definition:
        """Return the definition of a message.

        Args:
            name: `package/msg/Name`, or the name of a message that a service or an action implies,
                such as `package/srv/Name_Request` or `package/action/Name_SendGoal_Response`.

        Raises:
            InterfaceError: there is no such message, or its text is malformed.
        """
        if name not in self._cache:
            self._cache.update((found.name, found) for found in self._load(name))
        if name not in self._cache:
            raise InterfaceError(f"no interface is named {name!r}")
        return self._cache[name]

    def _load(self, name: str) -> list[Definition]:
        """Return the definitions found where one should be."""
        if "/msg/" not in name:
            return self._load_implied(name)
        if name in self._files:
            return [parse_message(self._files[name].read_text(encoding="utf-8"), name)]
        if name not in self._common:
            return []
        constants, fields = self._common[name]
        return [
            define(
                name,
                [
                    Field(field, _field_type(desc), self._default(name, field))
                    for field, desc in fields
                ],
                [
                    # `byte` constants are one-byte strings, like the fields they are for.
                    Constant(key, base, bytes([value]) if base == "byte" else value)
                    for key, base, value in constants
                ],
            )
        ]

    def _load_implied(self, name: str) -> list[Definition]:
        """Return all messages of a service or an action, given the name of one of them."""
        owner = self.owner(name)
        if owner not in self._files:
            return []
        text = self._files[owner].read_text(encoding="utf-8")
        if "/srv/" in owner:
            return [*parse_service(text, owner), event_of(owner)]
        return [*parse_action(text, owner), *wrappers_of(owner)]

    def _default(self, name: str, field: str) -> Any:
        if name == "sensor_msgs/msg/NavSatStatus" and field == "status":
            # Stated from Jazzy on, together with the constant it equals.
            constants, _ = self._common[name]
            return next((value for key, _, value in constants if key == "STATUS_UNKNOWN"), None)
        return _DEFAULTS.get((name, field))


def _owners(name: str) -> list[str]:
    """Return what services or actions could imply a message of this name, longest first."""
    folder, _, short = name.rpartition("/")
    parts = short.split("_")
    return [f"{folder}/{'_'.join(parts[:end])}" for end in range(len(parts) - 1, 0, -1)]


def _field_type(desc: Any) -> FieldType:
    """Return the type that a description in `common_definitions` stands for."""
    node, detail = desc
    if node == "BASE":
        base, string_bound = detail
        return FieldType("uint8" if base == "char" else base, string_bound=string_bound)
    if node == "NAME":
        return FieldType(detail)
    inner, size = detail
    element = _field_type(inner)
    fixed = node == "ARRAY"
    return FieldType(
        element.base,
        array=size if fixed else None,
        sequence=not fixed,
        bound=0 if fixed else size,
        string_bound=element.string_bound,
    )


@lru_cache(maxsize=1)
def user_folders() -> dict[str, Path]:
    """Return the packages of EDGE_ROBOT_INTERFACE_PATH, by name.

    Each entry of the path is the folder of one package, which holds `msg/`, `srv/` or `action/`,
    or a folder of such folders.

    Raises:
        UserError: an entry is no folder, or no package is in it.
    """
    found: dict[str, Path] = {}
    for entry in os.environ.get("EDGE_ROBOT_INTERFACE_PATH", "").split(os.pathsep):
        if not entry:
            continue
        folder = Path(entry).resolve()
        if not folder.is_dir():
            raise UserError(f"EDGE_ROBOT_INTERFACE_PATH: {entry} is no folder")
        candidates = [folder, *sorted(item for item in folder.iterdir() if item.is_dir())]
        packages = [item for item in candidates if any((item / kind).is_dir() for kind in KINDS)]
        if not packages:
            raise UserError(
                f"EDGE_ROBOT_INTERFACE_PATH: neither {entry} nor a folder in it holds "
                f"{', '.join(KINDS)}"
            )
        found.update((item.name, item) for item in packages)
    return found


@lru_cache(maxsize=1)
def interfaces() -> Interfaces:
    """Return the interfaces of this process."""
    folders = {folder.name: folder for folder in (Path(__file__).parent / "share").iterdir()}
    folders["edge_robot"] = share_dir()
    folders.update(user_folders())
    return Interfaces(ros_distro(), folders)
