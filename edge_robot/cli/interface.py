"""`edge-robot interface`: which interface types there are, and what is in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from edge_robot.cli.options import group

if TYPE_CHECKING:
    from edge_robot.introspection.interface_text import Index

OnlyMsgs = Annotated[bool, typer.Option("--only-msgs", "-m", help="Only messages.")]
OnlySrvs = Annotated[bool, typer.Option("--only-srvs", "-s", help="Only services.")]
OnlyActions = Annotated[bool, typer.Option("--only-actions", "-a", help="Only actions.")]

_TITLES = {"msg": "Messages", "srv": "Services", "action": "Actions"}


def register(app: typer.Typer) -> None:
    """Add the group to the app."""
    commands = group("interface", "List and show interface types, as `ros2 interface` does.")
    app.add_typer(commands)
    commands.command()(show)
    commands.command(name="list")(list_interfaces)
    commands.command()(package)
    commands.command()(packages)


def show(
    name: Annotated[
        str, typer.Argument(metavar="TYPE", help="nav_msgs/msg/Odometry; -: read from stdin.")
    ],
    all_comments: Annotated[
        bool, typer.Option("--all-comments", help="Show the comments of nested types too.")
    ] = False,
    no_comments: Annotated[
        bool, typer.Option("--no-comments", help="Show no comments and empty lines.")
    ] = False,
) -> None:
    """Print a definition: edge-robot interface show nav_msgs/msg/Odometry."""
    import sys

    from edge_robot.introspection.interface_text import show as lines_of

    if all_comments and no_comments:
        raise SystemExit("argument --no-comments: not allowed with argument --all-comments")
    name = sys.stdin.readline().strip() if name == "-" else name
    if not name:
        raise SystemExit("the passed value is empty")
    try:
        lines = list(
            lines_of(_index(), name, comments=not no_comments, nested_comments=all_comments)
        )
    except (ValueError, LookupError) as error:
        raise SystemExit(str(error.args[0])) from None
    for line in lines:
        print(line)


def list_interfaces(
    only_msgs: OnlyMsgs = False, only_srvs: OnlySrvs = False, only_actions: OnlyActions = False
) -> None:
    """List all types: edge-robot interface list -m."""
    index = _index()
    for kind in _kinds(only_msgs, only_srvs, only_actions):
        print(f"{_TITLES[kind]}:")
        for name in sorted(index.packages()):
            for short in index.names(name, kind):
                print(f"    {name}/{kind}/{short}")


def package(
    package_name: Annotated[str, typer.Argument(metavar="PACKAGE", help="sensor_msgs.")],
    only_msgs: OnlyMsgs = False,
    only_srvs: OnlySrvs = False,
    only_actions: OnlyActions = False,
) -> None:
    """List the types of a package: edge-robot interface package sensor_msgs."""
    index = _index()
    if package_name not in index.packages():
        raise SystemExit(f"Unknown package '{package_name}'")
    for kind in _kinds(only_msgs, only_srvs, only_actions):
        for short in index.names(package_name, kind):
            print(f"{package_name}/{kind}/{short}")


def packages(
    only_msgs: OnlyMsgs = False, only_srvs: OnlySrvs = False, only_actions: OnlyActions = False
) -> None:
    """List the packages that hold types: edge-robot interface packages."""
    index = _index()
    kinds = list(_kinds(only_msgs, only_srvs, only_actions))
    for name in sorted(index.packages()):
        if any(index.names(name, kind) for kind in kinds):
            print(name)


def _kinds(msgs: bool, srvs: bool, actions: bool) -> Iterable[str]:
    wanted = {"msg": msgs, "srv": srvs, "action": actions}
    return [kind for kind, chosen in wanted.items() if chosen] or list(wanted)


def _index() -> Index:
    """Return the interfaces of the sourced ROS 2 if that runs, or the standalone runtime's."""
    import os

    from edge_robot.introspection.interface_text import AmentIndex
    from edge_robot.standalone import finder

    installed = AmentIndex.of_environment()
    if os.environ.get(finder.RUNTIME) != finder.STANDALONE and installed.packages():
        return installed
    from edge_robot.standalone.interfaces.source import InterfaceSource
    from edge_robot.standalone.interfaces.store import interfaces

    return InterfaceSource(interfaces())
