"""Answers that must never be taken for "nothing seen", each of which would be if nobody looked.

The scene always holds the lamp. Every lie is either an error, or an answer without the lamp that
is flawed in one way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NoReturn

import grpc
import numpy as np
from tritonclient.grpc import service_pb2 as pb

from edge_robot.bench.offload.scene import LAMP, MODEL
from edge_robot.fleet import protocol

VERSION = "2"
"""Of the model whose answers are true."""

HANG = 0.3
"""How long a lie that is a time-out says nothing, s: longer than anybody waits."""

Lie = Callable[[Any, Any], Any]
"""Makes the answer to a request, or ends its call by an error; also given the call's context."""


def truth(request: Any) -> Any:
    """Return a true answer."""
    return _answer(request, [[96, 32, 160, 64]], [0.75], [0], [LAMP.encode()])


def lies() -> dict[str, Lie]:
    """Return every lie by its name; what is before the colon is its kind."""
    codes = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
    flaws = {**_flaws_of_an_empty_answer(), **_flaws_of_a_full_answer()}
    return {
        **{f"error: {code.name}": _aborting(code) for code in codes},
        "time-out: silence": _hang,
        "empty: no outputs": lambda request, context: pb.ModelInferResponse(
            id=request.id, model_name=MODEL, model_version=VERSION
        ),
        "empty: nothing at all": lambda request, context: pb.ModelInferResponse(),
        **{name: _flawed(flaw, empty="empty" in name) for name, flaw in flaws.items()},
    }


Flaw = Callable[[Any], None]
"""Spoils an answer in one way."""


def _set(name: str, value: Any) -> Flaw:
    return lambda answer: setattr(answer, name, value)


def _output(flaw: Callable[..., None], *arguments: Any) -> Flaw:
    """Return the flaw of one output, or of its contents."""
    return lambda answer: flaw(answer, *arguments)


def _flaws_of_an_empty_answer() -> dict[str, Flaw]:
    flaws: dict[str, Flaw] = {
        "empty: of another request": _set("id", "0"),
        "empty: of no request": _set("id", ""),
        "empty: of another model": _set("model_name", "another"),
        "empty: of an older model": _set("model_version", "1"),
        "empty: contents missing": lambda a: a.raw_output_contents.pop(),
        "empty: contents to spare": lambda a: a.raw_output_contents.append(b""),
    }
    for number, tensor in enumerate(protocol.OUTPUTS):
        flaws |= {
            f"empty: without {tensor.name}": _output(_drop, number),
            f"empty: {tensor.name} twice": _output(_repeat, number),
            f"empty: {tensor.name} of another type": _output(_retype, number),
            f"empty: {tensor.name} of another rank": _output(_add_dimension, number),
            f"empty: {tensor.name} of a negative size": _output(_resize, number, -1),
            f"empty: {tensor.name} too long": _output(_lengthen, number),
        }
    return flaws


def _flaws_of_a_full_answer() -> dict[str, Flaw]:
    nan, inf = float("nan"), float("inf")
    values: dict[str, tuple[int, str, list[float]]] = {
        "NaN boxes": (0, "<f4", [nan, 32, 160, 64]),
        "infinite boxes": (0, "<f4", [96, 32, inf, 64]),
        "boxes inside out": (0, "<f4", [160, 64, 96, 32]),
        "boxes without area": (0, "<f4", [96, 32, 96, 64]),
        "NaN scores": (1, "<f4", [nan]),
        "scores above 1": (1, "<f4", [1.5]),
        "negative scores": (1, "<f4", [-0.1]),
        "a class without name": (2, "<i8", [1]),
        "a negative class": (2, "<i8", [-1]),
        "rows missing": (0, "<f4", []),
        "scores missing": (1, "<f4", []),
    }
    return {
        **{
            f"values: {name}": _output(_put, number, np.array(row, dtype).tobytes())
            for name, (number, dtype, row) in values.items()
        },
        "values: a name that is no text": _output(_put, 3, protocol.pack_bytes([b"\xff\xfe"])),
        "values: a name past the end": _output(_put, 3, b"\xff\xff\xff\x7fx"),
    }


def _answer(
    request: Any, boxes: list[Any], scores: list[float], classes: list[int], names: list[bytes]
) -> Any:
    answer = pb.ModelInferResponse(id=request.id, model_name=MODEL, model_version=VERSION)
    contents = (
        np.array(boxes, "<f4").tobytes(),
        np.array(scores, "<f4").tobytes(),
        np.array(classes, "<i8").tobytes(),
        protocol.pack_bytes(names),
    )
    counts = (len(boxes), len(scores), len(classes), len(names))
    for tensor, count, raw in zip(protocol.OUTPUTS, counts, contents, strict=True):
        shape = [count, *tensor.shape[1:]]
        answer.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=shape)
        answer.raw_output_contents.append(raw)
    return answer


def _flawed(flaw: Flaw, empty: bool) -> Lie:
    def lie(request: Any, context: Any) -> Any:
        rows = ([], [], []) if empty else ([[96, 32, 160, 64]], [0.75], [0])
        answer = _answer(request, *rows, [b"nothing"])
        flaw(answer)
        return answer

    return lie


def _aborting(code: grpc.StatusCode) -> Lie:
    def lie(request: Any, context: Any) -> NoReturn:
        context.abort(code, "so it pleases")
        raise AssertionError("abort always raises")

    return lie


def _hang(request: Any, context: Any) -> Any:
    time.sleep(HANG)
    return _answer(request, [], [], [], [b"nothing"])


def _drop(answer: Any, number: int) -> None:
    del answer.outputs[number]
    del answer.raw_output_contents[number]


def _repeat(answer: Any, number: int) -> None:
    answer.outputs.add().CopyFrom(answer.outputs[number])
    answer.raw_output_contents.append(answer.raw_output_contents[number])


def _retype(answer: Any, number: int) -> None:
    answer.outputs[number].datatype = "FP64"


def _add_dimension(answer: Any, number: int) -> None:
    answer.outputs[number].shape.append(0)


def _resize(answer: Any, number: int, size: int) -> None:
    answer.outputs[number].shape[0] = size


def _lengthen(answer: Any, number: int) -> None:
    answer.raw_output_contents[number] += bytes(5)


def _put(answer: Any, number: int, contents: bytes) -> None:
    answer.raw_output_contents[number] = contents
