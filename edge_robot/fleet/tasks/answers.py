"""Checks what any backend's answer must hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from edge_robot.fleet import tensors
from edge_robot.fleet.protocol import Tensor
from edge_robot.fleet.work import InvalidAnswerError


def outputs(response: Any, expected: Sequence[Tensor]) -> list[NDArray[Any]]:
    """Return the tensors of a `ModelInferResponse` that are expected, in that order.

    Raises:
        InvalidAnswerError: one is missing, malformed, or of another type or shape.
    """
    try:
        arrays = tensors.to_arrays(response)
    except tensors.TensorError as error:
        raise InvalidAnswerError(str(error)) from error
    found = []
    for tensor in expected:
        array = arrays.get(tensor.name)
        if array is None:
            raise InvalidAnswerError(f"output {tensor.name!r} is missing")
        datatype, shape = tensors.datatype_of(array), array.shape
        fits = len(shape) == len(tensor.shape) and all(
            want in (-1, have) for have, want in zip(shape, tensor.shape, strict=True)
        )
        if datatype != tensor.datatype or not fits:
            raise InvalidAnswerError(
                f"output {tensor.name!r} is {datatype} {list(shape)}, not {tensor.datatype} "
                f"{list(tensor.shape)}"
            )
        found.append(array)
    return found


def texts(name: str, items: NDArray[Any]) -> list[str]:
    """Return the items of a BYTES tensor as text.

    Raises:
        InvalidAnswerError: one is no UTF-8.
    """
    try:
        return [item.decode() for item in items.ravel().tolist()]
    except UnicodeDecodeError as error:
        raise InvalidAnswerError(f"output {name!r} is no UTF-8 text") from error
