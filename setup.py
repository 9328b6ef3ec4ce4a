"""pip packaging; ROS 2 builds the same tree with package.xml and CMakeLists.txt."""

from pathlib import Path

from setuptools import find_packages, setup

SHARE = Path("share/edge_robot")


def data_files() -> list[tuple[str, list[str]]]:
    """Install launch files, configuration, messages, models and worlds where ROS 2 does."""
    return [
        (
            str(SHARE / folder),
            sorted(str(path) for path in Path(folder).glob("*") if path.is_file()),
        )
        for folder in (
            "launch",
            "config",
            "config/sros2",
            "msg",
            "models",
            "models/catalogue",
            "worlds",
        )
    ]


setup(
    packages=find_packages(include=["edge_robot", "edge_robot.*"]),
    package_data={
        "edge_robot": ["py.typed"],
        "edge_robot.standalone.interfaces": ["share/*/*/*"],
        "edge_robot.teleop": ["page/*"],
        "edge_robot.report": ["*.css"],
    },
    data_files=data_files(),
)
