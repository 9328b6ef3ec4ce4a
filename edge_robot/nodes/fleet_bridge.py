"""The robot's side of the fleet: second opinions on frames, paths over the map, the links' state.

`fleet_second_opinions` and `fleet_plans` say what is offered, `edge_robot.fleet` decides whether it
is sent, where, and what may leave at all; here they are put together.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from nav_msgs.msg import OccupancyGrid
from rclpy.clock import Clock, ClockType
from tf2_ros import Buffer, TransformListener

from edge_robot import topics
from edge_robot.fleet.boundary import Boundary
from edge_robot.fleet.offload import OffloadEngine
from edge_robot.fleet.privacy_policy import Kind, Tier
from edge_robot.nodes.diagnostics import DiagnosticsReporter
from edge_robot.nodes.diagnostics import Status as Health
from edge_robot.nodes.fleet_links import LinkReporter
from edge_robot.nodes.fleet_parameters import BridgeSettings, Endpoints
from edge_robot.nodes.fleet_privacy import PrivacyReporter
from edge_robot.nodes.fleet_second_opinions import SecondOpinions
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.urgency import Urgency
from edge_robot.perception.tiering.policy import TierPolicy, TierSettings

if TYPE_CHECKING:
    from edge_robot.nodes.fleet_plans import PlanService


class FleetBridge(ManagedNode):
    """Owns the engine, the boundary and what offers work."""

    def __init__(self) -> None:
        super().__init__("fleet_bridge")
        self._settings = self.settings(BridgeSettings())
        self._tiering = self.settings(TierSettings())
        self._endpoints = Endpoints(self)

    def configure(self) -> None:
        """Read the policy, certificates and tokens."""
        self._replicas = self._endpoints.read()
        self._boundary = Boundary(self._settings.value.policy())

    def activate(self) -> None:
        """Connect, listen, and offer."""
        settings, endpoints, boundary = self._settings.value, self._replicas, self._boundary
        policy = TierPolicy(self._tiering.value)
        tiers = [tier for tier in Tier if any(item.tier is tier for item in endpoints)]
        self._privacy = PrivacyReporter(self, boundary, tiers, (Kind.DETECT, Kind.PLAN))
        self._links = LinkReporter(self)
        self._engine = OffloadEngine(endpoints, settings.engine(), self._links.publish)
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, self)
        self._opinions = SecondOpinions(
            self,
            self._engine,
            endpoints,
            boundary,
            policy,
            self._buffer,
            settings,
            self._links.placed,
        )
        self._plans: PlanService | None = None
        self._tiers = tiers
        self.create_subscription(
            OccupancyGrid, topics.MAP.name, self._on_map, qos_profile(topics.MAP)
        )
        self._diagnostics = DiagnosticsReporter(self, self._health)
        # A dead engine must end the node: its last word on the link would stand for ever.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(0.2, self._engine.raise_if_failed, clock=steady)
        self._engine.start()
        names = ", ".join(f"{item.name} ({item.tier.value})" for item in endpoints)
        self.get_logger().info(
            f"offering {policy.settings.rate:g} frames a second to {settings.model} at {names}"
        )

    def reconfigure(self) -> None:
        """Offer what comes next by the new settings."""
        if self.is_active:
            self._opinions.settings = self._settings.value
            if self._plans is not None:
                self._plans.settings = self._settings.value

    def deactivate(self) -> None:
        """Give up what is outstanding."""
        self._engine.close()

    def _on_map(self, message: OccupancyGrid) -> None:
        """Offer to plan as soon as there is something to plan on."""
        if self._plans is None:
            # Planning takes a second to load, and many a robot has no map.
            from edge_robot.nodes.fleet_plans import PlanService

            self._plans = PlanService(
                self,
                self._engine,
                self._boundary,
                self._tiers,
                self._buffer,
                self._settings.value,
            )
        self._plans.set_map(message)

    def _health(self) -> Iterable[Health]:
        yield from self._links.health()
        yield from self._opinions.health()
        if self._plans is not None:
            yield from self._plans.health()
        yield from self._privacy.health()


def main() -> None:
    """Run the node."""
    run(FleetBridge, Urgency.PROMPT)


if __name__ == "__main__":
    main()
