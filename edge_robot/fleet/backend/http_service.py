"""The backend's HTTP face: the Open Inference Protocol, version 2, and Prometheus' metrics.

Tensors are JSON, or follow it in binary (Triton's "binary tensor data" extension); bodies may be
compressed. What takes long to come in, or grows beyond a bound, is let go.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import logging
import math
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import numpy as np
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from numpy.typing import NDArray

import edge_robot
from edge_robot.fleet.backend.access import Access, Caller, Role, UnknownCallerError
from edge_robot.fleet.backend.metrics import CONTENT_TYPE
from edge_robot.fleet.backend.model_config import config_of, data_type_name
from edge_robot.fleet.backend.models import InvalidRequestError, ServedModel, TensorSpec
from edge_robot.fleet.backend.reception import (
    LAST_WORDS,
    MAX_CALLS,
    MAX_MESSAGE,
    RECEIVE_TIME,
    GoneError,
    Reception,
    SlowRequestError,
    TooLargeError,
    UnavailableError,
    explain,
)
from edge_robot.fleet.tensors import (
    MAX_RANK,
    MAX_TENSORS,
    TensorError,
    datatype_of,
    from_list,
    from_raw,
    shown,
    to_raw,
)

MAX_JSON = 2 * 1024 * 1024
"""Size of a request's JSON, bytes: to read it takes the event loop from everybody else."""
MAX_DEPTH = 500
"""Nesting of a request's JSON: to read it must leave the interpreter's stack to others."""
IDLE_TIME = 75.0
"""Time a connection may stay open between requests, s."""
HEADER_LENGTH = "Inference-Header-Content-Length"
EXTENSIONS = ("binary_tensor_data", "model_configuration", "model_repository")

_log = logging.getLogger(__name__)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_to_json = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


async def start(
    reception: Reception, access: Access, host: str, port: int
) -> tuple[Callable[[], Awaitable[None]], int]:
    """Listen for HTTP in the running event loop.

    Returns:
        What stops it, and the port in use.

    Raises:
        OSError: it cannot listen there.
        UserError: a TLS file cannot be used.
    """
    connections = _Connections()
    app = _application(_Service(reception), access, reception, connections)
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=_logger(reception),
        handler_cancellation=True,  # who hangs up is not worked for any longer
        auto_decompress=False,  # done here, within bounds
        shutdown_timeout=LAST_WORDS,
        lingering_time=1.0,
    )
    await runner.setup()
    tls = access.certificates
    server = await asyncio.get_running_loop().create_server(
        lambda: connections.made(runner.server),
        host,
        port,
        ssl=tls.context() if tls else None,
        ssl_handshake_timeout=RECEIVE_TIME if tls else None,
    )
    watch = asyncio.create_task(connections.watch())

    async def stop() -> None:
        watch.cancel()
        server.close()
        await runner.cleanup()

    return stop, int(server.sockets[0].getsockname()[1])


def _application(
    service: _Service, access: Access, reception: Reception, connections: _Connections
) -> web.Application:
    @web.middleware
    async def guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
        connections.busy(request.protocol)
        try:
            return await handler(request)
        except web.HTTPException as error:
            return _error(error.status, f"{error.reason}: {request.method} {shown(request.path)}")
        except Exception as error:
            if isinstance(error, UnknownCallerError):
                reception.metrics.denied.labels("http").inc()
            told = explain(error)
            return _error(told.http, told.reason)
        finally:
            connections.idle(request.protocol)

    def known(answer: Callable[[web.Request, Caller], Awaitable[web.Response]]) -> _Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await answer(request, access.caller(request.headers.get("Authorization", "")))

        return handle

    app = web.Application(middlewares=[guard], client_max_size=MAX_MESSAGE)
    # Whether the server lives is told to anybody: probes and load balancers bear no tokens.
    app.router.add_get("/v2/health/live", service.server_live)
    app.router.add_get("/v2/health/ready", service.server_ready)
    app.router.add_get("/v2", known(service.server_metadata))
    for path in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        app.router.add_get(path, known(service.model_metadata))
        app.router.add_get(path + "/ready", known(service.model_ready))
        app.router.add_get(path + "/config", known(service.model_config))
        app.router.add_post(path + "/infer", known(service.infer))
    app.router.add_post("/v2/repository/index", known(service.repository_index))
    app.router.add_get("/metrics", known(service.metrics))
    return app


