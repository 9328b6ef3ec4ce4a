"""Any ONNX file as a model of the backend, with the tensors that it has itself."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_robot.errors import UserError
from edge_robot.fleet.backend.models import (
    InvalidRequestError,
    Tensors,
    TensorSpec,
    check_inputs,
)
from edge_robot.fleet.tensors import DTYPES
from edge_robot.perception.engines.onnxruntime_engine import RUNTIME_ERRORS, open_session
from edge_robot.perception.graph import Graph, Tensor, describe
from edge_robot.perception.onnx_check import check_graph

_DATATYPES = {
    "BOOL": "BOOL",
    "UINT8": "UINT8",
    "UINT16": "UINT16",
    "UINT32": "UINT32",
    "UINT64": "UINT64",
    "INT8": "INT8",
    "INT16": "INT16",
    "INT32": "INT32",
    "INT64": "INT64",
    "FLOAT16": "FP16",
    "FLOAT": "FP32",
    "DOUBLE": "FP64",
    "STRING": "BYTES",
}
"""Element types of ONNX that ONNX Runtime takes from NumPy, and the protocol's names of them."""


@dataclass(frozen=True)
class _Request:
    """Inputs in ONNX Runtime's form, and what tells whether they can share a run with others."""

    feed: dict[str, NDArray[Any]]
    rows: int
    kind: tuple[Any, ...]


class OnnxModel:
    """See `edge_robot.fleet.backend.models.Model`.

    Requests are computed in one run where the model has a batch dimension and all but that
    dimension of their tensors agree; else one after the other.

    Args:
        name: It is served under.
        version: A whole number, as text.
        content: The model file's bytes; nothing they name outside of them is opened.
        max_rows: Greatest size of the first dimension, the batch's, of all inputs and outputs; 0:
            they have none.

    Raises:
        UserError: it is no ONNX model, not a safe one, or has tensors the protocol does not know.
    """

    platform = "onnxruntime_onnx"

    def __init__(self, name: str, version: str, content: bytes, *, max_rows: int = 0) -> None:
        self.name = name
        self.version = version
        self.sha256 = hashlib.sha256(content).hexdigest()
        where = f"{name} version {version}"
        checked = check_graph(content, where)
        graph = describe(checked)
        self.inputs, self.outputs = tensor_specs(graph, where)
        self.max_batch = max(1, max_rows)
        self._max_rows = max_rows
        if max_rows:
            for spec in (*self.inputs, *self.outputs):
                if not spec.shape or spec.shape[0] != -1:
                    raise UserError(
                        f"model {where} is to take batches, but the first size of {spec.name!r} is "
                        f"not free: {list(spec.shape)}; set max_batch_size to 0 or export it again"
                    )
        self._session = open_session(checked, where, threads=1)
        self.warm_up()

    def warm_up(self) -> None:
        """Run on zeros, so that the first request meets no lazy initialisation.

        Not every graph can compute them: that one cannot says nothing against it.
        """
        blank = {}
        for spec in self.inputs:
            shape = [max(size, 1) for size in spec.shape]
            empty = b"" if spec.datatype == "BYTES" else 0
            blank[spec.name] = np.full(shape, empty, DTYPES[spec.datatype])
        self.compute([self.prepare(blank)])

    def read(self, inputs: Tensors) -> Tensors:
        """See `Model`."""
        check_inputs(inputs, self.inputs)
        rows = {len(array) for array in inputs.values()} if self._max_rows else {1}
        if len(rows) != 1 or not 1 <= min(rows) <= max(1, self._max_rows):
            raise InvalidRequestError(
                f"batch of {sorted(rows)} rows; it must be one size, 1..{self._max_rows}"
            )
        return inputs

    def prepare(self, item: Tensors) -> _Request:
        """See `Model`."""
        feed = {name: _to_onnx(name, array) for name, array in item.items()}
        kind = tuple((name, feed[name].shape[1:]) for name in sorted(feed))
        return _Request(feed, len(next(iter(feed.values()))) if self._max_rows else 1, kind)

    def compute(self, items: Sequence[_Request]) -> list[Tensors | InvalidRequestError]:
        """See `Model`."""
        answers: dict[int, Tensors | InvalidRequestError] = {}
        for group in self._groups(items):
            outputs = self._run(_together([items[index].feed for index in group]))
            if isinstance(outputs, InvalidRequestError) and len(group) > 1:
                # One of them may be to blame, which must not cost the others their answers.
                answers |= {index: self._run(items[index].feed) for index in group}
            elif isinstance(outputs, InvalidRequestError) or len(group) == 1:
                answers[group[0]] = outputs
            else:
                answers |= _apart(outputs, group, items)
        return [answers[index] for index in range(len(items))]

    def _groups(self, items: Sequence[_Request]) -> list[list[int]]:
        """Return the indices of requests that are computed in one run each."""
        groups: list[list[int]] = []
        open_groups: dict[tuple[Any, ...], tuple[list[int], int]] = {}
        for index, item in enumerate(items):
            group, rows = open_groups.get(item.kind, ([], self._max_rows))
            if not group or rows + item.rows > self._max_rows:
                group, rows = [], 0
                groups.append(group)
            group.append(index)
            open_groups[item.kind] = group, rows + item.rows
        return groups

    def _run(self, feed: dict[str, NDArray[Any]]) -> Tensors | InvalidRequestError:
        names = [spec.name for spec in self.outputs]
        try:
            outputs = self._session.run(names, feed)
        except RUNTIME_ERRORS as error:
            # Shapes and values that only the graph can judge.
            reason = " ".join(str(error).split())[:300]
            return InvalidRequestError(f"model {self.name!r} cannot compute these inputs: {reason}")
        return {
            spec.name: _from_onnx(spec, array)
            for spec, array in zip(self.outputs, outputs, strict=True)
        }


