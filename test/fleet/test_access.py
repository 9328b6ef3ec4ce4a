"""Who may ask the backend: TLS, client certificates, tokens, and where it refuses to listen."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from certificates import Certificates
from lamp import MODEL, LampDetector, lamp_backend, lamp_image
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as pb_grpc
from tritonclient.utils import InferenceServerException

from edge_robot import token_file
from edge_robot.errors import UserError
from edge_robot.fleet.backend.access import (
    Access,
    Caller,
    ForbiddenError,
    Role,
    Tokens,
    UnknownCallerError,
    new_token,
)
from edge_robot.fleet.backend.server import Backend
from edge_robot.fleet.backend.serving import Models, ServerSettings, embedded, read_limits
from edge_robot.fleet.client import FleetClient
from edge_robot.fleet.credentials import Credentials
from edge_robot.fleet.endpoints import Endpoint
from edge_robot.fleet.link import LinkTiming
from edge_robot.fleet.tensors import add_arrays, to_arrays

TIMEOUT = 10.0
LIVE = pb.ServerLiveRequest()


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A token file, the token of robot7, and the one of a monitor."""
    file = tmp_path_factory.mktemp("tokens") / "tokens"
    return file, new_token(file, "robot7"), new_token(file, "prometheus", Role.MONITOR)


@pytest.fixture(scope="module")
def guarded(pki: Certificates, tokens: tuple[Path, str, str]) -> Iterator[Backend]:
    """A backend that asks for both a client's certificate and a token."""
    settings = ServerSettings(
        tls_cert=str(pki.pem("good")),
        tls_key=str(pki.key("good")),
        client_ca=str(pki.pem("ca")),
        tokens=str(tokens[0]),
    )
    backend = lamp_backend(LampDetector(), http_port=0, access=settings.access())
    yield backend
    backend.stop()


def lamp_input() -> triton.InferInput:
    image = lamp_image()
    given = triton.InferInput("image", list(image.shape), "UINT8")
    given.set_data_from_numpy(image)
    return given


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def status(call: object, *args: object, **kwargs: object) -> str:
    with pytest.raises(InferenceServerException) as raised:
        call(*args, **kwargs)  # type: ignore[operator]
    return str(raised.value.status()).removeprefix("StatusCode.")


def http_status(backend: Backend, path: str, tls: ssl.SSLContext | None, token: str = "") -> int:
    scheme = "http" if tls is None else "https"
    url = f"{scheme}://127.0.0.1:{backend.http_port}{path}"
    request = urllib.request.Request(url, headers=bearer(token) if token else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT, context=tls) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        assert "error" in json.load(error)
        return error.code


def test_a_certificate_and_a_token_open_the_grpc_face(
    guarded: Backend, pki: Certificates, tokens: tuple[Path, str, str]
) -> None:
    _, robot, monitor = tokens
    with triton.InferenceServerClient(
        f"127.0.0.1:{guarded.port}",
        ssl=True,
        root_certificates=str(pki.pem("ca")),
        private_key=str(pki.key("robot")),
        certificate_chain=str(pki.pem("robot")),
    ) as client:
        assert client.is_server_ready(), "probes bear no tokens"
        given = [lamp_input()]
        assert client.infer(MODEL, given, headers=bearer(robot)).as_numpy("scores").size == 1
        assert client.get_server_metadata(headers=bearer(monitor)).name == "edge_robot"
        assert status(client.infer, MODEL, given) == "UNAUTHENTICATED"
        assert status(client.infer, MODEL, given, headers=bearer(robot[:-1])) == "UNAUTHENTICATED"
        assert status(client.infer, MODEL, given, headers=bearer(monitor)) == "PERMISSION_DENIED"
        assert status(client.get_model_metadata, MODEL) == "UNAUTHENTICATED"


