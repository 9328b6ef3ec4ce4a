"""The dashboard's HTTP server: who gets in, and to which channel; knows nothing of ROS.

One port. A browser logs in with a token and is known by its session's cookie; a program sends its
token as `Authorization: Bearer TOKEN` with every request. Page files are for everybody: they hold
no secret, and the log-in page needs them.

| route | for | |
|---|---|---|
| GET / | everybody | the page, or the one to log in by |
| POST /login, /logout | everybody | form field `token` |
| GET /session | everybody known | their name and role; 401 for others |
| POST /stop | everybody known | latches the emergency stop, where sockets do not work |
| GET /summary | everybody known | how the robot is, for programs and other robots' pages |
| GET /audit?count=N | admins | the newest entries of the audit log |
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import errno
import ipaddress
import logging
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.log import ws_logger

from edge_robot.errors import UserError
from edge_robot.listening import is_loopback, server_context
from edge_robot.settings import Settings, setting
from edge_robot.teleop.access import Access, Identity, Role, ThrottledError
from edge_robot.teleop.audit import Audit
from edge_robot.teleop.connections import Connections, CrowdedError
from edge_robot.token_bucket import TokenBucket

PAGE = Path(__file__).parent / "page"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
"""Of page files, by suffix: what a machine's own list says of them differs."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "font-src 'self'; manifest-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with no-referrer, forms post "Origin: null"
    "Server": "edge_robot",
    "X-Content-Type-Options": "nosniff",
}
MAX_FORM_BYTES = 2048
MAX_HEADER_BYTES, MAX_HEADERS = 4096, 64
"""Bounds of a request: of its first line and of each header, and how many of these there are."""
IDLE_TIME = 30.0
"""Time a connection may stay open between requests, s."""
REQUESTS, REQUESTS_AT_ONCE = 20.0, 100.0
"""Requests of one person a second, and at once; what is said in an open channel is not counted."""
REFUSALS, REFUSALS_AT_ONCE = 1.0, 30.0
"""Entries of the audit log about strangers a second, and at once: nobody fills it with knocking."""
CHECK_PERIOD = 0.5
"""How often it is looked whether those connected still may be, s."""
FAREWELL_TIME = 2.0
MAX_AUDIT_ENTRIES = 500

_log = logging.getLogger(__name__)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class ServerSettings(Settings):
    """Where the dashboard listens, and how it is protected there."""

    host: str = setting("127.0.0.1", "address to listen on; beyond this machine only with TLS")
    port: int = setting(8080, "TCP port of the page; 0 for any free one", ge=0, le=65535)
    hosts: str = setting("", "names the page is reached under, separated by spaces; besides IPs")
    tls_cert: str = setting("", "PEM file of the server's certificate and those above it")
    tls_key: str = setting("", "PEM file of its private key")

    def tls(self) -> ssl.SSLContext | None:
        """Return the TLS settings, None for none.

        Raises:
            UserError: a file is missing or cannot be used.
        """
        if bool(self.tls_cert) != bool(self.tls_key):
            raise UserError("TLS needs both a certificate and its key: give tls_cert and tls_key")
        if not self.tls_cert:
            return None
        return server_context(*self.tls_files())

    def tls_files(self) -> tuple[Path, Path]:
        """Return the files of certificate and key."""
        return Path(self.tls_cert).expanduser(), Path(self.tls_key).expanduser()

    def require_protection(self, personal: bool) -> None:
        """Refuse to listen beyond this machine unless it is encrypted and each person known.

        Args:
            personal: Whether people have tokens of their own, in a file.

        Raises:
            UserError: it must not be listened there.
        """
        if is_loopback(self.host):
            return
        lacking = [] if self.tls_cert else ["TLS (parameters tls_cert and tls_key)"]
        lacking += [] if personal else ["a file of people's tokens (parameter tokens)"]
        if lacking:
            raise UserError(
                f"dashboard: {self.host} can be reached from other machines, and it lacks "
                f"{' and '.join(lacking)}; or listen on 127.0.0.1 and reach it through an SSH "
                "tunnel"
            )


