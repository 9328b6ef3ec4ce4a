"""Topics on their way to clients: subscribed to once, written as text once, for all of them."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from edge_robot.priority import keep_ordinary_priority
from edge_robot.teleop.rosbridge.graph import Graph, Listening
from edge_robot.teleop.rosbridge.values import text_of


class Sample:
    """One sample of a topic, as bytes and, when the first client is sent it, as text.

    Args:
        topic: Full name.
        type_name: Its type.
        data: The serialized message.
    """

    def __init__(self, topic: str, type_name: str, data: bytes) -> None:
        self.topic = topic
        self.data = data
        self._type = type_name
        self._text: str | None = None

    def text(self, graph: Graph) -> str:
        """Return the rosbridge message.

        Raises:
            ValueError: the bytes are no message of that type.
        """
        if self._text is None:
            message = text_of(graph.decode(self._type, self.data))
            self._text = f'{{"op":"publish","topic":{json.dumps(self.topic)},"msg":{message}}}'
        return self._text


Hear = Callable[[Sample], None]


class _Feed:
    """A topic while somebody hears it."""

    def __init__(self, graph: Graph, topic: str, type_name: str) -> None:
        self.type = type_name
        self.listeners: list[Hear] = []
        self._topic = topic
        loop = asyncio.get_running_loop()

        def hear(data: bytes) -> None:
            loop.call_soon_threadsafe(self._arrived, data)

        self._listening: Listening = graph.listen(topic, type_name, hear)
        self._kept: deque[Sample] = deque(maxlen=self._listening.keeps)

    def join(self, hear: Hear) -> None:
        """Hear the topic, beginning with what is latched on it."""
        self.listeners.append(hear)
        for sample in self._kept:
            hear(sample)

    def close(self) -> None:
        """Listen no more."""
        self._listening.close()

    def _arrived(self, data: bytes) -> None:
        sample = Sample(self._topic, self.type, data)
        self._kept.append(sample)
        for hear in self.listeners:
            hear(sample)


class Feeds:
    """All topics that somebody hears; used in the server's loop.

    Args:
        graph: Where they come from.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._feeds: dict[str, _Feed] = {}
        # One thread: however much is heard, writing it takes the time of one at most.
        self._writer = ThreadPoolExecutor(1, "rosbridge", initializer=keep_ordinary_priority)

    def type_of(self, topic: str) -> str | None:
        """Return the type as which a topic is heard already; None if it is not."""
        feed = self._feeds.get(topic)
        return None if feed is None else feed.type

    def join(self, topic: str, type_name: str, hear: Hear) -> None:
        """Hear a topic from now on; what is latched on it is heard at once."""
        if topic not in self._feeds:
            self._feeds[topic] = _Feed(self._graph, topic, type_name)
        self._feeds[topic].join(hear)

    def leave(self, topic: str, hear: Hear) -> None:
        """Hear a topic no more."""
        feed = self._feeds[topic]
        feed.listeners.remove(hear)
        if not feed.listeners:
            feed.close()
            del self._feeds[topic]

    async def write(self, sample: Sample) -> str:
        """Return a sample as text, written beside the loop.

        Raises:
            ValueError: the bytes are no message of the topic's type.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, sample.text, self._graph)

    def close(self) -> None:
        """Write no more."""
        self._writer.shutdown(wait=False, cancel_futures=True)
