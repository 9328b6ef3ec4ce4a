"""The rule for topic and service names as programs write them: relative, private, substituted."""

from __future__ import annotations

import re
from typing import Literal

from edge_robot.standalone.rclpy.exceptions import (
    InvalidServiceNameException,
    InvalidTopicNameException,
)


def topic_name_error(name: str) -> tuple[str, int] | None:
    """Return what is wrong with a topic name that is not yet expanded, and where, or None."""
    if not name:
        return "topic name must not be empty string", 0
    if name[0].isdigit():
        return "topic name token must not start with a number", 0
    if name.endswith("/"):
        return "topic name must not end with a forward slash", len(name) - 1
    error = _stray_character(name)
    if error:
        return error
    if re.match(r"~[^/]", name):
        return "topic name must not have a tilde '~' that is not followed by a forward slash '/'", 1
    number = re.search(r"/[0-9]", name)
    if number:
        return "topic name token must not start with a number", number.start() + 1
    return None


def _stray_character(name: str) -> tuple[str, int] | None:
    opened: int | None = None
    for index, character in enumerate(name):
        word = character == "_" or (character.isascii() and character.isalnum())
        if opened is not None and character != "}":
            if not word:
                return (
                    "substitution name must not contain characters other than alphanumerics or '_'",
                    index,
                )
            if character.isdigit() and index == opened + 1:
                return "substitution name must not start with a number", index
        elif character == "{":
            opened = index
        elif character == "}":
            if opened is None:
                return "topic name must not have unmatched (unbalanced) curly braces '{}'", index
            opened = None
        elif character == "~":
            if index:
                return "topic name must not have tilde '~' unless it is the first character", index
        elif not word and character != "/":
            return (
                "topic name must not contain characters other than alphanumerics, "
                "'_', '~', '{', or '}'",
                index,
            )
    if opened is not None:
        return "topic name must not have unmatched (unbalanced) curly braces '{}'", opened
    return None


def validate_topic_name(name: str, *, is_service: bool = False) -> Literal[True]:
    """Accept absolute, relative and private (`~/…`) names, with `{substitutions}`.

    Args:
        name: Name as a program writes it.
        is_service: Whether errors speak of a service.

    Raises:
        InvalidTopicNameException: the name is malformed.
        InvalidServiceNameException: the name is malformed, and is a service's.
    """
    error = topic_name_error(name)
    if error is None:
        return True
    if is_service:
        raise InvalidServiceNameException(name, *error)
    raise InvalidTopicNameException(name, *error)
