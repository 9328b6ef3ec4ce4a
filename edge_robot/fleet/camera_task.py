"""The work the camera offers to the fleet: one image out, detections back."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as pb

from edge_robot.fleet import protocol
from edge_robot.fleet.work import InvalidAnswerError
from edge_robot.perception.detections import Detections

_DTYPES = {"FP32": "<f4", "INT64": "<i8"}


def encode_image(image: NDArray[np.uint8], model: str, quality: int) -> Any:
    """Return the `ModelInferRequest` that asks a model for the detections of an image.

    Args:
        image: (H, W, 3) uint8, BGR.
        model: Name the backend serves the model under.
        quality: Of the JPEG file sent, 1..100.
    """
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    request = pb.ModelInferRequest(model_name=model)
    tensor = protocol.JPEG
    request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
    request.raw_input_contents.append(protocol.pack_bytes([jpeg.tobytes()]))
    return request


def decode_detections(response: Any, min_score: float) -> Detections:
    """Return the detections a `ModelInferResponse` carries, down to a score.

    Raises:
        InvalidAnswerError: tensors are missing, of another type or shape, or hold values that no
            detection can have.
    """
    tensors = _tensors(response)
    names = tuple(_text(item) for item in _items(tensors))
    boxes = _array(tensors, protocol.BOXES)
    scores = _array(tensors, protocol.SCORES)
    class_ids = _array(tensors, protocol.CLASS_IDS)
    if not len(boxes) == len(scores) == len(class_ids):
        raise InvalidAnswerError(
            f"{len(boxes)} boxes, {len(scores)} scores and {len(class_ids)} classes"
        )
    if not np.isfinite(boxes).all() or np.any(boxes[:, 2:] <= boxes[:, :2]):
        raise InvalidAnswerError("a box is not finite, or has no area")
    if not np.all((scores >= 0.0) & (scores <= 1.0)):  # NaN included
        raise InvalidAnswerError("a score is not in 0..1")
    if np.any((class_ids < 0) | (class_ids >= len(names))):
        raise InvalidAnswerError(f"a class is not in 0..{len(names) - 1}")
    kept = scores >= min_score
    return Detections(boxes[kept], scores[kept], class_ids[kept], names)


def _tensors(response: Any) -> dict[str, tuple[Any, bytes]]:
    if len(response.outputs) != len(response.raw_output_contents):
        raise InvalidAnswerError(
            f"{len(response.outputs)} outputs, {len(response.raw_output_contents)} raw contents"
        )
    contents = zip(response.outputs, response.raw_output_contents, strict=True)
    tensors = {output.name: (output, raw) for output, raw in contents}
    if len(tensors) != len(response.outputs):
        raise InvalidAnswerError("an output is given twice")
    return tensors


def _find(tensors: dict[str, tuple[Any, bytes]], tensor: protocol.Tensor) -> tuple[Any, bytes]:
    if tensor.name not in tensors:
        raise InvalidAnswerError(f"output {tensor.name!r} is missing")
    output, raw = tensors[tensor.name]
    shape = list(output.shape)
    fits = len(shape) == len(tensor.shape) and shape[1:] == list(tensor.shape[1:]) and shape[0] >= 0
    if output.datatype != tensor.datatype or not fits:
        raise InvalidAnswerError(
            f"output {tensor.name!r} is {output.datatype} {shape}, not {tensor.datatype} "
            f"{list(tensor.shape)}"
        )
    return output, raw


def _array(tensors: dict[str, tuple[Any, bytes]], tensor: protocol.Tensor) -> NDArray[Any]:
    output, raw = _find(tensors, tensor)
    dtype = np.dtype(_DTYPES[tensor.datatype])
    shape = tuple(output.shape)
    if len(raw) != dtype.itemsize * int(np.prod(shape)):
        raise InvalidAnswerError(f"output {tensor.name!r} holds {len(raw)} bytes for {shape}")
    return np.frombuffer(raw, dtype).reshape(shape)


def _items(tensors: dict[str, tuple[Any, bytes]]) -> list[bytes]:
    output, raw = _find(tensors, protocol.CLASS_NAMES)
    try:
        items = protocol.unpack_bytes(raw)
    except ValueError as error:
        raise InvalidAnswerError(f"output 'class_names': {error}") from error
    if len(items) != output.shape[0]:
        raise InvalidAnswerError(f"{len(items)} class names for shape {list(output.shape)}")
    return items


def _text(item: bytes) -> str:
    try:
        return item.decode()
    except UnicodeDecodeError as error:
        raise InvalidAnswerError("a class name is no UTF-8 text") from error
