"""Settings of a component: a frozen dataclass whose every field says what it means and may be.

The library reads the values, the nodes declare the fields as ROS parameters, text and range
included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, TypeVar

from edge_robot.errors import UserError

_KEY = "meaning"

SettingsT = TypeVar("SettingsT", bound="Settings")


@dataclass(frozen=True)
class Meaning:
    """What a setting means and may be.

    Attributes:
        about: Its meaning and unit.
        ge: Least value; of a list, of each of its items.
        le: Greatest value, likewise.
        one_of: All values there are, likewise; any if empty.
        live: Whether it may change while its component works.
    """

    about: str
    ge: float | None = None
    le: float | None = None
    one_of: tuple[str, ...] = ()
    live: bool = False

    @property
    def expected(self) -> str:
        """What it may be, in words; empty if anything of its type."""
        if self.one_of:
            return "one of " + ", ".join(item or "'' (none)" for item in self.one_of)
        if self.ge is None:
            return "" if self.le is None else f"{self.le:g} or less"
        return f"{self.ge:g} or more" if self.le is None else f"{self.ge:g} to {self.le:g}"

    def check(self, name: str, value: Any) -> None:
        """Refuse a value.

        Raises:
            UserError: it is not what it may be.
        """
        is_list = isinstance(value, Sequence) and not isinstance(value, str)
        if not all(self._permits(item) for item in (value if is_list else (value,))):
            raise UserError(f"{name} is {value!r}; give {self.expected}")

    def _permits(self, value: Any) -> bool:
        if self.one_of:
            return value in self.one_of
        # NaN is neither less nor more than anything.
        return bool((self.ge is None or value >= self.ge) and (self.le is None or value <= self.le))


def setting(
    default: Any,
    about: str,
    *,
    ge: float | None = None,
    le: float | None = None,
    one_of: Sequence[str] = (),
    live: bool = False,
) -> Any:
    """Return a dataclass field of `Settings`.

    Args:
        default: Its default.
        about: A line on its meaning and unit.
        ge: Least value; of a list, of each of its items.
        le: Greatest value, likewise.
        one_of: All values there are, likewise; any if empty.
        live: Whether it may change while its component works.
    """
    return field(default=default, metadata={_KEY: Meaning(about, ge, le, tuple(one_of), live)})


class Settings:
    """What dataclasses of settings derive from: none holds a value that a field excludes.

    A class that checks more does so in its own `__post_init__`, after this one's.

    Raises:
        UserError: A value is not what it may be.
    """

    def __post_init__(self) -> None:
        for name, meaning in meanings(self).items():
            meaning.check(name, getattr(self, name))


def meanings(settings: Any) -> dict[str, Meaning]:
    """Return what the fields of a settings dataclass (or of an instance) mean, by name.

    Fields that are settings themselves, and what no `setting` describes, are not among them.
    """
    return {item.name: item.metadata[_KEY] for item in fields(settings) if _KEY in item.metadata}


def with_values(defaults: SettingsT, values: dict[str, Any]) -> SettingsT:
    """Return settings with what `values` has for their fields, which is taken out of `values`.

    Fields that are settings themselves are looked into: the names are those of the parameters.

    Args:
        defaults: A settings dataclass instance.
        values: By name; what no field has is left.

    Raises:
        UserError: A value is not what it may be.
    """
    changed: dict[str, Any] = {}
    for item in fields(defaults):  # type: ignore[arg-type]
        default = getattr(defaults, item.name)
        if is_dataclass(default):
            changed[item.name] = with_values(default, values)  # type: ignore[type-var]
        elif item.name in values:
            changed[item.name] = values.pop(item.name)
    return replace(defaults, **changed)  # type: ignore[type-var]
