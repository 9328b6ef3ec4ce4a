"""What messages and services consist of: the definitions everything else here is generated from.

Common packages come from `rosbags` (one set per ROS 2 distribution); `vision_msgs`, `std_srvs`
and the services of `rcl_interfaces` from the `.msg` and `.srv` files beside this module;
`edge_robot`'s own from its share folder; the user's from EDGE_ROBOT_INTERFACE_PATH.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from edge_robot.errors import UserError
from edge_robot.share import share_dir

DEFAULT_DISTRO = "jazzy"

KINDS = ("msg", "srv", "action")
"""Kinds of interfaces; a package keeps each in a folder of that name."""

PRIMITIVES = frozenset(
    ["bool", "byte", "string", "float32", "float64"]
    + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)

PADDING_FIELD = "structure_needs_at_least_one_member"
"""IDL has no empty structures, so ROS 2 gives an empty message this one uint8."""


class InterfaceError(Exception):
    """An interface is unknown, or its text cannot be understood."""


@dataclass(frozen=True)
class FieldType:
    """Type of a field.

    Attributes:
        base: A name in `PRIMITIVES`, or `package/msg/Name`.
        array: Number of elements of a fixed array; None otherwise.
        sequence: Whether it is a variable-length sequence.
        bound: Longest sequence; 0 for no bound.
        string_bound: Longest string; 0 for no bound.
    """

    base: str
    array: int | None = None
    sequence: bool = False
    bound: int = 0
    string_bound: int = 0

    @property
    def is_primitive(self) -> bool:
        """Whether the elements are numbers, booleans, bytes or strings."""
        return self.base in PRIMITIVES

    def __str__(self) -> str:
        """Return the type as rosidl's `get_fields_and_field_types` spells it."""
        if self.base == "string" and self.string_bound:
            name = f"string<{self.string_bound}>"
        elif self.is_primitive:
            name = {
                "byte": "octet",
                "bool": "boolean",
                "float32": "float",
                "float64": "double",
            }.get(self.base, self.base)
        else:
            package, _, message = self.base.split("/")
            name = f"{package}/{message}"
        if self.array is not None:
            return f"{name}[{self.array}]"
        if self.sequence:
            return f"sequence<{name}, {self.bound}>" if self.bound else f"sequence<{name}>"
        return name


@dataclass(frozen=True)
class Field:
    """One field; `default` is None for the type's zero."""

    name: str
    type: FieldType
    default: Any = None


@dataclass(frozen=True)
class Constant:
    """A named constant."""

    name: str
    type: str
    value: Any


@dataclass(frozen=True)
class Definition:
    """A message: full name `package/msg/Name`, its fields in order, its constants."""

    name: str
    fields: tuple[Field, ...]
    constants: tuple[Constant, ...] = ()


_LINE = re.compile(
    r"(?P<base>[A-Za-z][\w/]*)(?:<=(?P<string_bound>\d+))?"
    r"(?P<brackets>\[(?:(?P<bounded><=)?(?P<size>\d+))?\])?"
    r"\s+(?P<name>[A-Za-z]\w*)\s*(?:(?P<constant>=)\s*(?P<value>.+)|(?P<default>.+))?"
)


def _without_comment(line: str) -> str:
    quote = ""
    for index, char in enumerate(line):
        if quote:
            if char == quote and line[index - 1] != "\\":
                quote = ""
        elif char in "\"'":
            quote = char
        elif char == "#":
            return line[:index].strip()
    return line.strip()


def _literal(text: str, base: str) -> Any:
    """Return the value a default or a constant is written as."""
    text = text.strip()
    if base == "bool" and text.lower() in ("true", "false", "1", "0"):
        return text.lower() in ("true", "1")
    if base == "string" and text[:1] not in "\"'[":
        return text
    if text.startswith("["):
        text = re.sub(r"\b(true|false)\b", lambda match: match[0].capitalize(), text)
    value = ast.literal_eval(text)
    if base.startswith("float"):
        return [float(item) for item in value] if isinstance(value, list) else float(value)
    return value


def parse_message(text: str, name: str) -> Definition:
    """Read the text of a `.msg` file.

    Args:
        text: The file's text.
        name: Full name, `package/msg/Name`.

    Raises:
        InterfaceError: a line cannot be understood.
    """
    package = name.split("/")[0]
    fields = []
    constants = []
    for raw in text.splitlines():
        line = _without_comment(raw)
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise InterfaceError(f"{name}: cannot understand the line {raw!r}")
        base = _full_name(match["base"], package)
        try:
            if match["constant"]:
                constants.append(Constant(match["name"], base, _literal(match["value"], base)))
                continue
            default = None if match["default"] is None else _literal(match["default"], base)
        except (ValueError, SyntaxError) as error:
            raise InterfaceError(f"{name}: cannot understand the value in {raw!r}") from error
        size = int(match["size"] or 0)
        fixed = bool(match["brackets"] and size and not match["bounded"])
        field_type = FieldType(
            base,
            array=size if fixed else None,
            sequence=bool(match["brackets"]) and not fixed,
            bound=0 if fixed else size,
            string_bound=int(match["string_bound"] or 0),
        )
        fields.append(Field(match["name"], field_type, default))
    return _definition(name, fields, constants)


