"""Actions among topics."""

from __future__ import annotations

from edge_robot.introspection.actions import actions


def test_an_action_is_known_by_its_feedback() -> None:
    topics = [
        ("/dock/_action/feedback", ["nav_msgs/action/Dock_FeedbackMessage"]),
        ("/dock/_action/status", ["action_msgs/msg/GoalStatusArray"]),
        ("/other/_action/feedback", ["std_msgs/msg/String"]),
        ("/chatter", ["std_msgs/msg/String"]),
    ]
    assert actions(topics) == [("/dock", ["nav_msgs/action/Dock"])]
