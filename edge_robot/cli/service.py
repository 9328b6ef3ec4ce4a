"""`edge-robot service`: which services there are, and calls to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edge_robot.cli.options import DEFAULT_SPIN_TIME, SpinTime, Stdin, group

if TYPE_CHECKING:
    from rclpy.node import Node

Name = Annotated[str, typer.Argument(metavar="SERVICE", help="Name of the service: /estop.")]
Hidden = Annotated[
    bool, typer.Option("--include-hidden-services", help="Consider hidden services as well.")
]
Count = Annotated[
    bool, typer.Option("--count-services", "-c", help="Only print the number of services.")
]


def register(app: typer.Typer) -> None:
    """Add the group to the app."""
    commands = group("service", "List and call services, as `ros2 service` does.")
    app.add_typer(commands)
    commands.command(name="list")(list_services)
    commands.command(name="type")(print_type)
    commands.command()(find)
    commands.command()(call)


def list_services(
    show_types: Annotated[bool, typer.Option("--show-types", "-t", help="Show types too.")] = False,
    count_services: Count = False,
    include_hidden_services: Hidden = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
) -> None:
    """List the services: edge-robot service list -t."""
    services = _services(spin_time, include_hidden_services)
    if count_services:
        print(len(services))
        return
    for name, types in services:
        print(f"{name} [{', '.join(types)}]" if show_types else name)


def print_type(
    service_name: Name,
    include_hidden_services: Hidden = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
) -> None:
    """Print a service's type: edge-robot service type /estop."""
    types = dict(_services(spin_time, include_hidden_services)).get(service_name)
    if types is None:
        raise SystemExit(1)
    print(*types, sep="\n")


def find(
    service_type: Annotated[str, typer.Argument(metavar="TYPE", help="std_srvs/srv/SetBool.")],
    count_services: Count = False,
    include_hidden_services: Hidden = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
) -> None:
    """List the services of a type: edge-robot service find std_srvs/srv/SetBool."""
    services = _services(spin_time, include_hidden_services)
    found = [name for name, types in services if service_type in types]
    if count_services:
        print(len(found))
    else:
        for name in found:
            print(name)


def call(
    service_name: Name,
    service_type: Annotated[str, typer.Argument(metavar="TYPE", help="std_srvs/srv/SetBool.")],
    values: Annotated[
        str, typer.Argument(metavar="VALUES", help="Request as YAML: '{data: true}'.")
    ] = "{}",
    stdin: Stdin = False,
    rate: Annotated[
        float | None, typer.Option("--rate", "-r", metavar="N", help="Call so often per second.")
    ] = None,
) -> None:
    """Call a service: edge-robot service call /estop std_srvs/srv/SetBool "{data: true}"."""
    import sys

    import yaml

    from edge_robot.cli import direct_node as tool
    from edge_robot.introspection.message_values import FILL_ERRORS, fill

    if rate is not None and rate <= 0.0:
        raise SystemExit("rate must be greater than zero")
    kind = tool.message_class(service_type, "srv")
    request = kind.Request()
    try:
        fill(request, yaml.safe_load(sys.stdin.read() if stdin else values))
    except (*FILL_ERRORS, yaml.YAMLError) as error:
        raise SystemExit(f"Failed to populate field: {error}") from None
    package, *_, short = service_type.split("/")
    name = f"{tool.NODE_NAME_PREFIX}_requester_{package}_{short}"
    with tool.direct_node(name=name) as node:
        client = node.create_client(kind, service_name)
        if not client.service_is_ready():
            print("waiting for service to become available...")
            tool.spin_until(node, client.service_is_ready, None)
        while True:
            print(f"requester: making request: {request!r}\n")
            print(f"response:\n{tool.call(node, client, request)!r}\n")
            if rate is None:
                break
            tool.spin_for(node, 1.0 / rate)


def _services(spin_time: float, hidden: bool) -> list[tuple[str, list[str]]]:
    from edge_robot.cli.direct_node import direct_node

    with direct_node(spin_time) as node:
        return visible_services(node, hidden)


def visible_services(node: Node, hidden: bool) -> list[tuple[str, list[str]]]:
    """Return the services known, with their types."""
    from edge_robot.cli.direct_node import is_hidden

    return [(n, t) for n, t in node.get_service_names_and_types() if hidden or not is_hidden(n)]
