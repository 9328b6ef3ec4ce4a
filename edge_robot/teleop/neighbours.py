"""Other robots, in one list: what their own dashboards say of them, each asked in its own right.

To look at or drive one of them, an operator goes to its own page: who may do what there is for that
robot to say.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from edge_robot.errors import UserError
from edge_robot.listening import is_loopback
from edge_robot.settings import Settings, setting

PERIOD = 2.0
"""Time between two questions to a robot, s."""
TIMEOUT = 1.5
MAX_ANSWER = 16 * 1024
MAX_TEXT = 64
_READABLE_BY_OTHERS = 0o077


@dataclass(frozen=True)
class NeighbourSettings(Settings):
    """Where another robot's dashboard is, and how to be known there."""

    url: str = setting("", "its dashboard: https://host:port")
    token_file: str = setting("", "file with a token that it knows, for the role view; mode 600")
    ca_file: str = setting("", "PEM file of whom to believe its certificate; the system's if empty")


@dataclass
class _Neighbour:
    url: str
    token: str
    tls: ssl.SSLContext | None
    told: dict[str, Any]
    cause: str = "not asked yet"
    since: float = -math.inf  # of the last answer, or of the first question


class Neighbours:
    """Asks other robots how they are.

    Args:
        settings: By the names under which they are shown.

    Raises:
        UserError: an address, a token or a certificate cannot be used.
    """

    def __init__(self, settings: Mapping[str, NeighbourSettings]) -> None:
        self._neighbours = {name: _neighbour(name, each) for name, each in settings.items()}
        for neighbour in self._neighbours.values():
            neighbour.since = time.monotonic()

    def section(self) -> list[dict[str, Any]]:
        """Return what the page shows, one entry for each robot; safe to call from any thread.

        `name`, `url`, `up`; then, where it is, what it told: `mode`, `holder`, `stopped`,
        `battery` (0..1), `link`; where it is not, `cause` and `silent` (s since it last did).
        """
        now = time.monotonic()
        return [
            {
                "name": name,
                "url": each.url,
                "up": not each.cause,
                **(
                    {"cause": each.cause, "silent": int(now - each.since)}
                    if each.cause
                    else each.told
                ),
            }
            for name, each in self._neighbours.items()
        ]

    async def run(self) -> None:
        """Ask them until cancelled."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        async with aiohttp.ClientSession(timeout=timeout, max_line_size=4096) as session:
            await asyncio.gather(
                *(self._keep_asking(session, each) for each in self._neighbours.values())
            )

    async def _keep_asking(self, session: aiohttp.ClientSession, neighbour: _Neighbour) -> None:
        while True:
            asked = time.monotonic()
            neighbour.cause, told = await _ask(session, neighbour)
            if not neighbour.cause:
                neighbour.told, neighbour.since = told, time.monotonic()
            await asyncio.sleep(max(0.0, asked + PERIOD - time.monotonic()))


async def _ask(session: aiohttp.ClientSession, neighbour: _Neighbour) -> tuple[str, dict[str, Any]]:
    """Return why a robot said nothing of use, empty where it did, and what it said."""
    try:
        async with session.get(
            f"{neighbour.url}/summary",
            headers={"Authorization": f"Bearer {neighbour.token}"},
            ssl=neighbour.tls or True,
            allow_redirects=False,  # the token is for that robot alone
        ) as answer:
            if answer.status in (401, 403):
                return "it does not know our token", {}
            if answer.status != 200:
                return f"it answered with HTTP status {answer.status}", {}
            body = bytearray()
            async for chunk in answer.content.iter_chunked(MAX_ANSWER):
                body += chunk
                if len(body) > MAX_ANSWER:
                    return "its answer is too long", {}
            return "", _summary(json.loads(body))
    except asyncio.TimeoutError:
        return f"no answer within {TIMEOUT:g} s", {}
    except aiohttp.ClientConnectorCertificateError:
        return "its certificate is not to be believed", {}
    except aiohttp.ClientConnectorError as error:
        return _reason(error.os_error), {}
    except (aiohttp.ClientError, OSError):
        return "the connection broke", {}
    except (ValueError, RecursionError):
        return "its answer makes no sense", {}


def _reason(error: OSError) -> str:
    """Return why a host cannot be reached, without the addresses that were tried."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or "it cannot be reached"


def _summary(told: Any) -> dict[str, Any]:
    """Return what may be believed of another robot's summary: known names, bounded values."""
    if not isinstance(told, dict):
        raise ValueError("a summary is a mapping")
    kinds: dict[str, type] = {"mode": str, "holder": str, "stopped": bool, "link": bool}
    known = {
        name: told[name][:MAX_TEXT] if kind is str else told[name]
        for name, kind in kinds.items()
        if isinstance(told.get(name), kind)
    }
    battery = told.get("battery")
    if isinstance(battery, float | int) and 0.0 <= battery <= 1.0:
        known["battery"] = float(battery)
    return known


def _neighbour(name: str, settings: NeighbourSettings) -> _Neighbour:
    url = urlsplit(settings.url)
    try:
        host = url.hostname or ""
        complete = url.scheme in ("http", "https") and host and url.port != 0
    except ValueError:  # the port is none
        complete = False
    if not complete or url.query or url.fragment or url.username is not None:
        raise UserError(f"{name}.url is {settings.url!r}: give https://host:port")
    if url.scheme == "http" and not is_loopback(host):
        raise UserError(f"{name}.url is {settings.url!r}: without TLS anybody could read the token")
    tls = None
    if settings.ca_file:
        try:
            tls = ssl.create_default_context(cafile=Path(settings.ca_file).expanduser())
        except (OSError, ssl.SSLError) as error:
            raise UserError(f"{name}.ca_file {settings.ca_file} cannot be used: {error}") from error
    token = _token(name, Path(settings.token_file).expanduser())
    return _Neighbour(settings.url.rstrip("/"), token, tls, {})


def _token(name: str, file: Path) -> str:
    try:
        open_to_others = file.stat().st_mode & _READABLE_BY_OTHERS
        token = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{name}.token_file {file} cannot be read: {error}") from error
    if open_to_others:
        raise UserError(f"{name}.token_file {file} is open to others: chmod 600 {file}")
    if not token or not token.isprintable() or " " in token:
        raise UserError(f"{name}.token_file {file} holds no token on a line of its own")
    return token
