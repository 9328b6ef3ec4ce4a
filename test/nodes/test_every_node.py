"""Every managed node: its life, its numbers' ranges, and the parameter files that are shipped."""

from __future__ import annotations

import importlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
import yaml
from bags import sensors, write_bag
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

import edge_robot.nodes
from edge_robot.nodes.lifecycle_manager import LifecycleManager
from edge_robot.nodes.managed import ManagedNode
from edge_robot.standalone.virtual import VirtualWorld

FOLDER = Path(edge_robot.nodes.__file__).parent
CONFIG = FOLDER.parents[1] / "config"
SUCCESS = TransitionCallbackReturn.SUCCESS


def _classes() -> dict[str, type[Any]]:
    found = {}
    for file in sorted(FOLDER.glob("*.py")):
        if "(ManagedNode):" in file.read_text(encoding="utf-8"):
            module = importlib.import_module(f"edge_robot.nodes.{file.stem}")
            (found[file.stem],) = (
                item
                for item in vars(module).values()
                if isinstance(item, type)
                and issubclass(item, ManagedNode)
                and item.__module__ == module.__name__
            )
    return found


CLASSES = _classes()


def test_every_node_but_their_manager_is_managed() -> None:
    programs = {file.stem for file in FOLDER.glob("*.py") if "\ndef main()" in file.read_text()}
    assert programs - {"lifecycle_manager"} == set(CLASSES)
    assert set(CLASSES) - set(CHANGES) == {"track_markers"}, "all that have parameters are tried"


GIVEN: dict[str, dict[str, Any]] = {
    "dashboard": {"port": 0},
    "fleet_backend": {"port": 0, "model": "warehouse_edge", "planner": False},
    "foxglove_bridge": {"port": 0},
    "network_link": {"port": 0},
    "simulator": {"gl_backend": "raycast", "ray_stride": 8},
}
"""What a node must be given to be tried here, besides folders of its own."""
FOLDERS = {
    "dashboard": "audit_folder",
    "fleet_telemetry": "folder",
    "recorder": "output",
    "replay_source": "path",
}
CHANGES: dict[str, tuple[str, Any]] = {
    "camera_perception": ("threads", 2),
    "collision_monitor": ("decel", 2.0),
    "command_mux": ("teleoperation.lease", 0.3),
    "controller": ("drive", "omnidirectional"),
    "dashboard": ("robot", "robot7"),
    "fleet_backend": ("name", "other"),
    "fleet_bridge": ("rate", 2.0),
    "fleet_telemetry": ("max_mb", 300),
    "foxglove_bridge": ("backlog", 8),
    "fusion": ("cameras", ["left"]),
    "gazebo_world": ("seed", 2),
    "lidar_perception": ("fixed_frame", "map"),
    "mission": ("seed", 2),
    "mode_manager": ("approach_speed", 1.0),
    "network_link": ("target", "127.0.0.1:9001"),
    "planner": ("view", 5.0),
    "recorder": ("jpeg_quality", 70),
    "replay_source": ("listeners", 1),
    "scan_perception": ("fixed_frame", "map"),
    "service_watchdog": ("manager", "other"),
    "simulator": ("people", 1),
}
"""A parameter of each that is only read when it is configured, and another value."""


def _entities(node: Any) -> int:
    kinds = (node.publishers, node.subscriptions, node.services, node.clients)
    more = (node.timers, node.guards, node.waitables)
    return sum(len(list(kind)) for kind in (*kinds, *more))


LIVE: dict[str, tuple[str, Any, Callable[[Any], Any]]] = {
    "mode_manager": ("last_plan_time", 0.1, lambda node: node._machine.times.last_plan_time),
    "camera_perception": ("dark_level", 20.0, lambda node: node._health.limits.dark_level),
    "controller": ("command_accel", 1.5, lambda node: node._smoother.limits.command_accel),
    "dashboard": (
        "operator_speed",
        0.4,
        lambda node: node._control._helm.settings.speed.operator_speed,
    ),
    "fleet_bridge": ("deadline", 0.2, lambda node: node._opinions.settings.deadline),
    "fleet_telemetry": ("rate", 5e4, lambda node: node._pace.settings.rate),
    "fusion": ("gate", 9.0, lambda node: node._tracker.config.gate),
    "lidar_perception": ("clearance", 0.2, lambda node: node._detector.config.ground.clearance),
    "scan_perception": ("same_surface", 0.3, lambda node: node.boxes.moving.config.same_surface),
    "simulator": ("camera_rate", 4.0, lambda node: 1.0 / node._camera.period),
}
"""A parameter of each that is live, another value, and where that must arrive."""


