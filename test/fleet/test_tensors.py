"""Tensors on the wire and arrays, against Triton's own client, and against nonsense."""

from __future__ import annotations

import numpy as np
import pytest
import tritonclient.grpc as triton
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_dtypes import bfloat16, finfo
from tritonclient.grpc import service_pb2 as pb

from edge_robot.fleet import tensors
from edge_robot.fleet.tensors import TensorError, add_arrays, to_arrays

NUMERIC = {
    "BOOL": np.bool_,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "BF16": bfloat16,
}
TYPED = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
}


def extremes(datatype: str) -> np.ndarray:
    """The least and the greatest value of a datatype, and some between, as (2, 2)."""
    dtype = np.dtype(NUMERIC[datatype])
    if dtype.kind == "b":
        return np.array([[False, True], [True, False]])
    limits = np.iinfo(dtype) if dtype.kind in "iu" else finfo(dtype)
    return np.array([[limits.min, limits.max], [0, 1]], dtype)


def request_with(datatype: str, shape: list[int], raw: bytes | None = None) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest()
    request.inputs.add(name="x", datatype=datatype, shape=shape)
    if raw is not None:
        request.raw_input_contents.append(raw)
    return request


@pytest.mark.parametrize("datatype", NUMERIC)
def test_numbers_arrive_as_tritons_client_sends_them_and_go_back(datatype: str) -> None:
    array = extremes(datatype)
    sent = triton.InferInput("x", list(array.shape), datatype)
    sent.set_data_from_numpy(array)
    request = pb.ModelInferRequest(
        inputs=[sent._get_tensor()], raw_input_contents=[sent._get_content()]
    )
    received = to_arrays(request)["x"]
    assert received.dtype == array.dtype
    assert np.array_equal(received, array)
    answer = pb.ModelInferResponse()
    add_arrays(answer, {"x": array.astype(array.dtype.newbyteorder(">"))})
    assert np.array_equal(triton.InferResult(answer).as_numpy("x"), array)
    assert np.array_equal(to_arrays(answer)["x"], array)


@pytest.mark.parametrize("datatype", TYPED)
def test_typed_contents_hold_the_same(datatype: str) -> None:
    array = extremes(datatype)
    request = request_with(datatype, [2, 2])
    getattr(request.inputs[0].contents, TYPED[datatype]).extend(array.ravel().tolist())
    received = to_arrays(request)["x"]
    assert received.dtype == array.dtype
    assert np.array_equal(received, array)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=20), max_size=6))
def test_bytes_arrive_raw_and_typed(items: list[bytes]) -> None:
    array = np.array([*items, None], object)[:-1]
    answer = pb.ModelInferRequest()
    add_arrays(answer, {"x": array})
    assert to_arrays(answer)["x"].tolist() == items
    typed = request_with("BYTES", [len(items)])
    typed.inputs[0].contents.bytes_contents.extend(items)
    assert to_arrays(typed)["x"].tolist() == items


@pytest.mark.parametrize(
    ("datatype", "shape", "raw", "reason"),
    [
        ("FP32", [2, 2], bytes(15), r"'x' holds 15 bytes; FP32 of shape \[2, 2\] has 16"),
        ("FP32", [2, 2], bytes(20), "holds 20 bytes"),
        ("FP32", [-1, 4], bytes(16), r"shape \[-1, 4\]"),
        ("FP32", [2**40, 2**40], b"", "elements"),
        ("FP32", [0, 2**62, 2**62], b"", "elements"),
        ("FP32", [1] * 5000, bytes(4), r"…\]; sizes"),
        ("FP31", [1], bytes(4), "datatype 'FP31'; known are BOOL"),
        ("ÿ" * 300, [1], bytes(4), "datatype"),
        ("BOOL", [2], b"\1\2", "neither 0 nor 1"),
        ("BYTES", [1], b"\5\0\0\0abc", "past the end"),
        ("BYTES", [1], b"\5", "within an item's length"),
        ("BYTES", [2], b"\0\0\0\0", "1 items; its shape"),
        ("BYTES", [1], bytes(4 * 2_000_000), "more than 1 items"),
        ("BYTES", [10**6], b"", "at most 65536"),
        ("BYTES", [0], bytes(4), "more than 0 items"),
    ],
)
def test_raw_contents_that_break_their_word_are_refused(
    datatype: str, shape: list[int], raw: bytes, reason: str
) -> None:
    with pytest.raises(TensorError, match=reason) as raised:
        to_arrays(request_with(datatype, shape, raw))
    assert len(str(raised.value)) < 600


@pytest.mark.parametrize(
    ("datatype", "field", "values", "reason"),
    [
        ("INT8", "int_contents", [128], "out of the range of INT8"),
        ("UINT8", "uint_contents", [256], "out of the range of UINT8"),
        ("INT8", "uint_contents", [1], "fills uint_contents, not int_contents"),
        ("FP16", "fp32_contents", [1.0], "only raw contents"),
        ("FP32", "fp32_contents", [1.0, 2.0], r"2 values; its shape \[1\] has 1"),
        ("FP32", "fp32_contents", [], "0 values"),
    ],
)
def test_typed_contents_that_break_their_word_are_refused(
    datatype: str, field: str, values: list[float], reason: str
) -> None:
    request = request_with(datatype, [1])
    getattr(request.inputs[0].contents, field).extend(values)
    with pytest.raises(TensorError, match=reason):
        to_arrays(request)


def test_empty_typed_contents_beside_raw_ones_are_mlservers_way() -> None:
    message = request_with("UINT8", [1], b"\7")
    message.inputs[0].contents.SetInParent()
    assert to_arrays(message)["x"].tolist() == [7]


def test_messages_that_contradict_themselves_are_refused() -> None:
    twice = request_with("UINT8", [1], b"\0")
    with pytest.raises(TensorError, match="2 raw contents for 1 inputs"):
        twice.raw_input_contents.append(b"\0")
        to_arrays(twice)
    with pytest.raises(TensorError, match="'x' is given twice"):
        twice.inputs.add().CopyFrom(twice.inputs[0])
        to_arrays(twice)
    both = request_with("UINT8", [1], b"\0")
    both.inputs[0].contents.uint_contents.append(0)
    with pytest.raises(TensorError, match="both raw and typed"):
        to_arrays(both)
    shared = request_with("UINT8", [1])
    shared.inputs[0].parameters["shared_memory_region"].string_param = "region"
    with pytest.raises(TensorError, match="shared memory"):
        to_arrays(shared)
    many = pb.ModelInferResponse()
    add_arrays(many, {str(i): np.zeros(1) for i in range(tensors.MAX_TENSORS + 1)})
    with pytest.raises(TensorError, match="65 outputs"):
        to_arrays(many)


def test_numbers_listed_one_by_one_are_bounded() -> None:
    values = [0] * (tensors.MAX_LISTED + 1)
    with pytest.raises(TensorError, match="send raw contents"):
        tensors.from_list("input 'x'", "UINT8", [len(values)], values)
    with pytest.raises(TensorError, match="another kind"):
        tensors.from_list("input 'x'", "UINT8", [1], [1.0])
    with pytest.raises(TensorError, match="another kind"):
        tensors.from_list("input 'x'", "FP32", [1], [True])


def test_an_array_the_protocol_cannot_carry_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError, match="complex128"):
        add_arrays(pb.ModelInferRequest(), {"x": np.zeros(1, complex)})
