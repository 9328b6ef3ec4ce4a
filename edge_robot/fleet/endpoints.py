"""Where work may be sent: the backends a robot knows, and what each may see."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from edge_robot.errors import UserError


class Tier(Enum):
    """How far away a backend is; nearer ones are asked first."""

    FOG = "fog"
    CLOUD = "cloud"


class Level(IntEnum):
    """How much of the surroundings data reveals; a higher level reveals more."""

    METADATA = 0
    FEATURES = 1
    BLURRED_PEOPLE = 2
    CROPS = 3
    RAW_FRAMES = 4


@dataclass(frozen=True)
class Endpoint:
    """One backend.

    Attributes:
        name: What people call it; its address if empty.
        address: `host:port`.
        tier: How far away it is.
        may_see: The most revealing data that may be sent there.
        cost: Of one request, in whatever currency the budget is in.
        energy_per_byte: What the radio spends on the way there, J/byte.
        ca_file: Certificates of the authorities that may vouch for it (PEM); empty: no TLS.
        certificate_file: The robot's own certificate (PEM), for mutual TLS.
        key_file: Its key (PEM).
        token_file: File that holds the token sent with every call; empty: none.

    Raises:
        UserError: the address is no `host:port`, or a price is negative.
    """

    name: str
    address: str
    tier: Tier = Tier.FOG
    may_see: Level = Level.RAW_FRAMES
    cost: float = 0.0
    energy_per_byte: float = 0.0
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    token_file: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.address)
        host, _, port = self.address.rpartition(":")
        if not host or not port.isdigit():
            raise UserError(f"endpoint {self.name!r}: address {self.address!r} is no host:port")
        if self.cost < 0.0 or self.energy_per_byte < 0.0:
            raise UserError(f"endpoint {self.name!r}: cost and energy_per_byte must not be below 0")