def _threads() -> list[str]:
    # gRPC keeps one of its own for good.
    return [item.name for item in threading.enumerate() if "_poll_wrapper" not in item.name]


def _set(node: Any, **values: Any) -> str:
    """Set parameters; return why not."""
    parameters = [Parameter(name, value=value) for name, value in values.items()]
    return str(node.set_parameters_atomically(parameters).reason)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, domain: int) -> Iterator[Path]:
    monkeypatch.setenv("EDGE_ROBOT_TOKEN", "a token for the test")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    rclpy.init()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        yield tmp_path
    rclpy.try_shutdown()


@pytest.mark.parametrize("name", CLASSES)
def test_it_works_again_after_it_was_taken_back(name: str, place: Path) -> None:
    if name == "foxglove_bridge":
        pytest.importorskip("foxglove")
    if name == "replay_source":
        write_bag(place / name, sensors())
    given = dict(GIVEN.get(name, {}))
    if name in FOLDERS:
        given[FOLDERS[name]] = str(place / name)
    node = CLASSES[name]()
    try:
        assert _set(node, **given) == ""
        bare, threads = _entities(node), _threads()
        assert node.trigger_configure() is SUCCESS
        for _ in range(2):
            assert node.trigger_activate() is SUCCESS
            assert _entities(node) > bare or name == "fleet_backend"  # which speaks gRPC alone
            if name in LIVE:
                parameter, value, arrived = LIVE[name]
                assert _set(node, **{parameter: value}) == ""
                assert arrived(node) == value
            assert node.trigger_deactivate() is SUCCESS
            assert _entities(node) == bare
        if name in CHANGES:
            parameter, value = CHANGES[name]
            assert "cleanup" in _set(node, **{parameter: value})
            assert node.trigger_cleanup() is SUCCESS
            assert _set(node, **{parameter: value}) == ""
            assert node.trigger_configure() is SUCCESS
        assert node.trigger_cleanup() is SUCCESS
        assert _threads() == threads
    finally:
        node.destroy_node()


@pytest.mark.parametrize("name", CLASSES)
def test_numbers_have_ranges(name: str) -> None:
    with VirtualWorld():
        node = CLASSES[name]()
        for parameter in node.get_parameters_by_prefix("").values():
            if parameter.type_ in (Parameter.Type.INTEGER, Parameter.Type.DOUBLE):
                described = node.describe_parameter(parameter.name)
                assert described.integer_range or described.floating_point_range, parameter.name


@pytest.mark.parametrize(
    "file",
    [
        file
        for file in sorted(CONFIG.glob("*.yaml"))
        # The aggregator is another package's.
        if "ros__parameters:" in file.read_text() and file.stem != "diagnostic_aggregator"
    ],
    ids=lambda file: file.stem,
)
def test_parameter_files_hold_what_nodes_have_and_take(file: Path) -> None:
    for section, content in yaml.safe_load(file.read_text(encoding="utf-8")).items():
        name = file.stem if section == "/**" else section.removeprefix("/**/")
        with VirtualWorld(arguments=["--ros-args", "--params-file", str(file)]):
            node = (CLASSES | {"lifecycle_manager": LifecycleManager})[name]()
            assert {*_flat(content)} <= {*node.get_parameters_by_prefix("")}


def _flat(section: dict[str, Any]) -> Iterator[str]:
    for name, value in section.get("ros__parameters", section).items():
        if isinstance(value, dict):
            yield from (f"{name}.{below}" for below in _flat(value))
        else:
            yield name
