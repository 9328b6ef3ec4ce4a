"""The detector as a model of the backend: one image in, as JPEG file or pixels; detections out."""

from __future__ import annotations

from collections.abc import Sequence
from queue import SimpleQueue
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot.fleet import protocol
from edge_robot.fleet.backend.models import (
    InvalidRequestError,
    Tensors,
    TensorSpec,
    check_inputs,
)
from edge_robot.perception.detections import Detections

MIN_SIDE, MAX_SIDE = 8, 8192
MAX_PIXELS = 16_000_000
"""Bounds on an image: a few bytes of JPEG header can ask for gigabytes of memory."""

# Start of frame: every SOFn but DHT (C4), JPG (C8) and DAC (CC), which share the range.
_START_OF_FRAME = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_END_OF_IMAGE = b"\xff\xd9"


class ImageDetector(Protocol):
    """What is asked of a detector; `edge_robot.perception.detector.Detector` is one."""

    @property
    def sha256(self) -> str:
        """Hash of the model file."""
        ...

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Find objects in an (H, W, 3) uint8 BGR image."""
        ...


class DetectorModel:
    """See `edge_robot.fleet.backend.models.Model`; the tensors are those of `fleet.protocol`.

    Images are computed one by one: one fills a core, and a batch was measured to cost as much for
    each (a 480 × 360 network on one thread: OpenVINO 2.4, 2.6, 2.5 and 2.6 ms an image in batches
    of 1, 2, 4 and 8).

    Args:
        name: It is served under.
        version: A whole number, as text.
        detectors: That find the objects, all of one file: as many images are computed at once.
    """

    platform = "onnxruntime_onnx"
    inputs = tuple(TensorSpec(t.name, t.datatype, t.shape, True) for t in protocol.INPUTS)
    outputs = tuple(TensorSpec(t.name, t.datatype, t.shape) for t in protocol.OUTPUTS)
    max_batch = 1

    def __init__(self, name: str, version: str, detectors: Sequence[ImageDetector]) -> None:
        self.name = name
        self.version = version
        self.sha256 = detectors[0].sha256
        self._idle: SimpleQueue[ImageDetector] = SimpleQueue()
        for detector in detectors:
            self._idle.put(detector)

    def read(self, inputs: Tensors) -> bytes | NDArray[np.uint8]:
        """See `Model`."""
        check_inputs(inputs, self.inputs)
        if len(inputs) != 1:
            names = " or ".join(f"{t.name!r} ({t.datatype})" for t in protocol.INPUTS)
            raise InvalidRequestError(f"{len(inputs)} inputs given; give one: {names}")
        if protocol.JPEG.name in inputs:
            jpeg = bytes(inputs[protocol.JPEG.name][0])
            check_jpeg(jpeg)
            return jpeg
        image = inputs[protocol.IMAGE.name]
        check_size(image.shape[1], image.shape[0])
        return image

    def prepare(self, item: bytes | NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See `Model`."""
        return decode_jpeg(item) if isinstance(item, bytes) else item

    def compute(self, items: Sequence[NDArray[np.uint8]]) -> list[Tensors]:
        """See `Model`."""
        detector = self._idle.get()
        try:
            return [_tensors(detector.detect(image)) for image in items]
        finally:
            self._idle.put(detector)


def decode_jpeg(jpeg: bytes) -> NDArray[np.uint8]:
    """Return a whole JPEG file's (H, W, 3) uint8 BGR pixels, its orientation tag ignored.

    Raises:
        InvalidRequestError: it is no JPEG file, cut short, or of a size out of bounds.
    """
    check_jpeg(jpeg)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None:
        raise InvalidRequestError("JPEG file is damaged")
    return image


def check_jpeg(jpeg: bytes) -> None:
    """Check what can be seen of a JPEG file without decoding it.

    Raises:
        InvalidRequestError: it is no JPEG file, cut short, or of a size out of bounds.
    """
    check_size(*jpeg_size(jpeg))
    # A file cut short decodes to a picture that is grey below the cut: nothing seen there.
    if not jpeg.rstrip(b"\0").endswith(_END_OF_IMAGE):
        raise InvalidRequestError("JPEG file is cut short: it has no end marker")


def jpeg_size(jpeg: bytes) -> tuple[int, int]:
    """Return width and height from a JPEG file's header, without decoding it.

    Raises:
        InvalidRequestError: it is no JPEG file, or has no frame header.
    """
    if jpeg[:2] != b"\xff\xd8":
        raise InvalidRequestError("input 'jpeg' holds no JPEG file")
    position = 2
    while position + 9 <= len(jpeg) and jpeg[position] == 0xFF:
        marker = jpeg[position + 1]
        if marker == 0xFF:  # a fill byte before the marker
            position += 1
            continue
        if marker in _START_OF_FRAME:
            height = int.from_bytes(jpeg[position + 5 : position + 7], "big")
            width = int.from_bytes(jpeg[position + 7 : position + 9], "big")
            return width, height
        position += 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
    raise InvalidRequestError("JPEG file is damaged: it has no frame header")


def check_size(width: int, height: int) -> None:
    """Check the size of an image.

    Raises:
        InvalidRequestError: it is out of bounds.
    """
    sides_fit = all(MIN_SIDE <= side <= MAX_SIDE for side in (width, height))
    if not sides_fit or width * height > MAX_PIXELS:
        raise InvalidRequestError(
            f"image of {width}×{height} pixels; sides must be {MIN_SIDE}..{MAX_SIDE}, "
            f"pixels at most {MAX_PIXELS}"
        )


def _tensors(detections: Detections) -> Tensors:
    names = [name.encode() for name in detections.class_names]
    return {
        protocol.BOXES.name: detections.boxes.astype(np.float32),
        protocol.SCORES.name: detections.scores.astype(np.float32),
        protocol.CLASS_IDS.name: detections.class_ids.astype(np.int64),
        protocol.CLASS_NAMES.name: np.array(names, object),
    }
