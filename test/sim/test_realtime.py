"""Simulated time follows the wall clock, and sensors measure the state they were given."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest

from edge_robot.sim.gl import mujoco
from edge_robot.sim.realtime import MAX_LAG, Capture, Pacer, RealTime, Sensor
from edge_robot.sim.scenario import Scenario
from edge_robot.sim.simulation import Simulation

PATIENCE = 20.0


class Wall:
    """A wall clock that moves only when somebody sleeps or time is taken."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept = 0

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept += 1
        self.now += seconds


def steps_until(pacer: Pacer, wall: Wall, end: float) -> int:
    count = 0
    while True:
        pacer.wait()
        if wall.now > end + 1e-9:
            return count
        count += 1


def test_pacer_keeps_the_pace() -> None:
    wall = Wall()
    assert steps_until(Pacer(0.005, lambda: wall.now, wall.sleep), wall, 101.0) == 200


def test_pacer_catches_up_a_short_delay_whole() -> None:
    wall = Wall()
    pacer = Pacer(0.005, lambda: wall.now, wall.sleep)
    wall.now += 0.04
    assert steps_until(pacer, wall, 101.0) == 200


def test_pacer_gives_up_a_long_delay_but_for_the_last_bit() -> None:
    wall = Wall()
    pacer = Pacer(0.005, lambda: wall.now, wall.sleep)
    wall.now += 0.5
    burst = 0
    while not wall.slept:
        pacer.wait()
        burst += 1
    assert burst == pytest.approx(MAX_LAG / 0.005, abs=2)
    assert steps_until(pacer, wall, 101.0) == pytest.approx(100, abs=2)


@pytest.fixture
def simulation(empty_hall: Scenario) -> Simulation:
    return Simulation(empty_hall)


def test_simulation_runs_in_real_time_and_sensors_see_their_moment(simulation: Simulation) -> None:
    seen: list[tuple[float, np.ndarray]] = []
    enough = threading.Event()

    def capture(data: mujoco.MjData, now: float) -> None:
        seen.append((now, data.qpos[:2].copy()))
        if len(seen) >= 8:
            enough.set()

    ticks: list[float] = []
    poses: dict[float, np.ndarray] = {}

    def on_tick() -> None:
        ticks.append(simulation.time)
        poses[round(simulation.time, 6)] = simulation.world.data.qpos[:2].copy()
        simulation.base.command(1.0, 0.0, simulation.time)

    sensor = Sensor("test", simulation.world, 0.1, 0.1, lambda: nullcontext(capture))
    runner = RealTime(simulation, [sensor], on_tick)
    began = time.perf_counter()
    runner.start()
    assert enough.wait(PATIENCE)
    wall = time.perf_counter() - began
    runner.check()
    factor = runner.real_time_factor
    runner.stop()
    stopped_at = simulation.time
    assert simulation.time <= wall + 0.5
    assert 0.0 < factor < 1.1
    assert np.diff(ticks) == pytest.approx(0.02)
    for now, position in seen:
        assert now % 0.1 == pytest.approx(0.0, abs=1e-6) or now % 0.1 == pytest.approx(0.1)
        assert (position == poses[round(now, 6)]).all()
    assert simulation.time == stopped_at


def test_a_pace_makes_simulated_time_pass_more_slowly(simulation: Simulation) -> None:
    runner = RealTime(simulation, [], lambda: None, pace=0.25)
    began = time.perf_counter()
    runner.start()
    while simulation.time < 0.5:
        assert time.perf_counter() - began < PATIENCE
        time.sleep(0.01)
    factor = runner.real_time_factor
    runner.stop()
    runner.check()
    assert time.perf_counter() - began >= 1.9
    assert factor < 0.26


def test_measurements_that_cannot_be_taken_in_time_are_left_out(simulation: Simulation) -> None:
    go_on = threading.Event()
    taken = threading.Semaphore(0)

    def capture(_data: mujoco.MjData, _now: float) -> None:
        taken.release()
        assert go_on.wait(PATIENCE)

    sensor = Sensor("slow", simulation.world, 0.1, 0.0, lambda: nullcontext(capture))
    sensor.open()
    sensor.offer(simulation.snapshot())
    assert taken.acquire(timeout=PATIENCE)
    sensor.offer(simulation.snapshot())
    sensor.offer(simulation.snapshot())
    go_on.set()
    sensor.close()
    assert sensor.skipped == 2
    assert sensor.failure is None


def test_failing_to_open_a_sensor_fails_the_start(simulation: Simulation) -> None:
    @contextmanager
    def broken() -> Iterator[Capture]:
        raise OSError("no such device")
        yield

    runner = RealTime(
        simulation, [Sensor("broken", simulation.world, 0.1, 0.0, broken)], lambda: None
    )
    with pytest.raises(OSError, match="no such device"):
        runner.start()
    runner.stop()


def test_a_sensor_that_breaks_is_reported_and_closed(simulation: Simulation) -> None:
    closed = threading.Event()

    def capture(_data: mujoco.MjData, _now: float) -> None:
        raise OSError("lens fell off")

    @contextmanager
    def fragile() -> Iterator[Capture]:
        try:
            yield capture
        finally:
            closed.set()

    runner = RealTime(
        simulation, [Sensor("fragile", simulation.world, 0.1, 0.0, fragile)], lambda: None
    )
    runner.start()
    assert closed.wait(PATIENCE)
    runner.stop()
    with pytest.raises(OSError, match="lens fell off"):
        runner.check()
