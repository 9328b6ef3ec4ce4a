"""What a model file may not be, and that nothing else gets through than what a runtime survives."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_mutants import small_detector
from onnx import ModelProto, TensorProto, helper

from edge_robot.errors import UserError
from edge_robot.perception.onnx_check import MAX_DEPTH, check_graph
from edge_robot.share import share_dir


def test_real_detectors_pass(shared_data: Path) -> None:
    for folder in (share_dir() / "models", shared_data / "models"):
        for path in folder.glob("*.onnx"):
            assert check_graph(path.read_bytes(), path.name).graph.node


def external_path(model: ModelProto) -> None:
    weights = model.graph.initializer[0]
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../../../etc/passwd")


def external_path_without_saying(model: ModelProto) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="weights.bin")


def external_in_an_attribute(model: ModelProto) -> None:
    tensor = TensorProto(data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    model.graph.node.append(helper.make_node("Constant", [], ["k"], value=tensor))


def external_in_a_branch(model: ModelProto) -> None:
    branch = next(a.g for node in model.graph.node for a in node.attribute if a.HasField("g"))
    branch.initializer.add(data_type=TensorProto.FLOAT, dims=[4], data_location=1, name="deep")


def more_declared_than_held(model: ModelProto) -> None:
    model.graph.initializer[0].dims[0] = 7


def overflowing_product(model: ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [2**32, 2**32]  # 0 in 64 bits


def negative_size(model: ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [-1, -162]


def two_sets_of_values(model: ModelProto) -> None:
    model.graph.initializer[0].float_data.extend([0.0] * 162)


def absurd_input(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 2**40


def absurd_scale(model: ModelProto) -> None:
    scales = np.array([1, 1, 2e6, 2e6], np.float32)
    model.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(scales, "scales"))


def absurd_fill(model: ModelProto) -> None:
    model.graph.node.extend(
        [
            helper.make_node("Constant", [], ["size"], value_ints=[2**20, 2**20]),
            helper.make_node("ConstantOfShape", ["size"], ["filled"]),
        ]
    )


def absurd_kernel(model: ModelProto) -> None:
    next(a for a in model.graph.node[0].attribute if a.name == "pads").ints[0] = 2**62


def own_operator(model: ModelProto) -> None:
    model.graph.node[0].domain = "my.plugins"


def unknown_operator(model: ModelProto) -> None:
    model.graph.node[0].op_type = "Convolution"


def operator_without_its_weights(model: ModelProto) -> None:
    del model.graph.node[0].input[1:]


def operators_of_no_version(model: ModelProto) -> None:
    model.opset_import[0].version = 2**62


def operator_that_opens_files(model: ModelProto) -> None:
    model.graph.node[0].domain, model.graph.node[0].op_type = "com.microsoft", "EPContext"


def own_function(model: ModelProto) -> None:
    model.functions.add(name="f", domain="here")


def deep_nesting(model: ModelProto) -> None:
    graph = model.graph
    for depth in range(MAX_DEPTH):
        graph.node.append(helper.make_node("If", ["true"], [f"n{depth}"]))
        graph = graph.node[-1].attribute.add(name="then_branch", type=5).g
    graph.node.append(helper.make_node("Identity", ["true"], ["m"]))


def unreadable_name(model: ModelProto) -> None:
    content = model.SerializeToString().replace(b"images", b"\xe9mages")
    model.ParseFromString(content)


def sparse_weights(model: ModelProto) -> None:
    model.graph.sparse_initializer.add(dims=[2**20, 2**20])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (external_path, "another file"),
        (external_path_without_saying, "another file"),
        (external_in_an_attribute, "another file"),
        (external_in_a_branch, "another file"),
        (more_declared_than_held, "does not hold"),
        (overflowing_product, "elements"),
        (negative_size, "negative"),
        (two_sets_of_values, "does not hold"),
        (absurd_input, "elements"),
        (absurd_scale, "elements"),
        (absurd_fill, "elements"),
        (absurd_kernel, "pads"),
        (own_operator, "library"),
        (unknown_operator, "no operator"),
        (operator_without_its_weights, "too few"),
        (operators_of_no_version, "version"),
        (operator_that_opens_files, "library"),
        (own_function, "functions"),
        (deep_nesting, "nested"),
        (unreadable_name, "UTF-8"),
        (sparse_weights, "sparse"),
    ],
)
def test_a_hostile_model_is_refused_in_one_line(
    change: Callable[[ModelProto], None], reason: str
) -> None:
    model = small_detector()
    check_graph(model.SerializeToString(), "harmless")
    change(model)
    with pytest.raises(UserError, match=reason) as raised:
        check_graph(model.SerializeToString(), "hostile.onnx")
    assert "hostile.onnx" in str(raised.value)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00", b"PK\x03\x04" + bytes(50), b"\x1c\x00\x00\x00ORTM" + bytes(50), b"<html>"],
)
def test_what_is_no_onnx_is_said(content: bytes) -> None:
    with pytest.raises(UserError, match="no ONNX model"):
        check_graph(content, "m.onnx")


@settings(deadline=None)
@given(content=st.binary(max_size=300))
def test_no_bytes_make_the_check_fail_otherwise(content: bytes) -> None:
    with pytest.raises(UserError):
        check_graph(content, "m.onnx")


def test_what_passes_does_not_crash_the_runtime() -> None:
    script = Path(__file__).parent / "model_mutants.py"
    ended = subprocess.run(
        [sys.executable, str(script), "300", "1"], capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert "'ran'" in ended.stdout, "no mutant got as far as an inference"
