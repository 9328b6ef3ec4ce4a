"""Action servers."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

from edge_robot.standalone import machine
from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.interfaces.service import service_class
from edge_robot.standalone.rclpy.action import names
from edge_robot.standalone.rclpy.action.goal_state import GoalEvent, GoalState, after
from edge_robot.standalone.rclpy.callback_groups import CallbackGroup, ReentrantCallbackGroup
from edge_robot.standalone.rclpy.constants import S_TO_NS
from edge_robot.standalone.rclpy.qos import (
    QoSProfile,
    qos_profile_action_status_default,
    qos_profile_services_default,
)
from edge_robot.standalone.rclpy.task import Future
from edge_robot.standalone.rclpy.waitable import NumberOfEntities

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.executors import Executor
    from edge_robot.standalone.rclpy.node import Node

CancelGoal = service_class("action_msgs/srv/CancelGoal")
GoalInfo = message_class("action_msgs/msg/GoalInfo")
GoalStatus = message_class("action_msgs/msg/GoalStatus")
GoalStatusArray = message_class("action_msgs/msg/GoalStatusArray")

_TRACEBACK_FRAMES = 20


class GoalResponse(Enum):
    """What a goal callback answers."""

    REJECT = 1
    ACCEPT = 2


class CancelResponse(Enum):
    """What a cancel callback answers."""

    REJECT = 1
    ACCEPT = 2


class ServerGoalHandle:
    """A goal that was accepted."""

    def __init__(self, action_server: ActionServer, goal_info: Any, goal_request: Any) -> None:
        self._server = action_server
        self._info = goal_info
        self._request = goal_request
        self._lock = threading.Lock()
        self._state = GoalState.ACCEPTED

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ServerGoalHandle) and bool(self.goal_id == other.goal_id)

    __hash__ = None  # type: ignore[assignment]

    @property
    def request(self) -> Any:
        """The goal: the action's `Goal` message."""
        return self._request

    @property
    def goal_id(self) -> Any:
        """Its `unique_identifier_msgs.msg.UUID`."""
        return self._info.goal_id

    @property
    def goal_info(self) -> Any:
        """Its `action_msgs.msg.GoalInfo`: id, and when it was accepted."""
        return self._info

    @property
    def is_active(self) -> bool:
        """Whether it is not done yet."""
        return self._state.is_active

    @property
    def is_cancel_requested(self) -> bool:
        """Whether it is being cancelled."""
        return self._state is GoalState.CANCELING

    @property
    def status(self) -> int:
        """Its state, a constant of `action_msgs.msg.GoalStatus`."""
        return int(self._state)

    def execute(self, execute_callback: Callable[[ServerGoalHandle], Any] | None = None) -> None:
        """Have it executed, by the server's callback if none is given."""
        # A goal that was cancelled before is executed all the same: its callback ends it.
        if not self.is_cancel_requested:
            self.update_state(GoalEvent.EXECUTE)
        self._server.notify_execute(self, execute_callback)

    def publish_feedback(self, feedback: Any) -> None:
        """Tell how it comes along.

        Raises:
            TypeError: it is not the action's `Feedback`.
        """
        if not isinstance(feedback, self._server.action_type.Feedback):
            raise TypeError(f"Expected {self._server.action_type.Feedback}, got {type(feedback)}")
        if self._state is not GoalState.UNKNOWN:
            self._server.publish_feedback(self.goal_id, feedback)

    def succeed(self) -> None:
        """Say that it has been reached.

        Raises:
            RCLError: it is neither executed nor being cancelled.
        """
        self.update_state(GoalEvent.SUCCEED)

    def abort(self) -> None:
        """Say that it cannot be reached; raises as `succeed`."""
        self.update_state(GoalEvent.ABORT)

    def canceled(self) -> None:
        """Say that it was given up as requested.

        Raises:
            RCLError: it is not being cancelled.
        """
        self.update_state(GoalEvent.CANCELED)

    def update_state(self, event: GoalEvent) -> None:
        """Bring it into another state and publish that; goals of a destroyed server stay as is."""
        with self._lock:
            if self._state is GoalState.UNKNOWN:
                return
            self._state = after(self._state, event)
        self._server.publish_status()
        if not self.is_active:
            self._server.notify_goal_done(self)

    def destroy(self) -> None:
        """Forget it."""
        with self._lock:
            self._state = GoalState.UNKNOWN


