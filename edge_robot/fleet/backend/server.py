"""A gRPC server for the Open Inference Protocol, version 2, with one detector behind it."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as pb_grpc

import edge_robot
from edge_robot.errors import UserError
from edge_robot.fleet import protocol
from edge_robot.fleet.backend.codec import image_reader, response, wanted_outputs
from edge_robot.fleet.backend.detector_model import ImageDetector
from edge_robot.fleet.backend.models import InvalidRequestError
from edge_robot.fleet.priority import yield_to_others
from edge_robot.perception.detections import Detections

MAX_MESSAGE = 8 * 1024 * 1024
MAX_WAITING = 4
MAX_CONCURRENT_CALLS = 64
# Waiting inference requests hold MAX_WAITING threads; the rest answers heartbeats meanwhile.
THREADS = MAX_WAITING + 4


class ExpiredError(Exception):
    """The request's time ran out before its computation began."""


class Backend:
    """The server.

    Args:
        model: Name the model is served under.
        load: Returns the detector. It is loaded and run in one thread of low priority, so that
            an answer in the making delays neither heartbeats nor a robot on the same machine;
            threads that the detector starts while it is loaded inherit the priority.
        host: Address to listen on.
        port: TCP port; 0 for any free one.

    Attributes:
        model: Name the model is served under.
        port: The port in use.

    Raises:
        UserError: the address is taken or not of this machine; or as `load` says.
    """

    def __init__(
        self,
        model: str,
        load: Callable[[], ImageDetector],
        host: str = "127.0.0.1",
        port: int = 8001,
    ) -> None:
        _check_address(host, port)
        self.model = model
        self._worker = ThreadPoolExecutor(
            1, thread_name_prefix="detector", initializer=yield_to_others
        )
        detector = self._worker.submit(load).result()
        self._server = grpc.server(
            ThreadPoolExecutor(THREADS, thread_name_prefix="backend"),
            maximum_concurrent_rpcs=MAX_CONCURRENT_CALLS,
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE),
                # Otherwise a second backend shares the port, and each gets half of the robots.
                ("grpc.so_reuseport", 0),
            ],
        )
        pb_grpc.add_GRPCInferenceServiceServicer_to_server(
            _Service(model, detector, self._worker), self._server
        )
        self.port: int = self._server.add_insecure_port(f"{host}:{port}")
        self._server.start()

    def stop(self) -> None:
        """Refuse new requests, let running ones finish for a moment, and stop."""
        self._server.stop(grace=0.5).wait()
        self._worker.shutdown(cancel_futures=True)


def _check_address(host: str, port: int) -> None:
    """Bind for a moment: gRPC would not say why it cannot, and writes to stderr by itself."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise UserError(
            f"the fleet backend cannot listen on {host}:{port}: {error.strerror}; "
            "stop the other process, or choose another port or an address of this machine"
        ) from error


class _Service(pb_grpc.GRPCInferenceServiceServicer):
    """Answers the calls of the protocol; the names are the protocol's."""

    def __init__(self, model: str, detector: ImageDetector, worker: ThreadPoolExecutor) -> None:
        self._model = model
        self._version = "1"
        self._detector = detector
        self._worker = worker
        self._room = threading.BoundedSemaphore(MAX_WAITING)

    def ServerLive(self, request: Any, context: Any) -> Any:
        return pb.ServerLiveResponse(live=True)

    def ServerReady(self, request: Any, context: Any) -> Any:
        return pb.ServerReadyResponse(ready=True)

    def ModelReady(self, request: Any, context: Any) -> Any:
        return pb.ModelReadyResponse(ready=self._serves(request.name, request.version))

    def ServerMetadata(self, request: Any, context: Any) -> Any:
        return pb.ServerMetadataResponse(name="edge_robot", version=edge_robot.__version__)

    def ModelMetadata(self, request: Any, context: Any) -> Any:
        self._require(request.name, request.version, context)
        answer = pb.ModelMetadataResponse(
            name=self._model, versions=[self._version], platform="onnxruntime_onnx"
        )
        for tensor in protocol.INPUTS:
            answer.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        for tensor in protocol.OUTPUTS:
            answer.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        return answer

    def ModelInfer(self, request: Any, context: Any) -> Any:
        arrived = time.monotonic()
        self._require(request.model_name, request.model_version, context)
        try:
            expires = arrived + min(_timeout(request), context.time_remaining() or math.inf)
            wanted_outputs(request)
            read_image = image_reader(request)
        except InvalidRequestError as error:
            _abort(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        if not self._room.acquire(blocking=False):
            _abort(
                context,
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"{MAX_WAITING} requests are waiting already",
            )

        def compute() -> Detections:
            late = time.monotonic() - expires
            if late >= 0.0:
                raise ExpiredError(f"expired {late * 1e3:.0f} ms before it could be computed")
            if not context.is_active():
                raise ExpiredError("cancelled before it could be computed")
            return self._detector.detect(read_image())

        try:
            detections = self._worker.submit(compute).result()
        except ExpiredError as error:
            _abort(context, grpc.StatusCode.DEADLINE_EXCEEDED, str(error))
        except InvalidRequestError as error:
            _abort(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        finally:
            self._room.release()
        service_us = round((time.monotonic() - arrived) * 1e6)
        return response(
            request, detections, self._model, self._version, self._detector.sha256, service_us
        )

    def _serves(self, name: str, version: str) -> bool:
        return name == self._model and version in ("", self._version)

    def _require(self, name: str, version: str, context: Any) -> None:
        if not self._serves(name, version):
            _abort(
                context,
                grpc.StatusCode.NOT_FOUND,
                f"model {name!r} version {version or 'any'} is not served here; "
                f"{self._model!r} version {self._version} is",
            )


def _timeout(request: Any) -> float:
    """Return the time a request allows for, s; infinite where it does not say."""
    if protocol.TIMEOUT not in request.parameters:
        return math.inf
    parameter = request.parameters[protocol.TIMEOUT]
    kind = parameter.WhichOneof("parameter_choice")
    if kind not in ("int64_param", "uint64_param"):
        raise InvalidRequestError("parameter 'timeout' must be a whole number of microseconds")
    timeout = getattr(parameter, kind)
    if timeout < 0:
        raise InvalidRequestError("parameter 'timeout' is negative")
    return timeout * 1e-6 if timeout else math.inf  # 0: no limit, as in Triton


def _abort(context: Any, code: grpc.StatusCode, reason: str) -> NoReturn:
    context.abort(code, reason)
    raise AssertionError("abort always raises")
