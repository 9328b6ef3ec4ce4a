"""The buffer that puts late measurements in their place."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from scene import Sensors

from edge_robot.fusion.config import TrackerConfig
from edge_robot.fusion.history import History, HistorySettings
from edge_robot.fusion.measurements import Measurement, Source
from edge_robot.fusion.refusal import Refusal
from edge_robot.fusion.tracker import Tracker

MS = 1_000_000


@dataclass(frozen=True)
class Item:
    stamp: int  # ms
    boxes: int = 1

    def __len__(self) -> int:
        return self.boxes


class Recorder:
    """A step whose states tell everything that was applied, in order; counts its runs."""

    runs = 0

    def __call__(self, before: str, since: int, item: Item) -> str:
        self.runs += 1
        return f"{before} {since // MS}-{item.stamp}"


def make(**values: float) -> tuple[History[Item, str], Recorder]:
    step = Recorder()
    defaults: dict[str, float] = {"replay_budget": 1e9} | values
    return History("", step, HistorySettings(**defaults)), step  # type: ignore[arg-type]


def add(history: History[Item, str], ms: int, boxes: int = 1) -> Refusal | None:
    order = (ms * MS, 0, "a")
    if refusal := history.refusal(order):
        return refusal
    if history.stamp is not None and order[0] > history.stamp:
        history.settle()
        history.forget(order[0])
    history.insert(order, Item(ms, boxes))
    return None


@examples(max_examples=60, deadline=None)
@given(
    stamps=st.lists(st.integers(0, 1000), min_size=1, max_size=40, unique=True),
    delays=st.lists(st.integers(0, 900), min_size=40, max_size=40),
)
def test_any_order_of_arrival_within_the_history_gives_the_same_state(
    stamps: list[int], delays: list[int]
) -> None:
    late, _ = make()
    arrivals = [(stamp + delay, stamp) for stamp, delay in zip(stamps, delays, strict=False)]
    for _, stamp in sorted(arrivals):
        assert add(late, stamp) is None
        assert add(late, stamp) is Refusal.DUPLICATE
    in_order, step = make()
    for stamp in sorted(stamps):
        add(in_order, stamp)
    in_order.settle()
    late.settle()
    assert late.state == in_order.state
    assert step.runs == len(stamps)
    assert in_order.replayed == 0


def test_many_late_ones_cost_one_replay() -> None:
    history, step = make()
    for k in range(20):
        add(history, 50 * k)
    history.settle()
    assert step.runs == 20
    for k in range(10):
        assert add(history, 801 + k) is None
    changed = history.settle()
    assert step.runs == 20 + 3 + 10
    assert history.replayed == 3
    assert [(before in after, before == after) for before, after in changed] == [(False, False)] * 3


def test_a_flood_of_late_ones_stops_at_the_budget_and_it_fills_again() -> None:
    history, step = make(replay_budget=40.0)
    for k in range(21):
        add(history, 50 * k)
    refused = 0
    for k in range(49):
        refused += add(history, 1 + k) is Refusal.REPLAY_BUDGET
        history.settle()
    assert refused == 47
    assert step.runs < 21 + 2 + 40
    history.settle()
    for k in range(21, 31):
        add(history, 50 * k)
    history.settle()
    assert add(history, 1351) is None  # half a second more has earned 20


def test_bounds_by_time_by_measurements_and_by_boxes() -> None:
    history, _ = make(history=0.5)
    for k in range(100):
        add(history, 100 * k)
    assert len(history) == 6
    assert add(history, 9399) is Refusal.TOO_LATE

    history, _ = make(history_measurements=10)
    for k in range(100):
        add(history, 10 * k)
    assert len(history) == 11
    assert add(history, 880) is Refusal.DUPLICATE
    assert add(history, 879) is Refusal.TOO_LATE

    history, _ = make(history_boxes=100)
    for k in range(100):
        add(history, 10 * k, boxes=30)
    assert len(history) == 4


def test_what_is_forgotten_is_final_and_complete() -> None:
    history, _ = make(history=0.2)
    final: list[str] = []
    for stamp in (0, 100, 50, 200, 150, 300, 400, 350, 1000):
        history.settle()
        final += [state for _, state in history.forget(stamp * MS)]
        history.insert((stamp * MS, 0, "a"), Item(stamp))
    stamps = [0, 50, 100, 150, 200, 300, 350, 400]
    assert final[-1] == "".join(f" {a}-{b}" for a, b in zip([0, *stamps], stamps, strict=False))
    assert len(final) == len(stamps)
    history.settle()
    assert history.stamp == 1000 * MS


@examples(max_examples=8, deadline=None)
@given(data=st.data())
def test_any_order_of_arrival_with_duplicates_of_any_sensor_is_as_in_order(
    data: st.DataObject,
) -> None:
    """Two lidars, a camera and the fleet; everything may come late, and some of it twice."""
    sensors = Sensors(data.draw(st.integers(0, 99)))
    taken: list[Measurement] = []
    for k in range(8):
        t = 0.1 * k
        walk = [(4.0, -1.5 + t), (6.0 - 0.5 * t, 1.0)]
        taken.append(sensors.lidar(t, walk))
        taken.append(replace(sensors.lidar(t + 0.04, walk), sensor="rear"))
        taken.append(sensors.camera(t + 0.03, walk))
        if k % 3 == 0:
            opinion = sensors.camera(t + 0.03, walk)
            taken.append(replace(opinion, source=Source.FLEET))
    taken.sort(key=lambda m: m.stamp)
    delays = data.draw(st.lists(st.floats(0.0, 0.8), min_size=len(taken), max_size=len(taken)))
    twice = data.draw(st.lists(st.integers(0, len(taken) - 1), max_size=5))
    arrival = np.array([m.stamp * 1e-9 + d for m, d in zip(taken, delays, strict=True)])
    config = TrackerConfig(history=HistorySettings(replay_budget=1e6))
    late, in_order = Tracker(config), Tracker(config)
    newest = 0
    for index in np.argsort(arrival):
        assert late.process(taken[index])
        assert (late.stamp or 0) >= newest
        newest = late.stamp or 0
        if index in twice:
            assert not late.process(taken[index])
    for measurement in taken:
        assert in_order.process(measurement)
    by_place = sorted(late.tracks(), key=lambda track: float(track.position[1]))
    expected = sorted(in_order.tracks(), key=lambda track: float(track.position[1]))
    for one, other in zip(by_place, expected, strict=True):
        np.testing.assert_allclose(one.position, other.position, atol=1e-9)
        np.testing.assert_allclose(one.velocity, other.velocity, atol=1e-9)
        np.testing.assert_allclose(one.covariance, other.covariance, atol=1e-9)
        assert one.existence == pytest.approx(other.existence, abs=1e-9)
        assert (one.class_name, one.sources) == (other.class_name, other.sources)
