"""CDR (XCDR version 1) readers and writers, compiled per message type.

Nested messages are flattened: neighbouring numbers, across message borders, become one
`struct.Struct`, so most messages are a handful of C calls. Alignment is tracked while the code is
generated and costs run time only after strings and sequences.
"""

from __future__ import annotations

import array
import math
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from edge_robot.standalone.interfaces.checks import NUMPY_TYPES, TYPECODES
from edge_robot.standalone.interfaces.definitions import (
    PADDING_FIELD,
    STRINGS,
    Field,
    FieldType,
)
from edge_robot.standalone.interfaces.lazy_numpy import np
from edge_robot.standalone.interfaces.message import Message, message_class
from edge_robot.standalone.interfaces.store import interfaces

HEADER_SIZE = 4
"""Bytes of the encapsulation header; alignment counts from its end."""

_LITTLE_ENDIAN_HEADER = b"\x00\x01\x00\x00"
_BYTE_ORDERS: dict[bytes, Literal["<", ">"]] = {b"\x00\x01": "<", b"\x00\x00": ">"}

_SIZES = {
    "bool": 1,
    "byte": 1,
    **{name: struct.calcsize(code) for name, code in TYPECODES.items()},
}
_FORMATS = {"bool": "?", "byte": "c", **TYPECODES}  # array and struct spell numbers alike
_MALFORMED = (struct.error, UnicodeDecodeError, ValueError)


class CdrError(ValueError):
    """Bytes are not the CDR form of the message they should be."""


