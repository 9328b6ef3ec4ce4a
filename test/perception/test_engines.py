"""Engines on small networks made here: equal outputs, the provider in use, hostile files."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_mutants import changeable
from onnx import TensorProto, helper, numpy_helper

from edge_robot.errors import UserError
from edge_robot.perception.engines import ENGINES, Engine, open_engine
from edge_robot.perception.engines.cache import engine_cache
from edge_robot.perception.engines.rewriting import (
    leave_transposed,
    rewrite,
    take_bytes,
    take_rows,
    well_formed,
)
from edge_robot.perception.onnx_check import check_graph

INSTALLED = [name for name in ENGINES if find_spec(name) is not None]


class Network:
    """A network in the making, with weights drawn from a seed."""

    def __init__(self, shape: list[int], seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.shape = shape

    def constant(self, values: np.ndarray) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def add(self, kind: str, *inputs: str, **attributes: object) -> str:
        output = f"{kind}_{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(kind, inputs, [output], name=output, **attributes)  # type: ignore[arg-type]
        )
        return output

    def convolve(self, source: str, shape: tuple[int, ...], **attributes: object) -> str:
        weights = self.random.normal(0.0, 0.3, shape).astype(np.float32)
        bias = self.random.normal(0.0, 0.3, shape[0]).astype(np.float32)
        return self.add("Conv", source, self.constant(weights), self.constant(bias), **attributes)

    def focus(self, *, inline: bool, stop: int = sys.maxsize) -> str:
        """Add YOLOX's focus, as its exports write it, or with constants as nodes."""
        numbers = {value: self.constant(np.array([value])) for value in (0, 1, 2, 3, stop)}
        if inline:
            for value in list(numbers):
                tensor = numpy_helper.from_array(np.array([value]))
                numbers[value] = self.add("Constant", value=tensor)
        quarters = []
        for row, column in ((0, 0), (1, 0), (0, 1), (1, 1)):
            half = "image"
            for axis, first in ((2, row), (3, column)):
                half = self.add(
                    "Slice", half, numbers[first], numbers[stop], numbers[axis], numbers[2]
                )
            quarters.append(half)
        return self.add("Concat", *quarters, axis=1)

    def model(self, *outputs: str, opset: int = 11) -> onnx.ModelProto:
        free = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            "network",
            [free("image", TensorProto.FLOAT, self.shape)],
            [free(name, TensorProto.FLOAT, None) for name in outputs],
            self.constants,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8
        )
        return onnx.shape_inference.infer_shapes(model)


def small_network() -> onnx.ModelProto:
    """Everything a rewrite looks for, once: focus, a pool of 20 channels, a softmax over some."""
    network = Network([1, 3, 32, 48])
    stem = network.convolve(network.focus(inline=False), (20, 12, 3, 3), pads=[1, 1, 1, 1])
    pooled = network.add(
        "MaxPool", network.add("Relu", stem), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]
    )
    deep = network.convolve(pooled, (20, 1, 3, 3), group=20, pads=[1, 1, 1, 1])
    left, right = network.convolve(deep, (8, 20, 1, 1)), network.convolve(pooled, (5, 20, 1, 1))
    turned = network.add("Transpose", left, perm=[0, 3, 2, 1])
    likely = network.add("Softmax", turned, axis=3)
    back = network.add("Transpose", likely, perm=[0, 3, 2, 1])
    return network.model(network.add("Concat", right, back, axis=1))


def plain_run(model: onnx.ModelProto, image: np.ndarray) -> list[np.ndarray]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image})


def run(engine: Engine, image: np.ndarray) -> list[np.ndarray]:
    engine.bind(image.shape)[:] = image
    return engine.run()


def loads(provider: str) -> bool:
    """Whether ONNX Runtime has a provider, its driver and its libraries."""
    with suppress(UserError):
        open_engine(checked(small_network()), "small", provider=provider)
        return True
    return False


def checked(model: onnx.ModelProto) -> onnx.ModelProto:
    return check_graph(model.SerializeToString(), "small")


def images(shape: tuple[int, ...], count: int = 2) -> np.ndarray:
    return np.random.default_rng(5).normal(0.0, 2.0, (count, *shape)).astype(np.float32)


