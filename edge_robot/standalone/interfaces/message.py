"""Message classes like those rosidl generates: typed fields, defaults, constants, equality.

A class is made the first time it is asked for. Assigning to a field checks the value; reading a
field, and building a message from the wire, check nothing.
"""

from __future__ import annotations

import array
import operator
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from edge_robot.standalone.interfaces.checks import NUMPY_TYPES, TYPECODES, Check, field_checks
from edge_robot.standalone.interfaces.definitions import Definition, Field
from edge_robot.standalone.interfaces.lazy_numpy import is_ndarray, np
from edge_robot.standalone.interfaces.store import interfaces


class InterfaceMeta(type):
    """Base of the classes of message, service and action classes."""

    _TYPE_SUPPORT: ClassVar[str] = "edge_robot"
    """rclpy looks here whether a class can be used; there is nothing to load for ours."""

    @classmethod
    def __import_type_support__(cls) -> None:
        """Do nothing: codecs are made on first use."""


class MessageMeta(InterfaceMeta):
    """Class of message classes; subclasses have the constants, which so cannot be assigned to."""

    if TYPE_CHECKING:
        __definition__: Definition

    @property
    def definition(cls) -> Definition:
        """What the class was made from."""
        return cls.__definition__


class _SlotTypes:
    """rosidl's types of the fields, made when they are first asked for."""

    def __get__(self, instance: object, owner: type[Message]) -> tuple[Any, ...]:
        from edge_robot.standalone.interfaces.slot_types import slot_type

        types = tuple(slot_type(field.type) for field in owner.definition.members)
        owner.SLOT_TYPES = types
        return types


