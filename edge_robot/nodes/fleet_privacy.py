"""What a node's boundary permits and has done, as `PRIVACY` and as diagnostics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_msgs.msg import Header

from edge_robot import topics
from edge_robot.fleet.boundary import Boundary
from edge_robot.fleet.privacy_policy import Kind, Tier
from edge_robot.msg import Disclosure, PrivacyState
from edge_robot.nodes.diagnostics import OK
from edge_robot.nodes.diagnostics import Status as Health
from edge_robot.nodes.qos import qos_profile


class PrivacyReporter:
    """Publishes once a second.

    Args:
        node: Node it belongs to.
        boundary: The node's.
        tiers: That the node sends to.
        kinds: What it sends.
    """

    def __init__(
        self, node: Node, boundary: Boundary, tiers: Sequence[Tier], kinds: Sequence[Kind]
    ) -> None:
        self._node = node
        self._boundary = boundary
        self._pairs = [(kind, tier) for kind in kinds for tier in tiers]
        self._publisher = node.create_publisher(
            PrivacyState, topics.PRIVACY.name, qos_profile(topics.PRIVACY)
        )
        node.create_timer(1.0, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def health(self) -> Iterable[Health]:
        """Return the diagnostics: what may be seen, and how often what was withheld."""
        said, figures = [], {}
        for item in self._disclosures():
            said.append(f"{item.kind} to {item.tier}: {item.level}")
            figures[f"{item.kind} to {item.tier}: cleared"] = item.cleared
            for reason, times in zip(item.reasons, item.times, strict=True):
                figures[f"{item.kind} to {item.tier}: withheld: {reason}"] = times
        yield Health("privacy", OK, "; ".join(said), figures)

    def _publish(self) -> None:
        self._publisher.publish(
            PrivacyState(
                header=Header(stamp=self._node.get_clock().now().to_msg()),
                node=self._node.get_name(),
                policy=self._boundary.policy.digest,
                disclosures=self._disclosures(),
            )
        )

    def _disclosures(self) -> list[Disclosure]:
        counts, policy = self._boundary.counts(), self._boundary.policy
        items = []
        for kind, tier in self._pairs:
            withheld = {
                reason: times
                for (of_tier, of_kind, reason), times in counts.items()
                if reason and (of_tier, of_kind) == (tier, kind)
            }
            items.append(
                Disclosure(
                    kind=kind.value,
                    tier=tier.value,
                    level=policy.level(tier, kind).name.lower(),
                    cleared=counts.get((tier, kind, ""), 0),
                    withheld=sum(withheld.values()),
                    reasons=list(withheld),
                    times=list(withheld.values()),
                )
            )
        return items
