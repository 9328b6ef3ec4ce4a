"""`edge-robot param`: the parameters of running nodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_robot.cli.options import (
    DEFAULT_SPIN_TIME,
    HiddenNodes,
    SeveralValues,
    SpinTime,
    group,
)

if TYPE_CHECKING:
    from rclpy.node import Node

NodeName = Annotated[str, typer.Argument(metavar="NODE", help="Name of the node: /planner.")]
ParameterName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the parameter.")]
Timeout = Annotated[float, typer.Option(metavar="N", min=0.0, help="Seconds to wait for the node.")]

SERVICE_TIMEOUT = 5.0
"""Longest wait for a node's parameter services, s."""

_VALUES = {"ignore_unknown_options": True}
"""So that `-5` is a value and not an option."""


def register(app: typer.Typer) -> None:
    """Add the group to the app."""
    commands = group("param", "Get and set parameters of running nodes, as `ros2 param` does.")
    app.add_typer(commands)
    commands.command(name="list", cls=SeveralValues)(list_parameters)
    commands.command()(get)
    commands.command(name="set", context_settings=_VALUES)(set_parameter)
    commands.command()(dump)
    commands.command()(load)
    commands.command()(describe)
    commands.command()(delete)


def list_parameters(
    node_name: Annotated[
        str | None, typer.Argument(metavar="NODE", help="Name of the node; all nodes if left out.")
    ] = None,
    filter_regex: Annotated[
        str | None, typer.Option("--filter", help="Only names that begin as this expression.")
    ] = None,
    param_prefixes: Annotated[
        list[str] | None, typer.Option(help="Only parameters of these groups.")
    ] = None,
    param_type: Annotated[bool, typer.Option("--param-type", help="Show types too.")] = False,
    include_hidden_nodes: HiddenNodes = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
) -> None:
    """List parameters: edge-robot param list /planner."""
    import re
    import sys

    from edge_robot.cli.direct_node import direct_node
    from edge_robot.cli.node import absolute, node_names

    try:
        wanted = None if filter_regex is None else re.compile(filter_regex)
    except re.error as error:
        raise SystemExit(f"--filter: no regular expression: {error}") from None
    with direct_node(spin_time) as node:
        nodes = sorted(set(node_names(node, include_hidden_nodes)))
        if node_name is not None:
            if absolute(node_name) not in nodes:
                raise SystemExit("Node not found")
            nodes = [absolute(node_name)]
        for full_name in nodes:
            try:
                names = _names(node, full_name, param_prefixes or [])
            except TimeoutError as error:
                print(error)
                continue
            except RuntimeError as error:
                print(error, file=sys.stderr)
                continue
            names = [name for name in names if wanted is None or wanted.match(name)]
            if node_name is None and names:
                print(f"{full_name}:")
            types = _types(node, full_name, names) if param_type else {}
            for name in names:
                print(f"  {name} (type: {types[name]})" if param_type else f"  {name}")


def get(
    node_name: NodeName,
    parameter_name: ParameterName,
    hide_type: Annotated[bool, typer.Option("--hide-type", help="Print the value only.")] = False,
    timeout: Timeout = 1.0,
    include_hidden_nodes: HiddenNodes = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
) -> None:
    """Print a parameter: edge-robot param get /planner rate."""
    from edge_robot.introspection.parameter_values import KINDS, value_of

    with _Remote(node_name, include_hidden_nodes, timeout, spin_time) as remote:
        values = remote.get([parameter_name])
        if not values:
            raise SystemExit("Parameter not set")
        if not values[0].type < len(KINDS):
            raise SystemExit(f"Unknown parameter type '{values[0].type}'")
        value = value_of(values[0])
        label = KINDS[values[0].type].label
        if hide_type:
            print(value)
        elif value is None:
            print(label)
        else:
            print(label, value)


def set_parameter(
    node_name: NodeName,
    parameter_name: ParameterName,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="As YAML: 5, 2.0, true, [1, 2].")],
    timeout: Timeout = 1.0,
    include_hidden_nodes: HiddenNodes = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
) -> None:
    """Set a parameter: edge-robot param set /planner rate 20.0."""
    from edge_robot.introspection.parameter_values import parse

    kind, parsed = parse(value)
    with _Remote(node_name, include_hidden_nodes, timeout, spin_time) as remote:
        (result,) = remote.set([(parameter_name, kind.number, parsed)])
        _print_result(result, "Set parameter successful", "Setting parameter failed")


def delete(
    node_name: NodeName,
    parameter_name: ParameterName,
    timeout: Timeout = 1.0,
    include_hidden_nodes: HiddenNodes = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
) -> None:
    """Delete a parameter: edge-robot param delete /planner rate."""
    with _Remote(node_name, include_hidden_nodes, timeout, spin_time) as remote:
        (result,) = remote.set([(parameter_name, 0, None)])
        _print_result(result, "Deleted parameter successfully", "Deleting parameter failed")


def dump(
    node_name: NodeName,
    timeout: Timeout = 1.0,
    include_hidden_nodes: HiddenNodes = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
) -> None:
    """Print all parameters as a parameter file: edge-robot param dump /planner > planner.yaml."""
    from edge_robot.introspection.parameter_values import dump as text_of
    from edge_robot.introspection.parameter_values import value_of

    with _Remote(node_name, include_hidden_nodes, timeout, spin_time) as remote:
        names = _names(remote.node, remote.full_name, [])
        values = [value_of(value) for value in remote.get(names)]
        print(text_of(remote.full_name, zip(names, values, strict=True)))


