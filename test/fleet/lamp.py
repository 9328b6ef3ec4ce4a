"""A detector whose answers and speed a test controls, and pictures for it.

Run as a program it serves that detector, prints the ports of gRPC and HTTP, and ends on SIGTERM.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as pb

from edge_robot.fleet import protocol
from edge_robot.fleet.backend.detector_model import DetectorModel
from edge_robot.fleet.backend.scheduler import Limits, Scheduler
from edge_robot.fleet.backend.server import Backend
from edge_robot.fleet.tensors import add_arrays, to_arrays
from edge_robot.perception.detections import Detections

MODEL = "lamp"


class LampDetector:
    """Finds one object: the bounding box of the pixels brighter than 128."""

    sha256 = "ab" * 32

    def __init__(self) -> None:
        self.calls = 0
        self.free = threading.Event()
        self.free.set()

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        self.calls += 1
        assert self.free.wait(30.0)
        rows, columns = np.nonzero(image.max(axis=2) > 128)
        boxes = np.zeros((0, 4), np.float32)
        if len(rows):
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            boxes = np.array([box], np.float32)
        return Detections(
            boxes,
            np.full(len(boxes), 0.75, np.float32),
            np.ones(len(boxes), np.int64),
            ("nothing", "lamp"),
        )


MAX_WAITING = 3
"""Requests that wait beside the one that is computed."""


def lamp_backend(detector: LampDetector, **where: Any) -> Backend:
    """A backend that computes one request at a time; `where` as `Backend` has it."""

    def load() -> Scheduler:
        model = DetectorModel(MODEL, "1", [detector])
        return Scheduler([model], workers=1, limits=Limits(waiting=MAX_WAITING))

    return Backend(load, **{"port": 0, **where})


def lamp_image() -> NDArray[np.uint8]:
    """A dark image with a lamp at x 96..160, y 32..64."""
    image = np.zeros((120, 200, 3), np.uint8)
    image[32:64, 96:160] = 255
    return image


def image_in(request: Any) -> NDArray[np.uint8]:
    """The image that a backend finds in a `ModelInferRequest`."""
    model = DetectorModel(MODEL, "1", [LampDetector()])
    return model.prepare(model.read(to_arrays(request)))


def answer_with(found: Detections, id_: str = "") -> Any:
    """The `ModelInferResponse` by which a backend says what it found."""
    answer = pb.ModelInferResponse(model_name=MODEL, model_version="1", id=id_)
    answer.parameters[protocol.MODEL_SHA256].string_param = LampDetector.sha256
    names = np.array([name.encode() for name in found.class_names], object)
    values = (found.boxes, found.scores, found.class_ids, names)
    add_arrays(answer, {t.name: v for t, v in zip(protocol.OUTPUTS, values, strict=True)})
    return answer


def wait_for(condition: Callable[[], bool], what: str, limit: float = 20.0) -> None:
    """Poll a condition; fail with `what` if it does not come true."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, f"waited {limit} s in vain for {what}"
        time.sleep(0.002)


def _main() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    backend = lamp_backend(LampDetector(), http_port=0)
    print(backend.port, backend.http_port, flush=True)
    signal.sigwait({signal.SIGTERM})
    backend.stop()


if __name__ == "__main__":
    _main()
