"""`/rosbridge`: programs, and pages written with roslibjs, look at the robot.

Everybody who is known may subscribe and look around. What may be published and called, and by
whom, `edge_robot.teleop.permissions` decides. Every refusal is a status message with the id of
what was refused.

A page of another server (`origins`) has neither our cookie nor a way to set headers: it offers two
subprotocols, `rosbridge.v2` and `bearer.<its token, base64url>`, which the server checks as it
checks `Authorization: Bearer`; secrets in addresses end in logs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from socket import SO_SNDBUF, SOL_SOCKET

from aiohttp import web

from edge_robot.teleop.access import Identity
from edge_robot.teleop.audit import Audit
from edge_robot.teleop.permissions import Permissions
from edge_robot.teleop.rosbridge.client import Client, Robot, Shared
from edge_robot.teleop.rosbridge.feeds import Feeds
from edge_robot.teleop.rosbridge.graph import Graph
from edge_robot.teleop.rosbridge.operations import MAX_BYTES

SUBPROTOCOL = "rosbridge.v2"
MAX_CLIENTS = 16
SEND_BUFFER = 8192
"""Bytes that are on their way to one client (the kernel takes twice as much): what fills a narrow
link makes the commands of the same link late. What more there is waits here, and grows old."""

HEARTBEAT = 10.0
"""Between two signs of life that are asked for, s."""


class RosbridgeChannel:
    """Speaks rosbridge with any number of clients.

    Args:
        graph: What they look at.
        robot: Whom everybody may stop.
        permissions: What else they may do to it.
        audit: Where that is written down.
        origins: Of other servers' pages that may connect: `https://tools.example:8443`.

    Attributes:
        origins: The same, for the server, which checks them.
    """

    path = "/rosbridge"

    def __init__(
        self,
        graph: Graph,
        robot: Robot,
        permissions: Permissions,
        audit: Audit,
        origins: Iterable[str] = (),
    ) -> None:
        self.origins = frozenset(origins)
        self._shared = Shared(graph, Feeds(graph), robot, permissions, audit)
        self._clients: set[Client] = set()

    async def serve(self, request: web.Request, who: Identity) -> web.StreamResponse:
        """Serve one client until either side leaves."""
        if len(self._clients) >= MAX_CLIENTS:
            raise web.HTTPServiceUnavailable(text=f"{MAX_CLIENTS} clients are connected already\n")
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client has gone")
        transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, SEND_BUFFER)
        socket = web.WebSocketResponse(
            protocols=(SUBPROTOCOL,), max_msg_size=MAX_BYTES, compress=False, heartbeat=HEARTBEAT
        )
        await socket.prepare(request)
        client = Client(self._shared, socket, transport, who)
        self._clients.add(client)
        try:
            await client.serve()
        finally:
            self._clients.discard(client)
        return socket

    async def close(self) -> None:
        """Say good-bye to everybody."""
        goodbyes = [
            asyncio.ensure_future(client.socket.close(code=1001, message=b"robot is shutting down"))
            for client in self._clients
        ]
        if goodbyes:
            _, late = await asyncio.wait(goodbyes, timeout=1.0)
            for goodbye in late:
                goodbye.cancel()
        self._shared.feeds.close()