def test_our_own_client_passes_the_same_door(
    guarded: Backend, pki: Certificates, tokens: tuple[Path, str, str], tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(tokens[1])
    (tmp_path / "token").chmod(0o600)
    files = (pki.pem("ca"), pki.pem("robot"), pki.key("robot"))
    credentials = Credentials(True, *files, token_file=tmp_path / "token")
    endpoint = Endpoint("", f"127.0.0.1:{guarded.port}", credentials=credentials)
    client = FleetClient(endpoint, LinkTiming(), lambda: None)
    request = pb.ModelInferRequest(model_name=MODEL)
    add_arrays(request, {"image": lamp_image()})

    async def ask() -> Any:
        running = asyncio.create_task(client.run())
        while not client.link.up:
            await asyncio.sleep(0.01)
        answer = await client.infer(request.SerializeToString(), TIMEOUT)
        running.cancel()
        return answer

    answer = asyncio.run(asyncio.wait_for(ask(), TIMEOUT))
    assert to_arrays(answer)["boxes"].tolist() == [[96.0, 32.0, 160.0, 64.0]]


def test_no_certificate_no_connection(
    guarded: Backend, pki: Certificates, tokens: tuple[Path, str, str]
) -> None:
    roots = pki.pem("ca").read_bytes()
    strange = (pki.key("stranger").read_bytes(), pki.pem("stranger").read_bytes())
    for pair in (None, strange):
        credentials = grpc.ssl_channel_credentials(roots, *(pair or ()))
        with grpc.secure_channel(f"127.0.0.1:{guarded.port}", credentials) as channel:
            stub = pb_grpc.GRPCInferenceServiceStub(channel)
            with pytest.raises(grpc.RpcError) as raised:
                stub.ServerLive(pb.ServerLiveRequest(), timeout=TIMEOUT)
            assert raised.value.code() is grpc.StatusCode.UNAVAILABLE

    tls = ssl.create_default_context(cafile=str(pki.pem("ca")))
    with pytest.raises((OSError, ssl.SSLError)):
        http_status(guarded, "/v2", tls, tokens[1])


def test_a_certificate_and_a_token_open_the_http_face(
    guarded: Backend, pki: Certificates, tokens: tuple[Path, str, str]
) -> None:
    _, robot, monitor = tokens
    tls = ssl.create_default_context(cafile=str(pki.pem("ca")))
    tls.load_cert_chain(pki.pem("robot"), pki.key("robot"))
    assert http_status(guarded, "/v2/health/ready", tls) == 200
    assert http_status(guarded, "/v2", tls) == 401
    assert http_status(guarded, "/v2", tls, "x" * 1000) == 401
    assert http_status(guarded, "/v2", tls, robot) == 200
    assert http_status(guarded, "/metrics", tls, robot) == 403
    assert http_status(guarded, "/metrics", tls, monitor) == 200


def test_certificates_are_replaced_under_connections_that_stand(
    pki: Certificates, tmp_path: Path
) -> None:
    files = {name: tmp_path / name for name in ("tls_cert", "tls_key", "client_ca")}

    def put(**sources: Path) -> None:
        for name, source in sources.items():
            shutil.copy(source, files[name])

    def channel(authority: str, own: str) -> grpc.Channel:
        credentials = grpc.ssl_channel_credentials(
            pki.pem(authority).read_bytes(), pki.key(own).read_bytes(), pki.pem(own).read_bytes()
        )
        options = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.ssl_target_name_override", "robot"),
        ]
        return grpc.secure_channel(f"127.0.0.1:{backend.port}", credentials, options)

    def lets_in(authority: str, own: str) -> bool:
        tls = ssl.create_default_context(cafile=str(pki.pem(authority)))
        tls.check_hostname = False
        tls.load_cert_chain(pki.pem(own), pki.key(own))
        try:
            http = http_status(backend, "/v2/health/live", tls) == 200
        except OSError:
            http = False
        with channel(authority, own) as fresh:
            try:
                answer = pb_grpc.GRPCInferenceServiceStub(fresh).ServerLive(LIVE, timeout=TIMEOUT)
            except grpc.RpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE
                assert not http
                return False
            assert http
            return bool(answer.live)

    put(tls_cert=pki.pem("robot"), tls_key=pki.key("robot"), client_ca=pki.pem("ca"))
    settings = ServerSettings(**{name: str(file) for name, file in files.items()})
    backend = lamp_backend(LampDetector(), http_port=0, access=settings.access())
    with channel("ca", "robot") as standing:
        live = pb_grpc.GRPCInferenceServiceStub(standing).ServerLive
        assert live(LIVE).live and lets_in("ca", "robot") and not lets_in("ca", "stranger")
        put(tls_cert=pki.pem("stranger"))  # half of it: does not fit the key yet
        assert live(LIVE).live and lets_in("ca", "robot")
        put(tls_key=pki.key("stranger"))
        assert live(LIVE).live and lets_in("other", "robot") and not lets_in("ca", "robot")
        put(client_ca=pki.pem("other"))
        assert live(LIVE).live and lets_in("other", "stranger") and not lets_in("other", "robot")
    backend.stop()


def test_the_token_says_who_asks_whatever_the_request_says(tokens: tuple[Path, str, str]) -> None:
    file, robot, monitor = tokens
    backend = lamp_backend(LampDetector(), http_port=0, access=Access(tokens=Tokens(file)))
    with triton.InferenceServerClient(f"127.0.0.1:{backend.port}") as client:
        client.infer(MODEL, [lamp_input()], headers=bearer(robot), parameters={"robot": "another"})
    url = f"http://127.0.0.1:{backend.http_port}/metrics"
    request = urllib.request.Request(url, headers=bearer(monitor))
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        text = answer.read().decode()
    assert 'face="grpc",model="lamp",outcome="computed",robot="robot7"} 1' in text
    assert "another" not in text and robot not in text
    backend.stop()


def test_tokens_are_told_apart(tokens: tuple[Path, str, str]) -> None:
    _, robot, _ = tokens
    guard = Access(tokens=Tokens(tokens[0]))
    assert guard.caller(f"Bearer {robot}") == Caller("robot7", Role.ROBOT)
    assert guard.caller(f"bearer {robot}").name == "robot7"
    for wrong in ("", robot, f"Basic {robot}", "Bearer ", f"Bearer {robot} ", "Bearer é"):
        with pytest.raises(UnknownCallerError) as raised:
            guard.caller(wrong)
        assert robot not in str(raised.value)
    with pytest.raises(ForbiddenError, match="'robot7' is for a robot"):
        Caller("robot7", Role.ROBOT).require(Role.MONITOR)
    Caller().require(Role.MONITOR)  # where no tokens are asked for


