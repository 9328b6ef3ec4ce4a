"""Asks `everything_node.py` all it can answer; prints the answers as JSON."""

import json
import time

import rclpy
from action_msgs.srv import CancelGoal
from example_interfaces.action import Fibonacci
from example_interfaces.srv import AddTwoInts
from lifecycle_msgs.msg import TransitionEvent
from lifecycle_msgs.srv import (
    ChangeState,
    GetAvailableStates,
    GetAvailableTransitions,
    GetState,
)
from plain_messages import plain
from rcl_interfaces.msg import ParameterEvent
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    GetParameterTypes,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)
from rclpy.action import ActionClient
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import SetBool

NODE = "/lab/everything"
MANAGED = "/lab/managed"


class Questioner:
    """Asks one question at a time."""

    def __init__(self):
        rclpy.init()
        self.node = rclpy.create_node("questioner")

    def wait(self, future, seconds=20.0):
        rclpy.spin_until_future_complete(self.node, future, timeout_sec=seconds)
        if not future.done():
            raise TimeoutError("no answer")
        return future.result()

    def call(self, kind, name, request):
        client = self.node.create_client(kind, name)
        if not client.wait_for_service(20.0):
            raise TimeoutError(f"no service {name}")
        response = self.wait(client.call_async(request))
        self.node.destroy_client(client)
        return plain(response)

    def until(self, condition, seconds=20.0):
        limit = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > limit:
                raise TimeoutError("it did not happen")
            rclpy.spin_once(self.node, timeout_sec=0.1)

    def topics(self):
        heard, seen, images = [], [], []
        self.node.create_subscription(String, f"{NODE}/out", lambda m: heard.append(m.data), 10)
        self.node.create_subscription(String, "/lab/counter", lambda m: seen.append(m.data), 10)
        self.node.create_subscription(Image, "/lab/image", images.append, qos_profile_sensor_data)
        publisher = self.node.create_publisher(String, "/lab/in", 10)
        self.until(lambda: publisher.get_subscription_count() == 1)
        self.until(lambda: self.node.count_publishers(f"{NODE}/out") == 1)

        def echo():
            publisher.publish(String(data="grüße ✓"))
            rclpy.spin_once(self.node, timeout_sec=0.1)
            return heard

        self.until(echo)
        self.until(lambda: len(seen) >= 3 and images)
        numbers = [int(text.split()[1]) for text in seen]
        return {
            "repeated": heard[0],
            "in order": numbers == list(range(numbers[0], numbers[0] + len(numbers))),
            "image": plain(images[0]),
        }

    def services(self):
        return {
            "add": self.call(AddTwoInts, "/lab/add", AddTwoInts.Request(a=2**40, b=-3)),
            "on": self.call(SetBool, f"{NODE}/switch", SetBool.Request(data=True)),
            "off": self.call(SetBool, f"{NODE}/switch", SetBool.Request(data=False)),
        }

    def parameters(self):
        events = []
        self.node.create_subscription(ParameterEvent, "/parameter_events", events.append, 100)
        self.until(lambda: self.node.count_publishers("/parameter_events") >= 3)
        time.sleep(0.5)

        def values(**pairs):
            return [
                Parameter(name, value=value).to_parameter_msg() for name, value in pairs.items()
            ]

        def set_them(**pairs):
            return self.call(
                SetParameters,
                f"{NODE}/set_parameters",
                SetParameters.Request(parameters=values(**pairs)),
            )

        names = ["gain", "count", "label", "flags", "weights", "names", "fixed", "use_sim_time"]
        answers = {
            "list": self.call(ListParameters, f"{NODE}/list_parameters", ListParameters.Request()),
            "described": self.call(
                DescribeParameters,
                f"{NODE}/describe_parameters",
                DescribeParameters.Request(names=names),
            ),
            "values": self.call(
                GetParameters, f"{NODE}/get_parameters", GetParameters.Request(names=names)
            ),
            "types": self.call(
                GetParameterTypes,
                f"{NODE}/get_parameter_types",
                GetParameterTypes.Request(names=[*names, "unknown"]),
            ),
            "unknown": self.call(
                GetParameters, f"{NODE}/get_parameters", GetParameters.Request(names=["unknown"])
            ),
            "set": set_them(gain=2.5, label="second"),
            "out of range": set_them(gain=99.0),
            "off step": set_them(gain=0.3),
            "refused": set_them(count=13),
            "wrong type": set_them(count="many"),
            "read only": set_them(fixed=8),
            "not declared": set_them(unknown=1),
            "some bad": set_them(label="third", count=13),
            "atomically": self.call(
                SetParametersAtomically,
                f"{NODE}/set_parameters_atomically",
                SetParametersAtomically.Request(parameters=values(label="fourth", count=13)),
            ),
            "values after": self.call(
                GetParameters, f"{NODE}/get_parameters", GetParameters.Request(names=names)
            ),
        }
        self.until(lambda: len([e for e in events if e.node == NODE]) >= 2)
        answers["events"] = [
            {**plain(event), "stamp": event.stamp.sec > 0} for event in events if event.node == NODE
        ]
        return answers

    def goal(self, order, cancel_after=None):
        feedback = []
        client = ActionClient(self.node, Fibonacci, "/lab/fibonacci")
        if not client.wait_for_server(20.0):
            raise TimeoutError("no action server")
        handle = self.wait(
            client.send_goal_async(
                Fibonacci.Goal(order=order), feedback_callback=lambda f: feedback.append(f.feedback)
            )
        )
        if not handle.accepted:
            client.destroy()
            return {"accepted": False}
        cancelled = None
        if cancel_after is not None:
            self.until(lambda: len(feedback) >= cancel_after)
            cancelled = self.wait(handle.cancel_goal_async())
        result = self.wait(handle.get_result_async())
        client.destroy()
        answer = {
            "accepted": True,
            "status": result.status,
            "heard feedback": len(feedback) > 0,
            "goal id kept": cancelled is None
            or bytes(cancelled.goals_canceling[0].goal_id.uuid) == bytes(handle.goal_id.uuid),
        }
        if cancelled is None:
            answer["result"] = plain(result.result)
            answer["last feedback"] = plain(feedback[-1])
        else:
            answer["cancel code"] = cancelled.return_code
        return answer

    def actions(self):
        return {
            "done": self.goal(8),
            "rejected": self.goal(-1),
            "cancelled": self.goal(200, cancel_after=2),
            "nothing to cancel": self.call(
                CancelGoal, "/lab/fibonacci/_action/cancel_goal", CancelGoal.Request()
            ),
        }

    def lifecycle(self):
        heard, events = [], []
        self.node.create_subscription(String, "/lab/managed_out", heard.append, 10)
        self.node.create_subscription(
            TransitionEvent, f"{MANAGED}/transition_event", events.append, 10
        )
        self.until(lambda: self.node.count_publishers(f"{MANAGED}/transition_event") == 1)
        time.sleep(0.5)

        def change(label):
            request = ChangeState.Request()
            request.transition.label = label
            outcome = self.call(ChangeState, f"{MANAGED}/change_state", request)
            state = self.call(GetState, f"{MANAGED}/get_state", GetState.Request())
            open_ways = self.call(
                GetAvailableTransitions,
                f"{MANAGED}/get_available_transitions",
                GetAvailableTransitions.Request(),
            )
            return [outcome, state, open_ways]

        answers = {
            "states": self.call(
                GetAvailableStates, f"{MANAGED}/get_available_states", GetAvailableStates.Request()
            ),
            "graph": self.call(
                GetAvailableTransitions,
                f"{MANAGED}/get_transition_graph",
                GetAvailableTransitions.Request(),
            ),
            "impossible": change("activate"),
            "configure": change("configure"),
            "fails once": change("activate"),
        }
        time.sleep(0.3)
        answers["quiet"] = not heard
        answers["activate"] = change("activate")
        self.until(lambda: heard)
        answers["deactivate"] = change("deactivate")
        answers["cleanup"] = change("cleanup")
        answers["shutdown"] = change("shutdown")
        self.until(lambda: events and events[-1].goal_state.label == "finalized")
        answers["events"] = [
            [
                event.transition.id,
                event.transition.label,
                event.start_state.label,
                event.goal_state.label,
            ]
            for event in events
        ]
        return answers

    def graph(self):
        name, namespace = "everything", "/lab"

        def found():
            return dict(self.node.get_service_names_and_types_by_node(name, namespace))

        self.until(lambda: (name, namespace) in self.node.get_node_names_and_namespaces())
        self.until(lambda: "/lab/add" in found())
        time.sleep(0.5)

        def endpoint(info):
            return {
                "node": [info.node_namespace, info.node_name],
                "type": info.topic_type,
                "hash": str(info.topic_type_hash),
                "reliability": int(info.qos_profile.reliability),
                "durability": int(info.qos_profile.durability),
                "deadline": info.qos_profile.deadline.nanoseconds,
                "lifespan": info.qos_profile.lifespan.nanoseconds,
                "liveliness": int(info.qos_profile.liveliness),
                "lease": info.qos_profile.liveliness_lease_duration.nanoseconds,
                "gid": len(info.endpoint_gid),
            }

        topics = ["/lab/counter", "/lab/image", "/rosout", "/parameter_events"]
        topics += ["/lab/fibonacci/_action/status", "/lab/fibonacci/_action/feedback"]
        return {
            "services": sorted(found().items()),
            "publishers": sorted(self.node.get_publisher_names_and_types_by_node(name, namespace)),
            "subscribers": sorted(
                self.node.get_subscriber_names_and_types_by_node(name, namespace)
            ),
            "clients": sorted(self.node.get_client_names_and_types_by_node(name, namespace)),
            "endpoints": {
                topic: [
                    endpoint(info)
                    for info in self.node.get_publishers_info_by_topic(topic)
                    if info.node_name == name
                ]
                for topic in topics
            },
        }


def main():
    """Ask everything."""
    asker = Questioner()
    answers = {}
    for subject in ("graph", "topics", "services", "parameters", "actions", "lifecycle"):
        try:
            answers[subject] = getattr(asker, subject)()
        except Exception as error:
            answers[subject] = f"{type(error).__name__}: {error}"
    print(json.dumps(answers))
    rclpy.shutdown()


if __name__ == "__main__":
    main()
