"""The dashboard's HTTP and WebSocket server; knows nothing of ROS.

One WebSocket per viewer carries, from the server, text messages (the robot's state as JSON) and
binary ones (a picture or the map: `uint32` little-endian header length, JSON header, image bytes),
and from the viewer `{"type": "stop" | "reset" | "seen"}`. A picture is sent only after the viewer
has said "seen" for the one before: a slow viewer costs one picture of memory and gets the newest.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import struct
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aiohttp import WSMsgType, web

from edge_robot.errors import UserError
from edge_robot.teleop.access import Access, require_loopback

PAGE = Path(__file__).parent / "page"
STATE_PERIOD = 0.1
PICTURE_PERIOD = 0.05
SEND_TIMEOUT = 5.0
MAX_COMMAND_BYTES = 1024
MAX_VIEWERS = 16
COOKIE = "edge_robot_session"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer, forms post "Origin: null"
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Picture:
    """An encoded image and what the page must know to draw it.

    Attributes:
        version: Grows with every new picture of its kind.
        header: JSON-serialisable facts; `kind` is "camera" or "map".
        data: JPEG or PNG bytes.
    """

    version: int
    header: dict[str, Any]
    data: bytes

    def message(self) -> bytes:
        """Return the binary WebSocket message."""
        header = json.dumps(self.header).encode()
        return struct.pack("<I", len(header)) + header + self.data


class Robot(Protocol):
    """What the server needs of the robot; called from the server's threads."""

    def state(self) -> dict[str, Any]:
        """Return the newest state, JSON-serialisable."""

    def camera(self, after: int) -> Picture | None:
        """Return the newest camera picture, None if there is none newer than version `after`."""

    def map(self, after: int) -> Picture | None:
        """Return the newest map, None if there is none newer than version `after`."""

    def set_stop(self, stop: bool) -> str:
        """Set or reset the emergency stop; return what happened, in words, for the operator.

        Raises:
            TimeoutError: the robot did not answer.
        """


