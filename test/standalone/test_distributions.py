"""Nodes that speak as other distributions of ROS 2 than the default one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

SPEAKER = """
from sensor_msgs.msg import NavSatFix
from std_srvs.srv import SetBool
rclpy.init()
node = rclpy.create_node("speaker", namespace="/far")
publisher = node.create_publisher(NavSatFix, "fix", 10)
node.create_timer(0.1, lambda: publisher.publish(NavSatFix(latitude=50.5)))
def switch(request, response):
    response.success = request.data
    return response
node.create_service(SetBool, "switch", switch)
rclpy.spin(node)
"""

LISTENER = """
from sensor_msgs.msg import NavSatFix
from std_srvs.srv import SetBool
rclpy.init()
node = rclpy.create_node("listener")
heard = rclpy.Future()
node.create_subscription(NavSatFix, "/far/fix", lambda m: heard.done() or heard.set_result(m), 10)
rclpy.spin_until_future_complete(node, heard, timeout_sec=20)
print("heard", heard.result().latitude)
client = node.create_client(SetBool, "/far/switch")
assert client.wait_for_service(20)
answer = client.call_async(SetBool.Request(data=True))
rclpy.spin_until_future_complete(node, answer, timeout_sec=20)
print("answered", answer.result().success)
print("nodes", sorted(node.get_fully_qualified_node_names()))
(info,) = node.get_publishers_info_by_topic("/far/fix")
print("publisher", info.node_namespace, info.node_name, str(info.topic_type_hash))
"""


@pytest.mark.parametrize("distro", ["humble", "iron", "jazzy", "kilted", "lyrical"])
def test_nodes_of_one_distribution_understand_each_other(
    distro: str, start_peer: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_ROBOT_ROS_DISTRO", distro)
    start_peer(SPEAKER)
    listener = start_peer(LISTENER)
    listener.wait_for("heard 50.5")
    listener.wait_for("answered True")
    listener.wait_for("nodes ['/far/speaker', '/listener']")
    publisher = listener.wait_for("publisher")
    assert publisher.startswith("publisher /far speaker ")
    assert publisher.endswith(" INVALID") is (distro == "humble")
    assert ("RIHS01_" in publisher) is (distro != "humble")
