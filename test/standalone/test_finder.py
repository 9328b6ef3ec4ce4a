from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import pytest
import rclpy

import edge_robot.standalone.rclpy
import edge_robot.standalone.tf2_ros
from edge_robot.standalone import finder


def test_both_names_are_one_module() -> None:
    real = edge_robot.standalone.rclpy
    assert rclpy is real
    for info in pkgutil.iter_modules(real.__path__):
        alias = importlib.import_module(f"rclpy.{info.name}")
        assert alias is importlib.import_module(f"{real.__name__}.{info.name}")
        assert alias.__spec__ is not None
        assert alias.__spec__.name == f"{real.__name__}.{info.name}"
    assert importlib.import_module("tf2_ros") is edge_robot.standalone.tf2_ros


def test_it_is_installed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    for runtime, is_first in (("standalone", True), ("", False), ("rclpy", False)):
        monkeypatch.setenv(finder.RUNTIME, runtime)
        finder.install()
        finder.install()
        ours = [item for item in sys.meta_path if isinstance(item, finder.StandaloneFinder)]
        assert len(ours) == 1
        place = sys.meta_path.index(ours[0])
        assert (place < sys.meta_path.index(PathFinder)) == is_first


def test_message_modules_make_one_class_per_name() -> None:
    from sensor_msgs.msg import Image
    from std_msgs.msg import Header

    msg = importlib.import_module("sensor_msgs.msg")
    assert msg.Image is Image
    assert type(Image().header) is Header
    assert "PointCloud2" in dir(msg)


def test_unknown_names_are_import_errors() -> None:
    with pytest.raises(ImportError, match="Nothing"):
        from sensor_msgs.msg import Nothing  # noqa: F401
    for name in ("nothing_msgs", "nothing_msgs.msg", "sensor_msgs.srv.x", "rclpy.nothing"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(name)


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def with_ros(tmp_path: Path) -> str:
    """A PYTHONPATH with something that looks like a real rclpy."""
    (tmp_path / "rclpy").mkdir()
    (tmp_path / "rclpy" / "__init__.py").write_text("real = True\n")
    return os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])


def test_it_keeps_out_of_the_way_of_a_real_rclpy(with_ros: str) -> None:
    code = (
        "import edge_robot, rclpy; assert rclpy.real\n"
        "try:\n    import tf2_ros\nexcept ModuleNotFoundError: print('declined')\n"
        "try:\n    import vision_msgs.msg\nexcept ModuleNotFoundError: print('declined')\n"
    )
    result = run_python(code, PYTHONPATH=with_ros, EDGE_ROBOT_RUNTIME="")
    assert result.stdout.split() == ["declined", "declined"], result.stderr


def test_it_is_taken_before_a_real_rclpy_where_one_asks_for_it(with_ros: str) -> None:
    code = (
        "import edge_robot, rclpy, tf2_ros; from std_msgs.msg import String; print(rclpy.__name__)"
    )
    result = run_python(code, PYTHONPATH=with_ros, EDGE_ROBOT_RUNTIME="standalone")
    assert result.stdout.split() == ["edge_robot.standalone.rclpy"], result.stderr
    late = "import rclpy, edge_robot; import rclpy; assert rclpy.real"
    result = run_python(late, PYTHONPATH=with_ros, EDGE_ROBOT_RUNTIME="standalone")
    assert result.returncode == 0, result.stderr


