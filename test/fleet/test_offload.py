"""The whole way over real gRPC and real sockets, cut in mid-flight."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from lamp import MODEL, LampDetector, lamp_backend, lamp_image, wait_for
from numpy.typing import NDArray

from edge_robot.fleet.adaptation import Encoding
from edge_robot.fleet.admission import Budgets
from edge_robot.fleet.backend.server import Backend
from edge_robot.fleet.boundary import Boundary, Picture, Withheld
from edge_robot.fleet.breaker import BreakerState
from edge_robot.fleet.endpoints import Endpoint
from edge_robot.fleet.hedging import WARM_UP
from edge_robot.fleet.link import LinkTiming
from edge_robot.fleet.offload import Offered, OffloadEngine, Settings, Status
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
        ports: int | Sequence[int],
        task: Task[NDArray[np.uint8], Detections] = TASK,
        timing: LinkTiming = PATIENT,
        explore_after: float = 1.0,
        local: Callable[[], Detections] | None = None,
        budgets: Budgets | None = None,
    ) -> None:
        self.outcomes: list[Answer[Detections] | NoAnswer] = []
        self.changes: list[tuple[float, LinkStatus]] = []
        self.late: list[Answer[Detections]] = []
        self.last: LinkStatus | None = None
        self.status: Status | None = None
        self.reports = 0
        self.offered = 0
        self.task = task
        self.local = local
        self.engine = OffloadEngine(
            [
                Endpoint("", f"127.0.0.1:{port}")
                for port in ([ports] if isinstance(ports, int) else ports)
            ],
            Settings(timing=timing, explore_after=explore_after, budgets=budgets or Budgets()),
            self._on_status,
        )
        self.engine.start()

    def _on_status(self, status: Status) -> None:
        self.reports += 1
        self.status, link = status, status.links[0]
        if self.last is None or (link.up, link.breaker) != (self.last.up, self.last.breaker):
            self.changes.append((time.monotonic(), link))
        self.last = link

    @property
    def up(self) -> bool:
        return self.last is not None and self.last.up

    def offer(
        self, age: float = 0.0, clearances: Clearances[NDArray[np.uint8]] | None = None
    ) -> Offered:
        self.offered += 1
        return self.engine.offer(
            self.task,
            cleared(lamp_image()) if clearances is None else clearances,
            self.offered,
            age,
            self.outcomes.append,
            self.late.append if self.local else None,
            self.local,
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
    assert robot.last is not None and "no answer for" not in robot.last.cause
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


def test_refusals_are_typed_and_stop_no_other_kind_of_work(
    make_robot: Callable[..., Robot], backend: Backend
) -> None:
    robot = make_robot(backend.port)
    robot.ask_until_answered()
    robot.task = replace(
        TASK, name="other", encode=lambda cleared, encoding: encoded(cleared.value, "another")
    )
    outcome = robot.ask()
    assert isinstance(outcome, NoAnswer) and outcome.reason is Reason.REFUSED
    assert "another" in outcome.detail
    while isinstance(outcome, NoAnswer) and outcome.reason is not Reason.BREAKER_OPEN:
        outcome = robot.ask()
    assert robot.last is not None and robot.last.breaker is BreakerState.OPEN
    robot.task = TASK
    assert isinstance(robot.ask(), Answer)


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


def test_a_reader_that_fails_is_not_the_end_of_the_engine(
    make_robot: Callable[..., Robot], backend: Backend
) -> None:
    robot = make_robot(backend.port)
    robot.ask_until_answered()

    unreadable = replace(encoded(lamp_image()), decode=lambda response: 1 // 0)
    robot.task = replace(TASK, encode=lambda cleared, encoding: unreadable)
    outcome = robot.ask()
    assert isinstance(outcome, NoAnswer) and outcome.reason is Reason.INVALID
    assert "ZeroDivisionError" in outcome.detail
    robot.task = TASK
    robot.ask_until_answered()


def test_what_is_in_flight_is_bounded_and_the_late_makes_room_for_the_new(
    make_robot: Callable[..., Robot], backend: Backend, detector: LampDetector
) -> None:
    robot = make_robot(backend.port, task=replace(TASK, deadline=0.3, in_flight=2))
    robot.ask_until_answered()
    detector.free.clear()
    calls = detector.calls
    begun = time.monotonic()
    robot.offer()
    robot.offer()
    busy = robot.ask()
    assert isinstance(busy, NoAnswer)
    assert busy.reason is Reason.BUSY or time.monotonic() - begun > 0.3
    wait_for(lambda: time.monotonic() - begun > 0.35, "the deadline")
    before = len(robot.outcomes)
    robot.offer()
    wait_for(lambda: len(robot.outcomes) > before, "the first to be given up")
    superseded = robot.outcomes[-1]
    assert isinstance(superseded, NoAnswer) and superseded.reason is Reason.SUPERSEDED
    detector.free.set()
    wait_for(lambda: len(robot.outcomes) == robot.offered, "the others")
    assert detector.calls <= calls + 3


def test_what_is_cancelled_is_not_computed(
    make_robot: Callable[..., Robot], backend: Backend, detector: LampDetector
) -> None:
    robot = make_robot(backend.port)
    robot.ask_until_answered()
    detector.free.clear()
    calls, before = detector.calls, len(robot.outcomes)
    robot.offer()
    wait_for(lambda: detector.calls > calls, "a computation")
    second = robot.offer()
    wait_for(lambda: robot.status is not None and robot.status.links[0].outstanding == 2, "both")
    second.cancel()
    second.cancel()
    wait_for(lambda: len(robot.outcomes) > before, "its outcome")
    outcome = robot.outcomes[-1]
    assert isinstance(outcome, NoAnswer) and outcome.reason is Reason.CANCELLED
    assert outcome.stamp == robot.offered
    wait_for(lambda: robot.status is not None and robot.status.links[0].outstanding == 1, "one")
    detector.free.set()
    wait_for(lambda: len(robot.outcomes) == robot.offered, "the answer to the first")
    robot.ask_until_answered()
    assert detector.calls == calls + 2, "the first and the last"
    assert len(robot.outcomes) == robot.offered


def test_what_is_withheld_or_beyond_the_budget_is_not_sent(
    make_robot: Callable[..., Robot], backend: Backend, detector: LampDetector
) -> None:
    robot = make_robot(backend.port, budgets=Budgets(byte_rate=1.0, byte_burst=3000.0))
    size = robot.ask_until_answered().sent_bytes
    assert 1000 < size < 3000
    calls = detector.calls
    before = len(robot.outcomes)
    robot.offer(clearances={Tier.FOG: Withheld("a person too large")})
    wait_for(lambda: len(robot.outcomes) > before, "an outcome")
    outcome = robot.outcomes[-1]
    assert isinstance(outcome, NoAnswer) and outcome.reason is Reason.PRIVACY
    assert "a person too large" in outcome.detail
    outcomes = [robot.ask() for _ in range(3)]
    assert isinstance(outcomes[-1], NoAnswer) and outcomes[-1].reason is Reason.BUDGET
    assert sum(outcome.sent_bytes for outcome in robot.outcomes) <= 3001
    assert detector.calls <= calls + 2


def test_two_endpoints_help_each_other_out(
    make_robot: Callable[..., Robot], detector: LampDetector
) -> None:
    other = LampDetector()
    first, second = lamp_backend(detector), lamp_backend(other)
    robot = make_robot([first.port, second.port])
    wait_for(
        lambda: robot.status is not None and all(link.up for link in robot.status.links),
        "both links",
    )

    def knows_what_is_slow_and_may_ask_twice() -> bool:
        robot.ask_until_answered()
        assert robot.status is not None
        sent, hedged = robot.status.sent, robot.status.hedged
        return sent > 2 * WARM_UP and hedged + 2 < 0.05 * sent

    wait_for(knows_what_is_slow_and_may_ask_twice, "the tail to be known")
    size = min(outcome.sent_bytes for outcome in robot.outcomes if isinstance(outcome, Answer))
    # Whoever is asked first is slow; the other is asked too.
    before, calls = len(robot.outcomes), (detector.calls, other.calls)
    detector.free.clear()
    other.free.clear()
    robot.offer()
    wait_for(lambda: (detector.calls, other.calls) != calls, "a computation")
    slow, quick = (detector, other) if detector.calls > calls[0] else (other, detector)
    quick.free.set()
    wait_for(lambda: len(robot.outcomes) > before, "an answer")
    answer = robot.outcomes[-1]
    assert isinstance(answer, Answer) and "second time" in answer.reason
    assert answer.sent_bytes > 1.5 * size
    slow.free.set()
    # Gone: what is outstanding there is asked elsewhere, and so is everything after.
    first.stop()
    wait_for(lambda: not robot.up, "the loss to be noticed")
    # Which of the two was slow is a matter of chance: the other may be expected to be late now.
    wait_for(lambda: isinstance(robot.ask(), Answer), "an answer of the other one")
    answer = robot.outcomes[-1]
    assert isinstance(answer, Answer) and answer.computed_by == f"127.0.0.1:{second.port}"
    assert robot.status.hedged <= 0.05 * robot.status.sent
    assert len(robot.outcomes) == robot.offered
    assert_never_empty(robot)
    robot.engine.close()
    second.stop()


def test_the_local_fallback_computes_what_the_backend_does_not(
    make_robot: Callable[..., Robot], radio: RadioLink, detector: LampDetector
) -> None:
    onboard = LampDetector()
    computed_in: set[str] = set()

    def local() -> Detections:
        computed_in.add(threading.current_thread().name)
        return onboard.detect(lamp_image())

    robot = make_robot(radio.port, local=local)
    wait_for(lambda: robot.up, "the link")
    wait_for(lambda: robot.ask_until_answered().computed_by != ONBOARD, "an answer of the backend")
    wait_for(lambda: not robot.status.links[0].outstanding, "what was answered on board meanwhile")
    # In mid-flight: on board as soon as the loss is noticed, long before the deadline.
    detector.free.clear()
    before, calls = len(robot.outcomes), detector.calls
    robot.offer()
    wait_for(lambda: detector.calls > calls, "a computation")
    radio.set_up(False)
    wait_for(lambda: not robot.up, "the loss to be noticed")
    wait_for(lambda: len(robot.outcomes) > before, "an answer", limit=0.5)
    # And at once, while it is down.
    for answer in robot.outcomes[-1], robot.ask():
        assert isinstance(answer, Answer) and answer.computed_by == ONBOARD
        assert answer.value.labels == ["lamp"] and "link down" in answer.reason
    detector.free.set()
    assert all("fleet-onboard" in name for name in computed_in), "never in the link's own thread"
    radio.set_up(True)


def test_a_result_stands_at_the_deadline_and_the_late_answer_still_comes(
    make_robot: Callable[..., Robot], backend: Backend, detector: LampDetector
) -> None:
    onboard = LampDetector()
    robot = make_robot(
        backend.port,
        task=replace(TASK, deadline=0.5),
        local=lambda: onboard.detect(lamp_image()),
    )
    wait_for(lambda: robot.up, "the link")
    detector.free.clear()
    first = robot.ask()
    assert isinstance(first, Answer) and first.computed_by == ONBOARD
    assert first.age < 0.4, "begun at once: nobody knows yet how long it takes"
    detector.free.set()
    wait_for(lambda: robot.ask_until_answered().computed_by != ONBOARD, "an answer of the backend")
    detector.free.clear()
    answer = robot.ask()
    assert isinstance(answer, Answer) and answer.computed_by == ONBOARD
    # As late as it may begin, yet in time, unless this machine is held up.
    assert 0.3 < answer.age < 0.55
    late = len(robot.late)
    detector.free.set()
    wait_for(lambda: len(robot.late) > late, "the late answer")
    assert robot.late[-1].stamp == answer.stamp and robot.late[-1].late
    assert robot.late[-1].computed_by != ONBOARD
    assert len(robot.outcomes) == robot.offered


def test_it_is_computed_on_board_once_an_answer_is_unlikely_long_before_the_deadline(
    make_robot: Callable[..., Robot], backend: Backend, detector: LampDetector
) -> None:
    onboard = LampDetector()
    robot = make_robot(backend.port, local=lambda: onboard.detect(lamp_image()))
    answered = 0
    while answered < 60:  # of which 98 % come soon
        answered += robot.ask_until_answered().computed_by != ONBOARD
    detector.free.clear()
    answer = robot.ask()
    assert isinstance(answer, Answer) and answer.computed_by == ONBOARD
    assert answer.age < 0.5 * TASK.deadline
    detector.free.set()
    wait_for(lambda: robot.late[-1:] and robot.late[-1].stamp == answer.stamp, "the late answer")


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


@pytest.mark.parametrize("delay_ms", [0, 1, 3, 6])
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
