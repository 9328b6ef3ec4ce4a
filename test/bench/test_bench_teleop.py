"""The bench of the dashboard's links: the bad link itself, and a short run of each part."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest

from edge_robot.bench.bad_link import OPERATOR, ROBOT, BadLink, Quality, bad_link
from edge_robot.bench.runtimes import Program, programs, standalone

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
    assert 0.04 < to_operator["waited"]["max"] <= 20_000 / 250_000


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
