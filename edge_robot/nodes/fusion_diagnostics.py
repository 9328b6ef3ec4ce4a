"""What fusion says of its sensors and peers in `/diagnostics`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from edge_robot.fusion.peers import Peer
from edge_robot.fusion.tracker import Tracker
from edge_robot.nodes.diagnostics import OK, STALE, WARN, Status


def statuses(tracker: Tracker, sensors: Iterable[str], peers: Iterable[Peer]) -> Iterator[Status]:
    """Yield how each sensor and each peer stands, and what of it was refused and why.

    Args:
        tracker: What they feed.
        sensors: Those that are configured, by their full names; others are told of once heard.
        peers: The other robots.
    """
    by_name = {peer.sensor: peer for peer in peers}
    admission, reports = tracker.admission, tracker.consistency.reports()
    for sensor in dict.fromkeys([*sensors, *by_name, *admission.accepted, *admission.refused]):
        if sensor in by_name:
            yield _peer(tracker, by_name[sensor])
            continue
        report = reports.get(sensor)
        level, message = OK, "in use"
        if not admission.accepted[sensor]:
            level, message = STALE, "nothing of it has been used yet"
        elif report and report.treatment.excluded:
            level, message = WARN, "left out: it contradicts the other sensors"
        elif report and report.disagrees:
            scale = report.treatment.noise_scale
            level, message = WARN, f"weighed down {scale:g} times: it contradicts the others"
        values: dict[str, object] = {"measurements": admission.accepted[sensor]}
        if report:
            values["boxes_judged"] = report.boxes
            values["mean_squared_innovation_per_degree"] = report.mean_nis
            values["honest_from"], values["honest_to"] = report.bounds
        yield Status(sensor, level, message, {**values, **_refused(tracker, sensor)})


def _peer(tracker: Tracker, peer: Peer) -> Status:
    level, message = OK, "trusted"
    accepted = tracker.admission.accepted[peer.sensor]
    if not peer.trusted:
        level, message = WARN, f"ignored: {peer.reason}"
    elif not accepted:
        level, message = STALE, "nothing of it has been used yet"
    values: dict[str, object] = {"messages": accepted, "trust": peer.trust}
    return Status(peer.sensor, level, message, {**values, **_refused(tracker, peer.sensor)})


def _refused(tracker: Tracker, sensor: str) -> dict[str, object]:
    refused = tracker.admission.refused[sensor]
    return {f"refused_{why.value.replace(' ', '_')}": n for why, n in refused.items()}
