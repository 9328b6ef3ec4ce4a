"""One connection to one backend: encryption, tokens, and how it says what is wrong."""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from certificates import Certificates
from lamp import wait_for
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as pb_grpc

from edge_robot.errors import UserError
from edge_robot.fleet.client import FleetClient, LinkLostError, RequestError
from edge_robot.fleet.credentials import PLAIN, Credentials
from edge_robot.fleet.diagnosis import diagnose
from edge_robot.fleet.endpoints import Endpoint
from edge_robot.fleet.link import LinkTiming
from edge_robot.fleet.loop import LoopThread
from edge_robot.sim.radio_link import LinkQuality, RadioLink

# A loaded test machine may hold up everything for a moment: longer than the robot's silence.
PATIENT = LinkTiming(silence=0.4, refusal_pause=0.3)
REQUEST = pb.ModelInferRequest(model_name="m", id="1").SerializeToString()


class Server(pb_grpc.GRPCInferenceServiceServicer):
    """A backend that does what a test tells it."""

    def __init__(self, certificate: tuple[bytes, bytes] | None = None, ca: bytes | None = None):
        self.token = ""
        self.beats: list[str] = []  # the connections they came over
        self.live: Callable[[Any], Any] = lambda context: pb.ServerLiveResponse(live=True)
        self.infer: Callable[[Any, Any], Any] = lambda request, _: pb.ModelInferResponse(
            id=request.id
        )
        self._server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
        pb_grpc.add_GRPCInferenceServiceServicer_to_server(self, self._server)
        if certificate is None:
            self.port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            credentials = grpc.ssl_server_credentials([certificate], ca, ca is not None)
            self.port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self._server.start()

    def ServerLive(self, request: Any, context: Any) -> Any:
        self.beats.append(context.peer())
        self._check(context)
        return self.live(context)

    def ModelInfer(self, request: Any, context: Any) -> Any:
        self._check(context)
        return self.infer(request, context)

    def _check(self, context: Any) -> None:
        sent = dict(context.invocation_metadata()).get("authorization", "")
        if self.token and sent != f"Bearer {self.token}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "token expired" if sent else "no token")

    def stop(self) -> None:
        self._server.stop(None).wait()


class Robot:
    """A client in a thread of its own."""

    def __init__(self, port: int, credentials: Credentials = PLAIN, timing: LinkTiming = PATIENT):
        endpoint = Endpoint("", f"127.0.0.1:{port}", credentials=credentials)
        self.client = FleetClient(endpoint, timing, lambda: None)
        self.thread = LoopThread("client")
        self.thread.start()
        self.thread.call_soon(self.thread.spawn, self.client.run())  # type: ignore[arg-type]

    @property
    def up(self) -> bool:
        self.thread.raise_if_failed()
        return self.client.link.up

    def connect(self) -> None:
        wait_for(lambda: self.up, f"the link ({self.client.link.cause})")

    def is_told(self, *words: str) -> bool:
        assert not self.up
        return all(word in self.client.link.cause for word in words)

    def infer(self, timeout: float = 10.0) -> Future[Any]:
        result: Future[Any] = Future()
        self.thread.call_soon(lambda: self._ask(timeout, result))
        return result

    def _ask(self, timeout: float, result: Future[Any]) -> None:
        async def ask() -> None:
            asking = asyncio.ensure_future(self.client.infer(REQUEST, timeout))
            result.add_done_callback(lambda _: self.thread.call_soon(cancel))

            def cancel() -> None:
                asking.cancel()

            try:
                answer = await asking
            except (LinkLostError, RequestError) as error:
                result.set_exception(error)
            except asyncio.CancelledError:
                assert result.cancelled()
            else:
                result.set_result(answer)

        self.thread.spawn(ask())


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def make(*args: Any) -> Server:
        servers.append(Server(*args))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def connect() -> Iterator[Callable[..., Robot]]:
    robots: list[Robot] = []

    def make(*args: Any, **kwargs: Any) -> Robot:
        robots.append(Robot(*args, **kwargs))
        return robots[-1]

    yield make
    for robot in robots:
        robot.thread.close()


def identity(pki: Certificates, name: str) -> tuple[bytes, bytes]:
    return pki.key(name).read_bytes(), pki.pem(name).read_bytes()


def tls(pki: Certificates, ca: str = "ca", own: str = "", **more: Any) -> Credentials:
    return Credentials(
        tls=True,
        ca_file=pki.pem(ca),
        certificate_file=pki.pem(own) if own else None,
        key_file=pki.key(own) if own else None,
        **more,
    )


def secret(folder: Path, text: str) -> Path:
    file = folder / "token"
    file.write_text(text)
    file.chmod(0o600)
    return file


