"""The runtimes that are compared: the standalone one, and a ROS 2 that was sourced in the shell."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_robot.errors import UserError
from edge_robot.standalone import finder

PROGRAMS = Path(__file__).parent / "programs"

LIMIT = 120.0
"""Longest wait for a line of a program, s."""

_GOODBYE = 10.0
"""How long a program that was told to end may take before it is killed, s."""

_ROS_VARIABLES = (
    "AMENT_PREFIX_PATH",
    "CMAKE_PREFIX_PATH",
    "COLCON_PREFIX_PATH",
    "RMW_IMPLEMENTATION",
)
_NOT_PASSED_ON = ("CYCLONEDDS_URI", finder.RUNTIME, "PYTHONDONTWRITEBYTECODE")
"""What would change the network or the runtime, or have Python compile the same modules at every
start."""

_PATHS = ("PYTHONPATH", "LD_LIBRARY_PATH", "PATH")

_STANDALONE = "import edge_robot, runpy, sys; del sys.argv[0]; "
_RUN = "runpy.run_path(sys.argv[0], run_name='__main__')"


@dataclass(frozen=True)
class Runtime:
    """A Python that can run rclpy programs.

    Attributes:
        name: `standalone` or `rclpy`.
        command: What a program's path and arguments are appended to.
        code: What runs a piece of Python that is appended to it.
        environment: Environment of its programs.
    """

    name: str
    command: tuple[str, ...]
    code: tuple[str, ...]
    environment: Mapping[str, str]


def _environment(domain: int) -> dict[str, str]:
    """Return the environment that both runtimes share: one domain, confined to this machine."""
    environment = {name: os.environ[name] for name in os.environ if name not in _NOT_PASSED_ON}
    environment["ROS_DOMAIN_ID"] = str(domain)
    environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    return environment


def bench_domain() -> int:
    """Return the domain to measure in: ROS_DOMAIN_ID, or one hardly used by others."""
    text = os.environ.get("ROS_DOMAIN_ID", "")
    return int(text) if text.isdecimal() else 1 + os.getpid() % 100


def standalone(domain: int) -> Runtime:
    """Return the standalone runtime, in this interpreter, without any ROS 2 that was sourced."""
    environment = _environment(domain)
    prefixes = [
        Path(prefix).resolve()
        for prefix in environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
        if prefix
    ]
    for name in _PATHS:
        kept = [
            entry
            for entry in environment.get(name, "").split(os.pathsep)
            if entry and not any(Path(entry).resolve().is_relative_to(at) for at in prefixes)
        ]
        environment[name] = os.pathsep.join(kept)
    # The checkout or environment this module comes from, whatever the working directory.
    root = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [root, environment.get("PYTHONPATH", "")])
    )
    for name in _ROS_VARIABLES:
        environment.pop(name, None)
    environment[finder.RUNTIME] = finder.STANDALONE
    return Runtime(
        "standalone",
        (sys.executable, "-c", _STANDALONE + _RUN),
        (sys.executable, "-c"),
        environment,
    )


def foremost(runtime: Runtime) -> Runtime:
    """Return a runtime whose programs come before what else the machine does, where root asks."""
    if os.geteuid() != 0:
        return runtime
    # Linux may weigh sessions, of which every program has one, before the processes in them.
    weigh = 'echo -10 > /proc/self/autogroup; exec "$@"'
    first = ("nice", "-n", "-10", "sh", "-c", weigh, "sh")
    return replace(runtime, command=(*first, *runtime.command))


def peer(domain: int, python: str | None = None) -> Runtime | None:
    """Return rclpy with rmw_cyclonedds if a ROS 2 was sourced in this shell.

    Args:
        domain: DDS domain.
        python: Its interpreter; `python3` on PATH if not given.

    Raises:
        UserError: the interpreter that was asked for cannot import ROS 2's rclpy.
    """
    if python is None and not os.environ.get("AMENT_PREFIX_PATH"):
        return None
    found = shutil.which(python or "python3")
    environment = _environment(domain)
    environment["RMW_IMPLEMENTATION"] = "rmw_cyclonedds_cpp"
    question = "import rclpy.utilities as u; print(u.get_rmw_implementation_identifier())"
    answer = None
    if found is not None:
        answer = subprocess.run(
            [found, "-c", question], env=environment, capture_output=True, text=True, check=False
        )
    if answer is None or answer.stdout.strip() != "rmw_cyclonedds_cpp":
        reason = "there is no such program" if answer is None else _last_line(answer.stderr)
        raise UserError(
            f"{python or 'python3'} cannot import ROS 2's rclpy with rmw_cyclonedds_cpp "
            f"({reason}); name the interpreter of the ROS 2 that is sourced by --peer-python"
        )
    assert found is not None
    return Runtime("rclpy", (found,), (found, "-c"), environment)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]


class Program:
    """A running program of `edge_robot.bench.programs`.

    Args:
        runtime: What runs it.
        name: File name without suffix.
        options: Its settings.

    Raises:
        RuntimeError: in any method, the program failed.
    """

    def __init__(self, runtime: Runtime, name: str, /, **options: Any) -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed in `stop`
        # A session of its own: Ctrl-C on the terminal is for the bench, which then ends it.
        self.process = subprocess.Popen(
            [*runtime.command, str(PROGRAMS / f"{name}.py"), json.dumps(options)],
            env=dict(runtime.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def next(self, limit: float = LIMIT) -> dict[str, Any]:
        """Return the next figures it prints.

        Raises:
            RuntimeError: it ended, or printed nothing in time.
        """
        try:
            line = self._lines.get(timeout=limit)
        except queue.Empty:
            raise RuntimeError(f"{self.name} printed nothing for {limit:.0f} s") from None
        if line is None:
            raise RuntimeError(f"{self.name} ended early: {self.errors()}")
        figures: dict[str, Any] = json.loads(line)
        return figures

    def waiting(self) -> Iterator[dict[str, Any]]:
        """Yield the figures printed so far that nobody took, without waiting."""
        while True:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                return
            if line is None:
                return
            yield json.loads(line)

    def go_on(self) -> None:
        """Let a program that waits for a line of input go on."""
        self._write("")

    def tell(self, **what: Any) -> None:
        """Give a program that reads lines of JSON one more."""
        self._write(json.dumps(what))

    def _write(self, line: str) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise RuntimeError(f"{self.name} ended early: {self.errors()}") from None

    def errors(self) -> str:
        """Return the end of what it wrote to its standard error."""
        self._errors.seek(0)
        return self._errors.read()[-2000:].strip()

    def kill(self) -> None:
        """End it without any goodbye."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it: by the end of its input if it reads it, else by SIGTERM, at last by SIGKILL."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_GOODBYE)
            except subprocess.TimeoutExpired:
                self.kill()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._errors.close()


Start = Callable[..., Program]
"""Starts a program by name and options."""


@contextmanager
def programs(runtime: Runtime) -> Iterator[Start]:
    """Give a function that starts programs; all are ended when the body has run."""
    with ExitStack() as stack:

        def start(name: str, /, **options: Any) -> Program:
            program = Program(runtime, name, **options)
            stack.callback(program.stop)
            return program

        yield start


def import_time(runtime: Runtime) -> float:
    """Return how long importing rclpy and a message takes in a new interpreter, s."""
    first = "import edge_robot; " if runtime.name == "standalone" else ""
    code = (
        f"import time; start = time.perf_counter(); {first}import rclpy; "
        "from sensor_msgs.msg import Image; print(time.perf_counter() - start)"
    )
    done = subprocess.run(
        [*runtime.code, code],
        env=dict(runtime.environment),
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def start_up(runtime: Runtime) -> dict[str, float]:
    """Return how long after its start a node had got how far, s; a ticker must be publishing."""
    with programs(runtime) as start:
        return start("starter", started=time.time_ns()).next()
