"""Subscriptions whose messages need not wake their node."""

from __future__ import annotations

from typing import TypeVar

from rclpy.subscription import Subscription

SubscriptionT = TypeVar("SubscriptionT", bound=Subscription)


def unhurried(subscription: SubscriptionT) -> SubscriptionT:
    """Let messages wait until something else wakes the node: a timer, or what they are needed for.

    They are then taken before it. To be woken costs a node far more than a message does, as after
    other processes its core's caches are cold.

    Only the standalone runtime can do this; under ROS 2 each message wakes the node as ever.

    Args:
        subscription: Of a node that is woken often enough for the depth of its queue. Its callback
            is no coroutine function.

    Returns:
        The subscription.
    """
    if hasattr(subscription, "unhurried"):
        subscription.unhurried = True
    return subscription


def take_waiting(subscription: Subscription) -> None:
    """Take what waits at an unhurried subscription, before its node falls silent."""
    if hasattr(subscription, "unhurried"):
        call = subscription.take()
        if call is not None:
            call()
