"""Between tensors of the Open Inference Protocol, version 2, and NumPy arrays.

Used by both sides: the backend reads requests and writes answers, the robot the reverse. Whatever
comes in is checked exactly: what a shape promises must be there, no more and no less.

| datatype | array |
|---|---|
| `BOOL` | bool |
| `INT8` … `INT64`, `UINT8` … `UINT64` | the same |
| `FP16`, `FP32`, `FP64` | float16, float32, float64 |
| `BF16` | `ml_dtypes.bfloat16`, as Triton's client has it |
| `BYTES` | object array of `bytes`, likewise |
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ml_dtypes import bfloat16
from numpy.typing import NDArray

from edge_robot.fleet.protocol import pack_bytes, unpack_bytes

MAX_TENSORS = 64
"""Tensors in a message."""
MAX_RANK = 8
MAX_ELEMENTS = 2**31
"""Product of a shape's sizes other than 0; what is really there is bounded by the message."""
MAX_LISTED = 1_000_000
"""Numbers given one by one (typed contents, JSON), which cost far more than raw ones."""
MAX_ITEMS = 65_536
"""Items of a BYTES tensor."""

DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    "BF16": np.dtype(bfloat16),
    "BYTES": np.dtype(np.object_),
}
"""Datatypes of the protocol as NumPy has them."""

_DATATYPES = {dtype: datatype for datatype, dtype in DTYPES.items()}

# Field of InferTensorContents that holds a datatype; 16-bit floats have none.
_FIELDS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


class TensorError(ValueError):
    """A tensor is not what it says it is, or beyond a bound; the message says which and how."""


def to_arrays(message: Any) -> dict[str, NDArray[Any]]:
    """Return the tensors of a `ModelInferRequest` or `ModelInferResponse` by name.

    Args:
        message: The message; raw or typed contents, not both.

    Returns:
        Arrays of the shapes given. Those from raw contents are read-only views of the message.

    Raises:
        TensorError: a tensor is malformed, or given twice.
    """
    is_request = message.DESCRIPTOR.name == "ModelInferRequest"
    kind, tensors = ("input", message.inputs) if is_request else ("output", message.outputs)
    raw = message.raw_input_contents if is_request else message.raw_output_contents
    if len(tensors) > MAX_TENSORS:
        raise TensorError(f"{len(tensors)} {kind}s given; at most {MAX_TENSORS} are taken")
    if raw and len(raw) != len(tensors):
        raise TensorError(f"{len(raw)} raw contents for {len(tensors)} {kind}s")
    arrays: dict[str, NDArray[Any]] = {}
    for i, tensor in enumerate(tensors):
        what = f"{kind} {shown(tensor.name)}"
        if tensor.name in arrays:
            raise TensorError(f"{what} is given twice")
        if "shared_memory_region" in tensor.parameters:
            raise TensorError(f"{what} is in shared memory, which is not offered here: send it")
        shape = tuple(tensor.shape)
        if raw:
            if tensor.contents.ListFields():  # MLServer sends the field, and leaves it empty
                raise TensorError(f"{what} has both raw and typed contents; give one of them")
            arrays[tensor.name] = from_raw(what, tensor.datatype, shape, raw[i])
        else:
            values = _typed(what, tensor)
            arrays[tensor.name] = from_list(what, tensor.datatype, shape, values)
    return arrays


