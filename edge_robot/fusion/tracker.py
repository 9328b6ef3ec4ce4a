"""Multi-object tracker over camera and lidar, exact for measurements that come late."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge_robot.fusion.admission import Admission
from edge_robot.fusion.alignment import AlignmentMonitor
from edge_robot.fusion.config import TrackerConfig, box_table
from edge_robot.fusion.consistency import ConsistencyMonitor
from edge_robot.fusion.history import History, Order
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.measurements import (
    BoxMeasurement,
    CameraMeasurement,
    ClearanceMeasurement,
    LidarMeasurement,
    Measurement,
    PeerMeasurement,
    RadarMeasurement,
    Source,
    name_of,
    sensor_name,
)
from edge_robot.fusion.merging import merge_agreeing
from edge_robot.fusion.tracks import SOURCES, BirthKey, Track, TrackSet
from edge_robot.fusion.updates.boxes import update_with_boxes
from edge_robot.fusion.updates.camera import update_with_camera
from edge_robot.fusion.updates.clearance import update_with_clearance
from edge_robot.fusion.updates.lidar import update_with_lidar
from edge_robot.fusion.updates.peers import update_with_peer
from edge_robot.fusion.updates.radar import update_with_radar
from edge_robot.fusion.updates.result import Updated

_HEADING_SPEED = 0.4  # m/s from which an object's heading is its direction of motion
_SPARE_IDS = 64  # identities that are kept before those of forgotten tracks are looked for
_UNSEEN_CLASS = 0.5  # votes for "none of the classes seen so far"
_BITS = np.array(SOURCES, int)
_SETS = [Source(bits) for bits in range(sum(SOURCES) + 1)]
_SAME_INSTANT = {
    source: rank
    for rank, source in enumerate(
        (Source.LIDAR, Source.RADAR, Source.CAMERA, Source.FLEET, Source.PEER)
    )
}
"""Order of measurements of one instant: what knows the range first, what others say last."""


class Tracker:
    """Follows objects in a fixed frame.

    Attributes:
        config: The parameters.
        history: What was measured lately, with the tracks after each measurement.
        admission: What was let in and what was refused, by sensor.
        consistency: How well each sensor agrees with the others.
        alignment: How far each sensor is off in time and direction.
    """

    def __init__(self, config: TrackerConfig | None = None) -> None:
        self.config = config or TrackerConfig()
        memory = self.config.history.history
        self.admission = Admission(self.config.admission, memory)
        self.consistency = ConsistencyMonitor(self.config.consistency, memory)
        self.alignment = AlignmentMonitor(
            self.config.alignment,
            delay=memory,
            pixel_noise=self.config.pixel_noise,
            box_noise=self.config.box_noise,
            lidar_noise=self.config.lidar_noise,
        )
        self.history: History[Measurement, Updated] = History(
            Updated.nothing(self.config.motion.shape), self._step, self.config.history
        )
        self._class_names: list[str] = []
        self._tabulate()
        self._ids: dict[BirthKey, int] = {}
        self._next_id = 1
        self._most_ids = _SPARE_IDS

    @property
    def stamp(self) -> int | None:
        """Capture time of the newest measurement, ns; None before the first."""
        return self.history.stamp

    @property
    def rejected(self) -> Counter[str]:
        """How often measurements, or boxes of them, were refused, by reason; of all sensors."""
        counts: Counter[str] = Counter()
        for refused in self.admission.refused.values():
            counts.update({refusal.value: count for refusal, count in refused.items()})
        return counts

    def process(self, measurement: Measurement, now: int | None = None) -> bool:
        """Apply a measurement at its capture time, however it stands to those already applied.

        Args:
            measurement: What a sensor saw, with its pose at the stamp less
                `alignment.shift(…)` (0 unless offsets are corrected).
            now: Time by the clock stamps are made with, ns; None where there is no such clock.

        Returns:
            Whether it was applied; if not, `admission` has counted why.
        """
        sensor = name_of(measurement)
        shift = self.alignment.shift(measurement.source, measurement.sensor, measurement.stamp)
        if shift:
            measurement = replace(measurement, stamp=measurement.stamp - shift)
        order = _order(measurement)
        refusal = self.admission.stamp_refusal(sensor, measurement.stamp, now)
        refusal = refusal or self.history.refusal(order)
        if refusal:
            self.admission.refuse(sensor, refusal)
            return False
        sound = self.admission.sound(sensor, measurement)
        if sound is None:
            return False
        if not isinstance(sound, LidarMeasurement | RadarMeasurement | ClearanceMeasurement):
            known = {*self.config.priors, *self.config.other_classes}
            if isinstance(sound, CameraMeasurement):
                sound = sound.of_classes(known)
            # Whole boxes need no prior, so a 3D detector may name anything.
            own = isinstance(sound, BoxMeasurement)
            self._add_classes({*sound.labels} if own else known & {*sound.labels})

        newest = self.history.stamp is None or measurement.stamp > self.history.stamp
        if newest:
            self._settle()
            self._forget(measurement.stamp)
        # What a lidar sees past is as good as its boxes are.
        judged = sensor_name(measurement.source, measurement.sensor)
        treatment = self.consistency.treatment(judged, measurement.stamp)
        if shift or treatment != sound.treatment:
            sound = replace(sound, treatment=replace(treatment, shift=shift))
        self.history.insert(order, sound)
        self.admission.accept(sensor, measurement.stamp)
        if newest:
            self._settle()
        return True

    def tracks(self, at: int | None = None) -> list[Track]:
        """Return the confirmed tracks at `stamp`, oldest first.

        Of those known from whole boxes, the ones that nothing measured are left out unless they
        are sure enough (`BoxClass.publish_existence`).

        Args:
            at: Capture time of an earlier measurement, ns, to tell of instead; what came late for
                it is in the answer.

        Raises:
            LookupError: The history does not reach back to `at`.
        """
        now = self.history.stamp if at is None else at
        if now is None:
            return []
        self._settle()
        tracks = self.history.state_at(now).tracks
        if at is not None:
            self._name(tracks)  # what is gone by now may never have had an identity
        kind = tracks.kind
        sure = tracks.existence >= self._box_table["publish_existence"][kind]
        shown = tracks.confirmed & ((tracks.boxed == 0) | sure | (tracks.last == now))
        tracks, kind = tracks.select(shown), kind[shown]
        mean, covariance = self.config.motion.combine(tracks.mean, tracks.covariance, tracks.modes)
        names, scores = self._classes(tracks, kind)
        moving = (
            self._familiar[kind] | (tracks.boxed > 0) | (tracks.moving >= self.config.moving_sweeps)
        )
        standing = self.config.motion.standing(tracks.modes) > 0.5
        # What is said to stand though it may move is off by its speed.
        denied = np.where((standing | ~moving)[:, None], mean[:, 2:], 0.0)
        mean[:, 2:] -= denied
        covariance[:, 2:, 2:] += denied[:, :, None] * denied[:, None, :]
        covariance[:, :2, :2] += tracks.hidden
        recent = _bits(now - tracks.seen <= self.config.recent * 1e9)
        ever = _bits(tracks.seen >= tracks.first[:, None])
        middle = tracks.bottom + tracks.size[:, 2] / 2
        yaws, sizes = _along_motion(mean[:, 2:], tracks)
        columns = zip(
            [self._ids[key] for key in tracks.keys],
            names,
            scores,
            tracks.existence.tolist(),
            tracks.score.tolist(),
            np.concatenate([mean[:, :2], middle[:, None]], axis=1),
            sizes,
            yaws.tolist(),
            mean[:, 2:],
            covariance,
            ever,
            recent,
            ((now - tracks.first) * 1e-9).tolist(),
            ((now - tracks.last) * 1e-9).tolist(),
            strict=True,
        )
        found = [Track(*column) for column in columns]
        return sorted(found, key=lambda track: track.id)

    def _step(self, before: Updated, since: int, measurement: Measurement) -> Updated:
        """Return what comes of a measurement that follows `before`, of stamp `since`."""
        tracks = before.tracks.copy_with_classes(len(self._class_names))
        if len(tracks):
            dt = (measurement.stamp - since) * 1e-9
            tracks.mean, tracks.covariance, tracks.modes = self.config.motion.predict(
                tracks.mean, tracks.covariance, tracks.modes, dt, self._familiar[tracks.kind]
            )
        if measurement.treatment.excluded:
            updated = self._update(tracks.copy(), measurement)
            nobody = np.full(len(measurement), None, object)
            updated = replace(updated, tracks=tracks, keys=nobody)
        else:
            updated = self._update(tracks, measurement)
        tracks = merge_agreeing(updated.tracks, self._class_names, self.config)
        return replace(updated, tracks=self._manage(tracks, measurement.stamp))

    def _update(self, tracks: TrackSet, measurement: Measurement) -> Updated:
        """Apply a measurement to tracks predicted to it, in place."""
        if isinstance(measurement, LidarMeasurement):
            return update_with_lidar(tracks, measurement, self._class_names, self.config)
        if isinstance(measurement, ClearanceMeasurement):
            return update_with_clearance(tracks, measurement, self.config)
        if isinstance(measurement, BoxMeasurement):
            return update_with_boxes(
                tracks, measurement, self._class_names, self._box_table, self.config
            )
        if isinstance(measurement, RadarMeasurement):
            return update_with_radar(tracks, measurement, self.config)
        if isinstance(measurement, PeerMeasurement):
            return update_with_peer(tracks, measurement, self._class_names, self.config)
        return update_with_camera(tracks, measurement, self._class_names, self.config)

    def _manage(self, tracks: TrackSet, now: int) -> TrackSet:
        """Confirm what is sure enough and forget what is not there any more."""
        config = self.config
        sure = tracks.existence >= config.confirm_existence
        tracks.confirmed |= sure & (tracks.hits >= config.confirm_hits)
        kind = tracks.kind
        patience = np.where(kind >= 0, config.max_coasting, config.max_coasting_unnamed)
        patience = np.where(tracks.confirmed, patience, config.max_coasting_tentative)
        least = np.full(len(tracks), config.delete_existence)
        if (boxed := tracks.boxed > 0).any():
            own = self._box_table[kind]
            tracks.confirmed |= boxed & (tracks.existence >= own["confirm_existence"])
            patience = np.where(boxed, own["max_coasting"], patience)
            least = np.where(boxed, own["delete_existence"], least)
        places = np.einsum("nj,njkk->kn", tracks.modes, tracks.covariance[:, :, :2, :2])
        variance = np.maximum(places[0], places[1])
        keep = (
            (tracks.existence >= least)
            & (now - tracks.last <= patience * 1e9)
            & (variance <= config.max_position_error**2)
        )
        return tracks.select(keep)

    def _add_classes(self, labels: set[str]) -> None:
        """Make room for the classes of a measurement that are new."""
        if new := labels.difference(self._class_names):
            self._class_names += sorted(new)
            self._tabulate()

    def _tabulate(self) -> None:
        """Look up what the configuration says of each class and, last, of what has none."""
        self._box_table = box_table(self.config, self._class_names)
        known = [name in self.config.priors for name in self._class_names]
        self._familiar: NDArray[np.bool_] = np.array([*known, False])

    def _settle(self) -> None:
        """Apply what came late, and name what is confirmed by now."""
        if self.history.settled:
            return
        changed = self.history.settle()
        tracks = self.history.state.tracks
        if changed:
            self._keep_identities(changed, tracks)
        self._name(tracks)

    def _name(self, tracks: TrackSet) -> None:
        """Give an identity to what is confirmed and has none."""
        for key in tracks.keys[tracks.confirmed]:
            if key not in self._ids:
                self._ids[key] = self._next_id
                self._next_id += 1

    def _keep_identities(self, changed: list[tuple[Updated, Updated]], now: TrackSet) -> None:
        """Hand on the identity of tracks that a late measurement made begin elsewhere.

        The heir is the track that now owns most of the boxes the old one owned.
        """
        alive = set(now.keys)
        votes: Counter[tuple[BirthKey, BirthKey]] = Counter()
        for before, after in changed:
            votes.update(
                (a, b)
                for a, b in zip(before.keys, after.keys, strict=True)
                if a in self._ids and a not in alive and b in alive and b not in self._ids
            )
        for (lost, heir), _ in votes.most_common():
            if lost in self._ids and heir not in self._ids:
                self._ids[heir] = self._ids.pop(lost)

    def _forget(self, now: int) -> None:
        """Forget what is older than the history is long at `now`, and judge it."""
        gone = self.history.forget(now)
        if not gone:
            return
        for measurement, updated in gone:
            if isinstance(measurement, ClearanceMeasurement):
                continue  # it has no boxes to be judged by
            sensor = sensor_name(measurement.source, measurement.sensor)
            self.consistency.judge(sensor, measurement.stamp, updated.nis, updated.degrees)
            self.alignment.observe(measurement, updated.keys)
        if len(self._ids) <= self._most_ids:
            return
        known = set(self.history.state.tracks.keys)
        known.update(key for state in self.history.states() for key in state.tracks.keys)
        self._ids = {key: identity for key, identity in self._ids.items() if key in known}
        self._most_ids = 2 * len(self._ids) + _SPARE_IDS

    def _classes(self, tracks: TrackSet, kind: NDArray[np.intp]) -> tuple[list[str], list[float]]:
        """Return each track's most probable class and its probability."""
        most = tracks.classes.max(axis=1, initial=0.0)
        scores = most / (tracks.classes.sum(axis=1) + _UNSEEN_CLASS)
        names = [*self._class_names, "unknown"]
        return [names[column] for column in kind.tolist()], scores.tolist()


