"""Who may look at the robot, drive it, or look after it: people by their tokens, their sessions."""

from __future__ import annotations

import ipaddress
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from hmac import compare_digest
from pathlib import Path
from typing import Protocol

from edge_robot.errors import UserError
from edge_robot.token_file import Holder, TokenFile, bearer_token, digest

GUESS_WINDOW = 10.0
GUESSES = 5
GUESSES_OF_ALL = 50
"""Wrong tokens looked at in a window of so many s: from one network, and from all of them."""
MAX_NETWORKS = 1024
"""Networks of which the guesses are remembered."""
MAX_SESSIONS = 64
MAX_SESSIONS_OF_ONE = 8
"""Sessions open at once, of all and of one person; the least used ends for a new one."""


class Role(IntEnum):
    """What a person may do; each may do what those before may. Everybody may stop the robot."""

    VIEW = 1
    DRIVE = 2
    ADMIN = 3


ROLES = {role.name.lower(): role for role in Role}
"""By the words that stand for them in a token file."""


@dataclass(frozen=True)
class Identity:
    """Who asks.

    Attributes:
        name: Of the person, as the administrator wrote it.
        role: What that person may do.
        address: From where, an IP address.
        session: Names the session in logs and leases (a program's: its token); not the secret that
            proves it.
    """

    name: str
    role: Role
    address: str
    session: str


class ThrottledError(Exception):
    """Too many wrong tokens were tried; what was asked is not even looked at."""


class People(Protocol):
    """Whose tokens are known."""

    def holder(self, token: str) -> Holder[Role] | None:
        """Return whose a token is, None if it is not known."""

    def holders(self) -> Sequence[Holder[Role]]:
        """Return whose tokens are known now."""


class OneToken:
    """The one token of whoever runs this robot, who may do everything.

    Raises:
        UserError: the token is too short to protect anything.
    """

    def __init__(self, token: str) -> None:
        if len(token) < 8:
            raise UserError("dashboard token has fewer than 8 characters: choose a longer one")
        self._digest = digest(token)
        self._holder = Holder("operator", Role.ADMIN, self._digest[:8])

    def holder(self, token: str) -> Holder[Role] | None:
        """Return whose a token is, None if it is not known."""
        return self._holder if compare_digest(digest(token), self._digest) else None

    def holders(self) -> Sequence[Holder[Role]]:
        """Return whose tokens are known now."""
        return [self._holder]


def people_of(file: Path) -> TokenFile[Role]:
    """Return the people of a token file, a line for each token: `SHA256 NAME view|drive|admin`.

    Raises:
        UserError: it cannot be used.
    """
    remedy = f"edge-robot teleop token add {file} NAME --role view"
    if not file.exists():
        raise UserError(f"token file {file} is not there: `{remedy}` makes it")
    return TokenFile(file, ROLES, None, remedy)


@dataclass
class _Session:
    who: Identity
    holder: Holder[Role]
    opened: float
    used: float


@dataclass(frozen=True)
class _Guess:
    token: str  # its digest
    at: float