def _full_name(base: str, package: str) -> str:
    if base in PRIMITIVES:
        return base
    if base == "char":
        return "uint8"
    if base == "Header":
        return "std_msgs/msg/Header"
    parts = base.split("/")
    return f"{parts[0] if len(parts) > 1 else package}/msg/{parts[-1]}"


def _definition(name: str, fields: list[Field], constants: list[Constant]) -> Definition:
    if not fields:
        fields = [Field(PADDING_FIELD, FieldType("uint8"))]
    return Definition(name, tuple(fields), tuple(constants))


def parse_service(text: str, name: str) -> tuple[Definition, Definition]:
    """Read the text of a `.srv` file into its request and its response."""
    halves = re.split(r"^---\s*$", text, flags=re.MULTILINE)
    if len(halves) != 2:
        raise InterfaceError(f"{name}: a service needs exactly one line '---'")
    return (
        parse_message(halves[0], f"{name}_Request"),
        parse_message(halves[1], f"{name}_Response"),
    )


def ros_distro() -> str:
    """Return the ROS 2 distribution whose message definitions are in use."""
    return os.environ.get("EDGE_ROBOT_ROS_DISTRO") or os.environ.get("ROS_DISTRO") or DEFAULT_DISTRO


_DEFAULTS = {("geometry_msgs/msg/Quaternion", "w"): 1.0}
"""Defaults other than zero in the common packages; `rosbags` does not keep them."""


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
            store = import_module(f"rosbags.typesys.stores.ros2_{distro}")
        except ModuleNotFoundError:
            raise UserError(
                f"no message definitions for the ROS 2 distribution {distro!r}; "
                "set EDGE_ROBOT_ROS_DISTRO to humble, iron, jazzy, kilted or lyrical"
            ) from None
        self._common: dict[str, tuple[list[Any], list[Any]]] = store.FIELDDEFS
        self._files = {
            f"{package}/{file.suffix[1:]}/{file.stem}": file
            for package, folder in folders.items()
            for kind in ("msg", "srv")
            for file in sorted((folder / kind).glob(f"*.{kind}"))
        }
        self._cache: dict[str, Definition] = {}

    def packages(self) -> frozenset[str]:
        """Return the names of all packages."""
        return frozenset(name.split("/")[0] for name in (*self._common, *self._files))

    def names(self, package: str, kind: str) -> list[str]:
        """Return the short names of a package's messages (`msg`) or services (`srv`)."""
        prefix = f"{package}/{kind}/"
        return sorted(
            name.removeprefix(prefix)
            for name in {*self._common, *self._files}
            if name.startswith(prefix)
        )

    def has(self, name: str) -> bool:
        """Return whether `package/msg/Name` or `package/srv/Name` exists."""
        return name in self._files or name in self._common

    def file(self, name: str) -> Path | None:
        """Return the file that defines `package/msg/Name`; None where it is none of its own."""
        return self._files.get(name)

    def message(self, name: str) -> Definition:
        """Return the definition of `package/msg/Name`, or of a service's `…_Request`, `…_Response`.

        Raises:
            InterfaceError: there is no such interface, or its text is malformed.
        """
        if name not in self._cache:
            self._cache[name] = self._load(name)
        return self._cache[name]

    def _load(self, name: str) -> Definition:
        if name in self._files:
            return parse_message(self._files[name].read_text(encoding="utf-8"), name)
        service, _, half = name.rpartition("_")
        if "/srv/" in name and service in self._files:
            text = self._files[service].read_text(encoding="utf-8")
            return parse_service(text, service)[half == "Response"]
        if name not in self._common:
            raise InterfaceError(f"no interface is named {name!r}")
        constants, fields = self._common[name]
        return _definition(
            name,
            [
                Field(field, _type_from_rosbags(desc), _DEFAULTS.get((name, field)))
                for field, desc in fields
            ],
            [Constant(constant, base, value) for constant, base, value in constants],
        )


def _type_from_rosbags(desc: Any) -> FieldType:
    """Convert a field description of `rosbags` (see `rosbags.interfaces.Nodetype`)."""
    node, detail = desc
    if node.name == "BASE":
        base, string_bound = detail
        return FieldType("uint8" if base == "char" else base, string_bound=string_bound)
    if node.name == "NAME":
        return FieldType(detail)
    inner, size = detail
    element = _type_from_rosbags(inner)
    fixed = node.name == "ARRAY"
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
