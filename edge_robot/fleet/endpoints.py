"""Where work may be sent: the backends a robot knows."""

from __future__ import annotations

from dataclasses import dataclass

from edge_robot.errors import UserError
from edge_robot.fleet.credentials import PLAIN, Credentials
from edge_robot.fleet.privacy_policy import Tier


@dataclass(frozen=True, eq=False)  # each is itself: comparing all fields cost every request
class Endpoint:
    """One backend.

    Attributes:
        name: What people call it; its address if empty.
        address: `host:port`.
        tier: Who runs it: says what it may see, and nearer ones are asked first.
        cost: Of one request, in whatever currency the budget is in.
        energy_per_byte: What the radio spends on the way there, J/byte.
        credentials: TLS files and token.

    Raises:
        UserError: the address is no `host:port`, or a price is negative.
    """

    name: str
    address: str
    tier: Tier = Tier.FOG
    cost: float = 0.0
    energy_per_byte: float = 0.0
    credentials: Credentials = PLAIN

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.address)
        host, _, port = self.address.rpartition(":")
        if not host or not port.isdigit():
            raise UserError(f"endpoint {self.name!r}: address {self.address!r} is no host:port")
        if self.cost < 0.0 or self.energy_per_byte < 0.0:
            raise UserError(f"endpoint {self.name!r}: cost and energy_per_byte must not be below 0")
