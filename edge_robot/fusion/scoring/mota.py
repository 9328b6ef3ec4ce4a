"""CLEAR-MOT at one operating point, and its averages over recall as AB3DMOT defines them.

CLEAR-MOT: Bernardin and Stiefelhagen, 2008, with KITTI's rules of what is ignored (its tracking
development kit). sAMOTA, AMOTA, AMOTP: Weng et al., "3D Multi-Object Tracking: A Baseline and New
Evaluation Metrics", IROS 2020. A track is kept or left out as a whole by the mean score of its
frames; the threshold is lowered so that recall goes up in forty steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge_robot.errors import UserError
from edge_robot.fusion.association import assign
from edge_robot.fusion.boxes import cover
from edge_robot.fusion.boxes3d import iou_3d
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.scoring.kitti import DONT_CARE, MAX_FRAME, Objects

MIN_IOU = 0.25
"""Least 3D IoU of a result and the label it is counted for."""

RECALLS = 40
"""Steps of recall that are averaged over."""

_NEIGHBOURS = {"car": "van", "pedestrian": "person_sitting"}
"""Classes so alike that finding one is neither right nor wrong."""

_MAX_OCCLUSION = 2
_MIN_HEIGHT = 25.0  # pixels; what is lower in the image is no false positive
_MAX_DONT_CARE = 0.5  # share of a rectangle inside of one region; likewise
_NOBODY = -1


@dataclass(frozen=True)
class Point:
    """One operating point: tracks below a score left out.

    Attributes:
        threshold: Least mean score of a track.
        recall: Recall that the threshold was chosen for, 0..1.
        mota: 1 − (misses + false positives + identity switches) / labels.
        smota: The same, scaled to what can be reached at this recall, 0..1.
        motp: Mean 3D IoU of the matches, 0..1.
        true_positives: Matches, those with ignored labels included.
        false_positives: Results that match nothing and are not ignored.
        misses: Labels without a match that are not ignored.
        switches: Times that a label's match changed its identity from one frame to the next.
        fragments: Times that a label's tracking was interrupted.
    """

    threshold: float
    recall: float
    mota: float
    smota: float
    motp: float
    true_positives: int
    false_positives: int
    misses: int
    switches: int
    fragments: int


@dataclass(frozen=True)
class Score:
    """How good the tracks of one class are.

    Attributes:
        samota: Mean of `smota` over the steps of recall; steps never reached count 0.
        amota: Mean of `mota`, likewise.
        amotp: Mean of `motp`, likewise.
        best: The point of highest MOTA; all tracks where none is above 0.
        curve: The points, by rising recall.
    """

    samota: float
    amota: float
    amotp: float
    best: Point
    curve: tuple[Point, ...]


def score(
    labels: Mapping[str, Objects],
    results: Mapping[str, Objects],
    name: str,
    min_iou: float = MIN_IOU,
) -> Score:
    """Return how good tracks are against labels.

    Args:
        labels: By sequence.
        results: Tracks of the class, by sequence; a sequence that is missing had none.
        name: The class, in lower case.
        min_iou: Least 3D IoU of a match, 0..1.

    Raises:
        UserError: A track occurs twice in one frame, or no label is of the class.
    """
    data = _pair_up(labels, results, name, min_iou)
    if data.ignorable.all():
        raise UserError(f"no label of class {name} in sequences {', '.join(labels) or 'none'}")
    scores = data.mean_scores(data.scores)
    curve = []
    for threshold, recall in data.thresholds(scores):
        # A threshold is the score of a track. AB3DMOT takes the mean of the means anew at each, so
        # rounding decides whether that track itself stays, and its published figures hang on it:
        # five of the cyclists' forty steps count 0 for no other reason.
        scores = data.mean_scores(scores[data.track])
        curve.append(data.point(scores >= threshold, threshold, recall))
    best = max(curve, key=lambda point: point.mota, default=None)
    if best is None or best.mota <= 0.0:
        best = data.point(np.full(len(scores), True), -np.inf, 1.0)
    return Score(
        samota=sum(point.smota for point in curve) / RECALLS,
        amota=sum(point.mota for point in curve) / RECALLS,
        amotp=sum(point.motp for point in curve) / RECALLS,
        best=best,
        curve=tuple(curve),
    )


@dataclass(frozen=True)
class _Evaluation:
    """Labels and results of one class, all sequences end to end.

    Attributes:
        label_track: (G,) labelled object of each label; ordered by object, then frame.
        ignorable: (G,) whether finding or missing the label counts for nothing.
        track: (T,) track of each result.
        scores: (T,) of each result.
        forgiven: (T,) whether a result that matches nothing is no false positive.
        pair_frame: (P,) frame of each pair of label and result that overlap enough, rising.
        pair_label: (P,) index of its label.
        pair_result: (P,) index of its result.
        pair_iou: (P,) 0..1.
    """

    label_track: NDArray[np.intp]
    ignorable: NDArray[np.bool_]
    track: NDArray[np.intp]
    scores: Array
    forgiven: NDArray[np.bool_]
    pair_frame: NDArray[np.intp]
    pair_label: NDArray[np.intp]
    pair_result: NDArray[np.intp]
    pair_iou: Array

    def mean_scores(self, scores: Array) -> Array:
        """Return the mean of each track's scores, summed up in the order of frames."""
        return np.bincount(self.track, scores) / np.bincount(self.track)

    def thresholds(self, scores: Array) -> list[tuple[float, float]]:
        """Return the scores at which recall comes nearest to each of its steps, and the steps."""
        found, _ = self._match(np.full(len(self.track), True))
        matched = np.sort(scores[self.track[found[found != _NOBODY]]])[::-1]
        count = len(matched) + int((~self.ignorable & (found == _NOBODY)).sum())
        chosen, recall = [], 0.0
        for i, threshold in enumerate(matched.tolist(), start=1):
            last = i == len(matched)
            if not last and (i + 1) / count - recall < recall - i / count:
                continue
            chosen.append((threshold, recall))
            recall += 1.0 / RECALLS
        return chosen[1:]  # the first is at no recall

    def point(self, keep: NDArray[np.bool_], threshold: float, recall: float) -> Point:
        """Return the figures with the tracks where `keep` is true."""
        kept = keep[self.track]
        found, overlap = self._match(kept)
        is_found = found != _NOBODY
        unmatched = kept.copy()
        unmatched[found[is_found]] = False
        count = int((~self.ignorable).sum())
        matches = int(is_found.sum())
        misses = int((~is_found & ~self.ignorable).sum())
        false = int((unmatched & ~self.forgiven).sum())
        switches, fragments = self._interruptions(found)
        wrong = misses + false + switches
        return Point(
            threshold=threshold,
            recall=recall,
            mota=1.0 - wrong / count,
            smota=min(1.0, max(0.0, 1.0 - (wrong - (1.0 - recall) * count) / (recall * count))),
            motp=float(overlap.sum()) / matches if matches else 0.0,
            true_positives=matches,
            false_positives=false,
            misses=misses,
            switches=switches,
            fragments=fragments,
        )

    def _match(self, kept: NDArray[np.bool_]) -> tuple[NDArray[np.intp], Array]:
        """Return the result that each label is found by, or `_NOBODY`, and their IoU, both (G,)."""
        use = kept[self.pair_result]
        frame, label, result = self.pair_frame[use], self.pair_label[use], self.pair_result[use]
        iou = self.pair_iou[use]
        rivals = (np.bincount(label)[label] > 1) | (np.bincount(result)[result] > 1)
        chosen = ~np.isin(frame, frame[rivals])
        disputed = np.flatnonzero(~chosen)
        for pairs in np.split(disputed, np.flatnonzero(np.diff(frame[disputed])) + 1):
            chosen[pairs[_best(label[pairs], result[pairs], iou[pairs])]] = True
        found = np.full(len(self.label_track), _NOBODY, np.intp)
        overlap = np.zeros(len(self.label_track))
        found[label[chosen]] = result[chosen]
        overlap[label[chosen]] = iou[chosen]
        return found, overlap

    def _interruptions(self, result: NDArray[np.intp]) -> tuple[int, int]:
        """Return identity switches and fragments, as KITTI's development kit counts them.

        Args:
            result: (G,) result that each label is found by, or `_NOBODY`.
        """
        by = np.append(self.track, _NOBODY)[result]
        start = np.diff(self.label_track, prepend=_NOBODY) != 0
        end = np.roll(start, -1)
        found, counts = by != _NOBODY, ~self.ignorable & ~start
        before, after = np.roll(by, 1), np.roll(by, -1)
        changed = found & counts & (by != before)

        known = np.roll(start | ~self.ignorable, 1) & (before != _NOBODY)
        switched = changed & known

        # An interruption needs something before it: a match since the object was last ignored.
        events = start | self.ignorable | found
        latest = np.maximum.accumulate(np.where(events, np.arange(len(by)), 0))
        tracked = np.roll((found & (start | ~self.ignorable))[latest], 1)
        broken = changed & (end | (tracked & (after != _NOBODY)))
        return int(switched.sum()), int(broken.sum())


