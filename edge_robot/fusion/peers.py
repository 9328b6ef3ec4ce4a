"""Other robots, and sensors at the roadside, as sources of tracks: what one of them is worth.

What a peer says is neither independent of what is known here (see `intersection`) nor always true.
So only what the peer itself sees is taken from it, never what it was told: else two robots could
keep a ghost alive by telling each other of it. And it is held against what is seen here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge_robot.fusion import kalman
from edge_robot.fusion.admission import Admission
from edge_robot.fusion.angles import wrapped
from edge_robot.fusion.boxes import corners, range_to_boxes
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.measurements import PeerMeasurement, Source, sensor_name
from edge_robot.fusion.refusal import Refusal
from edge_robot.fusion.tracks import Track
from edge_robot.settings import Settings, setting

OWN = Source.CAMERA | Source.LIDAR | Source.FLEET | Source.RADAR
"""Sources that make a track first-hand."""
_AGREE = 9.21  # squared distance that 99 % of honest pairs stay below (chi-squared, 2 degrees)
_NEAR = 2.0  # m; a claim this near to what is seen here is meant to be that
_COMPARABLE = 0.5  # s; between a message and the tracks it is held against
_CLEARANCE = 1.0  # m; how far behind a claim something must be seen to be seen through it
_BURST = 1_000_000_000  # ns; what a peer has not sent in this time it may send at once
_MEMORY = 0.95  # share of the evidence that is kept with each judged message
_PRIOR_TRUST, _PRIOR = 0.7, 4.0  # trust in an unknown peer, and how many messages that is worth


@dataclass(frozen=True)
class PeerConfig(Settings):
    """How far peers are believed."""

    peer_noise: float = setting(
        0.2, "by how much two robots may differ on where an object's centre is, m", ge=0.0, le=100.0
    )
    peer_speed_noise: float = setting(
        0.1, "the same of each component of its velocity, m/s", ge=0.0, le=100.0
    )
    peer_position_error: float = setting(
        0.1, "standard deviation of a peer's frame against the fixed frame, m", ge=0.0, le=100.0
    )
    peer_heading_error: float = setting(0.02, "the same of its heading, rad", ge=0.0, le=3.2)
    peer_authority: float = setting(
        0.9, "share of a peer's own probability of existence that is believed", ge=0.0, le=1.0
    )
    peer_rate: float = setting(
        30.0, "messages of one peer that are read at most, 1/s", ge=0.1, le=10000.0
    )
    distrust_below: float = setting(0.4, "trust below which a peer is ignored", ge=0.0, le=1.0)
    trust_above: float = setting(0.7, "trust from which it is listened to again", ge=0.0, le=1.0)


def placed(told: PeerMeasurement, fixed_from_peer: Array, config: PeerConfig) -> PeerMeasurement:
    """Return a peer's tracks, given in its own frame, in the fixed frame.

    Its covariances grow by what the peer does not know of itself: the error of its frame's place,
    and of its heading, which moves things the more the farther they are from the frame's origin,
    and turns their velocities; and by what two robots that see two sides of a thing differ by.
    These errors stay the same from message to message: after the first one they are no longer
    independent of what is known here, so none of it is kept out of the intersection (split
    covariance intersection would).

    Args:
        told: In the peer's frame.
        fixed_from_peer: (4, 4) pose of the peer's frame in the fixed frame.
        config: The errors.
    """
    turn = fixed_from_peer[:3, :3]
    both = np.kron(np.eye(2), turn[:2, :2])
    where = np.hypot(config.peer_noise, config.peer_position_error)
    floor = np.repeat([where, config.peer_speed_noise], 2)
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is refused later
        positions = told.positions @ turn.T + fixed_from_peer[:3, 3]
        velocities = told.velocities @ turn[:2, :2].T
        lever = np.hstack([positions[:, :2] - fixed_from_peer[:2, 3], velocities])
        moved = config.peer_heading_error * np.stack(
            [-lever[:, 1], lever[:, 0], -lever[:, 3], lever[:, 2]], axis=-1
        )
        covariances = both @ told.covariances @ both.T + moved[:, :, None] * moved[:, None, :]
    return replace(
        told,
        positions=positions,
        yaws=told.yaws + np.arctan2(turn[1, 0], turn[0, 0]),
        velocities=velocities,
        covariances=covariances + np.diag(floor**2),
    )


class Peer:
    """One peer, and the trust it has earned.

    Trust is the share of messages that agreed with what is seen here, forgotten over some twenty
    of them. What cannot be judged counts for nothing: to see what others do not is what peers are
    for. A peer that is not trusted is still judged, and so may regain trust.

    Args:
        name: Its name.
        config: How far peers are believed.
        admission: Counts what of it is refused.

    Attributes:
        sensor: Its name among all sensors.
        trusted: Whether it is listened to.
        reason: Why it was last distrusted; empty while it is trusted.
    """

    def __init__(self, name: str, config: PeerConfig, admission: Admission) -> None:
        self.sensor = sensor_name(Source.PEER, name)
        self.trusted = True
        self.reason = ""
        self._config = config
        self._admission = admission
        self._good = self._bad = 0.0
        self._next = 0

    @property
    def trust(self) -> float:
        """0..1."""
        total = self._good + self._bad + _PRIOR
        return (self._good + _PRIOR * _PRIOR_TRUST) / total

    def expects(self, stamp: int, now: int) -> bool:
        """Return whether a message is to be read at all; if not, it is counted why.

        Args:
            stamp: The message's, ns.
            now: By the clock that stamps are made with, ns.
        """
        refusal = self._admission.stamp_refusal(self.sensor, stamp, now)
        if now < self._next:
            refusal = Refusal.TOO_OFTEN
        if refusal:
            self._admission.refuse(self.sensor, refusal)
            return False
        # Against the schedule, not the last arrival: a network delivers in bursts.
        period = round(1e9 / self._config.peer_rate)
        self._next = max(self._next, now - _BURST) + period
        return True

    def admit(
        self, told: PeerMeasurement, own: Sequence[Track], own_stamp: int, sensor: Array | None
    ) -> PeerMeasurement | None:
        """Return what of a message may be fused; None for nothing. What is refused is counted.

        Args:
            told: In the fixed frame (`placed`).
            own: The tracks as they are known here.
            own_stamp: When, ns.
            sensor: (3,) where the lidar is, fixed frame, m; None where there is none.
        """
        sound = self._admission.sound(self.sensor, told)
        if not isinstance(sound, PeerMeasurement):
            return None
        first_hand = sound.select(sound.first_hand)
        if hearsay := len(sound) - len(first_hand):
            self._admission.refuse(self.sensor, Refusal.HEARSAY, hearsay)
        self._judge(first_hand, own, own_stamp, sensor)
        if not self.trusted:
            self._admission.refuse(self.sensor, Refusal.DISTRUSTED)
            return None
        return first_hand

    def _judge(
        self, told: PeerMeasurement, own: Sequence[Track], own_stamp: int, sensor: Array | None
    ) -> None:
        ahead = (own_stamp - told.stamp) * 1e-9
        if abs(ahead) > _COMPARABLE:
            return
        seen = [track for track in own if track.recent_sources & OWN]
        agrees, contradicts, why = _compare(told, seen, ahead, sensor)
        judged = agrees.sum() + contradicts.sum()
        if not judged:
            return
        share = float(agrees.sum() / judged)
        self._good = _MEMORY * self._good + share
        self._bad = _MEMORY * self._bad + 1.0 - share
        if self.trusted and self.trust < self._config.distrust_below:
            self.trusted = False
            self.reason = f"{contradicts.sum()} of {judged} tracks contradict what is seen: {why}"
        elif not self.trusted and self.trust > self._config.trust_above:
            self.trusted, self.reason = True, ""


def _compare(
    told: PeerMeasurement, seen: Sequence[Track], ahead: float, sensor: Array | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], str]:
    """Return which claims agree with what is seen, which contradict it, and how.

    Args:
        told: M claims.
        seen: Tracks that sensors here see.
        ahead: How much later than the claims they are, s.
        sensor: (3,) where the lidar is, m.
    """
    nobody = np.zeros(len(told), bool)
    if not seen or not len(told):
        return nobody, nobody, ""
    place = np.array([t.position[:2] - t.velocity * ahead for t in seen])
    spread = np.array([t.covariance[:2, :2] for t in seen])
    apart = told.positions[None, :, :2] - place[:, None]
    distance = kalman.squared_distance(apart, spread[:, None] + told.covariances[None, :, :2, :2])
    pairs = distance < _AGREE
    agrees, alone = np.asarray(pairs.any(axis=0)), ~pairs.any(axis=1)
    # Something is seen near the claimed place, of which the peer knows nothing.
    close = np.hypot(apart[..., 0], apart[..., 1]) < _NEAR
    displaced = ~agrees & close[alone].any(axis=0)
    through = nobody
    if sensor is not None:
        by_lidar = [t for t in seen if t.recent_sources & Source.LIDAR]
        through = ~agrees & _seen_through(told, by_lidar, sensor)
    why = "displaced" if displaced.sum() >= through.sum() else "something is seen through them"
    return agrees, displaced | through, why


def _seen_through(told: PeerMeasurement, seen: Sequence[Track], sensor: Array) -> NDArray[np.bool_]:
    """Return (M,) where the lidar sees something wider behind a claim, which should hide it."""
    if not seen:
        return np.zeros(len(told), bool)
    centers = np.array([t.position for t in seen])
    sizes, yaws = np.array([t.size for t in seen]), np.array([t.yaw for t in seen])
    middle, half, farthest = _as_seen(told.positions, told.sizes, told.yaws, sensor)
    middle_behind, half_behind, _ = _as_seen(centers, sizes, yaws, sensor)
    nearest = range_to_boxes(sensor[:2], centers, sizes, yaws)
    off = wrapped(middle_behind[:, None] - middle)
    covered = np.abs(off) + half < half_behind[:, None]
    # Over what is lower than the lidar, what stands behind is seen all the same.
    tall = told.positions[:, 2] + told.sizes[:, 2] / 2 > sensor[2]
    behind = nearest[:, None] > farthest + _CLEARANCE
    return np.asarray((covered & behind).any(axis=0) & tall)


def _as_seen(
    centers: Array, sizes: Array, yaws: Array, sensor: Array
) -> tuple[Array, Array, Array]:
    """Return bearing and half width of boxes, rad, and the range of their farthest corner, m."""
    away = corners(centers, sizes, yaws)[..., :2] - sensor[:2]
    toward = centers[:, :2] - sensor[:2]
    bearing = np.arctan2(toward[:, 1], toward[:, 0])
    off = wrapped(np.arctan2(away[..., 1], away[..., 0]) - bearing[:, None])
    low, high = off.min(axis=1), off.max(axis=1)
    reach = np.asarray(np.hypot(away[..., 0], away[..., 1]).max(axis=1))
    return np.asarray(bearing + (low + high) / 2), np.asarray((high - low) / 2), reach
