"""Between inference requests and images, and between detections and responses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as pb

from edge_robot.fleet import protocol
from edge_robot.fleet.backend.detector_model import check_size, decode_jpeg
from edge_robot.fleet.backend.models import InvalidRequestError
from edge_robot.perception.detections import Detections


def image_reader(request: Any) -> Callable[[], NDArray[np.uint8]]:
    """Check the inputs of a `ModelInferRequest`; return what yields the image.

    Decoding is left for later, so that a request may be refused or expire without its cost.

    Returns:
        A function that returns the (H, W, 3) uint8 BGR image, or raises `InvalidRequestError`.

    Raises:
        InvalidRequestError: the inputs are not one image in one of the two forms.
    """
    if len(request.inputs) != 1:
        names = " or ".join(f"{t.name!r} ({t.datatype})" for t in protocol.INPUTS)
        raise InvalidRequestError(f"{len(request.inputs)} inputs given; give one: {names}")
    given = request.inputs[0]
    tensor = next((t for t in protocol.INPUTS if t.name == given.name), None)
    if tensor is None:
        raise InvalidRequestError(f"input {given.name!r} is unknown")
    if given.datatype != tensor.datatype:
        raise InvalidRequestError(
            f"input {tensor.name!r} has type {given.datatype!r}; it must be {tensor.datatype}"
        )
    shape = tuple(given.shape)
    if not _fits(shape, tensor.shape):
        raise InvalidRequestError(
            f"input {tensor.name!r} has shape {list(shape)}; it must be {list(tensor.shape)}"
        )
    if len(request.raw_input_contents) > 1:
        raise InvalidRequestError(f"{len(request.raw_input_contents)} raw contents for one input")
    raw = request.raw_input_contents[0] if request.raw_input_contents else None
    if tensor is protocol.JPEG:
        jpeg = _one_item(raw, given.contents.bytes_contents)
        return lambda: decode_jpeg(jpeg)
    height, width = shape[:2]
    check_size(width, height)
    pixels = _pixels(raw, given.contents.uint_contents, height * width * 3)
    return lambda: pixels.reshape(height, width, 3)


def response(
    request: Any, detections: Detections, model: str, version: str, sha256: str, service_us: int
) -> Any:
    """Return the `ModelInferResponse` that carries detections.

    Raises:
        InvalidRequestError: the request names an output that does not exist.
    """
    contents = {
        protocol.BOXES: detections.boxes.astype("<f4").tobytes(),
        protocol.SCORES: detections.scores.astype("<f4").tobytes(),
        protocol.CLASS_IDS: detections.class_ids.astype("<i8").tobytes(),
        protocol.CLASS_NAMES: protocol.pack_bytes(n.encode() for n in detections.class_names),
    }
    count = {protocol.CLASS_NAMES: len(detections.class_names)}
    answer = pb.ModelInferResponse(model_name=model, model_version=version, id=request.id)
    answer.parameters[protocol.MODEL_SHA256].string_param = sha256
    answer.parameters[protocol.SERVICE_TIME].int64_param = service_us
    for tensor in wanted_outputs(request):
        shape = [count.get(tensor, len(detections)), *tensor.shape[1:]]
        answer.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=shape)
        answer.raw_output_contents.append(contents[tensor])
    return answer


def wanted_outputs(request: Any) -> list[protocol.Tensor]:
    """Return the outputs a request asks for: those it names, or all.

    Raises:
        InvalidRequestError: it names one that does not exist.
    """
    if not request.outputs:
        return list(protocol.OUTPUTS)
    known = {tensor.name: tensor for tensor in protocol.OUTPUTS}
    unknown = [output.name for output in request.outputs if output.name not in known]
    if unknown:
        raise InvalidRequestError(f"output {unknown[0]!r} is unknown; outputs: {', '.join(known)}")
    return [known[output.name] for output in request.outputs]


def _fits(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    return len(shape) == len(expected) and all(
        want in (-1, have) for have, want in zip(shape, expected, strict=True)
    )


def _one_item(raw: bytes | None, typed: Any) -> bytes:
    try:
        items = list(typed) if raw is None else protocol.unpack_bytes(raw)
    except ValueError as error:
        raise InvalidRequestError(f"input 'jpeg': {error}") from error
    if len(items) != 1:
        raise InvalidRequestError(f"input 'jpeg' holds {len(items)} items; it must hold 1")
    return bytes(items[0])


def _pixels(raw: bytes | None, typed: Any, size: int) -> NDArray[np.uint8]:
    values = np.frombuffer(raw, np.uint8) if raw is not None else np.array(typed, np.uint32)
    if len(values) != size:
        raise InvalidRequestError(f"input 'image' holds {len(values)} values, its shape {size}")
    if values.max() > 255:
        raise InvalidRequestError("input 'image' holds values above 255")
    return values.astype(np.uint8, copy=False)
