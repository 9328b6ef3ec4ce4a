"""Reads launch XML: elements are carried out in order, and what is left is a list of processes.

Scoping is launch's: an `<include>` shares the variables and environment of the place it stands
in, a `<group>` keeps its changes to itself.
"""

from __future__ import annotations

import json
import math
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from edge_robot.errors import UserError
from edge_robot.share import share_dir
from edge_robot.standalone.launch.description import Argument, Event, LaunchDescription, Process
from edge_robot.standalone.launch.elements import Element, read_xml
from edge_robot.standalone.launch.substitutions import (
    Scope,
    SubstitutionError,
    exec_in_pkg,
    expand,
    truth,
    with_this_python,
)

_CONDITIONS = {"if", "unless"}
_PROCESS = {"name", "launch-prefix", "output", "respawn", "respawn_delay", "on_exit"} | _CONDITIONS

_ATTRIBUTES: dict[str, set[str]] = {
    "launch": {"version"},
    "arg": {"name", "default", "description"} | _CONDITIONS,
    "let": {"name", "value"} | _CONDITIONS,
    "set_env": {"name", "value"} | _CONDITIONS,
    "unset_env": {"name"} | _CONDITIONS,
    "append_env": {"name", "value", "prepend", "separator"} | _CONDITIONS,
    "set_parameter": {"name", "value"} | _CONDITIONS,
    "set_parameters_from_file": {"filename"} | _CONDITIONS,
    "set_remap": {"from", "to"} | _CONDITIONS,
    "set_use_sim_time": {"value"} | _CONDITIONS,
    "push_ros_namespace": {"namespace"} | _CONDITIONS,
    "push-ros-namespace": {"namespace"} | _CONDITIONS,
    "group": {"scoped"} | _CONDITIONS,
    "timer": {"period"} | _CONDITIONS,
    "log": {"message", "level"} | _CONDITIONS,
    "shutdown": {"reason"} | _CONDITIONS,
    "include": {"file"} | _CONDITIONS,
    "node": {"pkg", "exec", "namespace", "args", "ros_args"} | _PROCESS,
    "executable": {"cmd"} | _PROCESS,
}
"""The elements of a launch file, each with the attributes it may have."""

_PARTS: dict[str, dict[str, set[str]]] = {
    "arg": {"choice": {"value"}},
    "include": {"arg": {"name", "value"}},
    "node": {
        "param": {"name", "value", "type", "from"},
        "remap": {"from", "to"},
        "env": {"name", "value"},
    },
    "executable": {"env": {"name", "value"}},
}
"""The elements inside those that are no actions of their own."""

_TYPES: dict[str, type] = {"str": str, "bool": bool, "float": float, "int": int}
"""What `type` of a `<param>` may be, beside `yaml`; with `list_of_` before it, a list of that."""
_LIST = "list_of_"


def find_launch_file(name: str) -> Path:
    """Return the file meant by a path, or by the name of one of edge_robot's own launch files.

    Raises:
        UserError: there is no such file.
    """
    if name.endswith(".xml") or os.sep in name:
        path = Path(name).resolve()
        if path.is_file():
            return path
        raise UserError(f"launch file {name} does not exist; check the path")
    folder = share_dir() / "launch"
    path = folder / f"{name}.launch.xml"
    if path.is_file():
        return path
    known = ", ".join(sorted(file.name.split(".")[0] for file in folder.glob("*.launch.xml")))
    raise UserError(f"no launch file named {name!r} in {folder}; use one of {known}, or a path")


def node_executables() -> list[str]:
    """Return the executables of package edge_robot: its node modules that have a `main`."""
    folder = Path(__file__).resolve().parents[2] / "nodes"
    return sorted(file.stem for file in folder.glob("*.py") if "\ndef main(" in file.read_text())


def load(
    file: Path, arguments: Mapping[str, str], environment: Mapping[str, str] | None = None
) -> LaunchDescription:
    """Read a launch file and everything it includes.

    Args:
        file: The launch file.
        arguments: Values of its launch arguments.
        environment: What processes inherit; None for this process's own.

    Raises:
        UserError: a file is missing or malformed, says something this runner does not know, or an
            argument is unknown, missing or not among its choices.
    """
    known = [argument.name for argument in arguments_of(file)]
    for name in arguments:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "see --show-args"
            raise UserError(f"{file.name} has no launch argument {name!r}; {hint}")
    inherited = os.environ if environment is None else environment
    reader = _Reader(Scope(dict(arguments), dict(inherited)))
    reader.run_file(file)
    return LaunchDescription(tuple(reader.processes), tuple(reader.events))


