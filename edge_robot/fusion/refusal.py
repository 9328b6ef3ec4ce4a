"""Why a measurement, or a box of one, is refused: the reasons that are counted and reported."""

from __future__ import annotations

from enum import Enum


class Refusal(Enum):
    """A reason, as `/diagnostics` words it."""

    FUTURE = "stamp in the future"
    TOO_LATE = "too late"
    DUPLICATE = "duplicate"
    TOO_OFTEN = "too often"
    REPLAY_BUDGET = "replay budget spent"
    NO_TRANSFORM = "no transform"
    NO_CALIBRATION = "no calibration"
    MALFORMED = "malformed"
    POSE = "pose not finite"
    BOX = "unsound box"
    TOO_MANY_BOXES = "too many boxes"
    HEARSAY = "hearsay"
    DISTRUSTED = "distrusted"