@pytest.fixture(autouse=True)
def no_cache_of_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize("name", INSTALLED)
def test_engines_compute_what_the_network_says(name: str) -> None:
    model = small_network()
    engine = open_engine(checked(model), "small", engine=name)
    assert engine.name == name
    assert engine.provider in ("CPUExecutionProvider", "OpenVINO CPU")
    assert [(spec.name, spec.shape, spec.type) for spec in engine.inputs] == [
        ("image", (1, 3, 32, 48), "float32")
    ]
    assert [spec.shape for spec in engine.outputs] == [(1, 13, 8, 12)]
    for image in images((1, 3, 32, 48)):
        (output,) = run(engine, image)
        (expected,) = plain_run(model, image)
        np.testing.assert_allclose(output, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "provider"),
    [*((name, "cpu") for name in INSTALLED), ("onnxruntime", "cuda"), ("onnxruntime", "tensorrt")],
)
def test_the_same_memory_serves_every_run(name: str, provider: str) -> None:
    model = small_network()
    if provider != "cpu" and not loads(provider):
        pytest.skip(f"{provider} does not load here")
    engine = open_engine(checked(model), "small", engine=name, provider=provider)
    tensor = engine.bind((1, 3, 32, 48))
    for image in images((1, 3, 32, 48), 3):
        tensor[:] = image
        np.testing.assert_allclose(engine.run()[0], plain_run(model, image)[0], atol=1e-4)


def test_outputs_of_a_size_that_only_a_run_tells() -> None:
    """As many as the input has positive values: no memory can be bound beforehand."""
    network = Network([1, 4])
    positive = network.add("NonZero", network.add("Relu", "image"))
    model = network.model(network.add("Cast", positive, to=TensorProto.FLOAT), opset=13)
    engine = open_engine(checked(model), "counting")
    tensor = engine.bind((1, 4))
    for count in (3, 0, 4):
        tensor[:] = [[1.0] * count + [-1.0] * (4 - count)]
        np.testing.assert_array_equal(engine.run()[0][1], np.arange(count))


@pytest.mark.parametrize("inline", [False, True])
def test_a_focus_becomes_one_convolution(inline: bool) -> None:
    network = Network([1, 3, 16, 24])
    output = network.convolve(network.focus(inline=inline), (8, 12, 3, 3), pads=[1, 1, 1, 1])
    model = network.model(output)
    before = onnx.ModelProto.FromString(model.SerializeToString())
    assert rewrite(model, block=1)
    assert [node.op_type for node in model.graph.node] == ["Conv"]
    (image,) = images((1, 3, 16, 24), 1)
    np.testing.assert_allclose(plain_run(model, image)[0], plain_run(before, image)[0], atol=1e-5)