class DashboardServer:
    """Serves the page to any number of viewers from a thread of its own.

    Args:
        robot: Where state comes from and commands go to.
        access: Who may look.
        host: Loopback address to listen on.
        port: TCP port; 0 for any free one.

    Raises:
        UserError: the port is taken or the address is not a loopback one.
    """

    def __init__(self, robot: Robot, access: Access, host: str, port: int) -> None:
        require_loopback(host)
        self._robot = robot
        self._access = access
        self._viewers: set[web.WebSocketResponse] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="dashboard", daemon=True
        )
        self._thread.start()
        try:
            self.port = self._call(self._start(host, port))
        except OSError as error:
            self._stop_loop()
            if error.errno != errno.EADDRINUSE:
                raise
            raise UserError(
                f"dashboard port {port} on {host} is already taken: stop what listens there or "
                "choose another with the parameter `port` (launch argument dashboard_port)"
            ) from None
        self.url = f"http://{host}:{self.port}/"

    def close(self) -> None:
        """Disconnect every viewer and stop listening."""
        self._call(self._runner.cleanup())
        self._stop_loop()

    def _call(self, work: Awaitable[Any]) -> Any:
        async def run() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(timeout=10.0)

    def _stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5.0)
        self._loop.close()

    async def _start(self, host: str, port: int) -> int:
        app = web.Application(middlewares=[self._guard], client_max_size=4096)
        app.router.add_get("/", self._index)
        app.router.add_post("/login", self._login)
        app.router.add_get("/ws", self._viewer)
        app.router.add_static("/static", PAGE)
        app.on_shutdown.append(self._disconnect)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        assert site._server is not None
        return int(site._server.sockets[0].getsockname()[1])  # type: ignore[attr-defined]

    async def _disconnect(self, _: web.Application) -> None:
        for viewer in tuple(self._viewers):
            await viewer.close(code=1001, message=b"robot is shutting down")

    @web.middleware
    async def _guard(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Keep other sites' pages out: by host name (DNS rebinding) and by origin."""
        name = request.host.rsplit(":", 1)[0].strip("[]")
        origin = request.headers.get("Origin")
        try:
            require_loopback(name)
        except UserError:
            raise web.HTTPForbidden(text="this host name is not served here\n") from None
        if origin is not None and origin != f"http://{request.host}":
            raise web.HTTPForbidden(text="cross-origin requests are refused\n")
        response = await handler(request)
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    def _logged_in(self, request: web.Request) -> bool:
        return self._access.known(request.cookies.get(COOKIE, ""))

    async def _index(self, request: web.Request) -> web.StreamResponse:
        name = "index.html" if self._logged_in(request) else "login.html"
        return web.FileResponse(PAGE / name, headers=HEADERS)

    async def _login(self, request: web.Request) -> web.StreamResponse:
        if self._access.throttled():
            raise web.HTTPTooManyRequests(text="too many wrong tokens: wait ten seconds\n")
        form = await request.post()
        session = self._access.login(str(form.get("token", "")))
        if session is None:
            raise web.HTTPSeeOther("/?wrong-token")
        response = web.HTTPSeeOther("/")
        response.set_cookie(COOKIE, session, httponly=True, samesite="Strict")
        raise response

    async def _viewer(self, request: web.Request) -> web.StreamResponse:
        if not self._logged_in(request):
            raise web.HTTPUnauthorized(text="log in first\n")
        if request.headers.get("Origin") is None:
            raise web.HTTPForbidden(text="an Origin header is required\n")
        if len(self._viewers) >= MAX_VIEWERS:
            raise web.HTTPServiceUnavailable(text=f"{MAX_VIEWERS} viewers are connected already\n")
        socket = web.WebSocketResponse(heartbeat=5.0, max_msg_size=MAX_COMMAND_BYTES)
        await socket.prepare(request)
        self._viewers.add(socket)
        seen = asyncio.Event()
        seen.set()
        feeds = [
            asyncio.create_task(self._feed_state(socket)),
            asyncio.create_task(self._feed_pictures(socket, seen)),
        ]
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._command(socket, message.data, seen)
        finally:
            self._viewers.discard(socket)
            for feed in feeds:
                feed.cancel()
            await asyncio.gather(*feeds, return_exceptions=True)
        return socket

    async def _command(self, socket: web.WebSocketResponse, text: str, seen: asyncio.Event) -> None:
        try:
            kind = json.loads(text)["type"]
        except (ValueError, KeyError, TypeError):
            kind = None
        if kind == "seen":
            seen.set()
        elif kind in ("stop", "reset"):
            try:
                answer = await asyncio.to_thread(self._robot.set_stop, kind == "stop")
                reply = {"type": "answer", "ok": True, "text": answer}
            except TimeoutError as error:
                reply = {"type": "answer", "ok": False, "text": str(error)}
            await self._send(socket.send_json(reply), socket)
        else:
            await socket.close(code=1008, message=b"unknown command")

    async def _feed_state(self, socket: web.WebSocketResponse) -> None:
        while not socket.closed:
            state = await asyncio.to_thread(self._robot.state)
            await self._send(socket.send_json({"type": "state", **state}), socket)
            await asyncio.sleep(STATE_PERIOD)

    async def _feed_pictures(self, socket: web.WebSocketResponse, seen: asyncio.Event) -> None:
        camera_version = map_version = -1
        while not socket.closed:
            picture = await asyncio.to_thread(self._robot.map, map_version)
            if picture is not None:
                map_version = picture.version
                await self._send(socket.send_bytes(picture.message()), socket)
            await seen.wait()
            picture = await asyncio.to_thread(self._robot.camera, camera_version)
            if picture is not None:
                camera_version = picture.version
                seen.clear()
                await self._send(socket.send_bytes(picture.message()), socket)
            await asyncio.sleep(PICTURE_PERIOD)

    @staticmethod
    async def _send(sending: Awaitable[None], socket: web.WebSocketResponse) -> None:
        """Send with back-pressure; a viewer that has not read for seconds is let go."""
        try:
            await asyncio.wait_for(sending, SEND_TIMEOUT)
        except (asyncio.TimeoutError, ConnectionError):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(socket.close(code=1013, message=b"too slow"), 1.0)