def test_mutual_tls_with_a_token_lets_the_robot_in(
    pki: Certificates, serve: Callable[..., Server], connect: Callable[..., Robot], tmp_path: Path
) -> None:
    server = serve(identity(pki, "elsewhere"), pki.pem("ca").read_bytes())
    server.token = "abc"
    credentials = tls(
        pki,
        own="robot",
        server_name="elsewhere.example",
        token_file=secret(tmp_path, "abc\n"),
    )
    robot = connect(server.port, credentials)
    robot.connect()
    assert robot.infer().result(20.0).id == "1"
    finding = diagnose(f"127.0.0.1:{server.port}", credentials)
    assert finding is None or "timed out" in finding.cause, "a loaded machine may be slow"


@pytest.mark.parametrize(
    ("certificate", "client_ca", "ca", "own", "words"),
    [
        ("expired", None, "ca", "", "certificate has expired"),
        ("elsewhere", None, "ca", "", "not valid for '127.0.0.1'"),
        ("good", None, "other", "", "unable to get local issuer certificate"),
        ("good", "ca", "ca", "", "it asks for a certificate"),
        ("good", "ca", "ca", "stranger", "does not accept the robot's"),
        (None, None, "ca", "", "does not speak TLS"),
        ("good", None, None, "", "speaks TLS: set tls"),
    ],
)
def test_a_certificate_that_does_not_do_is_named_as_the_cause(
    pki: Certificates,
    serve: Callable[..., Server],
    connect: Callable[..., Robot],
    certificate: str | None,
    client_ca: str | None,
    ca: str | None,
    own: str,
    words: str,
) -> None:
    server = serve(
        identity(pki, certificate) if certificate else None,
        pki.pem(client_ca).read_bytes() if client_ca else None,
    )
    robot = connect(server.port, tls(pki, ca, own) if ca else PLAIN)
    wait_for(lambda: robot.is_told(words), f"{words!r}, not {robot.client.link.cause!r}")


def test_heartbeats_follow_a_request_on_its_connection_until_it_is_answered(
    serve: Callable[..., Server], connect: Callable[..., Robot]
) -> None:
    """TCP notices at once that a packet was lost if something came that was sent behind it."""
    server, asked_over = serve(), []

    def infer(request: Any, context: Any) -> Any:
        asked_over.append(context.peer())
        time.sleep(0.3)
        return pb.ModelInferResponse(id=request.id)

    server.infer = infer
    robot = connect(server.port)
    robot.connect()
    robot.infer().result()
    probes = server.beats.count(asked_over[0])
    assert 2 <= probes <= 5, "after 25, 50, 100 and 200 ms"
    time.sleep(0.3)
    assert server.beats.count(asked_over[0]) <= probes + 1, "but for one that was on its way"


