"""Decides which camera frames are worth a second opinion by the fleet.

By what the answer would add, against the frames of late, and by the budgets: the share of frames
that they sustain is spent on the best. What may leave at all is not asked here, but by
`edge_robot.fleet.boundary`, before.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.detections import Detections
from edge_robot.perception.tiering.consistency import compare
from edge_robot.perception.tiering.expected import Expected
from edge_robot.perception.tiering.gain import ExpectedGain
from edge_robot.perception.tiering.novelty import RecentViews, view_of
from edge_robot.perception.tiering.selection import Selection
from edge_robot.settings import Settings, setting
from edge_robot.token_bucket import TokenBucket


class Verdict(Enum):
    """Why a frame is offered, or not."""

    WORTH_IT = "worth it"
    TO_SPARE = "budget to spare"
    UNSEEN = "onboard detector silent"
    NOT_WORTH_IT = "others are worth more"
    SKIPPED = "not looked at on board"
    FRAMES = "frame budget"
    BYTES = "byte budget"
    ENERGY = "energy budget"


@dataclass(frozen=True)
class Decision:
    """What becomes of a frame.

    Attributes:
        verdict: Why.
        worth: What a second opinion would add, counted in frames of typical gain; NaN where that
            was not asked.
    """

    verdict: Verdict
    worth: float = float("nan")

    @property
    def offered(self) -> bool:
        """Whether the frame is worth uploading."""
        return self.verdict in (Verdict.WORTH_IT, Verdict.TO_SPARE, Verdict.UNSEEN)


@dataclass(frozen=True)
class TierSettings(Settings):
    """How much is spent on second opinions, and what counts besides the onboard detections."""

    rate: float = setting(4.0, "frames offered a second, on average, Hz", ge=0.001, le=1000.0)
    byte_rate: float = setting(
        400e3, "bytes of images sent a second, on average; 0: no limit", ge=0.0
    )
    byte_burst: float = setting(
        8e6, "bytes saved up for a moment that needs them; at least one image uncompressed", ge=1.0
    )
    frame_energy: float = setting(0.5, "energy one upload takes, radio and encoding, J", ge=0.0001)
    power: float = setting(
        0.0, "energy spent on uploads a second, on average, W; 0: no limit", ge=0.0
    )
    surprise_weight: float = setting(
        0.5,
        "worth of a contradiction between detections and tracks, typical frames",
        ge=0.0,
        le=1e3,
    )
    novelty_weight: float = setting(
        1.0, "worth that a view loses when it has just been sent, typical frames", ge=0.0, le=1e3
    )
    view_memory: float = setting(
        3.0, "time after which a view is news again, s", ge=0.001, le=86400.0
    )


@dataclass
class TierPolicy:
    """Decides frame by frame; remembers what it decided, and what was sent.

    Not thread-safe: the owner's lock covers `decide` and `settle`.

    Args:
        settings: Budgets and weights.

    Attributes:
        counts: Frames by verdict.
    """

    settings: TierSettings = field(default_factory=TierSettings)

    def __post_init__(self) -> None:
        s = self.settings
        self.counts: Counter[str] = Counter()
        self._frames = TokenBucket(s.rate, max(2.0, s.rate))
        self._bytes = TokenBucket(s.byte_rate, s.byte_burst) if s.byte_rate else None
        self._energy = (
            TokenBucket(s.power, max(s.frame_energy, 10.0 * s.power)) if s.power else None
        )
        self._gain = ExpectedGain()
        self._selection = Selection()
        self._views = RecentViews(s.view_memory, scale=0.2)
        self._mean_bytes = 0.0
        self._period = 1.0
        self._last = float("-inf")

    def decide(
        self,
        image: NDArray[np.uint8],
        found: Detections | None,
        expected: Expected | None,
        now: float,
        *,
        silent: bool = False,
    ) -> Decision:
        """Decide about one frame. One that is offered must be settled once its fate is known.

        Args:
            image: (H, W, 3) uint8 BGR.
            found: What the onboard detector found in it; None where it has not looked.
            expected: Where the tracks let expect objects; None where that is not known.
            now: s, on a clock that never goes back.
            silent: The onboard detector has not looked at any frame of late: then every frame is
                worth a second opinion, for nobody else looks. Otherwise a frame it left out is
                not: it looks at another in a moment.
        """
        decision = self._decide(image, found, expected, now, silent)
        self.counts[decision.verdict.value] += 1
        return decision

    def worth(
        self,
        image: NDArray[np.uint8],
        found: Detections,
        expected: Expected | None,
        now: float,
    ) -> float:
        """Return what a second opinion on a frame would add; see `Decision.worth`."""
        worth = self._gain.of(found)
        if expected is not None:
            worth += self.settings.surprise_weight * compare(found, expected).total
        stale = 1.0 - self._views.novelty(view_of(image), now)
        return worth - self.settings.novelty_weight * stale

    def settle(self, image: NDArray[np.uint8], sent_bytes: int, now: float) -> None:
        """Account for an offered frame: give back what was set aside and not spent.

        Args:
            image: The frame, as it was decided about.
            sent_bytes: Size of what was sent; 0 if nothing was.
            now: s, as in `decide`.
        """
        if self._bytes is not None:
            self._bytes.give_back(image.size - sent_bytes)
        if sent_bytes:
            self._views.sent(view_of(image), now)
            self._mean_bytes += (0.2 if self._mean_bytes else 1.0) * (sent_bytes - self._mean_bytes)
            return
        self._frames.give_back(1.0)
        if self._energy is not None:
            self._energy.give_back(self.settings.frame_energy)

    def _decide(
        self,
        image: NDArray[np.uint8],
        found: Detections | None,
        expected: Expected | None,
        now: float,
        silent: bool,
    ) -> Decision:
        self._note_time(now)
        if found is None:
            if not silent:
                return Decision(Verdict.SKIPPED)
            return self._afford(image, now) or Decision(Verdict.UNSEEN)
        worth = self.worth(image, found, expected, now)
        self._gain.learn(found)
        verdict = Verdict.WORTH_IT
        if not self._selection.choose(worth, self.share(now)):
            if self._fill(now) < 1.0:
                return Decision(Verdict.NOT_WORTH_IT, worth)
            verdict = Verdict.TO_SPARE  # a full budget saves nothing more for a better frame
        refused = self._afford(image, now)
        return Decision(refused.verdict if refused else verdict, worth)

    def share(self, now: float) -> float:
        """Return the share of frames to spend on: what the budgets sustain at the frames' rate.

        More where budget was saved up, less where it runs low, so that it is spent, and lasts.
        """
        sustained = self.settings.rate
        if self._bytes is not None and self._mean_bytes:
            sustained = min(sustained, self._bytes.rate / self._mean_bytes)
        if self._energy is not None:
            sustained = min(sustained, self._energy.rate / self.settings.frame_energy)
        return min(1.0, sustained * self._period * (0.5 + self._fill(now)))

    def _fill(self, now: float) -> float:
        """Return how full the emptiest budget is, 0..1."""
        budgets = (self._frames, self._bytes, self._energy)
        return min(item.left(now) / item.burst for item in budgets if item is not None)

    def _afford(self, image: NDArray[np.uint8], now: float) -> Decision | None:
        """Set aside what the frame may cost; return the refusal if a budget cannot bear it.

        The size of a JPEG is known only when it is made, elsewhere; it is less than the pixels'.
        """
        if not self._frames.take(1.0, now):
            return Decision(Verdict.FRAMES)
        energy = self.settings.frame_energy
        if self._energy is not None and not self._energy.take(energy, now):
            self._frames.give_back(1.0)
            return Decision(Verdict.ENERGY)
        if self._bytes is not None and not self._bytes.take(float(image.size), now):
            self._frames.give_back(1.0)
            if self._energy is not None:
                self._energy.give_back(energy)
            return Decision(Verdict.BYTES)
        return None

    def _note_time(self, now: float) -> None:
        elapsed = now - self._last
        self._last = now
        if 0.0 < elapsed < 2.0:  # a longer pause is no frame rate
            self._period += 0.1 * (elapsed - self._period)
