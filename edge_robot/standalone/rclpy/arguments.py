"""What is given to a node after `--ros-args`: remappings, parameters, log levels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_robot.errors import UserError

_IGNORED_FLAGS = frozenset(
    f"--{switch}-{target}-logs"
    for switch in ("enable", "disable")
    for target in ("rosout", "stdout", "external-lib")
)
_OPTIONS = {
    "-p": "--param",
    "-r": "--remap",
    "-e": "--enclave",
    **{name: name for name in ("--param", "--remap", "--enclave")},
    **{name: name for name in ("--params-file", "--log-level", "--log-config-file")},
}


@dataclass(frozen=True)
class Remap:
    """A renaming, for all nodes of the process or for the one named `node`."""

    source: str
    target: str
    node: str | None = None


@dataclass(frozen=True)
class ParameterOverride:
    """An initial value given from outside.

    Attributes:
        pattern: Which nodes it is for: a fully qualified name, where `*` stands for one part and
            `**` for any number.
        name: Parameter.
        value: Its value.
        origin: Where it was given, for messages to the user.
        explicit: Whether it was given on the command line.
    """

    pattern: str
    name: str
    value: Any
    origin: str
    explicit: bool

    def matches(self, node: str) -> bool:
        """Return whether it is for the node with this fully qualified name."""
        tokens = self.pattern.strip("/").split("/")
        parts = {"**": "(?:/[^/]+)*", "*": "/[^/]+"}
        expression = "".join(parts.get(token, "/" + re.escape(token)) for token in tokens)
        return re.fullmatch(expression, node) is not None

    @property
    def names_node(self) -> bool:
        """Whether the pattern ends in a node's name, not in a wildcard."""
        return not self.pattern.endswith("*")


@dataclass
class RosArguments:
    """All that was given after `--ros-args`.

    Attributes:
        remaps: In the order given.
        overrides: In the order given; of several for one parameter the last counts.
        log_levels: Logger name (empty for all) to level name.
        enclave: Security enclave.
        remaining: Arguments that are not ROS 2's.
    """

    remaps: list[Remap] = field(default_factory=list)
    overrides: list[ParameterOverride] = field(default_factory=list)
    log_levels: dict[str, str] = field(default_factory=dict)
    enclave: str = "/"
    remaining: list[str] = field(default_factory=list)


def parse_arguments(arguments: Sequence[str]) -> RosArguments:
    """Read command-line arguments.

    Raises:
        UserError: an option is unknown or malformed, or a parameter file cannot be read.
    """
    result = RosArguments()
    items = iter(arguments)
    inside = False
    for item in items:
        if item == "--ros-args":
            inside = True
        elif inside and item == "--":
            inside = False
        elif not inside:
            result.remaining.append(item)
        elif item not in _IGNORED_FLAGS:
            _read_option(item, items, result)
    return result


def _read_option(option: str, items: Iterator[str], result: RosArguments) -> None:
    name = _OPTIONS.get(option)
    if name is None:
        raise UserError(f"unknown ROS argument {option!r}: known are {', '.join(sorted(_OPTIONS))}")
    value = next(items, None)
    if value is None:
        raise UserError(f"the ROS argument {option} needs a value")
    if name == "--param":
        node, parameter, text = _split_rule(option, value)
        result.overrides.append(
            ParameterOverride(
                f"/**/{node}" if node else "/**",
                parameter,
                load_yaml(text, value),
                option,
                explicit=True,
            )
        )
    elif name == "--remap":
        node, source, target = _split_rule(option, value)
        result.remaps.append(Remap(source, target, node))
    elif name == "--params-file":
        result.overrides += load_parameter_file(Path(value))
    elif name == "--log-level":
        logger, separator, level = value.rpartition(":=")
        result.log_levels[logger if separator else ""] = level
    elif name == "--enclave":
        result.enclave = value


def _split_rule(option: str, text: str) -> tuple[str | None, str, str]:
    """Split `[node:]name:=value`."""
    name, separator, value = text.partition(":=")
    if not separator or not name:
        raise UserError(f"{option} {text}: expected name:=value")
    node = re.match(r"([^:]+):(?!//)(.+)", name)  # `rostopic://a` names no node
    return (node[1], node[2], value) if node else (None, name, value)


def load_yaml(text: str, origin: str) -> Any:
    """Read YAML as ROS 2's parameter parser does: `1e-3` is a number too.

    Raises:
        UserError: it is malformed.
    """
    import yaml  # late: nodes without parameters do not pay for it

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        pass

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+"),
        list("-+.0123456789"),
    )
    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        line = " ".join(str(error).split())
        raise UserError(f"{origin}: not YAML: {line}") from error


def load_parameter_file(path: Path) -> list[ParameterOverride]:
    """Read a ROS 2 parameter file.

    Raises:
        UserError: it cannot be read or has another structure.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the parameter file {path}: {error}") from error
    content = load_yaml(text, str(path))
    if content is None:
        return []
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected node names with 'ros__parameters:' below them")
    return list(_sections(content, "", path))


def _sections(content: dict[str, Any], prefix: str, path: Path) -> Iterator[ParameterOverride]:
    for key, value in content.items():
        if not isinstance(value, dict):
            raise UserError(
                f"{path}: {prefix}/{key}: expected 'ros__parameters:' below it, not {value!r}"
            )
        pattern = f"{prefix}/{str(key).strip('/')}"
        for name, below in value.items():
            if name == "ros__parameters":
                for parameter, setting in _flatten(below or {}, "", path):
                    yield ParameterOverride(pattern, parameter, setting, str(path), explicit=False)
            else:
                yield from _sections({name: below}, pattern, path)


def _flatten(content: Any, prefix: str, path: Path) -> Iterator[tuple[str, Any]]:
    if not isinstance(content, dict):
        raise UserError(f"{path}: 'ros__parameters:' must hold names and values, not {content!r}")
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _flatten(value, f"{name}.", path)
        else:
            yield name, value
