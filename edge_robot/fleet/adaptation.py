"""How small an image must be made for its answer to come in time, and what that costs.

Pure. A smaller file comes sooner, but a model sees less in it: what it still sees is measured
(`CANDIDATES`), how soon it comes is estimated (`edge_robot.fleet.estimation`), and the encoding
chosen is the one from which most is to be expected, worth times chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_robot.fleet.estimation import LinkEstimate


@dataclass(frozen=True)
class Encoding:
    """How an image is sent.

    Attributes:
        quality: Of the JPEG file, 1..100.
        scale: Of width and height, in (0, 1].
    """

    quality: int = 80
    scale: float = 1.0


@dataclass(frozen=True)
class Candidate:
    """One encoding with its size and its worth, both shares of those of `BEST`."""

    encoding: Encoding
    size: float
    worth: float


BEST = Encoding(90, 1.0)

CANDIDATES = (
    Candidate(BEST, 1.0, 1.0),
    Candidate(Encoding(80, 0.75), 0.4, 0.99),
    Candidate(Encoding(50, 0.5), 0.12, 0.9),
)


def size_of(encoding: Encoding) -> float:
    """Return the size of a file in an encoding of `CANDIDATES`, as a share of that in `BEST`."""
    return next(item.size for item in CANDIDATES if item.encoding == encoding)


def encoding_for(
    estimate: LinkEstimate,
    budget: float,
    now: float,
    best_size: float,
    current: Encoding | None,
    *,
    least: float = 0.5,
    advantage: float = 0.05,
    candidates: Sequence[Candidate] = CANDIDATES,
) -> Encoding | None:
    """Return the encoding from which most is to be expected; None where it does not pay.

    Args:
        estimate: Of the connection.
        budget: Time left from sending to the answer, s.
        now: The present time, s.
        best_size: Bytes that a picture like this takes in the encoding `BEST`. Whoever has encoded
            one divides its size by `size_of` its encoding.
        current: The encoding in use, which is kept unless another promises clearly more; None if
            nothing is being sent.
        least: Worth times chance below which sending does not pay, 0..1.
        advantage: How much more another encoding, or beginning at all, must promise (hysteresis).
        candidates: What there is to choose from.
    """

    def promise(item: Candidate) -> float:
        size = max(1, round(item.size * best_size))
        chance = estimate.chance_in_time(size, budget, now)
        return item.worth * chance + (advantage if item.encoding == current else 0.0)

    best = max(candidates, key=promise)
    threshold = least if current is not None else least + advantage
    return best.encoding if promise(best) >= threshold else None
