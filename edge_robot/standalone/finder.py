"""Import finder that supplies ROS 2's module names where ROS 2 is not installed.

It stands last in `sys.meta_path`, so it is asked only for what nothing else can import; and it
declines altogether where a real `rclpy` exists.
"""

from __future__ import annotations

import os
import pkgutil
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_LIBRARIES = ("rclpy", "tf2_ros")
"""Packages of this folder that stand for ROS 2's of the same name."""


class _LibraryLoader(Loader):
    """Makes `rclpy` a second name of `edge_robot.standalone.rclpy`, and so for its modules.

    All modules are imported at once: had the import system to look for one of them later, it would
    find the file by the package's path and execute it a second time, under the second name.
    """

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        real = f"{__package__}.{spec.name}"
        package = import_module(real)
        for info in pkgutil.walk_packages(package.__path__, f"{real}."):
            alias = spec.name + info.name.removeprefix(real)
            sys.modules[alias] = import_module(info.name)
        self._spec = package.__spec__
        return package

    def exec_module(self, module: ModuleType) -> None:
        # The import system has put the second name's spec in the place of the module's own.
        module.__spec__ = self._spec


class _MessagePackageLoader(Loader):
    """Makes `sensor_msgs`, whose modules `msg` and `srv` the finder supplies."""

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__doc__ = f"Interfaces of {module.__name__}."


class _MessageModuleLoader(Loader):
    """Makes `sensor_msgs.msg` or `std_srvs.srv`; each class is made when it is first asked for."""

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        from edge_robot.standalone.interfaces.definitions import interfaces
        from edge_robot.standalone.interfaces.message import message_class, service_class

        package, _, kind = module.__name__.rpartition(".")
        names = interfaces().names(package, kind)
        make: Callable[[str], Any] = message_class if kind == "msg" else service_class

        def get(name: str) -> Any:
            if name not in names:
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            value = make(f"{package}/{kind}/{name}")
            setattr(module, name, value)
            return value

        module.__doc__ = f"Interfaces of {package}."
        module.__dict__.update(__all__=names, __getattr__=get, __dir__=lambda: names)


class StandaloneFinder(MetaPathFinder):
    """Finds `rclpy`, `tf2_ros` and the message packages in this folder."""

    def __init__(self) -> None:
        self._ros_installed: bool | None = None

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to make a module, or None if it is none of ours."""
        del path, target
        if self._is_ros_installed():
            return None
        package, _, kind = fullname.rpartition(".")
        if fullname in _LIBRARIES:
            return ModuleSpec(fullname, _LibraryLoader(), is_package=True)
        if kind in ("msg", "srv") and self._has(package, kind):
            return ModuleSpec(fullname, _MessageModuleLoader())
        if not package and self._has(fullname, "msg", "srv"):
            return ModuleSpec(fullname, _MessagePackageLoader(), is_package=True)
        return None

    def _is_ros_installed(self) -> bool:
        if self._ros_installed is None:
            # Set first: a finder asked below may import something and ask this one again.
            self._ros_installed = True
            others = (finder for finder in sys.meta_path if finder is not self)
            self._ros_installed = any(
                finder.find_spec("rclpy", None) is not None for finder in others
            )
        return self._ros_installed

    @staticmethod
    def _has(package: str, *kinds: str) -> bool:
        # Most names asked for are optional modules of other libraries: answer those cheaply.
        if not package or "." in package or not package.isidentifier():
            return False
        common = package.endswith(("_msgs", "_interfaces", "_srvs", "_common", "edge_robot"))
        if not common and not os.environ.get("EDGE_ROBOT_INTERFACE_PATH"):
            return False
        from edge_robot.standalone.interfaces.definitions import interfaces

        return any(interfaces().names(package, kind) for kind in kinds)


def install() -> None:
    """Append the finder to the end of `sys.meta_path`, once."""
    if not any(isinstance(finder, StandaloneFinder) for finder in sys.meta_path):
        sys.meta_path.append(StandaloneFinder())
