"""Whether an ONNX file is one that is safe to hand to an inference runtime.

A model file comes from outside. The runtimes' own loaders open the files that it names, allocate
the sizes that it declares and run the operators of any library loaded; they trust it. This looks
first, at bytes alone: nothing that the file names is opened, nothing that it declares is allocated.

What cannot be seen in a file is what it computes at run time (a loop that never ends, a size that
is the product of sizes): `edge_robot.perception.proof` runs what is new here in its own process.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import onnx
from google.protobuf.message import DecodeError, Message
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, TypeProto

from edge_robot.errors import UserError

MAX_BYTES = 512 * 2**20
"""Size of a model file. The largest public RT-DETR has 300 MB; protobuf itself ends at 2 GB."""

MAX_ELEMENTS = 2**28
"""Elements of one tensor, declared or held: 1 GiB of float32."""

MAX_NODES = 50_000
"""Nodes of all graphs of a model; the largest public detectors have about 3000."""

MAX_DEPTH = 4
"""Graphs within graphs: detectors with suppression have a Loop over images, and in it an If."""

MAX_WINDOW = 2**14
"""Of a convolution's or a pool's kernel, stride, padding and dilation, px."""

DOMAINS = ("", "ai.onnx")
"""Names of ONNX's own operators, all of which every runtime carries itself."""

MICROSOFT_OPERATORS = frozenset(
    (
        "BiasGelu",
        "DequantizeLinear",
        "FastGelu",
        "FusedConv",
        "FusedGemm",
        "FusedMatMul",
        "Gelu",
        "QGemm",
        "QLinearAdd",
        "QLinearAveragePool",
        "QLinearConcat",
        "QLinearGlobalAveragePool",
        "QLinearLeakyRelu",
        "QLinearMul",
        "QLinearReduceMean",
        "QLinearSigmoid",
        "QLinearSoftmax",
        "QuantizeLinear",
        "QuickGelu",
        "SkipLayerNormalization",
    )
)
"""Of domain `com.microsoft`: what ONNX Runtime's own tools write into detectors. Not among them
are those that open files, like EPContext."""

_MAX_OPSET = 1000

_MAX_RANK = 64
"""Values of a constant that can be a shape."""

_WINDOWS = ("kernel_shape", "strides", "pads", "dilations", "output_padding", "output_shape")

_MAKES_SIZE = {
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "Tile": (1,),
    "OneHot": (1,),
    "Resize": (2, 3),
    "Upsample": (1,),
}
"""Operators whose output has as many elements as the product of these inputs' values."""

_BITS = {
    TensorProto.FLOAT: (32, "float_data"),
    TensorProto.DOUBLE: (64, "double_data"),
    TensorProto.FLOAT16: (16, "int32_data"),
    TensorProto.BFLOAT16: (16, "int32_data"),
    TensorProto.INT64: (64, "int64_data"),
    TensorProto.UINT64: (64, "uint64_data"),
    TensorProto.INT32: (32, "int32_data"),
    TensorProto.UINT32: (32, "uint64_data"),
    TensorProto.INT16: (16, "int32_data"),
    TensorProto.UINT16: (16, "int32_data"),
    TensorProto.INT8: (8, "int32_data"),
    TensorProto.UINT8: (8, "int32_data"),
    TensorProto.BOOL: (8, "int32_data"),
    TensorProto.FLOAT8E4M3FN: (8, "int32_data"),
    TensorProto.FLOAT8E4M3FNUZ: (8, "int32_data"),
    TensorProto.FLOAT8E5M2: (8, "int32_data"),
    TensorProto.FLOAT8E5M2FNUZ: (8, "int32_data"),
    TensorProto.INT4: (4, "int32_data"),
    TensorProto.UINT4: (4, "int32_data"),
}
"""Bits of an element, and the field that holds such elements where they are not raw bytes."""

_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")


class _Unsafe(Exception):
    """Says what is wrong with a graph."""


def check_graph(content: bytes, name: str) -> ModelProto:
    """Check that a model file is ONNX and that loading it is harmless.

    Args:
        content: The file's bytes.
        name: What the error calls the file.

    Returns:
        The model parsed, its tensors where they are: in the file alone.

    Raises:
        UserError: it is not ONNX, keeps tensors in other files, declares sizes that its bytes do
            not hold or that no detector needs, uses operators of another library, functions of
            its own or graphs nested deeper than detectors have.
    """
    try:
        model = _parse(content)
        _check_model(model)
    except _Unsafe as error:
        raise UserError(
            f"model {name} is no ONNX model that can be used: {error}; fetch or export it again"
        ) from error
    return model


