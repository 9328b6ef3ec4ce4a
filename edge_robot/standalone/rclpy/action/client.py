"""Action clients."""

from __future__ import annotations

import threading
import time
import uuid
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.interfaces.service import service_class
from edge_robot.standalone.rclpy.action import names
from edge_robot.standalone.rclpy.action.goal_state import GoalState
from edge_robot.standalone.rclpy.callback_groups import CallbackGroup
from edge_robot.standalone.rclpy.qos import (
    QoSProfile,
    qos_profile_action_status_default,
    qos_profile_services_default,
)
from edge_robot.standalone.rclpy.task import Future
from edge_robot.standalone.rclpy.waitable import NumberOfEntities

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.client import Client
    from edge_robot.standalone.rclpy.node import Node

CancelGoal = service_class("action_msgs/srv/CancelGoal")
GoalStatusArray = message_class("action_msgs/msg/GoalStatusArray")
UUID = message_class("unique_identifier_msgs/msg/UUID")

_EARLY = 100
"""Most messages of feedback kept for a goal whose acceptance has not been heard of."""

_LOOK = 0.02
"""How often `wait_for_server` looks for the server's topics once its services are there, s."""


class ClientGoalHandle:
    """A goal that a server has accepted, or rejected."""

    def __init__(self, action_client: ActionClient, goal_id: Any, goal_response: Any) -> None:
        self._client = action_client
        self._goal_id = goal_id
        self._response = goal_response
        self._status = GoalState.UNKNOWN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClientGoalHandle) and bool(self._goal_id == other.goal_id)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"ClientGoalHandle <id={self._goal_id.uuid}, accepted={self.accepted}, "
            f"status={self.status}>"
        )

    @property
    def goal_id(self) -> Any:
        """Its `unique_identifier_msgs.msg.UUID`."""
        return self._goal_id

    @property
    def stamp(self) -> Any:
        """When it was accepted, `builtin_interfaces.msg.Time`."""
        return self._response.stamp

    @property
    def accepted(self) -> bool:
        """Whether the server took it."""
        return bool(self._response.accepted)

    @property
    def status(self) -> int:
        """Its state as last heard, a constant of `action_msgs.msg.GoalStatus`."""
        return int(self._status)

    def note_status(self, status: int) -> None:
        """Learn its state."""
        self._status = GoalState(status)

    def cancel_goal(self) -> Any:
        """Ask for its end and wait for the response, while another thread spins the node."""
        return _wait_for(self.cancel_goal_async())

    def cancel_goal_async(self) -> Future:
        """Ask for its end; return the future of the `CancelGoal.Response`."""
        return self._client.cancel_goal_async(self)

    def get_result(self) -> Any:
        """Wait for the result, while another thread spins the node."""
        return _wait_for(self.get_result_async())

    def get_result_async(self) -> Future:
        """Return the future of the result, a message with `status` and `result`."""
        return self._client.get_result_async(self)


