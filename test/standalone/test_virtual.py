"""Nodes in virtual time: the same every time, and DDS's rules as programs notice them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    LivelinessPolicy,
    QoSProfile,
    ReliabilityPolicy,
)
from std_msgs.msg import String
from std_srvs.srv import SetBool

import edge_robot  # noqa: F401
from edge_robot.standalone import machine
from edge_robot.standalone.virtual import VirtualWorld
from edge_robot.standalone.virtual.network import Passage

STEADY = Clock(clock_type=ClockType.STEADY_TIME)


def steady() -> float:
    return STEADY.now().nanoseconds * 1e-9


class Talker(Node):
    """Publishes 0, 1, 2, … at 100 Hz, or when told."""

    def __init__(self, qos: QoSProfile | int = 10, period: float | None = 0.01, **events: Any):
        super().__init__("talker")
        callbacks = PublisherEventCallbacks(**events)
        self.publisher = self.create_publisher(String, "chat", qos, event_callbacks=callbacks)
        self.sent = 0
        if period is not None:
            self.create_timer(period, self.say, clock=STEADY)

    def say(self) -> None:
        self.publisher.publish(String(data=str(self.sent)))
        self.sent += 1


class Listener(Node):
    """Keeps what it hears, with the time."""

    def __init__(self, qos: QoSProfile | int = 10, **events: Any):
        super().__init__("listener")
        self.heard: list[tuple[float, int]] = []
        self.events: list[tuple[float, Any]] = []
        callbacks = dict.fromkeys(events, self.note)
        self.create_subscription(
            String, "chat", self.hear, qos, event_callbacks=SubscriptionEventCallbacks(**callbacks)
        )

    def hear(self, message: String) -> None:
        self.heard.append((steady(), int(message.data)))

    def note(self, event: Any) -> None:
        self.events.append((steady(), event))

    @property
    def numbers(self) -> list[int]:
        return [number for _, number in self.heard]


@pytest.fixture
def world() -> Iterator[VirtualWorld]:
    with VirtualWorld(seed=1) as made:
        yield made


def listen(world: VirtualWorld, make: Callable[[], Listener] = Listener) -> Listener:
    node = world.start("listener", make).node
    assert isinstance(node, Listener)
    return node


def test_the_same_seed_gives_the_same_samples_at_the_same_times() -> None:
    def digest(seed: int) -> str:
        with VirtualWorld(seed) as world:
            world.start("talker", Talker, {"say": 0.002})
            listener = listen(world)
            world.run_for(1.0)
            assert len(listener.heard) > 95
            return world.network.digest() + str(listener.heard)

    assert digest(1) == digest(1) != digest(2)


def test_time_passes_faster_than_the_machines_and_ends_with_the_world() -> None:
    begun = time.monotonic()
    with VirtualWorld() as world:
        world.start("talker", Talker)
        world.run_for(30.0)
        assert steady() == pytest.approx(30.0)
    assert time.monotonic() - begun < 15.0
    assert machine.steady_ns is time.monotonic_ns
    assert not world.context.ok()
    assert rclpy.get_default_context() is not world.context


def test_a_busy_node_publishes_as_time_goes_on_and_misses_what_it_has_no_time_for(
    world: VirtualWorld,
) -> None:
    world.start("talker", Talker)
    newest = QoSProfile(depth=1)
    node = world.start("listener", lambda: Listener(newest), {"/chat": 0.035}).node
    world.run_for(2.0)
    assert isinstance(node, Listener)
    gaps = [b[1] - a[1] for a, b in zip(node.heard, node.heard[1:], strict=False)]
    assert 3 <= sum(gaps) / len(gaps) <= 5


def test_histories_are_as_deep_as_agreed_and_nothing_overtakes(world: VirtualWorld) -> None:
    world.start("talker", Talker)
    listener = listen(world, lambda: Listener(QoSProfile(depth=3)))
    world.run_for(0.505)
    assert listener.numbers == sorted(listener.numbers)
    process = world.processes["listener"]
    process.stop()
    world.run_for(0.2)
    before = len(listener.heard)
    process.resume()
    world.run_for(0.001)
    assert len(listener.heard) == before + 3
    assert listener.numbers[-1] >= 65


def test_late_joiners_get_what_is_kept_for_them(world: VirtualWorld) -> None:
    latched = QoSProfile(depth=2, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    talker = world.start("talker", lambda: Talker(latched, None)).node
    assert isinstance(talker, Talker)
    for _ in range(3):
        talker.say()
    world.run_for(0.1)
    listener = listen(world, lambda: Listener(latched))
    volatile = world.start("other", Listener).node
    world.run_for(0.1)
    assert listener.numbers == [1, 2]
    assert isinstance(volatile, Listener)
    assert volatile.numbers == []


def test_a_sample_past_its_lifespan_is_not_heard(world: VirtualWorld) -> None:
    short = QoSProfile(depth=100, lifespan=Duration(seconds=0.05))
    world.start("talker", lambda: Talker(short))
    listener = listen(world, lambda: Listener(QoSProfile(depth=100)))
    world.run_for(0.1)
    world.processes["listener"].stop()
    world.run_for(0.3)
    before = len(listener.heard)
    world.processes["listener"].resume()
    world.run_for(0.0001)
    assert 4 <= len(listener.heard) - before <= 5
    world.network.route = lambda passage: [(0.06, passage.data)]
    world.run_for(0.1)
    heard = len(listener.heard)
    world.run_for(0.5)
    assert len(listener.heard) == heard


def test_missed_deadlines_are_told_once_a_period(world: VirtualWorld) -> None:
    strict = QoSProfile(depth=1, deadline=Duration(seconds=0.05))
    missed: list[Any] = []
    world.start("talker", lambda: Talker(strict, deadline=missed.append))
    listener = listen(world, lambda: Listener(strict, deadline=True))
    world.run_for(0.505)
    assert not listener.events and not missed
    last = listener.heard[-1][0]
    world.processes["talker"].stop()
    world.run_for(0.16)
    assert [event.total_count for _, event in listener.events] == [1, 2, 3]
    assert listener.events[0][0] == pytest.approx(last + 0.05, abs=0.002)


def test_liveliness_is_lost_by_the_lease_and_regained(world: VirtualWorld) -> None:
    alive = QoSProfile(
        depth=1,
        liveliness=LivelinessPolicy.AUTOMATIC,
        liveliness_lease_duration=Duration(seconds=0.2),
    )
    world.start("talker", lambda: Talker(alive, None))
    listener = listen(world, lambda: Listener(alive, liveliness=True))
    world.run_for(1.0)
    talker = world.processes["talker"]
    talker.stop()
    world.run_for(0.5)
    talker.resume()
    world.run_for(0.1)
    talker.kill()
    world.run_for(0.5)
    counts = [(event.alive_count, event.not_alive_count) for _, event in listener.events]
    assert counts == [(1, 0), (0, 1), (1, 0), (0, 1)]
    assert [round(at, 2) for at, _ in listener.events[1:]] == [1.2, 1.5, 1.8]
    world.run_for(10.0)
    assert listener.count_publishers("chat") == 0


def test_contracts_that_do_not_match_keep_endpoints_apart(world: VirtualWorld) -> None:
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    refused: list[Any] = []
    world.start("talker", lambda: Talker(best_effort, incompatible_qos=refused.append))
    listener = listen(world, lambda: Listener(incompatible_qos=True))
    world.run_for(0.1)
    assert not listener.heard
    assert len(listener.events) == len(refused) == 1


def test_traffic_can_be_lost_delayed_doubled_and_spoilt(world: VirtualWorld) -> None:
    world.start("talker", Talker)
    listener = listen(world)

    def disturb(passage: Passage) -> list[tuple[float, bytes]]:
        assert (passage.topic, passage.source, passage.target) == ("/chat", "talker", "listener")
        number = int(passage.data[8:-1])
        wrong = passage.data.replace(str(number).encode(), b"9" * len(str(number)))
        return {0: [], 1: [(0.005, passage.data)] * 2, 2: [(0.0, wrong)]}.get(
            number % 4, [(0.0, passage.data)]
        )

    world.run_for(0.045)
    listener.heard.clear()
    world.network.route = disturb
    world.run_for(0.06)
    assert listener.numbers[:4] == [5, 5, 9, 7]


def test_services_answer(world: VirtualWorld) -> None:
    class Server(Node):
        def __init__(self) -> None:
            super().__init__("server")
            self.create_service(SetBool, "set", self.answer)

        def answer(self, request: Any, response: Any) -> Any:
            response.success = request.data
            return response

    class Client(Node):
        def __init__(self) -> None:
            super().__init__("client")
            self.client = self.create_client(SetBool, "set")
            self.answers: list[bool] = []
            self.create_timer(0.1, self.ask)

        def ask(self) -> None:
            if self.client.service_is_ready():
                future = self.client.call_async(SetBool.Request(data=True))
                future.add_done_callback(lambda done: self.answers.append(done.result().success))

    world.start("server", Server)
    node = world.start("client", Client).node
    world.run_for(0.35)
    assert isinstance(node, Client)
    assert node.answers == [True] * 3


def test_what_a_callback_raises_ends_its_process_alone(world: VirtualWorld) -> None:
    class Clumsy(Listener):
        def hear(self, message: String) -> None:
            raise ZeroDivisionError(message.data)

    world.start("talker", Talker)
    process = world.start("clumsy", Clumsy)
    listener = listen(world)
    world.run_for(0.2)
    assert isinstance(process.error, ZeroDivisionError)
    assert len(listener.heard) > 10
    with pytest.raises(ValueError, match="running in this world already"):
        world.start("listener", Listener)
    world.start("clumsy", Listener)


class Pollster(Node):
    """Looks at the clock ten times in every other run of its timer, and once in the others."""

    def __init__(self) -> None:
        super().__init__("pollster")
        self.runs = 0
        self.took: list[float] = []
        self.create_timer(0.1, self.run, clock=STEADY)

    def run(self) -> None:
        self.runs += 1
        begun = steady()
        for _ in range(9 if self.runs % 2 else 0):
            took = steady() - begun
        if self.runs % 2:
            self.took.append(took)


def test_a_run_after_one_with_nothing_to_do_takes_no_longer(world: VirtualWorld) -> None:
    node = world.start("pollster", Pollster, {"run": 0.010}).node
    world.run_for(10.0)
    assert isinstance(node, Pollster)
    later = node.took[1:]  # how often it looks is not known before the first
    assert 0.005 < sum(later) / len(later) < 0.015