class Channel(Protocol):
    """A WebSocket (or other long answer) with a purpose of its own.

    A channel may have an attribute `origins`, a set of further origins (`https://host`) whose pages
    may open it. Cookies are not looked at for these: they must bear a token.

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

    async def stop(self) -> str:
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
        background: Run in the server's loop beside it, until it ends.

    Raises:
        UserError: the port is taken, the address is none of this machine's or not protected, or a
            TLS file cannot be used.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        access: Access,
        settings: ServerSettings,
        audit: Audit,
        robot: Robot,
        background: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
    ) -> None:
        self._channels = tuple(channels)
        self._access = access
        self._settings = settings
        self._audit = audit
        self._robot = robot
        self._background = background
        settings.require_protection(access.personal)
        self._tls = settings.tls()
        self._files = {
            f"/static/{file.relative_to(PAGE).as_posix()}": file
            for file in PAGE.rglob("*")
            if file.suffix in TYPES
        }
        self._requests: dict[str, TokenBucket] = {}
        self._refusals = TokenBucket(REFUSALS, REFUSALS_AT_ONCE)
        self._untold = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="dashboard", daemon=True
        )
        self._thread.start()
        try:
            self.port = self._call(self._start())
        except OSError as error:
            self._end_loop()
            if error.errno != errno.EADDRINUSE:
                raise UserError(
                    f"dashboard cannot listen on {settings.host}: {error.strerror}; "
                    "change the parameters `host` and `port`"
                ) from error
            raise UserError(
                f"dashboard port {settings.port} on {settings.host} is already taken: stop what "
                "listens there or choose another with the parameter `port` (launch argument "
                "dashboard_port)"
            ) from None
        shown = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.url = f"{'https' if self._tls else 'http'}://{shown}:{self.port}/"

    def close(self) -> None:
        """Disconnect everybody and stop listening."""
        self._call(self._stop_serving())
        self._end_loop()

    @property
    def thread(self) -> int:
        """The native number of the thread in which everybody is served."""
        assert self._thread.native_id is not None
        return self._thread.native_id

    def crowd(self) -> tuple[int, int]:
        """Return how many TCP connections there are, and how many found no place so far."""
        return self._connections.count(), self._connections.refused

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10.0)

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5.0)
        self._loop.close()

    async def _start(self) -> int:
        app = web.Application(middlewares=[self._guard], client_max_size=MAX_FORM_BYTES)
        app.on_response_prepare.append(_add_headers)
        app.router.add_get("/", self._index)
        app.router.add_post("/login", self._login)
        app.router.add_post("/logout", self._logout)
        app.router.add_get("/session", self._session)
        app.router.add_post("/stop", self._stop)
        app.router.add_get("/summary", self._summary)
        app.router.add_get("/audit", self._newest_of_audit)
        for path, file in self._files.items():
            app.router.add_get(path, partial(_serve_file, file))
        for channel in self._channels:
            app.router.add_get(channel.path, partial(self._serve, channel))
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=self._logger(),
            auto_decompress=False,
            shutdown_timeout=0.5,
            keepalive_timeout=IDLE_TIME,
            lingering_time=1.0,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
        )
        ws_logger.addFilter(_has_no_token)
        await self._runner.setup()
        assert self._runner.server is not None
        self._connections = Connections(self._runner.server, self._tls)
        port = await self._connections.listen(self._settings.host, self._settings.port)
        self._tasks = [
            self._loop.create_task(self._keep_checking()),
            *(self._loop.create_task(work()) for work in self._background),
        ]
        for task in self._tasks:
            task.add_done_callback(_report_failure)
        return port

    async def _stop_serving(self) -> None:
        self._connections.close()
        await _end(self._tasks)
        farewells = [self._loop.create_task(channel.close()) for channel in self._channels]
        if farewells:
            _, unfinished = await asyncio.wait(farewells, timeout=FAREWELL_TIME)
            await _end(unfinished)
        await self._runner.cleanup()
        self._connections.abort_all()

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Keep other sites' pages out by host name (DNS rebinding), and crowds of strangers."""
        if not self._serves(_host(request)):
            text = "this host name is not served here: see the parameter `hosts`"
            raise self._refusal(web.HTTPForbidden, request, text)
        known = self._access.of_session(self._secret(request), request.remote or "")
        if known is not None:
            with contextlib.suppress(CrowdedError):
                self._connections.admit(request.protocol, known)
        elif not _authorization(request) and not self._connections.spend(request.protocol):
            raise web.HTTPTooManyRequests(text="too many requests: wait a second\n")
        return await handler(request)

    def _serves(self, host: str) -> bool:
        """Return whether a Host header is one that no stranger's DNS can point here."""
        name = host.rsplit(":", 1)[0] if host.rfind(":") > host.rfind("]") else host
        if name in ("localhost", *self._settings.hosts.split()):
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True

    def _own_origin(self, request: web.Request) -> bool:
        """Return whether a request comes from a page of ours, as every browser tells.

        Without TLS of our own, a proxy may add it.
        """
        schemes = ("https",) if self._tls else ("http", "https")
        own = request.headers.get("Origin") in [
            f"{scheme}://{_host(request)}" for scheme in schemes
        ]
        return own and request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"

    def _cookie(self, request: web.Request) -> str:
        """Return the name of the session's cookie: cookies do not tell ports of a host apart."""
        _, _, port = _host(request).rpartition(":")
        name = f"edge_robot_{port if port.isdigit() else 'session'}"
        return f"__Host-{name}" if self._tls else name

    def _secret(self, request: web.Request) -> str:
        return request.cookies.get(self._cookie(request), "")

    def _who(
        self, request: web.Request, least: Role = Role.VIEW, origins: frozenset[str] = frozenset()
    ) -> Identity:
        """Return who asks: a program by its token, or a page of ours by its session's cookie.

        Args:
            request: The request.
            least: The role that this is for.
            origins: Whose pages may ask as well, by a token.

        Raises:
            HTTPException: nobody who is known, who asks from where they may, or who may do this.
        """
        address = request.remote or ""
        authorization = _authorization(request)
        try:
            if authorization:
                who = self._access.of_bearer(authorization, address)
            else:
                who = self._access.of_session(self._secret(request), address)
        except ThrottledError as error:
            raise self._refusal(web.HTTPTooManyRequests, request, str(error)) from None
        if who is None:
            raise self._refusal(web.HTTPUnauthorized, request, "log in first")
        changes = request.method not in ("GET", "HEAD") or "Upgrade" in request.headers
        if "Authorization" not in request.headers and changes:
            # The browser adds a cookie, and any page may open a WebSocket: where it is from counts.
            origin = request.headers.get("Origin")
            if not self._own_origin(request) and not (authorization and origin in origins):
                raise self._refusal(
                    web.HTTPForbidden, request, "an Origin header of this page is required"
                )
        if who.role < least:
            raise self._refusal(
                web.HTTPForbidden, request, f"this is for the role {least.name.lower()}", who
            )
        return who

    def _let_in(self, request: web.Request, who: Identity) -> None:
        """Give somebody who is known a place.

        Raises:
            HTTPException: there is none left, or they ask too often.
        """
        budget = self._requests.setdefault(who.name, TokenBucket(REQUESTS, REQUESTS_AT_ONCE))
        if not budget.take(1.0, time.monotonic()):
            raise web.HTTPTooManyRequests(text="too many requests: wait a second\n")
        try:
            self._connections.admit(request.protocol, who)
        except CrowdedError as error:
            raise self._refusal(web.HTTPServiceUnavailable, request, str(error), who) from None

    def _refusal(
        self,
        kind: type[web.HTTPException],
        request: web.Request,
        text: str,
        who: Identity | None = None,
    ) -> web.HTTPException:
        """Return an answer that refuses something, and write down that it was refused."""
        address = request.remote or ""
        self._note_refusal(who, text, address, method=request.method, path=request.path)
        return kind(text=f"{text}\n")

    def _note_refusal(
        self, who: Identity | None, text: str, address: str, **details: object
    ) -> None:
        """Write a refusal down, if there have not been too many of late: then only count it."""
        if self._refusals.take(1.0, time.monotonic()):
            untold, self._untold = self._untold, 0
            if untold:
                details["others_refused"] = untold
            self._audit.note(who, "request", text, address, **details)
        else:
            self._untold += 1

    def _logger(self) -> logging.Logger:
        """Return where aiohttp reports errors: what strangers send is not repeated in any log."""

        def of_ours(record: logging.LogRecord) -> bool:
            error = record.exc_info[1] if record.exc_info else None
            if isinstance(error, ConnectionError):
                return False  # who asked has gone
            if not isinstance(error, HttpProcessingError):
                return True
            address = record.args[0] if isinstance(record.args, tuple) else ""
            self._note_refusal(None, "it is no HTTP", str(address))
            return False

        logger = logging.Logger("edge_robot.teleop.http")
        logger.parent = logging.getLogger()
        logger.addFilter(of_ours)
        return logger

    async def _index(self, request: web.Request) -> web.StreamResponse:
        known = self._access.of_session(self._secret(request), request.remote or "")
        return await _serve_file(PAGE / ("index.html" if known else "login.html"), request)

    async def _login(self, request: web.Request) -> web.StreamResponse:
        if not self._own_origin(request):
            raise self._refusal(
                web.HTTPForbidden, request, "an Origin header of this page is required"
            )
        try:
            form = parse_qs((await request.read()).decode(), max_num_fields=8)
        except (ValueError, web.RequestPayloadError):
            raise self._refusal(web.HTTPBadRequest, request, "this is no form") from None
        address = request.remote or ""
        try:
            opened = self._access.login(form.get("token", [""])[0], address)
        except ThrottledError as error:
            self._refusal(web.HTTPTooManyRequests, request, str(error))
            raise web.HTTPSeeOther("/?wait") from None
        if opened is None:
            self._audit.note(None, "login", "wrong token", address)
            raise web.HTTPSeeOther("/?wrong-token")
        secret, who = opened
        self._audit.note(who, "login")
        response = web.HTTPSeeOther("/")
        response.set_cookie(
            self._cookie(request),
            secret,
            httponly=True,
            samesite="Strict",
            secure=request.headers["Origin"].startswith("https:"),
        )
        raise response

    async def _logout(self, request: web.Request) -> web.StreamResponse:
        who = self._who(request)
        self._access.logout(who)
        self._audit.note(who, "logout")
        self._connections.forget(request.protocol)
        self._connections.end(self._access.holds)
        response = web.HTTPSeeOther("/?logged-out")
        response.del_cookie(self._cookie(request), secure=self._tls is not None)
        raise response

    async def _session(self, request: web.Request) -> web.StreamResponse:
        who = self._who(request)
        self._let_in(request, who)
        return web.json_response({"name": who.name, "role": who.role.name.lower()})

    async def _stop(self, request: web.Request) -> web.StreamResponse:
        who = self._who(request)
        with contextlib.suppress(CrowdedError):  # there is always place and time to stop
            self._connections.admit(request.protocol, who)
        try:
            text = await self._robot.stop()
        except TimeoutError as error:
            self._audit.note(who, "stop", str(error))
            raise web.HTTPServiceUnavailable(text=f"{error}\n") from None
        self._audit.note(who, "stop")
        return web.Response(text=f"{text}\n")

    async def _summary(self, request: web.Request) -> web.StreamResponse:
        self._let_in(request, self._who(request))
        return web.json_response(self._robot.summary())

    async def _newest_of_audit(self, request: web.Request) -> web.StreamResponse:
        self._let_in(request, self._who(request, Role.ADMIN))
        count = request.query.get("count", "100")
        if not (count.isascii() and count.isdigit() and len(count) < 6):
            raise web.HTTPBadRequest(text="count is no number of entries\n")
        newest = partial(self._audit.newest, min(int(count), MAX_AUDIT_ENTRIES))
        try:
            entries = await asyncio.to_thread(newest)
        except OSError as error:
            raise web.HTTPServiceUnavailable(
                text=f"the audit log cannot be read: {error.strerror}\n"
            ) from error
        return web.json_response({"problem": self._audit.problem(), "entries": entries})

    async def _serve(self, channel: Channel, request: web.Request) -> web.StreamResponse:
        origins = frozenset(getattr(channel, "origins", ()))
        who = self._who(request, origins=origins)
        self._let_in(request, who)
        if not request.headers.get("Sec-WebSocket-Version", "").isascii():
            raise web.HTTPBadRequest(text="this is no version of WebSocket\n")
        begun = time.monotonic()
        self._audit.note(who, "open", channel=channel.path)
        try:
            return await channel.serve(request, who)
        finally:
            seconds = round(time.monotonic() - begun, 1)
            self._audit.note(who, "close", channel=channel.path, seconds=seconds)

    async def _keep_checking(self) -> None:
        shown = self._certificate_times()
        while True:
            await asyncio.sleep(CHECK_PERIOD)
            self._access.forget()
            self._connections.end(self._access.holds)
            if self._certificate_times() != shown:
                shown = self._certificate_times()
                self._renew_certificate()

    def _certificate_times(self) -> list[int]:
        """Return when certificate and key were written; nothing while one is not there."""
        files = self._settings.tls_files() if self._tls else ()
        try:
            return [file.stat().st_mtime_ns for file in files]
        except OSError:
            return []

    def _renew_certificate(self) -> None:
        """Show who connects from now on the certificate that the files hold now."""
        assert self._tls is not None
        try:
            self._settings.tls()  # tells whether the two belong together, before one is replaced
            self._tls.load_cert_chain(*self._settings.tls_files())
        except (UserError, OSError) as error:
            _log.error("%s; the certificate before is still shown", error)
        else:
            _log.warning("dashboard: the certificate was renewed")


