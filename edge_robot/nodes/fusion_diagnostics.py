"""What `fusion` says of its sensors, peers and tracks in `DIAGNOSTICS`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np

from edge_robot.fusion.alignment import Alignment, AlignmentSettings
from edge_robot.fusion.consistency import Consistency
from edge_robot.fusion.peers import Peer
from edge_robot.fusion.tracker import Tracker
from edge_robot.nodes.diagnostics import OK, STALE, WARN, Status

SILENCE = 2.0
"""Time without a measurement after which a sensor is said to be silent, s."""


@dataclass
class _Heard:
    """How much of a sensor had been used at the last report."""

    accepted: int = 0
    refused: int = 0
    at: float = 0.0  # when it was last more than before, s


class FusionDiagnostics:
    """Reports on what a tracker is fed and what it makes of it.

    Args:
        tracker: The tracker.
        sensors: Those that are configured, by their full names; others are told of once heard.
        peers: The other robots.
        steady: Steady time, s.
        now: Time by the clock stamps are made with, ns.
    """

    def __init__(
        self,
        tracker: Tracker,
        sensors: Collection[str],
        peers: Collection[Peer],
        steady: Callable[[], float],
        now: Callable[[], int],
    ) -> None:
        self._tracker = tracker
        self._sensors = sensors
        self._peers = {peer.sensor: peer for peer in peers}
        self._steady = steady
        self._now = now
        self._reported = steady()
        self._heard: dict[str, _Heard] = {}

    def statuses(self) -> Iterator[Status]:
        """Yield how each sensor, each peer and the tracks are, since the last time of asking."""
        admission, time = self._tracker.admission, self._steady()
        since, self._reported = time - self._reported, time
        consistency = self._tracker.consistency.reports()
        alignment = self._tracker.alignment.reports()
        known = [*self._sensors, *self._peers, *admission.accepted, *admission.refused]
        for sensor in dict.fromkeys(known):
            heard = self._heard.setdefault(sensor, _Heard(at=time))
            values, concerns = self._traffic(sensor, heard, time, since)
            if sensor in self._peers:
                _add_trust(self._peers[sensor], values, concerns)
            elif sensor in consistency:
                _add_consistency(consistency[sensor], values, concerns)
            if sensor in alignment:
                _add_alignment(alignment[sensor], self._tracker.config.alignment, values, concerns)
            if not heard.accepted:
                yield Status(sensor, STALE, "nothing of it has been used yet", values)
            elif time - heard.at > SILENCE:
                yield Status(sensor, STALE, f"silent for {time - heard.at:.0f} s", values)
            else:
                message = "; ".join(concerns) or "in use"
                yield Status(sensor, WARN if concerns else OK, message, values)
        yield self._tracks()

    def _traffic(
        self, sensor: str, heard: _Heard, time: float, since: float
    ) -> tuple[dict[str, object], list[str]]:
        """Return what came of a sensor and what was refused: figures and concerns."""
        admission = self._tracker.admission
        accepted, newest = admission.accepted[sensor], admission.newest(sensor)
        reasons = admission.refused.get(sensor, Counter())
        refused = sum(reasons.values())
        values: dict[str, object] = {
            "measurements": accepted,
            "rate (Hz)": (accepted - heard.accepted) / since if since > 0.0 else 0.0,
            "age (s)": "unknown" if newest is None else (self._now() - newest) * 1e-9,
        }
        values |= {f"refused: {why.value}": count for why, count in reasons.items()}
        concerns = []
        if refused > heard.refused:
            why = ", ".join(reason.value for reason in reasons)
            concerns.append(f"{refused - heard.refused} refused (so far for: {why})")
        if accepted > heard.accepted:
            heard.at = time
        heard.accepted, heard.refused = accepted, refused
        return values, concerns

    def _tracks(self) -> Status:
        history = self._tracker.history
        values = {
            "confirmed": len(self._tracker.tracks()),
            "measurements kept": len(history),
            "applied again for late ones": history.replayed,
            "longest replay": history.longest_replay,
        }
        if self._tracker.stamp is None:
            return Status("tracks", STALE, "nothing has been measured yet", values)
        return Status("tracks", OK, f"{values['confirmed']} confirmed", values)


def _add_trust(peer: Peer, values: dict[str, object], concerns: list[str]) -> None:
    values["trust (0..1)"] = peer.trust
    if not peer.trusted:
        concerns.append(f"ignored: {peer.reason}")


def _add_consistency(found: Consistency, values: dict[str, object], concerns: list[str]) -> None:
    values["boxes judged"] = found.boxes
    values["mean NIS per degree of freedom"] = found.mean_nis
    values["honest from"], values["honest to"] = found.bounds
    values["noise scale"] = found.treatment.noise_scale
    if found.treatment.excluded:
        concerns.append("left out: it contradicts the other sensors")
    elif found.disagrees:
        scale = found.treatment.noise_scale
        concerns.append(f"weighed down {scale:g} times: it contradicts the other sensors")


def _add_alignment(
    found: Alignment,
    settings: AlignmentSettings,
    values: dict[str, object],
    concerns: list[str],
) -> None:
    values["boxes held against the lidar"] = found.boxes
    values["time offset (ms)"] = found.time_offset * 1e3
    values["time offset, standard deviation (ms)"] = found.time_offset_error * 1e3
    values["time offset taken off (ms)"] = found.corrected * 1e3
    left = found.time_offset - found.corrected
    if abs(left) - 2.0 * found.time_offset_error > settings.offset_warning:
        concerns.append(f"stamps are {left * 1e3:+.0f} ms off the lidar's")
    for name, angle, error, way in (
        ("yaw", found.yaw, found.yaw_error, "to the left"),
        ("pitch", found.pitch, found.pitch_error, "down"),
    ):
        if not np.isfinite(angle):
            continue
        values[f"{name} off (°)"] = float(np.degrees(angle))
        values[f"{name} off, standard deviation (°)"] = float(np.degrees(error))
        if abs(angle) - 2.0 * error > settings.rotation_warning:
            concerns.append(f"turned {np.degrees(angle):+.1f}° {way} against its calibration")
