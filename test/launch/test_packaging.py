"""What ROS 2's tools read: package.xml, CMakeLists.txt and the launch files agree with the tree."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_robot import topics
from edge_robot.share import share_dir
from edge_robot.sim.gazebo.pace import suited_here
from edge_robot.standalone.launch import arguments_of, load
from edge_robot.standalone.launch.loader import node_executables

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILES = sorted((share_dir() / "launch").glob("*.launch.xml"))


def cmake_list(start: str) -> list[str]:
    """Return the words of a CMake call, from `start` to its closing parenthesis."""
    content = (ROOT / "CMakeLists.txt").read_text()
    return content[content.index(start) + len(start) :].split(")")[0].split()


def test_package_xml_is_what_catkin_pkg_accepts() -> None:
    package = ET.parse(ROOT / "package.xml").getroot()
    assert package.get("format") == "3"
    maintainer = package.find("maintainer")
    assert maintainer is not None
    # The form catkin_pkg asks for: it refuses the package otherwise.
    pattern = (
        r"^[-a-zA-Z0-9_%+]+(\.[-a-zA-Z0-9_%+]+)*@[-a-zA-Z0-9%]+(\.[-a-zA-Z0-9%]+)*\.[a-zA-Z]{2,}$"
    )
    assert re.match(pattern, maintainer.get("email", ""))
    version = package.findtext("version")
    assert version is not None
    assert f'version = "{version}"' in (ROOT / "pyproject.toml").read_text()
    assert package.findtext("member_of_group") == "rosidl_interface_packages"
    assert package.findtext("export/build_type") == "ament_cmake"


def dependencies() -> set[str]:
    package = ET.parse(ROOT / "package.xml").getroot()
    return {str(element.text) for element in package if element.tag.endswith("depend")}


def sources() -> Iterator[str]:
    """Yield the text of what runs under ROS 2: not the standalone runtime, benches and training."""
    for file in (ROOT / "edge_robot").rglob("*.py"):
        parts = file.relative_to(ROOT / "edge_robot").parts
        if not {"standalone", "bench", "training", "benches"} & set(parts):
            yield file.read_text()


def test_package_xml_names_every_package_that_the_code_imports() -> None:
    ros = r"(?:\w+_msgs|\w+_interfaces|std_srvs|rclpy|tf2_ros)"
    imported: set[str] = set()
    for text in sources():
        imported |= set(re.findall(rf"^\s*(?:from|import) ({ros})\b", text, re.MULTILINE))
    table = (ROOT / "edge_robot" / "topics.py").read_text()
    imported |= set(re.findall(r'"(\w+)/[A-Z]\w+"', table)) - {"edge_robot"}
    imported = {"tf2_ros_py" if name == "tf2_ros" else name for name in imported}
    assert imported <= dependencies()


def test_package_xml_names_every_package_that_a_launch_file_starts_a_node_of() -> None:
    texts = [file.read_text() for file in LAUNCH_FILES]
    packages = {name for text in texts for name in re.findall(r'pkg="(\w+)"', text)}
    assert {"rviz2", "ros_gz_bridge"} < packages
    assert packages - {"edge_robot"} <= dependencies()


ROSDEP = {
    **{name: f"python3-{name}" for name in ("aiohttp", "numba", "numpy", "rich", "scipy", "typer")},
    **{name: f"python3-{name}-pip" for name in ("mujoco", "onnxruntime", "rosbags")},
    "cv2": "python3-opencv",
    "google": "python3-protobuf",
    "grpc": "python3-grpcio",
    "prometheus_client": "python3-prometheus-client",
    "yaml": "python3-yaml",
    **dict.fromkeys(("mcap", "onnx", "tritonclient", "zstandard"), ""),
    "triton_python_backend_utils": "optional",
    **dict.fromkeys(("foxglove", "ml_dtypes", "openvino", "ray", "torch"), "optional"),
}
"""What the code imports of PyPI, by rosdep's keys (rosdistro: rosdep/python.yaml); empty: none."""


def test_package_xml_names_what_rosdep_knows_of_pypi_and_the_rest_in_words() -> None:
    ours = r"edge_robot|__future__|\w+_msgs|\w+_interfaces|std_srvs|rclpy|tf2_ros"
    imported: set[str] = set()
    for text in sources():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                imported |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(str(node.module).split(".")[0])
    imported -= {name for name in imported if re.fullmatch(ours, name)} | sys.stdlib_module_names
    assert imported <= ROSDEP.keys()
    keys = {ROSDEP[name] for name in imported} - {"", "optional"}
    assert keys <= dependencies()
    for name in (name for name in imported if not ROSDEP[name]):
        assert name in (ROOT / "package.xml").read_text()


def test_cmake_generates_every_message() -> None:
    words = cmake_list("rosidl_generate_interfaces(")
    listed = [word.strip('"') for word in words if word.startswith('"')]
    assert listed == [f"msg/{file.name}" for file in sorted((ROOT / "msg").glob("*.msg"))]