def arguments_of(file: Path) -> list[Argument]:
    """Return the arguments a launch file takes, those of the files it includes among them.

    Raises:
        UserError: a file is missing or malformed.
    """
    found: dict[str, Argument] = {}
    _collect_arguments(read_xml(file), Scope({}, dict(os.environ)), frozenset(), found)
    return list(found.values())


def _collect_arguments(
    parent: Element, scope: Scope, fixed: frozenset[str], found: dict[str, Argument]
) -> None:
    """Add to `found` what is declared below `parent`; conditions are not looked at.

    Args:
        parent: A `<launch>` or `<group>`.
        scope: Filled with defaults, to find included files.
        fixed: Names an `<include>` has given values, which are no longer the user's to give.
        found: Declared arguments by name.
    """
    for element in parent.children:
        if element.tag == "arg":
            argument = _argument(element)
            if argument.name not in fixed:
                found.setdefault(argument.name, argument)
            if argument.default is not None and argument.name not in scope.variables:
                # One that rests on an argument that must be given is not known yet.
                with suppress(SubstitutionError):
                    scope.variables[argument.name] = expand(argument.default, scope, element.file)
        elif element.tag in ("group", "timer"):
            _collect_arguments(element, scope.copy(), fixed, found)
        elif element.tag == "include":
            given = {part.require("name") for part in element.children}
            root = read_xml(_included_file(element, scope))
            _collect_arguments(root, scope.copy(), fixed | given, found)


def _argument(element: Element) -> Argument:
    return Argument(
        name=element.require("name"),
        default=element.attributes.get("default"),
        description=element.attributes.get("description", ""),
        choices=tuple(part.require("value") for part in element.children),
    )


def _expand(
    element: Element, text: str, scope: Scope, quote: Callable[[str], str] | None = None
) -> str:
    try:
        if quote is None:
            return expand(text, scope, element.file)
        return expand(text, scope, element.file, quote)
    except SubstitutionError as error:
        raise element.error(str(error)) from None


def _included_file(element: Element, scope: Scope) -> Path:
    path = Path(_expand(element, element.require("file"), scope))
    path = path if path.is_absolute() else element.file.parent / path
    if not path.is_file():
        raise element.error(f"launch file {path} does not exist; correct the path")
    return path


