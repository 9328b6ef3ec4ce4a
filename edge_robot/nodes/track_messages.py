"""Between the tracker and the messages it reads and writes."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point, Transform, Vector3
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, Detection3DArray

from edge_robot.fusion.camera import CameraView
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.measurements import CameraMeasurement, LidarMeasurement, Source
from edge_robot.fusion.tracks import Track
from edge_robot.msg import TrackedObject, TrackedObjectArray
from edge_robot.nodes.conversions import nanoseconds, stamp_from_nanoseconds, yaw_of
from edge_robot.perception.tiering.expected import Expected


def pose_matrix(transform: Transform) -> Array:
    """Return a transform as a (4, 4) matrix."""
    q, t = transform.rotation, transform.translation
    x, y, z, w = np.array([q.x, q.y, q.z, q.w]) / np.linalg.norm([q.x, q.y, q.z, q.w])
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y), t.x],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x), t.y],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y), t.z],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )


def lidar_measurement(message: Detection3DArray, fixed_from_sensor: Array) -> LidarMeasurement:
    """Return the boxes of a sweep, with where the sensor was."""
    rows = [
        (
            *(d.bbox.center.position.x, d.bbox.center.position.y, d.bbox.center.position.z),
            *(d.bbox.size.x, d.bbox.size.y, d.bbox.size.z),
            yaw_of(d.bbox.center.orientation),
            # The first hypothesis is the object; a second one tells whether it moves.
            d.results[0].hypothesis.score if d.results else np.nan,
        )
        for d in message.detections
    ]
    table = np.array(rows, float).reshape(-1, 8)
    return LidarMeasurement(
        stamp=nanoseconds(message.header.stamp),
        centers=table[:, :3],
        sizes=table[:, 3:6],
        yaws=table[:, 6],
        scores=table[:, 7],
        fixed_from_sensor=fixed_from_sensor,
    )


def camera_view(info: CameraInfo, fixed_from_optical: Array) -> CameraView:
    """Return a camera at one instant; a calibration without P (all zero) projects with K."""
    projection = np.asarray(info.p, float).reshape(3, 4)
    if projection[0, 0] == 0.0:
        projection = np.column_stack([np.asarray(info.k, float).reshape(3, 3), np.zeros(3)])
    return CameraView(projection, int(info.width), int(info.height), fixed_from_optical)


def expected_in_view(tracks: TrackedObjectArray, view: CameraView) -> Expected:
    """Return where a camera should see the tracks that a camera has ever seen."""
    seen_by_camera = TrackedObject.SOURCE_CAMERA | TrackedObject.SOURCE_FLEET
    objects = [item for item in tracks.objects if item.sources & seen_by_camera]
    boxes, visible = view.project_boxes(
        np.array([(o.position.x, o.position.y, o.position.z) for o in objects]).reshape(-1, 3),
        np.array([(o.size.x, o.size.y, o.size.z) for o in objects]).reshape(-1, 3),
        np.array([o.yaw for o in objects], float),
    )
    return Expected(
        boxes[visible].astype(np.float32),
        tuple(o.class_name for o, shown in zip(objects, visible, strict=True) if shown),
        np.array([o.existence for o in objects], np.float32)[visible],
    )


def camera_measurement(
    message: Detection2DArray, info: CameraInfo, fixed_from_optical: Array, source: Source
) -> CameraMeasurement:
    """Return the boxes of an image, with where the camera was and how it projects."""
    boxes, scores, labels = [], [], []
    for detection in message.detections:
        best = max(detection.results, key=lambda result: result.hypothesis.score, default=None)
        if best is None:
            continue
        center, box = detection.bbox.center.position, detection.bbox
        half_width, half_height = box.size_x / 2, box.size_y / 2
        boxes.append(
            (
                *(center.x - half_width, center.y - half_height),
                *(center.x + half_width, center.y + half_height),
            )
        )
        scores.append(best.hypothesis.score)
        labels.append(best.hypothesis.class_id)
    return CameraMeasurement(
        stamp=nanoseconds(message.header.stamp),
        boxes=np.array(boxes, float).reshape(-1, 4),
        scores=np.array(scores, float),
        labels=labels,
        view=camera_view(info, fixed_from_optical),
        source=source,
    )


def to_tracked_object_array(
    tracks: list[Track], stamp: int, capture_stamp: int, frame: str
) -> TrackedObjectArray:
    """Return confirmed tracks as a message.

    Args:
        tracks: At `stamp`.
        stamp: ns.
        capture_stamp: Of the newest image fused, ns; 0 before the first.
        frame: The fixed frame.
    """
    return TrackedObjectArray(
        header=Header(stamp=stamp_from_nanoseconds(stamp), frame_id=frame),
        capture_stamp=stamp_from_nanoseconds(capture_stamp),
        objects=[_to_tracked_object(track) for track in tracks],
    )


def _to_tracked_object(track: Track) -> TrackedObject:
    x, y, z = track.position.tolist()
    length, width, height = track.size.tolist()
    vx, vy = track.velocity.tolist()
    return TrackedObject(
        id=track.id,
        class_name=track.class_name,
        class_score=track.class_score,
        existence=track.existence,
        position=Point(x=x, y=y, z=z),
        size=Vector3(x=length, y=width, z=height),
        yaw=track.yaw,
        velocity=Vector3(x=vx, y=vy, z=0.0),
        covariance=track.covariance.ravel(),
        sources=int(track.sources),
        recent_sources=int(track.recent_sources),
        age=track.age,
        coasting=track.coasting,
    )
