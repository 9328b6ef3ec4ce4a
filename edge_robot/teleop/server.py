"""The dashboard's HTTP server: who gets in, and to which channel; knows nothing of ROS."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from edge_robot.errors import UserError
from edge_robot.settings import setting
from edge_robot.teleop.access import Access, Identity, Role, ThrottledError
from edge_robot.teleop.audit import Audit

PAGE = Path(__file__).parent / "page"
MAX_FORM_BYTES = 4096
CHECK_PERIOD = 0.5
"""How often it is looked whether those connected still may be, s."""
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
class ServerSettings:
    """Where the dashboard listens."""

    host: str = setting("127.0.0.1", "address the page is served on")
    port: int = setting(8080, "TCP port of the page; 0 for any free one")


class Channel(Protocol):
    """A WebSocket (or other long answer) with a purpose of its own.

    Attributes:
        path: Where it is served: `/ws/view`.
    """

    path: str

    async def serve(self, request: web.Request, who: Identity) -> web.StreamResponse:
        """Serve one person until either side leaves.

        Called in the server's loop, for requests whose sender is known and whose origin was
        checked. When that person's session ends, the connection is aborted.
        """

    async def close(self) -> None:
        """Say good-bye to everybody: the server is about to end."""


class Robot(Protocol):
    """What the server itself needs of the robot; called in the server's loop."""

    async def stop(self, who: Identity) -> str:
        """Latch the emergency stop; return what happened, in words, for the operator.

        Raises:
            TimeoutError: the robot did not answer.
        """

    def summary(self) -> dict[str, Any]:
        """Return how the robot is, for programs and other robots' pages, JSON-serialisable."""


class DashboardServer:
    """Serves page and channels from a thread of its own.

    Args:
        channels: What is served besides the page.
        access: Who may come in.
        settings: Where to listen.
        audit: Where it is written down who did what.
        robot: Whom everybody may stop.

    Raises:
        UserError: the port is taken or the address is not a loopback one.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        access: Access,
        settings: ServerSettings,
        audit: Audit,
        robot: Robot,
    ) -> None:
        _require_loopback(settings.host)
        self._channels = tuple(channels)
        self._access = access
        self._audit = audit
        self._robot = robot
        self._open: dict[asyncio.Transport, Identity] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="dashboard", daemon=True
        )
        self._thread.start()
        try:
            self.port = self._call(self._start(settings.host, settings.port))
        except OSError as error:
            self._stop_loop()
            if error.errno != errno.EADDRINUSE:
                raise
            raise UserError(
                f"dashboard port {settings.port} on {settings.host} is already taken: stop what "
                "listens there or choose another with the parameter `port` (launch argument "
                "dashboard_port)"
            ) from None
        self.url = f"http://{settings.host}:{self.port}/"

    def close(self) -> None:
        """Disconnect everybody and stop listening."""
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
        app = web.Application(middlewares=[self._guard], client_max_size=MAX_FORM_BYTES)
        app.router.add_get("/", self._index)
        app.router.add_post("/login", self._login)
        app.router.add_post("/logout", self._logout)
        app.router.add_post("/stop", self._stop)
        app.router.add_get("/summary", self._summary)
        for channel in self._channels:
            app.router.add_get(channel.path, partial(self._serve, channel))
        app.router.add_static("/static", PAGE)
        app.on_shutdown.append(self._say_goodbye)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self._checking = self._loop.create_task(self._check_sessions())
        assert site._server is not None
        return int(site._server.sockets[0].getsockname()[1])  # type: ignore[attr-defined]

    async def _say_goodbye(self, _: web.Application) -> None:
        self._checking.cancel()
        await asyncio.gather(*(channel.close() for channel in self._channels))

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
            _require_loopback(name)
        except UserError:
            raise web.HTTPForbidden(text="this host name is not served here\n") from None
        if origin is not None and origin != f"http://{request.host}":
            raise web.HTTPForbidden(text="cross-origin requests are refused\n")
        response = await handler(request)
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    def _cookie(self, request: web.Request) -> str:
        """Return the name of the session's cookie: cookies do not tell ports of a host apart."""
        return f"edge_robot_{request.url.port}"

    def _who(self, request: web.Request, least: Role = Role.VIEW) -> Identity:
        """Return who asks: a program by its token, or a page of ours by its session's cookie.

        Raises:
            HTTPException: nobody who is known, or who may do this.
        """
        address = request.remote or ""
        authorization = request.headers.get("Authorization")
        try:
            if authorization is not None:
                who = self._access.of_bearer(authorization, address)
            else:
                secret = request.cookies.get(self._cookie(request), "")
                who = self._access.of_session(secret, address)
        except ThrottledError as error:
            raise web.HTTPTooManyRequests(text=f"{error}\n") from None
        if who is None:
            raise web.HTTPUnauthorized(text="log in first\n")
        asks_more = request.method != "GET" or "Upgrade" in request.headers
        if authorization is None and asks_more and "Origin" not in request.headers:
            raise web.HTTPForbidden(text="an Origin header is required\n")
        if who.role < least:
            raise web.HTTPForbidden(text=f"this is for the role {least.name.lower()}\n")
        return who

    async def _index(self, request: web.Request) -> web.StreamResponse:
        try:
            self._who(request)
            name = "index.html"
        except web.HTTPUnauthorized:
            name = "login.html"
        return web.FileResponse(PAGE / name, headers=HEADERS)

    async def _login(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        address = request.remote or ""
        try:
            secret = self._access.login(str(form.get("token", "")), address)
        except ThrottledError as error:
            raise web.HTTPTooManyRequests(text=f"{error}\n") from None
        if secret is None:
            self._audit.note(None, "login", "wrong token", address=address)
            raise web.HTTPSeeOther("/?wrong-token")
        self._audit.note(self._access.of_session(secret, address), "login")
        response = web.HTTPSeeOther("/")
        response.set_cookie(self._cookie(request), secret, httponly=True, samesite="Strict")
        raise response

    async def _logout(self, request: web.Request) -> web.StreamResponse:
        who = self._who(request)
        self._access.logout(who)
        self._audit.note(who, "logout")
        self._end_sessions()
        response = web.HTTPSeeOther("/")
        response.del_cookie(self._cookie(request))
        raise response

    async def _stop(self, request: web.Request) -> web.StreamResponse:
        who = self._who(request)
        try:
            text = await self._robot.stop(who)
        except TimeoutError as error:
            self._audit.note(who, "stop", str(error))
            raise web.HTTPServiceUnavailable(text=f"{error}\n") from None
        self._audit.note(who, "stop")
        return web.Response(text=f"{text}\n")

    async def _summary(self, request: web.Request) -> web.StreamResponse:
        self._who(request)
        return web.json_response(self._robot.summary())

    async def _serve(self, channel: Channel, request: web.Request) -> web.StreamResponse:
        who = self._who(request)
        transport = request.transport
        assert transport is not None
        self._open[transport] = who
        try:
            return await channel.serve(request, who)
        finally:
            del self._open[transport]

    async def _check_sessions(self) -> None:
        while True:
            await asyncio.sleep(CHECK_PERIOD)
            self._end_sessions()

    def _end_sessions(self) -> None:
        """Abort the connections of everybody who is not let in any more."""
        for transport, who in self._open.items():
            if not self._access.holds(who):
                transport.abort()


def _require_loopback(host: str) -> None:
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise UserError(
            f"dashboard host {host!r} is not a loopback address: the page is served without TLS; "
            "listen on 127.0.0.1 and reach it through an SSH tunnel or a TLS proxy"
        )
