"""How small an image must be made for its answer to come in time, and what that costs.

Pure. A smaller file comes sooner, but a model sees less in it: what it still sees is measured
(`CANDIDATES`), how soon it comes is estimated (`edge_robot.fleet.estimation`), and the encoding
chosen is the one from which most is to be expected, worth times chance.
"""

from __future__ import annotations

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
    Candidate(Encoding(80, 1.0), 0.70, 0.99),
    Candidate(Encoding(90, 0.75), 0.54, 0.962),
    Candidate(Encoding(65, 1.0), 0.49, 0.960),
    Candidate(Encoding(65, 0.75), 0.26, 0.959),
    Candidate(Encoding(50, 0.75), 0.21, 0.92),
    Candidate(Encoding(35, 0.75), 0.17, 0.91),
    Candidate(Encoding(65, 0.5), 0.14, 0.88),
    Candidate(Encoding(50, 0.5), 0.11, 0.80),
    Candidate(Encoding(35, 0.5), 0.090, 0.79),
    Candidate(Encoding(65, 0.35), 0.074, 0.72),
    Candidate(Encoding(50, 0.35), 0.061, 0.66),
    Candidate(Encoding(80, 0.25), 0.059, 0.62),
)
"""Of 30 encodings those that no smaller one beats, down to a worth of 0.6. Worth is the mAP (IoU
0.50 to 0.95) of YOLOX-nano on 100 images of COCO train2017, about 640 x 440 px, each encoded,
decoded and fitted to the network's 416 x 416; `edge-robot bench encodings`, 2026-11-27. A network
of more pixels loses more by scale."""

_ADVANTAGE = 0.05
"""How much more, of 1, another encoding must promise than the one in use (hysteresis)."""


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
    min_chance: float,
) -> Encoding | None:
    """Return the encoding from which most is to be expected; None where none comes in time.

    Args:
        estimate: Of the connection.
        budget: Time left from sending to the answer, s.
        now: The present time, s.
        best_size: Bytes that a picture like this takes in the encoding `BEST`. Whoever has encoded
            one divides its size by `size_of` its encoding.
        current: The encoding in use, which is kept unless another promises clearly more; None if
            nothing is being sent.
        min_chance: Least chance to come in time, 0..1.
    """
    chosen, most = None, 0.0
    for item in CANDIDATES:
        size = max(1, round(item.size * best_size))
        chance = estimate.chance_in_time(size, budget, now)
        promise = item.worth * chance + (_ADVANTAGE if item.encoding == current else 0.0)
        if chance >= min_chance and promise > most:
            chosen, most = item.encoding, promise
    return chosen
