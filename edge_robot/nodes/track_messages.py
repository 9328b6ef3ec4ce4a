"""Between the tracker and the messages it reads and writes."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Point, Pose, Vector3
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, LaserScan, RegionOfInterest
from std_msgs.msg import Header
from vision_msgs.msg import (
    Detection2DArray,
    Detection3D,
    Detection3DArray,
    ObjectHypothesisWithPose,
)

from edge_robot.fusion.camera import CameraView
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.measurements import (
    BoxMeasurement,
    CameraMeasurement,
    ClearanceMeasurement,
    LidarMeasurement,
    PeerMeasurement,
    Source,
)
from edge_robot.fusion.tracks import Track
from edge_robot.msg import TrackedObject, TrackedObjectArray
from edge_robot.nodes.conversions import (
    nanoseconds,
    quaternion_from_yaw,
    stamp_from_nanoseconds,
    yaw_of,
)
from edge_robot.nodes.sensing import check_scan
from edge_robot.perception.lidar.scan_geometry import ScanError
from edge_robot.perception.tiering.expected import Expected

UNCLASSIFIED = "object"
"""Class of a lidar box of which is known where it is, and not what."""


def is_labelled(message: Detection3DArray) -> bool:
    """Whether boxes are named: a 3D detector's, around whole objects."""
    return any(
        d.results and d.results[0].hypothesis.class_id != UNCLASSIFIED for d in message.detections
    )


def lidar_measurement(
    message: Detection3DArray, fixed_from_sensor: Array, sensor: str
) -> LidarMeasurement:
    """Return the boxes of a sweep, with where the sensor of this name was."""
    table = _box_table(message)
    return LidarMeasurement(
        stamp=nanoseconds(message.header.stamp),
        centers=table[:, :3],
        sizes=table[:, 3:6],
        yaws=table[:, 6],
        scores=table[:, 7],
        fixed_from_sensor=fixed_from_sensor,
        covariances=_pose_covariances(message)[:, :2, :2],
        sensor=sensor,
    )


def clearance_scan(ranges: NDArray[np.float32], header: Header) -> LaserScan:
    """Return how far a sweep sees past everything, by direction, as a message.

    Args:
        ranges: (C,) m, of equal parts of the circle from -π on; 0 where nothing is told.
        header: The sweep's: its capture time and frame.
    """
    step = 2.0 * np.pi / len(ranges)
    scan = LaserScan(
        header=header,
        angle_min=step / 2.0 - np.pi,
        angle_max=np.pi - step / 2.0,
        angle_increment=step,
        range_max=float(ranges.max()) + 1.0,
    )
    scan.ranges = array("f", ranges.tobytes())
    return scan


def clearance_measurement(
    message: LaserScan, fixed_from_sensor: Array, sensor: str
) -> ClearanceMeasurement:
    """Return how far the lidar of this name sees, with where it was.

    Raises:
        ScanError: The directions are not what the message's header says.
    """
    check_scan(message)
    if not 0.0 < message.angle_increment <= np.pi:
        raise ScanError(f"clearance with angle_increment {message.angle_increment:g}")
    return ClearanceMeasurement(
        stamp=nanoseconds(message.header.stamp),
        ranges=np.asarray(message.ranges, float),
        start=float(message.angle_min),
        step=float(message.angle_increment),
        fixed_from_sensor=fixed_from_sensor,
        sensor=sensor,
    )


def box_measurement(
    message: Detection3DArray, fixed_from_sensor: Array, sensor: str
) -> BoxMeasurement:
    """Return the named boxes of a 3D detector, with where the sensor of this name was.

    Their covariances are used if every box has one; 0 says that there is none.
    """
    table = _box_table(message)
    covariances = _pose_covariances(message)
    given = bool(len(table)) and (covariances[:, [0, 1], [0, 1]] != 0.0).all()
    return BoxMeasurement(
        stamp=nanoseconds(message.header.stamp),
        centers=table[:, :3],
        sizes=table[:, 3:6],
        yaws=table[:, 6],
        scores=table[:, 7],
        labels=[
            d.results[0].hypothesis.class_id if d.results else UNCLASSIFIED
            for d in message.detections
        ],
        fixed_from_sensor=fixed_from_sensor,
        covariances=covariances[:, :2, :2] if given else None,
        sensor=sensor,
    )


def _box_table(message: Detection3DArray) -> Array:
    """Return place, size, yaw and score of boxes, (M, 8)."""
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
    return np.array(rows, float).reshape(-1, 8)


