"""The stand-in for the radio link, with plain sockets."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from edge_robot.errors import UserError
from edge_robot.sim import radio_link
from edge_robot.sim.radio_link import LinkQuality, RadioLink


@pytest.fixture
def echo() -> Iterator[int]:
    """Port of a server that sends back what it gets."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        # A reset is one of the things links do.
        with connection, contextlib.suppress(ConnectionResetError):
            while data := connection.recv(65536):
                connection.sendall(data)

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def link_to(port: int, quality: LinkQuality | None = None) -> RadioLink:
    return RadioLink("127.0.0.1", 0, "127.0.0.1", port, quality or LinkQuality())


def connect(link: RadioLink) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), timeout=20.0)


def receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            break
        data += chunk
    return data


def test_a_cut_holds_everything_in_silence_and_restoring_resumes_it(echo: int) -> None:
    link = link_to(echo)
    with connect(link) as old:
        old.sendall(b"before")
        assert receive(old, 6) == b"before"
        link.set_up(False)
        old.sendall(b"during")
        with connect(link) as new:  # the handshake succeeds; nothing else does
            new.sendall(b"hello")
            for connection in (old, new):
                connection.settimeout(0.2)
                with pytest.raises(TimeoutError):
                    connection.recv(1)
                connection.settimeout(20.0)
            link.set_up(True)
            assert receive(old, 6) == b"during"
            assert receive(new, 5) == b"hello"
    link.close()


def test_a_megabyte_passes_unchanged_and_the_end_is_passed_on(echo: int) -> None:
    link = link_to(echo, LinkQuality(delay=0.001, jitter=0.002))
    data = bytes(range(256)) * 4096
    with connect(link) as connection:
        sender = threading.Thread(target=connection.sendall, args=(data,))
        sender.start()
        assert receive(connection, len(data)) == data
        sender.join()
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    link.close()


def test_a_cut_of_one_direction_leaves_the_other(echo: int) -> None:
    link = link_to(echo)
    with connect(link) as old:
        old.sendall(b"x")
        receive(old, 1)
        link.set_directions(uplink=True, downlink=False)
        old.sendall(b"passes")
        with connect(link) as new:
            new.sendall(b"hello")
            for connection in (old, new):  # no answer comes, and no handshake is completed
                connection.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    connection.recv(1)
                connection.settimeout(20.0)
            link.set_up(True)
            assert receive(old, 6) == b"passes"
            assert receive(new, 5) == b"hello"
    link.close()


def test_a_reset_is_told_to_both_sides(echo: int) -> None:
    link = link_to(echo)
    with connect(link) as connection:
        connection.sendall(b"x")
        receive(connection, 1)
        link.reset()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with connect(link) as connection:
        connection.sendall(b"x")
        assert receive(connection, 1) == b"x"
    link.close()


def test_delays_have_their_mean_and_a_heavy_tail() -> None:
    random.seed(1)
    delays = np.array([radio_link.log_normal(0.04, 0.03) for _ in range(20_000)])
    assert delays.mean() == pytest.approx(0.04, rel=0.02)
    assert delays.std() == pytest.approx(0.03, rel=0.1)
    assert np.quantile(delays, 0.999) > 0.04 + 5 * 0.03  # of a normal distribution: 3.1
    assert radio_link.log_normal(0.04, 0.0) == 0.04


def test_a_lost_chunk_comes_after_its_time_outs(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([0.01, 0.04, 0.5])
    monkeypatch.setattr(random, "random", lambda: next(drawn))
    assert radio_link._repeats(0.05, 0.2) == pytest.approx(0.2 + 0.4)


def test_delay_and_bandwidth_take_their_time(echo: int) -> None:
    link = link_to(echo, LinkQuality(delay=0.05))
    with connect(link) as connection:
        begun = time.monotonic()
        connection.sendall(b"x")
        receive(connection, 1)
        assert 0.1 <= time.monotonic() - begun < 5.0
    link.close()
    link = link_to(echo, LinkQuality(bandwidth=500_000.0))
    with connect(link) as connection:
        begun = time.monotonic()
        connection.sendall(bytes(100_000))
        receive(connection, 100_000)
        assert 0.2 <= time.monotonic() - begun < 10.0
    link.close()


def test_callers_who_hang_up_during_a_cut_leave_nothing_behind(echo: int) -> None:
    link = link_to(echo)
    link.set_up(False)
    for _ in range(50):
        connect(link).close()
    end = time.monotonic() + 20.0
    while link._connections and time.monotonic() < end:
        time.sleep(0.01)
    assert not link._connections
    link.close()


def test_a_target_that_is_gone_drops_the_caller() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    link = link_to(port)
    with connect(link) as connection:
        assert connection.recv(1) == b""
    link.close()


def test_a_taken_port_is_one_clear_line(echo: int) -> None:
    with pytest.raises(UserError, match=rf"127\.0\.0\.1:{echo}.*another port"):
        RadioLink("127.0.0.1", echo, "127.0.0.1", echo, LinkQuality())