def test_cmake_depends_on_every_package_the_messages_use() -> None:
    words = cmake_list("rosidl_generate_interfaces(")
    listed = set(words[words.index("DEPENDENCIES") + 1 :])
    used: set[str] = set()
    for file in (ROOT / "msg").glob("*.msg"):
        used |= set(re.findall(r"^(\w+)/\w+", file.read_text(), re.MULTILINE))
    assert listed == used - {"edge_robot"}


def test_cmake_makes_an_executable_of_every_node() -> None:
    assert cmake_list("set(NODES") == node_executables()


def test_an_interrupt_while_an_executable_starts_ends_it_cleanly(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\n\ntime.sleep(60)\n")
    text = (ROOT / "cmake" / "executable.py.in").read_text().replace("@module@", "slow")
    executable = tmp_path / "slow"
    executable.write_text(text)
    executable.chmod(0o755)
    paths = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {**os.environ, "PATH": paths, "PYTHONPATH": str(tmp_path)}
    # Python takes some 20 ms to its first line.
    for wait in (0.01, 0.02, 0.05, 0.2):
        process = subprocess.Popen(
            [executable], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        while not Path(f"/proc/{process.pid}/comm").read_text().startswith("python"):
            assert process.poll() is None, "`env` of coreutils 8.31 or newer is needed"
            time.sleep(0.001)
        time.sleep(wait)
        process.send_signal(signal.SIGINT)
        assert (process.communicate(timeout=30)[0], process.returncode) == (b"", 0)


@pytest.mark.parametrize("file", LAUNCH_FILES, ids=lambda file: file.name)
def test_every_launch_file_can_be_read(file: Path, desktop: dict[str, str]) -> None:
    required = {
        "replay.launch.xml": {"path": "recording"},
        "camera.launch.xml": {"camera": "left"},
        "lidar.launch.xml": {"lidar": "rear"},
    }
    found = load(file, required.get(file.name, {}), desktop).processes
    assert bool(found) == (file.name != "common.launch.xml")  # which others include


def test_the_launch_files_start_every_node() -> None:
    text = "".join(file.read_text() for file in LAUNCH_FILES)
    started = set(re.findall(r'pkg="edge_robot" exec="(\w+)"', text))
    assert started == set(node_executables())


def test_every_node_of_a_launch_file_has_its_parameter_file() -> None:
    for file in LAUNCH_FILES:
        for node in ET.parse(file).getroot().iter("node"):
            if node.get("pkg") != "edge_robot":
                continue
            if node.get("exec") in ("track_markers", "service_watchdog"):  # which have none
                continue
            parameters = [param.get("from") for param in node.iter("param")]
            assert f"$(var config_dir)/{node.get('exec')}.yaml" in parameters, file.name


@pytest.mark.parametrize(
    ("kind", "name", "renamed"),
    [
        (
            "camera",
            "left",
            (topics.CAMERA_IMAGE, topics.CAMERA_COMPRESSED, topics.CAMERA_DETECTIONS),
        ),
        (
            "lidar",
            "lidar_rear",
            (topics.LIDAR_POINTS, topics.LIDAR_DETECTIONS, topics.LIDAR_CLEARANCE),
        ),
    ],
)
def test_one_more_sensor_has_the_topics_the_table_gives_it(
    kind: str, name: str, renamed: tuple[topics.Topic, ...]
) -> None:
    (process,) = load(share_dir() / "launch" / f"{kind}.launch.xml", {kind: name}).processes
    assert {f"{topic.name}:={topic.of(name).name}" for topic in renamed} <= set(process.command)
    assert process.node == f"/{kind}_perception_{name}"


@pytest.mark.parametrize("name", ["demo", "replay", "robot"])
def test_one_argument_chooses_the_onboard_detector(name: str) -> None:
    needed = {"path": "drive"} if name == "replay" else {}
    description = load(
        share_dir() / "launch" / f"{name}.launch.xml", {**needed, "model": "a_model"}, {}
    )
    asked = [p.node for p in description.processes if "model:=a_model" in " ".join(p.command)]
    assert asked == ["/camera_perception"]


def test_gazebo_runs_the_same_loop_as_the_demo(desktop: dict[str, str]) -> None:
    launch = share_dir() / "launch"
    demo = {argument.name for argument in arguments_of(launch / "demo.launch.xml")}
    gazebo = {argument.name for argument in arguments_of(launch / "gazebo.launch.xml")}
    assert gazebo - demo == {"headless"}
    given = {"seed": "7", "headless": "true", "folder": "run"}
    processes = load(launch / "gazebo.launch.xml", given, desktop).processes
    in_demo = load(launch / "demo.launch.xml", {"seed": "7"}, {}).processes
    (server,) = [" ".join(p.command) for p in processes if "serve" in p.command]
    pace = suited_here().pace
    assert server.endswith(f"serve --seed 7 --pace {pace} --output run/warehouse.sdf --headless")
    ours = {process.node for process in processes} - {"/gazebo_bridge", "/gazebo_world", None}
    assert ours == {process.node for process in in_demo} - {"/simulator", None}
