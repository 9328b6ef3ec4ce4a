"""What a model file says of itself: its inputs, its outputs and the notes of its exporter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onnx import ModelProto, TensorProto, ValueInfoProto

OpenShape = tuple[int | str | None, ...]
"""Sizes of a tensor; a name or None where any will do."""


@dataclass(frozen=True)
class Tensor:
    """An input or output of a graph.

    Attributes:
        name: Its name in the graph.
        type: Of its elements, as ONNX calls it: FLOAT, UINT8, INT64 …
        shape: Its sizes; None where the file does not say how many there are.
    """

    name: str
    type: str
    shape: OpenShape | None

    def __str__(self) -> str:
        if self.shape is None:
            return "of unknown shape"
        return f"[{', '.join('?' if size is None else str(size) for size in self.shape)}]"


@dataclass(frozen=True)
class Graph:
    """What a model takes and gives.

    Attributes:
        inputs: In the graph's order, without the weights that old files count among them.
        outputs: In the graph's order.
        metadata: What the exporter noted.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    metadata: Mapping[str, str]

    def __str__(self) -> str:
        return f"{_listed('input', self.inputs)} and {_listed('output', self.outputs)}"


def describe(model: ModelProto) -> Graph:
    """Return what a checked model (see `onnx_check`) takes and gives."""
    held = {tensor.name for tensor in model.graph.initializer}
    return Graph(
        tuple(_tensor(value) for value in model.graph.input if value.name not in held),
        tuple(_tensor(value) for value in model.graph.output),
        {item.key: item.value for item in model.metadata_props},
    )


def _tensor(value: ValueInfoProto) -> Tensor:
    kind = value.type.tensor_type
    shape: OpenShape | None = None
    if kind.HasField("shape"):
        shape = tuple(
            item.dim_value if item.dim_value > 0 else (item.dim_param or None)
            for item in kind.shape.dim
        )
    return Tensor(value.name, TensorProto.DataType.Name(kind.elem_type), shape)


def _listed(word: str, tensors: Sequence[Tensor]) -> str:
    if len(tensors) == 1:
        return f"{word} {tensors[0]}"
    return f"{word}s {', '.join(f'{tensor.name} {tensor}' for tensor in tensors)}"
