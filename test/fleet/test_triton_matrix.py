"""Unmodified Triton clients, gRPC and HTTP: every datatype, every encoding, every refusal."""

from __future__ import annotations

import queue
import re
import threading
import types
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from lamp import wait_for
from onnx import TensorProto, helper
from tritonclient.utils import InferenceServerException

from edge_robot.fleet.backend import repository
from edge_robot.fleet.backend.models import TensorSpec
from edge_robot.fleet.backend.scheduler import Limits, Scheduler
from edge_robot.fleet.backend.server import Backend

ONNX_TYPES = {
    "BOOL": TensorProto.BOOL,
    **{f"INT{n}": getattr(TensorProto, f"INT{n}") for n in (8, 16, 32, 64)},
    **{f"UINT{n}": getattr(TensorProto, f"UINT{n}") for n in (8, 16, 32, 64)},
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}
NUMPY_TYPES = {"BOOL": np.bool_, "FP16": np.float16, "FP32": np.float32, "FP64": np.float64}
FACES = {"grpc": triton_grpc, "http": triton_http}


class Gate:
    """A model that answers once it may; `free` lets it."""

    name, version, sha256, platform, max_batch = "gate", "1", "00", "python", 1
    inputs = outputs = (TensorSpec("x", "FP32", (1,)),)

    def __init__(self) -> None:
        self.free = threading.Event()
        self.begun = 0

    def read(self, inputs: Any) -> Any:
        return inputs

    def prepare(self, item: Any) -> Any:
        return item

    def compute(self, items: Any) -> Any:
        self.begun += 1
        assert self.free.wait(30.0)
        if np.isnan(items[0]["x"]).any():
            raise RuntimeError("the secret of the house")
        return items


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate()


