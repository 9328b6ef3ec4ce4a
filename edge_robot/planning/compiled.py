"""Loops compiled by Numba where it is installed (extra `fast`), plain Python where it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    import numba
except ImportError:
    COMPILED = False
else:
    # NUMBA_DISABLE_JIT=1 is Numba's own way to say that nothing is to be compiled.
    COMPILED = not numba.config.DISABLE_JIT


def compiled(
    signature: str | None = None, **options: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function for one signature when it is defined, kept on disk between processes.

    With the signature known the work is done on import, not in the first call, which may be one
    that has a deadline. Where no signature can be written down, call it once before that.

    Args:
        signature: In Numba's notation; None to compile for whatever it is called with.
        options: Numba's.
    """

    def compile_(function: Callable[..., Any]) -> Callable[..., Any]:
        if not COMPILED:
            return function
        try:
            return numba.njit(signature, cache=True, **options)(function)
        except RuntimeError as error:
            # Neither the package's folder nor the user's can be written: compile every time.
            if "cannot cache" not in str(error):
                raise
            return numba.njit(signature, **options)(function)

    return compile_
