"""Tokens of people and the sessions they open, on a clock of the test."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from edge_robot import token_file
from edge_robot.cli.teleop import register
from edge_robot.errors import UserError
from edge_robot.teleop.access import (
    GUESS_WINDOW,
    GUESSES,
    GUESSES_OF_ALL,
    MAX_SESSIONS,
    MAX_SESSIONS_OF_ONE,
    Access,
    OneToken,
    Role,
    ThrottledError,
    network_of,
    people_of,
)
from edge_robot.token_file import add_token, remove_tokens

TOKEN = "correct horse battery"
HERE, THERE = "10.0.0.1", "10.0.0.2"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(clock: Clock) -> Access:
    return Access(OneToken(TOKEN), life=100.0, idle=10.0, clock=clock)


def opened(access: Access, token: str = TOKEN, address: str = HERE) -> str:
    session = access.login(token, address)
    assert session is not None
    return session[0]


def test_a_session_lasts_while_it_is_used_and_no_longer_than_its_life(
    access: Access, clock: Clock
) -> None:
    secret = opened(access)
    assert access.of_session("made up", HERE) is None
    for _ in range(11):
        clock.now += 9.0
        who = access.of_session(secret, THERE)
        assert who is not None and (who.address, who.role) == (THERE, Role.ADMIN)
        assert secret not in who.session
    clock.now += 2.0
    assert access.of_session(secret, HERE) is None and not access.holds(who)


def test_an_open_socket_keeps_a_session_and_idleness_ends_it(access: Access, clock: Clock) -> None:
    secret = opened(access)
    who = access.of_session(secret, HERE)
    assert who is not None
    for _ in range(3):
        clock.now += 9.0
        assert access.holds(who)
    clock.now += 10.0
    access.forget()
    assert not access.holds(who)


def test_guesses_are_throttled_by_network_and_overall(access: Access, clock: Clock) -> None:
    for _ in range(GUESSES):
        assert access.login("wrong", HERE) is None, "said again, it is no new guess"
    for number in range(GUESSES - 1):
        assert access.login(f"wrong{number}", HERE) is None
    with pytest.raises(ThrottledError):
        access.login(TOKEN, HERE)  # not even looked at, else the answer would tell
    with pytest.raises(ThrottledError):
        access.of_bearer(f"Bearer {TOKEN}", HERE)
    assert access.of_bearer(f"Bearer {TOKEN}", THERE) is not None
    for number in range(GUESSES_OF_ALL - GUESSES):
        assert access.of_bearer("Bearer wrong", f"10.1.0.{number}") is None
    with pytest.raises(ThrottledError):
        access.login(TOKEN, THERE)
    clock.now += GUESS_WINDOW
    access.forget()
    assert access.login(TOKEN, HERE) is not None


def test_one_subscriber_is_one_network() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff") != network_of("2001:db8:1::1")
    assert network_of("::ffff:10.0.0.1") == network_of("10.0.0.1") != network_of("10.0.0.2")
    assert network_of("fe80::1%eth0") == "fe80::/64"


def test_sessions_are_bounded_and_a_person_crowds_out_only_themselves(
    tmp_path: Path, clock: Clock
) -> None:
    file = tmp_path / "tokens"
    tokens = [add_token(file, f"person{number}", "view") for number in range(20)]
    access = Access(people_of(file), clock=clock)
    first = opened(access, tokens[0])
    crowd = []
    for _ in range(MAX_SESSIONS_OF_ONE + 1):
        clock.now += 1.0
        crowd.append(opened(access, tokens[1]))
    assert access.of_session(crowd[0], HERE) is None
    assert access.of_session(crowd[1], HERE) and access.of_session(first, HERE)
    secrets = [opened(access, token) for token in tokens[2:] for _ in range(MAX_SESSIONS_OF_ONE)]
    assert sum(access.of_session(secret, HERE) is not None for secret in secrets) <= MAX_SESSIONS
    assert access.of_session(secrets[-1], HERE)


def test_a_token_taken_back_or_of_another_role_ends_what_it_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_file, "LOOK_PERIOD", 0.0)
    file = tmp_path / "tokens"
    anna, bob = add_token(file, "anna", "drive"), add_token(file, "bob", "view")
    access = Access(people_of(file))
    secret = opened(access, anna)
    program = access.of_bearer(f"bearer {bob}", HERE)
    assert program is not None and access.holds(program) and bob not in program.session
    file.write_text(file.read_text().replace("bob view", "bob admin"))
    assert not access.holds(program), "what it was let in as, it is no more"
    file.write_text("half a li")
    assert access.of_session(secret, HERE), "a slip of the editor locks nobody out"
    file.write_text("# nobody\n")
    assert access.of_session(secret, HERE) is None, "an empty list is nobody"


@pytest.mark.parametrize(
    ("text", "mode", "reason"),
    [
        ("", 0o600, "holds no token.*teleop token add"),
        (f"{'ab' * 32} anna\n", 0o600, r"line 1 is not `SHA256 NAME view\|drive\|admin`"),
        (f"{'ab' * 32} anna king\n", 0o600, "line 1"),
        (f"{'ab' * 32} <script> view\n", 0o600, "line 1"),
        (f"{'ab' * 32} anna view\n", 0o620, "written by others.*chmod 600"),
    ],
)
def test_token_files_that_cannot_be_used_are_one_clear_line(
    tmp_path: Path, text: str, mode: int, reason: str
) -> None:
    file = tmp_path / "tokens"
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(UserError, match=reason):
        people_of(file)


def test_short_token_is_refused() -> None:
    with pytest.raises(UserError, match="8 characters"):
        OneToken("short")


def test_the_command_adds_lists_and_takes_back(tmp_path: Path) -> None:
    app, file = typer.Typer(), tmp_path / "tokens"
    register(app)

    def command(verb: str, *words: str) -> Result:
        return CliRunner().invoke(app, ["teleop", "token", verb, str(file), *words])

    token = command("add", "anna", "--role", "drive").stdout.strip()
    assert file.stat().st_mode & 0o777 == 0o600 and token not in file.read_text()
    holder = people_of(file).holder(token)
    assert holder is not None and (holder.name, holder.role) == ("anna", Role.DRIVE)
    assert command("list").stdout == f"{holder.key} anna drive\n"
    add_token(file, "bob", "view")
    assert command("remove", holder.key).exit_code == 0
    assert [each.name for each in people_of(file).holders()] == ["bob"]
    assert file.stat().st_mode & 0o777 == 0o600
    gone = command("remove", "anna").exception
    assert isinstance(gone, UserError) and "has no token of 'anna'" in str(gone)
    assert remove_tokens(file, "bob") == 1