@given(
    channels=st.integers(1, 40),
    kernel=st.sampled_from([1, 3]),
    block=st.sampled_from([1, 8, 16]),
    grouped=st.booleans(),
    seed=st.integers(0, 9),
)
@settings(max_examples=15, deadline=None)
def test_filling_up_channels_changes_no_output(
    channels: int, kernel: int, block: int, grouped: bool, seed: int
) -> None:
    network = Network([1, 2, 9, 11], seed)
    pads = [kernel // 2] * 4
    stem = network.convolve("image", (channels, 2, kernel, kernel), pads=pads)
    pooled = network.add("MaxPool", network.add("Relu", stem), kernel_shape=[2, 2])
    if grouped:
        pooled = network.convolve(pooled, (channels, 1, 3, 3), group=channels)
    model = network.model(network.convolve(pooled, (3, channels, 1, 1)))
    before = onnx.ModelProto.FromString(model.SerializeToString())
    assert rewrite(model, block) == (channels % block != 0)
    (image,) = images((1, 2, 9, 11), 1)
    np.testing.assert_allclose(plain_run(model, image)[0], plain_run(before, image)[0], atol=1e-5)


@given(
    widths=st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(1, 8)),
    outputs=st.integers(1, 10),
    place=st.integers(0, 2),
    how=st.sampled_from(
        [
            {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
            {"coordinate_transformation_mode": "half_pixel"},
        ]
    ),
)
@settings(max_examples=15, deadline=None)
def test_enlarging_after_mixing_is_the_same(
    widths: tuple[int, int, int], outputs: int, place: int, how: dict[str, str]
) -> None:
    network = Network([1, 3, 12, 16])
    small = network.convolve("image", (widths[0], 3, 2, 2), strides=[2, 2])
    scales = network.constant(np.array([1, 1, 2, 2], np.float32))
    large = network.add("Resize", small, network.constant(np.zeros(0, np.float32)), scales, **how)
    parts = [network.convolve("image", (width, 3, 1, 1)) for width in widths[1:]]
    parts.insert(place, large)
    stacked = network.add("Concat", *parts, axis=1)
    mixed = network.convolve(stacked, (outputs, sum(widths), 1, 1))
    model = network.model(network.add("Relu", mixed))
    before = onnx.ModelProto.FromString(model.SerializeToString())
    assert rewrite(model, block=1) == (outputs <= widths[0])
    onnx.checker.check_model(model, full_check=True)
    (image,) = images((1, 3, 12, 16), 1)
    np.testing.assert_allclose(plain_run(model, image)[0], plain_run(before, image)[0], atol=1e-4)


@given(widths=st.lists(st.sampled_from([8, 16, 5]), min_size=1, max_size=3), bias=st.booleans())
@settings(max_examples=10, deadline=None)
def test_what_is_stacked_is_mixed_part_by_part(widths: list[int], bias: bool) -> None:
    network = Network([1, 3, 12, 16])
    parts = [network.convolve("image", (width, 3, 1, 1)) for width in widths]
    stacked = network.add("Concat", *parts, axis=1)
    mixed = [network.convolve(stacked, (count, sum(widths), 1, 1)) for count in (4, 9)]
    if not bias:
        del network.nodes[-1].input[2:]
    model = network.model(*mixed)
    before = onnx.ModelProto.FromString(model.SerializeToString())
    assert rewrite(model, block=8) == (5 not in widths)
    onnx.checker.check_model(model, full_check=True)
    (image,) = images((1, 3, 12, 16), 1)
    for found, expected in zip(plain_run(model, image), plain_run(before, image), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_what_also_others_take_is_mixed_as_it_was() -> None:
    network = Network([1, 3, 12, 16])
    small = network.convolve("image", (8, 3, 2, 2), strides=[2, 2])
    scales = network.constant(np.array([1, 1, 2, 2], np.float32))
    large = network.add("Resize", small, network.constant(np.zeros(0, np.float32)), scales)
    stacked = network.add("Concat", large, "image", axis=1)
    model = network.model(
        network.convolve(stacked, (4, 11, 1, 1)), network.convolve(stacked, (4, 11, 3, 3))
    )
    assert not rewrite(model, block=1)


def quantized_network(factor: float, scale: float, zero: int) -> onnx.ModelProto:
    """A network in float32 whose input is rounded to bytes, as quantized ones begin."""
    network = Network([1, 3, 16, 16])
    scales = network.constant(np.float32(scale)), network.constant(np.uint8(zero))
    scaled = network.add("Mul", "image", network.constant(np.float32(factor)))
    bytes_ = network.add("QuantizeLinear", scaled, *scales)
    values = network.add("DequantizeLinear", bytes_, *scales)
    return network.model(network.convolve(values, (4, 3, 3, 3)), opset=13)


@given(
    factor=st.floats(2.0**-10, 2.0, width=32),
    scale=st.floats(2.0**-10, 2.0, width=32),
    zero=st.integers(0, 255),
    mean=st.sampled_from([0.0, 116.28]),
)
@settings(max_examples=20, deadline=None)
def test_an_image_in_bytes_gives_the_same(
    factor: float, scale: float, zero: int, mean: float
) -> None:
    model = quantized_network(factor, scale, zero)
    pixels = np.arange(3 * 256, dtype=np.uint8).reshape(1, 3, 16, 16)
    expected = plain_run(model, pixels.astype(np.float32) - np.float32(mean))[0]
    engine = open_engine(checked(model), "small")
    assert engine.quantization is not None
    tensor = engine.bind((1, 3, 16, 16))
    assert (tensor.shape, tensor.dtype) == ((1, 16, 16, 3), np.uint8)
    table = engine.quantization(np.arange(256, dtype=np.float32) - np.float32(mean))
    tensor[:] = table[pixels].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(engine.run()[0], expected, atol=1e-4 * np.abs(expected).max())


@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 6)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    before=st.integers(0, 4),
    zero=st.integers(0, 255),
    relu=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=20, deadline=None)
