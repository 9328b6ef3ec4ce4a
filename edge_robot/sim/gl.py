"""Imports MuJoCo, and finds an OpenGL library to render with, or says that there is none.

MuJoCo picks an OpenGL backend while it is imported and, on a machine without a display, picks one
that cannot work. So it is imported here, with that choice switched off, and the context for
rendering is made by `make_context`.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

from edge_robot.errors import UserError
from edge_robot.sim import egl

_asked = os.environ.get("MUJOCO_GL")
try:
    os.environ["MUJOCO_GL"] = "disable"
    import mujoco
except ModuleNotFoundError as error:
    raise UserError(
        f"the simulator needs MuJoCo ({error}); install it with `pip install mujoco`"
    ) from None
finally:
    if _asked is None:
        del os.environ["MUJOCO_GL"]
    else:
        os.environ["MUJOCO_GL"] = _asked

__all__ = ["BACKENDS", "choose_backend", "make_context", "mujoco"]

BACKENDS = ("egl", "osmesa", "raycast")

_OFF = ("disable", "disabled", "off", "false", "0", "raycast")
_ANY = ("", "auto", "enable", "enabled", "on", "true", "1")


def choose_backend(asked: str | None = None) -> str:
    """Return what cameras are drawn with: "egl", "osmesa" or "raycast".

    Args:
        asked: "egl", "osmesa", "raycast", or "auto" for the first of these that works here; None
            takes the environment variable MUJOCO_GL, which says the same ("disable" for
            "raycast").

    Raises:
        UserError: the backend asked for by name is unknown or does not work here.
    """
    name = (os.environ.get("MUJOCO_GL", "") if asked is None else asked).strip().lower()
    where = "MUJOCO_GL" if asked is None else "GL backend"
    if name in _OFF:
        return "raycast"
    if name in _ANY:
        return next(b for b in BACKENDS if b == "raycast" or _works(b))
    if name not in BACKENDS:
        raise UserError(f"{where} {name!r} is unknown; use egl, osmesa, raycast or auto")
    if not _works(name):
        raise UserError(
            f"{where} {name!r} does not work on this machine; "
            "install its library, or use auto to draw by ray casting"
        )
    return name


def make_context(backend: str, width: int, height: int) -> Any:
    """Return a current OpenGL context of the backend for this thread; `free()` ends it."""
    if backend == "egl":
        from mujoco.egl import GLContext
    else:
        from mujoco.osmesa import GLContext
    context = GLContext(width, height)
    context.make_current()
    return context


def _works(backend: str) -> bool:
    """Probe a backend without PyOpenGL, which can be bound to one library only per process."""
    if os.environ.get("PYOPENGL_PLATFORM", backend).lower() != backend:
        return False
    if backend == "osmesa":
        return _loads("libOSMesa.so.8") or _loads("libOSMesa.so.6") or _loads("libOSMesa.so")
    if not (_loads("libOpenGL.so.0") or _loads("libGL.so.1")):
        return False
    return any(device.works() for device in egl.devices())


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
