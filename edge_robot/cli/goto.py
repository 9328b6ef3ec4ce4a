"""`edge-robot goto`: send the robot somewhere and watch it get there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rclpy.node import Node

_DISCOVERY_TIME = 10.0  # s


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    # Negative numbers are places, not options.
    app.command(context_settings={"ignore_unknown_options": True})(goto)


def goto(
    x: Annotated[float, typer.Argument(metavar="X", help="Place, m.")],
    y: Annotated[float, typer.Argument(metavar="Y", help="Place, m.")],
    yaw: Annotated[
        float | None,
        typer.Argument(metavar="YAW", help="Heading there, rad; else as seen from here."),
    ] = None,
    frame: Annotated[str, typer.Option(help="Frame of the place.")] = "map",
    namespace: Annotated[str, typer.Option(help="The robot's; none by default.")] = "",
) -> None:
    """Drive to a place and show how it comes along; Ctrl-C stops the robot.

    edge-robot goto 5 -2
    """
    from edge_robot.cli.direct_node import NODE_NAME_PREFIX, direct_node
    from edge_robot.topics import full_name

    moved = (f"__ns:={full_name(namespace)}", "/tf:=tf", "/tf_static:=tf_static")
    with direct_node(
        name=f"{NODE_NAME_PREFIX}_goto",
        arguments=tuple(word for rule in moved for word in ("-r", rule)),
        handle_signals=False,  # a signal must leave the node able to cancel the goal
    ) as node:
        _drive(node, x, y, yaw, frame)


def _drive(node: Node, x: float, y: float, yaw: float | None, frame: str) -> None:
    from action_msgs.msg import GoalStatus
    from geometry_msgs.msg import PoseStamped
    from rclpy.action import ActionClient

    from edge_robot.cli.interrupts import cancel_goal, noted_interrupts, result_of, wait_for

    try:
        from nav2_msgs.action import NavigateToPose
    except ImportError:
        raise SystemExit("there is no nav2_msgs; install ROS 2's package of that name") from None
    client = ActionClient(node, NavigateToPose, "navigate_to_pose")
    with noted_interrupts() as interrupts:
        if not wait_for(node, client.server_is_ready, interrupts, _DISCOVERY_TIME):
            raise SystemExit(
                f"nobody serves {node.resolve_topic_name('navigate_to_pose')}; "
                "start the planner: edge-robot launch robot"
            )
        pose = PoseStamped()
        pose.header.frame_id = frame
        pose.pose.position.x, pose.pose.position.y = x, y
        if yaw is None:
            here_x, here_y = _place(node, frame, interrupts)
            yaw = math.atan2(y - here_y, x - here_x)
        pose.pose.orientation.z, pose.pose.orientation.w = math.sin(yaw / 2), math.cos(yaw / 2)
        sent = client.send_goal_async(NavigateToPose.Goal(pose=pose), _print_progress)
        handle = result_of(node, sent, "sending goal", interrupts)
        if not handle.accepted:
            raise SystemExit("goal rejected")
        try:
            answer = result_of(node, handle.get_result_async(), "getting result", interrupts)
        except KeyboardInterrupt:
            cancel_goal(node, handle, interrupts)
            result_of(node, handle.get_result_async(), "stopping", interrupts)
            print("\nstopped")
            raise
    print()
    # Humble's result says no more than its status.
    text = getattr(answer.result, "error_msg", "") or "no reason is given"
    if answer.status != GoalStatus.STATUS_SUCCEEDED:
        raise SystemExit(f"not reached: {text}")
    print("reached")


def _place(node: Node, frame: str, interrupts: list[int]) -> tuple[float, float]:
    """Return where the robot is in a frame, m."""
    from rclpy.time import Time
    from tf2_ros import Buffer, TransformListener

    from edge_robot.cli.interrupts import wait_for

    buffer = Buffer()
    _listener = TransformListener(buffer, node)

    def known() -> bool:
        return bool(buffer.can_transform(frame, "base_link", Time()))

    if not wait_for(node, known, interrupts, _DISCOVERY_TIME):
        raise SystemExit(
            f"nobody says where base_link is in {frame}; name a YAW or another --frame"
        )
    place = buffer.lookup_transform(frame, "base_link", Time()).transform.translation
    return place.x, place.y


def _print_progress(message: Any) -> None:
    told = message.feedback
    seconds = told.estimated_time_remaining.sec
    print(
        f"\r{told.distance_remaining:6.1f} m left, {seconds:4d} s or more,"
        f" {told.number_of_recoveries} recoveries",
        end="",
        flush=True,
    )