def test_columns_in_groups_give_the_same_integers(
    kernel: tuple[int, int], strides: tuple[int, int], before: int, zero: int, relu: bool, seed: int
) -> None:
    rows, columns = kernel
    after = max(0, columns - before - strides[1])  # as many outputs as fit into the width
    pads = [rows // 2, before, rows // 2, after]
    network = Network([1, 3, 9, 24], seed)
    scales = network.constant(np.float32(0.02)), network.constant(np.uint8(zero))
    bytes_ = network.add("QuantizeLinear", "image", *scales)
    taken = [network.add("DequantizeLinear", bytes_, *scales)]
    for values in (
        network.random.integers(-63, 64, (5, 3, *kernel)).astype(np.int8),
        network.random.integers(-9000, 9000, 5).astype(np.int32),
    ):
        scale = network.random.uniform(1e-3, 2e-3, 5) * (0.02 if values.ndim == 1 else 1.0)
        of_channels = scale.astype(np.float32), np.zeros(5, values.dtype)
        constants = map(network.constant, (values, *of_channels))
        taken.append(network.add("DequantizeLinear", *constants, axis=0))
    value = network.add("Conv", *taken, strides=list(strides), pads=pads)
    value = network.add("Relu", value) if relu else value
    scales = network.constant(np.float32(0.03)), network.constant(np.uint8(0 if relu else 128))
    rounded = network.add("QuantizeLinear", value, *scales)
    model = network.model(network.add("DequantizeLinear", rounded, *scales), opset=13)
    (image,) = images((1, 3, 9, 24), 1)
    expected = plain_run(model, image)[0]
    rewritten = checked(model)
    quantization = take_bytes(rewritten)
    assert quantization is not None
    fits = (24 + before + after - columns) // strides[1] + 1 == 24 // strides[1]
    wide = 24 % (2 * strides[1]) == 0 and fits
    assert any(node.op_type == "Reshape" for node in rewritten.graph.node) == wide
    found = plain_run(rewritten, quantization(image).transpose(0, 2, 3, 1).copy())[0]
    np.testing.assert_array_equal(found, expected)


@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    pads=st.tuples(*[st.integers(0, 2)] * 4),
)
@settings(max_examples=10, deadline=None)
def test_rows_of_an_image_are_convolved_as_one_plane(
    kernel: tuple[int, int], strides: tuple[int, int], pads: tuple[int, ...]
) -> None:
    network = Network([2, 3, 9, 14])
    model = network.model(
        network.convolve("image", (5, 3, *kernel), strides=list(strides), pads=list(pads))
    )
    (image,) = images((2, 3, 9, 14), 1)
    expected = plain_run(model, image)[0]
    assert take_rows(model) == (max(kernel) <= 3)
    taken = image.transpose(0, 2, 3, 1).copy() if max(kernel) <= 3 else image
    np.testing.assert_allclose(plain_run(model, taken)[0], expected, atol=1e-4)


@pytest.mark.parametrize("opened", [False, True])
def test_an_output_that_is_only_transposed_is_a_view(opened: bool) -> None:
    network = Network([1, 3, 8, 12])
    network.nodes.append(
        helper.make_node("Transpose", [network.add("Relu", "image")], ["turned"], perm=[0, 3, 1, 2])
    )
    model = network.model("turned", network.add("Sigmoid", "image"))
    if opened:  # sizes that only a run tells
        model.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "wide"
        model.graph.input[0].type.tensor_type.shape.dim[3].dim_param = "wide"
    engine = open_engine(checked(model), "small")
    assert engine.outputs[0].shape == (1, None if opened else 12, 3, 8)
    for image in images((1, 3, 8, 12)):
        turned, plain = run(engine, image)
        np.testing.assert_array_equal(turned, np.maximum(image, 0.0).transpose(0, 3, 1, 2))
        assert not turned.flags.c_contiguous
        assert plain.flags.c_contiguous


def test_files_that_name_their_weights_as_inputs_are_rewritten_too() -> None:
    model = small_network()
    before = onnx.ModelProto.FromString(model.SerializeToString())
    for tensor in model.graph.initializer:
        model.graph.input.append(
            helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        )
    assert rewrite(model, block=16)
    (image,) = images((1, 3, 32, 48), 1)
    np.testing.assert_allclose(plain_run(model, image)[0], plain_run(before, image)[0], atol=1e-5)


