"""Parameters of the nodes that speak to the fleet: backends, times, budgets, privacy policy."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

from edge_robot.errors import UserError
from edge_robot.fleet.admission import Budgets
from edge_robot.fleet.credentials import Credentials
from edge_robot.fleet.endpoints import Endpoint
from edge_robot.fleet.link import LinkTiming
from edge_robot.fleet.offload import Settings as EngineSettings
from edge_robot.fleet.privacy_policy import PrivacyPolicy, Tier, read_policy
from edge_robot.nodes.managed import ManagedNode
from edge_robot.settings import Settings, setting
from edge_robot.share import share_dir


@dataclass(frozen=True)
class BridgeSettings(Settings):
    """What is asked of the fleet, and when its answers are of use."""

    robot: str = setting("robot", "who asks, for the backends' quotas and fair shares")
    model: str = setting("warehouse_fleet", "name of the detector at the backends")
    planner: str = setting("planner", "name of the global planner at the backends")
    deadline: float = setting(
        0.25, "age of an image by which an answer is wanted, s", ge=0.001, le=60.0, live=True
    )
    expiry: float = setting(
        0.75, "age of an image after which an answer is useless, s", ge=0.001, le=60.0, live=True
    )
    min_score: float = setting(0.3, "lowest score published", ge=0.0, le=1.0, live=True)
    plan_deadline: float = setting(
        2.0, "time in which a path is wanted, s", ge=0.01, le=600.0, live=True
    )
    plan_clearance: float = setting(
        0.21, "distance from obstacles that a path keeps, m", ge=0.0, le=3.0, live=True
    )
    onboard_wait: float = setting(
        0.15, "time an image waits for its onboard detections, s", ge=0.001, le=60.0
    )
    onboard_silence: float = setting(
        0.5, "time without any, after which nobody looks on board, s", ge=0.001, le=600.0
    )
    heartbeat_period: float = setting(0.025, "between two heartbeats, s", ge=0.001, le=10.0)
    silence: float = setting(
        0.075, "time without any answer until a link is down, s", ge=0.002, le=60.0
    )
    uplink_rate: float = setting(
        0.0, "bytes a second sent to the fleet, on average; 0: no limit", ge=0.0
    )
    uplink_power: float = setting(
        0.0, "power of the radio on the way there, W; 0: no limit", ge=0.0
    )
    spending_rate: float = setting(0.0, "what backends may cost a second; 0: no limit", ge=0.0)
    privacy_policy: str = setting("", "file that says what may leave; none: config/privacy.yaml")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, holds, expected in (
            ("deadline", self.deadline <= self.expiry, "up to expiry"),
            ("onboard_wait", self.onboard_wait <= self.onboard_silence, "up to onboard_silence"),
            ("heartbeat_period", self.heartbeat_period < self.silence, "below silence"),
        ):
            if not holds:
                raise UserError(f"{name} is {getattr(self, name):g}; give a time {expected}")

    def engine(self) -> EngineSettings:
        """Return the settings of the offload engine."""
        budgets = Budgets(
            byte_rate=self.uplink_rate, power=self.uplink_power, spending_rate=self.spending_rate
        )
        timing = LinkTiming(period=self.heartbeat_period, silence=self.silence)
        return EngineSettings(timing, budgets, robot=self.robot)

    def policy(self) -> PrivacyPolicy:
        """Read the privacy policy; see `privacy_policy`."""
        return privacy_policy(self.privacy_policy)


def privacy_policy(file: str) -> PrivacyPolicy:
    """Read a privacy policy; without a file's name, the one in config/.

    Raises:
        UserError: it cannot be read, or makes no sense.
    """
    return read_policy(Path(file) if file else share_dir() / "config" / "privacy.yaml")


@dataclass(frozen=True)
class ConnectionSettings(Settings):
    """How a backend is reached, under its name: `NAME.address` and so on."""

    address: str = setting("", "host:port")
    tier: str = setting(
        "fog",
        "fog (on the premises) or cloud: what it may see, who is first",
        one_of=tuple(tier.value for tier in Tier),
    )
    tls: bool = setting(False, "encrypted, and the backend must prove who it is")
    ca_file: str = setting("", "certificates (PEM) of those whom to believe that; none: system's")
    certificate_file: str = setting("", "the robot's own certificate (PEM), for mutual TLS")
    key_file: str = setting("", "its private key (PEM)")
    server_name: str = setting("", "name in the backend's certificate, where not the address's")
    token_file: str = setting("", "file whose one line is sent as bearer token")

    def endpoint(self, name: str) -> Endpoint:
        """Return the endpoint."""
        files = {
            item.name: Path(value) if (value := getattr(self, item.name)) else None
            for item in fields(self)
            if item.name.endswith("_file")
        }
        credentials = Credentials(tls=self.tls, server_name=self.server_name, **files)
        credentials.check()
        return Endpoint(name, self.address, Tier(self.tier), credentials=credentials)


@dataclass(frozen=True)
class EndpointSettings(ConnectionSettings):
    """How a backend is reached that work is offered to, and what that costs."""

    cost: float = setting(0.0, "of one request, as spending_rate counts", ge=0.0)
    energy_per_byte: float = setting(0.0, "of the radio on the way there, J/byte", ge=0.0)

    def endpoint(self, name: str) -> Endpoint:
        """Return the endpoint."""
        reached = super().endpoint(name)
        return replace(reached, cost=self.cost, energy_per_byte=self.energy_per_byte)


class Endpoints:
    """The backends that a node's parameters name.

    `endpoints` lists names, each with parameters of its own; where it lists none, `endpoint` is the
    only one.
    """

    def __init__(self, node: ManagedNode) -> None:
        self._only = node.parameter(
            "endpoint", "127.0.0.1:8001", "host:port of the backend, if it is one alone"
        )
        about = "names of several backends, the preferred one first; see NAME.address"
        self._several = node.named_settings("endpoints", about, {}, EndpointSettings())

    def read(self) -> list[Endpoint]:
        """Return them, the preferred one first.

        Raises:
            UserError: what is said of one makes no sense.
        """
        named = self._several.value
        if not named:
            return [Endpoint("", self._only.value)]
        endpoints = []
        for name, settings in named.items():
            try:
                endpoints.append(settings.endpoint(name))
            except UserError as error:
                raise UserError(f"{name}.*: {error}") from error
        return endpoints
