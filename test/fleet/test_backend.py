"""The backend, asked by unmodified Triton clients and by clients that mean no good."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import cv2
import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from lamp import MAX_WAITING, MODEL, LampDetector, lamp_backend, lamp_image, wait_for
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as pb_grpc
from tritonclient.utils import InferenceServerException

from edge_robot.errors import UserError
from edge_robot.fleet import protocol
from edge_robot.fleet.backend import detector_model, grpc_service
from edge_robot.fleet.backend.access import Caller
from edge_robot.fleet.backend.reception import MAX_CALLS, MAX_MESSAGE, Reception
from edge_robot.fleet.backend.scheduler import RefusedError
from edge_robot.fleet.backend.server import Backend

LAMP = [96.0, 32.0, 160.0, 64.0]


def jpeg_of(image: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1])


def jpeg_input(jpeg: bytes) -> triton.InferInput:
    given = triton.InferInput("jpeg", [1], "BYTES")
    given.set_data_from_numpy(np.array([jpeg], dtype=object))
    return given


@pytest.fixture
def client(backend: Backend) -> triton.InferenceServerClient:
    return triton.InferenceServerClient(f"127.0.0.1:{backend.port}")


@pytest.fixture
def stub(backend: Backend) -> pb_grpc.GRPCInferenceServiceStub:
    channel = grpc.insecure_channel(
        f"127.0.0.1:{backend.port}", options=[("grpc.max_send_message_length", -1)]
    )
    yield pb_grpc.GRPCInferenceServiceStub(channel)
    channel.close()


def test_health_and_metadata(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert not client.is_model_ready("another")
    assert client.get_server_metadata().name == "edge_robot"
    metadata = client.get_model_metadata(MODEL)
    assert [t.name for t in metadata.inputs] == ["jpeg", "image"]
    assert {t.name: (t.datatype, list(t.shape)) for t in metadata.outputs} == {
        "boxes": ("FP32", [-1, 4]),
        "scores": ("FP32", [-1]),
        "class_ids": ("INT64", [-1]),
        "class_names": ("BYTES", [-1]),
    }


def test_a_jpeg_file_is_answered(client: triton.InferenceServerClient) -> None:
    answer = client.infer(MODEL, [jpeg_input(jpeg_of(lamp_image()))], request_id="7")
    assert np.abs(answer.as_numpy("boxes") - [LAMP]).max() <= 8.0  # JPEG blurs within a block
    assert answer.as_numpy("scores").tolist() == [0.75]
    assert answer.as_numpy("class_ids").tolist() == [1]
    assert answer.as_numpy("class_names").tolist() == [b"nothing", b"lamp"]
    response = answer.get_response()
    assert (response.id, response.model_name, response.model_version) == ("7", MODEL, "1")
    assert response.parameters[protocol.MODEL_SHA256].string_param == LampDetector.sha256
    assert 0 < response.parameters[protocol.SERVICE_TIME].int64_param < 20e6


def test_raw_pixels_are_answered_exactly(client: triton.InferenceServerClient) -> None:
    image = lamp_image()
    given = triton.InferInput("image", list(image.shape), "UINT8")
    given.set_data_from_numpy(image)
    wanted = [triton.InferRequestedOutput("boxes")]
    answer = client.infer(MODEL, [given], outputs=wanted)
    assert answer.as_numpy("boxes").tolist() == [LAMP]
    assert answer.as_numpy("scores") is None


def test_typed_contents_are_answered(stub: pb_grpc.GRPCInferenceServiceStub) -> None:
    request = pb.ModelInferRequest(model_name=MODEL)
    given = request.inputs.add(name="jpeg", datatype="BYTES", shape=[1])
    given.contents.bytes_contents.append(jpeg_of(lamp_image()))
    assert len(stub.ModelInfer(request).outputs) == 4
    del request.inputs[:]
    image = lamp_image()
    given = request.inputs.add(name="image", datatype="UINT8", shape=image.shape)
    given.contents.uint_contents.extend(image.ravel().tolist())
    assert len(stub.ModelInfer(request).outputs) == 4


def test_nothing_seen_is_an_answer_with_no_rows(client: triton.InferenceServerClient) -> None:
    answer = client.infer(MODEL, [jpeg_input(jpeg_of(np.zeros((60, 80, 3), np.uint8)))])
    assert answer.as_numpy("boxes").shape == (0, 4)


def refused(code: str, call: object, *args: object, **kwargs: object) -> str:
    with pytest.raises(InferenceServerException) as raised:
        call(*args, **kwargs)  # type: ignore[operator]
    assert raised.value.status() == f"StatusCode.{code}", raised.value
    return str(raised.value.message())


def test_bad_requests_are_refused_with_a_reason(
    client: triton.InferenceServerClient, detector: LampDetector
) -> None:
    good = jpeg_input(jpeg_of(lamp_image()))
    assert "another" in refused("NOT_FOUND", client.infer, "another", [good])
    refused("NOT_FOUND", client.infer, MODEL, [good], model_version="2")
    refused("NOT_FOUND", client.get_model_metadata, "another")
    assert "0 inputs" in refused("INVALID_ARGUMENT", client.infer, MODEL, [])
    assert "given twice" in refused("INVALID_ARGUMENT", client.infer, MODEL, [good, good])

    def infer(given: triton.InferInput) -> str:
        return refused("INVALID_ARGUMENT", client.infer, MODEL, [given])

    jpeg = jpeg_of(lamp_image())
    assert "no JPEG" in infer(jpeg_input(b"GIF89a"))
    assert "no JPEG" in infer(jpeg_input(b""))
    assert "cut short" in infer(jpeg_input(jpeg[: len(jpeg) // 2]))
    assert "no frame header" in infer(jpeg_input(jpeg[:20] + b"\xff\xd9"))
    picture = triton.InferInput("picture", [1], "BYTES")
    picture.set_data_from_numpy(np.array([jpeg], dtype=object))
    assert "'picture' is unknown" in infer(picture)
    unknown_output = [triton.InferRequestedOutput("masks")]
    message = refused("INVALID_ARGUMENT", client.infer, MODEL, [good], outputs=unknown_output)
    assert "masks" in message
    for shape, datatype in (([120, 200], "UINT8"), ([120, 200, 4], "UINT8"), ([1, 1, 3], "INT8")):
        given = triton.InferInput("image", shape, datatype)
        given.set_data_from_numpy(np.zeros(shape, np.int8 if datatype == "INT8" else np.uint8))
        infer(given)
    refused("INVALID_ARGUMENT", client.infer, MODEL, [good], parameters={"min": 1}, timeout=-5)
    assert detector.calls == 0
    client.infer(MODEL, [good])


def test_a_tiny_file_that_claims_a_giant_image_is_refused(
    client: triton.InferenceServerClient,
) -> None:
    jpeg = bytearray(jpeg_of(lamp_image()))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    message = refused("INVALID_ARGUMENT", client.infer, MODEL, [jpeg_input(bytes(jpeg))])
    assert "65535×65535" in message


def test_a_giant_message_is_refused(stub: pb_grpc.GRPCInferenceServiceStub) -> None:
    request = pb.ModelInferRequest(model_name=MODEL)
    request.raw_input_contents.append(bytes(MAX_MESSAGE + 1))
    with pytest.raises(grpc.RpcError) as raised:
        stub.ModelInfer(request)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert stub.ServerLive(pb.ServerLiveRequest()).live


def test_expired_requests_are_dropped_before_they_are_computed(
    client: triton.InferenceServerClient, detector: LampDetector
) -> None:
    given = [jpeg_input(jpeg_of(lamp_image()))]
    assert "expired" in refused("DEADLINE_EXCEEDED", client.infer, MODEL, given, timeout=1)
    assert detector.calls == 0

    detector.free.clear()
    first = threading.Thread(target=client.infer, args=(MODEL, given))
    first.start()
    wait_for(lambda: detector.calls == 1, "the first request to be computed")
    refused("DEADLINE_EXCEEDED", client.infer, MODEL, given, client_timeout=0.2)
    detector.free.set()
    first.join()
    client.infer(MODEL, given)
    assert detector.calls == 2, "the request nobody waited for any more was computed"


def test_a_full_queue_refuses_and_heartbeats_go_on(
    client: triton.InferenceServerClient, detector: LampDetector
) -> None:
    given = [jpeg_input(jpeg_of(lamp_image()))]
    detector.free.clear()

    def ask() -> None:
        while True:  # the question below may have the last place for a moment
            try:
                client.infer(MODEL, given)
                return
            except InferenceServerException as error:
                assert "RESOURCE_EXHAUSTED" in str(error.status())

    threads = [threading.Thread(target=ask) for _ in range(MAX_WAITING + 1)]
    for thread in threads:
        thread.start()
    wait_for(lambda: detector.calls == 1, "the first request to be computed")

    # A request that still finds room waits for the detector: ask with a time-out of its own.
    def has_no_room() -> bool:
        with pytest.raises(InferenceServerException) as raised:
            client.infer(MODEL, given, client_timeout=0.2)
        return "RESOURCE_EXHAUSTED" in str(raised.value.status())

    wait_for(has_no_room, "a refusal")
    assert client.is_server_live()
    detector.free.set()
    for thread in threads:
        thread.join()
    client.infer(MODEL, given)


def test_a_house_full_of_requests_lets_no_more_in() -> None:
    reception = Reception()
    reception.closed = ""
    with contextlib.ExitStack() as house:
        for _ in range(MAX_CALLS):
            house.enter_context(reception.visit("grpc", Caller(), 1))
        with (
            pytest.raises(RefusedError, match="in the house already"),
            reception.visit("grpc", Caller(), 1),
        ):
            pass
    with reception.visit("grpc", Caller(), 1):
        pass


def test_requests_take_no_heartbeats_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_service, "_MAX_COMING", 16)
    backend = lamp_backend(LampDetector())

    async def crowd_the_door() -> None:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{backend.port}") as channel:
            # None sends what it wants to ask, so all stay at the door.
            ask = channel.stream_unary("/inference.GRPCInferenceService/ModelInfer")
            calls = [ask() for _ in range(60)]
            while len(refused := [call for call in calls if call.done()]) < 60 - 16:
                await asyncio.sleep(0.01)
            for call in refused:
                assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            live = pb_grpc.GRPCInferenceServiceStub(channel).ServerLive
            assert (await live(pb.ServerLiveRequest())).live

    try:
        asyncio.run(asyncio.wait_for(crowd_the_door(), 20.0))
    finally:
        backend.stop()


def test_a_taken_port_is_one_clear_line(backend: Backend) -> None:
    with pytest.raises(UserError, match=rf":{backend.port}.*already in use.*another port"):
        lamp_backend(LampDetector(), port=backend.port)


def test_decoded_pixels_match_opencv() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (33, 47, 3), dtype=np.uint8)
    jpeg = jpeg_of(image)
    assert detector_model.jpeg_size(jpeg) == (47, 33)
    assert np.array_equal(
        detector_model.decode_jpeg(jpeg),
        cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR),
    )
