"""Listens to what Gazebo's world tells the stack, drives a little, and prints what came as JSON."""

import json
import math
import sys
import time

import numpy as np
import rclpy
from geometry_msgs.msg import TwistStamped

from edge_robot import topics
from edge_robot.introspection.interfaces import interface_class
from edge_robot.nodes.qos import listening_profile, qos_profile

LISTENED = (
    topics.CLOCK,
    topics.TF,
    topics.TF_STATIC,
    topics.ODOM,
    topics.IMU,
    topics.CAMERA_IMAGE,
    topics.CAMERA_INFO,
    topics.LIDAR_POINTS,
    topics.SCAN,
    topics.SIMULATION_TRUTH,
)
SPEED = 0.3


def stamp_of(message):
    """Return the time a message is of, s; None where it has none."""
    if hasattr(message, "clock"):
        stamp = message.clock
    elif hasattr(message, "transforms"):
        stamp = message.transforms[0].header.stamp
    else:
        stamp = message.header.stamp
    return stamp.sec + stamp.nanosec * 1e-9


def main():
    """Stand until all topics speak, listen for some simulated seconds, drive, and look again."""
    seconds = float(sys.argv[1])
    rclpy.init()
    node = rclpy.create_node("gazebo_listener")
    heard = {topic.name: [] for topic in LISTENED}
    for topic in LISTENED:
        node.create_subscription(
            interface_class(topic.type),
            topic.name,
            lambda message, name=topic.name: heard[name].append(message),
            listening_profile(topic, depth=10),
        )
    commands = node.create_publisher(TwistStamped, topics.CMD_VEL.name, qos_profile(topics.CMD_VEL))

    def spin_until(done, limit):
        ends = time.monotonic() + limit
        while not done():
            if time.monotonic() > ends:
                silent = [name for name, messages in heard.items() if not messages]
                raise SystemExit(f"nothing was heard on {silent}")
            rclpy.spin_once(node, timeout_sec=0.05)

    def now():
        return stamp_of(heard["/clock"][-1])

    spin_until(lambda: all(heard.values()), 120.0)
    for topic in LISTENED:
        if topic is not topics.TF_STATIC:
            heard[topic.name].clear()
    spin_until(lambda: heard["/clock"], 20.0)
    began, wall = now(), time.monotonic()
    spin_until(lambda: now() - began > seconds, 30.0 + 10.0 * seconds)
    told = {
        "real_time_factor": (now() - began) / (time.monotonic() - wall),
        "rates": {
            name: (len(messages) - 1) / (stamp_of(messages[-1]) - stamp_of(messages[0]))
            for name, messages in heard.items()
            if name != topics.TF_STATIC.name
        },
        "newest_age": {
            name: now() - stamp_of(messages[-1])
            for name, messages in heard.items()
            if name != topics.TF_STATIC.name
        },
        **standing(heard),
    }
    commanded = now()
    told["before"] = poses(heard)
    while now() - commanded < 2.0:
        command = TwistStamped()
        command.header.frame_id = "base_link"
        command.header.stamp = heard["/clock"][-1].clock
        command.twist.linear.x, command.twist.angular.z = SPEED, 0.5
        commands.publish(command)
        rclpy.spin_once(node, timeout_sec=0.01)
    told["speed"] = heard[topics.ODOM.name][-1].twist.twist.linear.x
    told["yaw_rate"] = heard[topics.ODOM.name][-1].twist.twist.angular.z
    stopped = now()
    spin_until(lambda: now() - stopped > 1.0, 60.0)
    told["after"] = poses(heard)
    told["speed_after"] = heard[topics.ODOM.name][-1].twist.twist.linear.x
    print(json.dumps(told))
    rclpy.try_shutdown()


def standing(heard):
    """Return what the messages say while the robot stands."""
    image, info = heard["camera/front/image_raw"][-1], heard["camera/front/camera_info"][-1]
    cloud, scan, imu = heard["lidar/points"][-1], heard["scan"][-1], heard["imu/data"][-1]
    odometry, truth = heard["odom"][-1], heard["sim/truth"][-1]
    fields = {field.name: field.offset for field in cloud.fields}
    rows = np.frombuffer(bytes(cloud.data), np.uint8).reshape(-1, cloud.point_step)
    points = np.hstack(
        [rows[:, fields[axis] : fields[axis] + 4].copy().view(np.float32) for axis in "xyz"]
    )
    points = points[np.isfinite(points).all(axis=1)]
    pixels = np.frombuffer(bytes(image.data), np.uint8)
    ranges = [r if math.isfinite(r) else None for r in scan.ranges]
    frames = {
        transform.child_frame_id: transform.header.frame_id
        for message in (*heard["/tf_static"], heard["/tf"][-1])
        for transform in message.transforms
    }
    return {
        "frames": {
            name: heard[name][-1].header.frame_id
            for name in (
                "odom",
                "imu/data",
                "camera/front/image_raw",
                "camera/front/camera_info",
                "lidar/points",
                "scan",
                "sim/truth",
            )
        },
        "transforms": frames,
        "image": [image.width, image.height, image.encoding, int(pixels.min()), int(pixels.max())],
        "focal": [info.k[0], info.k[4], info.k[2], info.k[5]],
        "points": len(points),
        "elevations": [
            float(v)
            for v in np.degrees(
                np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1]))[[0, -1]]
            )
        ],
        "point_heights": [float(points[:, 2].min()), float(points[:, 2].max())],
        "nearest_point": float(np.linalg.norm(points, axis=1).min()),
        "scan": [scan.angle_min, scan.angle_increment, scan.range_min, scan.range_max],
        "ranges": ranges,
        "gravity": imu.linear_acceleration.z,
        "covariance": odometry.pose.covariance[0],
        "people": len(truth.people),
        "collided_with": list(truth.collided_with),
    }


def poses(heard):
    """Return where odometry and truth have the robot: x, y."""
    odometry, truth = heard["odom"][-1].pose.pose.position, heard["sim/truth"][-1].robot.position
    return {"odom": [odometry.x, odometry.y], "truth": [truth.x, truth.y]}


main()
