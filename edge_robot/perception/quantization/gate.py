"""Whether an int8 model may take the place of its fp32 original: only if it earns it twice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """What int8 may cost and must bring.

    Attributes:
        max_loss: Mean average precision (0.5:0.95) it may lose, points of 100.
        max_latency_ratio: Its latency may be at most this share of fp32's. A little faster is not
            worth a second model to look after.
    """

    max_loss: float = 0.5
    max_latency_ratio: float = 0.9


@dataclass(frozen=True)
class Verdict:
    """What the gate decided.

    Attributes:
        arithmetic: `int8` or `fp32`.
        reasons: One sentence per bound, held or not.
    """

    arithmetic: str
    reasons: tuple[str, ...]

    @property
    def why(self) -> str:
        """The verdict in one line."""
        kept = "int8 is chosen" if self.arithmetic == "int8" else "fp32 is kept"
        return f"{kept}: {' and '.join(self.reasons)}"


def judge(loss: float, latency_ratio: float, bounds: Bounds) -> Verdict:
    """Decide between int8 and fp32.

    Args:
        loss: Mean average precision lost, points of 100, on images used for nothing else.
        latency_ratio: Latency of int8 over that of fp32, measured alternately on the machine and
            with the engine it is to run on.
        bounds: What is asked for. A figure that is not a number holds no bound.
    """
    accurate = loss <= bounds.max_loss
    fast = latency_ratio <= bounds.max_latency_ratio
    lost = f"{'loses' if loss >= 0 else 'gains'} {abs(loss):.2f} mAP"
    reasons = (
        f"it {lost} ({'at most' if accurate else 'more than'} {bounds.max_loss:g} lost is allowed)",
        f"it takes {latency_ratio:.2f} × the time of fp32 "
        f"({'within' if fast else 'over'} the bound of {bounds.max_latency_ratio:g})",
    )
    return Verdict("int8" if accurate and fast else "fp32", reasons)
