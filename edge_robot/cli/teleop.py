"""`edge-robot teleop`: who may come in at the dashboard."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from edge_robot.cli.options import group
from edge_robot.errors import UserError

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="The dashboard's parameter `tokens`; mode 600.")
]


class RoleName(str, Enum):
    """What a person may do."""

    VIEW = "view"
    DRIVE = "drive"
    ADMIN = "admin"


def register(app: typer.Typer) -> None:
    """Add the group to the app."""
    commands = group("teleop", "Say who may look at the robot, drive it, or look after it.")
    token = group("token", "Tokens of people, of which a file holds the hashes.")
    app.add_typer(commands)
    commands.add_typer(token)
    token.command()(add)
    token.command(name="list")(list_tokens)
    token.command()(remove)


def add(
    file: File,
    name: Annotated[str, typer.Argument(help="Of the person, as the audit log will have it.")],
    role: Annotated[
        RoleName,
        typer.Option(
            help="view: look, and stop the robot; drive: drive it too; admin: also take the wheel "
            "from others and read the audit log."
        ),
    ] = RoleName.VIEW,
) -> None:
    """Make a token for a person and print it: edge-robot teleop token add tokens anna --role drive.

    A running dashboard notices within a second or two.
    """
    from edge_robot.token_file import add_token

    print(add_token(file, name, role.value))
    print(
        f"This is the token of {name!r}; it is kept nowhere else. `edge-robot teleop token remove "
        f"{file} {name}` takes it back.",
        file=sys.stderr,
    )


def list_tokens(file: File) -> None:
    """Say who has a token: edge-robot teleop token list tokens."""
    from edge_robot.teleop.access import people_of

    for holder in people_of(file).holders():
        print(f"{holder.key} {holder.name} {holder.role.name.lower()}")


def remove(
    file: File,
    name: Annotated[
        str,
        typer.Argument(help="Of the person; or the eight digits that `list` shows for one token."),
    ],
) -> None:
    """Take a person's tokens back: edge-robot teleop token remove tokens anna.

    A running dashboard notices within a second or two, and ends that person's sessions.
    """
    from edge_robot.token_file import remove_tokens

    count = remove_tokens(file, name)
    if not count:
        raise UserError(f"{file} has no token of {name!r}; `edge-robot teleop token list {file}`")
    print(f"{count} taken back")