def _pose_covariances(message: Detection3DArray) -> Array:
    """Return the covariance of each box's pose, (M, 6, 6); zero without a hypothesis."""
    nothing = np.zeros(36)  # nor is there a score, for which the box is refused
    each = [d.results[0].pose.covariance if d.results else nothing for d in message.detections]
    return np.array(each, float).reshape(-1, 6, 6)


def camera_view(info: CameraInfo, fixed_from_optical: Array) -> CameraView:
    """Return a camera at one instant; a calibration without P (all zero) projects with K."""
    return CameraView(_projection(info), int(info.width), int(info.height), fixed_from_optical)


def is_calibrated(info: CameraInfo) -> bool:
    """Whether a calibration says where things are seen; drivers without one send zeros."""
    projection = _projection(info)
    return bool(np.isfinite(projection).all() and np.linalg.det(projection[:, :3]) != 0.0)


def _projection(info: CameraInfo) -> Array:
    projection = np.asarray(info.p, float).reshape(3, 4)
    if projection[0, 0] == 0.0:
        projection = np.column_stack([np.asarray(info.k, float).reshape(3, 3), np.zeros(3)])
    return projection


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
    message: Detection2DArray,
    info: CameraInfo,
    fixed_from_optical: Array,
    source: Source,
    sensor: str,
    regions: Sequence[RegionOfInterest] = (),
) -> CameraMeasurement:
    """Return the boxes of an image, with where the camera of this name was and how it projects.

    `regions` are the only parts of the image that were looked at; none: all of it.
    """
    boxes, scores, labels, depths = [], [], [], []
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
        # A detector that looked at range images or lidar points as well tells the object's pose.
        variance = best.pose.covariance[14]
        depths.append((best.pose.pose.position.z, np.sqrt(variance) if variance > 0.0 else np.nan))
    return CameraMeasurement(
        stamp=nanoseconds(message.header.stamp),
        boxes=np.array(boxes, float).reshape(-1, 4),
        scores=np.array(scores, float),
        labels=labels,
        view=camera_view(info, fixed_from_optical),
        depths=np.array(depths, float).reshape(-1, 2),
        regions=_corners(regions) if regions else None,
        source=source,
        sensor=sensor,
    )


def _corners(regions: Sequence[RegionOfInterest]) -> Array:
    """Return x1 y1 x2 y2 of regions, (R, 4)."""
    return np.array(
        [(r.x_offset, r.y_offset, r.x_offset + r.width, r.y_offset + r.height) for r in regions],
        float,
    )


def peer_measurement(message: TrackedObjectArray, sensor: str) -> PeerMeasurement:
    """Return the tracks of the peer of this name, in its own frame."""
    objects = message.objects
    first_hand = TrackedObject.SOURCE_CAMERA | TrackedObject.SOURCE_LIDAR
    first_hand |= TrackedObject.SOURCE_FLEET
    return PeerMeasurement(
        stamp=nanoseconds(message.header.stamp),
        positions=np.array([(o.position.x, o.position.y, o.position.z) for o in objects]).reshape(
            -1, 3
        ),
        sizes=np.array([(o.size.x, o.size.y, o.size.z) for o in objects]).reshape(-1, 3),
        yaws=np.array([o.yaw for o in objects], float),
        velocities=np.array([(o.velocity.x, o.velocity.y) for o in objects]).reshape(-1, 2),
        covariances=np.array([o.covariance for o in objects], float).reshape(-1, 4, 4),
        scores=np.array([o.existence for o in objects], float),
        labels=[o.class_name for o in objects],
        label_scores=np.array([o.class_score for o in objects], float),
        first_hand=np.array([bool(o.recent_sources & first_hand) for o in objects], bool),
        sensor=sensor,
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


def to_detection_array(tracks: TrackedObjectArray) -> Detection3DArray:
    """Return tracks as a standard message: boxes with the id, the class and its probability.

    The covariance is that of x and y; 0 stands where none is estimated.
    """
    return Detection3DArray(
        header=tracks.header,
        detections=[_to_detection(item, tracks.header) for item in tracks.objects],
    )


def _to_detection(item: TrackedObject, header: Header) -> Detection3D:
    pose = Pose(position=item.position, orientation=quaternion_from_yaw(item.yaw))
    covariance = np.zeros((6, 6))
    covariance[:2, :2] = np.reshape(item.covariance, (4, 4))[:2, :2]
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id = item.class_name
    # Of a class that nothing has named, what is known is that something is there.
    named = item.class_score if item.class_score > 0.0 else 1.0
    result.hypothesis.score = item.existence * named
    result.pose.pose, result.pose.covariance = pose, covariance.ravel()
    detection = Detection3D(header=header, id=str(item.id), results=[result])
    detection.bbox.center, detection.bbox.size = pose, item.size
    return detection
