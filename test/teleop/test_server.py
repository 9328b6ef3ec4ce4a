"""The dashboard's server over real sockets: who gets in, and what crowds and strangers cost."""

from __future__ import annotations

import asyncio
import base64
import resource
import socket
import ssl
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from certificates import Certificates
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_robot import token_file
from edge_robot.errors import UserError
from edge_robot.teleop import connections, server
from edge_robot.teleop.access import Access, Identity, OneToken, people_of
from edge_robot.teleop.audit import Audit
from edge_robot.teleop.server import REQUESTS_AT_ONCE, DashboardServer, ServerSettings
from edge_robot.token_file import add_token, remove_tokens

FRIEND = "https://friend.example"


class Echo:
    """A channel that says back what it hears, after a word on who is heard."""

    path = "/ws/echo"
    origins = frozenset({FRIEND})

    def __init__(self, farewell: float = 0.0) -> None:
        self.farewell = farewell

    async def serve(self, request: web.Request, who: Identity) -> web.StreamResponse:
        messages = web.WebSocketResponse(protocols=("echo",))
        await messages.prepare(request)
        await messages.send_str(who.name)
        async for message in messages:
            if message.type is WSMsgType.TEXT:
                await messages.send_str(message.data)
        return messages

    async def close(self) -> None:
        await asyncio.sleep(self.farewell)


class Bench:
    """A robot on the bench: counts stops, can stop answering."""

    def __init__(self) -> None:
        self.stops = 0
        self.answers = True

    async def stop(self) -> str:
        if not self.answers:
            raise TimeoutError("the robot did not answer")
        self.stops += 1
        return "stopped"

    def summary(self) -> dict[str, Any]:
        return {"mode": "nominal"}


