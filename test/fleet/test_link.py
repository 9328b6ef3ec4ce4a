"""The link's state machine on a fake clock."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.fleet.link import Beat, LinkMonitor, LinkPhase, LinkTiming

TIMING = LinkTiming()


@dataclass
class World:
    """Drives a monitor exactly as it asks; answers each heartbeat after `rtt` while `works`.

    The first one of a connection takes `handshakes` round trips more.
    """

    rtt: float = 0.002
    handshakes: int = 0
    works: bool = True
    hold_up: float = 0.0
    stalled_until: float = 0.0  # connections that are open by then; new ones work
    now: float = 100.0
    last_answer: float = -math.inf
    history: list[tuple[float, LinkPhase]] = field(default_factory=list)
    beats: list[float] = field(default_factory=list)
    opened: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.monitor = LinkMonitor(TIMING, self.now, jitter=lambda: 0.5)
        self._answers: list[tuple[float, int]] = []

    def run(self, duration: float) -> None:
        end = self.now + duration
        while True:
            answer_at = self._answers[0][0] if self._answers else math.inf
            step = min(answer_at, self.monitor.next_poll + self.hold_up)
            if step > end:
                self.now = end
                return
            self.now = max(self.now, step)
            if answer_at <= step:
                _, number = heapq.heappop(self._answers)
                if self.works:
                    self.last_answer = self.now
                    self.monitor.answered(number, self.now)
            else:
                beat = self.monitor.poll(self.now)
                if beat is not None:
                    self.beats.append(self.now)
                    if self.works:
                        known = beat.connection in self.opened
                        self.opened.add(beat.connection)
                        round_trips = 1 if known else 1 + self.handshakes
                        arrives = self.now + round_trips * self.rtt
                        if known:
                            arrives = max(arrives, self.stalled_until)
                        heapq.heappush(self._answers, (arrives, beat.number))
                # A late driver may look twice, but must not be asked to spin.
                assert self.monitor.next_poll > self.now - self.hold_up - 1e-9 or beat is not None
            if not self.history or self.history[-1][1] is not self.monitor.phase:
                self.history.append((self.now, self.monitor.phase))

    def went(self, phase: LinkPhase) -> float:
        """When the monitor last entered a phase."""
        return max(at for at, entered in self.history if entered is phase)


def test_starts_down_and_comes_up_after_its_confirmations() -> None:
    world = World()
    assert not world.monitor.up and world.monitor.cause == "not yet connected"
    world.run(0.2)
    assert world.monitor.up
    assert [phase for _, phase in world.history] == [
        LinkPhase.DOWN,
        LinkPhase.CONFIRMING,
        LinkPhase.UP,
    ]
    assert world.went(LinkPhase.UP) >= 100.0 + TIMING.period
    assert math.isclose(world.monitor.round_trips.quantile(0.5), world.rtt, abs_tol=1e-6)
    assert world.monitor.loss == 0.0


@settings(deadline=None)
@given(
    rtt=st.floats(0.0005, 0.14),
    before=st.floats(0.5, 0.8),
)
def test_a_black_hole_is_noticed_within_the_silence_whatever_the_round_trip(
    rtt: float, before: float
) -> None:
    world = World(rtt=rtt)
    world.run(before)
    assert world.monitor.up
    cut = world.now
    world.works = False
    world.run(0.3)
    assert world.monitor.phase is LinkPhase.DOWN
    noticed = next(at for at, phase in world.history if at >= cut and phase is LinkPhase.DOWN)
    assert noticed - cut <= TIMING.silence + 1e-6
    assert "no answer for" in world.monitor.cause


@settings(deadline=None)
@given(rtt=st.floats(0.0005, 0.6), handshakes=st.integers(0, 2), outage=st.floats(0.2, 3.0))
def test_recovery_is_bounded(rtt: float, handshakes: int, outage: float) -> None:
    """Also over a satellite with TLS: an attempt that hangs holds up no other."""
    world = World(rtt=rtt, handshakes=handshakes)
    world.run(4.0)
    assert world.monitor.up
    world.works = False
    world.run(outage)
    world.works = True
    restored = world.now
    world.run(4.0)
    assert world.monitor.up
    bound = TIMING.probe_pause + (handshakes + 2) * rtt + 3 * TIMING.period
    assert world.went(LinkPhase.UP) - restored <= bound + 1e-6


@settings(deadline=None)
@given(rtt=st.floats(0.0005, 0.14), hold_up=st.floats(0.0, 0.04))
def test_an_answering_backend_is_never_declared_down(rtt: float, hold_up: float) -> None:
    world = World(rtt=rtt)
    world.run(0.6)
    world.hold_up = hold_up
    world.run(3.0)
    assert world.history[-1][1] is LinkPhase.UP
    assert world.monitor.up


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.0, 0.2), st.sampled_from(["poll", "answer", "fail", "request"])),
        max_size=200,
    )
)
def test_any_sequence_of_events_keeps_the_invariants(events: list[tuple[float, str]]) -> None:
    now = 0.0
    monitor = LinkMonitor(TIMING, now)
    sent: list[int] = []
    last_answer = -math.inf
    for pause, event in events:
        now += pause
        if event == "poll":
            beat = monitor.poll(now)
            if beat is not None:
                sent.append(beat.number)
        elif event == "answer" and sent:
            was_up, phase = monitor.up, monitor.phase
            monitor.answered(sent.pop(0), now)
            last_answer = now
            assert not was_up or monitor.up, "an answer never takes the link down"
            assert not monitor.up or phase is not LinkPhase.DOWN, "never up on one answer"
        elif event == "fail" and sent:
            monitor.failed(sent.pop(), now, "reset")
        else:
            monitor.request_answered(now)
            last_answer = now
        assert 0.0 <= monitor.loss <= 1.0
        assert math.isfinite(monitor.next_poll)
        if event == "poll" and monitor.up:
            # Only while it looks a second time after a hold-up may a long silence be "up".
            assert now - last_answer < TIMING.silence or monitor.next_poll > now or beat is not None


def test_a_failure_takes_the_link_down_at_once_with_its_cause() -> None:
    world = World()
    world.run(0.5)
    world.works = False
    while not world.monitor._waiting:
        world.run(0.001)
    world.monitor.failed(next(iter(world.monitor._waiting)), world.now, "connection reset")
    assert world.monitor.phase is LinkPhase.DOWN
    assert world.monitor.cause == "connection reset"


def test_vain_attempts_keep_the_cause_of_the_loss() -> None:
    world = World()
    world.run(0.5)
    world.works = False
    world.run(0.1)
    cause = world.monitor.cause
    world.run(5.0)
    assert world.monitor.cause == cause
    assert world.monitor.loss > 0.3


def first_beat(monitor: LinkMonitor) -> Beat:
    beat = monitor.poll(monitor.next_poll)
    assert beat is not None
    return beat


def test_never_connected_says_why() -> None:
    monitor = LinkMonitor(TIMING, 0.0)
    monitor.failed(first_beat(monitor).number, 0.001, "UNAVAILABLE: connection refused")
    assert monitor.cause == "UNAVAILABLE: connection refused"


def test_attempts_overlap_and_the_first_one_answered_is_taken() -> None:
    monitor = LinkMonitor(TIMING, 0.0)
    first, second = first_beat(monitor), first_beat(monitor)
    assert first.connection != second.connection
    assert monitor.connections >= {first.connection, second.connection}
    monitor.answered(first.number, 0.4)
    assert monitor.phase is LinkPhase.CONFIRMING and monitor.connection == first.connection
    assert monitor.connections == {first.connection}
    assert math.isnan(monitor.round_trips.quantile(0.5)), "connecting is no round trip"
    assert first_beat(monitor).connection == first.connection


def test_an_attempt_is_given_up_in_the_end() -> None:
    monitor = LinkMonitor(TIMING, 0.0)
    attempts = []
    while monitor.next_poll < 10.0:
        now = monitor.next_poll
        beat = monitor.poll(now)
        if beat is not None:
            attempts.append((now, beat.connection))
        for begun, connection in attempts:
            waiting = connection in monitor.connections
            assert waiting == (now < begun + TIMING.probe_timeout)
    assert "no answer within 2 s" in monitor.cause


def test_a_connection_that_was_only_held_up_is_taken_back_with_what_is_on_it() -> None:
    """TCP sends again what was lost after 200 ms, and then all answers are there at once."""
    world = World(rtt=0.03)
    world.run(0.5)
    connection = world.monitor.connection
    world.stalled_until = world.now + 0.23
    world.run(0.2)
    assert not world.monitor.up
    assert connection in world.monitor.connections
    world.run(0.1)
    assert world.monitor.up and world.monitor.connection == connection
    assert world.went(LinkPhase.UP) == world.stalled_until, "what was sent before confirms it"
    world.stalled_until = world.now + TIMING.stall + 1.0
    world.run(TIMING.silence + TIMING.stall + 0.1)
    assert connection not in world.monitor.connections, "in the end it is given up"


def test_pauses_between_attempts_are_jittered_within_bounds() -> None:
    pauses = []
    for share in (0.0, 0.999):
        monitor = LinkMonitor(TIMING, 0.0, jitter=lambda share=share: share)
        first_beat(monitor)
        pauses.append(monitor.next_poll)
    assert math.isclose(pauses[0], TIMING.probe_pause / 2)
    assert TIMING.probe_pause / 2 < pauses[1] < TIMING.probe_pause


def test_what_only_a_person_can_mend_is_tried_seldom_and_stays_the_cause() -> None:
    world = World()
    world.run(0.5)
    world.works = False
    world.run(0.2)
    world.monitor.explained(world.now, "certificate has expired", refused=True)
    begun = len(world.beats)
    world.run(20.0)
    assert world.monitor.cause == "certificate has expired"
    assert 4 <= len(world.beats) - begun <= 8
    # Renewed, but now the backend is away: it is tried as often as ever.
    world.monitor.explained(world.now, "connection refused", refused=False)
    assert world.monitor.cause == "connection refused"
    world.works = True
    world.run(TIMING.refusal_pause + 0.2)
    assert world.monitor.up


def test_a_connection_that_breaks_under_a_request_takes_the_link_down() -> None:
    world = World()
    world.run(0.5)
    world.monitor.request_lost(world.now, "reset by peer")
    assert not world.monitor.up and world.monitor.cause == "reset by peer"
    assert world.monitor.since == world.now
    assert world.monitor.connections == {0}


def test_an_answered_request_is_a_sign_of_life() -> None:
    world = World()
    world.run(0.5)
    world.works = False
    for _ in range(20):
        world.run(0.05)
        world.monitor.request_answered(world.now)
    assert world.monitor.up