def test_a_network_that_needs_its_image_in_float_keeps_it() -> None:
    network = Network([1, 3, 8, 8])
    scales = network.constant(np.float32(0.1)), network.constant(np.uint8(3))
    bytes_ = network.add("QuantizeLinear", "image", *scales)
    rounded = network.add("DequantizeLinear", bytes_, *scales)
    model = network.model(network.add("Add", rounded, "image"), opset=13)
    content = model.SerializeToString()
    assert take_bytes(model) is None
    assert model.SerializeToString() == content


def test_what_only_looks_alike_is_left_as_it_is() -> None:
    """Slices that end early, a pool that something else takes too, transpositions that do not
    undo each other."""
    network = Network([1, 3, 16, 24])
    network.convolve(network.focus(inline=False, stop=10), (8, 12, 3, 3))
    pooled = network.add("MaxPool", network.convolve("image", (5, 3, 1, 1)), kernel_shape=[2, 2])
    network.convolve(pooled, (3, 5, 1, 1))
    network.add("Sigmoid", pooled)
    turned = network.add("Transpose", "image", perm=[0, 3, 2, 1])
    network.add("Transpose", network.add("Softmax", turned, axis=3), perm=[0, 2, 3, 1])
    outputs = [node.output[0] for node in network.nodes if node.op_type != "Constant"]
    model = network.model(*outputs[-5:])
    content = model.SerializeToString()
    assert not rewrite(model, block=16)
    assert model.SerializeToString() == content


def everything() -> bytes:
    """A network with all that the rewrites look for, and an input that is rounded to bytes."""
    network = Network([1, 3, 32, 48])
    scales = network.constant(np.float32(0.5)), network.constant(np.uint8(0))
    scaled = network.add("Mul", "image", network.constant(np.float32(0.1)))
    values = network.add(
        "DequantizeLinear", network.add("QuantizeLinear", scaled, *scales), *scales
    )
    stem = network.convolve(values, (20, 3, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2])
    pooled = network.add("MaxPool", network.add("Relu", stem), kernel_shape=[2, 2], strides=[2, 2])
    deep = network.convolve(pooled, (20, 1, 3, 3), group=20, pads=[1, 1, 1, 1])
    sides = network.convolve(pooled, (4, 20, 1, 1)), network.convolve(deep, (8, 20, 1, 1))
    sizes = network.constant(np.array([1, 1, 2, 2], np.float32))
    none = network.constant(np.zeros(0, np.float32))
    large = network.add("Resize", sides[0], none, sizes, mode="nearest")
    doubled = network.add("Resize", sides[1], none, sizes, mode="linear")
    mixed = network.convolve(network.add("Concat", large, doubled, axis=1), (3, 12, 1, 1))
    turned = network.add("Transpose", mixed, perm=[0, 2, 3, 1])
    likely = network.add("Softmax", turned, axis=3)
    back = network.add("Transpose", likely, perm=[0, 3, 1, 2])
    return network.model(network.add("Transpose", back, perm=[0, 2, 1, 3])).SerializeToString()


EVERYTHING = everything()


def apply_all(model: onnx.ModelProto) -> None:
    if not well_formed(model):
        return
    rewrite(model, block=16)
    if take_bytes(model) is None:
        take_rows(model)
    leave_transposed(model)


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_no_graph_that_passes_the_check_confuses_the_rewrites(data: st.DataObject) -> None:
    model = onnx.ModelProto.FromString(EVERYTHING)
    for _ in range(data.draw(st.integers(1, 3))):
        fields = list(changeable(model))
        message, field, index = fields[data.draw(st.integers(0, len(fields) - 1))]
        if field.cpp_type == field.CPPTYPE_STRING:
            names = ["image", "MaxPool_4", "Concat_12", "constant_3", "axis", "Relu", "Conv", ""]
            value = data.draw(st.sampled_from(names))
            value = value.encode() if field.type == field.TYPE_BYTES else value
        elif field.cpp_type == field.CPPTYPE_FLOAT:
            value = data.draw(st.floats(width=32))
        else:
            value = data.draw(st.sampled_from([-1, 0, 1, 2, 3, 20, 2**31 - 1]))
        try:
            if index is None:
                setattr(message, field.name, value)
            else:
                getattr(message, field.name)[index] = value
        except ValueError:  # no number for this field
            continue
    for node in data.draw(st.lists(st.sampled_from(list(model.graph.node)), max_size=2)):
        del (node.input if data.draw(st.booleans()) else node.output)[-1:]
    with suppress(UserError):
        apply_all(check_graph(model.SerializeToString(), "changed"))