class Message(metaclass=MessageMeta):
    """Base of all message classes."""

    __slots__ = ()
    _fields_and_field_types: ClassVar[dict[str, str]] = {}
    SLOT_TYPES: Any

    if TYPE_CHECKING:  # fields exist only at run time

        def __init__(self, *, check_fields: bool = True, **fields: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    @classmethod
    def get_fields_and_field_types(cls) -> dict[str, str]:
        """Return field name to type, as rosidl spells it."""
        return dict(cls._fields_and_field_types)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return False
        return all(
            np.array_equal(mine, theirs) if is_ndarray(mine) else mine == theirs
            for mine, theirs in zip(_values(self), _values(other), strict=True)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={_shown(value)}"
            for name, value in zip(self._fields_and_field_types, _values(self), strict=True)
        )
        module = type(self).__module__.rpartition(".")[0]
        return f"{module}.{type(self).__name__}({shown})"


def _values(message: Message) -> Iterable[Any]:
    return (getattr(message, name) for name in message._fields_and_field_types)


def _shown(value: Any) -> str:
    return repr(value.tolist()) if isinstance(value, array.array) else repr(value)


_ZEROS: dict[str, Any] = {"bool": False, "byte": b"\0", "string": "", "wstring": ""}


def _zero(base: str) -> Any:
    return _ZEROS.get(base, 0.0 if base.startswith("float") else 0)


def _stated_default(field: Field) -> Any:
    """Return a new object of the default that a definition states."""
    kind = field.type
    if kind.base in NUMPY_TYPES and kind.array is not None:
        return np.array(field.default, dtype=NUMPY_TYPES[kind.base])
    if kind.base in NUMPY_TYPES and kind.sequence:
        return array.array(TYPECODES[kind.base], field.default)
    return list(field.default) if isinstance(field.default, list) else field.default


def _default_source(field: Field, scope: dict[str, Any]) -> str:
    """Return the expression of a field's default; objects it needs are put into `scope`."""
    kind = field.type
    if field.default is not None:
        if kind.array is None and not kind.sequence:
            return repr(field.default)
        scope[f"_default_{field.name}"] = partial(_stated_default, field)
        return f"_default_{field.name}()"
    if kind.sequence:
        return f"_array({TYPECODES[kind.base]!r})" if kind.base in NUMPY_TYPES else "[]"
    if not kind.is_primitive:
        scope[f"_class_{field.name}"] = message_class(kind.base)
        make = f"_class_{field.name}()"
        return make if kind.array is None else f"[{make} for _ in range({kind.array})]"
    if kind.array is None:
        return repr(_zero(kind.base))
    if kind.base in NUMPY_TYPES:
        return f"_np.zeros({kind.array}, {NUMPY_TYPES[kind.base]!r})"
    return f"[{_zero(kind.base)!r}] * {kind.array}"


def _compile_members(definition: Definition) -> dict[str, Any]:
    """Compile `__init__`, and make one property per field.

    The constructor takes keyword arguments only, and makes a fresh default for each one not given.
    Names of our own begin with an underscore: names of fields cannot.
    """
    fields = definition.members
    scope: dict[str, Any] = {"_unset": object(), "_array": array.array, "_np": np}
    arguments = "".join(f"{field.name}=_unset, " for field in fields)
    lines = [
        f"def __init__(_self, *, {arguments}check_fields=True, **_unknown):",
        "    if _unknown and check_fields:",
        "        _names = ', '.join(sorted(_unknown))",
        "        raise AssertionError(f'Invalid arguments passed to constructor: {_names}')",
        "    _self._check_fields = check_fields",
    ]
    members: dict[str, Any] = {}
    for field in fields:
        name = field.name
        check, scope[f"_init_{name}"], loose = field_checks(field, message_class)
        scope[f"_loose_{name}"] = loose
        members[name] = _property(name, check, loose)
        lines += [
            f"    if {name} is _unset:",
            f"        _self._{name} = {_default_source(field, scope)}",
            "    else:",
            f"        _self._{name} = (_init_{name} if check_fields else _loose_{name})({name})",
        ]
    exec(compile("\n".join(lines), f"<{definition.name}>", "exec"), scope)
    members["__init__"] = scope["__init__"]
    return members


def _property(name: str, check: Check, loose: Check) -> property:
    slot = f"_{name}"

    def assign(self: Message, value: Any) -> None:
        setattr(self, slot, check(value) if self._check_fields else loose(value))

    return property(operator.attrgetter(slot), assign, doc=f"Message field '{name}'.")


def _metaclass(definition: Definition) -> type[MessageMeta]:
    """Return the class of a message class: it has the constants and the stated defaults."""
    _, _, short = definition.name.split("/")
    namespace: dict[str, Any] = {
        constant.name: _constant(constant.value) for constant in definition.constants
    }
    for field in definition.members:
        if field.default is not None:
            namespace[f"{field.name.upper()}__DEFAULT"] = _class_default(field)
    return type(f"Metaclass_{short}", (MessageMeta,), namespace) if namespace else MessageMeta


def _constant(value: Any) -> property:
    return property(lambda cls: value)


def _class_default(field: Field) -> property:
    return property(lambda cls: _stated_default(field), doc=f"Default of field '{field.name}'.")


def private_module(name: str) -> str:
    """Return the module in which rosidl defines the classes of `package/kind/Name`."""
    package, kind, short = name.split("/")
    snake = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", short))
    return f"{package}.{kind}._{snake.lower()}"


def _make_class(definition: Definition) -> type[Message]:
    owner = interfaces().owner(definition.name)
    short = definition.name.rpartition("/")[2]
    fields = definition.members
    namespace: dict[str, Any] = {
        "__slots__": [*(f"_{field.name}" for field in fields), "_check_fields"],
        "__module__": private_module(owner),
        "__doc__": f"Message class '{short}'.",
        "__definition__": definition,
        "_fields_and_field_types": {field.name: str(field.type) for field in fields},
        "SLOT_TYPES": _SlotTypes(),
        **{constant.name: constant.value for constant in definition.constants},
        **{
            f"{field.name.upper()}__DEFAULT": _stated_default(field)
            for field in fields
            if field.default is not None
        },
        **_compile_members(definition),
    }
    make: Callable[..., Any] = _metaclass(definition)
    made: type[Message] = make(short, (Message,), namespace)
    return made


_classes: dict[str, type[Message]] = {}


def message_class(name: str) -> type[Message]:
    """Return the class of a message.

    Args:
        name: `package/msg/Name`, or the name of a message that a service or an action implies.

    Raises:
        InterfaceError: there is no such interface.
    """
    if name not in _classes:
        _classes[name] = _make_class(interfaces().message(name))
    return _classes[name]
