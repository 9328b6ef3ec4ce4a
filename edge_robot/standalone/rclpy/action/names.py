"""The services and topics an action is made of, named as ROS 2 names them."""

from __future__ import annotations

_HIDDEN = "/_action/"
_FEEDBACK = f"{_HIDDEN}feedback"
_FEEDBACK_TYPE = "_FeedbackMessage"


def send_goal_name(action: str) -> str:
    """Return the service that takes goals."""
    return f"{action}{_HIDDEN}send_goal"


def cancel_goal_name(action: str) -> str:
    """Return the service that takes requests to cancel."""
    return f"{action}{_HIDDEN}cancel_goal"


def get_result_name(action: str) -> str:
    """Return the service that gives results."""
    return f"{action}{_HIDDEN}get_result"


def feedback_name(action: str) -> str:
    """Return the topic of feedback."""
    return f"{action}{_FEEDBACK}"


def status_name(action: str) -> str:
    """Return the topic of the goals' states."""
    return f"{action}{_HIDDEN}status"


def actions_among(topics: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    """Return the actions whose feedback is among these topics, with the actions' types."""
    return [
        (
            topic.removesuffix(_FEEDBACK),
            [kind.removesuffix(_FEEDBACK_TYPE) for kind in kinds if kind.endswith(_FEEDBACK_TYPE)],
        )
        for topic, kinds in topics
        if topic.endswith(_FEEDBACK)
    ]