def add_arrays(message: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Append tensors with raw contents to a `ModelInferRequest` or `ModelInferResponse`.

    Raises:
        TypeError: an array's dtype has no datatype in the protocol.
    """
    is_request = message.DESCRIPTOR.name == "ModelInferRequest"
    tensors = message.inputs if is_request else message.outputs
    raw = message.raw_input_contents if is_request else message.raw_output_contents
    for name, array in arrays.items():
        tensors.add(name=name, datatype=datatype_of(array), shape=array.shape)
        raw.append(to_raw(array))


def datatype_of(array: NDArray[Any]) -> str:
    """Return the protocol's name of an array's dtype; of objects it is BYTES.

    Raises:
        TypeError: it has none.
    """
    datatype = _DATATYPES.get(array.dtype.newbyteorder("<"))
    if datatype is None:
        raise TypeError(f"arrays of {array.dtype} have no datatype in the protocol")
    return datatype


def to_raw(array: NDArray[Any]) -> bytes:
    """Return an array's raw contents: row-major, little-endian; BYTES as `pack_bytes` has them."""
    if array.dtype == np.object_:
        return pack_bytes(array.ravel().tolist())
    return np.asarray(array, array.dtype.newbyteorder("<")).tobytes()


def from_raw(
    what: str, datatype: str, shape: Sequence[int], raw: bytes | memoryview
) -> NDArray[Any]:
    """Return the array that raw contents hold.

    Args:
        what: Names the tensor in messages, such as `input 'image'`.
        datatype: As the protocol spells it.
        shape: Sizes.
        raw: The contents, row-major, little-endian.

    Returns:
        A read-only view of `raw`, but for BYTES.

    Raises:
        TensorError: the datatype is unknown, the shape beyond a bound, or not what `raw` holds.
    """
    dtype, count = _expected(what, datatype, shape)
    if datatype == "BYTES":
        return _items(what, shape, count, bytes(raw))
    if len(raw) != count * dtype.itemsize:
        raise TensorError(
            f"{what} holds {len(raw)} bytes; {datatype} of shape {list(shape)} has "
            f"{count * dtype.itemsize}"
        )
    if datatype == "BOOL" and count and np.frombuffer(raw, np.uint8).max() > 1:
        raise TensorError(f"{what} is BOOL and holds a byte that is neither 0 nor 1")
    return np.frombuffer(raw, dtype).reshape(shape)


def from_list(
    what: str, datatype: str, shape: Sequence[int], values: Sequence[Any]
) -> NDArray[Any]:
    """Return the array of values given one by one, row-major.

    Args:
        what: Names the tensor in messages, such as `input 'image'`.
        datatype: As the protocol spells it.
        shape: Sizes.
        values: Numbers, bools, or bytes for BYTES.

    Raises:
        TensorError: the datatype is unknown, the shape beyond a bound, or the values do not
            fit them in number, kind or range.
    """
    dtype, count = _expected(what, datatype, shape)
    if len(values) != count:
        raise TensorError(f"{what} holds {len(values)} values; its shape {list(shape)} has {count}")
    if count > MAX_LISTED:
        raise TensorError(
            f"{what} lists {count} values; at most {MAX_LISTED} are taken: send raw contents"
        )
    if datatype == "BYTES":
        return of_bytes(values).reshape(shape)
    kinds = {"b": (bool,), "i": (int,), "u": (int,)}.get(dtype.kind, (int, float))
    if not {type(value) for value in values}.issubset(kinds):
        raise TensorError(f"{what} is {datatype} and holds a value of another kind")
    try:
        # NumPy refuses whole numbers out of range; floats out of range become infinite.
        with np.errstate(over="ignore"):
            return np.array(values, dtype).reshape(shape)
    except OverflowError as error:
        raise TensorError(f"{what} holds a value out of the range of {datatype}") from error


def of_bytes(items: Sequence[bytes]) -> NDArray[Any]:
    """Return the one-dimensional array of a BYTES tensor."""
    array = np.empty(len(items), np.object_)  # np.array would make fixed-length strings of them
    array[:] = items
    return array


def shown(name: str) -> str:
    """Return a stranger's text as one may show it: quoted, escaped, cut to 64 characters."""
    return ascii(name if len(name) <= 64 else name[:64] + "…")


def _expected(what: str, datatype: str, shape: Sequence[int]) -> tuple[np.dtype[Any], int]:
    """Return dtype and number of elements, both within bounds."""
    dtype = DTYPES.get(datatype)
    if dtype is None:
        raise TensorError(f"{what} has datatype {shown(datatype)}; known are {', '.join(DTYPES)}")
    sizes_fit = len(shape) <= MAX_RANK and all(size >= 0 for size in shape)
    if not sizes_fit or math.prod(size for size in shape if size) > MAX_ELEMENTS:
        sizes = ", ".join(str(size) for size in shape[:MAX_RANK])
        raise TensorError(
            f"{what} has shape [{sizes}{', …' if len(shape) > MAX_RANK else ''}]; sizes must be "
            f"0 or more, at most {MAX_RANK} of them, and {MAX_ELEMENTS} elements"
        )
    count = math.prod(shape)
    if datatype == "BYTES" and count > MAX_ITEMS:
        raise TensorError(f"{what} has {count} items; at most {MAX_ITEMS} are taken")
    return dtype, count


def _items(what: str, shape: Sequence[int], count: int, raw: bytes) -> NDArray[Any]:
    try:
        items = unpack_bytes(raw, at_most=count)
    except ValueError as error:
        raise TensorError(f"{what}: {error}") from error
    if len(items) != count:
        raise TensorError(f"{what} holds {len(items)} items; its shape {list(shape)} has {count}")
    return of_bytes(items).reshape(shape)


def _typed(what: str, tensor: Any) -> Sequence[Any]:
    """Return a tensor's typed contents, all in the field of its datatype."""
    filled = [field.name for field, _ in tensor.contents.ListFields()]
    right = _FIELDS.get(tensor.datatype)
    wrong = [name for name in filled if name != right]
    if tensor.datatype in ("FP16", "BF16"):
        raise TensorError(f"{what} is {tensor.datatype}, which only raw contents can hold")
    if right is None:
        return ()  # an unknown datatype, refused where its shape is
    if wrong:
        raise TensorError(f"{what} is {tensor.datatype} but fills {wrong[0]}, not {right}")
    return getattr(tensor.contents, right)
