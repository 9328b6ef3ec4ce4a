"""Runs a simulation in time with the wall clock, its sensors in threads of their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from edge_robot.sim.gl import mujoco
from edge_robot.sim.simulation import Simulation, Snapshot
from edge_robot.sim.world import TIME_STEP, World

MAX_LAG = 0.05
"""How late a step may be for the next ones to make up for it, wall clock, s; more is given up."""

Capture = Callable[[mujoco.MjData, float], None]
"""Takes one measurement of a state, at a simulated time in s."""

Setup = Callable[[], AbstractContextManager[Capture]]
"""Opens a sensor in its thread; the context closes it there."""


class Sensor(threading.Thread):
    """A sensor that measures at fixed simulated times, each time on a copy of the state.

    A measurement that is due while the one before is still being taken is left out.

    Args:
        name: For messages.
        world: The world.
        period: Simulated time from one measurement to the next, s.
        phase: Simulated time of the first measurement, s; spreads the work of several sensors.
        setup: Opens it.

    Attributes:
        period: As given; from the next measurement on, when changed.
        skipped: Measurements left out so far.
        failure: The exception that ended the thread, or None.
    """

    def __init__(
        self,
        name: str,
        world: World,
        period: float,
        phase: float,
        setup: Setup,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.skipped = 0
        self.failure: Exception | None = None
        self._world = world
        self.period = period
        self._setup = setup
        self._due = phase
        self._offered: Snapshot | None = None
        self._busy = False
        self._stopping = False
        self._ready = threading.Event()
        self._wake = threading.Condition()

    def open(self) -> None:
        """Start the thread and wait until the sensor is set up.

        Raises:
            Exception: what `setup` raised.
        """
        self.start()
        self._ready.wait()
        if self.failure is not None:
            raise self.failure

    def is_due(self, now: float) -> bool:
        """Tell, once for each measurement, that it is time for it."""
        if now < self._due - 1e-6:
            return False
        self._due += self.period
        return True

    def offer(self, snapshot: Snapshot) -> None:
        """Hand over the state to measure."""
        with self._wake:
            if self._busy:
                self.skipped += 1
                return
            self._busy = True
            self._offered = snapshot
            self._wake.notify()

    def close(self) -> None:
        """End the thread after the measurement under way."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self.is_alive():
            self.join()

    def run(self) -> None:
        """Measure until closed."""
        try:
            data = mujoco.MjData(self._world.model)
            with self._setup() as capture:
                self._ready.set()
                while (snapshot := self._next()) is not None:
                    snapshot.restore(self._world.model, data)
                    capture(data, snapshot.time)
        except Exception as error:  # handed to the thread that asks for it
            self.failure = error
        finally:
            self._ready.set()

    def _next(self) -> Snapshot | None:
        with self._wake:
            self._busy = self._offered is not None
            while self._offered is None and not self._stopping:
                self._wake.wait()
            snapshot, self._offered = self._offered, None
            return None if self._stopping else snapshot


class Pacer:
    """Tells when the next step is due, so that simulated time follows the wall clock.

    Args:
        step: Wall-clock time from one step to the next, s.
        clock: Returns wall-clock time, s.
        sleep: Waits for a time, s.
    """

    def __init__(
        self,
        step: float,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._step = step
        self._clock = clock
        self._sleep = sleep
        self._due = clock()

    def wait(self) -> None:
        """Return when the next step is due: at once while behind."""
        self._due += self._step
        ahead = self._due - self._clock()
        if ahead > 0:
            self._sleep(ahead)
        elif ahead < -MAX_LAG:
            self._due = self._clock() - MAX_LAG


class RealTime:
    """Steps a simulation in a thread, in time with the wall clock.

    Args:
        simulation: The simulation.
        sensors: Sensors to be given the state whenever they are due.
        on_tick: Called in the stepping thread after every `simulation.TICK`.
        pace: Simulated seconds in one of the wall clock.
    """

    def __init__(
        self,
        simulation: Simulation,
        sensors: Sequence[Sensor],
        on_tick: Callable[[], None],
        pace: float = 1.0,
    ) -> None:
        self._simulation = simulation
        self._sensors = sensors
        self._on_tick = on_tick
        self._pace = pace
        self._stopping = False
        self._failure: Exception | None = None
        self._started = self._begun = 0.0
        self._thread = threading.Thread(target=self._run, name="physics", daemon=True)

    @property
    def real_time_factor(self) -> float:
        """Simulated over wall time since the start."""
        wall = time.perf_counter() - self._started
        return (self._simulation.time - self._begun) / wall if wall > 0 else 1.0

    def start(self) -> None:
        """Set up the sensors, then begin to step.

        Raises:
            Exception: what setting up a sensor raised.
        """
        try:
            for sensor in self._sensors:
                sensor.open()
        except BaseException:
            self.stop()
            raise
        self._started, self._begun = time.perf_counter(), self._simulation.time
        self._thread.start()

    def check(self) -> None:
        """Raise what ended a thread, if something did."""
        failures = [self._failure] + [sensor.failure for sensor in self._sensors]
        for failure in failures:
            if failure is not None:
                raise failure

    def stop(self) -> None:
        """End all threads."""
        self._stopping = True
        if self._thread.is_alive():
            self._thread.join()
        for sensor in self._sensors:
            sensor.close()

    def _run(self) -> None:
        try:
            pacer = Pacer(TIME_STEP / self._pace)
            while not self._stopping:
                pacer.wait()
                tick = self._simulation.step()
                self._serve_sensors()
                if tick:
                    self._on_tick()
        except Exception as error:  # handed to the thread that calls check()
            self._failure = error

    def _serve_sensors(self) -> None:
        due = [sensor for sensor in self._sensors if sensor.is_due(self._simulation.time)]
        if due:
            snapshot = self._simulation.snapshot()
            for sensor in due:
                sensor.offer(snapshot)
