"""What an operator asks for, done to the robot."""

from __future__ import annotations

import asyncio
from typing import Any

from rclpy.node import Node
from std_srvs.srv import SetBool

from edge_robot.teleop.access import Identity

STOP_TIMEOUT = 1.0


class OperatorWheel:
    """Asks the command multiplexer to latch or reset the emergency stop.

    Args:
        node: Has the client.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._stop_client = node.create_client(SetBool, "/estop/set")

    async def stop(self, who: Identity) -> str:
        """Latch the emergency stop; return what happened, in words.

        Raises:
            TimeoutError: the robot did not answer.
        """
        return await self.set_stop(True)

    async def set_stop(self, stop: bool) -> str:
        """Set or reset the emergency stop; return what happened, in words.

        Raises:
            TimeoutError: the robot did not answer.
        """
        loop = asyncio.get_running_loop()
        answered = asyncio.Event()
        future = self._stop_client.call_async(SetBool.Request(data=stop))
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(answered.set))
        try:
            await asyncio.wait_for(answered.wait(), STOP_TIMEOUT)
        except asyncio.TimeoutError:
            raise TimeoutError(
                "the robot did not answer: use the stop on the robot itself"
            ) from None
        answer: str = future.result().message
        self._node.get_logger().warning(f"operator {'stop' if stop else 'reset'}: {answer}")
        return answer

    def summary(self) -> dict[str, Any]:
        """Return how the robot is."""
        return {}
