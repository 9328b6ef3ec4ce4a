"""Asks EGL, the library that draws without a display, which devices there are to draw with.

By ctypes: PyOpenGL can be bound to one library only per process, and is not needed for Gazebo.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

_PLATFORM_DEVICE = 0x313F
_EXTENSIONS = 0x3055
_SOFTWARE = b"EGL_MESA_device_software"
_MOST = 16
_pointer = ctypes.c_void_p


class Device:
    """One of EGL's devices.

    Attributes:
        is_software: Whether it is Mesa's, which draws on the processor.
    """

    def __init__(self, egl: ctypes.CDLL, handle: int | None, is_software: bool) -> None:
        self._egl, self._handle = egl, handle
        self.is_software = is_software

    def works(self) -> bool:
        """Return whether it can be initialised."""
        get_display = _function(
            self._egl, b"eglGetPlatformDisplayEXT", _pointer, ctypes.c_uint, _pointer, _pointer
        )
        if get_display is None:
            return False
        display = get_display(_PLATFORM_DEVICE, self._handle, None)
        self._egl.eglInitialize.argtypes = [_pointer, _pointer, _pointer]
        return bool(display and self._egl.eglInitialize(display, None, None))


def devices() -> list[Device]:
    """Return all devices, in EGL's order; none where there is no EGL."""
    try:
        egl = ctypes.CDLL("libEGL.so.1")
    except OSError:
        return []
    query = _function(egl, b"eglQueryDevicesEXT", ctypes.c_uint, ctypes.c_int, _pointer, _pointer)
    describe = _function(egl, b"eglQueryDeviceStringEXT", ctypes.c_char_p, _pointer, ctypes.c_int)
    if query is None or describe is None:
        return []
    handles, count = (_pointer * _MOST)(), ctypes.c_int(0)
    if not query(_MOST, ctypes.byref(handles), ctypes.byref(count)):
        return []
    return [
        Device(egl, handle, _SOFTWARE in (describe(handle, _EXTENSIONS) or b""))
        for handle in handles[: count.value]
    ]


def _function(egl: ctypes.CDLL, name: bytes, *types: Any) -> Callable[..., Any] | None:
    """Return an extension's function, by the types of its result and its arguments."""
    egl.eglGetProcAddress.restype = _pointer
    egl.eglGetProcAddress.argtypes = [ctypes.c_char_p]
    address = egl.eglGetProcAddress(name)
    return ctypes.CFUNCTYPE(*types)(address) if address else None
