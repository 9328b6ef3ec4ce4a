"""The house rules that a reader of docs/architecture.md relies on, held against the code."""

from __future__ import annotations

import ast
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_robot.stages import STAGES
from edge_robot.topics import TOPICS

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "edge_robot"
PLAIN = (
    "introspection",
    "recording",
    "perception",
    "fusion",
    "planning",
    "control",
    "fleet",
    "teleop",
    "sim",
    "replay",
    "report",
)
ROS = {
    "rclpy",
    "tf2_ros",
    "edge_robot.msg",
    "edge_robot.nodes",
    *(topic.type.split("/")[0] + ".msg" for topic in TOPICS),
}
REFEREES = {"recorder", "mission", "simulator", "gazebo_world"}


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def under(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


@pytest.mark.parametrize("folder", PLAIN)
def test_plain_folders_import_no_ros_and_no_nodes(folder: str) -> None:
    files = list((PACKAGE / folder).rglob("*.py"))
    assert files
    for file in files:
        for module in imports(file):
            assert not any(under(module, name) for name in ROS), f"{file}: {module}"
            assert not under(module, "edge_robot.standalone"), f"{file}: {module}"


def test_nodes_know_nothing_of_the_standalone_runtime() -> None:
    for file in (PACKAGE / "nodes").glob("*.py"):
        assert not any(under(module, "edge_robot.standalone") for module in imports(file)), file


def test_nothing_of_the_stack_reads_the_referee() -> None:
    for file in (PACKAGE / "nodes").glob("*.py"):
        if file.stem not in REFEREES:
            assert "SIMULATION_TRUTH" not in file.read_text(), file


def test_documented_tables_are_those_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    tables = runpy.run_path(str(ROOT / "docs" / "tables.py"))
    pages = {page: page.read_text() for page in (ROOT / "docs").rglob("*.md")}
    for page, text in pages.items():
        assert tables["with_blocks"](text) == text, f"{page}: run `python docs/tables.py`"
    for name in tables["BLOCKS"]:
        assert sum(f"<!-- {name} -->" in text for text in pages.values()) == 1, name
    for name, draw in tables["DRAWINGS"].items():
        assert (ROOT / "docs" / name).read_text() == draw(), f"{name}: run `python docs/tables.py`"


def test_every_stage_belongs_to_a_node() -> None:
    for stage in STAGES:
        assert (PACKAGE / "nodes" / f"{stage.node}.py").is_file(), stage.name


def test_own_message_types_of_the_table_are_defined() -> None:
    for topic in TOPICS:
        package, name = topic.type.split("/")
        if package == "edge_robot":
            assert (ROOT / "msg" / f"{name}.msg").is_file(), topic.name


def test_the_last_stage_before_the_wheels_starts_light() -> None:
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import edge_robot, sys, edge_robot.nodes.collision_monitor; print(*sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "numpy" in loaded
    assert not {"scipy", "onnx", "onnxruntime"} & set(loaded)
