"""A node with something of everything, written against rclpy alone, for either runtime."""

import contextlib
import time

import rclpy
from example_interfaces.action import Fibonacci
from example_interfaces.srv import AddTwoInts
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import SetBool


class Everything(Node):
    """Topics, services, parameters and an action."""

    def __init__(self):
        super().__init__("everything", namespace="/lab")
        self.declare_parameter(
            "gain",
            1.5,
            ParameterDescriptor(
                description="Loop gain.",
                floating_point_range=[FloatingPointRange(from_value=0.0, to_value=10.0, step=0.5)],
            ),
        )
        self.declare_parameter(
            "count",
            3,
            ParameterDescriptor(
                integer_range=[IntegerRange(from_value=0, to_value=100, step=1)],
                additional_constraints="Not thirteen.",
            ),
        )
        self.declare_parameter("label", "first")
        self.declare_parameter("flags", [True, False])
        self.declare_parameter("weights", [0.25, 1.0])
        self.declare_parameter("names", ["left", "right"])
        self.declare_parameter("fixed", 7, ParameterDescriptor(read_only=True))
        self.add_on_set_parameters_callback(self._judge)
        contract = QoSProfile(depth=3, deadline=Duration(seconds=1), lifespan=Duration(seconds=2))
        self._count = 0
        self._counter = self.create_publisher(String, "counter", contract)
        self._camera = self.create_publisher(
            Image, "image", QoSProfile(depth=5, reliability=QoSReliabilityPolicy.BEST_EFFORT)
        )
        self._out = self.create_publisher(String, "~/out", 10)
        self.create_subscription(String, "in", self._repeat, 10)
        self.create_timer(0.1, self._tick)
        self.create_service(AddTwoInts, "add", self._add)
        self.create_service(SetBool, "~/switch", self._switch)
        self._action = ActionServer(
            self,
            Fibonacci,
            "fibonacci",
            self._fibonacci,
            goal_callback=self._accept,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            callback_group=ReentrantCallbackGroup(),
        )

    def _judge(self, parameters):
        bad = any(item.name == "count" and item.value == 13 for item in parameters)
        return SetParametersResult(successful=not bad, reason="thirteen" if bad else "")

    def _tick(self):
        self._count += 1
        self._counter.publish(String(data=f"count {self._count}"))
        image = Image(height=2, width=3, encoding="mono8", step=3, data=[1, 2, 3, 4, 5, 6])
        image.header.frame_id = "camera"
        self._camera.publish(image)

    def _repeat(self, message):
        self._out.publish(String(data=message.data.upper()))

    def _add(self, request, response):
        response.sum = request.a + request.b
        return response

    def _switch(self, request, response):
        response.success = request.data
        response.message = "on" if request.data else "off"
        return response

    def _accept(self, goal):
        return GoalResponse.ACCEPT if goal.order >= 0 else GoalResponse.REJECT

    def _fibonacci(self, handle):
        sequence = [0, 1]
        time.sleep(0.2)  # or the first feedback would race with the goal's acceptance
        for _ in range(handle.request.order - 1):
            if handle.is_cancel_requested:
                handle.canceled()
                return Fibonacci.Result(sequence=sequence)
            sequence.append(sequence[-1] + sequence[-2])
            handle.publish_feedback(Fibonacci.Feedback(sequence=sequence))
            time.sleep(0.05)
        handle.succeed()
        return Fibonacci.Result(sequence=sequence)


class Managed(LifecycleNode):
    """A lifecycle node that cannot be activated the first time."""

    def __init__(self):
        super().__init__("managed", namespace="/lab")
        self._attempts = 0
        self._publisher = self.create_lifecycle_publisher(String, "managed_out", 10)
        self.create_timer(0.1, lambda: self._publisher.publish(String(data="active")))

    def on_configure(self, state):
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state):
        self._attempts += 1
        if self._attempts == 1:
            return TransitionCallbackReturn.FAILURE
        return super().on_activate(state)

    def on_cleanup(self, state):
        return TransitionCallbackReturn.SUCCESS


def main():
    """Run both nodes until interrupted."""
    rclpy.init()
    executor = MultiThreadedExecutor(4)
    for node in (Everything(), Managed()):
        executor.add_node(node)
    print("ready", flush=True)
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        executor.spin()


if __name__ == "__main__":
    main()
