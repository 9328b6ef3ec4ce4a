"""Reads the text of `.msg`, `.srv` and `.action` files."""

from __future__ import annotations

import ast
import re
from typing import Any

from edge_robot.standalone.interfaces.definitions import (
    PRIMITIVES,
    STRINGS,
    Constant,
    Definition,
    Field,
    FieldType,
    InterfaceError,
    define,
)

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
    if base in STRINGS and text[:1] not in "\"'[":
        return text
    if text.startswith("["):
        text = re.sub(r"\b(true|false)\b", lambda match: match[0].capitalize(), text)
    value = ast.literal_eval(text)
    if base.startswith("float"):
        return [float(item) for item in value] if isinstance(value, list) else float(value)
    if base == "byte":
        return [bytes([item]) for item in value] if isinstance(value, list) else bytes([value])
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
        except (ValueError, SyntaxError, TypeError) as error:
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
    return define(name, fields, constants)


def _full_name(base: str, package: str) -> str:
    if base in PRIMITIVES:
        return base
    if base == "char":
        return "uint8"
    if base == "Header":
        return "std_msgs/msg/Header"
    parts = base.split("/")
    return f"{parts[0] if len(parts) > 1 else package}/msg/{parts[-1]}"


def _sections(text: str, name: str, count: int) -> list[str]:
    sections = re.split(r"^---\s*$", text, flags=re.MULTILINE)
    if len(sections) != count:
        raise InterfaceError(f"{name}: needs {count - 1} line(s) '---', has {len(sections) - 1}")
    return sections


def parse_service(text: str, name: str) -> tuple[Definition, Definition]:
    """Read the text of a `.srv` file into its request and its response.

    Raises:
        InterfaceError: a line cannot be understood, or the separator is missing.
    """
    request, response = _sections(text, name, 2)
    return parse_message(request, f"{name}_Request"), parse_message(response, f"{name}_Response")


def parse_action(text: str, name: str) -> tuple[Definition, Definition, Definition]:
    """Read the text of an `.action` file into its goal, its result and its feedback.

    Raises:
        InterfaceError: a line cannot be understood, or a separator is missing.
    """
    goal, result, feedback = _sections(text, name, 3)
    return (
        parse_message(goal, f"{name}_Goal"),
        parse_message(result, f"{name}_Result"),
        parse_message(feedback, f"{name}_Feedback"),
    )