class _Malformed(logging.Handler):
    """Counts what is no HTTP, which aiohttp tells its log and nobody else, a page for each."""

    def __init__(self, reception: Reception) -> None:
        super().__init__()
        self._reception = reception

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
            self._reception.metrics.requests.labels("unknown", "", "http", "invalid").inc()
        else:
            _log.handle(record)


def _logger(reception: Reception) -> logging.Logger:
    logger = logging.Logger("aiohttp")
    logger.addHandler(_Malformed(reception))
    return logger


class _Connections:
    """Bounds connections, in number and in the time they stay open without a request."""

    def __init__(self) -> None:
        self._closed_at: dict[Any, float] = {}

    def made(self, server: Any) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        if len(self._closed_at) >= MAX_CALLS:
            return _Full()
        protocol = server()
        self._closed_at[protocol] = time.monotonic() + RECEIVE_TIME
        return protocol

    def busy(self, protocol: Any) -> None:
        """Note that a request has come."""
        self._closed_at[protocol] = math.inf

    def idle(self, protocol: Any) -> None:
        """Note that a request has been handled; its answer is yet to be sent."""
        self._closed_at[protocol] = time.monotonic() + IDLE_TIME

    async def watch(self) -> None:
        """Close what has been open without a request for too long."""
        while True:
            await asyncio.sleep(0.5)
            now = time.monotonic()
            for protocol, end in tuple(self._closed_at.items()):
                if now > end:
                    protocol.force_close()
                if protocol.transport is None:
                    del self._closed_at[protocol]


class _Full(asyncio.Protocol):
    """A connection beyond the number that is served."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n")
        transport.close()


class _Service:
    """Answers the paths of the protocol."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception

    async def server_live(self, _: web.Request) -> web.Response:
        return web.Response()

    async def server_ready(self, _: web.Request) -> web.Response:
        self._require_open()
        return web.Response()

    async def server_metadata(self, _: web.Request, __: Caller) -> web.Response:
        return _answer(
            {"name": "edge_robot", "version": edge_robot.__version__, "extensions": EXTENSIONS}
        )

    async def metrics(self, _: web.Request, caller: Caller) -> web.Response:
        caller.require(Role.MONITOR)
        text = self._reception.metrics.text()
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})

    async def model_ready(self, request: web.Request, _: Caller) -> web.Response:
        self._model(request)
        self._require_open()
        return web.Response()

    async def model_metadata(self, request: web.Request, _: Caller) -> web.Response:
        model = self._model(request)
        return _answer(
            {
                "name": model.name,
                "versions": self._reception.versions(model.name),
                "platform": model.platform,
                "inputs": [_spec(spec) for spec in model.inputs],
                "outputs": [_spec(spec) for spec in model.outputs],
            }
        )

    async def model_config(self, request: web.Request, _: Caller) -> web.Response:
        model = self._model(request)
        config = config_of(model.name, model.inputs, model.outputs)
        return _answer(
            {
                "name": config.name,
                "platform": model.platform,
                "max_batch_size": config.max_batch_size,
                "input": [_config(entry) for entry in config.input],
                "output": [_config(entry) for entry in config.output],
            }
        )

    async def repository_index(self, _: web.Request, __: Caller) -> web.Response:
        return _answer(
            [
                {"name": model.name, "version": model.version, "state": "READY", "reason": ""}
                for model in self._reception.engine.models
            ]
        )

    async def infer(self, request: web.Request, caller: Caller) -> web.Response:
        encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
        size = request.content_length
        if size is None or encoding != "identity":
            size = MAX_MESSAGE
        with self._reception.visit("http", caller, size) as visit:
            body = await _received(request)
            visit.size = len(body)
            if encoding != "identity":
                body = await asyncio.to_thread(_inflated, body, encoding)
            document, binary = _split(body, request.headers.get(HEADER_LENGTH))
            parameters = _get(document, "parameters", dict, {})
            identity = _get(document, "id", str, "")
            in_binary = _get(parameters, "binary_data_output", bool, False)
            wanted = _wanted(document, in_binary)
            answer = await visit.infer(
                request.match_info["model"],
                request.match_info.get("version", ""),
                _inputs(document, binary),
                list(wanted),
                parameters,
            )
            head: dict[str, Any] = {
                "id": identity,
                "model_name": answer.model.name,
                "model_version": answer.model.version,
                "parameters": answer.parameters,
                "outputs": [],
            }
            tail: list[bytes] = []
            for name, array in answer.outputs.items():
                told: dict[str, Any] = {
                    "name": name,
                    "datatype": datatype_of(array),
                    "shape": array.shape,
                }
                if wanted.get(name, in_binary):
                    tail.append(to_raw(array))
                    told["parameters"] = {"binary_data_size": len(tail[-1])}
                else:
                    told["data"] = _listed(name, array)
                head["outputs"].append(told)
        return await _compressed(request, _to_json(head).encode(), tail)

    def _model(self, request: web.Request) -> ServedModel:
        info = request.match_info
        return self._reception.engine.find(info["model"], info.get("version", ""))

    def _require_open(self) -> None:
        if self._reception.closed:
            raise UnavailableError(self._reception.closed)


