"""Run by test_onnx_check.py in its own process: changed models, checked, loaded if they pass.

A runtime that crashes on what `check_graph` let through takes this process with it.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from edge_robot.errors import UserError
from edge_robot.perception.detector import Detector
from edge_robot.perception.model_card import ModelCard
from edge_robot.perception.onnx_check import check_graph

SIZE = 32
CARD = ModelCard("yolox", ("thing",), SIZE, SIZE)
NUMBERS = [-(2**63), -(2**31), -2, -1, 0, 1, 2, 3, 7, 13, 255, 2**20, 2**31, 2**62, 2**63 - 1]


def small_detector() -> onnx.ModelProto:
    """Return a `yolox` detector of one class with a convolution, pools, a resize and an If."""
    rng = np.random.default_rng(1)

    def held(name: str, array: np.ndarray) -> TensorProto:
        return onnx.numpy_helper.from_array(array, name)

    inner = helper.make_graph(
        [helper.make_node("Mul", ["rows", "one"], ["kept"])],
        "inner",
        [],
        [helper.make_tensor_value_info("kept", TensorProto.FLOAT, None)],
    )
    graph = helper.make_graph(
        [
            helper.make_node(
                "Conv",
                ["images", "weights"],
                ["a"],
                kernel_shape=[3, 3],
                strides=[4, 4],
                pads=[1, 1, 1, 1],
            ),
            helper.make_node("MaxPool", ["a"], ["b"], kernel_shape=[2, 2], strides=[2, 2]),
            helper.make_node("Resize", ["b", "", "scales"], ["c"], mode="nearest"),
            helper.make_node("MaxPool", ["c"], ["d"], kernel_shape=[2, 2], strides=[2, 2]),
            helper.make_node("Reshape", ["d", "shape"], ["e"]),
            helper.make_node("Concat", ["e", "more"], ["f"], axis=2),
            helper.make_node("Transpose", ["f"], ["rows"], perm=[0, 2, 1]),
            helper.make_node("If", ["true"], ["cells"], then_branch=inner, else_branch=inner),
        ],
        "small",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("cells", TensorProto.FLOAT, [1, 21, 6])],
        [
            held("weights", rng.standard_normal((6, 3, 3, 3)).astype(np.float32)),
            held("scales", np.array([1, 1, 2, 2], np.float32)),
            held("shape", np.array([1, 6, 16], np.int64)),
            held("more", np.zeros((1, 6, 5), np.float32)),
            held("one", np.float32([1.0])),
            held("true", np.array(True)),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return model


CONTENT = small_detector().SerializeToString()


@st.composite
def changed_bytes(draw: st.DrawFn) -> bytes:
    """Return the detector's bytes with some of them changed, left out, doubled or inserted."""
    content = bytearray(CONTENT)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        change = draw(st.sampled_from(["set", "flip", "cut", "insert", "double"]))
        if change == "set":
            content[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif change == "flip":
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif change == "cut":
            del content[at : at + draw(st.integers(1, 8))]
        elif change == "insert":
            content[at:at] = draw(st.binary(min_size=1, max_size=10))
        else:
            content[at:at] = content[at : at + draw(st.integers(1, 40))]
    return bytes(content)


@st.composite
def changed_fields(draw: st.DrawFn) -> bytes:
    """Return the detector, well-formed, with numbers and names in it that are others."""
    model = onnx.ModelProto.FromString(CONTENT)
    for _ in range(draw(st.integers(0, 3))):
        fields = list(changeable(model))
        message, field, index = fields[draw(st.integers(0, len(fields) - 1))]
        if field.cpp_type == field.CPPTYPE_STRING:
            known = st.sampled_from(["a", "rows", "scales", "shape", "MaxPool", "Reshape", "axis"])
            value = draw(known | st.text(max_size=5))
            value = value.encode() if field.type == field.TYPE_BYTES else value
        elif field.cpp_type == field.CPPTYPE_FLOAT:
            value = draw(st.floats(width=32))
        else:
            value = draw(st.sampled_from(NUMBERS) | st.integers(0, 30))
        try:
            if index is None:
                setattr(message, field.name, value)
            else:
                getattr(message, field.name)[index] = value
        except ValueError:  # no number for this field
            continue
    return model.SerializeToString()


def changeable(model: onnx.ModelProto) -> Iterator[tuple[Message, FieldDescriptor, int | None]]:
    """Yield every number and text of a model: its message, field, and index where it has many."""
    waiting: list[Message] = [model]
    while waiting:
        message = waiting.pop()
        for field, value in message.ListFields():
            if field.message_type is not None:
                waiting += value if field.is_repeated else [value]
            elif field.is_repeated:
                yield from ((message, field, index) for index in range(min(len(value), 8)))
            elif field.name != "raw_data":
                yield message, field, None


def run(examples: int, first: int) -> Counter[str]:
    """Check mutants and load those that pass; return how many ended how."""
    ended: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutant.onnx"

        @seed(first)
        @given(content=changed_bytes() | changed_fields())
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def attempt(content: bytes) -> None:
            path.write_bytes(content)
            try:
                check_graph(content, path.name)
            except UserError:
                ended["refused"] += 1
                return
            try:
                detector = Detector(path, card=CARD)
            except UserError:
                ended["not loaded"] += 1
                return
            try:
                detector.warm_up(1)
                ended["ran"] += 1
            except UserError:
                ended["did not run"] += 1

        attempt()
    return ended


if __name__ == "__main__":
    print(dict(run(int(sys.argv[1]), int(sys.argv[2]))))
