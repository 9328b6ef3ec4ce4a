"""What a network's graph says about how it may be quantized: its layers, its head."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, NodeProto, helper, version_converter
from onnxruntime.quantization.shape_inference import quant_pre_process

from edge_robot.errors import UserError

OPSET = 17
"""Per-channel weights need at least 13; what every engine here reads is taken."""

_UNARY = ("Relu", "Clip", "LeakyRelu", "HardSwish", "HardSigmoid", "Sigmoid")
_MOVING = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Split")


@dataclass(frozen=True)
class Layer:
    """A convolution with the activation that follows it: quantized together or not at all.

    Attributes:
        name: Name of the convolution's node.
        nodes: Names of its nodes: the convolution, and Relu or the like, or Sigmoid and Mul.
        output: Name of the convolution's output tensor.
        depthwise: Whether each channel is convolved by itself.
    """

    name: str
    nodes: tuple[str, ...]
    output: str
    depthwise: bool


@dataclass(frozen=True)
class Structure:
    """A network as quantization sees it.

    Attributes:
        model: Optimised, shapes inferred, batch normalisation folded, every node named.
        layers: Those that may be quantized, in the order they are computed.
        head: Names of the nodes that stay fp32: each branch's last convolution and all after it.
            Box sizes and scores of one tensor have too different ranges for one scale, and the
            last convolutions cost next to nothing.
    """

    model: ModelProto
    layers: tuple[Layer, ...]
    head: frozenset[str]


def analyse(content: bytes, where: str) -> Structure:
    """Prepare a model for quantization and find its layers.

    Args:
        content: The .onnx file's bytes.
        where: Its name, for messages.

    Raises:
        UserError: it is no fp32 model with convolutions.
    """
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise UserError(f"model {where} is no ONNX file; fetch or export it again") from error
    kinds = {node.op_type for node in model.graph.node}
    if kinds & {"QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger"}:
        raise UserError(f"model {where} is quantized already; give the fp32 model it came from")
    if "Conv" not in kinds:
        raise UserError(f"model {where} has no convolution, so nothing that int8 would speed up")
    try:
        prepared = _prepare(model)
    except Exception as error:  # whatever ONNX and ONNX Runtime raise for graphs they cannot take
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"model {where} cannot be prepared for quantization ({reason[0][:120]}); "
            "export it with a fixed input size and standard operators"
        ) from error
    nodes = list(prepared.graph.node)
    head = _head(nodes)
    layers = tuple(
        _layer(node, nodes, prepared)
        for node in nodes
        if node.op_type == "Conv" and node.name not in head
    )
    if not layers:
        raise UserError(f"model {where} has only a head, which stays fp32; nothing to quantize")
    return Structure(prepared, layers, head)


def _prepare(model: ModelProto) -> ModelProto:
    opset = next((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), 0)
    if opset < OPSET:
        model = version_converter.convert_version(model, OPSET)
    with tempfile.TemporaryDirectory() as folder, silenced():
        source, target = Path(folder) / "source.onnx", Path(folder) / "target.onnx"
        onnx.save(model, source)
        quant_pre_process(source, target, skip_symbolic_shape=True)
        prepared = onnx.load(target)
    taken = set()
    for index, node in enumerate(prepared.graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_{index}"
        taken.add(node.name)
    return prepared


@contextmanager
def silenced() -> Iterator[None]:
    """Keep ONNX Runtime's quantization from warning about what is done on purpose here."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def _consumers(nodes: list[NodeProto]) -> dict[str, list[NodeProto]]:
    consumers: dict[str, list[NodeProto]] = {}
    for node in nodes:
        for name in node.input:
            consumers.setdefault(name, []).append(node)
    return consumers


def _head(nodes: list[NodeProto]) -> frozenset[str]:
    """Return the nodes behind which no further convolution comes."""
    producers = {name: node for node in nodes for name in node.output}
    consumers = _consumers(nodes)
    head: set[str] = set()
    for node in reversed(nodes):  # in ONNX a node comes after all it needs
        after = [item for name in node.output for item in consumers.get(name, [])]
        if all(item.name in head and not _is_layer(item, producers) for item in after):
            head.add(node.name)
    return frozenset(head)


def _is_layer(node: NodeProto, producers: dict[str, NodeProto]) -> bool:
    """Return whether a node is a convolution that was learnt.

    YOLOv8 and its kin take the mean of a distribution by a convolution behind a softmax: that is
    a part of the decoding.
    """
    if node.op_type != "Conv":
        return False
    before = producers.get(node.input[0])
    while before is not None and before.op_type in _MOVING:
        before = producers.get(before.input[0])
    return before is None or before.op_type != "Softmax"


def _layer(node: NodeProto, nodes: list[NodeProto], model: ModelProto) -> Layer:
    output = node.output[0]
    after = _consumers(nodes).get(output, [])
    kinds = sorted(item.op_type for item in after)
    names = [node.name]
    if len(after) == 1 and kinds[0] in _UNARY:
        names.append(after[0].name)
    elif kinds == ["Mul", "Sigmoid"]:  # SiLU
        names += [item.name for item in after]
    weights = {item.name: item.dims for item in model.graph.initializer}.get(node.input[1])
    group = next((helper.get_attribute_value(a) for a in node.attribute if a.name == "group"), 1)
    depthwise = group > 1 and weights is not None and weights[1] == 1
    return Layer(node.name, tuple(names), output, depthwise)
