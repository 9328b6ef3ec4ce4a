"""What is known of endpoints elsewhere, and that asking for it leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import String
from std_srvs.srv import SetBool

from edge_robot.standalone.dds.discovery import matched_reader
from edge_robot.standalone.dds.library import INFINITE
from edge_robot.standalone.dds.qos import DdsQos


def resident_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


def test_a_matched_reader_is_described(node: Node) -> None:
    publisher = node.create_publisher(String, "news", 10)
    subscription = node.create_subscription(String, "news", print, QoSProfile(depth=3))
    (handle,) = publisher.writer.matched()
    found = matched_reader(publisher.writer.handle, handle)
    assert found is not None
    assert found.guid == subscription.reader.guid
    assert found.guid[:12] == found.participant[:12]
    assert (found.topic_name, found.type_name) == ("rt/news", "std_msgs::msg::dds_::String_")
    assert found.user_data["typehash"].startswith("RIHS01_")
    assert found.qos == DdsQos(depth=3, reliable=True, lease=INFINITE)


def test_no_such_reader(node: Node) -> None:
    publisher = node.create_publisher(String, "news", 10)
    assert matched_reader(publisher.writer.handle, 12345) is None


def test_asking_leaves_no_memory_behind(node: Node) -> None:
    node.create_service(SetBool, "switch", lambda request, response: response)
    client = node.create_client(SetBool, "switch")
    assert client.wait_for_service(5.0)
    questions = (client.service_is_ready, lambda: node.count_publishers("rosout"))

    def ask(times: int) -> None:
        for _ in range(times):
            for question in questions:
                question()

    ask(300)
    before = resident_kb()
    ask(3000)
    assert resident_kb() - before < 256  # the binding's way left 900 kB


def test_any_number_of_topics_may_have_one_type(domain: int) -> None:
    code = """if True:
        import resource
        from edge_robot.standalone.dds.participant import Participant
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))  # it once took all there is
        participant = Participant(%d)
        handles = {participant.topic(f"rt/topic_{number}", "a::Type") for number in range(300)}
        assert len(handles) == 300
        participant.close()
    """
    subprocess.run([sys.executable, "-c", code % domain], check=True)


def test_the_raw_type_is_what_the_binding_would_make() -> None:
    code = """if True:
        from cyclonedds.idl import make_idl_struct
        from edge_robot.standalone.dds.raw_type import RawType
        idl = make_idl_struct("Raw", "edge_robot.Raw", {}).__idl__
        idl.fill_type_data()
        for name in ("data_type_props", "supported_versions", "_xt_bytedata"):
            assert getattr(RawType("x"), name) == getattr(idl, name), name
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_rest_of_the_binding_can_be_imported_later() -> None:
    code = """if True:
        import sys
        from edge_robot.standalone.dds.library import lib
        assert "cyclonedds.idl" not in sys.modules
        import cyclonedds
        from cyclonedds.domain import DomainParticipant
        assert cyclonedds.core.Entity in DomainParticipant.__mro__
        assert cyclonedds.internal is sys.modules["cyclonedds.internal"]
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_endpoint_announces_its_types_hash(node: Node) -> None:
    node.create_service(SetBool, "switch", lambda request, response: response)
    graph = node.context.graph
    endpoints = [*graph.writers(), *graph.readers()]
    assert "ros_discovery_info" in {endpoint.topic_name for endpoint in endpoints}
    for endpoint in endpoints:  # rmw_cyclonedds warns of each that does not
        if not endpoint.topic_name.startswith("DCPS"):  # DDS's own
            assert endpoint.user_data.get("typehash", "")[:7] == "RIHS01_", endpoint.topic_name
