"""Import finder that supplies ROS 2's module names where ROS 2 is not installed.

It stands last in `sys.meta_path`, so it is asked only for what nothing else can import; and it
declines altogether where a real `rclpy` exists. With EDGE_ROBOT_RUNTIME=standalone it stands first,
and a real one is never used. Modules are imported when they are asked for.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from edge_robot.standalone.interfaces.definitions import KINDS

RUNTIME = "EDGE_ROBOT_RUNTIME"
STANDALONE, RCLPY = "standalone", "rclpy"

_LIBRARIES = ("rclpy", "rosidl_parser", "tf2_geometry_msgs", "tf2_ros")
"""Packages of this folder that stand for ROS 2's of the same name."""


class _AliasLoader(Loader):
    """Makes `rclpy.node` a second name of the module `edge_robot.standalone.rclpy.node`."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(f"{__package__}.{spec.name}")
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has put the second name's spec in the place of the module's own.
        module.__spec__ = self._spec


class _AliasFinder(MetaPathFinder):
    """Finds the modules of a library by their second names.

    It stands first: the import system's own finder would find the file of `rclpy.node` by the
    path of the package and execute it a second time, under the second name.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to make a module, or None if it is not in one of the libraries."""
        del path, target
        library, _, rest = fullname.partition(".")
        if not rest or library not in _LIBRARIES:
            return None
        real = find_spec(f"{__package__}.{fullname}")
        if real is None:
            return None
        is_package = real.submodule_search_locations is not None
        return ModuleSpec(fullname, _AliasLoader(), is_package=is_package)


class _InterfacePackageLoader(Loader):
    """Makes `sensor_msgs`, whose modules `msg`, `srv` and `action` the finder supplies."""

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__doc__ = f"Interfaces of {module.__name__}."


class _InterfaceModuleLoader(Loader):
    """Makes `sensor_msgs.msg` or `std_srvs.srv`; each class is made when it is first asked for.

    Args:
        names: Interfaces that the module holds; those they imply are found by their names.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        from edge_robot.standalone.interfaces.definitions import InterfaceError
        from edge_robot.standalone.interfaces.service import interface_class

        package, kind = module.__name__.split(".")[:2]
        names = self._names

        def get(name: str) -> Any:
            if name in names or (kind != "msg" and name.startswith(tuple(f"{n}_" for n in names))):
                with contextlib.suppress(InterfaceError):
                    value = interface_class(f"{package}/{kind}/{name}")
                    setattr(module, name, value)
                    return value
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        module.__doc__ = f"Interfaces of {package}."
        module.__dict__.update(__all__=list(names), __getattr__=get, __dir__=lambda: list(names))


class StandaloneFinder(MetaPathFinder):
    """Finds `rclpy`, `tf2_ros` and the message packages in this folder.

    Args:
        always: Also where a real `rclpy` exists.
    """

    def __init__(self, always: bool) -> None:
        self.always = always
        self._ros_installed: bool | None = False if always else None

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to make a module, or None if it is none of ours."""
        del path, target
        if self._is_ros_installed():
            return None
        if fullname in _LIBRARIES:
            if not any(isinstance(finder, _AliasFinder) for finder in sys.meta_path):
                sys.meta_path.insert(0, _AliasFinder())
            return ModuleSpec(fullname, _AliasLoader(), is_package=True)
        package, *rest = fullname.split(".")
        if len(rest) > 2 or not self._is_interface_package(package):
            return None
        if rest and rest[0] not in KINDS:
            return None
        return self._package(package) if not rest else self._module(package, *rest)

    @staticmethod
    def _package(package: str) -> ModuleSpec | None:
        from edge_robot.standalone.interfaces.store import interfaces

        if package not in interfaces().packages():
            return None
        return ModuleSpec(package, _InterfacePackageLoader(), is_package=True)

    @staticmethod
    def _module(package: str, kind: str, private: str = "") -> ModuleSpec | None:
        """Return how to make `package.kind`, or the module in which rosidl defines a class."""
        from edge_robot.standalone.interfaces.message import private_module
        from edge_robot.standalone.interfaces.store import interfaces

        names = interfaces().names(package, kind)
        module = f"{package}.{kind}"
        if private:
            module = f"{module}.{private}"
            names = [name for name in names if private_module(f"{package}/{kind}/{name}") == module]
        if not names:
            return None
        return ModuleSpec(module, _InterfaceModuleLoader(names), is_package=not private)

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
    def _is_interface_package(package: str) -> bool:
        # Most names asked for are optional modules of other libraries: answer those cheaply.
        if package.endswith(("_msgs", "_interfaces", "_srvs", "_common", "edge_robot")):
            return True
        if not package.isidentifier() or not os.environ.get("EDGE_ROBOT_INTERFACE_PATH"):
            return False
        # A user's may have any name; what is asked for first must not look for Python's own.
        return package not in sys.stdlib_module_names and _may_be_users(package)


@cache
def _may_be_users(package: str) -> bool:
    """Return whether EDGE_ROBOT_INTERFACE_PATH has a package, or nothing else has."""
    for entry in map(Path, os.environ["EDGE_ROBOT_INTERFACE_PATH"].split(os.pathsep)):
        if entry.name == package or (entry / package).is_dir():
            return True
    return PathFinder.find_spec(package) is None


def install() -> None:
    """Put the finder into `sys.meta_path`, once: last, or first if EDGE_ROBOT_RUNTIME asks for it.

    It never takes the place of a real `rclpy` that this process has imported already.

    Raises:
        ImportError: EDGE_ROBOT_RUNTIME is neither of two.
    """
    chosen = os.environ.get(RUNTIME) or RCLPY
    if chosen not in (STANDALONE, RCLPY):
        raise ImportError(f"{RUNTIME} is {chosen!r}: set it to {STANDALONE} or {RCLPY}")
    rclpy = sys.modules.get("rclpy")
    is_real = rclpy is not None and not rclpy.__name__.startswith(__package__)
    always = chosen == STANDALONE and not is_real
    for item in list(sys.meta_path):
        if isinstance(item, StandaloneFinder):
            if item.always == always:
                return
            sys.meta_path.remove(item)
    sys.meta_path.insert(0 if always else len(sys.meta_path), StandaloneFinder(always))


def is_ros_without_us() -> bool:
    """Return whether there is a real `rclpy` for which edge_robot's messages were not built.

    colcon puts them beside the package's modules. Its nodes cannot run there.
    """
    import edge_robot

    built = PathFinder.find_spec("edge_robot.msg", edge_robot.__path__)
    return built is None and PathFinder.find_spec("rclpy") is not None
