"""The bench of the dashboard's links: the bad link itself, and a short run of each part."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_robot.bench.bad_link import OPERATOR, ROBOT, BadLink, Quality, bad_link
from edge_robot.bench.runtimes import Program, programs, standalone
from edge_robot.bench.teleop import commands, takeovers
from edge_robot.bench.teleop.coding import velocity
from edge_robot.bench.teleop.delays import command_delays
from edge_robot.bench.teleop.goals import goals
from edge_robot.bench.teleop.measurement import measure
from edge_robot.bench.teleop.scene import BITS, CELL, HEIGHT, Scene

SINK = f"""
import socket, sys
server = socket.create_server(("{OPERATOR}", 5000))
print("up", flush=True)
connection, _ = server.accept()
while connection.recv(1 << 16):
    pass
"""
SOURCE = f"""
import socket, time
begun = time.monotonic()
with socket.create_connection(("{OPERATOR}", 5000)) as end:
    end.sendall(bytes(%d))
    end.shutdown(socket.SHUT_WR)
    end.recv(1)
print(time.monotonic() - begun)
"""


@pytest.fixture(scope="module")
def link() -> Iterator[BadLink]:
    try:
        with bad_link(standalone(1)) as made:
            yield made
    except OSError as error:
        pytest.skip(str(error))


def send(link: BadLink, size: int) -> float:
    """Send bytes from the robot to the operator by TCP; return how long it takes, s."""
    with subprocess.Popen([*link.operator.code, SINK], stdout=subprocess.PIPE, text=True) as sink:
        assert sink.stdout is not None and sink.stdout.readline()
        done = subprocess.run(
            [*link.robot.code, SOURCE % size], capture_output=True, text=True, check=True
        )
    return float(done.stdout)


def pings(pinger: Program) -> list[float]:
    pinger.go_on()
    return sorted(trip for _, trip in pinger.next()["round_trips"])


def test_the_bad_link_is_fast_unless_told_otherwise(link: BadLink) -> None:
    link.set(Quality(), Quality())
    assert 5_000_000 / send(link, 5_000_000) > 20e6 / 8


def test_the_bottleneck_has_its_rate_and_no_longer_a_queue_than_it_may(link: BadLink) -> None:
    link.set(Quality(delay=0.01, rate=250_000, queue=20_000), Quality(delay=0.01))
    assert 200_000 / send(link, 200_000) == pytest.approx(250_000, rel=0.3)
    to_operator = link.report()["to_operator"]
    assert to_operator["overflowed"] > 0
    assert 40.0 < to_operator["waited"]["max_ms"] <= 1e3 * 20_000 / 250_000


def test_packets_are_late_by_the_delay_and_lost_as_often_as_wanted(link: BadLink) -> None:
    link.set(Quality(delay=0.02), Quality(delay=0.01, loss=0.2))
    with programs(link.operator) as start:
        pinger = start("pinger", address=ROBOT, period=0.002)
        pinger.next()
        link.report()
        time.sleep(0.8)
        trips, report = pings(pinger), link.report()
    assert trips[0] == pytest.approx(0.03, abs=0.003)
    assert 0.1 < report["to_robot"]["lost"] / report["to_robot"]["packets"] < 0.3
    assert report["to_operator"]["lost"] == 0


def test_a_command_is_late_until_it_or_a_newer_one_is_given() -> None:
    notes = {
        "ticks": [(700, 1.0), (800, 1.04)],
        "inputs": [(1, 700, 1.3), (2, 800, 1.3)],
        "commands": [(1.1, 0.0), (1.31, velocity(2)), (1.33, velocity(2))],
    }
    delays = command_delays(notes, [(1, 700, 1.1), (2, 800, 1.14), (3, 900, 1.18)])
    found = {name: [round(delay, 3) for _, delay in of] for name, of in delays.items()}
    assert found == {
        "tick": [0.1, 0.1],
        "input": [0.2, 0.16],
        "loop": [0.3, 0.26],
        "command": [0.21, 0.17],
    }


def test_what_cannot_be_measured_is_left_out_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # where there is no `ip`
    figures = measure(["outage"], 0.1, "cubic", 0, lambda text: None, lambda figures: None)
    assert "no bad link can be made here" in figures["left_out"]["outage"]
    assert "outage" not in figures


def test_a_goal_is_met_or_not() -> None:
    stalled = {"never": {"mb_each": 5.1, "traced_mb_each": 0.3}}
    takeovers = {"superseded_published": 0, "superseded_heard": 0}
    met = {
        name: goal["met"]
        for name, goal in goals({"stalled": stalled, "takeovers": takeovers}).items()
    }
    assert met == {
        "a stalled client (never) costs, MB": False,
        "commands of superseded leases": True,
    }


def test_whoever_lost_the_wheel_is_caught_commanding() -> None:
    took = [(0, 1.0, 1.1), (1, 2.0, 2.1), (0, 3.0, 3.1)]
    before = [(1.5, 0.1), (2.05, 0.1)]  # until the answer the first one may still be obeyed
    fair = takeovers.judge(took, [*before, (2.5, -0.1), (3.2, 0.1)])
    assert fair == {"superseded": 0, "while_driving": 1, "new_one_drove": 3}
    foul = takeovers.judge(took, [*before, (2.11, 0.1), (2.5, -0.1), (3.2, -0.1)])
    assert foul["superseded"] == 2


def read_time(image: NDArray[np.uint8]) -> int:
    """Return the time in a picture of any size, ms modulo 2^20."""
    height, width = image.shape[:2]
    row = int(0.5 * CELL / HEIGHT * height)
    columns = ((np.arange(BITS) + 0.5) / BITS * width).astype(int)
    bits = image[row, columns].reshape(BITS, -1).mean(axis=1) > 127
    return int(bits @ (1 << np.arange(BITS)))


@pytest.mark.parametrize(("width", "quality"), [(640, 80), (160, 25)])
def test_a_picture_tells_when_it_was_captured(width: int, quality: int) -> None:
    captured = 1_795_000_123.457
    size = (width, width * 3 // 4)
    small = cv2.resize(Scene().frame(captured), size, interpolation=cv2.INTER_AREA)
    jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    assert read_time(cv2.imdecode(jpeg, cv2.IMREAD_COLOR)) == 1_795_000_123_457 % (1 << BITS)


def test_commands_are_measured_beside_video(link: BadLink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "SETTLE", dict.fromkeys(commands.SETTLE, 0.4))
    figures = commands.measure(link, 0.0, 1, 0.5, lambda text: None)
    ours, naive = figures[commands.PACED], figures[commands.FLOOD]
    assert ours["queue_to_operator"]["p99_ms"] < 100.0 < naive["queue_to_operator"]["p99_ms"]
    for kind in commands.SETTLE:
        assert figures[kind]["tick"]["p50_ms"] > 75.0
        assert figures[kind]["input"]["p50_ms"] > 75.0


def test_take_overs_are_counted(domain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takeovers, "RIGS", 1)
    figures = takeovers.measure(standalone(domain), 6, lambda text: None)
    assert figures["take_overs"] == 6
    assert figures["new_one_drove"] > 0
    assert figures["superseded_published"] == figures["superseded_heard"] == 0
    assert figures["commands_heard"] > 0
