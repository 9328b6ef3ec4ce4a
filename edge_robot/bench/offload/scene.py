"""A scene in which something is always to be seen: an empty answer can only be a failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as pb

from edge_robot.fleet import protocol
from edge_robot.fleet.boundary import Boundary, Picture
from edge_robot.fleet.privacy_policy import Kind, Level, PrivacyPolicy, Tier
from edge_robot.fleet.tasks.detect import read_detections
from edge_robot.fleet.work import Clearances, Encoded, Task
from edge_robot.perception.detections import Detections

MODEL = "lamp"
"""Name of the model that sees it."""

LAMP = "lamp"
HEIGHT, WIDTH = 100, 200
"""Of the frames: 60 kB of raw pixels."""


def frame() -> NDArray[np.uint8]:
    """Return a dark (HEIGHT, WIDTH, 3) uint8 image with a lamp in it."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[32:64, 96:160] = 255
    return image


def seen() -> Detections:
    """Return what every detector finds in it."""
    return Detections(
        np.array([[96, 32, 160, 64]], np.float32),
        np.array([0.75], np.float32),
        np.array([0], np.int64),
        (LAMP,),
    )


def encode(image: NDArray[np.uint8]) -> Any:
    """Return the `ModelInferRequest` with the raw pixels: no codec's time in what is measured."""
    request = pb.ModelInferRequest(model_name=MODEL)
    tensor = protocol.IMAGE
    request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=image.shape)
    request.raw_input_contents.append(image.tobytes())
    return request


def cleared(image: NDArray[np.uint8]) -> Clearances[NDArray[np.uint8]]:
    """Return an image as both tiers may have it: as it is."""
    boundary = Boundary(PrivacyPolicy(levels=dict.fromkeys(Tier, Level.RAW)))
    return {tier: boundary.clear(Kind.DETECT, Picture(image, None), tier) for tier in Tier}


def detection(
    deadline: float, expiry: float, read: Callable[[Any], Detections] | None = None
) -> Task[NDArray[np.uint8], Detections]:
    """Return the task of finding the lamp.

    Args:
        deadline: Age of a frame by which a result is wanted, s.
        expiry: Age after which the fleet's answer is of no use, s.
        read: Reads an answer; `decode` by default.
    """
    return Task(
        "detect",
        lambda image, _: Encoded(encode(image.value), read or decode),
        deadline,
        expiry,
    )


def decode(response: Any) -> Detections:
    """Return the detections of a `ModelInferResponse`.

    Raises:
        InvalidAnswerError: it holds none that are well-formed.
    """
    return read_detections(response, (WIDTH, HEIGHT), 0.0)


def holds_the_lamp(detections: Detections) -> bool:
    """Return whether the one thing that is there was found."""
    return LAMP in detections.labels
