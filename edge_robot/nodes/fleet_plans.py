"""A path over the map on request: found by the fleet, or on board if that is not in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import OccupancyGrid, Path
from nav_msgs.srv import GetPlan
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future
from tf2_ros import Buffer

from edge_robot import topics
from edge_robot.errors import UserError
from edge_robot.fleet.boundary import Boundary, Data
from edge_robot.fleet.offload import OffloadEngine
from edge_robot.fleet.privacy_policy import Kind, Level, Tier
from edge_robot.fleet.tasks.plan import Errand, encode_errand
from edge_robot.fleet.work import Answer, NoAnswer, Task
from edge_robot.nodes.conversions import quaternion_from_yaw
from edge_robot.nodes.diagnostics import OK
from edge_robot.nodes.diagnostics import Status as Health
from edge_robot.nodes.fleet_parameters import BridgeSettings
from edge_robot.nodes.goal_messages import GoalError, read_goal
from edge_robot.nodes.static_map import static_map
from edge_robot.planning.drive import Failure
from edge_robot.planning.global_planner import GlobalPlannerConfig
from edge_robot.planning.map_plan import Outcome, Route
from edge_robot.planning.static_map import StaticMap

SERVICE = "~/make_plan"


class PlanService:
    """Answers `nav_msgs/GetPlan` over what `MAP` says; a path without poses says there is none.

    Args:
        node: Node it belongs to.
        engine: Where work is offered.
        boundary: Clears what is sent.
        tiers: Of the engine's endpoints.
        buffer: Where the transforms are.
        settings: Name of the planner, times.

    Attributes:
        settings: As given; may be replaced.
    """

    def __init__(
        self,
        node: Node,
        engine: OffloadEngine,
        boundary: Boundary,
        tiers: Sequence[Tier],
        buffer: Buffer,
        settings: BridgeSettings,
    ) -> None:
        self._node = node
        self._engine = engine
        self._boundary = boundary
        self._tiers = tiers
        self._buffer = buffer
        self.settings = settings
        self._map: tuple[StaticMap, str] | None = None
        self._counts: Counter[str] = Counter()
        self._last = "none asked for yet"
        # In a group of its own: whatever else the node does goes on while a path is looked for.
        node.create_service(GetPlan, SERVICE, self._serve, callback_group=ReentrantCallbackGroup())

    def health(self) -> Iterable[Health]:
        """Return the diagnostics."""
        yield Health("plans", OK, self._last, dict(self._counts))

    def set_map(self, message: OccupancyGrid) -> None:
        """Plan over another map from now on; over none if this one cannot be used."""
        try:
            self._map = static_map(message), message.header.frame_id or "map"
        except UserError as error:
            self._map = None
            self._node.get_logger().error(f"map refused: {error}")

    async def _serve(self, request: Any, response: Any) -> Any:
        response.plan.header.stamp = self._node.get_clock().now().to_msg()
        try:
            errand, response.plan.header.frame_id = self._errand(request)
        except GoalError as error:
            self._say("refused", f"no path: {error}")
            return response
        found: Future = Future()
        content = Data(errand, Level.FEATURES)
        clearances = {tier: self._boundary.clear(Kind.PLAN, content, tier) for tier in self._tiers}
        settings = self.settings
        task: Task[Errand, Route] = Task(
            "plan",
            lambda cleared, _: encode_errand(cleared, settings.planner),
            settings.plan_deadline,
            settings.plan_deadline,
        )
        self._engine.offer(task, clearances, None, 0.0, found.set_result, local=errand.solve)
        outcome: Answer[Route] | NoAnswer = await found
        if isinstance(outcome, NoAnswer):
            self._say("failed", f"no path: {outcome.reason.value}: {outcome.detail}")
            return response
        route = outcome.value
        by = f"by {outcome.computed_by} in {outcome.age:.2f} s ({outcome.reason})"
        if route.outcome is not Outcome.FOUND:
            self._say("no way", f"no path, says {by}: {route.reason}")
            return response
        self._say(outcome.computed_by, f"a path of {len(route.path)} points {by}")
        _fill(response.plan, route)
        return response

    def _errand(self, request: Any) -> tuple[Errand, str]:
        """Return what is asked for, and the frame it is in.

        Raises:
            GoalError: it cannot be answered.
        """
        if self._map is None:
            raise GoalError(Failure.NO_PATH, f"what {topics.MAP.name} says cannot be used")
        static, frame = self._map
        start, goal = (
            read_goal(pose, frame, self._buffer) for pose in (request.start, request.goal)
        )
        config = GlobalPlannerConfig(path_clearance=self.settings.plan_clearance)
        return Errand(static, (start.x, start.y), (goal.x, goal.y), config), frame

    def _say(self, what: str, text: str) -> None:
        self._counts[what] += 1
        self._last = text
        self._node.get_logger().info(text)


def _fill(plan: Path, route: Route) -> None:
    yaws = np.arctan2(*np.diff(route.path, axis=0).T[::-1]).tolist()
    for (x, y), yaw in zip(route.path.tolist(), (*yaws, yaws[-1]), strict=True):
        pose = PoseStamped(header=plan.header)
        pose.pose.position.x, pose.pose.position.y = x, y
        pose.pose.orientation = quaternion_from_yaw(yaw)
        plan.poses.append(pose)