def _parse(content: bytes) -> ModelProto:
    if len(content) > MAX_BYTES:
        raise _Unsafe(f"it has {len(content)} bytes, more than {MAX_BYTES}")
    if content[4:8] == b"ORTM":
        # ONNX Runtime takes such a file for its own format, whatever else it may be.
        raise _Unsafe("it is in ONNX Runtime's own format")
    try:
        model = ModelProto.FromString(content)
    except DecodeError as error:
        raise _Unsafe("it cannot be parsed") from error
    if not model.HasField("graph") or not model.graph.node or not model.opset_import:
        raise _Unsafe("it holds no graph")
    return model


def _check_model(model: ModelProto) -> None:
    _check_text(model)
    if model.functions:
        raise _Unsafe("it defines functions of its own")
    if model.training_info:
        raise _Unsafe("it holds a training graph")
    versions = [item.version for item in model.opset_import if item.domain in DOMAINS]
    if len(versions) != 1 or not 1 <= versions[0] <= _MAX_OPSET:
        raise _Unsafe("it does not say of which version its operators are")
    graphs = list(_checked_graphs(model.graph, versions[0]))
    constants: dict[str, Sequence[float]] = {}
    for graph in graphs:  # a nested graph uses names of the one around it
        constants |= {tensor.name: _values(tensor) for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant" and node.output and node.attribute:
                item = node.attribute[0]
                constants[node.output[0]] = _values(item.t) or list(item.ints) or [item.i]
    for graph in graphs:
        for node in graph.node:
            for position in _MAKES_SIZE.get(node.op_type, ()):
                if position < len(node.input):
                    _check_size(constants.get(node.input[position], ()), node)


def _checked_graphs(root: GraphProto, opset: int) -> Iterator[GraphProto]:
    """Yield a graph and those within it, each checked node by node."""
    waiting = [(root, 1)]
    nodes = 0
    while waiting:
        graph, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise _Unsafe(f"its graphs are nested more than {MAX_DEPTH} deep")
        nodes += len(graph.node)
        if nodes > MAX_NODES:
            raise _Unsafe(f"it has more than {MAX_NODES} nodes")
        if graph.sparse_initializer:
            raise _Unsafe("it holds sparse tensors")
        for value in (*graph.input, *graph.output, *graph.value_info):
            _check_type(value.type, value.name)
        for tensor in graph.initializer:
            _check_tensor(tensor)
        for node in graph.node:
            _check_operator(node, opset)
            waiting += [(inner, depth + 1) for inner in _check_attributes(node)]
        yield graph


def _check_text(root: Message) -> None:
    """Check that all text can be read; a runtime that quotes it in an error fails otherwise."""
    waiting = [root]
    while waiting:
        for field, value in waiting.pop().ListFields():
            values = value if field.is_repeated else [value]
            if field.message_type is not None:
                waiting += values
            elif field.type == field.TYPE_STRING and not all(isinstance(v, str) for v in values):
                raise _Unsafe("a name in it is no UTF-8 text")  # protobuf hands it over as bytes


def _check_utf8(text: bytes) -> None:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise _Unsafe("a text in it is no UTF-8") from error


def _check_operator(node: NodeProto, opset: int) -> None:
    """Check that a node is one of an operator that is known, with as many inputs as that has."""
    domain, operator = node.domain, node.op_type
    if domain == "com.microsoft" and operator in MICROSOFT_OPERATORS:
        return
    if domain not in DOMAINS:
        raise _Unsafe(f"operator {_shown(operator)} is of the library {_shown(domain)}")
    try:
        schema = onnx.defs.get_schema(operator, opset, "")
    except onnx.defs.SchemaError as error:
        raise _Unsafe(f"{_shown(operator)} is no operator of ONNX, version {opset}") from error
    if not (
        schema.min_input <= len(node.input) <= schema.max_input
        and schema.min_output <= len(node.output) <= schema.max_output
    ):
        raise _Unsafe(f"a {_shown(operator)} has too few or too many inputs or outputs")


def _check_attributes(node: NodeProto) -> Iterator[GraphProto]:
    """Check the attributes of a node; yield the graphs among them, not yet checked."""
    for item in node.attribute:
        if item.HasField("sparse_tensor") or item.sparse_tensors:
            raise _Unsafe("it holds sparse tensors")
        if item.ref_attr_name:
            raise _Unsafe("an attribute refers to a function's")
        for text in (item.s, *item.strings):
            _check_utf8(text)
        for tensor in (*_single(item, "t"), *item.tensors):
            _check_tensor(tensor)
        for kind in (*_single(item, "tp"), *item.type_protos):
            _check_type(kind, item.name)
        if item.name in _WINDOWS and any(abs(value) > MAX_WINDOW for value in item.ints):
            raise _Unsafe(f"{item.name} of {_shown(node.op_type)} is more than {MAX_WINDOW}")
        if item.name == "shape" and node.op_type.startswith("Random"):
            _count(item.ints, node.name)
        yield from _single(item, "g")
        yield from item.graphs


def _single(item: AttributeProto, field: str) -> list:
    """Return the value of an attribute's field in a list that is empty where it is not set."""
    return [getattr(item, field)] if item.HasField(field) else []


def _check_tensor(tensor: TensorProto) -> None:
    """Check that a tensor is here as a whole and as large as it says."""
    shown = _shown(tensor.name)
    if tensor.data_location != TensorProto.DEFAULT or tensor.external_data:
        raise _Unsafe(f"tensor {shown} lies in another file")
    if tensor.HasField("segment"):
        raise _Unsafe(f"tensor {shown} is in pieces")
    count = _count(tensor.dims, tensor.name)
    if tensor.data_type == TensorProto.STRING:
        held, needed = len(tensor.string_data), count
        others: Iterable[str] = _FIELDS
    elif tensor.data_type in _BITS:
        bits, field = _BITS[tensor.data_type]
        if tensor.HasField("raw_data"):
            held, needed, others = len(tensor.raw_data), math.ceil(count * bits / 8), _FIELDS
        else:
            held = len(getattr(tensor, field))
            needed = math.ceil(count * bits / 8) if bits < 8 else count
            others = [name for name in _FIELDS if name != field]
        if tensor.string_data:
            raise _Unsafe(f"tensor {shown} holds text beside numbers")
    else:
        raise _Unsafe(f"tensor {shown} is of type {tensor.data_type}, which no detector has")
    if held != needed or any(len(getattr(tensor, name)) for name in others):
        raise _Unsafe(f"tensor {shown} does not hold the {list(tensor.dims)[:8]} it declares")


def _check_type(kind: TypeProto, name: str) -> None:
    """Check a declared shape, as far as its sizes are numbers."""
    while kind.WhichOneof("value") in ("sequence_type", "optional_type"):
        kind = getattr(kind, str(kind.WhichOneof("value"))).elem_type
    which = kind.WhichOneof("value")
    if which is None:
        return  # left for the runtime to infer
    if which != "tensor_type":
        raise _Unsafe(f"{_shown(name)} is a {which}, not a tensor")
    if kind.tensor_type.elem_type not in TensorProto.DataType.values():
        raise _Unsafe(f"{_shown(name)} is of an unknown type")
    sizes = [item.dim_value for item in kind.tensor_type.shape.dim if item.HasField("dim_value")]
    # Exporters write −1 and 0 where any size will do.
    _count([max(size, 1) for size in sizes if size != -1], name)


def _values(tensor: TensorProto) -> Sequence[float]:
    """Return the values of a checked tensor that is small enough to be a shape; else none."""
    numbers = (TensorProto.INT32, TensorProto.INT64, TensorProto.FLOAT)
    if tensor.data_type not in numbers or math.prod(tensor.dims) > _MAX_RANK:
        return ()
    values: list[float] = onnx.numpy_helper.to_array(tensor).ravel().tolist()
    return values


def _check_size(values: Sequence[float], node: NodeProto) -> None:
    """Check that a constant asks a node for no absurd size."""
    product = 1.0
    for value in values:
        product *= max(abs(float(value)), 1.0)
    if not product <= MAX_ELEMENTS:
        raise _Unsafe(f"{_shown(node.op_type)} is to make more than {MAX_ELEMENTS} elements")


def _count(sizes: Iterable[int], name: str) -> int:
    """Return the number of elements of a shape."""
    product = 1
    for size in sizes:
        if size < 0:
            raise _Unsafe(f"a size of {_shown(name)} is negative")
        product *= size
        if size > MAX_ELEMENTS or product > MAX_ELEMENTS:
            raise _Unsafe(f"{_shown(name)} has more than {MAX_ELEMENTS} elements")
    return product


def _shown(text: str) -> str:
    """Return a name out of the file as it may stand in an error: one line, not long."""
    return repr(text if len(text) <= 60 else f"{text[:57]}…")
