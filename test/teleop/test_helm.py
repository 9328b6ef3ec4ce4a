"""Lease, watchdogs and stop together: what no order of events may bring about."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import count, pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge_robot.teleop.access import Identity, Role
from edge_robot.teleop.helm import Helm, HelmSettings, Seat
from edge_robot.teleop.lease import RefusedError
from edge_robot.teleop.messages import Input
from edge_robot.teleop.ticks import Ticks
from edge_robot.teleop.watchdog import ZERO

SETTINGS = HelmSettings()
LIMITS = SETTINGS.watchdog
PEOPLE = [
    Identity("anna", Role.DRIVE, "127.0.0.1", "a"),
    Identity("anna", Role.DRIVE, "127.0.0.1", "a"),  # another tab
    Identity("bela", Role.DRIVE, "127.0.0.1", "b"),
    Identity("chef", Role.ADMIN, "127.0.0.1", "c"),
    Identity("guest", Role.VIEW, "127.0.0.1", "g"),
]


@dataclass
class Sent:
    """An input, and the truth of it that the robot cannot know."""

    seat: int
    sampled: float
    heard: float
    held: bool
    order: int


class AnyOrder(RuleBasedStateMachine):
    """Operators, links and robot do whatever they like; the commands must be right."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.helm = Helm(SETTINGS)
        self.events = count()
        self.seats = [self.helm.join(who, self.now) for who in PEOPLE]
        self.ways = {seat.number: (Ticks(self.now), Ticks(self.now)) for seat in self.seats}
        self.ticks: dict[Ticks, list[tuple[int, float]]] = defaultdict(list)
        self.n = dict.fromkeys(self.ways, 0)
        self.sent: list[Sent] = []
        self.void = (self.now, next(self.events))  # everything before is
        self.holder: int | None = None
        self.robot_stopped = False
        self.asked_to_stop = False
        self.breaks = 0
        self.beat()

    def start_over(self) -> None:
        self.void = (self.now, next(self.events))

    def beat(self) -> None:
        self.helm.beat(self.now, self.robot_stopped, self.breaks)

    def pass_time(self, seconds: float) -> None:
        """Let time pass with a beat every 20 ms at least."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 0.02)
            self.beat()

    seats_drawn = st.integers(0, len(PEOPLE) - 1)
    ways_drawn = st.integers(0, 1)  # connections of one page

    @initialize(seat=st.sampled_from([0, 2, 3]), seconds=st.sampled_from([0.0, 0.2, 0.5]))
    def somebody_drives_and_may_lose_the_link(self, seat: int, seconds: float) -> None:
        self.take(seat, force=False)
        self.drive(3, way=0, let_go=True)
        assert self.helm.command(self.now) not in (None, ZERO)
        self.pass_time(seconds)
        self.drive(2, way=1, let_go=False)

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.03, 0.1, 0.2, 0.5]))
    def wait(self, seconds: float) -> None:
        self.pass_time(seconds)

    @rule(seconds=st.sampled_from([0.13, 0.41]))
    def freeze_the_process(self, seconds: float) -> None:
        self.now += seconds
        if seconds > LIMITS.input_loss:
            self.start_over()

    @rule(seat=seats_drawn, force=st.booleans())
    def take(self, seat: int, force: bool) -> None:
        holder = self.helm.lease.holder
        try:
            self.helm.take(self.seats[seat], self.now, force)
        except RefusedError:
            who = PEOPLE[seat]
            assert who.role < Role.DRIVE or (
                holder is not None
                and holder.who.session != who.session
                and not (force and who.role is Role.ADMIN)
            )
            return
        assert PEOPLE[seat].role >= Role.DRIVE
        self.holder = self.seats[seat].number
        self.start_over()

    @rule()
    def hand_back(self) -> None:
        self.helm.release()
        self.holder = None

    @rule(seat=seats_drawn, way=ways_drawn)
    def send_tick(self, seat: int, way: int) -> None:
        ticks = self.ways[self.seats[seat].number][way]
        self.ticks[ticks].append((ticks.send(self.now), self.now))

    @rule(
        seat=seats_drawn,
        way=ways_drawn,
        which=st.sampled_from([1, 1, 1, 2, 5]),
        left=st.floats(0.0, 1.0),
        age=st.sampled_from([0.0, 0.0, 0.01, 0.1, 0.6]),
        step=st.sampled_from([1, 1, 1, 0, -1]),
        held=st.booleans(),
    )
    def hear(
        self, seat: int, way: int, which: int, left: float, age: float, step: int, held: bool
    ) -> None:
        """Hear an input that left its page at some time since the tick that it answers."""
        self.answer(self.seats[seat], way, which, left, age, step, held)

    def answer(
        self, seat: Seat, way: int, which: int, left: float, age: float, step: int, held: bool
    ) -> None:
        ticks = self.ways[seat.number][way]
        sent = self.ticks[ticks]
        if len(sent) < which:
            return
        tick, when = sent[-which]
        n = self.n[seat.number] = max(0, self.n[seat.number] + step)
        self.sent.append(
            Sent(
                seat.number,
                when + left * (self.now - when) - age,
                self.now,
                held,
                next(self.events),
            )
        )
        # What is wanted tells which input it was.
        wanted = (1e-6 * len(self.sent), 0.0, 0.0)
        self.helm.hear(seat, Input(tick, n, held, *wanted, age), ticks, self.now)

    @precondition(lambda self: self.holder is not None)
    @rule(rounds=st.integers(1, 4), way=ways_drawn, let_go=st.booleans())
    def drive(self, rounds: int, way: int, let_go: bool) -> None:
        """Hold on, as on a good link: or hardly ever would anybody get to drive."""
        seat = next(i for i, seat in enumerate(self.seats) if seat.number == self.holder)
        for number in range(rounds):
            self.send_tick(seat, way)
            self.pass_time(0.02)
            self.answer(self.seats[seat], way, 1, 1.0, 0.0, 1, held=number > 0 or not let_go)

    @rule()
    def stop(self) -> None:
        self.helm.stop(self.now)
        self.asked_to_stop = True
        self.start_over()

    @rule()
    def robot_says_that_it_is_stopped(self) -> None:
        if not self.robot_stopped:
            self.start_over()
        self.robot_stopped, self.asked_to_stop = True, False
        self.beat()

    @precondition(lambda self: self.robot_stopped or self.asked_to_stop)
    @rule()
    def reset(self) -> None:
        self.helm.reset(self.now)
        self.robot_stopped = self.asked_to_stop = False
        self.beat()
        self.start_over()

    @rule()
    def a_process_comes_or_goes(self) -> None:
        self.breaks += 1
        self.beat()
        self.start_over()

    @invariant()
    def the_command_is_right(self) -> None:
        self.helm.beat(self.now, self.robot_stopped, self.breaks)
        command = self.helm.command(self.now)
        if self.holder is None or self.robot_stopped:
            assert command is None
            return
        assert command is not None
        if command == ZERO:
            return
        assert not self.asked_to_stop
        obeyed = self.sent[round(command[0] * 1e6) - 1]
        assert obeyed.held
        assert obeyed.seat == self.holder, "of a superseded lease"
        since, order = self.void
        assert obeyed.order > order, "heard before something that voids it"
        assert obeyed.heard >= self.now - LIMITS.input_silence - 1e-9
        assert obeyed.sampled >= self.now - LIMITS.input_max_age - LIMITS.input_silence - 1e-9
        assert any(
            sent.seat == self.holder
            and not sent.held
            and sent.sampled >= since - 1e-9
            and order < sent.order < obeyed.order
            for sent in self.sent
        ), "moves without having been let go"
        heard = [s.heard for s in self.sent if s.seat == self.holder and s.order >= order]
        gaps = [b - a for a, b in pairwise(heard)]
        last_gap = max((i for i, gap in enumerate(gaps) if gap > LIMITS.input_loss), default=None)
        if last_gap is not None:
            after = [s for s in self.sent if s.seat == self.holder and s.heard > heard[last_gap]]
            assert any(not s.held for s in after), "went on after a loss without letting go"


AnyOrder.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestAnyOrder = AnyOrder.TestCase