class _Reader:
    """Carries out the elements of a launch file.

    Attributes:
        scope: What holds at the present place.
        processes: The processes met so far.
        events: What else happens, as far as it was met.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.processes: list[Process] = []
        self.events: list[Event] = []
        self._delay = 0.0
        self._actions: dict[str, Callable[[Element], None]] = {
            "arg": self._arg,
            "let": self._let,
            "set_env": self._set_env,
            "unset_env": self._unset_env,
            "append_env": self._append_env,
            "set_parameter": self._set_parameter,
            "set_parameters_from_file": self._set_parameters_from_file,
            "set_remap": self._set_remap,
            "set_use_sim_time": self._set_use_sim_time,
            "push_ros_namespace": self._push_namespace,
            "push-ros-namespace": self._push_namespace,
            "group": self._group,
            "timer": self._timer,
            "log": self._log,
            "shutdown": self._shutdown,
            "include": self._include,
            "node": self._node,
            "executable": self._executable,
        }

    def run_file(self, file: Path) -> None:
        """Carry out all elements of a file."""
        self._run(read_xml(file))

    def _run(self, parent: Element) -> None:
        for element in parent.children:
            if element.tag not in self._actions:
                known = ", ".join(f"<{tag}>" for tag in self._actions)
                raise element.error(f"is not known to this launch runner; it knows {known}")
            _check(element)
            if self._applies(element):
                self._actions[element.tag](element)

    # --- values ---------------------------------------------------------------------------

    def _text(self, element: Element, name: str, default: str | None = None) -> str:
        """Return an attribute, filled in; one without a default must be there."""
        if default is not None and name not in element.attributes:
            return default
        return _expand(element, element.require(name), self.scope)

    def _flag(self, element: Element, name: str, default: str) -> bool:
        value = self._text(element, name, default)
        try:
            return truth(value)
        except SubstitutionError:
            raise element.error(f"{name}={value!r} is neither true nor false") from None

    def _seconds(self, element: Element, name: str, default: str | None = None) -> float:
        try:
            seconds = float(self._text(element, name, default))
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds < math.inf:
            raise element.error(f"{name} is not a number of seconds")
        return seconds

    def _words(self, element: Element, name: str) -> list[str]:
        """Return an attribute split as a shell would; a filled-in value stays one word."""
        text = _expand(element, element.attributes.get(name, ""), self.scope, shlex.quote)
        try:
            return shlex.split(text)
        except ValueError as error:
            raise element.error(f"{name}: {error}") from None

    def _applies(self, element: Element) -> bool:
        return self._flag(element, "if", "true") and not self._flag(element, "unless", "false")

    # --- actions --------------------------------------------------------------------------

    def _arg(self, element: Element) -> None:
        argument = _argument(element)
        if argument.name not in self.scope.variables:
            if argument.default is None:
                raise UserError(
                    f"launch argument {argument.name!r} has no default; give {argument.name}:=VALUE"
                )
            self.scope.variables[argument.name] = self._text(element, "default")
        value = self.scope.variables[argument.name]
        if argument.choices and value not in argument.choices:
            allowed = ", ".join(argument.choices)
            raise UserError(f"launch argument {argument.name}:={value}: use one of {allowed}")

    def _let(self, element: Element) -> None:
        self.scope.variables[self._text(element, "name")] = self._text(element, "value")

    def _set_env(self, element: Element) -> None:
        self.scope.environment[self._text(element, "name")] = self._text(element, "value")

    def _unset_env(self, element: Element) -> None:
        self.scope.environment.pop(self._text(element, "name"), None)

    def _append_env(self, element: Element) -> None:
        name, value = self._text(element, "name"), self._text(element, "value")
        present = self.scope.environment.get(name)
        if present is not None:
            parts = [present, value]
            if self._flag(element, "prepend", "false"):
                parts.reverse()
            value = self._text(element, "separator", os.pathsep).join(parts)
        self.scope.environment[name] = value

    def _for_all_nodes(self, *arguments: str) -> None:
        self.scope.arguments = (*self.scope.arguments, *arguments)

    def _set_parameter(self, element: Element) -> None:
        name, value = self._text(element, "name"), self._text(element, "value")
        self._for_all_nodes("-p", f"{name}:={value}")

    def _set_parameters_from_file(self, element: Element) -> None:
        self._for_all_nodes(*self._parameter_file(element, "filename"))

    def _set_remap(self, element: Element) -> None:
        source, target = self._text(element, "from"), self._text(element, "to")
        self._for_all_nodes("-r", f"{source}:={target}")

    def _set_use_sim_time(self, element: Element) -> None:
        value = "true" if self._flag(element, "value", "true") else "false"
        self._for_all_nodes("-p", f"use_sim_time:={value}")

    def _push_namespace(self, element: Element) -> None:
        pushed = self._text(element, "namespace")
        self.scope.namespace = _join_namespace(self.scope.namespace, pushed)

    def _group(self, element: Element) -> None:
        if not self._flag(element, "scoped", "true"):
            self._run(element)
            return
        outer = self.scope
        self.scope = outer.copy()
        self._run(element)
        self.scope = outer

    def _timer(self, element: Element) -> None:
        outer = self._delay
        self._delay += self._seconds(element, "period")
        self._run(element)
        self._delay = outer

    def _log(self, element: Element) -> None:
        self.events.append(Event(self._text(element, "message"), self._delay))

    def _shutdown(self, element: Element) -> None:
        reason = self._text(element, "reason", "reason not given")
        self.events.append(Event(reason, self._delay, is_shutdown=True))

    def _include(self, element: Element) -> None:
        given = {self._text(part, "name"): self._text(part, "value") for part in element.children}
        file = _included_file(element, self.scope)
        self.scope.variables.update(given)
        self.run_file(file)

    def _executable(self, element: Element) -> None:
        command = self._words(element, "cmd")
        if not command:
            raise element.error("needs the attribute 'cmd'")
        label = self._text(element, "name", Path(command[0]).name)
        self._add_process(element, label, with_this_python(command), node=None)

    def _node(self, element: Element) -> None:
        package, executable = self._text(element, "pkg"), self._text(element, "exec")
        if package == "edge_robot":
            if executable not in node_executables():
                known = ", ".join(node_executables())
                raise element.error(f"edge_robot has no executable {executable!r}; it has {known}")
            command = [sys.executable, "-m", f"edge_robot.nodes.{executable}"]
        else:
            command = _foreign_program(element, package, executable, self.scope)
        name = self._text(element, "name", executable)
        namespace = _join_namespace(self.scope.namespace, self._text(element, "namespace", ""))
        command += self._words(element, "args")
        command += ["--ros-args", *self._words(element, "ros_args"), "-r", f"__node:={name}"]
        if namespace:
            command += ["-r", f"__ns:={namespace}"]
        command += self.scope.arguments
        for part in element.children:
            if part.tag == "param":
                command += self._parameter(part)
            elif part.tag == "remap":
                command += ["-r", f"{self._text(part, 'from')}:={self._text(part, 'to')}"]
        self._add_process(element, name, command, node=f"{namespace}/{name}")

    def _parameter(self, part: Element, outer: str = "") -> list[str]:
        """Return the arguments of a parameter, a file of them, or those inside it.

        Args:
            part: A `<param>`.
            outer: Name of the `<param>` it stands in, with a dot at the end.
        """
        if "from" in part.attributes:
            return self._parameter_file(part, "from")
        name = outer + self._text(part, "name")
        if part.children:
            return [word for inner in part.children for word in self._parameter(inner, f"{name}.")]
        value, kind = self._text(part, "value"), self._text(part, "type", "yaml")
        try:
            return ["-p", f"{name}:={_typed(value, kind)}"]
        except KeyError:
            known = ", ".join(("yaml", *_TYPES, *(_LIST + item for item in _TYPES)))
            raise part.error(f"type={kind!r} is not known to launch; known are {known}") from None
        except ValueError:
            raise part.error(f"value {value!r} is no {kind}") from None

    def _parameter_file(self, element: Element, attribute: str) -> list[str]:
        file = Path(self._text(element, attribute))
        if not file.is_file():
            raise element.error(f"parameter file {file} does not exist; correct the path")
        return ["--params-file", str(file)]

    def _add_process(
        self, element: Element, label: str, command: list[str], node: str | None
    ) -> None:
        environment = dict(self.scope.environment)
        for part in element.children:
            if part.tag == "env":
                environment[self._text(part, "name")] = self._text(part, "value")
        on_exit = self._text(element, "on_exit", "")
        if on_exit not in ("", "shutdown"):
            raise element.error(f"on_exit={on_exit!r} is not known to launch; only 'shutdown' is")
        self.processes.append(
            Process(
                name=f"{label}-{len(self.processes) + 1}",
                command=(*self._words(element, "launch-prefix"), *command),
                environment=environment,
                node=node,
                output=self._text(element, "output", "log"),
                respawn=self._flag(element, "respawn", "false"),
                respawn_delay=self._seconds(element, "respawn_delay", "0"),
                shutdown_on_exit=on_exit == "shutdown",
                delay=self._delay,
            )
        )


def _typed(text: str, kind: str) -> str:
    """Return a parameter's value as a command line has it: YAML of that type and no other.

    Raises:
        KeyError: launch has no such type.
        ValueError: the text is no value of it.
    """
    if kind == "yaml":
        return text
    wanted = _TYPES[kind.removeprefix(_LIST)]
    if kind in ("str", "int", "float"):
        return json.dumps(wanted(text))
    import yaml  # late: hardly any launch file needs it

    try:
        value = yaml.safe_load({"0": "false", "1": "true"}.get(text, text))
    except yaml.YAMLError as error:
        raise ValueError from error
    items = value if kind.startswith(_LIST) else [value]
    if not isinstance(items, list) or any(type(item) is not wanted for item in items):
        raise ValueError
    return json.dumps(value)


def _foreign_program(element: Element, package: str, executable: str, scope: Scope) -> list[str]:
    """Return how to start a program of another package, as its installation has it."""
    try:
        program = Path(exec_in_pkg(scope, element.file, executable, package))
    except SubstitutionError as error:
        raise element.error(f"package {package!r} is not known: {error}") from None
    with program.open("rb") as file:
        first = file.readline(200)
    if first.startswith(b"#!") and b"python" in first:
        # It imports rclpy, which only this interpreter has.
        return [sys.executable, "-m", "edge_robot", "run", str(program)]
    return [str(program)]


def _check(element: Element) -> None:
    """Refuse attributes and parts the runner does not know, as launch does."""
    _check_attributes(element, _ATTRIBUTES[element.tag])
    if element.tag in ("group", "timer"):
        return
    parts = _PARTS.get(element.tag, {})
    for part in element.children:
        if part.tag not in parts:
            raise part.error(f"has no place inside <{element.tag}>")
        _check_attributes(part, parts[part.tag])
        for inner in part.children:
            if not inner.tag == part.tag == "param":
                raise inner.error(f"has no place inside <{part.tag}>")
            _check_attributes(inner, parts["param"])


def _check_attributes(element: Element, known: set[str]) -> None:
    for name in element.attributes:
        if name not in known:
            listed = ", ".join(sorted(known))
            raise element.error(f"attribute {name!r} is not known; known are {listed}")


def _join_namespace(outer: str, inner: str) -> str:
    """Return one namespace inside another: empty for the root, else `/a/b`."""
    joined = inner if inner.startswith("/") else f"{outer}/{inner}"
    return joined.rstrip("/")
