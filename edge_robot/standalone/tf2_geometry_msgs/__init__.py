"""Transforms geometry_msgs: importing this registers them with `tf2_ros.Buffer.transform`."""

from __future__ import annotations

from typing import Any

from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.tf2_ros.buffer_interface import (
    ConvertRegistration,
    TransformRegistration,
)
from edge_robot.standalone.tf2_ros.rigid import Rigid, Vector, rotate

__all__ = [
    "do_transform_point",
    "do_transform_polygon_stamped",
    "do_transform_pose",
    "do_transform_pose_stamped",
    "do_transform_pose_with_covariance_stamped",
    "do_transform_vector3",
    "from_msg_msg",
    "to_msg_msg",
    "transform_covariance",
]

PointStamped = message_class("geometry_msgs/msg/PointStamped")
PolygonStamped = message_class("geometry_msgs/msg/PolygonStamped")
Pose = message_class("geometry_msgs/msg/Pose")
PoseStamped = message_class("geometry_msgs/msg/PoseStamped")
PoseWithCovarianceStamped = message_class("geometry_msgs/msg/PoseWithCovarianceStamped")
Vector3Stamped = message_class("geometry_msgs/msg/Vector3Stamped")


def to_msg_msg(msg: Any) -> Any:
    """Return a message as a message."""
    return msg


def from_msg_msg(msg: Any) -> Any:
    """Return a message as a message."""
    return msg


def do_transform_point(point: Any, transform: Any) -> Any:
    """Return a `PointStamped`, moved by a `TransformStamped`."""
    result = PointStamped(header=transform.header)
    _set(result.point, _move(_rigid(transform), _vector(point.point)))
    return result


def do_transform_vector3(vector3: Any, transform: Any) -> Any:
    """Return a `Vector3Stamped`, turned but not moved by a `TransformStamped`."""
    result = Vector3Stamped(header=transform.header)
    _set(result.vector, rotate(_rigid(transform).rotation, _vector(vector3.vector)))
    return result


def do_transform_pose(pose: Any, transform: Any) -> Any:
    """Return a `Pose`, moved by a `TransformStamped`."""
    turn = pose.orientation
    moved = _rigid(transform).after(Rigid(_vector(pose.position), (turn.x, turn.y, turn.z, turn.w)))
    result = Pose()
    _set(result.position, moved.translation)
    turn = result.orientation
    turn.x, turn.y, turn.z, turn.w = moved.rotation
    return result


def do_transform_pose_stamped(pose: Any, transform: Any) -> Any:
    """Return a `PoseStamped`, moved by a `TransformStamped`."""
    return PoseStamped(header=transform.header, pose=do_transform_pose(pose.pose, transform))


def do_transform_pose_with_covariance_stamped(pose: Any, transform: Any) -> Any:
    """Return a `PoseWithCovarianceStamped`, moved by a `TransformStamped`."""
    result = PoseWithCovarianceStamped(header=transform.header)
    result.pose.pose = do_transform_pose(pose.pose.pose, transform)
    result.pose.covariance = transform_covariance(pose.pose.covariance, transform)
    return result


def do_transform_polygon_stamped(polygon: Any, transform: Any) -> Any:
    """Return a `PolygonStamped`, moved by a `TransformStamped`."""
    rigid = _rigid(transform)
    result = PolygonStamped(header=transform.header)
    for point in polygon.polygon.points:
        moved = type(point)()
        _set(moved, _move(rigid, _vector(point)))
        result.polygon.points.append(moved)
    return result


def transform_covariance(cov_in: Any, transform: Any) -> Any:
    """Return the covariance of a pose (6×6, row by row), turned by a `TransformStamped`."""
    import numpy as np

    turn = _rigid(transform).rotation
    axes = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    # Position and orientation turn alike: one rotation matrix for each on the diagonal.
    both = np.kron(np.eye(2), np.transpose([rotate(turn, axis) for axis in axes]))
    return (both @ np.reshape(cov_in, (6, 6)) @ both.T).ravel()


def _rigid(transform: Any) -> Rigid:
    turn = transform.transform.rotation
    return Rigid(_vector(transform.transform.translation), (turn.x, turn.y, turn.z, turn.w))


def _move(rigid: Rigid, point: Vector) -> Vector:
    return rigid.after(Rigid(point, (0.0, 0.0, 0.0, 1.0))).translation


def _vector(message: Any) -> Vector:
    return message.x, message.y, message.z


def _set(message: Any, vector: Vector) -> None:
    message.x, message.y, message.z = vector


for _type, _transform in (
    (PointStamped, do_transform_point),
    (Vector3Stamped, do_transform_vector3),
    (PoseStamped, do_transform_pose_stamped),
    (PoseWithCovarianceStamped, do_transform_pose_with_covariance_stamped),
    (PolygonStamped, do_transform_polygon_stamped),
):
    TransformRegistration().add(_type, _transform)
    ConvertRegistration().add_to_msg(_type, to_msg_msg)
    ConvertRegistration().add_from_msg(_type, from_msg_msg)
