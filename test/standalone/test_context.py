from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
import rclpy
from rclpy.context import Context
from rclpy.exceptions import NotInitializedException
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions, get_current_signal_handlers_options

from edge_robot.errors import UserError
from edge_robot.standalone.dds.participant import domain_configuration, domain_id

RUN = """
    from rclpy.node import Node
    from edge_robot.nodes.runner import run
    def make():
        node = Node("idle")
        print("ready")
        return node
    run(make)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_node_quickly_and_quietly(
    number: signal.Signals, start_peer: Callable[..., Any]
) -> None:
    peer = start_peer(RUN)
    peer.wait_for("ready")
    time.sleep(0.2)  # into the wait inside Cyclone DDS, which is what is tested
    start = time.monotonic()
    peer.process.send_signal(number)
    assert peer.finish() == 0
    assert time.monotonic() - start < 2.0
    assert peer.output == ["ready"]


def test_a_second_interrupt_does_not_break_into_the_goodbyes(
    start_peer: Callable[..., Any],
) -> None:
    peer = start_peer(
        """
        import time
        from rclpy.node import Node
        from edge_robot.nodes.runner import run
        class Careful(Node):
            def destroy_node(self):
                print("closing")
                time.sleep(0.5)
                print("closed")
                super().destroy_node()
        def make():
            node = Careful("careful")
            def ready():  # spinning, that is: whoever made the node would not destroy it
                timer.cancel()
                print("ready")
            timer = node.create_timer(0.01, ready)
            return node
        run(make)
        """
    )
    peer.wait_for("ready")
    time.sleep(0.2)  # out of the constructor
    peer.process.send_signal(signal.SIGINT)
    peer.wait_for("closing")
    peer.process.send_signal(signal.SIGINT)
    assert peer.finish() == 0
    assert peer.output == ["ready", "closing", "closed"]


def test_exceptions_in_a_callback_leave_a_traceback(start_peer: Callable[..., Any]) -> None:
    peer = start_peer(
        """
        from rclpy.node import Node
        from edge_robot.nodes.runner import run
        def make():
            node = Node("failing")
            node.create_timer(0.01, lambda: 1 / 0)
            return node
        run(make)
        """
    )
    assert peer.finish() == 1
    assert "ZeroDivisionError" in peer.output[-1]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["-p", "rate:=fast"], "'rate' to 'fast'"),
        (["-p", "rat:=1.0"], "no parameter 'rat'"),
        (["--params-file", "/nowhere.yaml"], "/nowhere.yaml"),
    ],
)
def test_bad_parameters_end_a_node_with_one_line(
    arguments: list[str], line: str, start_peer: Callable[..., Any]
) -> None:
    peer = start_peer(
        """
        from rclpy.node import Node
        from edge_robot.nodes.runner import run
        def make():
            node = Node("strict")
            node.declare_parameter("rate", 1.0)
            return node
        run(make)
        """,
        "--ros-args",
        *arguments,
    )
    assert peer.finish() == 2
    assert len(peer.output) == 1
    assert peer.output[0].startswith("error: ")
    assert line in peer.output[0]


def test_contexts_are_independent(domain: int) -> None:
    first, second = Context(), Context()
    rclpy.init(context=first, args=[])
    rclpy.init(context=second, args=[], domain_id=domain + 1)
    assert (first.get_domain_id(), second.get_domain_id()) == (domain, domain + 1)
    node = rclpy.create_node("a", context=first)
    rclpy.shutdown(context=second)
    assert first.ok()
    executor = SingleThreadedExecutor(context=first)
    executor.add_node(node)
    executor.spin_once(timeout_sec=0.01)
    rclpy.shutdown(context=first)
    assert not first.ok()


def test_life_of_the_default_context(domain: int) -> None:
    with pytest.raises(NotInitializedException):
        rclpy.create_node("early")
    for _ in range(2):
        rclpy.init(args=[])
        assert rclpy.ok()
        with pytest.raises(RuntimeError):
            rclpy.init(args=[])
        node = rclpy.create_node("one")
        rclpy.spin_once(node, timeout_sec=0.01)
        rclpy.shutdown()
        assert not rclpy.ok()
        with pytest.raises(RuntimeError):
            rclpy.shutdown()
        rclpy.try_shutdown()


def test_a_context_begins_once(domain: int) -> None:
    with Context() as context:
        assert context.ok()
        with pytest.raises(RuntimeError, match="once"):
            context.init(args=[])
    assert not context.ok()
    with pytest.raises(RuntimeError, match="once"):
        context.init(args=[])
    with pytest.raises(RuntimeError, match="lower than zero"):
        Context().init(args=[], domain_id=-1)
    with pytest.raises(UnicodeEncodeError):
        Context().init(args=["Ragnar\udcc3\udcb6k"])
    with pytest.raises(RuntimeError, match="domain id"):
        Context().get_domain_id()


def test_init_is_undone_at_the_end_of_a_with_block(domain: int) -> None:
    before = signal.getsignal(signal.SIGINT)
    with rclpy.init(args=[]):
        assert rclpy.ok()
        assert get_current_signal_handlers_options() == SignalHandlerOptions.ALL
        assert signal.getsignal(signal.SIGINT) is not before
    assert not rclpy.ok()
    assert get_current_signal_handlers_options() == SignalHandlerOptions.NO
    assert signal.getsignal(signal.SIGINT) is before
    with rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO):
        assert signal.getsignal(signal.SIGINT) is before


def test_shutdown_callbacks(domain: int) -> None:
    told: list[int] = []
    rclpy.init(args=[])
    context = rclpy.get_default_context()
    context.on_shutdown(lambda: told.append(1))
    rclpy.shutdown()
    assert told == [1]
    context.on_shutdown(lambda: told.append(2))
    assert told == [1, 2]
    with pytest.raises(TypeError):
        context.on_shutdown(3)  # type: ignore[arg-type]


def test_the_environment_chooses_the_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "7")
    assert domain_id() == 7
    for value in ("x", "-1", "300"):
        monkeypatch.setenv("ROS_DOMAIN_ID", value)
        with pytest.raises(UserError, match="ROS_DOMAIN_ID"):
            domain_id()


def test_the_environment_chooses_whom_to_discover(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROS_LOCALHOST_ONLY", "ROS_STATIC_PEERS", "CYCLONEDDS_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "localhost")
    assert "127.0.0.1" in domain_configuration()
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    assert "127.0.0.1" not in domain_configuration()
    monkeypatch.setenv("ROS_STATIC_PEERS", "10.0.0.2;robot & co")
    assert '<Peer address="10.0.0.2"/><Peer address="robot &amp; co"/>' in domain_configuration()
    monkeypatch.setenv("ROS_LOCALHOST_ONLY", "1")
    assert "127.0.0.1" in domain_configuration()
    monkeypatch.setenv("CYCLONEDDS_URI", "<CycloneDDS/>")
    assert domain_configuration().endswith(",<CycloneDDS/>")
    monkeypatch.setenv("ROS_LOCALHOST_ONLY", "0")
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF")
    assert "<Tag>" in domain_configuration()
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "GALAXY")
    with pytest.raises(UserError, match="GALAXY"):
        domain_configuration()


def test_a_broken_cyclone_configuration_is_the_users_to_mend(
    domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CYCLONEDDS_URI", "<CycloneDDS><Nonsense/></CycloneDDS>")
    rclpy.init(args=[])
    try:
        with pytest.raises(UserError, match="CYCLONEDDS_URI"):
            rclpy.create_node("a")
    finally:
        rclpy.shutdown()


@pytest.mark.parametrize(
    ("settings", "wanted", "unwanted"),
    [
        ({"ROS_STATIC_PEERS": "10.0.0.1; b"}, ['"10.0.0.1"', '"b"'], ["AllowMulticast"]),
        (
            {"ROS_STATIC_PEERS": "127.0.0.1", "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"},
            ['NetworkInterface address="127.0.0.1"', "<AllowMulticast>false", "MaxMessageSize"],
            [],
        ),
        ({"ROS_STATIC_PEERS": "10.0.0.1", "ROS_LOCALHOST_ONLY": "1"}, ["127.0.0.1"], ["10.0"]),
        (
            {"ROS_STATIC_PEERS": "10.0.0.1", "ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"},
            ["<Tag>", "<ParticipantIndex>none"],
            ["10.0"],
        ),
        (
            {"ROS_STATIC_PEERS": "10.0.0.1", "ROS_AUTOMATIC_DISCOVERY_RANGE": "SYSTEM_DEFAULT"},
            [],
            ["10.0", "ParticipantIndex"],
        ),
    ],
)
def test_discovery_settings_mean_what_they_mean_to_ros_2(
    settings: dict[str, str], wanted: list[str], unwanted: list[str], monkeypatch: Any
) -> None:
    for name in ("ROS_STATIC_PEERS", "ROS_LOCALHOST_ONLY", "ROS_AUTOMATIC_DISCOVERY_RANGE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    configuration = domain_configuration()
    assert [text for text in wanted if text not in configuration] == []
    assert [text for text in unwanted if text in configuration] == []