class ActionClient:
    """Sends goals to an action server.

    Args:
        node: Node it belongs to.
        action_type: Action class.
        action_name: Name; relative and private names are resolved, renamings applied.
        callback_group: Group of the callbacks; the node's if not given.
        goal_service_qos_profile: Contract of the service that takes goals.
        result_service_qos_profile: Contract of the service that gives results.
        cancel_service_qos_profile: Contract of the service that cancels.
        feedback_sub_qos_profile: Contract of the feedback.
        status_sub_qos_profile: Contract of the goals' states.
    """

    def __init__(
        self,
        node: Node,
        action_type: Any,
        action_name: str,
        *,
        callback_group: CallbackGroup | None = None,
        goal_service_qos_profile: QoSProfile = qos_profile_services_default,
        result_service_qos_profile: QoSProfile = qos_profile_services_default,
        cancel_service_qos_profile: QoSProfile = qos_profile_services_default,
        feedback_sub_qos_profile: QoSProfile | None = None,
        status_sub_qos_profile: QoSProfile = qos_profile_action_status_default,
    ) -> None:
        self._node = node
        self._action_type = action_type
        self._action_name = action_name
        self._logger = node.get_logger().get_child("action_client")
        self._goal_handles: dict[bytes, weakref.ref[ClientGoalHandle]] = {}
        self._feedback_callbacks: dict[bytes, Callable[[Any], Any]] = {}
        # Feedback overtakes the acceptance of its goal at times; callers hear of that first.
        self._early_feedback: dict[bytes, deque[Any]] = {}
        name = node.resolve_service_name(action_name)
        group = callback_group or node.default_callback_group

        def client(kind: Any, service: str, qos: QoSProfile) -> Client:
            return node.create_client(kind, service, qos_profile=qos, callback_group=group)

        impl = action_type.Impl
        self._goals = client(
            impl.SendGoalService, names.send_goal_name(name), goal_service_qos_profile
        )
        self._cancels = client(CancelGoal, names.cancel_goal_name(name), cancel_service_qos_profile)
        self._results = client(
            impl.GetResultService, names.get_result_name(name), result_service_qos_profile
        )
        self._feedback = node.create_subscription(
            impl.FeedbackMessage,
            names.feedback_name(name),
            self._hear_feedback,
            feedback_sub_qos_profile or QoSProfile(depth=10),
            callback_group=group,
        )
        self._status = node.create_subscription(
            GoalStatusArray,
            names.status_name(name),
            self._hear_status,
            status_sub_qos_profile,
            callback_group=group,
        )

    # Goals.

    def send_goal(self, goal: Any, **options: Any) -> Any:
        """Send a goal and wait for its result, while another thread spins the node.

        The options are those of `send_goal_async`.

        Raises:
            TypeError: it is not the action's `Goal`.
        """
        return self._wait_for_result(self.send_goal_async(goal, **options))

    @staticmethod
    def _wait_for_result(sent: Future) -> Any:
        handle = _wait_for(sent)
        return handle.get_result()

    def send_goal_async(
        self,
        goal: Any,
        feedback_callback: Callable[[Any], Any] | None = None,
        goal_uuid: Any = None,
    ) -> Future:
        """Send a goal.

        Args:
            goal: The action's `Goal`.
            feedback_callback: Called with each `FeedbackMessage` about this goal.
            goal_uuid: Its `unique_identifier_msgs.msg.UUID`; a random one if not given.

        Returns:
            The future of its `ClientGoalHandle`.

        Raises:
            TypeError: it is not the action's `Goal`.
        """
        if not isinstance(goal, self._action_type.Goal):
            raise TypeError(f"Expected {self._action_type.Goal}, got {type(goal)}")
        if goal_uuid is None:
            goal_uuid = UUID(uuid=list(uuid.uuid4().bytes))
        request = self._action_type.Impl.SendGoalService.Request(goal_id=goal_uuid, goal=goal)
        key = bytes(goal_uuid.uuid)
        if feedback_callback is not None:
            self._feedback_callbacks[key] = feedback_callback
            self._early_feedback[key] = deque(maxlen=_EARLY)
        sent = self._then(self._goals.call_async(request), self._remember, goal_uuid)
        sent.add_done_callback(lambda _: self._tell_early_feedback(key))
        return sent

    def _remember(self, response: Any, goal_uuid: Any) -> ClientGoalHandle:
        """Return the handle of a goal whose server has answered."""
        handle = ClientGoalHandle(self, goal_uuid, response)
        key = bytes(goal_uuid.uuid)
        if not handle.accepted:
            self._feedback_callbacks.pop(key, None)
            return handle
        if key in self._goal_handles:
            raise RuntimeError(f"Two goals were accepted with the same ID ({handle})")
        self._goal_handles[key] = weakref.ref(handle)
        return handle

    def cancel_goal_async(self, goal_handle: ClientGoalHandle) -> Future:
        """Ask for the end of a goal; return the future of the `CancelGoal.Response`.

        Raises:
            TypeError: it is no goal handle.
        """
        request = CancelGoal.Request()
        request.goal_info.goal_id = _checked(goal_handle).goal_id
        return self._cancels.call_async(request)

    def get_result_async(self, goal_handle: ClientGoalHandle) -> Future:
        """Return the future of a goal's result, a message with `status` and `result`.

        Raises:
            TypeError: it is no goal handle.
        """
        goal_id = _checked(goal_handle).goal_id
        request = self._action_type.Impl.GetResultService.Request(goal_id=goal_id)
        return self._then(self._results.call_async(request), self._forget_feedback, goal_id)

    def _forget_feedback(self, response: Any, goal_id: Any) -> Any:
        self._feedback_callbacks.pop(bytes(goal_id.uuid), None)
        return response

    def _then(self, answer: Future, convert: Callable[[Any, Any], Any], argument: Any) -> Future:
        """Return the future of what is made of an answer; cancelling it drops the request."""
        future = Future(executor=self._node.executor)

        def pass_on(answered: Future) -> None:
            if answered.cancelled():
                return
            try:
                future.set_result(convert(answered.result(), argument))
            except Exception as error:
                future.set_exception(error)

        answer.add_done_callback(pass_on)
        future.add_done_callback(lambda ended: answer.cancel() if ended.cancelled() else None)
        return future

    # Hearing.

    def _tell_early_feedback(self, key: bytes) -> None:
        early = self._early_feedback.pop(key, None)
        executor = self._node.executor
        if early and executor is not None:
            # In a task of its own: who waits for the acceptance goes on before it.
            executor.create_task(self._tell_feedback, early)

    async def _tell_feedback(self, messages: Iterable[Any]) -> None:
        for message in messages:
            answer = self._hear_feedback(message)
            if hasattr(answer, "__await__"):
                await answer

    def _hear_feedback(self, message: Any) -> Any:
        key = bytes(message.goal_id.uuid)
        if key in self._early_feedback:
            self._early_feedback[key].append(message)
            return None
        callback = self._feedback_callbacks.get(key)
        # A coroutine goes back to the executor, which runs it.
        return None if callback is None else callback(message)

    def _hear_status(self, message: Any) -> None:
        for item in message.status_list:
            key = bytes(item.goal_info.goal_id.uuid)
            reference = self._goal_handles.get(key)
            if reference is None:
                continue
            handle = reference()
            if handle is not None:
                handle.note_status(item.status)
            if handle is None or not GoalState(item.status).is_active:
                del self._goal_handles[key]

    # The server.

    def server_is_ready(self) -> bool:
        """Return whether a server would take a goal and all its answers would come back."""
        return (
            all(client.service_is_ready() for client in self._clients())
            and self._feedback.get_publisher_count() > 0
            and self._status.get_publisher_count() > 0
        )

    def wait_for_server(self, timeout_sec: float | None = None) -> bool:
        """Wait until a server is there; False on time-out or shutdown."""
        limit = None if timeout_sec is None else time.monotonic() + timeout_sec
        for client in self._clients():
            remaining = None if limit is None else max(limit - time.monotonic(), 0.0)
            if not client.wait_for_service(remaining):
                return False
        while self._node.context.ok() and not self.server_is_ready():
            if limit is not None and time.monotonic() >= limit:
                return False
            time.sleep(_LOOK)
        return self.server_is_ready()

    def _clients(self) -> tuple[Client, Client, Client]:
        return self._goals, self._cancels, self._results

    def get_num_entities(self) -> NumberOfEntities:
        """Return how many entities of each kind it consists of."""
        return NumberOfEntities(num_subscriptions=2, num_clients=len(self._clients()))

    def destroy(self) -> None:
        """End it."""
        for client in self._clients():
            self._node.destroy_client(client)
        self._node.destroy_subscription(self._feedback)
        self._node.destroy_subscription(self._status)


def _checked(goal_handle: Any) -> ClientGoalHandle:
    if not isinstance(goal_handle, ClientGoalHandle):
        raise TypeError(f"Expected type ClientGoalHandle but received {type(goal_handle)}")
    return goal_handle


def _wait_for(future: Future) -> Any:
    """Wait for a future that another thread's spinning completes; raises what made it fail."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    done.wait()
    return future.result()