async def _received(request: web.Request) -> bytes:
    """Return the body as it came."""
    too_large = f"the request is larger than {MAX_MESSAGE} bytes"
    if (request.content_length or 0) > MAX_MESSAGE:
        raise TooLargeError(too_large)
    try:
        return await asyncio.wait_for(request.read(), RECEIVE_TIME)
    except web.HTTPRequestEntityTooLarge:
        raise TooLargeError(too_large) from None
    except web.RequestPayloadError as error:
        raise InvalidRequestError(f"the body is malformed: {error}") from error
    except ConnectionError as error:
        raise GoneError("the connection ended within the body") from error
    except asyncio.TimeoutError:
        raise SlowRequestError(f"the body did not come in within {RECEIVE_TIME:.0f} s") from None


def _inflated(data: bytes, encoding: str) -> bytes:
    """Return what a compressed body holds, within bounds."""
    formats = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
    if encoding not in formats:
        raise InvalidRequestError(
            f"Content-Encoding {shown(encoding)} is unknown; {', '.join(formats)} are taken"
        )
    stream = zlib.decompressobj(formats[encoding])
    try:
        plain = stream.decompress(data, MAX_MESSAGE + 1)
    except zlib.error as error:
        raise InvalidRequestError(f"the body is no {encoding}: {error}") from error
    if len(plain) > MAX_MESSAGE:
        raise TooLargeError(f"the request inflates to more than {MAX_MESSAGE} bytes")
    if not stream.eof or stream.unused_data:
        raise InvalidRequestError(f"the body is not one whole {encoding} stream")
    return plain


