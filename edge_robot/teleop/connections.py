"""TCP connections of the dashboard: accepted within bounds, so that no crowd reaches the robot.

Whoever has not shown a session or a token yet is a stranger. There is room for few strangers, and
for a short time: when it is full, the oldest of the network that has the most makes place for the
newest. So a flood, of half-open connections too, costs little and locks nobody out; those who are
known have places of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp.web_protocol import RequestHandler

from edge_robot.teleop.access import Identity, network_of
from edge_robot.teleop.tcp import reset
from edge_robot.token_bucket import TokenBucket

MAX_STRANGERS = 64
STRANGER_TIME = 10.0
"""Connections of strangers at once, and how long one may stay a stranger, s."""
MAX_KNOWN = 256
MAX_OF_ONE = 128
"""Connections of people at once: of all, of one person."""
ARRIVALS, ARRIVALS_AT_ONCE = 200.0, 400.0
"""Connections and requests of strangers a second from one network, and at once."""
MAX_NETWORKS = 256
BACKLOG = 512

_log = logging.getLogger(__name__)


class CrowdedError(Exception):
    """There is no place for one more connection of this person, or of anybody."""


@dataclass
class _Connection:
    network: str
    since: float
    protocol: RequestHandler
    who: Identity | None = None
    aborted: bool = False
    opening: asyncio.Task[None] | None = field(default=None, repr=False)

    def gone(self) -> bool:
        opened = self.opening is not None and self.opening.done()
        return opened and self.protocol.transport is None

    def abort(self) -> None:
        self.aborted = True
        transport = self.protocol.transport
        if isinstance(transport, asyncio.WriteTransport):
            reset(transport)
        elif self.opening is not None:
            self.opening.cancel()  # in its TLS handshake


class Connections:
    """Listens, and knows every connection.

    Args:
        make_protocol: Makes what speaks HTTP on a new connection.
        tls: For TLS; without it if None.

    Attributes:
        refused: Connections for which there was no place, and those that made place.
    """

    def __init__(
        self,
        make_protocol: Callable[[], RequestHandler],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._make_protocol = make_protocol
        self._tls = tls
        self._connections: dict[object, _Connection] = {}
        self._budgets: dict[str, TokenBucket] = {}
        self._listeners: list[socket.socket] = []
        self.refused = 0

    async def listen(self, host: str, port: int) -> int:
        """Listen on all addresses of a host; return the port.

        Raises:
            OSError: it cannot be listened there.
        """
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, _, _, _, address in dict.fromkeys(infos):
                where = (address[0], port)
                listener = socket.create_server(where, family=family, backlog=BACKLOG)
                listener.setblocking(False)
                self._listeners.append(listener)
                port = int(listener.getsockname()[1])
        except OSError:
            self.close()
            raise
        for listener in self._listeners:
            self._watch(listener)
        return port

    def close(self) -> None:
        """Listen no more."""
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()

    def abort_all(self) -> None:
        """Break every connection off."""
        for connection in self._connections.values():
            connection.abort()

    def admit(self, protocol: object, who: Identity) -> None:
        """Take note that a connection is somebody's who is known.

        Raises:
            CrowdedError: there are too many of that person, or of all.
        """
        connection = self._connections.get(protocol)
        if connection is None or connection.who == who:
            return
        known = [
            other for other in self._present() if other.who is not None and other is not connection
        ]
        mine = sum(other.who is not None and other.who.name == who.name for other in known)
        if mine >= MAX_OF_ONE:
            raise CrowdedError(f"{MAX_OF_ONE} connections of {who.name} are open already")
        if len(known) >= MAX_KNOWN:
            raise CrowdedError(f"{MAX_KNOWN} connections are open already")
        connection.who = who

    def forget(self, protocol: object) -> None:
        """Take note that a connection is nobody's any more: who it was has logged out."""
        connection = self._connections.get(protocol)
        if connection is not None:
            connection.who, connection.since = None, time.monotonic()

    def spend(self, protocol: object) -> bool:
        """Count a request of a stranger; return whether its network may ask so often."""
        connection = self._connections.get(protocol)
        return connection is None or self._budget(connection.network).take(1.0, time.monotonic())

    def end(self, holds: Callable[[Identity], bool]) -> None:
        """Break off the connections of who may not be here any more, and of slow strangers."""
        now = time.monotonic()
        for connection in self._present():
            if connection.who is None:
                late = now - connection.since > STRANGER_TIME
            else:
                late = not holds(connection.who)
            if late:
                connection.abort()

    def count(self) -> int:
        """Return how many connections there are; may be called from any thread."""
        return len(self._connections)

    def _present(self) -> list[_Connection]:
        for protocol in [key for key, each in self._connections.items() if each.gone()]:
            del self._connections[protocol]
        return list(self._connections.values())

    def _budget(self, network: str) -> TokenBucket:
        if network not in self._budgets:
            if len(self._budgets) >= MAX_NETWORKS:
                del self._budgets[next(iter(self._budgets))]
            self._budgets[network] = TokenBucket(ARRIVALS, ARRIVALS_AT_ONCE)
        return self._budgets[network]

    def _watch(self, listener: socket.socket) -> None:
        if listener.fileno() >= 0:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        """Accept one connection: where many wait, others have their turn in between."""
        loop = asyncio.get_running_loop()
        try:
            arrived, peer = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:  # no descriptor is left
            _log.warning("dashboard: a connection could not be accepted: %s", error)
            loop.remove_reader(listener)
            loop.call_later(0.1, self._watch, listener)
            return
        arrived.setblocking(False)
        self._take_in(arrived, network_of(peer[0]))

    def _take_in(self, arrived: socket.socket, network: str) -> None:
        now = time.monotonic()
        if not self._budget(network).take(1.0, now):
            self.refused += 1
            arrived.close()
            return
        strangers = [each for each in self._present() if each.who is None and not each.aborted]
        if len(strangers) >= MAX_STRANGERS:
            self.refused += 1
            crowd, _ = Counter(each.network for each in strangers).most_common(1)[0]
            oldest = next(each for each in strangers if each.network == crowd)
            oldest.abort()
        protocol = self._make_protocol()
        connection = _Connection(network, now, protocol)
        self._connections[protocol] = connection
        connection.opening = asyncio.get_running_loop().create_task(self._open(arrived, protocol))

    async def _open(self, arrived: socket.socket, protocol: RequestHandler) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol,
                arrived,
                ssl=self._tls,
                ssl_handshake_timeout=STRANGER_TIME if self._tls else None,
            )
        except (OSError, ssl.SSLError, asyncio.CancelledError):
            # Not TLS, too slow, or broken off: no request came of it.
            with contextlib.suppress(OSError):
                arrived.close()
