"""`edge-robot launch` with real processes: output, endings, signals, no orphans."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
from launching import Running, launch, python, wait_until_gone, write

SLEEPER = python("import time; print('ready'); time.sleep(100)")
PATIENCE = 4.0
"""The promise is 2 s, of which the schedule of signals takes 1.5 s; more is for a busy machine."""
STUBBORN = python(
    "import signal, time; signal.signal(2, signal.SIG_IGN); signal.signal(15, signal.SIG_IGN);"
    "print('ready'); time.sleep(100)"
)


def test_output_carries_the_name_of_its_process(tmp_path: Path) -> None:
    talk = python("import sys; print('to out'); print('to err', file=sys.stderr)")
    file = write(
        tmp_path,
        f'<executable name="loud" cmd="{talk}" output="screen"/>'
        f'<executable name="quiet" cmd="{talk}" output="log"/>',
    )
    result = launch(file)
    assert result.returncode == 0
    assert "[loud-1] to out" in result.stdout
    assert "[loud-1] to err" in result.stderr
    assert "[quiet-2] to err" in result.stderr
    assert "[quiet-2] to out" not in result.stdout
    assert "\033" not in result.stdout + result.stderr, "colours only on a terminal"


def test_environment_and_prefix_reach_the_process(tmp_path: Path) -> None:
    show = python("import os; print(os.environ['OMP_NUM_THREADS'], os.environ['A'], os.nice(0))")
    file = write(
        tmp_path,
        '<set_env name="OMP_NUM_THREADS" value="1"/>'
        f'<executable name="show" cmd="{show}" launch-prefix="nice -n 5" output="screen">'
        '<env name="A" value="b c"/></executable>',
    )
    assert f"[show-1] 1 b c {min(os.nice(0) + 5, 19)}" in launch(file).stdout


def test_long_and_broken_output_passes(tmp_path: Path) -> None:
    talk = python(
        "import sys; sys.stdout.write('x' * 200000); sys.stdout.flush();"
        r"sys.stdout.buffer.write(b'\n\xff\xfe without end')"
    )
    file = write(tmp_path, f'<executable name="talk" cmd="{talk}" output="screen"/>')
    result = launch(file)
    assert "[talk-1] " + "x" * 200000 + "\n" in result.stdout
    assert "[talk-1] \ufffd\ufffd without end\n" in result.stdout


def test_end_of_a_required_process_ends_the_launch_with_its_status(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    work = python(f"import pathlib, time; pathlib.Path('{ready}').touch(); time.sleep(100)")
    # An interpreter that is interrupted while it starts dies of it: end when the worker works.
    end = python(
        f"import pathlib, time; ready = pathlib.Path('{ready}').exists; "
        "[time.sleep(0.01) for _ in iter(ready, True)]; raise SystemExit(7)"
    )
    file = write(
        tmp_path,
        f'<executable name="worker" cmd="{work}"/>'
        f'<executable name="vital" cmd="{end}" on_exit="shutdown"/>',
    )
    with Running(file) as running:
        running.wait_for("vital-2: died with status 7", "shutting down", "worker-1: stopped")
        assert running.process.wait(timeout=20) == 7
        wait_until_gone(running.pids())


def test_end_of_any_other_process_leaves_the_rest_alone(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        f'<executable name="worker" cmd="{SLEEPER}" output="screen"/>'
        f'<executable name="minor" cmd="{python("raise SystemExit(7)")}"/>',
    )
    with Running(file) as running:
        running.wait_for("minor-2: died with status 7", "[worker-1] ready")
        assert running.process.poll() is None
        status, _ = running.finish(signal.SIGINT)
        assert status == 7, "what died with an error is not forgotten"


def test_respawn_starts_a_process_again(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        f'<executable name="phoenix" cmd="{python("raise SystemExit(1)")}" respawn="true"/>',
    )
    with Running(file) as running:
        for _ in range(3):
            running.lines.clear()
            running.wait_for("phoenix-1: died with status 1")
        status, _ = running.finish(signal.SIGINT)
        assert status == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything(tmp_path: Path, number: signal.Signals) -> None:
    file = write(tmp_path, f'<executable name="a" cmd="{SLEEPER}" output="screen"/>' * 3)
    with Running(file) as running:
        running.wait_for("[a-1] ready", "[a-2] ready", "[a-3] ready")
        status, elapsed = running.finish(number)
        assert status == 0
        assert elapsed < PATIENCE
        assert not any("Traceback" in line for line in running.lines)
        wait_until_gone(running.pids())


def test_ctrl_c_stops_a_process_that_ignores_signals_within_two_seconds(tmp_path: Path) -> None:
    file = write(tmp_path, f'<executable name="a" cmd="{STUBBORN}" output="screen"/>')
    with Running(file) as running:
        running.wait_for("[a-1] ready")
        _, elapsed = running.finish(signal.SIGINT)
        assert 1.5 <= elapsed < PATIENCE
        assert any("a-1: does not end; killing it" in line for line in running.lines)
        wait_until_gone(running.pids())


def test_what_a_process_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    parent = python(
        "import subprocess, sys;"
        "child = subprocess.Popen(['sleep', '100']); print('child', child.pid)"
    )
    file = write(tmp_path, f'<executable name="parent" cmd="{parent}" output="screen"/>')
    result = launch(file)
    assert result.returncode == 0
    line = next(line for line in result.stdout.splitlines() if "child" in line)
    wait_until_gone([int(line.split()[-1])])


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_kill_9_of_the_runner_leaves_no_orphan(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        f'<executable name="a" cmd="{SLEEPER}" output="screen"/>'
        f'<executable name="b" cmd="{STUBBORN}" launch-prefix="nice -n 5" output="screen"/>',
    )
    with Running(file) as running:
        running.wait_for("[a-1] ready", "[b-2] ready")
        running.process.kill()
        running.process.wait()
        wait_until_gone(running.pids())


def test_a_reader_that_leaves_ends_the_launch(tmp_path: Path) -> None:
    chatter = python("import time; [print('word') or time.sleep(0.01) for _ in iter(int, 1)]")
    file = write(tmp_path, f'<executable name="a" cmd="{chatter}" output="screen"/>')
    with Running(file) as running:
        running.wait_for("[a-1] word")
        assert running.process.stdout is not None
        running.process.stdout.close()
        running.process.wait(timeout=20)
        wait_until_gone(running.pids())


def test_a_program_that_does_not_exist_is_one_line_and_status_2(tmp_path: Path) -> None:
    file = write(tmp_path, '<executable cmd="/no/such/program"/>')
    result = launch(file)
    assert result.returncode == 2
    assert "cannot start program-1: /no/such/program: No such file or directory" in result.stderr
    assert "Traceback" not in result.stderr


def hold(node: str, domain: int) -> socket.socket:
    """Claim a node's name as a running stack does."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    claim.bind(f"\0edge_robot/domain/{domain}{node}")
    claim.listen()
    return claim


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
def test_a_second_copy_on_a_domain_is_refused_in_one_line(tmp_path: Path, domain: int) -> None:
    file = write(tmp_path, '<node pkg="edge_robot" exec="dashboard" name="page" namespace="/r1"/>')
    with hold("/r1/page", domain):
        result = launch(file)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert f"already runs on DDS domain {domain}" in line
    assert "/r1/page" in line
    assert "ROS_DOMAIN_ID" in line


def test_a_domain_that_is_none_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, '<node pkg="edge_robot" exec="dashboard"/>')
    result = launch(file, ROS_DOMAIN_ID="two")
    assert result.returncode == 2
    assert result.stderr.startswith("error: ROS_DOMAIN_ID=two is no DDS domain")


def test_a_timer_starts_and_ends_things_later(tmp_path: Path) -> None:
    beat = python("import time; print('beat'); time.sleep(60)")
    file = write(
        tmp_path,
        f'<log message="hello $(env USER_OF_TEST)"/><executable cmd="{beat}" output="screen"/>'
        f'<timer period="0.3"><executable cmd="{python("print(1)")}" name="late"/>'
        '<timer period="0.5"><shutdown reason="time is up"/></timer></timer>',
    )
    start = time.monotonic()
    result = launch(file, USER_OF_TEST="you")
    assert time.monotonic() - start >= 0.8
    lines = result.stdout.splitlines()
    assert lines[0] == "[launch] hello you"
    assert any("late-2: started" in line for line in lines)
    assert "[launch] shutting down: time is up" in lines