def _split(body: bytes, header_length: str | None) -> tuple[dict[str, Any], memoryview]:
    """Return a body's JSON document and the binary data behind it."""
    length = len(body)
    if header_length is not None:
        if not (header_length.isascii() and header_length.isdigit()) or len(header_length) > 9:
            raise InvalidRequestError(f"header {HEADER_LENGTH} is no whole number")
        length = int(header_length)
        if length > len(body):
            raise InvalidRequestError(
                f"header {HEADER_LENGTH} says {length} bytes; the body has {len(body)}"
            )
    if length > MAX_JSON:
        raise TooLargeError(
            f"the request has {length} bytes of JSON; at most {MAX_JSON} are taken: "
            "send tensors as binary data"
        )
    _check_depth(body[:length])
    try:
        document = json.loads(body[:length])
    except ValueError as error:
        raise InvalidRequestError(f"the request is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidRequestError("the request is no JSON object")
    return document, memoryview(body)[length:]


def _check_depth(text: bytes) -> None:
    """Refuse what is nested too deeply; brackets within strings count as well."""
    characters = np.frombuffer(text, np.uint8)
    opening = (characters == ord("[")) | (characters == ord("{"))
    closing = (characters == ord("]")) | (characters == ord("}"))
    depth = np.cumsum(opening.astype(np.int8) - closing.astype(np.int8), dtype=np.int32)
    if depth.max(initial=0) > MAX_DEPTH:
        raise InvalidRequestError(f"the request's JSON is nested more than {MAX_DEPTH} deep")


def _get(container: Mapping[str, Any], name: str, kind: type, default: Any) -> Any:
    """Return a member of a JSON object, of the kind it must have."""
    value = container.get(name, default)
    if type(value) is not kind:
        kinds = {str: "text", list: "an array", dict: "an object", bool: "true or false"}
        raise InvalidRequestError(f"member {name!r} is missing or not {kinds[kind]}")
    return value


def _inputs(document: Mapping[str, Any], binary: memoryview) -> dict[str, NDArray[Any]]:
    tensors = _get(document, "inputs", list, None)
    if len(tensors) > MAX_TENSORS:
        raise TensorError(f"{len(tensors)} inputs given; at most {MAX_TENSORS} are taken")
    arrays: dict[str, NDArray[Any]] = {}
    for tensor in tensors:
        if not isinstance(tensor, dict):
            raise InvalidRequestError("an input is no JSON object")
        name = _get(tensor, "name", str, None)
        what = f"input {shown(name)}"
        if name in arrays:
            raise TensorError(f"{what} is given twice")
        datatype = _get(tensor, "datatype", str, None)
        shape = _get(tensor, "shape", list, None)
        if any(type(size) is not int for size in shape):
            raise TensorError(f"the shape of {what} holds what is no whole number")
        parameters = _get(tensor, "parameters", dict, {})
        if "shared_memory_region" in parameters:
            raise TensorError(f"{what} is in shared memory, which is not offered here: send it")
        size = parameters.get("binary_data_size")
        if size is None:
            values = _flat(what, datatype, _get(tensor, "data", list, None))
            arrays[name] = from_list(what, datatype, shape, values)
            continue
        if type(size) is not int or not 0 <= size <= len(binary):
            raise TensorError(
                f"binary_data_size of {what} is {shown(str(size))}; {len(binary)} bytes are left"
            )
        arrays[name] = from_raw(what, datatype, shape, binary[:size])
        binary = binary[size:]
    if binary:
        raise InvalidRequestError(f"{len(binary)} bytes of binary data belong to no input")
    return arrays


def _flat(what: str, datatype: str, values: list[Any]) -> list[Any]:
    """Return the values of nested arrays, row-major."""
    for _ in range(MAX_RANK):
        if not (values and isinstance(values[0], list)):
            break
        if not all(isinstance(value, list) for value in values):
            raise TensorError(f"{what} holds values and arrays side by side")
        values = list(itertools.chain.from_iterable(values))
    if datatype != "BYTES":
        return values
    if not all(isinstance(value, str) for value in values):
        raise TensorError(f"{what} is BYTES and holds what is no text; send it as binary data")
    try:
        return [value.encode() for value in values]
    except UnicodeEncodeError as error:
        raise TensorError(f"{what} holds text that is no Unicode") from error


def _wanted(document: Mapping[str, Any], in_binary: bool) -> dict[str, bool]:
    """Return the outputs that are asked for, and whether in binary.

    Args:
        document: The request.
        in_binary: Whether those are that do not say.
    """
    wanted: dict[str, bool] = {}
    for output in _get(document, "outputs", list, []):
        if not isinstance(output, dict):
            raise InvalidRequestError("an output is no JSON object")
        parameters = _get(output, "parameters", dict, {})
        if parameters.get("classification"):
            raise InvalidRequestError("classification of outputs is not offered here")
        name = _get(output, "name", str, None)
        wanted[name] = _get(parameters, "binary_data", bool, in_binary)
    return wanted


def _listed(name: str, array: NDArray[Any]) -> list[Any]:
    """Return an output's values as JSON can hold them."""
    values = array.ravel().tolist()
    if array.dtype == np.object_:
        try:
            return [value.decode() for value in values]
        except UnicodeDecodeError:
            raise InvalidRequestError(
                f"output {name!r} is not text, so JSON cannot hold it: ask for binary data"
            ) from None
    if array.dtype.kind not in "biu" and not np.isfinite(array.astype(np.float64)).all():
        raise InvalidRequestError(
            f"output {name!r} is not finite, so JSON cannot hold it: ask for binary data"
        )
    return values


async def _compressed(request: web.Request, head: bytes, tail: Sequence[bytes]) -> web.Response:
    """Return the answer to an inference request, compressed if that is asked for."""
    headers = {"Content-Type": "application/json"}
    if tail:
        headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(head))}
    body = b"".join((head, *tail))
    wishes = request.headers.get("Accept-Encoding", "").lower().replace(" ", "").split(",")
    for encoding, compress in (("gzip", gzip.compress), ("deflate", zlib.compress)):
        if any(wish in (encoding, f"{encoding};q=1") for wish in wishes):
            headers["Content-Encoding"] = encoding
            body = await asyncio.to_thread(compress, body, 1)
            break
    return web.Response(body=body, headers=headers)


def _answer(document: Any) -> web.Response:
    return web.Response(text=_to_json(document), content_type="application/json")


def _error(status: int, reason: str) -> web.Response:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return web.json_response({"error": reason}, status=status, headers=headers)


def _spec(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape}


def _config(entry: Any) -> dict[str, Any]:
    kind = data_type_name(entry.data_type)
    return {"name": entry.name, "data_type": kind, "dims": list(entry.dims)}
