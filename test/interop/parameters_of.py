"""Prints the parameters of the nodes named, as JSON, when all are there; for either runtime."""

import json
import sys

import rclpy
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


def main():
    rclpy.init()
    node = rclpy.create_node("asker")
    told = {}
    for name in sys.argv[1:]:
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