def tensor_specs(graph: Graph, where: str) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Return the inputs and outputs of a graph as the protocol has them.

    Raises:
        UserError: the protocol has no name for one of their types, or its rank is not known.
    """
    return (
        tuple(_spec(tensor, where) for tensor in graph.inputs),
        tuple(_spec(tensor, where) for tensor in graph.outputs),
    )


def _spec(tensor: Tensor, where: str) -> TensorSpec:
    if tensor.type not in _DATATYPES or tensor.shape is None:
        raise UserError(
            f"model {where} has a tensor {tensor.name!r} of type {tensor.type} and shape {tensor}, "
            "which cannot be served; export it with another type, or with a shape"
        )
    shape = tuple(size if isinstance(size, int) else -1 for size in tensor.shape)
    return TensorSpec(tensor.name, _DATATYPES[tensor.type], shape)


def _to_onnx(name: str, array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype != object:
        return array
    try:
        texts = [bytes(item).decode() for item in array.flat]
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"input {name!r} is no UTF-8 text, which ONNX needs") from error
    return np.array(texts, object).reshape(array.shape)


def _from_onnx(spec: TensorSpec, array: NDArray[Any]) -> NDArray[Any]:
    if spec.datatype != "BYTES":
        return array
    return np.array([str(item).encode() for item in array.flat], object).reshape(array.shape)


def _together(feeds: Sequence[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    if len(feeds) == 1:
        return feeds[0]
    return {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}


def _apart(
    outputs: Tensors, group: Sequence[int], items: Sequence[_Request]
) -> dict[int, Tensors | InvalidRequestError]:
    """Return each request's rows of the outputs of a batch.

    Raises:
        RuntimeError: the model did not give a row for each it was given: it has no batch dimension.
    """
    ends = np.cumsum([items[index].rows for index in group])
    for name, array in outputs.items():
        if len(array) != ends[-1]:
            raise RuntimeError(
                f"output {name!r} has {len(array)} rows for {ends[-1]} of input; set "
                "max_batch_size to 0 in the model's config.pbtxt"
            )
    begins = ends - [items[index].rows for index in group]
    return {
        index: {name: array[begin:end] for name, array in outputs.items()}
        for index, begin, end in zip(group, begins, ends, strict=True)
    }
