"""Contracts of publishers and subscriptions: presets, what suits others, how bags write them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

FOREVER = 2**63 - 1
"""Duration that stands for no limit, ns."""

_UNLIMITED = (0, FOREVER)


@dataclass(frozen=True)
class Contract:
    """A QoS contract in ROS 2's words; durations in ns, 0 or `FOREVER` for no limit."""

    reliability: str = "reliable"
    durability: str = "volatile"
    history: str = "keep_last"
    depth: int = 10
    liveliness: str = "system_default"
    lease: int = 0
    deadline: int = 0
    lifespan: int = 0


PRESETS = {
    "default": Contract(),
    "system_default": Contract(
        "system_default", "system_default", history="system_default", depth=0
    ),
    "sensor_data": Contract("best_effort", depth=5),
    "services_default": Contract(),
    "parameters": Contract(depth=1000),
    "parameter_events": Contract(depth=1000),
}
"""Profiles by the names that `--qos-profile` takes."""


def matching(contract: Contract, offers: Sequence[Contract]) -> tuple[Contract, list[str]]:
    """Change the reliability and durability of a contract so that it hears all publishers.

    Args:
        contract: What is wanted where there is no publisher.
        offers: The publishers' contracts.

    Returns:
        The contract, and notes on publishers that offer more than is asked for.
    """
    if not offers:
        return contract, []
    notes = []
    reliable = sum(offer.reliability == "reliable" for offer in offers)
    latched = sum(offer.durability == "transient_local" for offer in offers)
    for count, policy, more, less in (
        (reliable, "QoSReliabilityPolicy", "RELIABLE", "BEST_EFFORT"),
        (latched, "QoSDurabilityPolicy", "TRANSIENT_LOCAL", "VOLATILE"),
    ):
        if 0 < count < len(offers):
            notes.append(
                f"Some, but not all, publishers are offering {policy}.{more}. Falling back to "
                f"{policy}.{less} as it will connect to all publishers"
            )
    matched = replace(
        contract,
        reliability="reliable" if reliable == len(offers) else "best_effort",
        durability="transient_local" if latched == len(offers) else "volatile",
    )
    return matched, notes


def offering(recorded: Sequence[Contract]) -> Contract:
    """Return the contract to publish with what was recorded from several publishers.

    The one contract of all, if they agree; otherwise the strongest that all kept, without deadline,
    lifespan or lease.
    """
    if not recorded:
        return PRESETS["default"]
    known = [_offerable(contract) for contract in recorded]
    if len(set(known)) == 1:
        return known[0]
    return Contract(
        "reliable" if all(c.reliability == "reliable" for c in known) else "best_effort",
        "transient_local" if all(c.durability == "transient_local" for c in known) else "volatile",
        depth=max(contract.depth for contract in known) or 10,
    )


def _offerable(contract: Contract) -> Contract:
    """Put defaults in the place of what a bag does not know: discovery does not tell everything."""
    history, depth = contract.history, contract.depth
    if history not in ("keep_last", "keep_all"):
        history, depth = "keep_last", max(depth, 10)
    return replace(
        contract,
        history=history,
        depth=depth,
        reliability="best_effort" if contract.reliability == "best_effort" else "reliable",
        durability="transient_local" if contract.durability == "transient_local" else "volatile",
        liveliness="manual_by_topic" if contract.liveliness == "manual_by_topic" else "automatic",
    )


def to_bag(contracts: Iterable[Contract]) -> list[dict[str, Any]]:
    """Return contracts as a bag's metadata (version 9) has them."""
    return [
        {
            "history": contract.history,
            "depth": contract.depth,
            "reliability": contract.reliability,
            "durability": contract.durability,
            "deadline": _time(contract.deadline),
            "lifespan": _time(contract.lifespan),
            "liveliness": contract.liveliness,
            "liveliness_lease_duration": _time(contract.lease),
            "avoid_ros_namespace_conventions": False,
        }
        for contract in contracts
    ]


def _time(nanoseconds: int) -> dict[str, int]:
    sec, nsec = divmod(FOREVER if nanoseconds in _UNLIMITED else nanoseconds, 1_000_000_000)
    return {"sec": sec, "nsec": nsec}
