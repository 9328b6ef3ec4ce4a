"""The backend's gRPC face: the Open Inference Protocol, version 2, as Triton's clients speak it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from tritonclient.grpc import service_pb2 as pb

import edge_robot
from edge_robot.errors import UserError
from edge_robot.fleet.backend.access import Access, Caller, UnknownCallerError
from edge_robot.fleet.backend.model_config import config_of
from edge_robot.fleet.backend.models import InvalidRequestError
from edge_robot.fleet.backend.reception import (
    LAST_WORDS,
    MAX_CALLS,
    MAX_MESSAGE,
    RECEIVE_TIME,
    Reception,
    SlowRequestError,
    explain,
)
from edge_robot.fleet.backend.scheduler import RefusedError
from edge_robot.fleet.tensors import add_arrays, to_arrays

MAX_METADATA = 16 * 1024
"""Size of a call's headers, bytes."""

_MAX_COMING = 4 * MAX_CALLS
"""Inferences that may be coming in or be in the house at once."""
_SERVICE = "inference.GRPCInferenceService"
_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", MAX_METADATA),
    ("grpc.absolute_max_metadata_size", 2 * MAX_METADATA),
    # Otherwise a second backend shares the port, and each gets half of the robots.
    ("grpc.so_reuseport", 0),
    # Robots ask often whether the connection stands; those gone without a word are let go.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 100),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.max_connection_idle_ms", 300_000),
    ("grpc.server_handshake_timeout_ms", 10_000),
]


async def start(
    reception: Reception, access: Access, host: str, port: int
) -> tuple[Callable[[], Awaitable[None]], int]:
    """Listen for gRPC in the running event loop.

    Returns:
        What stops it, and the port in use.

    Raises:
        UserError: gRPC cannot listen there.
    """
    # Heartbeats are calls too: a house full of requests must not look like a lost link. So half of
    # all calls is left to those that are answered at once; `_inference` keeps to the other.
    server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=2 * _MAX_COMING)
    server.add_generic_rpc_handlers((_handlers(reception, access),))
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        if access.certificates is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, access.certificates.credentials())
    except RuntimeError as error:
        raise UserError(f"the fleet backend cannot listen on {address}: {error}") from error
    await server.start()

    async def stop() -> None:
        await server.stop(LAST_WORDS)

    return stop, port


def _handlers(reception: Reception, access: Access) -> grpc.GenericRpcHandler:
    service = _Service(reception)
    open_calls: dict[str, tuple[Any, Callable[[Any], Any]]] = {
        # Whether the server lives is told to anybody: probes and load balancers bear no tokens.
        "ServerLive": (pb.ServerLiveRequest, service.server_live),
        "ServerReady": (pb.ServerReadyRequest, service.server_ready),
    }
    calls: dict[str, tuple[Any, Callable[[Any], Any]]] = {
        "ModelReady": (pb.ModelReadyRequest, service.model_ready),
        "ServerMetadata": (pb.ServerMetadataRequest, service.server_metadata),
        "ModelMetadata": (pb.ModelMetadataRequest, service.model_metadata),
        "ModelConfig": (pb.ModelConfigRequest, service.model_config),
        "RepositoryIndex": (pb.RepositoryIndexRequest, service.repository_index),
    }
    methods = {}
    for name, (kind, answer) in (open_calls | calls).items():
        asks = access if name in calls else Access()
        methods[name] = grpc.unary_unary_rpc_method_handler(
            _short(kind, answer, asks, reception), response_serializer=_serialize
        )
    # To a client a unary call; read as a stream, so that a slow sender can be let go.
    methods["ModelInfer"] = grpc.stream_unary_rpc_method_handler(
        _inference(service, access, reception), response_serializer=_serialize
    )
    return grpc.method_handlers_generic_handler(_SERVICE, methods)


def _short(
    kind: Any, answer: Callable[[Any], Any], access: Access, reception: Reception
) -> Callable[[bytes, Any], Awaitable[Any]]:
    """Return the handler of a call that is answered at once."""

    async def handle(data: bytes, context: Any) -> Any:
        try:
            _caller(access, context, reception)
            return answer(_parse(kind, data))
        except Exception as error:
            return await _refuse(context, error)

    return handle