def test_what_only_a_person_can_mend_makes_no_tight_loop(
    pki: Certificates, connect: Callable[..., Robot]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        calls: list[float] = []

        def greet() -> None:
            while True:
                try:
                    caller, _ = listener.accept()
                except OSError:
                    return
                calls.append(time.monotonic())
                caller.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        robot = connect(listener.getsockname()[1], timing=LinkTiming(refusal_pause=60.0))
        wait_for(lambda: robot.is_told("does not speak HTTP/2"), "the cause")
        before = len(calls)
        time.sleep(1.0)
        assert len(calls) - before <= 1 and before < 20
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_a_token_that_is_renewed_in_its_file_is_used(
    pki: Certificates, serve: Callable[..., Server], connect: Callable[..., Robot], tmp_path: Path
) -> None:
    server = serve(identity(pki, "good"))
    server.token = "new"
    token_file = secret(tmp_path, "old")
    timing = LinkTiming(silence=0.4, probe_pause=0.02, refusal_pause=0.5)
    robot = connect(server.port, tls(pki, token_file=token_file), timing)
    wait_for(lambda: robot.is_told("token expired", f"renew {token_file}"), "the cause")
    time.sleep(0.2)  # for those that were on their way
    beats = len(server.beats)
    time.sleep(0.2)
    assert len(server.beats) <= beats + 1, "it is not tried in a tight loop"
    assert "old" not in robot.client.link.cause.replace(str(token_file), "")
    token_file.write_text("new")
    robot.connect()


def test_renewed_certificates_are_taken_up_and_no_request_is_lost(
    pki: Certificates, serve: Callable[..., Server], connect: Callable[..., Robot], tmp_path: Path
) -> None:
    roots = pki.pem("ca").read_bytes() + pki.pem("other").read_bytes()
    server = serve(identity(pki, "good"), roots)
    callers = []
    answer = server.infer

    def infer(request: Any, context: Any) -> Any:
        callers.append(b"".join(context.auth_context()["x509_pem_cert"]))
        time.sleep(0.1)  # so that some are under way when the connection changes
        return answer(request, context)

    server.infer = infer
    own, key = tmp_path / "own.pem", tmp_path / "own.key"
    shutil.copy(pki.key("robot"), key)
    shutil.copy(pki.pem("robot"), own)
    robot = connect(
        server.port, Credentials(True, pki.pem("ca"), certificate_file=own, key_file=key)
    )
    robot.connect()
    results = [robot.infer()]
    wait_for(results[0].done, "an answer")
    since = robot.client.link.since

    def ask_until(condition: Callable[[], bool], what: str) -> None:
        def ask_and_look() -> bool:
            results.append(robot.infer())
            time.sleep(0.02)
            return condition()

        wait_for(ask_and_look, what)

    shutil.copy(pki.pem("stranger"), own)  # half of it: does not fit the key yet
    looked = time.monotonic() + 1.5
    ask_until(lambda: time.monotonic() > looked, "a look at the files")
    assert set(callers) == {pki.pem("robot").read_bytes()}
    shutil.copy(pki.key("stranger"), key)
    ask_until(lambda: callers[-1] == pki.pem("stranger").read_bytes(), "the new certificate")
    assert all(result.result(20.0).id == "1" for result in results)
    assert robot.up and robot.client.link.since == since


def test_where_no_connection_is_free_there_are_soon_more(
    serve: Callable[..., Server], connect: Callable[..., Robot]
) -> None:
    server = serve()
    peers: set[str] = set()
    answer, done = server.infer, threading.Event()

    def infer(request: Any, context: Any) -> Any:
        peers.add(context.peer())
        done.wait(20.0)
        return answer(request, context)

    server.infer = infer
    robot = connect(server.port)
    robot.connect()
    results = [robot.infer() for _ in range(5)]
    wait_for(lambda: len(peers) == 4, "requests on all connections")
    time.sleep(0.2)  # the fifth waits behind another; meanwhile one more is connected
    results.append(robot.infer())
    wait_for(lambda: len(peers) == 5, "a request on the new connection")
    done.set()
    assert all(result.result(20.0).id == "1" for result in results)


def test_files_that_will_not_do_are_refused_before_anything_is_sent(
    pki: Certificates, tmp_path: Path
) -> None:
    def check(match: str, **fields: Any) -> None:
        with pytest.raises(UserError, match=match):
            Credentials(**fields).check()

    check("belong together", tls=True, certificate_file=pki.pem("robot"))
    check("not tls: true", ca_file=pki.pem("ca"))
    check("everybody on the way", token_file=secret(tmp_path, "abc"))
    check("No such file", tls=True, ca_file=tmp_path / "absent.pem")
    check("no certificates", tls=True, ca_file=secret(tmp_path, "nothing"))
    check("do not fit", tls=True, certificate_file=pki.pem("good"), key_file=pki.key("robot"))
    check("one line", tls=True, token_file=secret(tmp_path, "two\nlines"))
    check("one line", tls=True, token_file=secret(tmp_path, "\n"))
    open_to_all = secret(tmp_path, "abc")
    open_to_all.chmod(0o644)
    check("chmod o-rwx", tls=True, token_file=open_to_all)


@pytest.mark.parametrize(
    ("code", "details"),
    [
        (grpc.StatusCode.UNIMPLEMENTED, "no such method"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "too many requests"),
    ],
)
def test_a_backend_that_answers_heartbeats_with_a_refusal_is_alive(
    serve: Callable[..., Server],
    connect: Callable[..., Robot],
    code: grpc.StatusCode,
    details: str,
) -> None:
    server = serve()
    server.live = lambda context: context.abort(code, details)
    connect(server.port).connect()


def test_a_far_backend_is_reached(
    pki: Certificates, serve: Callable[..., Server], connect: Callable[..., Robot]
) -> None:
    """By way of a satellite, say: some round trips of 400 ms until the first answer."""
    server = serve(identity(pki, "good"))
    radio = RadioLink("127.0.0.1", 0, "127.0.0.1", server.port, LinkQuality(delay=0.2))
    robot = connect(radio.port, tls(pki))
    wait_for(lambda: robot.up, "the link", limit=6.0)
    radio.close()


def test_cancelling_reaches_the_backend(
    serve: Callable[..., Server], connect: Callable[..., Robot]
) -> None:
    server = serve()
    begun, ended = threading.Event(), threading.Event()

    def infer(request: Any, context: Any) -> Any:
        context.add_callback(ended.set)
        begun.set()
        assert ended.wait(20.0)
        return pb.ModelInferResponse()

    server.infer = infer
    robot = connect(server.port)
    robot.connect()
    asked = robot.infer(timeout=30.0)
    assert begun.wait(20.0)
    asked.cancel()
    assert ended.wait(5.0)


def test_an_unavailable_model_is_an_error_and_a_broken_connection_a_lost_link(
    serve: Callable[..., Server], connect: Callable[..., Robot]
) -> None:
    server = serve()
    server.infer = lambda _, context: context.abort(grpc.StatusCode.UNAVAILABLE, "model loading")
    robot = connect(server.port)
    robot.connect()
    with pytest.raises(RequestError, match="model loading"):
        robot.infer().result(20.0)
    assert robot.up
    begun = threading.Event()

    def hang(request: Any, context: Any) -> Any:
        begun.set()
        time.sleep(1.0)

    server.infer = hang
    asked = robot.infer()
    assert begun.wait(20.0)
    server.stop()
    with pytest.raises(LinkLostError):
        asked.result(20.0)
    assert not robot.client.link.up