def test_values_of_no_type_are_not_well_formed() -> None:
    network = Network([1, 3, 8, 8])
    taken = network.add("Cast", network.add("Relu", "image"), to=TensorProto.FLOAT)
    model = network.model(network.add("Relu", taken), opset=13)
    assert well_formed(model)
    model.graph.node[1].attribute[0].i = 0
    assert not well_formed(model)


def test_a_provider_that_is_not_here_is_refused() -> None:
    demanded = open_engine(checked(small_network()), "small", provider="cpu")
    assert demanded.provider == "CPUExecutionProvider"
    for provider in ("cuda", "tensorrt"):
        if any(provider in name.lower() for name in ort.get_available_providers()):
            continue
        with pytest.raises(UserError, match=f"provider {provider} is not in this ONNX Runtime"):
            open_engine(checked(small_network()), "small", provider=provider)
    with pytest.raises(UserError, match="engine openvino has no provider cuda"):
        open_engine(checked(small_network()), "small", engine="openvino", provider="cuda")


def test_a_provider_that_does_not_load_leaves_the_cpu_as_if_it_were_not_built_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if loads("cuda"):
        pytest.skip("CUDA loads here")
    model, image = small_network(), images((1, 3, 32, 48), 1)[0]
    monkeypatch.setattr(
        ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        engine = open_engine(checked(model), "small")
    assert engine.provider == "CPUExecutionProvider"
    np.testing.assert_allclose(run(engine, image)[0], plain_run(model, image)[0], atol=1e-4)
    with (
        pytest.warns(UserWarning, match="CUDAExecutionProvider"),
        pytest.raises(UserError, match="cannot be run on cuda"),
    ):
        open_engine(checked(model), "small", provider="cuda")


@pytest.mark.parametrize("choice", [{"engine": "tflite"}, {"provider": "npu"}])
def test_engines_and_providers_unknown_are_said(choice: dict[str, str]) -> None:
    with pytest.raises(UserError, match="choose one of"):
        open_engine(checked(small_network()), "small", **choice)  # type: ignore[arg-type]


def test_without_openvino_its_engine_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UserError, match=r"pip install 'edge_robot\[openvino\]'"):
        open_engine(checked(small_network()), "small", engine="openvino")


@pytest.mark.skipif("openvino" not in INSTALLED, reason="openvino is not installed")
def test_openvino_does_not_phone_home() -> None:
    code = (
        "import sys, onnx; from edge_robot.perception.engines import open_engine\n"
        "open_engine(onnx.load_from_string(sys.stdin.buffer.read()), 'small', engine='openvino')\n"
        "assert 'openvino' in sys.modules and not sys.modules['openvino_telemetry']"
    )
    subprocess.run(
        [sys.executable, "-c", code], input=small_network().SerializeToString(), check=True
    )


@pytest.mark.parametrize("name", INSTALLED)
def test_a_network_that_cannot_run_is_one_clear_line(name: str) -> None:
    network = Network([1, 3, 8, 8])
    model = network.model(network.add("Relu", "image"))
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(UserError, match="no ONNX model") as raised:
        open_engine(checked(model), "odd", engine=name)
    assert "\n" not in str(raised.value)


def test_weights_in_another_file_are_not_read(tmp_path: Path) -> None:
    model = small_network()
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(4096))
    tensor = model.graph.initializer[-1]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", str(secret)
    with pytest.raises(UserError, match="no ONNX model"):
        open_engine(checked(model), "hostile")


def test_the_cache_is_the_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = engine_cache("tensorrt")
    assert folder == tmp_path / "edge_robot" / "engines" / "tensorrt"
    assert folder.stat().st_mode & 0o077 == 0
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert engine_cache("tensorrt") is None
