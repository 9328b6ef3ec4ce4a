"""What may be assigned to a field of a message, and what is stored for it.

Checks raise AssertionError in rosidl's words, so that code that runs here runs on ROS 2. They take
one liberty: sequences of numbers also take an ndarray or a buffer, which is copied once.
"""

from __future__ import annotations

import array
import math
import sys
from collections import UserList, UserString
from collections.abc import Callable, Iterable, Sequence, Set
from functools import cache
from typing import Any

from edge_robot.standalone.interfaces.definitions import STRINGS, Field, FieldType
from edge_robot.standalone.interfaces.lazy_numpy import is_ndarray, np

NUMPY_TYPES: dict[str, str] = {
    **{f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "float32": "float32",
    "float64": "float64",
}
"""Primitive to NumPy type, for the fields that hold numbers; fixed arrays of them are ndarrays."""

TYPECODES: dict[str, str] = {
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
}
"""Primitive to `array` type code; sequences of numbers are `array.array`."""

FLOAT32_MAX = 3.402823466e38
"""Largest finite float32, in rosidl's digits."""

Check = Callable[[Any], Any]
"""Turns what is assigned into what is stored."""


def _range_words(base: str) -> tuple[int, int, str]:
    unsigned = base.startswith("u")
    bits = array.array(TYPECODES[base]).itemsize * 8
    low, high = (0, (1 << bits) - 1) if unsigned else (-(1 << bits - 1), (1 << bits - 1) - 1)
    return low, high, f"{'unsigned integer' if unsigned else 'integer'} in [{low}, {high}]"


def _integer_check(field: str, base: str) -> Check:
    low, high, words = _range_words(base)

    def check(value: Any) -> Any:
        if not isinstance(value, int):
            raise AssertionError(f"The '{field}' field must be of type 'int'")
        if not low <= value <= high:
            raise AssertionError(f"The '{field}' field must be an {words}")
        return value

    return check


def _float_check(field: str, base: str) -> Check:
    def check(value: Any) -> Any:
        if not isinstance(value, float):
            raise AssertionError(f"The '{field}' field must be of type 'float'")
        return value

    def check32(value: Any) -> Any:
        if not isinstance(value, float):
            raise AssertionError(f"The '{field}' field must be of type 'float'")
        # Infinities and NaN pass, as in rosidl.
        if FLOAT32_MAX < abs(value) < math.inf:
            raise AssertionError(
                f"The '{field}' field must be a float in [{-FLOAT32_MAX}, {FLOAT32_MAX}]"
            )
        return value

    return check32 if base == "float32" else check


def _bool_check(field: str) -> Check:
    def check(value: Any) -> Any:
        if not isinstance(value, bool):
            raise AssertionError(f"The '{field}' field must be of type 'bool'")
        return value

    return check


def _byte_check(field: str) -> Check:
    def check(value: Any) -> Any:
        if not isinstance(value, (bytes, bytearray)) or len(value) != 1:
            raise AssertionError(
                f"The '{field}' field must be of type 'bytes' or 'ByteString' with length 1"
            )
        return value

    return check


def _string_check(field: str, bound: int) -> Check:
    def check(value: Any) -> Any:
        if not isinstance(value, str):
            raise AssertionError(f"The '{field}' field must be of type 'str'")
        return value

    def check_bounded(value: Any) -> Any:
        if not isinstance(value, (str, UserString)) or len(value) > bound:
            raise AssertionError(
                f"The '{field}' field must be string value not longer than {bound}"
            )
        return value

    return check_bounded if bound else check


def _message_check(field: str, message: type) -> Check:
    def check(value: Any) -> Any:
        if not isinstance(value, message):
            raise AssertionError(
                f"The '{field}' field must be a sub message of type '{message.__name__}'"
            )
        return value

    return check


def _element_check(field: str, kind: FieldType, message_class: Callable[[str], type]) -> Check:
    if kind.base == "bool":
        return _bool_check(field)
    if kind.base == "byte":
        return _byte_check(field)
    if kind.base in STRINGS:
        return _string_check(field, kind.string_bound)
    if kind.base.startswith("float"):
        return _float_check(field, kind.base)
    if kind.is_primitive:
        return _integer_check(field, kind.base)
    return _message_check(field, message_class(kind.base))


def _sequence_words(kind: FieldType, python_type: str) -> str:
    """Say what an array or a sequence must be."""
    words = ["a set or sequence"]
    if kind.array is not None:
        words.append(f"with length {kind.array}")
    if kind.bound:
        words.append(f"with length <= {kind.bound}")
    if kind.string_bound:
        words.append(f"and each string value not longer than {kind.string_bound}")
    words.append(f"and each value of type '{python_type}'")
    if kind.base.startswith("float"):
        bound = FLOAT32_MAX if kind.base == "float32" else sys.float_info.max
        name = "float" if kind.base == "float32" else "double"
        words.append(f"and each {name} in [{-bound:f}, {bound:f}]")
    elif kind.base in NUMPY_TYPES:
        words.append(f"and each {_range_words(kind.base)[2]}")
    return " ".join(words)


def _is_sequence(value: object) -> bool:
    return isinstance(value, (Sequence, Set, UserList)) and not isinstance(value, (str, UserString))


def _has_length(value: Any, kind: FieldType) -> bool:
    if kind.array is not None:
        return len(value) == kind.array
    return not kind.bound or len(value) <= kind.bound


def _array_of_numbers(value: Iterable[Any], base: str) -> array.array[Any] | None:
    """Return numbers as an array; None if one of them is of another type or out of range."""
    number = float if base.startswith("float") else int
    if not all(kind is number or issubclass(kind, number) for kind in set(map(type, value))):
        return None
    try:
        converted = array.array(TYPECODES[base], value)
    except OverflowError:
        return None
    if base == "float32" and any(map(math.isinf, converted)):
        # Infinities pass, but not numbers that became infinite.
        return converted if all(map(_fits_float32, value)) else None
    return converted


def _fits_float32(value: float) -> bool:
    return not FLOAT32_MAX < abs(value) < math.inf


@cache
def _dtype(name: str) -> Any:
    return np.dtype(name)


def _fixed_array_check(field: str, kind: FieldType) -> Check:
    """Fixed arrays of numbers: an ndarray of the right dtype is kept, the rest copied."""
    name = NUMPY_TYPES[kind.base]
    words = _sequence_words(kind, "float" if kind.base.startswith("float") else "int")

    def check(value: Any) -> Any:
        if is_ndarray(value):
            if value.dtype != _dtype(name):
                raise AssertionError(
                    f"The '{field}' numpy.ndarray() must have the dtype of 'numpy.{name}'"
                )
            if value.shape != (kind.array,):
                raise AssertionError(
                    f"The '{field}' numpy.ndarray() must have a size of {kind.array}"
                )
            return value
        if _is_sequence(value) and _has_length(value, kind):
            converted = _array_of_numbers(value, kind.base)
            if converted is not None:
                return np.array(converted, dtype=name)
        raise AssertionError(f"The '{field}' field must be {words}")

    return check


def _fixed_array_conversion(field: str, kind: FieldType) -> Check:
    name = NUMPY_TYPES[kind.base]

    def convert(value: Any) -> Any:
        if is_ndarray(value) and value.dtype == _dtype(name):
            converted = value
        else:
            converted = np.array(value, dtype=name)
        if converted.shape != (kind.array,):
            raise AssertionError(f"The '{field}' numpy.ndarray() must have a size of {kind.array}")
        return converted

    return convert


def _copied(value: Any, kind: FieldType) -> array.array[Any] | None:
    """Return a copy of the one-dimensional buffer of numbers that a value is, or None."""
    typecode = TYPECODES[kind.base]
    if is_ndarray(value) and value.ndim == 1 and value.dtype == NUMPY_TYPES[kind.base]:
        data = np.ascontiguousarray(value).view(np.uint8).data
    elif typecode == "B" and isinstance(value, (bytes, bytearray, memoryview)):
        data = memoryview(value)
    else:
        return None
    converted = array.array(typecode)
    converted.frombytes(data)
    return converted


def _number_sequence_check(field: str, kind: FieldType) -> Check:
    """Sequences of numbers: an `array.array` is kept, buffers and the rest are copied once."""
    typecode = TYPECODES[kind.base]
    words = _sequence_words(kind, "float" if kind.base.startswith("float") else "int")

    def check(value: Any) -> Any:
        if isinstance(value, array.array):
            if value.typecode != typecode:
                raise AssertionError(
                    f"The '{field}' array.array() must have the type code of '{typecode}'"
                )
            if not _has_length(value, kind):
                raise AssertionError(
                    f"The '{field}' array.array() must have a size <= {kind.bound}"
                )
            return value
        converted = _copied(value, kind)
        if converted is None and _is_sequence(value):
            converted = _array_of_numbers(value, kind.base)
        if converted is None or not _has_length(converted, kind):
            raise AssertionError(f"The '{field}' field must be {words}")
        return converted

    return check


def _number_sequence_conversion(field: str, kind: FieldType) -> Check:
    typecode = TYPECODES[kind.base]

    def convert(value: Any) -> Any:
        if isinstance(value, array.array) and value.typecode == typecode:
            converted = value
        else:
            copied = _copied(value, kind)
            converted = array.array(typecode, value) if copied is None else copied
        if not _has_length(converted, kind):
            raise AssertionError(f"The '{field}' array.array() must have a size <= {kind.bound}")
        return converted

    return convert


def _list_check(field: str, kind: FieldType, message_class: Callable[[str], type]) -> Check:
    check_element = _element_check(field, kind.element, message_class)
    python_type = {"bool": "bool", "byte": "bytes", "string": "str", "wstring": "str"}.get(
        kind.base, kind.base.rpartition("/")[2]
    )
    words = _sequence_words(kind, python_type)

    def check(value: Any) -> Any:
        if not _is_sequence(value) and not is_ndarray(value):
            raise AssertionError(f"The '{field}' field must be {words}")
        # A list is kept, not copied, so that what is appended to it later is seen, as in rosidl.
        items = value if isinstance(value, (list, UserList)) else list(value)
        if not _has_length(items, kind):
            raise AssertionError(f"The '{field}' field must be {words}")
        try:
            for item in items:
                check_element(item)
        except AssertionError:
            raise AssertionError(f"The '{field}' field must be {words}") from None
        return items

    return check


def _unchanged(value: Any) -> Any:
    return value


def field_checks(field: Field, message_class: Callable[[str], type]) -> tuple[Check, Check, Check]:
    """Return how a field takes values: when set, in the constructor, and without checks.

    Args:
        field: The field.
        message_class: Returns the class of a message, given its name.
    """
    kind = field.type
    if kind.base in NUMPY_TYPES:
        # As in rosidl, the constructor converts what `array` and NumPy can convert.
        if kind.array is not None:
            convert = _fixed_array_conversion(field.name, kind)
            return _fixed_array_check(field.name, kind), convert, convert
        if kind.sequence:
            convert = _number_sequence_conversion(field.name, kind)
            return _number_sequence_check(field.name, kind), convert, convert
    if kind.array is not None or kind.sequence:
        check = _list_check(field.name, kind, message_class)
    else:
        check = _element_check(field.name, kind, message_class)
    return check, check, _unchanged
