"""The whole way over real gRPC and real sockets, cut in mid-flight."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from lamp import MODEL, LampDetector, lamp_backend, lamp_image, wait_for
from numpy.typing import NDArray

from edge_robot.fleet.adaptation import Encoding
from edge_robot.fleet.backend.server import Backend
from edge_robot.fleet.boundary import Boundary, Picture
from edge_robot.fleet.breaker import BreakerState
from edge_robot.fleet.endpoints import Endpoint
from edge_robot.fleet.link import LinkTiming
from edge_robot.fleet.offload import OffloadEngine, Settings, Status
from edge_robot.fleet.privacy_policy import Kind, Level, PrivacyPolicy, Tier
from edge_robot.fleet.replica import LinkStatus
from edge_robot.fleet.tasks.detect import image_request, read_detections
from edge_robot.fleet.work import ONBOARD, Answer, Clearances, Encoded, NoAnswer, Reason, Task
from edge_robot.perception.detections import Detections
from edge_robot.sim.radio_link import LinkQuality, RadioLink

BOUNDARY = Boundary(PrivacyPolicy(levels=dict.fromkeys(Tier, Level.RAW)))


def cleared(image: NDArray[np.uint8]) -> Clearances[NDArray[np.uint8]]:
    return {tier: BOUNDARY.clear(Kind.DETECT, Picture(image, None), tier) for tier in Tier}


def encoded(image: NDArray[np.uint8], model: str = MODEL) -> Encoded[Detections]:
    request, size = image_request(image, model, Encoding(90))
    return Encoded(request, lambda reply: read_detections(reply, size, 0.0))


TASK: Task[NDArray[np.uint8], Detections] = Task(
    name="lamp",
    encode=lambda cleared, encoding: encoded(cleared.value),
    deadline=5.0,
    expiry=20.0,
)
# A loaded test machine may hold up everything for a moment: longer than the robot's silence.
PATIENT = LinkTiming(silence=0.4)


class Robot:
    """An engine and everything it said."""

    def __init__(
        self,
        port: int,
        task: Task[NDArray[np.uint8], Detections] = TASK,
        timing: LinkTiming = PATIENT,
        explore_after: float = 1.0,
        local: Callable[[], Detections] | None = None,
    ) -> None:
        self.outcomes: list[Answer[Detections] | NoAnswer] = []
        self.changes: list[tuple[float, LinkStatus]] = []
        self.last: LinkStatus | None = None
        self.reports = 0
        self.offered = 0
        self.task = task
        self.local = local
        self.engine = OffloadEngine(
            [Endpoint("", f"127.0.0.1:{port}")],
            Settings(timing=timing, explore_after=explore_after),
            self._on_status,
        )
        self.engine.start()

    def _on_status(self, status: Status) -> None:
        self.reports += 1
        (link,) = status.links
        if self.last is None or (link.up, link.breaker) != (self.last.up, self.last.breaker):
            self.changes.append((time.monotonic(), link))
        self.last = link

    @property
    def up(self) -> bool:
        return self.last is not None and self.last.up

    def offer(self, age: float = 0.0) -> None:
        self.offered += 1
        self.engine.offer(
            self.task,
            cleared(lamp_image()),
            self.offered,
            age,
            self.outcomes.append,
            local=self.local,
        )

    def ask(self, age: float = 0.0) -> Answer[Detections] | NoAnswer:
        """Offer one frame and wait for its outcome."""
        before = len(self.outcomes)
        self.offer(age)
        wait_for(lambda: len(self.outcomes) > before, "an outcome")
        return self.outcomes[-1]

    def ask_until_answered(self) -> Answer[Detections]:
        """Offer frames until the backend answers one."""

        def answered() -> bool:
            return self.up and isinstance(self.ask(), Answer)

        wait_for(answered, "an answer of the backend")
        outcome = self.outcomes[-1]
        assert isinstance(outcome, Answer)
        return outcome

    def went_down_after(self, begun: float) -> float | None:
        return next((at for at, s in self.changes if at >= begun and not s.up), None)


@pytest.fixture
def make_robot(detector: LampDetector) -> Iterator[Callable[..., Robot]]:
    robots: list[Robot] = []

    def make(*args: object, **kwargs: object) -> Robot:
        robots.append(Robot(*args, **kwargs))  # type: ignore[arg-type]
        return robots[-1]

    yield make
    detector.free.set()
    for robot in robots:
        robot.engine.close()


def assert_never_empty(robot: Robot) -> None:
    """The lamp is in every picture: an answer without it would be a failure in disguise."""
    for outcome in robot.outcomes:
        if isinstance(outcome, Answer):
            assert outcome.value.labels == ["lamp"]


def test_an_answer_carries_where_it_comes_from(
    make_robot: Callable[..., Robot], backend: Backend
) -> None:
    robot = make_robot(backend.port)
    answer = robot.ask_until_answered()
    assert answer.value.labels == ["lamp"]
    assert answer.computed_by == f"127.0.0.1:{backend.port}"
    assert (answer.model, answer.model_sha256) == ("lamp@1", LampDetector.sha256)
    assert answer.stamp == robot.offered
    assert 0.0 < answer.age < 20.0
    assert answer.late == (answer.age > TASK.deadline)
    wait_for(lambda: robot.last is not None and robot.last.answered == 1, "the count")
    assert robot.last is not None
    assert 0.0 < robot.last.rtt_p50 <= robot.last.rtt_p95


def test_bandwidth_is_measured_and_predicts_the_age_of_an_answer(
    make_robot: Callable[..., Robot], backend: Backend
) -> None:
    bandwidth = 200_000.0
    radio = RadioLink("127.0.0.1", 0, "127.0.0.1", backend.port, LinkQuality(bandwidth=bandwidth))
    noise = np.random.default_rng(0).integers(0, 255, (180, 180, 3), dtype=np.uint8)
    task = replace(TASK, encode=lambda cleared, encoding: encoded(noise))
    robot = make_robot(radio.port, task=task)
    for _ in range(3):
        robot.ask_until_answered()
    wait_for(lambda: robot.last is not None and robot.last.answered == 3, "the count")
    assert robot.last is not None
    assert 0.1 * bandwidth < robot.last.bandwidth < 1.5 * bandwidth
    robot.engine.close()
    radio.close()


def test_a_cut_in_mid_flight_is_noticed_and_survived(
    make_robot: Callable[..., Robot], radio: RadioLink, detector: LampDetector
) -> None:
    timing = LinkTiming()
    robot = make_robot(radio.port, timing=timing)
    for _ in range(3):
        robot.ask_until_answered()
        detector.free.clear()
        before, calls = len(robot.outcomes), detector.calls
        robot.offer()
        wait_for(
            lambda calls=calls, before=before: (
                detector.calls > calls or len(robot.outcomes) > before
            ),
            "a request in flight",
        )
        cut = time.monotonic()
        radio.set_up(False)
        detector.free.set()
        wait_for(lambda: not robot.up, "the loss to be noticed")
        noticed = robot.went_down_after(cut)
        assert noticed is None or noticed - cut < 3.0
        wait_for(lambda before=before: len(robot.outcomes) > before, "its outcome")
        missed = robot.ask()
        assert isinstance(missed, NoAnswer) and missed.reason is Reason.LINK_DOWN
        radio.set_up(True)
        restored = time.monotonic()
        wait_for(lambda: robot.up, "the link to come back")
        assert time.monotonic() - restored < 5.0
    robot.ask_until_answered()
    assert len(robot.outcomes) == robot.offered, "one outcome for every frame"
    assert_never_empty(robot)


def test_a_killed_backend_is_noticed_at_once_and_a_new_one_found(
    make_robot: Callable[..., Robot], detector: LampDetector
) -> None:
    backend = lamp_backend(detector)
    port = backend.port
    robot = make_robot(port, timing=LinkTiming(silence=15.0))
    robot.ask_until_answered()
    backend.stop()
    wait_for(lambda: not robot.up, "the loss to be noticed", limit=10.0)  # not by silence
    assert robot.last is not None and "UNAVAILABLE" in robot.last.cause
    backend = lamp_backend(detector, port=port)
    robot.ask_until_answered()
    backend.stop()


def test_a_backend_that_is_not_there_is_explained(make_robot: Callable[..., Robot]) -> None:
    robot = make_robot(1)
    wait_for(lambda: robot.last is not None and "UNAVAILABLE" in robot.last.cause, "the cause")
    outcome = robot.ask()
    assert isinstance(outcome, NoAnswer) and outcome.reason is Reason.LINK_DOWN
    wait_for(lambda: robot.reports >= 4, "reports while down")


def test_late_answers_are_delivered_as_late(
    make_robot: Callable[..., Robot], backend: Backend
) -> None:
    robot = make_robot(backend.port)
    robot.ask_until_answered()
    robot = make_robot(backend.port, explore_after=0.0)
    wait_for(lambda: robot.up, "the link")
    outcome = robot.ask(age=6.0)
    assert isinstance(outcome, Answer) and outcome.late and outcome.age > 6.0
    assert outcome.value.labels == ["lamp"]
    wait_for(lambda: robot.last is not None and robot.last.late == 1, "the count")


def test_frames_whose_answer_would_be_late_are_not_offered(
    make_robot: Callable[..., Robot], backend: Backend, detector: LampDetector
) -> None:
    robot = make_robot(backend.port, explore_after=3600.0)
    robot.ask_until_answered()
    calls = detector.calls
    outcome = robot.ask(age=TASK.deadline)
    assert isinstance(outcome, NoAnswer) and outcome.reason is Reason.TOO_LATE
    assert detector.calls == calls
    assert isinstance(robot.ask(), Answer)


def test_a_silent_computation_times_out_and_opens_the_breaker(
    make_robot: Callable[..., Robot], backend: Backend, detector: LampDetector
) -> None:
    task = replace(TASK, deadline=0.2, expiry=0.3)
    robot = make_robot(backend.port, task=task, explore_after=0.0)
    robot.ask_until_answered()
    detector.free.clear()
    reasons = []
    while robot.last is None or robot.last.breaker is not BreakerState.OPEN:
        outcome = robot.ask()
        assert isinstance(outcome, NoAnswer)
        reasons.append(outcome.reason)
        assert len(reasons) < 1000
    assert reasons.count(Reason.TIMEOUT) >= 3
    assert robot.up, "heartbeats are answered: the link stands"
    assert "requests failed in a row" in robot.last.cause
    outcome = robot.ask()
    assert isinstance(outcome, NoAnswer) and outcome.reason is Reason.BREAKER_OPEN
    detector.free.set()
    robot.ask_until_answered()
    wait_for(lambda: robot.last is not None and robot.last.breaker is BreakerState.CLOSED, "close")
    assert_never_empty(robot)


def test_refusals_are_typed(make_robot: Callable[..., Robot], backend: Backend) -> None:
    task = replace(TASK, encode=lambda cleared, encoding: encoded(cleared.value, "another"))
    robot = make_robot(backend.port, task=task)
    wait_for(lambda: robot.up, "the link")
    outcome = robot.ask()
    assert isinstance(outcome, NoAnswer) and outcome.reason is Reason.REFUSED
    assert "another" in outcome.detail


def test_invalid_answers_are_rejected(
    make_robot: Callable[..., Robot], backend: Backend, detector: LampDetector
) -> None:
    robot = make_robot(backend.port)
    robot.ask_until_answered()
    sound = detector.detect
    broken = Detections(
        np.array([[0.0, 0.0, np.nan, 1.0]], np.float32),
        np.ones(1, np.float32),
        np.zeros(1, np.int64),
        ("lamp",),
    )
    detector.detect = lambda image: broken  # type: ignore[method-assign]
    outcome = robot.ask()
    assert isinstance(outcome, NoAnswer) and outcome.reason is Reason.INVALID
    assert "finite" in outcome.detail
    detector.detect = sound  # type: ignore[method-assign]
    robot.ask_until_answered()


def test_what_is_in_flight_is_bounded(
    make_robot: Callable[..., Robot], backend: Backend, detector: LampDetector
) -> None:
    robot = make_robot(backend.port)
    robot.ask_until_answered()
    detector.free.clear()
    for _ in range(TASK.in_flight):
        robot.offer()
    outcome = robot.ask()
    assert isinstance(outcome, NoAnswer) and outcome.reason is Reason.BUSY


def test_the_local_fallback_computes_what_the_backend_does_not(
    make_robot: Callable[..., Robot], radio: RadioLink
) -> None:
    onboard = LampDetector()
    computed_in: set[str] = set()

    def local() -> Detections:
        computed_in.add(threading.current_thread().name)
        return onboard.detect(lamp_image())

    robot = make_robot(radio.port, local=local)
    wait_for(lambda: robot.up, "the link")
    robot.ask()  # begun at once, since nothing is known of how long it takes
    assert robot.ask_until_answered().computed_by != ONBOARD
    radio.set_up(False)
    wait_for(lambda: not robot.up, "the loss to be noticed")
    answer = robot.ask()
    assert isinstance(answer, Answer) and answer.computed_by == ONBOARD
    assert answer.value.labels == ["lamp"] and "link down" in answer.reason
    assert all("fleet-onboard" in name for name in computed_in), "never in the link's own thread"
    radio.set_up(True)


def test_closing_ends_what_is_outstanding(
    make_robot: Callable[..., Robot], backend: Backend, detector: LampDetector
) -> None:
    robot = make_robot(backend.port)
    robot.ask_until_answered()
    detector.free.clear()
    before, calls = len(robot.outcomes), detector.calls
    robot.offer()
    wait_for(lambda: detector.calls > calls, "a request in flight")
    robot.engine.close()
    assert len(robot.outcomes) == before + 1
    outcome = robot.outcomes[-1]
    assert isinstance(outcome, NoAnswer) and outcome.reason is Reason.CANCELLED


@pytest.mark.parametrize("delay_ms", range(8))
def test_closing_at_any_moment_of_an_offer_is_orderly(
    make_robot: Callable[..., Robot], backend: Backend, delay_ms: int
) -> None:
    robot = make_robot(backend.port)
    robot.ask_until_answered()
    offered = robot.offered
    for _ in range(20):  # within the time of one, so that one is about to be sent
        robot.offer()
    time.sleep(delay_ms * 0.0005)
    robot.engine.close()
    assert len(robot.outcomes) == offered + 20


def test_an_error_in_the_engine_is_not_swallowed(
    make_robot: Callable[..., Robot], backend: Backend
) -> None:
    def encode(cleared: object, encoding: Encoding) -> Encoded[Detections]:
        raise ZeroDivisionError("bug")

    robot = Robot(backend.port, task=replace(TASK, encode=encode))
    wait_for(lambda: robot.up, "the link")
    robot.offer()

    def failed() -> bool:
        try:
            robot.engine.raise_if_failed()
        except ZeroDivisionError:
            return True
        return False

    wait_for(failed, "the error")
    with pytest.raises(ZeroDivisionError):
        robot.engine.close()
