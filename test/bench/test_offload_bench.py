"""The bench of the fleet bridge: its sums, its lies, and a short run of each part."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any
from xml.etree import ElementTree

import grpc
import pytest

from edge_robot.bench.offload import errors, faults, lerobot, sedna
from edge_robot.bench.offload.chart import fault_chart
from edge_robot.bench.offload.faults import Fault, Robot, summary
from edge_robot.bench.offload.lies import lies, truth
from edge_robot.bench.offload.namespaces import Namespaces
from edge_robot.bench.offload.robot import FLEET, ONBOARD, Frame, Result
from edge_robot.bench.offload.ways import BLACK_HOLE, LINK_DOWN, ONE_WAY_LOSS, RESET, Loopback
from edge_robot.bench.runtimes import Runtime


def quiet(text: str) -> None:
    pass


def robot(results: list[Result], links: list[tuple[float, bool]]) -> Robot:
    return Robot(program=None, first="", results=results, links=links, camera=100.0)  # type: ignore[arg-type]


def result(frame: int, after: float, by: str = FLEET, lamp: bool = True) -> Result:
    captured = 100.0 + frame / 10.0
    return Result(frame, captured, captured, captured + after, by, lamp, captured)


def test_a_result_counts_at_its_deadline_and_a_gap_in_the_fault_that_made_it() -> None:
    results = [result(n, 0.02) for n in range(10)]
    results += [result(n, 0.05, ONBOARD) for n in range(10, 20)]  # the fleet is gone from 101 s on
    results += [result(20, 0.08, ONBOARD), result(21, 0.05, ONBOARD, lamp=False)]
    results += [result(21, 0.3), *(result(n, 0.02) for n in range(22, 40))]
    told = [(99.0, True), (101.07, False), (102.2, True)]
    found = [Fault(BLACK_HOLE, 101.0, 102.0), Fault(RESET, 103.0, 103.0)]
    results.sort(key=lambda one: one.at)
    figures = summary(robot(results, told), found, 10.0, 100.0, 104.3)
    assert figures["frames"] == 40
    assert figures["missed"] == 2  # 20 came too late, and at 21's deadline nothing valid stood
    assert figures["empty_answers"] == 1
    assert figures["largest_gap_ms"] == pytest.approx(380.0)  # the last result, until the end
    hole = figures["by_kind"][BLACK_HOLE]
    assert hole["largest_gap_ms"] == pytest.approx(140.0)  # from frame 20 to frame 22
    assert (hole["noticed"], hole["notice"]["max_ms"]) == (1, pytest.approx(70.0))
    assert hole["recovery"]["max_ms"] == pytest.approx(
        220.0
    )  # frame 22: captured and answered since
    assert figures["by_kind"][RESET]["noticed"] == 0


def test_frames_without_any_result_are_missed_and_counted_as_such() -> None:
    figures = summary(robot([result(0, 0.02)], []), [], 10.0, 100.0, 101.3)
    assert (figures["frames"], figures["missed"], figures["without_any_result"]) == (10, 9, 9)


def test_the_chart_marks_every_result_around_the_first_fault_of_a_kind() -> None:
    results = [result(n, 0.02, FLEET if n < 10 else ONBOARD) for n in range(100)]
    drawing = ElementTree.fromstring(
        fault_chart({"robot": results}, [(RESET, 101.0, 101.0), (RESET, 103.0, 104.0)])
    )
    marks = Counter(element.get("class") for element in drawing if element.tag.endswith("line"))
    assert marks == {"fleet": 7 + 1, "onboard": 40 + 1, "old": 1}  # one of each in the legend
    assert len([element for element in drawing if element.tag.endswith("rect")]) == 2


def test_sedna_gives_up_after_five_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(sedna.time, "sleep", pauses.append)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert sedna._ask_the_cloud(f"127.0.0.1:{port}") is None
    assert pauses == [sedna.PAUSE] * 4


def test_lerobot_lives_on_its_last_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two answers, then none: actions of the second go on until they are used up."""
    asked, told = [], []

    class Stub:
        def __init__(self, channel: object) -> None:
            pass

        def ModelInfer(self, request: Any) -> Any:
            asked.append(now.number)
            if len(asked) > 2:
                raise grpc.RpcError
            return truth(request)

    def frames(rate: float) -> Iterator[Frame]:
        nonlocal now
        for number in range(100):
            now = Frame(number, number / rate, number / rate)
            yield now

    now = Frame(0, 0.0, 0.0)
    monkeypatch.setattr(lerobot.pb_grpc, "GRPCInferenceServiceStub", Stub)
    monkeypatch.setattr(lerobot, "frames", frames)
    monkeypatch.setattr(lerobot, "tell", lambda each, by, found, seen: told.append((each, seen)))
    lerobot.drive("127.0.0.1:1", 10.0)
    assert asked[:4] == [0, 24, 48, 49], "half a chunk is left when it asks, and then it insists"
    assert [each.number for each, _ in told] == list(range(1, 74))
    assert told[-1][1] == pytest.approx(2.4), "it still acts on what it saw 4.9 s ago"


