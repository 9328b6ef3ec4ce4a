"""Steps perception down, and up again, as budget, temperature and battery allow.

A ladder of operating points, the best first. Down at once, as far as asked for; up by one step, and
only after all has been well, with a margin, for a while. A step up that proves too much soon after
makes the next wait twice as long, so that a machine on the brink does not swing.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_robot.errors import UserError
from edge_robot.settings import Settings, setting


@dataclass(frozen=True)
class OperatingPoint:
    """One step of the ladder.

    Attributes:
        model: Name of the model.
        divisor: Every how many images one is looked at.
        looks: Further looks at each of these, as far as there is time for them.
    """

    model: str
    divisor: int
    looks: int = 0

    def __str__(self) -> str:
        rate = "every image" if self.divisor == 1 else f"every {_ordinal(self.divisor)} image"
        looks = f" and up to {self.looks} further look(s)" if self.looks else ""
        return f"{self.model} on {rate}{looks}"


@dataclass(frozen=True)
class AdaptationLimits(Settings):
    """When to step down, and when up again."""

    runs: int = setting(
        100,
        "runs whose 95th percentile is held against the budget, that of both halves to step down",
        ge=2,
        le=100000,
    )
    overrun: float = setting(
        1.5,
        "times the budget that they must exceed: to leave images out costs a whole period",
        ge=1.0,
        le=1000.0,
        live=True,
    )
    headroom: float = setting(
        0.7, "share of the budget below which a step up is tried", ge=0.01, le=1.0, live=True
    )
    recovery: float = setting(
        10.0, "how long all must be well before a step up, s", ge=0.01, le=3600.0, live=True
    )
    max_recovery: float = setting(
        300.0, "longest wait after steps up that proved too much, s", ge=0.01, le=86400.0, live=True
    )
    hot: float = setting(
        85.0,
        "temperature from which to step down, and again after each wait, °C",
        ge=-50.0,
        le=200.0,
        live=True,
    )
    cool: float = setting(
        75.0, "temperature below which to step up, °C", ge=-50.0, le=200.0, live=True
    )
    battery_low: float = setting(
        0.2,
        "charge, 0..1, below which to leave the first step while discharging",
        ge=0.0,
        le=1.0,
        live=True,
    )
    battery_critical: float = setting(
        0.1, "charge, 0..1, below which to go to the last step", ge=0.0, le=1.0, live=True
    )
    battery_margin: float = setting(
        0.05, "charge above these limits that ends their effect", ge=0.0, le=1.0, live=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (
            self.recovery <= self.max_recovery
            and self.cool < self.hot
            and self.battery_critical <= self.battery_low
        ):
            raise UserError(
                "adaptation needs recovery <= max_recovery, cool < hot and "
                "battery_critical <= battery_low"
            )


class Adaptation:
    """Chooses the step of the ladder.

    Args:
        costs: Time of one run of each step's model, s, the best step first; only their ratios
            count. A step that only lowers the rate has the cost of the one before; so has one that
            only leaves out further looks, which take time that is left over.
        budget: 95th percentile that runs must keep, s.
        limits: When to step.

    Attributes:
        limits: As given; may be replaced.
        step: The present step; 0 is the best.
        cause: Why it is this one, in words.
    """

    def __init__(
        self, costs: Sequence[float], budget: float, limits: AdaptationLimits | None = None
    ) -> None:
        self.limits = limits or AdaptationLimits()
        self._costs = costs
        self._budget = budget
        self._last = len(costs) - 1
        self.step = 0
        self.cause = "all well"
        self._runs: deque[float] = deque(maxlen=self.limits.runs)
        self._hot_steps = 0
        self._hot_since: float | None = None
        self._battery_steps = 0
        self._well_since: float | None = None
        self._wait = self.limits.recovery
        self._raised = -math.inf

    def ran(self, elapsed: float) -> None:
        """Take in the time of a run in full, s."""
        self._runs.append(elapsed)

    def temperature(self, celsius: float, now: float) -> None:
        """Take in a temperature, °C; one that is not finite is no news."""
        limits = self.limits
        if celsius >= limits.hot:
            if self._hot_since is None or now - self._hot_since >= limits.recovery:
                self._hot_since = now
                self._hot_steps = min(self.step + 1, self._last)
        elif celsius < limits.cool:
            self._hot_since, self._hot_steps = None, 0

    def battery(self, charge: float, charging: bool) -> None:
        """Take in the state of the battery.

        Args:
            charge: 0..1; anything else (NaN is usual where it is not measured) is no news.
            charging: Whether it is charging, or full.
        """
        limits = self.limits
        if charging:
            self._battery_steps = 0
        elif 0.0 <= charge <= 1.0:
            asked = self._last if charge < limits.battery_critical else 0
            asked = max(asked, min(1, self._last) if charge < limits.battery_low else 0)
            held = self._last if charge < limits.battery_critical + limits.battery_margin else 0
            held = max(
                held,
                min(1, self._last) if charge < limits.battery_low + limits.battery_margin else 0,
            )
            # Asked for at the limits; what was asked for is held up to the margin above them.
            self._battery_steps = max(asked, min(held, self._battery_steps))

    def update(self, now: float) -> bool:
        """Step if it is time to; return whether it did.

        Args:
            now: Time, s on a steady clock.
        """
        budget_step, budget_cause = self._budget_wish()
        wishes = (
            (budget_step, budget_cause),
            (self._hot_steps, f"temperature above {self.limits.hot:g} °C"),
            (self._battery_steps, "battery low"),
        )
        wanted, cause = max(wishes, key=lambda wish: wish[0])
        if wanted > self.step:
            if budget_step == wanted:
                self._lengthen_wait(now)
            return self._go(wanted, cause)
        if wanted == self.step:
            self._well_since = None
            return False
        if self._well_since is None:
            self._well_since = now
        if now - self._well_since < self._wait:
            return False
        self._raised = now
        return self._go(self.step - 1, f"all well for {self._wait:.0f} s")

    def _budget_wish(self) -> tuple[int, str]:
        """Return the step that run times ask for, and why."""
        if len(self._runs) < self.limits.runs:
            return self.step, "too few runs to judge by"
        runs, half = list(self._runs), self.limits.runs // 2
        # One burst, as when everything starts, lies in one half: it has passed, or will have.
        lasting = float(min(np.percentile(runs[:half], 95), np.percentile(runs[half:], 95)))
        if lasting > self.limits.overrun * self._budget and self.step < self._last:
            return self.step + 1, (
                f"95 % of runs take up to {lasting * 1e3:.0f} ms of {self._budget * 1e3:.0f} ms"
            )
        if self.step > 0:
            above = (
                float(np.percentile(runs, 95)) * self._costs[self.step - 1] / self._costs[self.step]
            )
            if above < self.limits.headroom * self._budget:
                return self.step - 1, ""
        return self.step, ""

    def _lengthen_wait(self, now: float) -> None:
        limits = self.limits
        soon = now - self._raised < 2.0 * self._wait
        self._wait = min(2.0 * self._wait, limits.max_recovery) if soon else limits.recovery

    def _go(self, step: int, cause: str) -> bool:
        self.step, self.cause = step, cause
        self._runs.clear()
        self._well_since = None
        return True


def _ordinal(number: int) -> str:
    return {2: "2nd", 3: "3rd"}.get(number, f"{number}th")
