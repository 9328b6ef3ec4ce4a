"""Store and forward: when it sends, what failures do, what kills and power loss leave."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from spooling import MIB, Flaky, event, telemetry

from edge_robot.bench.spool import kills, outage, power
from edge_robot.bench.spool.disk_writes import NotRecordableError
from edge_robot.fleet.backend.archive import Archive
from edge_robot.fleet.boundary import Boundary
from edge_robot.fleet.client import RequestError
from edge_robot.fleet.privacy_policy import Level, PrivacyPolicy, Tier
from edge_robot.fleet.spool import database
from edge_robot.fleet.spool.pace import LinkFigures, Pace, PaceSettings, Wait
from edge_robot.fleet.spool.reader import SpoolReader
from edge_robot.fleet.spool.records import Entry, Priority
from edge_robot.fleet.spool.sender import Sender
from edge_robot.fleet.spool.spool import Spool
from edge_robot.fleet.spool.store import Store

CALM = LinkFigures(up=True, round_trip=0.010, bandwidth=1e6, outstanding=0)


def link(**changes: Any) -> LinkFigures:
    return LinkFigures(**{**CALM.__dict__, **changes})


def pace(**settings: Any) -> Pace:
    return Pace(PaceSettings(**settings), jitter=lambda: 1.0)


def test_it_sends_at_its_rate_or_its_share_of_the_link() -> None:
    sending = pace(rate=100_000.0, share=0.2)
    assert sending.rate(0.0) == 100_000.0
    sending.heard(link(bandwidth=100_000.0), 0.0)
    assert sending.rate(0.0) == 20_000.0
    assert sending.batch_bytes(0.0) == 5_000
    assert sending.rate(60.0) == 100_000.0  # nobody tells any more
    sending.heard(CALM, 60.0)
    assert sending.wait(60.0) == (0.0, Wait.NOTHING)
    sending.sent(50_000, 60.0)
    assert sending.wait(60.1) == (pytest.approx(0.4), Wait.RATE)
    assert sending.wait(60.5) == (0.0, Wait.NOTHING)


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        (link(up=False), Wait.LINK),
        (link(round_trip=0.030), Wait.ROUND_TRIP),
        (link(outstanding=1), Wait.REQUESTS),
        (link(round_trip=math.nan), Wait.NOTHING),
        (link(round_trip=0.015), Wait.NOTHING),
    ],
)
def test_it_stands_back_for_the_link(figures: LinkFigures, reason: Wait) -> None:
    sending = pace()
    sending.heard(CALM, 0.0)
    sending.heard(figures, 1.0)
    assert sending.wait(1.0)[1] is reason
    sending.heard(CALM, 2.0)
    assert sending.wait(2.0)[1] is Wait.NOTHING


def test_a_bridge_that_always_asks_delays_it_and_no_more() -> None:
    sending = pace(patience=5.0)
    sending.heard(CALM, 0.0)
    now, sent = 0.2, 0
    while now < 60.0:
        sending.heard(link(outstanding=1), now)
        if sending.wait(now)[0] == 0.0:
            sending.sent(100, now)
            sent += 1
        now += 0.2
    assert sent == pytest.approx(12, abs=1)
    for now in range(60, 200):  # one that is never settled was given up
        sending.heard(link(outstanding=1), float(now))
    assert sending.wait(199.0) == (0.0, Wait.NOTHING)


def test_failed_attempts_wait_ever_longer() -> None:
    sending = pace(retry_min=1.0, retry_max=8.0)
    pauses = []
    for _ in range(5):
        sending.failed(0.0)
        pauses.append(sending.wait(0.0)[0])
    assert pauses == [1.0, 2.0, 4.0, 8.0, 8.0]
    sending.succeeded()
    sending.failed(0.0)
    assert sending.wait(0.0) == (1.0, Wait.RETRY)


class Rig:
    """A store and an archive with a sender between them, on a clock of their own."""

    def __init__(self, folder: Path, policy: PrivacyPolicy) -> None:
        self.now = 0.0
        self.store = Store(folder / "spool", 4 * MIB)
        self.archive = Archive(folder / "archive")
        self.connection = Flaky(self.archive)
        self.sender = Sender(
            self.store,
            self.connection,
            "robot1",
            Boundary(policy),
            Tier.FOG,
            pace(rate=1e6),
            lambda: self.now,
        )

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += max(self.sender.step(), 0.001)

    def stamps(self) -> list[int]:
        return [record.stamp for record in self.archive.records()]


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    rigs = []

    def make(policy: PrivacyPolicy | None = None) -> Rig:
        rigs.append(Rig(tmp_path, policy or PrivacyPolicy()))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.store.close()
        rig.archive.close()


def error(code: grpc.StatusCode) -> Callable[[Any], None]:
    def fail(request: Any) -> None:
        raise RequestError(code, "because")

    return fail


def test_after_an_outage_everything_is_sent_once(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    rig.connection.fail = error(grpc.StatusCode.UNAVAILABLE)
    rig.store.add([telemetry(1), event(2), telemetry(3)])
    rig.run(60.0)
    assert "UNAVAILABLE: because" in rig.sender.state
    assert rig.connection.requests < 15  # ever more seldom
    rig.connection.fail = None
    rig.run(60.0)
    assert sorted(rig.stamps()) == [1, 2, 3]
    assert rig.store.status().waiting == {}


def test_a_lost_answer_leads_to_no_second_record(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    rig.store.add([event(1)])
    answers = rig.connection.infer

    def lose(request: Any, timeout: float) -> Any:
        answers(request, timeout)
        raise RequestError(grpc.StatusCode.DEADLINE_EXCEEDED, "lost")

    rig.connection.infer = lose  # type: ignore[method-assign]
    rig.run(1.0)
    assert rig.store.status().waiting == {3: 1}
    rig.connection.infer = answers  # type: ignore[method-assign]
    rig.run(60.0)
    assert rig.stamps() == [1] and rig.store.status().waiting == {}


def test_what_the_server_refuses_for_ever_is_set_aside_and_holds_up_nothing(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig()

    def poisoned(request: Any) -> None:
        if any(b"poison" in raw for raw in request.raw_input_contents):
            raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, "cannot read that")

    rig.connection.fail = poisoned
    rig.store.add(
        [event(i) if i != 7 else Entry("event/x", Priority.EVENT, 7, b"poison") for i in range(20)]
    )
    rig.run(120.0)
    assert sorted(rig.stamps()) == [i for i in range(20) if i != 7]
    reader = SpoolReader(rig.store.folder)
    ((chunk, reason),) = reader.refused()
    reader.close()
    assert (chunk.data, reason) == (b"poison", "INVALID_ARGUMENT: cannot read that")


def test_a_server_that_refuses_everything_is_not_believed(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    rig.connection.fail = error(grpc.StatusCode.INVALID_ARGUMENT)
    rig.store.add([event(number) for number in range(20)])
    rig.run(300.0)
    assert rig.store.status().refused == 0
    assert rig.connection.requests < 40
    rig.connection.fail = None
    rig.run(120.0)
    assert sorted(rig.stamps()) == list(range(20))


def test_what_makes_the_server_fail_lets_others_go_first(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()

    def poisoned(request: Any) -> None:
        if any(b"poison" in raw for raw in request.raw_input_contents):
            raise RequestError(grpc.StatusCode.UNAVAILABLE, "connection reset")

    rig.connection.fail = poisoned
    rig.store.add([Entry("event/x", Priority.EVENT, 0, b"poison"), *map(event, range(1, 10))])
    rig.run(300.0)
    assert sorted(rig.stamps()) == list(range(1, 10))
    assert rig.store.status().waiting == {3: 1}  # not given up


def test_the_boundary_is_asked_when_something_leaves(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(PrivacyPolicy(levels={Tier.FOG: Level.METADATA, Tier.CLOUD: Level.METADATA}))
    image = Entry("hard_example/frame", Priority.HARD_EXAMPLE, 1, b"pixels", Level.RAW)
    rig.store.add([image, event(2)])
    rig.run(10.0)
    assert rig.stamps() == [2]
    assert rig.store.status().refused == 1


def test_put_is_accepted_in_groups_and_forwarded(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    spool = Spool(rig.store, None)
    accepted: list[str | None] = []
    done = threading.Event()
    for number in range(50):
        spool.put(telemetry(number), accepted.append)
    spool.put(event(50), lambda record: done.set())  # in a hurry: nobody waits for the group's time
    assert done.wait(5.0)
    assert len(accepted) == 50 and None not in accepted
    rig.run(10.0)
    assert sorted(rig.stamps()) == list(range(51))
    spool.close()
    Store(rig.store.folder, 4 * MIB).close()  # the folder is free again
    rig.store = Store(rig.store.folder, 4 * MIB)


def test_twenty_kills_lose_nothing() -> None:
    figures = kills.measure(20, longest_life=0.2)
    assert figures["accepted"] > 0 and figures["in_archive"] > 0
    assert [figures[name] for name in ("lost", "duplicated", "altered", "refused")] == [0] * 4


def test_kills_of_a_spool_too_small_leave_only_what_was_told_dropped() -> None:
    figures = kills.measure_small(4)
    assert figures["dropped_and_told"] > 0
    assert [figures[name] for name in ("lost", "duplicated", "altered", "refused")] == [0] * 4


def test_power_loss_loses_nothing_and_would_without_its_syncs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    try:
        figures = power.measure(cuts=25, steps=120)
    except NotRecordableError as error:
        pytest.skip(str(error))
    names = ("set_aside", "lost", "unacknowledged", "duplicated", "altered")
    assert [figures[name] for name in names] == [0] * 5
    assert figures["records_checked"] > 500
    monkeypatch.setattr(database, "SYNCHRONOUS", "NORMAL")
    assert power.measure(cuts=10, steps=120)["lost"] > 0


def test_a_long_outage_stays_inside_its_bound_and_says_what_was_dropped() -> None:
    figures = outage.measure(hours=0.5, max_bytes=4 * MIB)
    assert figures["most_on_disk_mb"] <= 4.0
    kinds = figures["kinds"]
    assert kinds["telemetry/deadlines"]["dropped"] > 1000
    assert kinds["event/event"] == {"put": 36, "archived": 36, "dropped": 0, "told_dropped": 0}
    assert figures["unexplained"] == 0