def _inference(
    service: _Service, access: Access, reception: Reception
) -> Callable[[Any, Any], Awaitable[Any]]:
    coming = 0

    async def handle(_: Any, context: Any) -> Any:
        nonlocal coming
        coming += 1
        try:
            if coming > _MAX_COMING:
                raise RefusedError(f"{_MAX_COMING} requests are coming in already")
            caller = _caller(access, context, reception)
            return await service.model_infer(caller, context)
        except Exception as error:
            return await _refuse(context, error)
        finally:
            coming -= 1

    return handle


def _caller(access: Access, context: Any, reception: Reception) -> Caller:
    values = [str(v) for key, v in context.invocation_metadata() or () if key == "authorization"]
    try:
        return access.caller(values[0] if len(values) == 1 else "")
    except UnknownCallerError:
        reception.metrics.denied.labels("grpc").inc()
        raise


def _parse(kind: Any, data: bytes) -> Any:
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise InvalidRequestError(f"these bytes are no {kind.DESCRIPTOR.name}") from error


async def _refuse(context: Any, error: Exception) -> Any:
    told = explain(error)
    await context.abort(told.grpc, told.reason)


def _serialize(message: Any) -> bytes:
    return message.SerializeToString()


class _Service:
    """Answers the calls of the protocol, messages in, messages out."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception

    def server_live(self, _: Any) -> Any:
        return pb.ServerLiveResponse(live=True)

    def server_ready(self, _: Any) -> Any:
        return pb.ServerReadyResponse(ready=self._reception.ready)

    def model_ready(self, request: Any) -> Any:
        ready = self._reception.ready and self._reception.serves(request.name, request.version)
        return pb.ModelReadyResponse(ready=ready)

    def server_metadata(self, _: Any) -> Any:
        return pb.ServerMetadataResponse(name="edge_robot", version=edge_robot.__version__)

    def model_metadata(self, request: Any) -> Any:
        model = self._reception.engine.find(request.name, request.version)
        answer = pb.ModelMetadataResponse(
            name=model.name,
            versions=self._reception.versions(model.name),
            platform=model.platform,
        )
        for spec in model.inputs:
            answer.inputs.add(name=spec.name, datatype=spec.datatype, shape=spec.shape)
        for spec in model.outputs:
            answer.outputs.add(name=spec.name, datatype=spec.datatype, shape=spec.shape)
        return answer

    def model_config(self, request: Any) -> Any:
        model = self._reception.engine.find(request.name, request.version)
        config = config_of(model.name, model.inputs, model.outputs)
        config.platform = model.platform
        return pb.ModelConfigResponse(config=config)

    def repository_index(self, _: Any) -> Any:
        answer = pb.RepositoryIndexResponse()
        for model in self._reception.engine.models:
            answer.models.add(name=model.name, version=model.version, state="READY")
        return answer

    async def model_infer(self, caller: Caller, context: Any) -> Any:
        """Receive an inference request, and answer it."""
        try:
            data = await asyncio.wait_for(context.read(), RECEIVE_TIME)
        except asyncio.TimeoutError:
            raise SlowRequestError(
                f"the request did not come in within {RECEIVE_TIME:.0f} s"
            ) from None
        if data is grpc.aio.EOF:
            raise InvalidRequestError("the call holds no request")
        with self._reception.visit("grpc", caller, len(data)) as visit:
            request = _parse(pb.ModelInferRequest, data)
            answer = await visit.infer(
                request.model_name,
                request.model_version,
                to_arrays(request),
                [output.name for output in request.outputs],
                _plain(request.parameters),
                context.time_remaining(),
            )
            response = pb.ModelInferResponse(
                model_name=answer.model.name, model_version=answer.model.version, id=request.id
            )
            for name, value in answer.parameters.items():
                kind = "string_param" if isinstance(value, str) else "int64_param"
                setattr(response.parameters[name], kind, value)
            add_arrays(response, answer.outputs)
            return response


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {name: value.WhichOneof("parameter_choice") for name, value in parameters.items()}
    return {name: getattr(parameters[name], kind) for name, kind in kinds.items() if kind}
