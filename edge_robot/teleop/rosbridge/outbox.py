"""What waits for one client, and when it may be sent: bounded, the newest first to stay; pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

MAX_RATE = 50.0
"""Messages of one topic a second at most."""

BYTES_PER_SECOND = 1e6
"""Of one topic at most: raw pictures come once a second, whatever was asked for."""

MAX_BYTES = 3 << 20
"""Most that waits for one client."""

Item = TypeVar("Item")


@dataclass
class Subscription(Generic[Item]):
    """One topic for one client, for one or several purposes of it.

    Attributes:
        purposes: Least period, s, and longest queue by the id of each.
        waiting: Items with their sizes, bytes, the oldest first.
        due: When the next may be sent, s.
    """

    purposes: dict[str | int | None, tuple[float, int]] = field(default_factory=dict)
    waiting: deque[tuple[Item, int]] = field(default_factory=deque)
    due: float = 0.0

    @property
    def period(self) -> float:
        """The shortest of its purposes', s."""
        return min(period for period, _ in self.purposes.values())

    @property
    def queue(self) -> int:
        """The longest of its purposes'."""
        return max(queue for _, queue in self.purposes.values())


class Outbox(Generic[Item]):
    """Keeps what the client's link has not taken yet, by topics.

    Attributes:
        dropped: Items that newer ones took the place of, or that did not fit.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._topics: dict[str, Subscription[Item]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        """Return the number of subscriptions, those of one topic for several purposes too."""
        return sum(len(subscription.purposes) for subscription in self._topics.values())

    def __contains__(self, topic: str) -> bool:
        return topic in self._topics

    @property
    def topics(self) -> list[str]:
        """Topics that are subscribed to."""
        return list(self._topics)

    def subscribe(self, topic: str, purpose: str | int | None, period: float, queue: int) -> None:
        """Hear a topic, from now on also for this purpose.

        Args:
            topic: Full name.
            purpose: Id of the subscription.
            period: Least time between two messages, s.
            queue: Items that may wait, at least 1.
        """
        subscription = self._topics.setdefault(topic, Subscription())
        subscription.purposes[purpose] = (max(period, 1.0 / MAX_RATE), queue)

    def unsubscribe(self, topic: str, purpose: str | int | None) -> bool:
        """End one purpose (None: all); return whether the topic is heard no more."""
        subscription = self._topics[topic]
        if purpose is not None:
            subscription.purposes.pop(purpose, None)
        if purpose is None or not subscription.purposes:
            self._bytes -= sum(size for _, size in subscription.waiting)
            del self._topics[topic]
            return True
        return False

    def offer(self, topic: str, item: Item, size: int) -> None:
        """Put an item at the end of its topic's queue; older ones make room for it.

        Args:
            topic: A topic that is subscribed to.
            item: What to send.
            size: Its size, bytes.
        """
        subscription = self._topics[topic]
        waiting = subscription.waiting
        while waiting and (len(waiting) >= subscription.queue or self._bytes + size > MAX_BYTES):
            self._bytes -= waiting.popleft()[1]
            self.dropped += 1
        if self._bytes + size > MAX_BYTES:
            self.dropped += 1
            return
        waiting.append((item, size))
        self._bytes += size

    def next_due(self) -> float | None:
        """Return when the next item may be sent, s; None if nothing waits."""
        return min((s.due for s in self._topics.values() if s.waiting), default=None)

    def take(self, now: float) -> tuple[str, Item] | None:
        """Return the item whose turn it is, with its topic; None if none may be sent yet."""
        ready = [t for t, s in self._topics.items() if s.waiting and s.due <= now]
        if not ready:
            return None
        topic = min(ready, key=lambda t: self._topics[t].due)
        subscription = self._topics[topic]
        item, size = subscription.waiting.popleft()
        self._bytes -= size
        subscription.due = now + subscription.period
        return topic, item

    def sent(self, topic: str, size: int, now: float) -> None:
        """Note how large a message was: the topic's next one waits accordingly.

        Args:
            topic: Its topic; nothing happens if it is heard no more.
            size: Bytes that were sent.
            now: The time, s.
        """
        if topic in self._topics:
            subscription = self._topics[topic]
            subscription.due = max(subscription.due, now + size / BYTES_PER_SECOND)