class Codec:
    """Writer and reader of one message type, each compiled when it is first needed.

    Args:
        name: Message, `package/msg/Name`.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._readers: dict[bytes, Callable[[bytes], Any]] = {}

    @cached_property
    def write(self) -> Callable[[Any], bytearray]:
        """The function from a message to CDR with encapsulation header, little-endian."""
        return _writer(self._name)

    def read(self, buf: bytes) -> Any:
        """Return a new message of CDR with encapsulation header, of either byte order.

        Raises:
            CdrError: the bytes are no such message.
        """
        header = buf[:2]
        reader = self._readers.get(header)
        if reader is None:
            if header not in _BYTE_ORDERS:
                raise CdrError(
                    f"{self._name}: encapsulation {bytes(header).hex()} is not XCDR version 1"
                )
            reader = self._readers[header] = _reader(self._name, _BYTE_ORDERS[header])
        try:
            return reader(buf)
        except _MALFORMED as error:
            raise CdrError(f"{self._name}: {error}") from error


@dataclass(frozen=True)
class _Alignment:
    """What is known of the position while generating: `position % modulus == rest`."""

    modulus: int
    rest: int

    def after(self, size: int) -> _Alignment:
        return _Alignment(self.modulus, (self.rest + size) % self.modulus)

    def padding(self, alignment: int) -> int | None:
        """Bytes to the next multiple of `alignment`, or None if that is not known."""
        return -self.rest % alignment if self.modulus % alignment == 0 else None

    def meet(self, other: _Alignment) -> _Alignment:
        """Return what holds whichever of the two positions it is."""
        modulus = math.gcd(self.modulus, other.modulus, self.rest - other.rest)
        return _Alignment(modulus, self.rest % modulus)


_START = _Alignment(8, 0)
_UNKNOWN = _Alignment(1, 0)


@dataclass
class _Generator:
    """Emits the lines of one function; `read` says which of the two it is."""

    read: bool
    order: Literal["<", ">"]
    lines: list[str] = field(default_factory=list)
    scope: dict[str, Any] = field(default_factory=dict)
    alignment: _Alignment = _START
    depth: int = 1
    _run: list[tuple[str, str]] = field(default_factory=list)
    _names: int = 0

    def name(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}{self._names}"

    def emit(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def constant(self, prefix: str, value: Any) -> str:
        name = self.name(prefix)
        self.scope[name] = value
        return name

    # Runs: numbers packed or unpacked by one struct.

    def number(self, base: str, expression: str) -> None:
        """Add a number: `expression` is read from (writing) or assigned to (reading)."""
        self.align(_SIZES[base])
        self._run.append((_FORMATS[base], expression))
        self.alignment = self.alignment.after(_SIZES[base])

    def align(self, alignment: int) -> None:
        padding = self.alignment.padding(alignment)
        if padding is None:
            self.flush()
            if self.read:
                offset = HEADER_SIZE % alignment
                self.emit(f"pos += {offset} - pos & {alignment - 1}")
            else:
                offset = HEADER_SIZE % alignment
                self.emit(f"out += PADDING[{offset} - len(out) & {alignment - 1}]")
            self.alignment = _Alignment(alignment, 0)
        elif padding:
            self._run.append((f"{padding}x", ""))
            self.alignment = self.alignment.after(padding)

    def flush(self) -> None:
        """Emit the collected run."""
        if not self._run:
            return
        packer = struct.Struct(self.order + "".join(code for code, _ in self._run))
        expressions = [expression for _, expression in self._run if expression]
        self._run.clear()
        if self.read:
            if expressions:
                unpack = self.constant("unpack", packer.unpack_from)
                self.emit(f"{', '.join(expressions)}, = {unpack}(buf, pos)")
            self.emit(f"pos += {packer.size}")
        else:
            pack = self.constant("pack", packer.pack)
            self.emit(f"out += {pack}({', '.join(expressions)})")

    # Fields.

    def message(self, name: str, variable: str) -> None:
        """Add the fields of a message held by (writing) or to be made in (reading) `variable`."""
        if self.read:
            make = self.constant("cls", message_class(name))
            self.emit(f"{variable} = new({make})")
            self.emit(f"{variable}._check_fields = True")
        for item in interfaces().message(name).fields:
            if item.name == PADDING_FIELD:
                self.number("uint8", "_" if self.read else "0")
            else:
                self.field(item, f"{variable}._{item.name}")

    def field(self, item: Field, target: str) -> None:
        kind = item.type
        if kind.array is None and not kind.sequence:
            self.single(kind, target)
        elif kind.base in NUMPY_TYPES:
            (self.number_array if kind.array is not None else self.number_sequence)(kind, target)
        else:
            self.elements(kind, target)

    def single(self, kind: FieldType, target: str) -> None:
        if kind.base in STRINGS:
            (self.string if kind.base == "string" else self.wide_string)(target)
        elif kind.is_primitive:
            self.number(kind.base, target)
        else:
            variable = self.name("m")
            if not self.read:
                self.emit(f"{variable} = {target}")
            self.message(kind.base, variable)
            if self.read:
                self.emit(f"{target} = {variable}")

    def string(self, target: str) -> None:
        size = self.name("n")
        if self.read:
            self.number("uint32", size)
            self.flush()
            # rmw_cyclonedds takes a length of 0 for an empty string, too.
            self.emit(f"end = pos + {size}")
            self.emit(f"if end > total or {size} and buf[end - 1]:")
            self.emit(f"    raise CdrError(f'a string of {{{size}}} bytes')")
            self.emit(f"{target} = str(buf[pos:end - 1], 'utf-8', 'replace') if {size} else ''")
            self.emit("pos = end")
        else:
            text = self.name("s")
            self.emit(f"{text} = {target}.encode()")
            self.number("uint32", f"len({text}) + 1")
            self.flush()
            self.emit(f"out += {text}")
            self.emit("out.append(0)")
        self.alignment = _UNKNOWN

    def wide_string(self, target: str) -> None:
        """Add UTF-16 units; rmw_cyclonedds sends each as a `wchar_t` of four bytes."""
        size = self.name("n")
        if self.read:
            self.number("uint32", size)
            self.flush()
            self.emit(f"end = pos + 4 * {size}")
            self.emit(f"if end > total: raise CdrError(f'a string of {{{size}}} characters')")
            self.emit(f"{target} = read_wide(buf[pos:end], {self.order + 'u4'!r})")
            self.emit("pos = end")
        else:
            units = self.name("s")
            self.emit(f"{units} = write_wide({target})")
            self.number("uint32", f"len({units})")
            self.flush()
            self.emit(f"out += {units}.tobytes()")
        self.alignment = self.alignment.meet(_Alignment(4, 0))

    def number_array(self, kind: FieldType, target: str) -> None:
        assert kind.array is not None
        self.align(_SIZES[kind.base])
        self.flush()
        size = kind.array * _SIZES[kind.base]
        if self.read:
            dtype = self.constant(
                "dtype", np.dtype(NUMPY_TYPES[kind.base]).newbyteorder(self.order)
            )
            native = self.constant("native", np.dtype(NUMPY_TYPES[kind.base]))
            self.emit(f"{target} = np.frombuffer(buf, {dtype}, {kind.array}, pos).astype({native})")
            self.emit(f"pos += {size}")
        else:
            self.emit(f"out += {target}.tobytes()")
        self.alignment = self.alignment.after(size)

    def number_sequence(self, kind: FieldType, target: str) -> None:
        size = _SIZES[kind.base]
        count = self.count(target)
        before = self.alignment
        if before.padding(size) != 0:  # an empty sequence is not followed by padding
            self.emit(f"if {count}:")
            self.depth += 1
            self.align(size)
            self.flush()
            self.depth -= 1
        if self.read:
            value = self.name("a")
            self.emit(f"end = pos + {count} * {size}")
            self.emit(f"if end > total: raise CdrError(f'a sequence of {{{count}}} elements')")
            self.emit(f"{value} = array({TYPECODES[kind.base]!r})")
            self.emit(f"{value}.frombytes(view[pos:end])")
            if size > 1 and self.order != _NATIVE:
                self.emit(f"{value}.byteswap()")
            self.emit(f"{target} = {value}")
            self.emit("pos = end")
        else:
            self.emit(f"out.extend(memoryview({target}).cast('B'))")
        self.alignment = before.meet(_Alignment(size, 0))

    def count(self, target: str) -> str:
        """Add a sequence's element count and return the variable that holds it."""
        count = self.name("n")
        if not self.read:
            self.emit(f"{count} = len({target})")
        self.number("uint32", count)
        self.flush()
        return count

    def elements(self, kind: FieldType, target: str) -> None:
        """Add an array or a sequence of messages, strings, booleans or bytes."""
        element = kind.element
        item = self.name("e")
        if kind.sequence:
            count = self.count(target)
        else:
            self.flush()
            count = str(kind.array)
        if self.read:
            if kind.sequence:
                least = _least_size(element)
                self.emit(f"if {count} * {least} > total - pos:")
                self.emit(f"    raise CdrError(f'a sequence of {{{count}}} elements')")
            values = self.name("v")
            self.emit(f"{values} = []")
            self.emit(f"for _ in range({count}):")
        else:
            if not kind.sequence:
                self.emit(f"if len({target}) != {kind.array}: raise ValueError('array length')")
            self.emit(f"for {item} in {target}:")
        start = self._loop_alignment(element)
        self.depth += 1
        self.alignment = start
        self.single_element(element, item)
        if self.read:
            self.emit(f"{values}.append({item})")
        self.depth -= 1
        if self.read:
            self.emit(f"{target} = {values}")
        self.alignment = start

    def single_element(self, element: FieldType, item: str) -> None:
        if element.is_primitive:
            self.single(element, item)
        else:
            self.message(element.base, item)
        self.flush()

    def _loop_alignment(self, element: FieldType) -> _Alignment:
        """Return what is known at the start of every iteration, the first and all others."""
        start = self.alignment
        while True:
            trial = _Generator(self.read, self.order, alignment=start)
            trial.single_element(element, "item")
            merged = start.meet(trial.alignment)
            if merged == start:
                return start
            start = merged


