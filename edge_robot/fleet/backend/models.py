"""What the backend asks of a model, whatever it computes and whatever serves it.

A model works in three steps, so that nothing costly is done for a request that has expired:

1. `read`, at once and cheap: is the request well formed? What it returns waits in the queue.
2. `prepare`, in a worker thread: what one request costs by itself, such as decoding a JPEG file.
3. `compute`, in a worker thread: what several requests may share.

The scheduler looks at the clock before each of the last two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from edge_robot.fleet.tensors import datatype_of

Tensors = Mapping[str, NDArray[Any]]
"""Tensors by name, as `tritonclient` has them: BYTES are arrays of `object` that hold `bytes`."""


@dataclass(frozen=True)
class TensorSpec:
    """A tensor that a model takes or gives.

    Attributes:
        name: Its name in the protocol.
        datatype: As the Open Inference Protocol calls it: `FP32`, `INT64`, `BYTES` …
        shape: Its sizes, that of a batch included where the model has one; -1: free.
        optional: Whether a request may leave it out.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool = False


class InvalidRequestError(Exception):
    """The request does not hold what the model asks for; the message says what."""


class ServedModel(Protocol):
    """What is told of a model, wherever it computes.

    Attributes:
        name: It is served under.
        version: A whole number, as text.
        sha256: Hash of the file that computes the answers, hexadecimal; of a model that is code
            alone, what tells one state of the code from another.
        platform: What runs it, as Triton names it: `onnxruntime_onnx`, `python` …
        inputs: What it takes.
        outputs: What it gives.
        max_batch: Greatest number of requests that it computes at once.
    """

    name: str
    version: str
    sha256: str
    platform: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_batch: int


class Model(ServedModel, Protocol):
    """Something that answers tensors with tensors.

    `prepare` and `compute` are called from several threads at once, `compute` with `max_batch`
    requests at most.
    """

    def read(self, inputs: Tensors) -> Any:
        """Check the inputs of a request, in microseconds; return what `prepare` needs of them.

        Raises:
            InvalidRequestError: they are not what the model takes.
        """
        ...

    def prepare(self, item: Any) -> Any:
        """Do what one request costs by itself; return what `compute` needs of it.

        Raises:
            InvalidRequestError: the request cannot be used after all.
        """
        ...

    def compute(self, items: Sequence[Any]) -> Sequence[Tensors | InvalidRequestError]:
        """Return the outputs of each request, or why it has none, in order.

        What else it raises is a fault of the server, and the answer of all these requests.
        """
        ...


def check_inputs(inputs: Tensors, specs: Sequence[TensorSpec]) -> None:
    """Check names, types and shapes of a request's inputs.

    Raises:
        InvalidRequestError: one is unknown, missing, or of another type or shape.
    """
    known = {spec.name: spec for spec in specs}
    for name, array in inputs.items():
        if name not in known:
            raise InvalidRequestError(f"input {name!r} is unknown; inputs: {', '.join(known)}")
        spec = known[name]
        if datatype_of(array) != spec.datatype:
            raise InvalidRequestError(
                f"input {name!r} has type {datatype_of(array)!r}; it must be {spec.datatype}"
            )
        if len(array.shape) != len(spec.shape) or any(
            want not in (-1, have) for have, want in zip(array.shape, spec.shape, strict=True)
        ):
            raise InvalidRequestError(
                f"input {name!r} has shape {list(array.shape)}; it must be {list(spec.shape)}"
            )
    for spec in specs:
        if not spec.optional and spec.name not in inputs:
            raise InvalidRequestError(f"input {spec.name!r} is missing")