class Access:
    """Knows people by their tokens and keeps the sessions they opened.

    Args:
        people: Whose tokens are known.
        life: How long a session lasts, s.
        idle: How long it lasts without a request or an open socket, s.
        clock: Monotonic time in s.

    Attributes:
        personal: Whether people have tokens of their own.
    """

    def __init__(
        self,
        people: People,
        life: float = 12 * 3600.0,
        idle: float = 1800.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._people = people
        self._life = life
        self._idle = idle
        self._clock = clock
        self.personal = not isinstance(people, OneToken)
        self._guesses: dict[str, deque[_Guess]] = {}
        self._guesses_of_all: deque[_Guess] = deque(maxlen=GUESSES_OF_ALL)
        self._sessions: dict[str, _Session] = {}  # by the digests of their secrets

    def login(self, token: str, address: str) -> tuple[str, Identity] | None:
        """Open a session for a right token; return its secret and whose it is.

        Raises:
            ThrottledError: too many wrong tokens were tried.
        """
        holder = self._holder(token, address)
        if holder is None:
            return None
        now = self._clock()
        who = Identity(holder.name, holder.role, address, secrets.token_hex(4))
        self._make_room(holder.name)
        secret = secrets.token_urlsafe(32)
        self._sessions[digest(secret)] = _Session(who, holder, now, now)
        return secret, who

    def of_session(self, secret: str, address: str) -> Identity | None:
        """Return whom a session's secret belongs to, None if there is no such session."""
        session = self._sessions.get(digest(secret))
        if session is None or not self._lasts(session):
            return None
        session.used = self._clock()
        return replace(session.who, address=address)

    def of_bearer(self, authorization: str, address: str) -> Identity | None:
        """Return whom an `Authorization: Bearer TOKEN` header names, None if nobody.

        Raises:
            ThrottledError: too many wrong tokens were tried.
        """
        token = bearer_token(authorization)
        holder = None if token is None else self._holder(token, address)
        if holder is None:
            return None
        return Identity(holder.name, holder.role, address, _session_of(holder))

    def logout(self, who: Identity) -> None:
        """End a session."""
        self._sessions = {
            key: session
            for key, session in self._sessions.items()
            if session.who.session != who.session
        }

    def holds(self, who: Identity) -> bool:
        """Return whether somebody who was let in still is, and count that as use of the session."""
        for session in self._sessions.values():
            if session.who.session == who.session:
                session.used = self._clock()
                return self._lasts(session)
        return any(
            _session_of(holder) == who.session and holder.role is who.role
            for holder in self._people.holders()
        )

    def forget(self) -> None:
        """Drop what has lapsed: sessions, and guesses of long ago."""
        now = self._clock()
        self._sessions = {
            k: session for k, session in self._sessions.items() if self._lasts(session)
        }
        self._guesses = {
            network: times
            for network, times in self._guesses.items()
            if now - times[-1].at < GUESS_WINDOW
        }

    def _lasts(self, session: _Session) -> bool:
        now = self._clock()
        return (
            now - session.opened < self._life
            and now - session.used < self._idle
            and session.holder in self._people.holders()
        )

    def _make_room(self, name: str) -> None:
        """End the least used session of a person, or of everybody, where they have too many."""
        of_one = [key for key, session in self._sessions.items() if session.who.name == name]
        if len(of_one) >= MAX_SESSIONS_OF_ONE:
            candidates = of_one
        elif len(self._sessions) >= MAX_SESSIONS:
            candidates = list(self._sessions)
        else:
            return
        del self._sessions[min(candidates, key=lambda key: self._sessions[key].used)]

    def _holder(self, token: str, address: str) -> Holder[Role] | None:
        now = self._clock()
        network = network_of(address)
        here = self._guesses.get(network, deque())
        for guesses, most in ((here, GUESSES), (self._guesses_of_all, GUESSES_OF_ALL)):
            if len(guesses) == most and now - guesses[0].at < GUESS_WINDOW:
                raise ThrottledError("too many wrong tokens: wait ten seconds")
        holder = self._people.holder(token)
        # A program whose token was taken back says the same again and again: that is no new guess.
        guess = _Guess(digest(token), now)
        if holder is None and all(guess.token != other.token for other in here):
            if len(self._guesses) >= MAX_NETWORKS:
                del self._guesses[next(iter(self._guesses))]
            self._guesses.setdefault(network, deque(maxlen=GUESSES)).append(guess)
            self._guesses_of_all.append(guess)
        return holder


def network_of(address: str) -> str:
    """Return what limits go by: an IPv4 address, or the /64 that one subscriber has in IPv6."""
    try:
        told = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(told, ipaddress.IPv4Address):
        return address
    if told.ipv4_mapped is not None:
        return str(told.ipv4_mapped)
    return str(ipaddress.ip_network((told, 64), strict=False))


def _session_of(holder: Holder[Role]) -> str:
    """Return the name of the session of programs that bear a token."""
    return f"token-{holder.key}"