def _least_size(kind: FieldType) -> int:
    """Return how many bytes a value takes at least; a count that promises more is a lie."""
    if kind.sequence or kind.base in STRINGS:
        return 4 * (1 if kind.array is None else kind.array)
    if kind.is_primitive:
        size = _SIZES[kind.base]
    else:
        size = sum(_least_size(item.type) for item in interfaces().message(kind.base).fields)
    return size * (1 if kind.array is None else kind.array)


def _read_wide(data: bytes, dtype: str) -> str:
    return np.frombuffer(data, dtype).astype("<u2").tobytes().decode("utf-16-le", "replace")


def _write_wide(text: str) -> Any:
    return np.frombuffer(text.encode("utf-16-le"), "<u2").astype("<u4")


_NATIVE = "<" if sys.byteorder == "little" else ">"


def _compile(generator: _Generator, name: str, head: list[str], last: str) -> Callable[..., Any]:
    generator.flush()
    source = "\n".join([*head, *generator.lines, last])
    scope = generator.scope
    scope.update(
        new=object.__new__,
        array=array.array,
        np=np,
        CdrError=CdrError,
        read_wide=_read_wide,
        write_wide=_write_wide,
        PADDING=tuple(bytes(size) for size in range(8)),
    )
    exec(compile(source, f"<cdr of {name}>", "exec"), scope)
    function: Callable[..., Any] = scope["function"]
    return function


def _writer(name: str) -> Callable[[Any], bytearray]:
    generator = _Generator(read=False, order="<")
    generator.message(name, "m")
    head = ["def function(m):", f"    out = bytearray({_LITTLE_ENDIAN_HEADER!r})"]
    return _compile(generator, name, head, "    return out")


def _reader(name: str, order: Literal["<", ">"]) -> Callable[[bytes], Any]:
    generator = _Generator(read=True, order=order)
    generator.message(name, "m")
    head = [
        "def function(buf):",
        "    total = len(buf)",
        "    view = memoryview(buf)",
        f"    pos = {HEADER_SIZE}",
    ]
    return _compile(generator, name, head, "    return m")


_codecs: dict[type[Message], Codec] = {}


def codec(message_type: type[Message]) -> Codec:
    """Return the codec of a message class."""
    if message_type not in _codecs:
        _codecs[message_type] = Codec(message_type.definition.name)
    return _codecs[message_type]
