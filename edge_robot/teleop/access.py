"""Who may look at the robot and stop it: an access token, sessions, bounded guesses."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import time
from collections import deque
from collections.abc import Callable

from edge_robot.errors import UserError

GUESSES_PER_WINDOW = 5
GUESS_WINDOW = 10.0
"""Wrong tokens allowed per window, and its length in s."""

MAX_SESSIONS = 64


def require_loopback(host: str) -> None:
    """Refuse to listen beyond this machine, where nothing would encrypt the token.

    Raises:
        UserError: `host` is not a loopback address.
    """
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise UserError(
            f"dashboard host {host!r} is not a loopback address: the page is served without TLS; "
            "listen on 127.0.0.1 and reach it through an SSH tunnel or a TLS proxy"
        )


class Access:
    """Checks the access token and keeps the sessions it opened.

    Args:
        token: The access token; at least 8 characters.
        clock: Monotonic time in s.

    Raises:
        UserError: the token is too short to protect anything.
    """

    def __init__(self, token: str, clock: Callable[[], float] = time.monotonic) -> None:
        if len(token) < 8:
            raise UserError("dashboard token has fewer than 8 characters: choose a longer one")
        self._token = token.encode()
        self._clock = clock
        self._attempts: deque[float] = deque(maxlen=GUESSES_PER_WINDOW)
        self._sessions: deque[str] = deque(maxlen=MAX_SESSIONS)

    def throttled(self) -> bool:
        """Return whether the guesses of the present window are used up."""
        full = len(self._attempts) == GUESSES_PER_WINDOW
        return full and self._clock() - self._attempts[0] < GUESS_WINDOW

    def login(self, token: str) -> str | None:
        """Return a new session for the right token, None for a wrong one."""
        if not hmac.compare_digest(token.encode(), self._token):
            self._attempts.append(self._clock())
            return None
        session = secrets.token_urlsafe(32)
        self._sessions.append(session)
        return session

    def known(self, session: str) -> bool:
        """Return whether `session` was opened by a login."""
        return any(
            hmac.compare_digest(session.encode(), known.encode()) for known in self._sessions
        )
