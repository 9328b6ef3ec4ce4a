"""The HTTP face beyond what Triton's client asks, and how the server begins and ends."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from lamp import MAX_WAITING, MODEL, LampDetector, lamp_backend, lamp_image, wait_for
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as pb_grpc

from edge_robot.errors import UserError
from edge_robot.fleet.backend import grpc_service, http_service, reception
from edge_robot.fleet.backend.scheduler import Scheduler
from edge_robot.fleet.backend.server import Backend
from edge_robot.fleet.tensors import add_arrays

LIMIT = 20.0


@pytest.fixture
def backend(detector: LampDetector) -> Iterator[Backend]:
    backend = lamp_backend(detector, http_port=0)
    yield backend
    detector.free.set()
    backend.stop()


def ask(
    backend: Backend, path: str, document: Any = None, **headers: str
) -> tuple[int, dict[str, Any]]:
    """Return the status and what the JSON of the answer says."""
    data = None if document is None else json.dumps(document).encode()
    url = f"http://127.0.0.1:{backend.http_port}{path}"
    request = urllib.request.Request(url, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def image_document(**more: Any) -> dict[str, Any]:
    image = lamp_image()
    tensor = {"name": "image", "shape": image.shape, "datatype": "UINT8", "data": image.tolist()}
    return {"inputs": [tensor], **more}


INFER = f"/v2/models/{MODEL}/infer"


def test_nested_json_is_enough(backend: Backend) -> None:
    wanted = [{"name": "boxes"}, {"name": "class_names"}]
    status, answer = ask(backend, INFER, image_document(id="7", outputs=wanted))
    assert status == 200 and answer["id"] == "7"
    boxes, names = answer["outputs"]
    assert boxes["datatype"] == "FP32" and boxes["shape"] == [1, 4]
    assert boxes["data"] == [96.0, 32.0, 160.0, 64.0]
    assert names["data"] == ["nothing", "lamp"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"inputs": None}, "'inputs' is missing or not an array"),
        ({"inputs": [7]}, "no JSON object"),
        ({"outputs": [{}]}, "'name' is missing"),
        ({"outputs": [{"name": "boxes", "parameters": {"classification": 3}}]}, "classification"),
        ({"parameters": {"timeout": "soon"}}, "whole number of microseconds"),
        ({"parameters": {"timeout": True}}, "whole number of microseconds"),
        ({"parameters": {"robot": "\n"}}, "printable"),
        ({"id": 7}, "'id' is missing or not text"),
    ],
)
def test_members_that_are_something_else_are_named(
    backend: Backend, change: dict[str, Any], reason: str
) -> None:
    status, answer = ask(backend, INFER, {**image_document(), **change})
    assert status == 400 and reason in answer["error"]


def test_a_path_that_is_not_served_says_so(backend: Backend) -> None:
    assert ask(backend, "/v2/nothing")[0] == 404
    assert ask(backend, INFER) == (405, {"error": f"Method Not Allowed: GET '{INFER}'"})


def test_sizes_are_bounded(backend: Backend) -> None:
    status, answer = ask(backend, INFER, {"inputs": "a" * http_service.MAX_JSON})
    assert status == 413 and "send tensors as binary data" in answer["error"]


def test_deep_json_is_refused_before_it_is_read(backend: Backend) -> None:
    deep: list[Any] = []
    for _ in range(http_service.MAX_DEPTH):
        deep = [deep]
    status, answer = ask(backend, INFER, deep)
    assert status == 400 and "nested more than" in answer["error"]


def test_what_is_in_the_house_is_bounded_in_bytes(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reception, "MAX_IN_FLIGHT", 1000)
    status, answer = ask(backend, INFER, image_document())
    assert status == 429 and "in the house already" in answer["error"]


def test_expired_in_the_queue(backend: Backend, detector: LampDetector) -> None:
    detector.free.clear()
    first = threading.Thread(target=ask, args=(backend, INFER, image_document()))
    first.start()
    wait_for(lambda: detector.calls == 1, "the first request to be computed")
    status, answer = ask(backend, INFER, image_document(parameters={"timeout": 30_000}))
    assert status == 504 and "expired" in answer["error"]
    detector.free.set()
    first.join()
    assert detector.calls == 1


def test_who_hangs_up_is_not_worked_for(backend: Backend, detector: LampDetector) -> None:
    detector.free.clear()
    body = json.dumps(image_document()).encode()
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    connections = [
        socket.create_connection(("127.0.0.1", backend.http_port), timeout=LIMIT) for _ in range(2)
    ]
    for number, connection in enumerate(connections):
        connection.sendall(head + body)
        wait_for(lambda n=number: _gauge(backend, "in_flight_requests") == n + 1, "a request")
    for connection in connections:
        connection.close()
    wait_for(lambda: _gauge(backend, "in_flight_requests") == 0, "them to be let go")
    detector.free.set()
    assert ask(backend, INFER, image_document())[0] == 200
    assert detector.calls == 2, "computed for nobody"


def test_slow_and_silent_clients_are_let_go(
    detector: LampDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (http_service, grpc_service):
        monkeypatch.setattr(module, "RECEIVE_TIME", 0.3)
        monkeypatch.setattr(module, "MAX_CALLS", 4)
    backend = lamp_backend(detector, http_port=0)

    def connected(data: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", backend.http_port), timeout=LIMIT)
        connection.sendall(data)
        return connection

    silent = connected(b"")
    half_a_header = connected(b"GET /v2 HT")
    half_a_body = connected(
        f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{{".encode()
    )
    begun = time.monotonic()
    assert half_a_body.recv(1000).startswith(b"HTTP/1.1 408 ")
    assert silent.recv(1000) == b"" and half_a_header.recv(1000) == b""
    assert time.monotonic() - begun < LIMIT / 2

    held = [connected(b"") for _ in range(6)]
    assert any(c.recv(100).startswith(b"HTTP/1.1 503 ") for c in held[-2:]), "too many connections"
    for connection in (silent, half_a_header, half_a_body, *held):
        connection.close()

    with grpc.insecure_channel(f"127.0.0.1:{backend.port}") as channel:
        infer = channel.stream_unary("/inference.GRPCInferenceService/ModelInfer")
        never = threading.Event()
        call = infer.future(iter(never.wait, None))  # a request that begins and never comes
        assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "did not come in" in call.details()
        never.set()
    backend.stop()


def _gauge(backend: Backend, name: str) -> float:
    url = f"http://127.0.0.1:{backend.http_port}/metrics"
    with urllib.request.urlopen(url, timeout=LIMIT) as answer:
        lines = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines())
    return float(lines[f"edge_robot_backend_{name}"])


def test_alive_before_it_is_ready(detector: LampDetector) -> None:
    """While models load, both faces say that the server lives and is not ready."""
    loading, may_load = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("", 0)) as second:
        port, http_port = first.getsockname()[1], second.getsockname()[1]

    def load() -> Scheduler:
        loading.set()
        assert may_load.wait(LIMIT)
        raise UserError("the model is broken")

    failures: list[UserError] = []

    def start() -> None:
        try:
            Backend(load, port=port, http_port=http_port)
        except UserError as error:
            failures.append(error)

    starting = threading.Thread(target=start)
    starting.start()
    assert loading.wait(LIMIT)
    url = f"http://127.0.0.1:{http_port}/v2/health/"
    assert urllib.request.urlopen(url + "live", timeout=LIMIT).status == 200
    with pytest.raises(urllib.error.HTTPError, match="503"):
        urllib.request.urlopen(url + "ready", timeout=LIMIT)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = pb_grpc.GRPCInferenceServiceStub(channel)
        assert stub.ServerLive(pb.ServerLiveRequest(), timeout=LIMIT).live
        assert not stub.ServerReady(pb.ServerReadyRequest(), timeout=LIMIT).ready
        assert not stub.ModelReady(pb.ModelReadyRequest(name=MODEL), timeout=LIMIT).ready
        for call in (stub.ModelInfer, stub.ModelMetadata):
            request = pb.ModelInferRequest() if call is stub.ModelInfer else None
            with pytest.raises(grpc.RpcError) as raised:
                call(request or pb.ModelMetadataRequest(name=MODEL), timeout=LIMIT)
            assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
            assert "loading" in raised.value.details()
    may_load.set()
    starting.join()
    assert str(failures[0]) == "the model is broken"


def test_a_drain_finishes_what_is_here_and_refuses_the_rest(detector: LampDetector) -> None:
    backend = lamp_backend(detector, http_port=0)
    detector.free.clear()
    request = pb.ModelInferRequest(model_name=MODEL)
    add_arrays(request, {"image": lamp_image()})
    with grpc.insecure_channel(f"127.0.0.1:{backend.port}") as channel:
        stub = pb_grpc.GRPCInferenceServiceStub(channel)
        here = [stub.ModelInfer.future(request) for _ in range(1 + MAX_WAITING)]
        wait_for(lambda: _gauge(backend, "in_flight_requests") == len(here), "the requests")
        stopping = threading.Thread(target=backend.stop, args=(LIMIT,))
        stopping.start()
        wait_for(lambda: ask(backend, "/v2/health/ready")[0] == 503, "the drain to begin")
        assert not stub.ServerReady(pb.ServerReadyRequest()).ready
        assert ask(backend, "/v2/health/live")[0] == 200
        status, answer = ask(backend, INFER, image_document())
        assert status == 503 and "draining" in answer["error"]
        with pytest.raises(grpc.RpcError) as raised:
            stub.ModelInfer(request)
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        detector.free.set()
        for call in here:
            boxes = np.frombuffer(call.result().raw_output_contents[0], "<f4")
            assert boxes.tolist() == [96.0, 32.0, 160.0, 64.0]
        stopping.join()
        with pytest.raises(grpc.RpcError):
            stub.ServerLive(pb.ServerLiveRequest(), timeout=LIMIT)
