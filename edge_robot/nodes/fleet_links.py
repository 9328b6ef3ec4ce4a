"""How the links to the backends are, as `LINK` and as diagnostics."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from rclpy.node import Node

from edge_robot import topics
from edge_robot.fleet.breaker import BreakerState
from edge_robot.fleet.offload import Status
from edge_robot.fleet.replica import LinkStatus
from edge_robot.msg import EndpointState, LinkState
from edge_robot.nodes.diagnostics import OK, WARN
from edge_robot.nodes.diagnostics import Status as Health
from edge_robot.nodes.qos import qos_profile

_BREAKER = {
    BreakerState.CLOSED: LinkState.BREAKER_CLOSED,
    BreakerState.HALF_OPEN: LinkState.BREAKER_HALF_OPEN,
    BreakerState.OPEN: LinkState.BREAKER_OPEN,
}


class LinkReporter:
    """Publishes what the engine says of its links.

    It does so in the engine's thread: a lost one is announced even while the executor is busy.

    Args:
        node: Node it belongs to.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(
            LinkState, topics.LINK.name, qos_profile(topics.LINK)
        )
        self._since: dict[str, tuple[bool, Any]] = {}
        self._newest: Status | None = None
        self._placement = ""

    def placed(self, placement: str) -> None:
        """Say with the next state where the last piece of work went, or why nowhere."""
        self._placement = placement

    def publish(self, status: Status) -> None:
        """Publish the state of all links."""
        self._newest = status
        now = self._node.get_clock().now().to_msg()
        message = LinkState(placement=self._placement)
        message.header.stamp = now
        message.endpoints = [self._state(link, now) for link in status.links]
        shown = next((item for item in message.endpoints if item.up), message.endpoints[0])
        message.endpoint = shown.address
        for name in ("up", "breaker", "cause", "since", "rtt_p50", "rtt_p95", "loss", "bandwidth"):
            setattr(message, name, getattr(shown, name))
        message.offered = sum(item.sent for item in message.endpoints)
        for name in ("answered", "late", "failed"):
            setattr(message, name, sum(getattr(item, name) for item in message.endpoints))
        self._publisher.publish(message)

    def health(self) -> Iterable[Health]:
        """Return the diagnostics of each link."""
        status = self._newest
        for link in status.links if status is not None else ():
            figures = {
                "tier": link.tier.value,
                "breaker": link.breaker.name.lower(),
                "round trip p50 (ms)": link.rtt_p50 * 1e3,
                "round trip p95 (ms)": link.rtt_p95 * 1e3,
                "loss": link.loss,
                "bandwidth (kB/s)": link.bandwidth * 1e-3,
                "outstanding": link.outstanding,
                "sent": link.sent,
                "answered": link.answered,
                "late": link.late,
                "failed": link.failed,
            }
            known = {
                name: value
                for name, value in figures.items()
                if not (isinstance(value, float) and math.isnan(value))
            }
            well = link.up and link.breaker is BreakerState.CLOSED
            yield Health(
                f"link {link.name}", OK if well else WARN, link.cause, known, link.endpoint
            )

    def _state(self, link: LinkStatus, now: Any) -> EndpointState:
        up, since = self._since.get(link.name, (None, None))
        if up is not link.up:
            since = now
            self._since[link.name] = link.up, now
            self._node.get_logger().info(
                f"link to {link.name} {'up' if link.up else 'down'}: {link.cause}"
            )
        return EndpointState(
            name=link.name,
            address=link.endpoint,
            tier=link.tier.value,
            up=link.up,
            breaker=_BREAKER[link.breaker],
            cause=link.cause,
            since=since,
            rtt_p50=link.rtt_p50,
            rtt_p95=link.rtt_p95,
            loss=link.loss,
            bandwidth=link.bandwidth,
            sent=link.sent,
            answered=link.answered,
            late=link.late,
            failed=link.failed,
        )
