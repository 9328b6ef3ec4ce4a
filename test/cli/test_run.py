from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
import rclpy
from std_msgs.msg import String
import beside

rclpy.init()
node = rclpy.create_node("program")
print(__name__, node.get_fully_qualified_name(), String(data=beside.TEXT).data, sys.argv[1:])
node.destroy_node()
rclpy.shutdown()
"""


def edge_robot(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge_robot", *arguments],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_file_and_a_module_run_unchanged(domain: int, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "beside.py").write_text("TEXT = 'found'")
    for program in ("program.py", "program"):
        done = edge_robot("run", program, "-x", "--ros-args", "-r", "__ns:=/there", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout == (
            "__main__ /there/program found ['-x', '--ros-args', '-r', '__ns:=/there']\n"
        )


def test_what_cannot_be_run_is_said_in_a_line(tmp_path: Path) -> None:
    for program, told in (("nothing.py", "there is no file"), ("not.there", "neither a file")):
        done = edge_robot("run", program, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert told in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_help_is_ours_before_the_program_only(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import sys; print(sys.argv)")
    assert "Run a program written for rclpy" in edge_robot("run", "--help", cwd=tmp_path).stdout
    done = edge_robot("run", "program.py", "--help", cwd=tmp_path)
    assert done.stdout == "['program.py', '--help']\n"
