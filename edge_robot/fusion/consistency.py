"""Whether the filter is as sure as it may be, and which sensor contradicts the others.

The squared innovation in units of its own covariance (NIS), and with ground truth the squared error
in units of the track's covariance (NEES), are chi-squared distributed if the filter is honest: on
average they equal their degrees of freedom (Bar-Shalom, Li, Kirubarajan: Estimation with
Applications to Tracking and Navigation, 5.4).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from edge_robot.fusion.decisions import Decisions
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.measurements import TRUSTED, Treatment
from edge_robot.settings import Settings, setting


def mean_bounds(degrees: int) -> tuple[float, float]:
    """Return between what an honest filter's mean NIS or NEES per degree of freedom lies.

    There it lies in 95 of 100 cases, the values being independent.

    Args:
        degrees: Degrees of freedom of all values of the mean together, at least 1.
    """
    low, high = chdtri(degrees, [0.975, 0.025]) / degrees
    return float(low), float(high)


@dataclass(frozen=True)
class ConsistencySettings(Settings):
    """When a sensor is taken to contradict the others."""

    consistency_window: float = setting(
        5.0, "time over which a sensor's innovations are averaged, s", ge=0.1, le=600.0
    )
    consistency_boxes: int = setting(
        40, "boxes of tracks that a sensor must have had in that time to be judged", ge=1, le=100000
    )
    disagreement: float = setting(
        2.5,
        "mean squared innovation per degree of freedom (1 is honest) beyond which the sensor that "
        "has the largest is weighed down by as much, as long as another has a smaller one",
        ge=1.0,
        le=1000000.0,
    )
    max_noise_scale: float = setting(
        100.0, "how far its variance is raised at most", ge=1.0, le=1000000000.0
    )
    exclude_disagreeing: bool = setting(
        False, "leave a sensor that disagrees out until it agrees again, rather than weigh it down"
    )


@dataclass(frozen=True)
class Consistency:
    """How well one sensor's measurements go with the tracks.

    Attributes:
        boxes: Boxes of tracks in the window.
        mean_nis: Mean NIS per degree of freedom, by the sensor's nominal noise; NaN without boxes.
        bounds: Between what it lies in 95 of 100 cases if all noise is as configured.
        treatment: What is done about it, to measurements taken from now on.
    """

    boxes: int
    mean_nis: float
    bounds: tuple[float, float]
    treatment: Treatment

    @property
    def disagrees(self) -> bool:
        """Whether the sensor is weighed down or left out."""
        return self.treatment != TRUSTED


@dataclass
class _Window:
    """One sensor's innovations of the last seconds, and what was decided of it."""

    decisions: Decisions[Treatment]
    sums: deque[tuple[int, float, int, int]] = field(default_factory=deque)
    """Stamp, summed NIS, degrees of freedom and boxes of each measurement."""

    @property
    def degrees(self) -> int:
        return sum(entry[2] for entry in self.sums)

    @property
    def boxes(self) -> int:
        return sum(entry[3] for entry in self.sums)

    @property
    def mean(self) -> float:
        degrees = self.degrees
        return sum(entry[1] for entry in self.sums) / degrees if degrees else np.nan


class ConsistencyMonitor:
    """Watches every sensor's innovations, and weighs down the one that contradicts the others.

    Two sensors that contradict each other both have large innovations, more so the one that is
    farther off: so only the worst one is weighed down, and after that no other for a window's time.
    A sensor alone is never: what it disagrees with is the motion model.

    It is shown the measurements in order of capture, each when nothing can come before it any more,
    and what it decides holds for measurements taken `delay` after those: so it does not depend on
    when measurements arrive.

    Args:
        settings: The bounds.
        delay: How long after its capture a measurement is judged, s.
    """

    def __init__(self, settings: ConsistencySettings, delay: float) -> None:
        self._settings = settings
        self._delay = int(delay * 1e9)
        self._length = int(settings.consistency_window * 1e9)
        self._windows: dict[str, _Window] = {}
        self._last_verdict: int | None = None

    def judge(self, sensor: str, stamp: int, nis: Array, degrees: NDArray[np.int64]) -> None:
        """Take note of a measurement's innovations.

        Args:
            sensor: Its name.
            stamp: Its capture time, ns, no earlier than that of the last one judged.
            nis: (M,) NIS of each box under the nominal noise; ignored where `degrees` is 0.
            degrees: (M,).
        """
        if sensor not in self._windows:
            self._windows[sensor] = _Window(Decisions(TRUSTED, self._delay))
        window = self._windows[sensor]
        used = degrees > 0
        if used.any():
            window.sums.append((stamp, float(nis[used].sum()), int(degrees.sum()), int(used.sum())))
        for other in self._windows.values():
            while other.sums and other.sums[0][0] < stamp - self._length:
                other.sums.popleft()
        self._decide(stamp)

    def treatment(self, sensor: str, stamp: int) -> Treatment:
        """Return how a measurement that a sensor took at `stamp` (ns) is to be treated."""
        window = self._windows.get(sensor)
        return window.decisions.at(stamp) if window else TRUSTED

    def reports(self) -> dict[str, Consistency]:
        """Return how each sensor stands, by name."""
        found = {}
        for sensor, window in self._windows.items():
            bounds = mean_bounds(window.degrees) if window.sums else (np.nan, np.nan)
            found[sensor] = Consistency(window.boxes, window.mean, bounds, window.decisions.newest)
        return found

    def _decide(self, stamp: int) -> None:
        if len(self._windows) < 2:
            return
        settings = self._settings
        judged = {
            sensor: window.mean
            for sensor, window in self._windows.items()
            if window.boxes >= settings.consistency_boxes
        }
        trusted = {}
        for sensor, mean in judged.items():
            decisions = self._windows[sensor].decisions
            if decisions.newest == TRUSTED:
                trusted[sensor] = mean
            elif mean < (1.0 + settings.disagreement) / 2.0:  # half-way back: no flicker
                decisions.decide(stamp, TRUSTED)
            else:
                decisions.decide(stamp, self._weighed_down(mean))
        if self._last_verdict is not None and stamp - self._last_verdict < self._length:
            return
        if len(trusted) < 2:
            return
        worst = max(trusted, key=trusted.__getitem__)
        if trusted[worst] > settings.disagreement:
            self._last_verdict = stamp
            self._windows[worst].decisions.decide(stamp, self._weighed_down(trusted[worst]))

    def _weighed_down(self, mean: float) -> Treatment:
        # In steps, so that few decisions need to be remembered.
        scale = round(min(max(mean, 1.0), self._settings.max_noise_scale), 1)
        return Treatment(noise_scale=scale, excluded=self._settings.exclude_disagreeing)