def _pair_up(
    labels: Mapping[str, Objects], results: Mapping[str, Objects], name: str, min_iou: float
) -> _Evaluation:
    """Return what may be counted for what; the arguments are those of `score`."""
    ours = (name, _NEIGHBOURS.get(name, name))
    truth = _end_to_end(labels.values())
    regions = truth.select(truth.names == DONT_CARE)
    truth = truth.select(np.isin(truth.names, ours) & (truth.ids != _NOBODY))
    truth = truth.select(np.lexsort((truth.frames, truth.ids)))
    found = _end_to_end(results.get(sequence, Objects.empty()) for sequence in labels)
    found = found.select(np.isin(found.names, ours) & (found.ids != _NOBODY))
    if len(np.unique([found.frames, found.ids], axis=1).T) < len(found):
        raise UserError(f"a track of class {name} occurs twice in one frame")

    pairs = [np.empty((4, 0))]
    height = np.abs(found.rectangles[:, 3] - found.rectangles[:, 1])
    forgiven = (found.names != name) | (height <= _MIN_HEIGHT)
    for frame in np.unique(found.frames):
        mine = np.flatnonzero(found.frames == frame)
        theirs = np.flatnonzero(truth.frames == frame)
        overlap = iou_3d(truth.boxes[theirs], found.boxes[mine])
        i, j = np.nonzero(overlap >= min_iou)
        pairs.append(np.stack([np.full(len(i), frame), theirs[i], mine[j], overlap[i, j]]))
        here = regions.rectangles[regions.frames == frame]
        forgiven[mine] |= (cover(here, found.rectangles[mine]) > _MAX_DONT_CARE).any(axis=0)
    pair_frame, pair_label, pair_result, pair_iou = np.concatenate(pairs, axis=1)
    return _Evaluation(
        label_track=truth.ids,
        ignorable=truth.truncated | (truth.occlusion > _MAX_OCCLUSION) | (truth.names != name),
        track=np.unique(found.ids, return_inverse=True)[1],
        scores=found.scores,
        forgiven=forgiven,
        pair_frame=pair_frame.astype(np.intp),
        pair_label=pair_label.astype(np.intp),
        pair_result=pair_result.astype(np.intp),
        pair_iou=pair_iou,
    )


def _end_to_end(sequences: Iterable[Objects]) -> Objects:
    """Return the rows of all sequences as of one, with frames and identities of its own for each.

    Rows of no track keep −1.
    """
    shifted = []
    identities = 0
    for number, objects in enumerate(sequences):
        known, ids = np.unique(objects.ids, return_inverse=True)
        ids = np.where(objects.ids == _NOBODY, _NOBODY, ids + identities)
        frames = objects.frames + number * (MAX_FRAME + 1)
        shifted.append(replace(objects, frames=frames, ids=ids))
        identities += len(known)
    return Objects.joined(shifted)


def _best(label: NDArray[np.intp], result: NDArray[np.intp], iou: Array) -> NDArray[np.intp]:
    """Return the pairs of one frame that together overlap most, as indices into the arrays."""
    rows, i = np.unique(label, return_inverse=True)
    columns, j = np.unique(result, return_inverse=True)
    pair = np.full((len(rows), len(columns)), _NOBODY)
    pair[i, j] = np.arange(len(iou))
    return pair[assign(1.0 - iou[pair], pair != _NOBODY)]
