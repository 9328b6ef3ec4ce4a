"""Hashes by which ROS 2 tells whether two nodes mean the same by a type's name."""

from __future__ import annotations

import re

_SIZE = 32


class TypeHash:
    """A type's hash.

    Args:
        version: Version of the hashing standard; none if not positive.
        value: The hash.

    Raises:
        AssertionError: an argument is of another type.
    """

    __slots__ = ("_value", "_version")

    def __init__(self, version: int = -1, value: bytes = bytes(_SIZE)) -> None:
        self.version = version
        self.value = value

    @classmethod
    def parse(cls, text: str) -> TypeHash:
        """Return the hash of its published form, `RIHS01_…`; one without version if malformed."""
        match = re.fullmatch(r"RIHS([0-9]{2})_([0-9a-f]{64})", text)
        return cls(int(match[1]), bytes.fromhex(match[2])) if match else cls()

    @property
    def version(self) -> int:
        """Version of the hashing standard."""
        return self._version

    @version.setter
    def version(self, value: int) -> None:
        assert isinstance(value, int)
        self._version = value

    @property
    def value(self) -> bytes:
        """The hash."""
        return self._value

    @value.setter
    def value(self, value: bytes) -> None:
        assert isinstance(value, bytes)
        self._value = value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TypeHash):
            return False
        return (self.version, self.value) == (other.version, other.value)

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        if self.version <= 0 or len(self.value) != _SIZE:
            return "INVALID"
        return f"RIHS{self.version:02}_{self.value.hex()}"

    __repr__ = __str__
