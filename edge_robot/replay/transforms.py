"""Poses of frames in one another, from the transforms of a recording."""

from __future__ import annotations

import bisect
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from edge_robot import topics
from edge_robot.recording.reader import Recording, nanoseconds


class TransformTree:
    """The recorded transforms; a moving one holds from its stamp to the next.

    Args:
        recording: Its /tf and /tf_static are read.
    """

    def __init__(self, recording: Recording) -> None:
        self._parents: dict[str, str] = {}
        self._stamps: dict[str, list[int]] = {}
        self._poses: dict[str, list[NDArray[np.float64]]] = {}
        rows = []
        for topic in (topics.TF_STATIC, topics.TF):
            for sample in recording.samples(recording.name_of(topic)):
                for item in sample.message.transforms:
                    is_static = topic is topics.TF_STATIC
                    rows.append((0 if is_static else nanoseconds(item.header.stamp), item))
        for stamp, item in sorted(rows, key=lambda row: row[0]):
            child = item.child_frame_id
            self._parents[child] = item.header.frame_id
            self._stamps.setdefault(child, []).append(stamp)
            self._poses.setdefault(child, []).append(_matrix(item.transform))

    def pose(self, parent: str, child: str, stamp: int) -> NDArray[np.float64] | None:
        """Return (4, 4) coordinates in `parent` from those in `child`; None where unconnected.

        Args:
            parent: Frame.
            child: Frame below it.
            stamp: ns.
        """
        pose = np.eye(4)
        while child != parent:
            if child not in self._parents:
                return None
            index = bisect.bisect_right(self._stamps[child], stamp) - 1
            pose = self._poses[child][max(index, 0)] @ pose
            child = self._parents[child]
        return pose


def _matrix(transform: Any) -> NDArray[np.float64]:
    t, q = transform.translation, transform.rotation
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix()
    matrix[:3, 3] = t.x, t.y, t.z
    return matrix
