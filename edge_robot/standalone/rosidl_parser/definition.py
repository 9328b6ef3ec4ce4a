"""Field types, with rosidl_parser's class and attribute names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BOOLEAN_TYPE = "boolean"
OCTET_TYPE = "octet"
CHARACTER_TYPES = ("char", "wchar")
FLOATING_POINT_TYPES = ("float", "double", "long double")
SIGNED_INTEGER_TYPES = ("short", "long", "long long", "int8", "int16", "int32", "int64")
UNSIGNED_INTEGER_TYPES = (
    *("unsigned short", "unsigned long", "unsigned long long"),
    *("uint8", "uint16", "uint32", "uint64"),
)
INTEGER_TYPES = (*SIGNED_INTEGER_TYPES, *UNSIGNED_INTEGER_TYPES)
BASIC_TYPES = (*INTEGER_TYPES, *FLOATING_POINT_TYPES, *CHARACTER_TYPES, BOOLEAN_TYPE, OCTET_TYPE)


class AbstractType:
    """Any type."""


class AbstractNestableType(AbstractType):
    """A type that arrays and sequences can be made of."""


@dataclass
class BasicType(AbstractNestableType):
    """A number, a character, a truth value or an octet; `typename` is IDL's word for it."""

    typename: str


@dataclass
class NamespacedType(AbstractNestableType):
    """A message, by the scopes it is in and its name in them."""

    namespaces: Sequence[str]
    name: str

    def namespaced_name(self) -> tuple[str, ...]:
        """Return the scopes and the name."""
        return (*self.namespaces, self.name)


class AbstractGenericString(AbstractNestableType):
    """Any string."""

    def has_maximum_size(self) -> bool:
        """Return whether its length is limited."""
        return hasattr(self, "maximum_size")


class AbstractString(AbstractGenericString):
    """A string of 8-bit characters."""


@dataclass
class BoundedString(AbstractString):
    """A string of 8-bit characters that is limited in length."""

    maximum_size: int


@dataclass
class UnboundedString(AbstractString):
    """A string of 8-bit characters of any length."""


class AbstractWString(AbstractGenericString):
    """A string of 16-bit characters."""


@dataclass
class BoundedWString(AbstractWString):
    """A string of 16-bit characters that is limited in length."""

    maximum_size: int


@dataclass
class UnboundedWString(AbstractWString):
    """A string of 16-bit characters of any length."""


@dataclass
class AbstractNestedType(AbstractType):
    """An array or a sequence."""

    value_type: AbstractNestableType

    def has_maximum_size(self) -> bool:
        """Return whether its length is limited."""
        return not isinstance(self, UnboundedSequence)


@dataclass
class Array(AbstractNestedType):
    """A fixed number of elements."""

    size: int


class AbstractSequence(AbstractNestedType):
    """Any sequence."""


@dataclass
class BoundedSequence(AbstractSequence):
    """A limited number of elements."""

    maximum_size: int


@dataclass
class UnboundedSequence(AbstractSequence):
    """Any number of elements."""
