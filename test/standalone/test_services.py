from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import rclpy
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

SpinUntil = Callable[[Node, Callable[[], Any]], None]

SERVER = """
    import sys
    from std_srvs.srv import SetBool
    rclpy.init(args=[])
    node = rclpy.create_node("server")
    def answer(request, response):
        response.success = request.data
        response.message = sys.argv[1]
        return response
    node.create_service(SetBool, "set", answer)
    print("ready")
    rclpy.spin(node)
"""


def test_another_process_answers(node: Node, start_peer: Callable[..., Any]) -> None:
    client = node.create_client(SetBool, "set")
    assert not client.service_is_ready()
    assert not client.wait_for_service(timeout_sec=0.1)
    start_peer(SERVER, "hello")
    assert client.wait_for_service(timeout_sec=20.0)
    for value in (True, False):
        future = client.call_async(SetBool.Request(data=value))
        rclpy.spin_until_future_complete(node, future, timeout_sec=20.0)
        assert future.result() == SetBool.Response(success=value, message="hello")


def test_a_restarted_server_answers_again(node: Node, start_peer: Callable[..., Any]) -> None:
    client = node.create_client(SetBool, "set")
    for name in ("first", "second"):
        peer = start_peer(SERVER, name)
        peer.wait_for("ready")
        assert client.wait_for_service(timeout_sec=20.0)
        message = None
        while message != name:  # the first server may be remembered until its lease ends
            future = client.call_async(SetBool.Request())
            rclpy.spin_until_future_complete(node, future, timeout_sec=1.0)
            message = future.result().message if future.done() else None
        peer.process.terminate()
        peer.finish()


def test_each_client_gets_its_own_answers(node: Node, spin_until: SpinUntil) -> None:
    def answer(request: Any, response: Any) -> Any:
        response.success = request.data
        return response

    node.create_service(SetBool, "set", answer)
    clients = [node.create_client(SetBool, "set") for _ in range(2)]
    futures = [
        (value, client.call_async(SetBool.Request(data=value)))
        for value in (True, False, True)
        for client in clients
    ]
    spin_until(node, lambda: all(future.done() for _, future in futures))
    assert all(future.result().success == value for value, future in futures)


def test_a_callback_may_be_a_coroutine(node: Node, spin_until: SpinUntil) -> None:
    # As in ROS 2, a callback that awaits keeps its group: the others need another one.
    others = ReentrantCallbackGroup()
    inner = node.create_client(Trigger, "inner", callback_group=others)

    async def outer(request: Any, response: Any) -> Any:
        response.message = (await inner.call_async(Trigger.Request())).message
        return response

    def answer(request: Any, response: Any) -> Any:
        response.message = "from inside"
        return response

    node.create_service(Trigger, "outer", outer)
    node.create_service(Trigger, "inner", answer, callback_group=others)
    client = node.create_client(Trigger, "outer", callback_group=others)
    future = client.call_async(Trigger.Request())
    spin_until(node, future.done)
    assert future.result().message == "from inside"


def test_call_waits_for_a_node_that_spins_elsewhere(node: Node) -> None:
    def answer(request: Any, response: Any) -> Any:
        response.message = "x"
        return response

    node.create_service(Trigger, "there", answer)
    there, nowhere = (node.create_client(Trigger, name) for name in ("there", "nowhere"))

    def spin() -> None:
        with pytest.raises(ExternalShutdownException):
            rclpy.spin(node)

    thread = threading.Thread(target=spin)
    thread.start()
    assert there.call(Trigger.Request(), timeout_sec=20.0).message == "x"
    assert nowhere.call(Trigger.Request(), timeout_sec=0.1) is None
    rclpy.shutdown()
    thread.join(20.0)
    assert not thread.is_alive()


def test_malformed_requests_are_dropped(
    node: Node, spin_until: SpinUntil, capsys: pytest.CaptureFixture[str]
) -> None:
    node.create_service(SetBool, "set", lambda request, response: response)
    client = node.create_client(SetBool, "set")
    for data in (b"\0\1\0\0", b"\0\1\0\0" + bytes(16)):
        client.endpoints.writer.write(data)
    future = client.call_async(SetBool.Request())
    spin_until(node, future.done)
    assert "malformed request" in capsys.readouterr().err


def test_other_types_are_refused(node: Node) -> None:
    client = node.create_client(SetBool, "set")
    with pytest.raises(TypeError):
        client.call_async(Trigger.Request())