def _has_no_token(record: logging.LogRecord) -> bool:
    """Keep out of the log what aiohttp says of sub-protocols: one of them may be a token."""
    return "protocols" not in str(record.msg)


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.critical("dashboard: %s has ended", task.get_coro(), exc_info=error)


async def _end(tasks: Collection[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _serve_file(file: Path, request: web.Request) -> web.StreamResponse:
    # Asked for anew each time and, by its ETag, sent only where it has changed.
    fresh = "no-store" if file.suffix == ".html" else "no-cache"
    headers = {"Content-Type": TYPES[file.suffix], "Cache-Control": fresh}
    return web.FileResponse(file, headers=headers)


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")


def _host(request: web.Request) -> str:
    """Return the Host header; aiohttp would ask the DNS where there is none."""
    return request.headers.get("Host", "")


def _authorization(request: web.Request) -> str:
    """Return the token that comes with a request, as `Bearer TOKEN`, empty where none does.

    The page of another origin can set no header of a WebSocket's handshake but its list of
    sub-protocols, of which one item is `bearer.BASE64URL-OF-TOKEN`: as in Kubernetes.
    """
    if "Authorization" in request.headers:
        return request.headers["Authorization"]
    for item in request.headers.get("Sec-WebSocket-Protocol", "").split(","):
        kind, _, encoded = item.strip().partition(".")
        if kind == "bearer":
            padding = "=" * (-len(encoded) % 4)
            try:
                return f"Bearer {base64.urlsafe_b64decode(encoded + padding).decode()}"
            except (binascii.Error, ValueError):
                return "Bearer"
    return ""
