"""Prints the parameters of the nodes named, as JSON, when all are active; for either runtime."""

import json
import sys
import time

import rclpy
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import GetParameters, ListParameters
from rclpy.parameter import parameter_value_to_python

LIMIT = 120.0  # s


def ask(node, kind, service, request):
    """Return the answer of a service, which may take its time to appear."""
    client = node.create_client(kind, service)
    if not client.wait_for_service(timeout_sec=LIMIT):
        raise SystemExit(f"nobody offers {service}")
    future = client.call_async(request)
    rclpy.spin_until_future_complete(node, future, timeout_sec=LIMIT)
    node.destroy_client(client)
    if not future.done():
        raise SystemExit(f"{service} does not answer")
    return future.result()


def wait_until_active(node, name):
    """Wait for what is declared with endpoints (QoS overrides): those come with activation."""
    begin, state = time.monotonic(), State()
    while state.id != State.PRIMARY_STATE_ACTIVE:
        if time.monotonic() - begin > LIMIT:
            raise SystemExit(f"{name} is {state.label or 'unknown'}, not active")
        state = ask(node, GetState, f"{name}/get_state", GetState.Request()).current_state
        time.sleep(0.1)


def main():
    rclpy.init()
    node = rclpy.create_node("asker")
    told = {}
    for name in sys.argv[1:]:
        if name.rpartition("/")[2] != "lifecycle_manager":  # all others are lifecycle nodes
            wait_until_active(node, name)
        request = ListParameters.Request()
        names = ask(node, ListParameters, f"{name}/list_parameters", request).result.names
        request = GetParameters.Request(names=names)
        values = ask(node, GetParameters, f"{name}/get_parameters", request).values
        values = [parameter_value_to_python(value) for value in values]
        values = [
            value if isinstance(value, str) or not hasattr(value, "__len__") else list(value)
            for value in values
        ]
        told[name] = dict(zip(names, values, strict=True))
    print(json.dumps(told, default=list))  # arrays


main()