def load(
    node_name: NodeName,
    parameter_file: Annotated[Path, typer.Argument(metavar="FILE", help="As `dump` prints.")],
    no_use_wildcard: Annotated[
        bool, typer.Option("--no-use-wildcard", help="Leave out what is meant for all nodes (/**).")
    ] = False,
    timeout: Timeout = 1.0,
    include_hidden_nodes: HiddenNodes = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
) -> None:
    """Set parameters from a file: edge-robot param load /planner planner.yaml."""
    from edge_robot.cli.node import absolute
    from edge_robot.introspection.parameter_values import kind_of
    from edge_robot.introspection.parameter_values import load as read

    try:
        text = parameter_file.read_text(encoding="utf-8")
        values = read(text, absolute(node_name), wildcard=not no_use_wildcard)
    except OSError as error:
        raise SystemExit(f"cannot read {parameter_file}: {error.strerror}") from None
    except ValueError as error:
        raise SystemExit(f"{parameter_file}: {error}") from None
    # What no type of parameter can hold is a string, as on a command line.
    typed = [
        (name, kind_of(value) or 4, value if kind_of(value) else str(value))
        for name, value in values.items()
    ]
    with _Remote(node_name, include_hidden_nodes, timeout, spin_time) as remote:
        for (name, _, _), result in zip(typed, remote.set(typed), strict=True):
            _print_result(
                result, f"Set parameter {name} successful", f"Set parameter {name} failed"
            )


def describe(
    node_name: NodeName,
    parameter_names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Names of the parameters.")
    ],
    timeout: Timeout = 1.0,
    include_hidden_nodes: HiddenNodes = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
) -> None:
    """Describe parameters: edge-robot param describe /planner rate."""
    from edge_robot.introspection.parameter_values import descriptor_text

    with _Remote(node_name, include_hidden_nodes, timeout, spin_time) as remote:
        for descriptor in _descriptors(remote.node, remote.full_name, parameter_names):
            print(descriptor_text(descriptor))


class _Remote:
    """Another node whose parameters are looked at, once it is there."""

    def __init__(self, name: str, hidden: bool, timeout: float, spin_time: float) -> None:
        from edge_robot.cli.direct_node import direct_node
        from edge_robot.cli.node import absolute

        self.full_name = absolute(name)
        self._hidden = hidden
        self._timeout = timeout
        self._context = direct_node(spin_time)

    def __enter__(self) -> _Remote:
        from edge_robot.cli.node import require_node

        self.node = self._context.__enter__()
        try:
            require_node(self.node, self.full_name, self._hidden, self._timeout)
        except BaseException as error:
            self._context.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(self, *error: Any) -> None:
        self._context.__exit__(*error)

    def get(self, names: list[str]) -> Any:
        """Return the `ParameterValue`s of parameters."""
        from rcl_interfaces.srv import GetParameters

        request = GetParameters.Request(names=names)
        return _ask(self.node, self.full_name, GetParameters, "get_parameters", request).values

    def set(self, parameters: list[tuple[str, int, Any]]) -> Any:
        """Set parameters (name, number of the type, value); return the results."""
        from rcl_interfaces.msg import Parameter, ParameterValue
        from rcl_interfaces.srv import SetParameters

        from edge_robot.introspection.parameter_values import KINDS

        request = SetParameters.Request()
        for name, number, value in parameters:
            message = ParameterValue(type=number)
            if number:
                setattr(message, KINDS[number].field, value)
            request.parameters.append(Parameter(name=name, value=message))
        return _ask(self.node, self.full_name, SetParameters, "set_parameters", request).results


def _names(node: Node, full_name: str, prefixes: list[str]) -> list[str]:
    from rcl_interfaces.srv import ListParameters

    request = ListParameters.Request(prefixes=prefixes)
    response = _ask(node, full_name, ListParameters, "list_parameters", request)
    return sorted(response.result.names)


def _descriptors(node: Node, full_name: str, names: list[str]) -> Any:
    from rcl_interfaces.srv import DescribeParameters

    request = DescribeParameters.Request(names=names)
    response = _ask(node, full_name, DescribeParameters, "describe_parameters", request)
    return response.descriptors


def _types(node: Node, full_name: str, names: list[str]) -> dict[str, str]:
    from edge_robot.introspection.parameter_values import KINDS

    descriptors = _descriptors(node, full_name, names)
    return {descriptor.name: KINDS[descriptor.type].name for descriptor in descriptors}


def _ask(node: Node, full_name: str, kind: Any, service: str, request: Any) -> Any:
    """Call a parameter service of a node.

    Raises:
        TimeoutError: the node does not offer it.
        RuntimeError: there is no response.
    """
    from edge_robot.cli.direct_node import call, spin_until

    client = node.create_client(kind, f"{full_name}/{service}")
    try:
        if not spin_until(node, client.service_is_ready, SERVICE_TIMEOUT):
            raise TimeoutError(
                f"Wait for service timed out waiting for parameter services for node {full_name}"
            )
        return call(node, client, request)
    finally:
        node.destroy_client(client)


def _print_result(result: Any, success: str, failure: str) -> None:
    import sys

    text = success if result.successful else failure
    if result.reason:
        text += f": {result.reason}"
    print(text, file=sys.stdout if result.successful else sys.stderr)
