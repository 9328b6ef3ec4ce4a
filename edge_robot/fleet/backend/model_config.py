"""What Triton calls a model's configuration: what it takes and gives, as `ModelConfig`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tritonclient.grpc import model_config_pb2 as pb

from edge_robot.fleet.backend.models import TensorSpec

_NAMES = {"BYTES": "TYPE_STRING"}
"""Of datatypes that are not called TYPE_ and the protocol's name."""


def config_of(
    name: str,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    max_batch_size: int = 0,
) -> Any:
    """Return the `ModelConfig` of a model; who or what serves it, the caller adds.

    Args:
        name: It is served under.
        inputs: What it takes.
        outputs: What it gives.
        max_batch_size: Greatest size of the first dimension, which then is not among the
            configuration's; 0: the first dimension is like any other.
    """
    config = pb.ModelConfig(name=name, max_batch_size=max_batch_size)
    first = 1 if max_batch_size else 0
    for specs, entries in ((inputs, config.input), (outputs, config.output)):
        for spec in specs:
            entry = entries.add(name=spec.name, data_type=data_type(spec), dims=spec.shape[first:])
            if spec.optional:
                entry.optional = True
    return config


def data_type(spec: TensorSpec) -> int:
    """Return a tensor's datatype as a configuration has it."""
    return int(pb.DataType.Value(_NAMES.get(spec.datatype, f"TYPE_{spec.datatype}")))


def data_type_name(value: int) -> str:
    """Return how a configuration's datatype is written."""
    return str(pb.DataType.Name(value))