class House:
    """A dashboard with three people: vera (view), dora (drive) and adam (admin)."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.robot = Bench()
        self.file = folder / "tokens"
        roles = {"vera": "view", "dora": "drive", "adam": "admin"}
        self.tokens = {name: add_token(self.file, name, role) for name, role in roles.items()}
        self.audit = Audit(folder / "audit")
        self.server = DashboardServer(
            more.pop("channels", (Echo(),)),
            Access(people_of(self.file)),
            ServerSettings(port=0, **more),
            self.audit,
            self.robot,
        )
        self.url = self.server.url
        self.origin = self.url.rstrip("/")

    def close(self) -> None:
        self.server.close()
        self.audit.close()

    def bearer(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[name]}"}

    async def log_in(self, browser: aiohttp.ClientSession, name: str, **more: Any) -> None:
        form = {"token": self.tokens[name]}
        headers = {"Origin": self.origin}
        async with browser.post(f"{self.url}login", data=form, headers=headers, **more) as answer:
            assert answer.url.query_string == "" and answer.status == 200


@pytest.fixture(autouse=True)
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CHECK_PERIOD", 0.05)
    monkeypatch.setattr(server, "FAREWELL_TIME", 0.2)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


def browser(**more: Any) -> aiohttp.ClientSession:
    # The server listens on an address, for which aiohttp keeps cookies only when told to.
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), **more)


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 60.0))


async def ends(messages: aiohttp.ClientWebSocketResponse) -> bool:
    """Return whether a socket ends within some seconds."""
    while True:
        message = await messages.receive(timeout=5)
        if message.type in (WSMsgType.CLOSED, WSMsgType.CLOSE, WSMsgType.ERROR):
            return True


def test_page_asks_for_a_token_and_opens_with_it(house: House) -> None:
    async def scenario() -> None:
        async with browser(headers={"Origin": house.origin}) as person:
            async with person.get(house.url) as answer:
                assert 'name="token"' in await answer.text()
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                assert answer.headers["Cache-Control"] == "no-store"
                assert "aiohttp" not in answer.headers["Server"]
            async with person.post(f"{house.url}login", data={"token": "wrong"}) as answer:
                assert answer.url.query_string == "wrong-token"
            async with person.get(f"{house.url}session") as answer:
                assert answer.status == 401
            form = {"token": house.tokens["vera"]}
            login = person.post(f"{house.url}login", data=form, allow_redirects=False)
            async with login as answer:
                (cookie,) = answer.headers.getall("Set-Cookie")
                assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
                assert cookie.startswith(f"edge_robot_{house.server.port}=")
            async with person.get(house.url) as answer:
                assert "app.js" in await answer.text()
            async with person.get(f"{house.url}session") as answer:
                assert await answer.json() == {"name": "vera", "role": "view"}

    run(scenario)
    house.audit.flush()
    written = (house.audit.folder / "audit.jsonl").read_text()
    assert all(token not in written for token in house.tokens.values())
    actions = [(entry["action"], entry["who"], entry["outcome"]) for entry in house.audit.newest(9)]
    assert ("login", "vera", "done") in actions and ("login", None, "wrong token") in actions


@pytest.mark.parametrize(
    ("headers", "known", "status"),
    [
        ({"Origin": "http://evil.example"}, True, 403),
        ({"Origin": "null"}, True, 403),
        ({}, True, 403),
        ({"Origin": FRIEND}, True, 403),  # a cookie is for our own page alone
        ({"Origin": "own", "Sec-Fetch-Site": "same-site"}, True, 403),
        ({"Origin": "own", "Host": "evil.example"}, True, 403),
        ({"Origin": "own", "Host": ""}, True, 403),
        ({"Origin": "own"}, False, 401),
        ({"Authorization": "Bearer wrong"}, False, 401),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, True, 401),
        ({"Sec-WebSocket-Protocol": "echo, bearer.%%%"}, False, 401),
    ],
)
def test_strangers_get_into_no_channel(
    house: House, headers: dict[str, str], known: bool, status: int
) -> None:
    if headers.get("Origin") == "own":
        headers = {**headers, "Origin": house.origin}

    async def scenario() -> None:
        async with browser() as person:
            if known:
                await house.log_in(person, "dora")
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await person.ws_connect(f"{house.url}ws/echo", headers=headers)
            assert refused.value.status == status

    run(scenario)


@pytest.mark.parametrize("path", ["login", "logout", "stop"])
@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {}])
def test_no_page_of_others_posts_in_a_persons_name(
    house: House, path: str, headers: dict[str, str]
) -> None:
    async def scenario() -> None:
        async with browser() as person:
            await house.log_in(person, "dora")
            form = {"token": house.tokens["dora"]}
            async with person.post(house.url + path, data=form, headers=headers) as answer:
                assert answer.status == 403
            async with person.get(f"{house.url}session") as answer:
                assert answer.status == 200

    run(scenario)
    assert house.robot.stops == 0


def test_programs_need_their_token_only_and_pages_of_friends_send_it_in_the_handshake(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    encoded = base64.urlsafe_b64encode(house.tokens["dora"].encode()).decode().rstrip("=")

    async def scenario() -> None:
        async with aiohttp.ClientSession() as program:
            async with program.get(f"{house.url}summary", headers=house.bearer("vera")) as answer:
                assert await answer.json() == {"mode": "nominal"}
            channel = f"{house.url}ws/echo"
            async with program.ws_connect(channel, headers=house.bearer("vera")) as messages:
                assert await messages.receive_str() == "vera"
            protocols = ("echo", f"bearer.{encoded}")
            for origin, status in (
                (FRIEND, 101),
                (house.origin, 101),
                ("http://evil.example", 403),
            ):
                try:
                    opening = program.ws_connect(channel, protocols=protocols, origin=origin)
                    async with opening as messages:
                        assert await messages.receive_str() == "dora"
                        assert (messages.protocol, status) == ("echo", 101)
                except aiohttp.WSServerHandshakeError as refused:
                    assert refused.status == status, origin
            only_token = program.ws_connect(channel, protocols=protocols[1:], origin=FRIEND)
            async with only_token as messages:
                assert (await messages.receive_str(), messages.protocol) == ("dora", None)

    run(scenario)
    assert encoded not in caplog.text


@pytest.mark.parametrize("how", ["log out", "token taken back", "role changed"])
def test_a_session_that_ends_takes_its_sockets_along(
    house: House, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_file, "LOOK_PERIOD", 0.0)

    async def scenario() -> None:
        async with browser(headers={"Origin": house.origin}) as person, browser() as other:
            await house.log_in(person, "dora")
            channel = f"{house.url}ws/echo"
            bystander = await other.ws_connect(channel, headers=house.bearer("vera"))
            async with person.ws_connect(channel) as messages:
                if how == "log out":
                    async with person.post(f"{house.url}logout") as answer:
                        assert 'name="token"' in await answer.text()
                elif how == "token taken back":
                    assert remove_tokens(house.file, "dora") == 1
                else:
                    text = house.file.read_text().replace("dora drive", "dora view")
                    house.file.write_text(text)
                assert await ends(messages)
            async with person.get(f"{house.url}session") as answer:
                assert answer.status == 401
            await bystander.send_str("still here")
            assert [await bystander.receive_str() for _ in range(2)] == ["vera", "still here"]

    run(scenario)


def test_everybody_may_stop_the_robot_however_often_they_asked(house: House) -> None:
    async def scenario() -> None:
        async with aiohttp.ClientSession(headers=house.bearer("vera")) as program:
            statuses = set()
            for _ in range(int(REQUESTS_AT_ONCE) + 30):
                async with program.get(f"{house.url}summary") as answer:
                    statuses.add(answer.status)
            assert statuses == {200, 429}
            for _ in range(3):
                async with program.post(f"{house.url}stop") as answer:
                    assert (answer.status, await answer.text()) == (200, "stopped\n")
            house.robot.answers = False
            async with program.post(f"{house.url}stop") as answer:
                assert answer.status == 503 and "did not answer" in await answer.text()

    run(scenario)
    assert house.robot.stops == 3
    house.audit.flush()
    stops = [entry for entry in house.audit.newest(9) if entry["action"] == "stop"]
    assert [entry["outcome"] for entry in stops] == ["the robot did not answer", *["done"] * 3]
    assert {entry["who"] for entry in stops} == {"vera"}


def test_the_audit_log_is_for_admins(house: House) -> None:
    async def scenario() -> None:
        async with aiohttp.ClientSession() as program:
            for name, status in (("vera", 403), ("dora", 403), ("adam", 200)):
                headers = house.bearer(name)
                house.audit.flush()
                async with program.get(f"{house.url}audit", headers=headers) as answer:
                    assert answer.status == status
                    entries = (await answer.json())["entries"] if status == 200 else []
            query = f"{house.url}audit?count=-1"
            async with program.get(query, headers=house.bearer("adam")) as answer:
                assert answer.status == 400
        assert [(entry["who"], entry["details"]["path"]) for entry in entries] == [
            ("dora", "/audit"),
            ("vera", "/audit"),
        ]

    run(scenario)


def test_page_files_have_their_types_and_are_sent_once(house: House) -> None:
    async def scenario() -> None:
        async with aiohttp.ClientSession() as anybody:
            async with anybody.get(f"{house.url}static/app.js") as answer:
                assert answer.headers["Content-Type"].startswith("text/javascript")
                assert answer.headers["Cache-Control"] == "no-cache"
                tag = {"If-None-Match": answer.headers["ETag"]}
            async with anybody.get(f"{house.url}static/app.js", headers=tag) as answer:
                assert answer.status == 304
            for path in ("static/../server.py", "static/..%2fserver.py", "static/", "page"):
                async with anybody.get(house.url + path) as answer:
                    assert answer.status == 404

    run(scenario)


def test_tls_encrypts_and_its_cookie_is_for_it_alone(tmp_path: Path) -> None:
    pki = Certificates(tmp_path)
    files = {"tls_cert": tmp_path / "used.pem", "tls_key": tmp_path / "used.key"}
    files["tls_cert"].write_bytes(pki.pem("good").read_bytes())
    files["tls_key"].write_bytes(pki.key("good").read_bytes())
    names = {name: str(file) for name, file in files.items()}
    house = House(tmp_path, hosts="robot7.local", **names)
    trust = ssl.create_default_context(cafile=pki.pem("ca"))

    async def scenario() -> None:
        async with browser() as person:
            form, headers = {"token": house.tokens["dora"]}, {"Origin": house.origin}
            login = person.post(
                f"{house.url}login", data=form, headers=headers, ssl=trust, allow_redirects=False
            )
            async with login as answer:
                (cookie,) = answer.headers.getall("Set-Cookie")
                assert cookie.startswith("__Host-") and "Secure" in cookie
            channel = f"{house.url}ws/echo"
            async with person.ws_connect(channel, headers=headers, ssl=trust) as messages:
                assert await messages.receive_str() == "dora"
            plain = {"Origin": house.origin.replace("https", "http")}
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await person.ws_connect(channel, headers=plain, ssl=trust)
            named = {"Host": f"robot7.local:{house.server.port}"}
            async with person.get(house.url, headers=named, ssl=trust) as answer:
                assert answer.status == 200
            with pytest.raises(aiohttp.ClientError):
                await person.get(house.url.replace("https", "http"))
        # A renewed certificate is shown from the next connection on, a broken pair never.
        files["tls_key"].write_bytes(pki.key("robot").read_bytes())
        await asyncio.sleep(0.3)
        async with aiohttp.request("GET", house.url, ssl=trust) as answer:
            assert answer.status == 200
        files["tls_cert"].write_bytes(pki.pem("elsewhere").read_bytes())
        files["tls_key"].write_bytes(pki.key("elsewhere").read_bytes())
        await asyncio.sleep(0.3)
        async with aiohttp.ClientSession() as anybody:
            with pytest.raises(aiohttp.ClientConnectorCertificateError, match="mismatch"):
                await anybody.get(house.url, ssl=trust)

    try:
        assert house.url.startswith("https://")
        run(scenario)
    finally:
        house.close()


def test_it_listens_beyond_this_machine_only_encrypted_and_with_people_of_its_own(
    tmp_path: Path,
) -> None:
    tls = {"tls_cert": "cert.pem", "tls_key": "key.pem"}
    for host in ("0.0.0.0", "192.168.1.7", "::", "robot7.local"):
        for known, files, lacks in (
            (False, {}, "lacks TLS .* and a file"),
            (True, {}, "lacks TLS"),
            (False, tls, "lacks a file of people's tokens"),
        ):
            with pytest.raises(UserError, match=f"{host} can be reached from other.*{lacks}"):
                ServerSettings(host=host, **files).require_protection(known)
        ServerSettings(host=host, **tls).require_protection(True)
    ServerSettings(host="::1").require_protection(False)
    with pytest.raises(UserError, match="can be reached from other"):
        DashboardServer(
            (), Access(OneToken("12345678")), ServerSettings("0.0.0.0"), Audit(tmp_path), Bench()
        )
    with pytest.raises(UserError, match="both a certificate and its key"):
        ServerSettings(tls_cert="cert.pem").tls()


def knock(house: House, request: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", house.server.port), timeout=5)
    connection.sendall(request)
    return connection


def test_a_thousand_connections_reach_neither_robot_nor_operator(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    monkeypatch.setattr(connections, "STRANGER_TIME", 1.0)
    kinds = [
        b"",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ]

    async def scenario() -> None:
        async with browser(headers={"Origin": house.origin}) as person:
            await house.log_in(person, "dora")
            async with person.ws_connect(f"{house.url}ws/echo") as messages:
                assert await messages.receive_str() == "dora"
                slowest = 0.0
                with ExitStack() as crowd:
                    for number in range(1000):
                        crowd.enter_context(knock(house, kinds[number % 3]))
                        if number % 100 == 99:
                            asked = time.monotonic()
                            await messages.send_str("still here")
                            assert await messages.receive_str() == "still here"
                            async with person.post(f"{house.url}stop") as answer:
                                assert answer.status == 200
                            slowest = max(slowest, time.monotonic() - asked)
                    assert slowest < 2.0
                    inside, refused = house.server.crowd()
                    assert inside <= connections.MAX_STRANGERS + 8
                    assert refused > 500
                    # Who comes anew while they still stand there gets in, too.
                    await asyncio.sleep(0.5)
                    async with browser() as other:
                        await house.log_in(other, "vera")
                    # Those who say nothing, or say it slowly, are shown the door.
                    limit = time.monotonic() + 10.0
                    while house.server.crowd()[0] > 8:
                        assert time.monotonic() < limit
                        await asyncio.sleep(0.1)
                await messages.send_str("still here")
                assert await messages.receive_str() == "still here"

    try:
        run(scenario)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert house.robot.stops == 10


def test_one_person_has_a_bounded_number_of_sockets(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_OF_ONE", 3)

    async def scenario() -> None:
        async with aiohttp.ClientSession(headers=house.bearer("vera")) as program:
            channel = f"{house.url}ws/echo"
            held = [await program.ws_connect(channel) for _ in range(3)]
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await program.ws_connect(channel)
            assert refused.value.status == 503
            async with program.ws_connect(channel, headers=house.bearer("dora")):
                pass
            async with program.post(f"{house.url}stop") as answer:
                assert answer.status == 200, "there is always place to stop the robot"
            for messages in held:
                await messages.close()
            async with program.ws_connect(channel):
                pass

    run(scenario)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(
        [b"GET ", b"POST /stop ", b"GET /ws/echo HTTP/1.1\r\nHost: 127.0.0.1\r\n", b""]
    ),
    st.binary(max_size=400),
    st.sampled_from([b"", b"\r\n\r\n", b"A" * 20_000, b"\r\nContent-Length: 99999999\r\n\r\n"]),
)
def test_no_bytes_stop_the_server_or_the_robot(
    house: House, begin: bytes, middle: bytes, end: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", house.server.port), timeout=5) as connection:
        connection.settimeout(0.05)
        try:
            connection.sendall(begin + middle + end)
            while connection.recv(65536):
                pass
        except OSError:
            pass
    with knock(house, b"GET /static/app.js HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n") as connection:
        assert connection.recv(16).startswith(b"HTTP/1.0 200")
    assert house.robot.stops == 0


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"token=secret", b"303"),
        ({"Content-Type": "application/x-www-form-urlencoded; charset=none"}, b"a", b"303"),
        ({"Content-Encoding": "gzip"}, b"token=secret", b"303"),
        ({"Transfer-Encoding": "chunked"}, b"secret", b"400"),
        ({}, b"\xff\xfe", b"400"),
        ({}, b"secret&" * 9, b"400"),
        ({}, b"secret" * 999, b"413"),
        ({"X": "secret\0"}, b"", b"400"),
        ({"Cookie": "edge_robot_session=secret\xff"}, b"", b"303"),
    ],
)
def test_what_strangers_send_is_their_error_and_in_no_log(
    house: House,
    headers: dict[str, str],
    body: bytes,
    status: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent = {"Host": "127.0.0.1", "Origin": "http://127.0.0.1", **headers}
    if "Transfer-Encoding" not in headers:
        sent["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.items()).encode("latin-1")
    with knock(house, b"POST /login HTTP/1.1\r\n" + head + b"\r\n" + body) as connection:
        assert connection.recv(64).split()[1] == status
    house.audit.flush()
    assert "secret" not in caplog.text + (house.audit.folder / "strangers.jsonl").read_text()


def test_taken_port_is_one_clear_line(house: House, tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    port = house.server.port
    with pytest.raises(UserError, match=f"port {port} .*already taken"):
        DashboardServer(
            (), Access(OneToken("12345678")), ServerSettings(port=port), house.audit, Bench()
        )


def test_it_ends_although_a_channel_does_not(tmp_path: Path) -> None:
    house = House(tmp_path, channels=(Echo(farewell=60.0),))
    connection = knock(house, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
    begun = time.monotonic()
    house.close()
    assert time.monotonic() - begun < 5.0
    assert connection.recv(1) == b""
    connection.close()
    with pytest.raises(OSError):
        knock(house, b"")
