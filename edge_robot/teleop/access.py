"""Who may look at the robot, drive it, or look after it: people by their tokens, their sessions."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from edge_robot.errors import UserError

GUESSES_PER_WINDOW = 5
GUESS_WINDOW = 10.0
"""Wrong tokens allowed per window, and its length in s."""

MAX_SESSIONS = 64


class Role(IntEnum):
    """What a person may do; each may do what those before may. Everybody may stop the robot."""

    VIEW = 1
    DRIVE = 2
    ADMIN = 3


@dataclass(frozen=True)
class Identity:
    """Who asks.

    Attributes:
        name: Of the person, as the administrator wrote it.
        role: What that person may do.
        address: From where, an IP address.
        session: Names the session in logs and leases; not the secret that proves it.
    """

    name: str
    role: Role
    address: str
    session: str


class ThrottledError(Exception):
    """Too many wrong tokens were tried; what was asked is not even looked at."""


class Access:
    """Knows people by their tokens and keeps the sessions they opened.

    Args:
        token: The access token of whoever runs this robot, who may do everything; at least 8
            characters.
        clock: Monotonic time in s.

    Raises:
        UserError: the token is too short to protect anything.
    """

    def __init__(self, token: str, clock: Callable[[], float] = time.monotonic) -> None:
        if len(token) < 8:
            raise UserError("dashboard token has fewer than 8 characters: choose a longer one")
        self._token = _digest(token)
        self._clock = clock
        self._attempts: deque[float] = deque(maxlen=GUESSES_PER_WINDOW)
        self._sessions: dict[str, Identity] = {}

    def login(self, token: str, address: str) -> str | None:
        """Return the secret of a new session for a right token, None for a wrong one.

        Raises:
            ThrottledError: too many wrong tokens were tried.
        """
        if self._person(token, address) is None:
            return None
        secret = secrets.token_urlsafe(32)
        identity = Identity("operator", Role.ADMIN, address, secrets.token_hex(4))
        self._sessions[_digest(secret)] = identity
        while len(self._sessions) > MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return secret

    def of_session(self, secret: str, address: str) -> Identity | None:
        """Return who a session's secret belongs to, None if there is no such session."""
        return self._sessions.get(_digest(secret))

    def of_bearer(self, authorization: str, address: str) -> Identity | None:
        """Return who an `Authorization: Bearer TOKEN` header names, None if nobody.

        Raises:
            ThrottledError: too many wrong tokens were tried.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        name = self._person(token, address)
        if name is None:
            return None
        return Identity(name, Role.ADMIN, address, f"token-{_digest(token)[:8]}")

    def logout(self, who: Identity) -> None:
        """End a session."""
        self._sessions = {key: known for key, known in self._sessions.items() if known != who}

    def holds(self, who: Identity) -> bool:
        """Return whether who was let in once still is."""
        return who.session.startswith("token-") or who in self._sessions.values()

    def _person(self, token: str, address: str) -> str | None:
        full = len(self._attempts) == GUESSES_PER_WINDOW
        if full and self._clock() - self._attempts[0] < GUESS_WINDOW:
            raise ThrottledError("too many wrong tokens: wait ten seconds")
        if not hmac.compare_digest(_digest(token), self._token):
            self._attempts.append(self._clock())
            return None
        return "operator"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
