"""Actions, found by the topics they consist of."""

from __future__ import annotations

from collections.abc import Iterable

_FEEDBACK = "/_action/feedback"
_FEEDBACK_TYPE = "_FeedbackMessage"


def actions(topics: Iterable[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    """Return the actions among topics: who publishes their feedback serves them.

    Args:
        topics: Names and types; all topics, those a server publishes, or those a client hears.

    Returns:
        Names and types of the actions.
    """
    return [
        (name.removesuffix(_FEEDBACK), [kind.removesuffix(_FEEDBACK_TYPE) for kind in types])
        for name, types in topics
        if name.endswith(_FEEDBACK) and all(kind.endswith(_FEEDBACK_TYPE) for kind in types)
    ]


STATUS_NAMES = ("UNKNOWN", "ACCEPTED", "EXECUTING", "CANCELING", "SUCCEEDED", "CANCELED", "ABORTED")
"""What the numbers of `action_msgs/msg/GoalStatus` mean."""
