"""Definitions of interfaces as `ros2 interface show` prints them: what is nested, indented."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

_FIELD = re.compile(r"\s*(?P<type>[A-Za-z][\w/]*)(?:<=\d+)?(?:\[[^\]]*\])?\s+[A-Za-z]\w*\b(?!\s*=)")
_PRIMITIVES = frozenset(
    ["bool", "byte", "char", "string", "wstring", "float32", "float64"]
    + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)


class Index(Protocol):
    """Where interfaces are found."""

    def packages(self) -> frozenset[str]:
        """Return the names of all packages that hold interfaces."""

    def names(self, package: str, kind: str) -> list[str]:
        """Return the short names of a package's interfaces of a kind (`msg`, `srv`, `action`)."""

    def text(self, name: str) -> str:
        """Return the definition of `package/kind/Name`.

        Raises:
            LookupError: there is no such interface.
        """


class AmentIndex:
    """The interfaces of a ROS 2 installation.

    Args:
        prefixes: Folders it consists of, as in AMENT_PREFIX_PATH.
    """

    def __init__(self, prefixes: list[Path]) -> None:
        self._shares: dict[str, Path] = {}
        for prefix in reversed(prefixes):  # the first counts
            resources = prefix / "share" / "ament_index" / "resource_index" / "rosidl_interfaces"
            if resources.is_dir():
                self._shares.update(
                    (f.name, prefix / "share" / f.name) for f in resources.iterdir()
                )

    @classmethod
    def of_environment(cls) -> AmentIndex:
        """Return the index of the sourced ROS 2 installation, if any."""
        return cls([Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(":") if p])

    def packages(self) -> frozenset[str]:
        """Return the names of all packages that hold interfaces."""
        return frozenset(self._shares)

    def names(self, package: str, kind: str) -> list[str]:
        """Return the short names of a package's interfaces of a kind."""
        share = self._shares.get(package)
        return [] if share is None else sorted(f.stem for f in (share / kind).glob(f"*.{kind}"))

    def text(self, name: str) -> str:
        """Return the definition of `package/kind/Name`.

        Raises:
            LookupError: there is no such interface.
        """
        package, kind, short = name.split("/")
        if package not in self._shares:
            raise LookupError(f"Unknown package '{package}'")
        file = self._shares[package] / kind / f"{short}.{kind}"
        if not file.is_file():
            raise LookupError(f"Could not find the interface '{name}'")
        return file.read_text(encoding="utf-8")


def show(
    index: Index, name: str, *, comments: bool = True, nested_comments: bool = False
) -> Iterator[str]:
    """Return the lines of a definition, those of nested messages indented by a tab.

    Args:
        index: Where interfaces are found.
        name: Name of the interface, `package/kind/Name`.
        comments: Whether comments and empty lines are shown.
        nested_comments: Whether they are shown of nested messages too.

    Raises:
        ValueError: the name has another form.
        LookupError: there is no such interface.
    """
    parts = name.split("/")
    if len(parts) != 3:
        raise ValueError(f"Invalid name '{name}'. Expected three parts separated by '/'")
    if not all(parts):
        raise ValueError(f"Invalid name '{name}'. Must not contain empty parts")
    for raw in index.text(name).splitlines():
        line = raw.rstrip()
        code = _without_comment(line)
        shown = line if comments else code.strip()
        if shown or comments:
            yield shown
        nested = nested_type(code, parts[0])
        if nested is not None:
            lines = show(index, nested, comments=nested_comments, nested_comments=nested_comments)
            yield from (f"\t{line}" if line else line for line in lines)


def nested_type(line: str, package: str) -> str | None:
    """Return the message type that the field in a line of a definition is made of.

    Args:
        line: One line without comment.
        package: Package of the definition, where the type names none.
    """
    match = _FIELD.match(line)
    if match is None or match["type"] in _PRIMITIVES:
        return None
    *path, short = match["type"].split("/")
    if not path and short == "Header":
        return "std_msgs/msg/Header"
    return f"{path[0] if path else package}/msg/{short}"


def _without_comment(line: str) -> str:
    quote = ""
    for position, char in enumerate(line):
        if quote:
            quote = "" if char == quote and line[position - 1] != "\\" else quote
        elif char in "\"'":
            quote = char
        elif char == "#":
            return line[:position]
    return line