def default_handle_accepted_callback(goal_handle: ServerGoalHandle) -> None:
    """Execute the goal at once."""
    goal_handle.execute()


def default_goal_callback(goal_request: Any) -> GoalResponse:
    """Accept all goals."""
    del goal_request
    return GoalResponse.ACCEPT


def default_cancel_callback(cancel_request: Any) -> CancelResponse:
    """Let no goal be cancelled."""
    del cancel_request
    return CancelResponse.REJECT


class ActionServer:
    """Takes goals, executes them, and gives their results.

    All callbacks may be coroutine functions.

    Args:
        node: Node it belongs to.
        action_type: Action class.
        action_name: Name; relative and private names are resolved, renamings applied.
        execute_callback: Called with the handle of a goal to execute; returns the `Result`.
        callback_group: Group of the callbacks; the node's if not given.
        goal_callback: Called with a `Goal`; returns a `GoalResponse`.
        handle_accepted_callback: Called with the handle of an accepted goal.
        cancel_callback: Called with the handle of a goal; returns a `CancelResponse`.
        goal_service_qos_profile: Contract of the service that takes goals.
        result_service_qos_profile: Contract of the service that gives results.
        cancel_service_qos_profile: Contract of the service that cancels.
        feedback_pub_qos_profile: Contract of the feedback.
        status_pub_qos_profile: Contract of the goals' states.
        result_timeout: How long results are kept after the end of a goal, s; for ever if negative.

    Raises:
        TypeError: the execute callback cannot be called.
    """

    def __init__(
        self,
        node: Node,
        action_type: Any,
        action_name: str,
        execute_callback: Callable[[ServerGoalHandle], Any],
        *,
        callback_group: CallbackGroup | None = None,
        goal_callback: Callable[[Any], Any] | None = default_goal_callback,
        handle_accepted_callback: Callable[[ServerGoalHandle], Any]
        | None = default_handle_accepted_callback,
        cancel_callback: Callable[[Any], Any] | None = default_cancel_callback,
        goal_service_qos_profile: QoSProfile = qos_profile_services_default,
        result_service_qos_profile: QoSProfile = qos_profile_services_default,
        cancel_service_qos_profile: QoSProfile = qos_profile_services_default,
        feedback_pub_qos_profile: QoSProfile | None = None,
        status_pub_qos_profile: QoSProfile = qos_profile_action_status_default,
        result_timeout: float = 900,
    ) -> None:
        self.register_handle_accepted_callback(handle_accepted_callback)
        self.register_goal_callback(goal_callback)
        self.register_cancel_callback(cancel_callback)
        self.register_execute_callback(execute_callback)
        self._node = node
        self._action_type = action_type
        self._result_timeout = result_timeout
        self._lock = threading.RLock()
        self._goal_handles: dict[bytes, ServerGoalHandle] = {}
        self._results: dict[bytes, Future] = {}
        # Goals whose clients have not been told yet, with the responses that tell them.
        self._accepted: list[tuple[Any, ServerGoalHandle]] = []
        self._done_at: dict[bytes, float] = {}
        self._executor: Callable[[], Executor | None] = lambda: None
        self._logger = node.get_logger().get_child("action_server")
        name = node.resolve_service_name(action_name, only_expand=False)
        group = callback_group or node.default_callback_group
        self._services = [
            node.create_service(kind, service, answer, qos_profile=qos, callback_group=its_group)
            for kind, service, answer, qos, its_group in (
                (
                    action_type.Impl.SendGoalService,
                    names.send_goal_name(name),
                    self._answer_goal,
                    goal_service_qos_profile,
                    group,
                ),
                (
                    CancelGoal,
                    names.cancel_goal_name(name),
                    self._cancel,
                    cancel_service_qos_profile,
                    group,
                ),
                (
                    action_type.Impl.GetResultService,
                    names.get_result_name(name),
                    self._answer_result,
                    result_service_qos_profile,
                    # A request waits for the end of the goal, and nothing may wait for that.
                    ReentrantCallbackGroup(),
                ),
            )
        ]
        self._services[0].after_response = self._begin_accepted
        self._feedback = node.create_publisher(
            action_type.Impl.FeedbackMessage,
            names.feedback_name(name),
            feedback_pub_qos_profile or QoSProfile(depth=10),
        )
        self._status = node.create_publisher(
            GoalStatusArray, names.status_name(name), status_pub_qos_profile
        )
        self._expiry = node.create_timer(
            max(result_timeout, 0.0), self._expire, group, autostart=False
        )

    @property
    def action_type(self) -> Any:
        """Action class."""
        return self._action_type

    # Callbacks.

    def register_handle_accepted_callback(
        self, handle_accepted_callback: Callable[[ServerGoalHandle], Any] | None
    ) -> None:
        """Have this called for accepted goals; None: goals are executed at once."""
        self._accepted_callback = handle_accepted_callback or default_handle_accepted_callback

    def register_goal_callback(self, goal_callback: Callable[[Any], Any] | None) -> None:
        """Have this decide on goals; None: all are accepted."""
        self._goal_callback = goal_callback or default_goal_callback

    def register_cancel_callback(self, cancel_callback: Callable[[Any], Any] | None) -> None:
        """Have this decide on requests to cancel; None: none is granted."""
        self._cancel_callback = cancel_callback or default_cancel_callback

    def register_execute_callback(
        self, execute_callback: Callable[[ServerGoalHandle], Any]
    ) -> None:
        """Have this execute goals.

        Raises:
            TypeError: it cannot be called.
        """
        if not callable(execute_callback):
            raise TypeError("Failed to register goal execution callback: not callable")
        self._execute_callback = execute_callback

    # Goals.

    async def _answer_goal(self, request: Any, response: Any) -> Any:
        key = bytes(request.goal_id.uuid)
        accepted = False
        if key not in self._goal_handles:
            answer = await _called(self._goal_callback, request.goal)
            if isinstance(answer, GoalResponse):
                accepted = answer is GoalResponse.ACCEPT
            else:
                self._logger.warning(
                    "Goal request callback did not return a GoalResponse type. Rejecting goal."
                )
        if accepted:
            info = GoalInfo(goal_id=request.goal_id, stamp=self._node.get_clock().now().to_msg())
            response.stamp = info.stamp
            handle = ServerGoalHandle(self, info, request.goal)
            with self._lock:
                self._goal_handles[key] = handle
                self._results[key] = Future(executor=self._node.executor)
                self._accepted.append((response, handle))
        response.accepted = accepted
        return response

    def _begin_accepted(self, response: Any) -> None:
        """Begin with a goal once its client has been told, so that feedback comes after that."""
        with self._lock:
            begun = [pair for pair in self._accepted if pair[0] is response]
            self._accepted = [pair for pair in self._accepted if pair[0] is not response]
        for _, handle in begun:
            self._create_task(self._tell_accepted, handle)

    async def _tell_accepted(self, handle: ServerGoalHandle) -> None:
        await _called(self._accepted_callback, handle)

    def notify_execute(
        self,
        goal_handle: ServerGoalHandle,
        execute_callback: Callable[[ServerGoalHandle], Any] | None,
    ) -> None:
        """Have a goal executed as soon as the executor comes to it."""
        self._create_task(self._execute, execute_callback or self._execute_callback, goal_handle)

    def _create_task(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Have something run by whoever spins the node, or by who did so last."""
        executor = self._node.executor or self._executor()
        if executor is None:
            raise RuntimeError("nobody spins the node of the action server")
        self._executor = weakref.ref(executor)
        executor.create_task(function, *arguments)

    async def _execute(
        self, callback: Callable[[ServerGoalHandle], Any], handle: ServerGoalHandle
    ) -> None:
        name = handle.goal_id.uuid
        try:
            result = await _called(callback, handle)
        except Exception as error:
            import traceback  # late: it is for failures only

            # The client is told of the failure by the goal's state.
            result = self._action_type.Result()
            trace = traceback.format_exc(limit=_TRACEBACK_FRAMES)
            self._logger.error(f"Error raised in execute callback: {error}\n{trace}")
        if handle.is_active:
            self._logger.warning(f"Goal state not set, assuming aborted. Goal ID: {name}")
            handle.abort()
        response = self._action_type.Impl.GetResultService.Response(status=handle.status)
        if isinstance(result, self._action_type.Result):
            response.result = result
        else:
            self._logger.error(
                f"The execute callback returned {type(result)} instead of "
                f"{self._action_type.Result}. Goal ID: {name}"
            )
        future = self._results.get(bytes(name))
        if future is not None:
            future.set_result(response)

    async def _answer_result(self, request: Any, response: Any) -> Any:
        future = self._results.get(bytes(request.goal_id.uuid))
        if future is None:
            response.status = int(GoalState.UNKNOWN)
            return response
        return await future

    # Cancelling.

    def _candidates(self, request: Any, response: Any) -> list[ServerGoalHandle]:
        """Return the goals a request to cancel is about; the response may say why there are none.

        An id alone means that goal; a stamp, all accepted until then; both, either; none, all.
        """
        wanted = bytes(request.goal_info.goal_id.uuid)
        until = _nanoseconds(request.goal_info.stamp)
        with self._lock:
            handles = dict(self._goal_handles)
        if any(wanted) and not until:
            handle = handles.get(wanted)
            if handle is None:
                response.return_code = response.ERROR_UNKNOWN_GOAL_ID
            elif GoalState(handle.status).is_cancelable:
                return [handle]
            else:
                response.return_code = response.ERROR_GOAL_TERMINATED
            return []
        return [
            handle
            for key, handle in handles.items()
            if GoalState(handle.status).is_cancelable
            and (
                key == wanted
                or _nanoseconds(handle.goal_info.stamp) <= until
                or not (until or any(wanted))
            )
        ]

    async def _cancel(self, request: Any, response: Any) -> Any:
        for handle in self._candidates(request, response):
            answer = await _called(self._cancel_callback, handle)
            if answer is not CancelResponse.ACCEPT:
                continue
            if not GoalState(handle.status).is_cancelable:
                continue  # it was reached while the callback thought about it
            handle.update_state(GoalEvent.CANCEL_GOAL)
            response.goals_canceling.append(handle.goal_info)
        return response

    # Telling.

    def publish_feedback(self, goal_id: Any, feedback: Any) -> None:
        """Publish how a goal comes along."""
        self._feedback.publish(
            self._action_type.Impl.FeedbackMessage(goal_id=goal_id, feedback=feedback)
        )

    def publish_status(self) -> None:
        """Publish the states of all goals that are kept."""
        with self._lock:
            handles = list(self._goal_handles.values())
        self._status.publish(
            GoalStatusArray(
                status_list=[
                    GoalStatus(goal_info=handle.goal_info, status=handle.status)
                    for handle in handles
                ]
            )
        )

    # Forgetting.

    def notify_goal_done(self, goal_handle: ServerGoalHandle) -> None:
        """Forget a goal that is done after the result time-out."""
        if self._result_timeout < 0:
            return
        with self._lock:
            self._done_at[bytes(goal_handle.goal_id.uuid)] = machine.steady_ns() / S_TO_NS
            if self._expiry.is_canceled():
                self._wait_for_next_expiry()

    def _wait_for_next_expiry(self) -> None:
        wait = min(self._done_at.values()) + self._result_timeout - machine.steady_ns() / S_TO_NS
        self._expiry.timer_period_ns = max(int(wait * S_TO_NS), 0)
        self._expiry.reset()

    def _expire(self) -> None:
        oldest = machine.steady_ns() / S_TO_NS - self._result_timeout
        with self._lock:
            for key in [key for key, done in self._done_at.items() if done <= oldest]:
                del self._done_at[key]
                self._goal_handles.pop(key).destroy()
                del self._results[key]
            if self._done_at:
                self._wait_for_next_expiry()
            else:
                self._expiry.cancel()

    def get_num_entities(self) -> NumberOfEntities:
        """Return how many entities of each kind it waits for."""
        return NumberOfEntities(num_timers=1, num_services=len(self._services))

    def destroy(self) -> None:
        """End it."""
        for handle in self._goal_handles.values():
            handle.destroy()
        for service in self._services:
            self._node.destroy_service(service)
        self._node.destroy_publisher(self._feedback)
        self._node.destroy_publisher(self._status)
        self._node.destroy_timer(self._expiry)


def _nanoseconds(stamp: Any) -> int:
    return int(stamp.sec) * S_TO_NS + int(stamp.nanosec)


async def _called(callback: Callable[[Any], Any], argument: Any) -> Any:
    """Call a function, or a coroutine function to its end."""
    answer = callback(argument)
    return await answer if hasattr(answer, "__await__") else answer
