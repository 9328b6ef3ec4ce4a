"""Backends that misbehave in every way a robot may meet: each is rejected with a reason, and the
next good answer is taken."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from http2 import Call, Http2Server, message_prefix
from lamp import MODEL, lamp_image, wait_for
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as pb

from edge_robot.fleet import client, offload, onboard, protocol, replica
from edge_robot.fleet.boundary import Boundary, Picture
from edge_robot.fleet.client import MAX_ANSWER
from edge_robot.fleet.endpoints import Endpoint
from edge_robot.fleet.link import LinkTiming
from edge_robot.fleet.offload import OffloadEngine, Settings, Status
from edge_robot.fleet.privacy_policy import Kind, Level, PrivacyPolicy, Tier
from edge_robot.fleet.replica import LinkStatus
from edge_robot.fleet.tasks.detect import SecondOpinion, encode_frame
from edge_robot.fleet.work import Answer, NoAnswer, Reason, Task

BOUNDARY = Boundary(PrivacyPolicy(levels=dict.fromkeys(Tier, Level.RAW)))
EXPIRY = 0.6
TASK: Task[NDArray[np.uint8], SecondOpinion] = Task(
    name="detect",
    encode=lambda cleared, encoding: encode_frame(cleared, MODEL, 0.0, encoding),
    deadline=EXPIRY,
    expiry=EXPIRY,
)


class Robot:
    """An engine that is asked one frame after the other."""

    def __init__(self, port: int) -> None:
        self.link: LinkStatus | None = None
        self.outcomes: list[Answer[SecondOpinion] | NoAnswer] = []
        # A loaded test machine may hold up everything for a moment: longer than the silence.
        settings = Settings(timing=LinkTiming(silence=0.4), explore_after=0.0)
        self.engine = OffloadEngine([Endpoint("", f"127.0.0.1:{port}")], settings, self._on_status)
        self.engine.start()

    def _on_status(self, status: Status) -> None:
        (self.link,) = status.links

    def ask(self) -> Answer[SecondOpinion] | NoAnswer:
        image = Picture(lamp_image(), None)
        cleared = {tier: BOUNDARY.clear(Kind.DETECT, image, tier) for tier in Tier}
        before = len(self.outcomes)
        self.engine.offer(TASK, cleared, before, 0.0, self.outcomes.append)
        wait_for(lambda: len(self.outcomes) > before, "an outcome")
        self.engine.raise_if_failed()
        return self.outcomes[-1]

    def ask_until_answered(self) -> Answer[SecondOpinion]:
        while not isinstance(answer := self.ask(), Answer):
            time.sleep(0.02)
        assert answer.value.found.labels == ["lamp"]
        return answer


@pytest.fixture
def server() -> Iterator[Http2Server]:
    server = Http2Server()
    server.on_call = answer_well
    yield server
    server.close()


@pytest.fixture
def robot(server: Http2Server) -> Iterator[Robot]:
    robot = Robot(server.port)
    yield robot
    robot.engine.close()


def good_answer(request: Any) -> Any:
    """What a good backend answers; version 2 of its model."""
    response = pb.ModelInferResponse(id=request.id, model_name=MODEL, model_version="2")
    response.parameters[protocol.SERVICE_TIME].int64_param = 1000

    def add(tensor: protocol.Tensor, shape: list[int], content: bytes) -> None:
        response.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=shape)
        response.raw_output_contents.append(content)

    add(protocol.BOXES, [1, 4], np.array([[96, 32, 160, 64]], "<f4").tobytes())
    add(protocol.SCORES, [1], np.array([0.75], "<f4").tobytes())
    add(protocol.CLASS_IDS, [1], np.array([0], "<i8").tobytes())
    add(protocol.CLASS_NAMES, [1], protocol.pack_bytes([b"lamp"]))
    return response


def answer_well(call: Call) -> None:
    call.answer(good_answer(call.request).SerializeToString())


def changed(change: Callable[[Any], object]) -> Callable[[Call], None]:
    """A backend whose answer is good but for one change."""

    def answer(call: Call) -> None:
        response = good_answer(call.request)
        change(response)
        call.answer(response.SerializeToString())

    return answer


def set_boxes(response: Any, shape: list[int], values: list[float]) -> None:
    response.outputs[0].shape[:] = shape
    response.raw_output_contents[0] = np.array(values, "<f4").tobytes()


WRONG_CONTENT: dict[str, tuple[Callable[[Any], object], Reason, str]] = {
    "boxes of three": (lambda r: set_boxes(r, [1, 3], [0, 0, 9]), Reason.INVALID, "boxes"),
    "boxes without end": (lambda r: set_boxes(r, [2**62, 4], []), Reason.INVALID, "boxes"),
    "fewer than said": (lambda r: set_boxes(r, [2, 4], [0, 0, 9, 9]), Reason.INVALID, "16 bytes"),
    "NaN": (lambda r: set_boxes(r, [1, 4], [0, 0, np.nan, 9]), Reason.INVALID, "not finite"),
    "nothing": (lambda r: r.ClearField("outputs"), Reason.INVALID, "0 outputs"),
    "another's": (lambda r: setattr(r, "id", "999"), Reason.INVALID, "answer to request '999'"),
    "older model": (lambda r: setattr(r, "model_version", "1"), Reason.OLD_MODEL, "older than 2"),
}


@pytest.mark.parametrize("what", WRONG_CONTENT)
def test_a_wrong_answer_is_no_answer(server: Http2Server, robot: Robot, what: str) -> None:
    change, reason, words = WRONG_CONTENT[what]
    robot.ask_until_answered()
    server.on_call = changed(change)
    outcome = robot.ask()
    assert isinstance(outcome, NoAnswer)
    assert outcome.reason is reason and words in outcome.detail
    server.on_call = answer_well
    robot.ask_until_answered()


def a_gigabyte(call: Call) -> None:
    call.open()
    call.data(message_prefix(1 << 30) + bytes(8192))


def byte_by_byte(call: Call) -> None:
    message = good_answer(call.request).SerializeToString()
    call.open()
    end = time.monotonic() + EXPIRY + 0.1
    for byte in message_prefix(len(message)) + message:
        if time.monotonic() < end:
            call.data(bytes((byte,)))
            time.sleep(0.02)


def reset_in_the_middle(call: Call) -> None:
    call.open()
    call.data(message_prefix(1000) + bytes(500))
    call.reset_connection()


def no_message_at_all(call: Call) -> None:
    call.answer(b"\xff" * 40)


def no_frames(call: Call) -> None:
    call.connection.sendall(bytes(range(256)) * 4)


WRONG_TRANSPORT: dict[str, tuple[Callable[[Call], None], Reason, str]] = {
    "a gigabyte": (a_gigabyte, Reason.INVALID, "larger than max"),
    "byte by byte": (byte_by_byte, Reason.TIMEOUT, "DEADLINE_EXCEEDED"),
    "reset in the middle": (reset_in_the_middle, Reason.LINK_DOWN, "UNAVAILABLE"),
    "no message of the protocol": (no_message_at_all, Reason.INVALID, "no message of the protocol"),
    "no frames of HTTP/2": (no_frames, Reason.LINK_DOWN, "Failed parsing HTTP/2"),
    "silence": (lambda call: None, Reason.TIMEOUT, "DEADLINE_EXCEEDED"),
}


@pytest.mark.parametrize("what", WRONG_TRANSPORT)
def test_what_is_no_answer_ends_in_time(server: Http2Server, robot: Robot, what: str) -> None:
    misbehave, reason, words = WRONG_TRANSPORT[what]
    robot.ask_until_answered()
    server.on_call = misbehave
    begun = time.monotonic()
    outcome = robot.ask()
    assert isinstance(outcome, NoAnswer)
    assert outcome.reason is reason and words in outcome.detail
    assert time.monotonic() - begun < EXPIRY + 0.5
    server.on_call = answer_well
    robot.ask_until_answered()


def test_gigabytes_take_no_memory_and_open_the_breaker(server: Http2Server, robot: Robot) -> None:
    robot.ask_until_answered()
    server.on_call = a_gigabyte
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reasons = []
    while Reason.BREAKER_OPEN not in reasons:
        outcome = robot.ask()
        assert isinstance(outcome, NoAnswer)
        reasons.append(outcome.reason)
    assert reasons.count(Reason.INVALID) >= 3
    assert robot.link is not None and "larger than max" in robot.link.cause
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 3 * MAX_ANSWER // 1024


def test_a_backend_with_another_clock_changes_nothing(
    server: Http2Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No stamp of the backend enters an age, and no wall clock of the robot's is read."""
    for module in (client, offload, onboard, replica):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=time.monotonic))
    offsets = [600, -600, 10**12, -(10**12)]

    def answer(call: Call) -> None:
        response = good_answer(call.request)
        for name in (protocol.SERVICE_TIME, protocol.QUEUE_TIME, "timestamp"):
            response.parameters[name].int64_param = offsets[0] * 10**6
        call.answer(response.SerializeToString())

    server.on_call = answer
    robot = Robot(server.port)
    while offsets:
        assert 0.0 < robot.ask_until_answered().age < EXPIRY
        offsets.pop(0)
    robot.engine.close()