def test_a_token_is_taken_back_while_the_server_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_file, "LOOK_PERIOD", 0.0)
    file = tmp_path / "tokens"
    lost = new_token(file, "lost")
    known = Tokens(file)
    assert known.caller(f"Bearer {lost}").name == "lost"
    file.write_text("half a line")
    assert known.caller(f"Bearer {lost}").name == "lost", "a slip locks nobody out"
    file.unlink()
    found = new_token(file, "found")
    assert known.caller(f"Bearer {found}").name == "found"
    with pytest.raises(UnknownCallerError):
        known.caller(f"Bearer {lost}")


def test_no_robot_speaks_for_another(tokens: tuple[Path, str, str], tmp_path: Path) -> None:
    file, robot, _ = tokens
    models = Models(planner=False, archive=str(tmp_path / "archive"))
    backend = Backend(embedded(models), port=0, access=Access(tokens=Tokens(file)))
    (archive,) = backend.models
    with triton.InferenceServerClient(f"127.0.0.1:{backend.port}") as client:
        for name, code in (("robot8", "PERMISSION_DENIED"), ("robot7", "INVALID_ARGUMENT")):
            given = triton.InferInput("robot", [1], "BYTES")
            given.set_data_from_numpy(np.array([name.encode()], object))
            assert status(client.infer, archive.name, [given], headers=bearer(robot)) == code
    backend.stop()


def test_a_token_file_holds_no_token_and_is_for_its_owner(tokens: tuple[Path, str, str]) -> None:
    file, robot, monitor = tokens
    assert robot not in file.read_text() and monitor not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "holds no token"),
        ("# only a comment\n", "holds no token"),
        ("secret-token robot7", "line 1"),
        ("ab" * 32, "line 1"),
        ("\n" + "ab" * 32 + " robot7 king", "line 2"),
        (f"{'ab' * 32} a\n{'ab' * 32} b", "line 2: the token is there already"),
    ],
)
def test_malformed_token_files_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "tokens"
    file.write_text(text)
    with pytest.raises(UserError, match=reason) as raised:
        Tokens(file)
    assert "secret" not in str(raised.value)


def test_it_listens_beyond_this_machine_only_protected(
    pki: Certificates, tokens: tuple[Path, str, str]
) -> None:
    tls = {"tls_cert": str(pki.pem("good")), "tls_key": str(pki.key("good"))}
    known = {"tokens": str(tokens[0])}
    for settings in ({}, known, tls):
        with pytest.raises(UserError, match=r"0\.0\.0\.0 can be reached.*--insecure"):
            ServerSettings(host="0.0.0.0", **settings).access()
        ServerSettings(host="0.0.0.0", insecure=True, **settings).access()
        ServerSettings(host="::1", **settings).access()
    ServerSettings(host="0.0.0.0", **tls, **known).access()
    ServerSettings(host="0.0.0.0", **tls, client_ca=str(pki.pem("ca"))).access()


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"tls_cert": "good.pem"}, "both a certificate and its key"),
        ({"client_ca": "ca.pem"}, "needs TLS"),
        ({"tls_cert": "good.pem", "tls_key": "robot.key"}, "good.pem with key"),
        ({"tls_cert": "good.pem", "tls_key": "none.key"}, "No such file"),
        (
            {"tls_cert": "good.pem", "tls_key": "good.key", "client_ca": "good.key"},
            "roots of client certificates",
        ),
    ],
)
def test_certificates_that_cannot_be_used_are_one_clear_line(
    pki: Certificates, files: dict[str, str], reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        settings = ServerSettings(**{name: str(pki.folder / file) for name, file in files.items()})
        lamp_backend(LampDetector(), access=settings.access())


def test_the_command_makes_a_token_and_shows_it_once(tmp_path: Path) -> None:
    words = ["backend", "--tokens", "tokens", "--new-token", "robot7", "--role", "monitor"]
    done = subprocess.run(
        [sys.executable, "-m", "edge_robot", *words],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    token = done.stdout.strip()
    assert Tokens(tmp_path / "tokens").caller(f"Bearer {token}").role is Role.MONITOR


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("quota: {request: 1}", "'request' is no limit; known are waiting"),
        ("waiting: -1", "waiting is -1, not a number greater than 0"),
        ("quotas: {robot7: {places: true}}", "places is True"),
        ("- 1", "cannot be used"),
        ("a: [", "cannot be read"),
    ],
)
def test_malformed_limits_are_one_clear_line(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "limits.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=reason):
        read_limits(file)


def test_limits_are_read(tmp_path: Path) -> None:
    file = tmp_path / "limits.yaml"
    file.write_text("waiting: 8\nquota: {places: 2}\nquotas: {robot7: {requests: 5}}\n")
    limits = read_limits(file)
    assert (limits.waiting, limits.quota.places) == (8, 2)
    assert limits.quotas["robot7"].requests == 5
