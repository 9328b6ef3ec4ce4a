"""What all tasks together may spend on the fleet: bytes, energy, money. Pure.

Which frames are worth their share, the tier policy decides with budgets of its own; here the radio
and the purse are protected, whoever asks, second requests included.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_robot.token_bucket import TokenBucket


@dataclass(frozen=True)
class Budgets:
    """What may be spent; a rate of 0 is no limit.

    Attributes:
        byte_rate: Bytes a second, on average.
        byte_burst: Bytes saved up.
        power: Energy a second, on average, W.
        energy_burst: Energy saved up, J.
        spending_rate: Money a second, on average.
        money_burst: Money saved up.
    """

    byte_rate: float = 0.0
    byte_burst: float = 8e6
    power: float = 0.0
    energy_burst: float = 10.0
    spending_rate: float = 0.0
    money_burst: float = 1.0


@dataclass(slots=True)  # not frozen: that costs each piece of work
class Price:
    """What one request costs.

    Attributes:
        size: bytes.
        energy: J.
        money: In the currency of the budget.
    """

    size: float
    energy: float
    money: float


class Admission:
    """Keeps the budgets.

    Args:
        budgets: What may be spent.
    """

    def __init__(self, budgets: Budgets) -> None:
        b = budgets
        self._buckets = {
            "bytes": TokenBucket(b.byte_rate, b.byte_burst) if b.byte_rate else None,
            "energy": TokenBucket(b.power, b.energy_burst) if b.power else None,
            "money": TokenBucket(b.spending_rate, b.money_burst) if b.spending_rate else None,
        }

        self._limited = any(self._buckets.values())

    def lacks(self, price: Price, now: float) -> str:
        """Return which budget cannot bear a price now; empty if all can."""
        if not self._limited:
            return ""
        for name, amount in _amounts(price):
            bucket = self._buckets[name]
            if bucket is not None and amount > bucket.left(now):
                return f"{name}: {amount:.3g} needed, {bucket.left(now):.3g} left"
        return ""

    def spend(self, price: Price, now: float) -> str:
        """Spend a price if all budgets can bear it; return which cannot, empty if all could."""
        lacking = self.lacks(price, now)
        if self._limited and not lacking:
            for name, amount in _amounts(price):
                bucket = self._buckets[name]
                if bucket is not None:
                    bucket.take(amount, now)
        return lacking


def _amounts(price: Price) -> tuple[tuple[str, float], ...]:
    return ("bytes", price.size), ("energy", price.energy), ("money", price.money)