def _order(measurement: Measurement) -> Order:
    rank = _SAME_INSTANT[measurement.source]
    if isinstance(measurement, ClearanceMeasurement):
        rank = len(_SAME_INSTANT)
    return measurement.stamp, rank, measurement.sensor


def _bits(flags: NDArray[np.bool_]) -> list[Source]:
    """Return the sources that each row of flags stands for."""
    return [_SETS[bits] for bits in (flags @ _BITS).tolist()]


def _along_motion(velocity: Array, tracks: TrackSet) -> tuple[Array, Array]:
    """Return headings and sizes so that the lengths point along the motion, where there is any.

    What the sides of a cluster make the length may be the width; a whole box can only have its
    front for its back.
    """
    turn = np.where(tracks.boxed > 0, np.pi, np.pi / 2)
    course = np.arctan2(velocity[:, 1], velocity[:, 0])
    moves = np.hypot(velocity[:, 0], velocity[:, 1]) >= _HEADING_SPEED
    turns = np.where(moves, np.rint((course - tracks.yaw) / turn), 0.0)
    yaw = tracks.yaw + turns * turn
    sideways = (tracks.boxed == 0) & (turns % 2 == 1)
    size = np.where(sideways[:, None], tracks.size[:, [1, 0, 2]], tracks.size)
    return np.where(turns == 0.0, yaw, np.arctan2(np.sin(yaw), np.cos(yaw))), size