def test_no_lie_is_a_true_answer() -> None:
    assert len(lies()) > 50
    assert {name.split(":")[0] for name in lies()} == {"error", "time-out", "empty", "values"}


def test_a_short_run_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The robot of the engine alone, and two faults: what a cut leads to is in the figures."""

    class Proxied(AbstractContextManager[Any]):
        def __init__(self, runtime: Any, choice: random.Random, progress: Any) -> None:
            self.way = Loopback(runtime, choice)

        def __enter__(self) -> Loopback:
            return self.way

        def __exit__(self, *error: object) -> None:
            self.way.close()

    monkeypatch.setattr(faults, "_way", Proxied)
    monkeypatch.setattr(faults, "_POLICIES", {"engine": ("ours", 1)})
    monkeypatch.setattr(faults, "KINDS", (BLACK_HOLE,))
    monkeypatch.setattr(faults, "_LENGTH", (0.3, 0.3))
    monkeypatch.setattr(faults, "_CALM", (0.2, 0.2))
    written: list[dict[str, Any]] = []
    figures = faults.measure(1, 10.0, 0, quiet, written.append)
    assert written[-1] is figures
    assert figures["by_way_of"] == "loopback proxy"
    engine = figures["engine"]
    assert engine["frames"] > 3 and engine["empty_answers"] == 0
    hole = engine["by_kind"][BLACK_HOLE]
    assert (hole["noticed"], hole["recovered"]) == (1, 1)


def test_injected_errors_are_counted_by_what_became_of_them() -> None:
    figures = errors.measure(30, quiet)
    assert figures["injected"] >= 30
    assert figures["false_empties"] == len(figures["believed"]) == 0
    assert figures["true_answers"] > 0 and figures["answered_on_board"] > 0


_ECHO = """
import socket
server = socket.create_server(("0.0.0.0", 5000))
print(flush=True)
while True:
    connection, _ = server.accept()
    connection.sendall(connection.recv(1))
"""
_CALL = """
import socket, sys
for line in sys.stdin:
    try:
        with socket.create_connection((sys.argv[1], 5000), timeout=float(line)) as connection:
            connection.sendall(b"x")
            print(connection.recv(1) == b"x", flush=True)
    except OSError:
        print(False, flush=True)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_faults_in_namespaces_begin_and_end() -> None:
    """A fresh connection passes, unless the way is cut: silently, one way, or without carrier."""
    python = Runtime("python", (sys.executable, "-I", "-S", "-c"), (), {})
    try:
        way = Namespaces(python, random.Random(0))
    except OSError as error:
        pytest.skip(f"no network namespaces here: {error}")
    with contextlib.closing(way), contextlib.ExitStack() as stack:

        def run(*command: str) -> subprocess.Popen[str]:
            pipe = subprocess.PIPE
            process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        server = run(*way.backend.command, _ECHO)
        caller = run(*way.robot.command, _CALL, way.host)
        assert server.stdout and caller.stdin and caller.stdout

        def passes(patience: float) -> bool:
            print(patience, file=caller.stdin, flush=True)
            return caller.stdout.readline() == "True\n"

        server.stdout.readline()
        assert passes(20.0)
        for fault in (BLACK_HOLE, ONE_WAY_LOSS, LINK_DOWN):
            way.begin(fault)
            assert not passes(0.25), fault
            way.end(fault)
            assert passes(20.0), fault
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    assert f"edge-robot-{os.getpid()}" not in listed.stdout