@pytest.fixture(scope="module")
def server(gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A model for each datatype that answers its input, two versions of one, and a gate."""
    folder = tmp_path_factory.mktemp("repository")
    for datatype, kind in ONNX_TYPES.items():
        given = helper.make_tensor_value_info("x", kind, ["rows", "columns"])
        answer = helper.make_tensor_value_info("y", kind, ["rows", "columns"])
        graph = helper.make_graph(
            [helper.make_node("Identity", ["x"], ["y"])], "same", [given], [answer]
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        for version in ("1", "2") if datatype == "INT32" else ("1",):
            path = folder / datatype / version / "model.onnx"
            path.parent.mkdir(parents=True)
            onnx.save(model, str(path))
    (folder / "INT32" / "config.pbtxt").write_text("version_policy { all {} }\n")

    def load() -> Scheduler:
        models = repository.load(folder, copies=1).models
        return Scheduler([*models, gate], workers=1, limits=Limits(waiting=1))

    backend = Backend(load, port=0, http_port=0)
    yield backend
    gate.free.set()
    backend.stop()


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> types.ModuleType:
    return FACES[request.param]


@pytest.fixture
def client(face: types.ModuleType, server: Backend) -> Iterator[Any]:
    port = server.port if face is triton_grpc else server.http_port
    with face.InferenceServerClient(f"127.0.0.1:{port}") as client:
        yield client


def values(datatype: str) -> np.ndarray:
    """(2, 3), the datatype's extremes among them; of BYTES, what is text."""
    if datatype == "BYTES":
        items = [b"", "Tür".encode(), b"a" * 300, b" ", b"\n\0", b"5"]
        return np.array(items, object).reshape(2, 3)
    dtype = np.dtype(NUMPY_TYPES.get(datatype, datatype.lower()))
    if dtype.kind == "b":
        return np.array([[0, 1, 0], [1, 1, 0]], dtype)
    limits = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    return np.array([[limits.min, limits.max, 0], [1, 2, 3]], dtype)


def as_sent(array: np.ndarray, answer: np.ndarray) -> bool:
    if array.dtype == object:  # JSON has text where gRPC has bytes
        texts = [item.encode() if isinstance(item, str) else item for item in answer.ravel()]
        return texts == array.ravel().tolist() and answer.shape == array.shape
    return answer.dtype == array.dtype and np.array_equal(answer, array)


@pytest.mark.parametrize("datatype", ONNX_TYPES)
def test_every_datatype_over_grpc(server: Backend, datatype: str) -> None:
    array = values(datatype)
    given = triton_grpc.InferInput("x", [2, 3], datatype)
    given.set_data_from_numpy(array)
    with triton_grpc.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        for compression in (None, "gzip", "deflate"):
            answer = client.infer(datatype, [given], compression_algorithm=compression)
            assert as_sent(array, answer.as_numpy("y"))


@pytest.mark.parametrize("datatype", ONNX_TYPES)
def test_every_datatype_over_http(server: Backend, datatype: str) -> None:
    array = values(datatype)
    with triton_http.InferenceServerClient(f"127.0.0.1:{server.http_port}") as client:
        for binary in (True, False):
            given = triton_http.InferInput("x", [2, 3], datatype)
            given.set_data_from_numpy(array, binary_data=binary)
            for compression in (None, "gzip", "deflate"):
                for outputs in (
                    None,
                    [triton_http.InferRequestedOutput("y", binary_data=True)],
                    [triton_http.InferRequestedOutput("y", binary_data=False)],
                ):
                    answer = client.infer(
                        datatype,
                        [given],
                        outputs=outputs,
                        request_compression_algorithm=compression,
                        response_compression_algorithm=compression,
                    )
                    assert as_sent(array, answer.as_numpy("y")), (binary, compression, outputs)


def test_what_is_told_of_server_and_models(client: Any, face: types.ModuleType) -> None:
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("INT32") and client.is_model_ready("INT32", "1")
    assert not client.is_model_ready("INT32", "3") and not client.is_model_ready("no")
    told = {"as_json": True} if face is triton_grpc else {}
    metadata = client.get_model_metadata("INT32", **told)
    assert metadata["versions"] == ["1", "2"]
    (tensor,) = metadata["inputs"]
    assert (tensor["name"], tensor["datatype"]) == ("x", "INT32")
    assert [int(size) for size in tensor["shape"]] == [-1, -1]
    config = client.get_model_config("BYTES", **told)
    config = config.get("config", config)
    assert config["output"][0]["data_type"] == "TYPE_STRING"
    index = client.get_model_repository_index(**told)
    models = index if isinstance(index, list) else index["models"]
    assert {(m["name"], m["version"]) for m in models} >= {("INT32", "1"), ("INT32", "2")}


def test_the_latest_version_answers_unless_another_is_asked_for(
    client: Any, face: types.ModuleType
) -> None:
    given = [an_input(face, "INT32", values("INT32"))]
    for asked, answers in (("", "2"), ("1", "1")):
        answer = client.infer("INT32", given, model_version=asked, request_id="7").get_response()
        told = answer if isinstance(answer, dict) else _plain(answer)
        assert told["model_version"] == answers
        assert told["id"] == "7"
        assert len(told["parameters"]["model_sha256"]) == 64
        assert 0 <= told["parameters"]["queue_us"] <= told["parameters"]["service_us"]


def _plain(response: Any) -> dict[str, Any]:
    values = {}
    for name, value in response.parameters.items():
        values[name] = getattr(value, value.WhichOneof("parameter_choice"))
    return {
        "id": response.id,
        "model_version": response.model_version,
        "parameters": values,
    }


def an_input(face: types.ModuleType, datatype: str, array: np.ndarray, name: str = "x") -> Any:
    given = face.InferInput(name, list(array.shape), datatype)
    given.set_data_from_numpy(array)
    return given


ONE = np.ones((1, 1), np.int32)
REFUSED: dict[str, tuple[tuple[str, int], str, Callable[[Any, Any], Any]]] = {
    "no such model": (
        ("NOT_FOUND", 404),
        "'no' version any is not served",
        lambda face, client: client.infer("no", [an_input(face, "INT32", ONE)]),
    ),
    "no such version": (
        ("NOT_FOUND", 404),
        "version 3 is not served",
        lambda face, client: client.infer(
            "INT32", [an_input(face, "INT32", ONE)], model_version="3"
        ),
    ),
    "another datatype": (
        ("INVALID_ARGUMENT", 400),
        "type 'FP32'; it must be INT32",
        lambda face, client: client.infer(
            "INT32", [an_input(face, "FP32", ONE.astype(np.float32))]
        ),
    ),
    "another rank": (
        ("INVALID_ARGUMENT", 400),
        r"has shape \[1\]",
        lambda face, client: client.infer("INT32", [an_input(face, "INT32", ONE[0])]),
    ),
    "unknown input": (
        ("INVALID_ARGUMENT", 400),
        "'z' is unknown",
        lambda face, client: client.infer("INT32", [an_input(face, "INT32", ONE, "z")]),
    ),
    "unknown output": (
        ("INVALID_ARGUMENT", 400),
        "output 'z' is unknown; outputs: y",
        lambda face, client: client.infer(
            "INT32",
            [an_input(face, "INT32", ONE)],
            outputs=[face.InferRequestedOutput("z")],
        ),
    ),
    "negative time-out": (
        ("INVALID_ARGUMENT", 400),
        "'timeout' is negative",
        lambda face, client: client.infer("INT32", [an_input(face, "INT32", ONE)], timeout=-1),
    ),
    "strange robot": (
        ("INVALID_ARGUMENT", 400),
        "parameter 'robot'",
        lambda face, client: client.infer(
            "INT32", [an_input(face, "INT32", ONE)], parameters={"robot": "a" * 100}
        ),
    ),
    "metadata of no model": (
        ("NOT_FOUND", 404),
        "not served",
        lambda face, client: client.get_model_metadata("no"),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_every_refusal_says_why(face: types.ModuleType, client: Any, case: str) -> None:
    (code, status), reason, call = REFUSED[case]
    with pytest.raises(InferenceServerException, match=reason) as raised:
        call(face, client)
    expected = f"StatusCode.{code}" if face is triton_grpc else str(status)
    assert raised.value.status() == expected


def test_late_full_and_failing(
    server: Backend, face: types.ModuleType, client: Any, gate: Gate
) -> None:
    def infer(value: float = 0.0, **more: Any) -> Any:
        return client.infer("gate", [an_input(face, "FP32", np.array([value], "f4"))], **more)

    def refused(code: str, status: int, *args: Any, **more: Any) -> str:
        with pytest.raises(InferenceServerException) as raised:
            infer(*args, **more)
        assert raised.value.status() == (
            f"StatusCode.{code}" if face is triton_grpc else str(status)
        )
        return str(raised.value.message())

    gate.free.set()
    reason = refused("INTERNAL", 500, np.nan)
    assert "RuntimeError" in reason and "secret" not in reason

    gate.free.clear()
    begun = gate.begun
    with triton_grpc.InferenceServerClient(f"127.0.0.1:{server.port}") as other:
        given = [an_input(triton_grpc, "FP32", np.zeros(1, "f4"))]
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        other.async_infer("gate", given, lambda result, error: answers.put(error))
        wait_for(lambda: gate.begun > begun, "the first request to be computed")
        assert "expired" in refused("DEADLINE_EXCEEDED", 504, timeout=30_000)
        waits = other.async_infer("gate", given, lambda result, error: answers.put(error))
        wait_for(lambda: _queued(server) == 1, "the second request to wait")
        assert "are waiting for model 'gate'" in refused("RESOURCE_EXHAUSTED", 429)
        assert gate.begun == begun + 1, "what had expired was computed"
        waits.cancel()
        wait_for(lambda: _queued(server) == 0, "the cancelled request to leave")
        gate.free.set()
        wait_for(lambda: answers.qsize() == 2, "both answers")
    assert gate.begun == begun + 1, "what was cancelled was computed"
    assert infer().as_numpy("x").tolist() == [0.0]


def _queued(server: Backend) -> int:
    url = f"http://127.0.0.1:{server.http_port}/metrics"
    with urllib.request.urlopen(url, timeout=10.0) as answer:
        found = re.search(r"^edge_robot_backend_queue_requests (\d+)", answer.read().decode(), re.M)
    assert found
    return int(found[1])