def test_the_command_runs_without_a_ros_2_that_edge_robot_was_not_built_for(
    with_ros: str, tmp_path: Path
) -> None:
    """Of a package that colcon has built, the messages lie beside the modules."""
    program = tmp_path / "program.py"
    program.write_text("import rclpy\nprint(rclpy.__name__)\n")
    code = f"import sys; sys.argv = ['edge-robot', 'run', {str(program)!r}]\n"
    code += "from edge_robot.cli.main import main; main()"
    result = run_python(code, PYTHONPATH=with_ros, EDGE_ROBOT_RUNTIME="")
    assert result.stdout.split() == ["edge_robot.standalone.rclpy"], result.stderr
    assert "has no edge_robot built for it" in result.stderr
    result = run_python(code, PYTHONPATH=with_ros, EDGE_ROBOT_RUNTIME="rclpy")
    assert (result.stdout.split(), result.stderr) == (["rclpy"], "")
    result = run_python(code, PYTHONPATH=with_ros, EDGE_ROBOT_RUNTIME="roscpp")
    assert (result.returncode != 0, result.stdout) == (True, "")
    assert "set it to standalone or rclpy" in result.stderr

    built = tmp_path / "edge_robot"
    built.mkdir()
    for item in Path(edge_robot.__file__).parent.iterdir():
        (built / item.name).symlink_to(item)
    (built / "msg").mkdir()
    (built / "msg" / "__init__.py").touch()
    result = run_python(code, PYTHONPATH=with_ros, EDGE_ROBOT_RUNTIME="")
    assert (result.stdout.split(), result.stderr) == (["rclpy"], "")


def test_importing_edge_robot_alone_is_cheap() -> None:
    path = str(Path(__file__).parents[2])
    code = "import edge_robot, sys; print('cyclonedds' in sys.modules, 'numpy' in sys.modules)"
    assert run_python(code, PYTHONPATH=path).stdout.split() == ["False", "False"]


def test_the_distribution_can_be_chosen() -> None:
    code = "import edge_robot\nfrom rmw_dds_common.msg import Gid\nprint(len(Gid().data))"
    path = str(Path(__file__).parents[2])
    sizes = {
        distro: run_python(code, PYTHONPATH=path, EDGE_ROBOT_ROS_DISTRO=distro).stdout.strip()
        for distro in ("humble", "jazzy")
    }
    assert sizes == {"humble": "24", "jazzy": "16"}


def test_packages_of_the_user_can_be_imported(tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "msg"
    folder.mkdir(parents=True)
    (folder / "Reading.msg").write_text("float64 value 1.5\nstd_msgs/Header header\n")
    code = "import edge_robot; from mine.msg import Reading; print(Reading().value)"
    for entry in (tmp_path, tmp_path / "mine"):
        done = run_python(code, EDGE_ROBOT_INTERFACE_PATH=str(entry))
        assert done.stdout == "1.5\n", done.stderr


def test_a_wrong_interface_path_is_said(tmp_path: Path) -> None:
    code = "import edge_robot; from mine.msg import Reading"
    for entry, told in ((tmp_path / "nowhere", "is no folder"), (tmp_path, "neither")):
        done = run_python(code, EDGE_ROBOT_INTERFACE_PATH=str(entry))
        assert done.returncode != 0
        assert "EDGE_ROBOT_INTERFACE_PATH" in done.stderr
        assert told in done.stderr


def test_classes_are_found_where_rosidl_defines_them() -> None:
    from sensor_msgs.msg import Image
    from sensor_msgs.msg._image import Image as Private
    from std_srvs.srv import SetBool
    from std_srvs.srv._set_bool import SetBool_Response

    assert Private is Image
    assert SetBool_Response is SetBool.Response
    with pytest.raises(ImportError):
        from std_srvs.srv import SetBool_Nothing  # noqa: F401


def test_actions_of_the_user_can_be_imported(tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "action"
    folder.mkdir(parents=True)
    (folder / "Dig.action").write_text("float64 depth 2.0\n---\n---\nwstring<=3 word\n")
    code = (
        "import edge_robot\nfrom mine.action import Dig, Dig_GetResult_Request\n"
        "print(Dig.Goal().depth, Dig.Feedback.get_fields_and_field_types())"
    )
    done = run_python(code, EDGE_ROBOT_INTERFACE_PATH=str(tmp_path))
    assert done.stdout == "2.0 {'word': 'wstring<3>'}\n", done.stderr
