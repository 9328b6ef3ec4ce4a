"""Message classes like those rosidl generates: typed fields, defaults, constants, equality.

A class is made the first time it is asked for. Assigning to a field checks the value as rosidl's
assertions do, so code that runs here runs on ROS 2; reading a field, and building a message from
the wire, check nothing.
"""

from __future__ import annotations

import array
import operator
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from edge_robot.standalone.interfaces.definitions import (
    PADDING_FIELD,
    Definition,
    Field,
    FieldType,
    InterfaceError,
    interfaces,
)

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

_FLOAT32_MAX = float(np.finfo(np.float32).max)


class Message:
    """Base of all message classes.

    Class attributes:
        definition: What the class was made from.
    """

    __slots__ = ()
    definition: ClassVar[Definition]

    if TYPE_CHECKING:  # fields exist only at run time

        def __init__(self, **fields: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    @classmethod
    def get_fields_and_field_types(cls) -> dict[str, str]:
        """Return field name to type, as rosidl spells it."""
        return {
            field.name: str(field.type)
            for field in cls.definition.fields
            if field.name != PADDING_FIELD
        }

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        return all(
            np.array_equal(mine, theirs) if isinstance(mine, np.ndarray) else mine == theirs
            for mine, theirs in zip(_values(self), _values(other), strict=True)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        names = (field.name for field in self.definition.fields if field.name != PADDING_FIELD)
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__module__}.{type(self).__name__}({fields})"


class Service(Protocol):
    """A service type: its name, `package/srv/Name`, and the classes of its two messages."""

    name: ClassVar[str]
    Request: ClassVar[type[Message]]
    Response: ClassVar[type[Message]]


def _values(message: Any) -> Iterable[Any]:
    return (getattr(message, field.name) for field in message.definition.fields)


def _refuse(field: str, wanted: str, value: object) -> AssertionError:
    return AssertionError(
        f"The '{field}' field must be {wanted}, not {value!r:.80} of type {type(value).__name__}"
    )


def _integer_check(field: str, base: str) -> Callable[[Any], Any]:
    info = np.iinfo(base)
    low, high = int(info.min), int(info.max)

    def check(value: Any) -> Any:
        if not isinstance(value, int) or not low <= value <= high:
            raise _refuse(field, f"an integer in [{low}, {high}]", value)
        return value

    return check


def _float_check(field: str, base: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if not isinstance(value, float):
            raise _refuse(field, "of type 'float'", value)
        return value

    def check32(value: Any) -> Any:
        # Infinities and NaN pass, as in rosidl.
        if not isinstance(value, float) or _FLOAT32_MAX < abs(value) < np.inf:
            raise _refuse(field, "a float in the range of float32", value)
        return value

    return check32 if base == "float32" else check


def _instance_check(field: str, wanted: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if not isinstance(value, wanted):
            raise _refuse(field, f"of type '{wanted.__name__}'", value)
        return value

    return check


def _byte_check(field: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if not isinstance(value, bytes) or len(value) != 1:
            raise _refuse(field, "one byte", value)
        return value

    return check


def _string_check(field: str, bound: int) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if not isinstance(value, str) or (bound and len(value) > bound):
            raise _refuse(
                field, f"a string of at most {bound} characters" if bound else "a string", value
            )
        return value

    return check


def _element_check(field: str, kind: FieldType) -> Callable[[Any], Any]:
    if kind.base == "bool":
        return _instance_check(field, bool)
    if kind.base == "byte":
        return _byte_check(field)
    if kind.base == "string":
        return _string_check(field, kind.string_bound)
    if kind.base.startswith("float"):
        return _float_check(field, kind.base)
    if kind.is_primitive:
        return _integer_check(field, kind.base)
    return _instance_check(field, message_class(kind.base))


def _fixed_array_check(field: str, kind: FieldType) -> Callable[[Any], Any]:
    """Fixed arrays of numbers: an ndarray of the right dtype is kept, the rest copied."""
    dtype = np.dtype(NUMPY_TYPES[kind.base])
    shape = (kind.array,)

    def check(value: Any) -> Any:
        if isinstance(value, np.ndarray) and value.dtype == dtype:
            converted = value
        elif isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise _refuse(field, f"a sequence of {shape[0]} numbers", value)
        else:
            converted = np.array(list(value), dtype=dtype)
        if converted.shape != shape:
            raise _refuse(field, f"a sequence of {shape[0]} numbers", value)
        return converted

    return check


def _number_sequence_check(field: str, kind: FieldType) -> Callable[[Any], Any]:
    """Sequences of numbers: an `array.array` is kept, buffers and the rest are copied once."""
    typecode = TYPECODES[kind.base]
    dtype = np.dtype(NUMPY_TYPES[kind.base])

    def check(value: Any) -> Any:
        if isinstance(value, array.array) and value.typecode == typecode:
            converted = value
        else:
            converted = array.array(typecode)
            if isinstance(value, np.ndarray) and value.dtype == dtype and value.ndim == 1:
                converted.frombytes(np.ascontiguousarray(value).view(np.uint8).data)
            elif isinstance(value, (bytes, bytearray, memoryview)) and typecode == "B":
                converted.frombytes(value)
            elif isinstance(value, (str, np.ndarray)) or not isinstance(value, Iterable):
                raise _refuse(field, f"a sequence of {kind.base}", value)
            else:
                try:
                    converted.extend(value)
                except (TypeError, OverflowError):
                    raise _refuse(field, f"a sequence of {kind.base}", value) from None
        if kind.bound and len(converted) > kind.bound:
            raise _refuse(field, f"a sequence of at most {kind.bound} {kind.base}", value)
        return converted

    return check


def _list_check(field: str, kind: FieldType) -> Callable[[Any], Any]:
    check_element = _element_check(field, FieldType(kind.base, string_bound=kind.string_bound))

    def check(value: Any) -> Any:
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise _refuse(field, f"a sequence of {kind.base}", value)
        # A list is kept, not copied, so that what is appended to it later is seen, as in rosidl.
        items = value if isinstance(value, list) else list(value)
        for item in items:
            check_element(item)
        if kind.array is not None and len(items) != kind.array:
            raise _refuse(field, f"a sequence of {kind.array} elements", value)
        if kind.bound and len(items) > kind.bound:
            raise _refuse(field, f"a sequence of at most {kind.bound} elements", value)
        return items

    return check


def _check(field: Field) -> Callable[[Any], Any]:
    """Return the function that turns what is assigned to a field into what is stored."""
    kind = field.type
    numbers = kind.base in NUMPY_TYPES
    if kind.array is not None:
        return (_fixed_array_check if numbers else _list_check)(field.name, kind)
    if kind.sequence:
        return (_number_sequence_check if numbers else _list_check)(field.name, kind)
    return _element_check(field.name, kind)


_ZEROS: dict[str, Any] = {"bool": False, "byte": b"\0", "string": ""}


def _zero(base: str) -> Any:
    return _ZEROS.get(base, 0.0 if base.startswith("float") else 0)


def _default_source(field: Field, scope: dict[str, Any]) -> str:
    """Return the expression of a field's default; objects it needs are put into `scope`."""
    kind = field.type
    numbers = kind.base in NUMPY_TYPES
    if not kind.is_primitive:
        scope[f"class_{field.name}"] = message_class(kind.base)
        make = f"class_{field.name}()"
        if kind.array is not None:
            return f"[{make} for _ in range({kind.array})]"
        return "[]" if kind.sequence else make
    if kind.array is not None:
        default = field.default or [_zero(kind.base)] * kind.array
        if not numbers:
            return repr(default)
        scope[f"default_{field.name}"] = np.array(default, dtype=NUMPY_TYPES[kind.base])
        return f"default_{field.name}.copy()"
    if kind.sequence:
        default = field.default or []
        return f"array({TYPECODES[kind.base]!r}, {default!r})" if numbers else repr(default)
    return repr(_zero(kind.base) if field.default is None else field.default)


def _constructor(
    name: str, fields: tuple[Field, ...], scope: dict[str, Any]
) -> Callable[..., None]:
    """Compile `__init__`: keyword arguments only, a fresh default for each one not given."""
    arguments = ", ".join(f"{field.name}=None" for field in fields)
    lines = [f"def __init__(self, *, {arguments}):"]
    for field in fields:
        lines += [
            f"    if {field.name} is None:",
            f"        self._{field.name} = {_default_source(field, scope)}",
            "    else:",
            f"        self._{field.name} = check_{field.name}({field.name})",
        ]
    exec(compile("\n".join(lines), f"<{name}>", "exec"), scope)
    constructor: Callable[..., None] = scope["__init__"]
    return constructor


def _property(field: Field, check: Callable[[Any], Any]) -> property:
    slot = f"_{field.name}"

    def assign(self: Message, value: Any) -> None:
        setattr(self, slot, check(value))

    return property(operator.attrgetter(slot), assign, doc=f"Message field '{field.name}'.")


def _make_class(definition: Definition) -> type[Message]:
    package, kind, name = definition.name.split("/")
    checks = {field.name: _check(field) for field in definition.fields}
    scope: dict[str, Any] = {f"check_{field}": check for field, check in checks.items()}
    scope["array"] = array.array
    namespace: dict[str, Any] = {
        "__slots__": tuple(f"_{field.name}" for field in definition.fields),
        "__module__": f"{package}.{kind}",
        "__doc__": f"Message class '{name}'.",
        "__init__": _constructor(definition.name, definition.fields, scope),
        "definition": definition,
        # `byte` constants are one-byte strings, like the fields they are for.
        **{
            constant.name: bytes([constant.value]) if constant.type == "byte" else constant.value
            for constant in definition.constants
        },
        **{field.name: _property(field, checks[field.name]) for field in definition.fields},
    }
    return type(name, (Message,), namespace)


_classes: dict[str, type[Message]] = {}
_services: dict[str, type[Service]] = {}


def message_class(name: str) -> type[Message]:
    """Return the class of `package/msg/Name` (or of a service's `…_Request`, `…_Response`).

    Raises:
        InterfaceError: there is no such interface.
    """
    if name not in _classes:
        _classes[name] = _make_class(interfaces().message(name))
    return _classes[name]


def service_class(name: str) -> type[Service]:
    """Return the class of `package/srv/Name`, which holds `Request` and `Response`.

    Raises:
        InterfaceError: there is no such interface.
    """
    if name not in _services:
        if not interfaces().has(name):
            raise InterfaceError(f"no interface is named {name!r}")
        package, _, short = name.split("/")
        request = message_class(f"{name}_Request")
        response = message_class(f"{name}_Response")
        _services[name] = type(
            short,
            (),
            {
                "__module__": f"{package}.srv",
                "name": name,
                "Request": request,
                "Response": response,
            },
        )
    return _services[name]
