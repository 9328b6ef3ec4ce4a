"""The text of interface definitions: that of their files, or one made from what is known."""

from __future__ import annotations

from edge_robot.standalone.interfaces.definitions import (
    Definition,
    FieldType,
    InterfaceError,
)
from edge_robot.standalone.interfaces.store import Interfaces

_HALVES = {
    "msg": ("",),
    "srv": ("_Request", "_Response"),
    "action": ("_Goal", "_Result", "_Feedback"),
}


class InterfaceSource:
    """Definitions as text, of all interfaces the standalone runtime knows."""

    def __init__(self, interfaces: Interfaces) -> None:
        self._interfaces = interfaces

    def packages(self) -> frozenset[str]:
        """Return the names of all packages."""
        return self._interfaces.packages()

    def names(self, package: str, kind: str) -> list[str]:
        """Return the short names of a package's interfaces of a kind."""
        return self._interfaces.names(package, kind)

    def text(self, name: str) -> str:
        """Return the definition of `package/kind/Name`.

        Raises:
            LookupError: there is no such interface.
        """
        package, kind, _ = name.split("/")
        if package not in self.packages():
            raise LookupError(f"Unknown package '{package}'")
        if not self._interfaces.has(name):
            raise LookupError(f"Could not find the interface '{name}'")
        file = self._interfaces.file(name)
        if file is not None:
            return file.read_text(encoding="utf-8")
        try:
            parts = [self._interfaces.message(name + half) for half in _HALVES[kind]]
        except InterfaceError as error:
            raise LookupError(str(error)) from error
        return "---\n".join(_message_text(part) for part in parts)


def _message_text(definition: Definition) -> str:
    package = definition.name.split("/")[0]
    lines = [
        f"{constant.type} {constant.name}={_constant(constant.value)}"
        for constant in definition.constants
    ]
    for field in definition.members:
        default = "" if field.default is None else f" {_literal(field.default)}"
        lines.append(f"{_type_text(field.type, package)} {field.name}{default}")
    return "".join(f"{line}\n" for line in lines)


def _constant(value: object) -> object:
    return value[0] if isinstance(value, bytes) else value


def _literal(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # as they are usually written
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _type_text(kind: FieldType, package: str) -> str:
    base = kind.base
    if not kind.is_primitive:
        owner, _, short = base.split("/")
        base = short if owner == package else f"{owner}/{short}"
    if kind.string_bound:
        base = f"{base}<={kind.string_bound}"
    if kind.array is not None:
        return f"{base}[{kind.array}]"
    if kind.sequence:
        return f"{base}[<={kind.bound}]" if kind.bound else f"{base}[]"
    return base
