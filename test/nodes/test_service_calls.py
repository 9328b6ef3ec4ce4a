"""Other threads' work in the thread that spins a node: errands and calls, in virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import CancelledError
from typing import Any

import pytest
from rclpy.node import Node
from std_srvs.srv import SetBool

from edge_robot.nodes.errands import Errands
from edge_robot.nodes.service_calls import ServiceCalls
from edge_robot.standalone.virtual import VirtualWorld


class Caller(Node):
    """Has what is tested."""

    def __init__(self) -> None:
        super().__init__("caller")
        self.errands = Errands(self)
        self.calls = ServiceCalls(self, self.errands)


class Lamp(Node):
    """Serves, as long as it lives."""

    def __init__(self) -> None:
        super().__init__("lamp")
        self.create_service(SetBool, "/lamp", self._set)

    def _set(self, request: Any, response: Any) -> Any:
        response.message = "on" if request.data else "off"
        return response


@pytest.fixture
def world() -> Iterator[VirtualWorld]:
    with VirtualWorld(seed=1) as made:
        made.start("caller", Caller)
        made.run_for(0.5)
        yield made


def caller(world: VirtualWorld) -> Any:
    return world.processes["caller"].node


def call(world: VirtualWorld, service: str, timeout: float) -> Any:
    with world.running(world.processes["caller"]):
        return caller(world).calls.call(service, "std_srvs/SetBool", SetBool.Request(), timeout)


def test_an_errand_has_its_result_its_error_or_is_cancelled(world: VirtualWorld) -> None:
    with world.running(world.processes["caller"]):
        done = caller(world).errands.do(lambda: 7)
        failed = caller(world).errands.do(lambda: 1 / 0)
    world.run_for(0.1)
    assert done.result(0) == 7
    assert isinstance(failed.exception(0), ZeroDivisionError)
    waiting = caller(world).errands.do(lambda: 8)
    caller(world).errands.close()
    for errand in (waiting, caller(world).errands.do(lambda: 9)):
        with pytest.raises(CancelledError):
            errand.result(0)


def test_every_call_ends(world: VirtualWorld) -> None:
    early = call(world, "/lamp", 5.0)  # before there is a lamp
    absent = call(world, "/nobody", 1.0)
    world.run_for(0.5)
    assert not early.done() and not absent.done()
    world.start("lamp", Lamp)
    world.run_for(2.0)
    assert early.result(0).message == "off"
    with pytest.raises(TimeoutError, match="there is no service /nobody of that type"):
        absent.result(0)

    world.processes["lamp"].kill()
    lost = call(world, "/lamp", 1.0)
    world.run_for(2.0)
    with pytest.raises(TimeoutError):
        lost.result(0)

    waiting = call(world, "/lamp", 60.0)
    world.run_for(0.1)
    caller(world).calls.close()
    with pytest.raises(TimeoutError):
        waiting.result(0)
