"""Writes a network in which chosen layers compute in int8 (QDQ: quantize–dequantize pairs)."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from onnxruntime.quantization import CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorData, TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from edge_robot.perception.quantization.calibration import Range
from edge_robot.perception.quantization.graph import Structure, silenced

ACTIVATIONS = {"U8S8": QuantType.QUInt8, "S8S8": QuantType.QInt8}
"""Arithmetic by name: activations, then weights. OpenVINO 2026.4 computes nonsense in S8S8, with a
zero point or without: candidates are rated on the engine itself, and so it cannot win there."""

_PASSING = (
    "Add",
    "AveragePool",
    "Clip",
    "Concat",
    "Gather",
    "LeakyRelu",
    "MaxPool",
    "Relu",
    "Reshape",
    "Resize",
    "Slice",
    "Split",
    "Transpose",
)
"""What may stay in int8 between two int8 layers."""


@dataclass(frozen=True)
class Plan:
    """How a network is quantized.

    Attributes:
        calibration: How ranges are chosen: one of `calibration.METHODS`.
        arithmetic: One of `ACTIVATIONS`; weights are signed, one scale per output channel.
        fp32_layers: Names of the layers that stay fp32, besides the head.
        outputs: Whether a layer also gives int8. ONNX Runtime needs that to compute it in int8;
            OpenVINO does not, and loses less without.
    """

    calibration: str
    arithmetic: str = "U8S8"
    fp32_layers: frozenset[str] = field(default_factory=frozenset)
    outputs: bool = True


def write_qdq(structure: Structure, ranges: Mapping[str, Range], plan: Plan) -> bytes:
    """Return the network's .onnx file with the layers of the plan in int8.

    Args:
        structure: From `graph.analyse`.
        ranges: Range of each tensor, by the plan's calibration.
        plan: What to quantize and how.
    """
    chosen = _int8_nodes(structure, plan)
    data = {
        name: TensorData(lowest=np.float32(low), highest=np.float32(high))
        for name, (low, high) in ranges.items()
    }
    kinds = {node.op_type for node in structure.model.graph.node if node.name in chosen}
    with silenced():
        quantizer = QDQQuantizer(
            copy.deepcopy(structure.model),
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=ACTIVATIONS[plan.arithmetic],
            tensors_range=TensorsData(CalibrationMethod.MinMax, data),
            nodes_to_quantize=sorted(chosen),
            nodes_to_exclude=[],
            op_types_to_quantize=sorted(kinds),
            extra_options={
                "ActivationSymmetric": False,
                "WeightSymmetric": True,
                "OpTypesToExcludeOutputQuantization": [] if plan.outputs else sorted(kinds),
            },
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
    model = quantizer.model.model
    return bytes(model.SerializeToString(deterministic=True))


def _int8_nodes(structure: Structure, plan: Plan) -> Collection[str]:
    """Return the nodes to quantize: the layers, and what lies between two of them."""
    layers = {layer.name: layer for layer in structure.layers}
    chosen: set[str] = set()
    made = {item.name for item in structure.model.graph.input}  # tensors that come in int8
    owned = {name for layer in structure.layers for name in layer.nodes}
    activations: set[str] = set()
    constants = {item.name for item in structure.model.graph.initializer}
    for node in structure.model.graph.node:
        if node.name in structure.head:
            continue
        if node.name in layers:
            take = node.name not in plan.fp32_layers
            if take:
                activations |= set(layers[node.name].nodes)
        elif node.name in owned:
            take = plan.outputs and node.name in activations and node.op_type in _PASSING
        else:
            inputs = [name for name in node.input[:1] if name]
            if node.op_type in ("Add", "Concat"):
                inputs = [name for name in node.input if name not in constants]
            take = plan.outputs and node.op_type in _PASSING and all(n in made for n in inputs)
        if take:
            chosen.add(node.name)
            if plan.outputs:
                made |= set(node.output)
    return chosen
