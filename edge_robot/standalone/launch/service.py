"""Starts the processes of a launch, watches them, and ends them together."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from edge_robot.standalone.launch.description import Event, Process
from edge_robot.standalone.launch.exclusive import claim_nodes
from edge_robot.standalone.launch.output import Output, Stream

USER_MISTAKE = 2
"""Exit status of a node that printed a `UserError`: nothing gets better by starting it again."""

_PYTHON = {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
"""What a Python process prints comes at once, and a crash in a library says where it was called."""

_STREAMS: dict[int, Stream] = {1: "stdout", 2: "stderr"}

_URGENT = ((signal.SIGINT, 0.9), (signal.SIGTERM, 0.6), (signal.SIGKILL, 1.0))
_ORDERLY = ((signal.SIGINT, 8.0), (signal.SIGTERM, 2.0), (signal.SIGKILL, 1.0))
"""Signals to end the processes with, and how long each has to work, s."""

# Looked up before any fork: between fork and exec nothing may be imported or allocated.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def _start_group_and_die_with(parent: int) -> None:
    """In a new child: lead a process group, and be killed when the launch runner dies."""
    os.setpgid(0, 0)
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:  # it died before the kernel was asked
        os._exit(1)


class LaunchService:
    """Runs processes until all have ended, one that matters has ended, or it is told to stop.

    What the end of a process means, unless the launch is being shut down already:

    - `on_exit="shutdown"`: the launch ends, with the process's status;
    - a node with status 2 (the user must mend something): the launch ends with status 2;
    - `respawn`: the process is started again;
    - anything else: the others carry on, unless `fail_fast` is set and the status is not 0.

    Args:
        processes: What to run, in the order it is started.
        output: Takes their output.
        fail_fast: Whether any process that dies with an error ends the launch.
        events: What the launch says and does by itself.
    """

    def __init__(
        self,
        processes: Sequence[Process],
        output: Output,
        fail_fast: bool = False,
        events: Sequence[Event] = (),
    ) -> None:
        self._processes = processes
        self._output = output
        self._fail_fast = fail_fast
        self._events = events
        self._running: dict[Process, int] = {}
        self._stop = asyncio.Event()
        self._urgent = asyncio.Event()
        self._status = 0
        self.interrupted = False

    @property
    def running(self) -> dict[Process, int]:
        """The processes that run now, with their pids."""
        return dict(self._running)

    def run(self) -> int:
        """Run the launch to its end.

        Returns:
            0, or the status of the process that ended it or first died with an error (128 + n
            for one killed by signal n).

        Raises:
            UserError: a node of this launch runs on this domain already, or a program is missing.
        """
        with claim_nodes(self._processes):
            return asyncio.run(self._run())

    def shutdown(self, reason: str, urgent: bool = False) -> None:
        """End all processes in order; may be called from `Output` methods.

        Args:
            reason: Why, for the user.
            urgent: Whether all must be gone within two seconds, whatever they are writing.
        """
        if urgent:
            self._urgent.set()
        if not self._stop.is_set():
            self._stop.set()
            self._notice(f"shutting down: {reason}")

    async def _run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._interrupt, number)
        # Events first: what is said at the start is said before anything starts.
        watchers = [asyncio.create_task(self._happen(event)) for event in self._events]
        watchers += [asyncio.create_task(self._watch(process)) for process in self._processes]
        everything = asyncio.gather(*watchers)
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait((everything, stop), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        self._stop.set()
        await self._end_children(everything)
        await everything
        return self._status

    def _interrupt(self, number: int) -> None:
        self.interrupted = True
        self.shutdown(f"received {signal.Signals(number).name}", urgent=True)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not through a shutdown."""
        if seconds > 0:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stop.wait(), seconds)

    async def _happen(self, event: Event) -> None:
        await self._pause(event.delay)
        if self._stop.is_set():
            return
        if event.is_shutdown:
            self.shutdown(event.text)
        else:
            self._notice(event.text)

    async def _watch(self, process: Process) -> None:
        """Run one process when it is time, again and again if it is to be respawned."""
        await self._pause(process.delay)
        while not self._stop.is_set():
            status = await self._run_once(process)
            if self._stop.is_set() or not self._is_started_again(process, status):
                return
            await self._pause(process.respawn_delay)

    async def _run_once(self, process: Process) -> int:
        """Run one process to its end and return its exit status, -n if killed by signal n."""
        loop, parent = asyncio.get_running_loop(), os.getpid()
        try:
            transport, child = await loop.subprocess_exec(
                lambda: _Child(lambda stream, text: self._line(process, stream, text), self._stop),
                *process.command,
                stdin=asyncio.subprocess.DEVNULL,
                env={**_PYTHON, **process.environment},
                # A process group of its own: the terminal's Ctrl-C reaches the runner alone. No
                # session of its own: the kernel's autogroups make niceness count only within one.
                preexec_fn=lambda: _start_group_and_die_with(parent),
            )
        except OSError as error:
            self._status = self._status or USER_MISTAKE
            self._notice(
                f"cannot start {process.name}: {process.command[0]}: {error.strerror}; "
                "install it or correct the launch file",
                error=True,
            )
            self.shutdown(f"{process.name} could not be started")
            return USER_MISTAKE
        pid = transport.get_pid()
        self._running[process] = pid
        self._notice(f"{process.name}: started with pid {pid}")
        await child.ended.wait()
        del self._running[process]
        status = transport.get_returncode()
        assert status is not None
        self._report_end(process, pid, status)
        return status

    def _report_end(self, process: Process, pid: int, status: int) -> None:
        if status == 0:
            self._notice(f"{process.name}: ended, pid {pid}")
        elif self._stop.is_set() and -status in (signal.SIGINT, signal.SIGTERM):
            self._notice(f"{process.name}: stopped by {_status_text(status)}, pid {pid}")
        else:
            self._notice(f"{process.name}: died with {_status_text(status)}, pid {pid}", error=True)
            if process.node is not None and status > 0:
                self._status = self._status or status

    def _is_started_again(self, process: Process, status: int) -> bool:
        """Draw the consequence of a process's end outside a shutdown."""
        mistake = process.node is not None and status == USER_MISTAKE
        if status != 0 and (mistake or not process.respawn):
            self._status = self._status or (status if status > 0 else 128 - status)
        if process.shutdown_on_exit or mistake or (self._fail_fast and status != 0):
            self.shutdown(f"{process.name} ended with {_status_text(status)}")
            return False
        return process.respawn

    async def _end_children(self, everything: asyncio.Future[list[None]]) -> None:
        """Signal all processes until `everything` is done, ever more firmly."""
        urgent = asyncio.ensure_future(self._urgent.wait())
        for step in range(len(_URGENT)):
            number, patience = (_URGENT if self._urgent.is_set() else _ORDERLY)[step]
            for process, pid in self._running.items():
                if number == signal.SIGKILL:
                    self._notice(f"{process.name}: does not end; killing it", error=True)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, number)
            waited_for: list[asyncio.Future[Any]] = [everything]
            if not self._urgent.is_set():
                waited_for.append(urgent)
            await asyncio.wait(waited_for, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if everything.done():
                break
        urgent.cancel()

    def _line(self, process: Process, stream: Stream, text: str) -> None:
        try:
            self._output.line(process, stream, text)
        except BrokenPipeError:
            self.shutdown("nobody reads the output any more")

    def _notice(self, text: str, error: bool = False) -> None:
        try:
            self._output.notice(text, error)
        except BrokenPipeError:
            self.shutdown("nobody reads the output any more")


class _Child(asyncio.SubprocessProtocol):
    """Splits the output of a process into lines and notices its end.

    Args:
        show: Takes the lines.
        stopping: Set once the launch is being shut down.

    Attributes:
        ended: Set when the process has ended and its output has been read.
    """

    def __init__(self, show: Callable[[Stream, str], None], stopping: asyncio.Event) -> None:
        self.ended = asyncio.Event()
        self._show = show
        self._stopping = stopping
        self._decoders = {fd: codecs.getincrementaldecoder("utf-8")("replace") for fd in _STREAMS}
        self._rest = dict.fromkeys(_STREAMS, "")
        self._interrupted = _InterruptedImports()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._pid = transport.get_pid()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        *lines, self._rest[fd] = (self._rest[fd] + self._decoders[fd].decode(data)).split("\n")
        for line in lines:
            for shown in self._interrupted.pass_on(line) if self._stopping.is_set() else [line]:
                self._show(_STREAMS[fd], shown)

    def process_exited(self) -> None:
        # What the process has left behind in its group must not outlive it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGKILL)

    def connection_lost(self, exc: Exception | None) -> None:
        for fd, rest in self._rest.items():
            if rest:
                self._show(_STREAMS[fd], rest)
        self.ended.set()


class _InterruptedImports:
    """Drops the traceback of a Python process that is interrupted before it handles signals."""

    def __init__(self) -> None:
        self._held: list[str] = []

    def pass_on(self, line: str) -> list[str]:
        """Take a line and return those to show now."""
        if not self._held and not line.startswith("Traceback (most recent call last)"):
            return [line]
        self._held.append(line)
        if len(self._held) == 1 or not line or line.startswith(" "):
            return []
        shown = [] if line.startswith("KeyboardInterrupt") else self._held
        self._held = []
        return shown


def _status_text(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
