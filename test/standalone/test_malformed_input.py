"""Whatever comes from the network, a node goes on working."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import SetBool

SpinUntil = Callable[[Node, Callable[[], Any]], None]

FUZZER = """
    import random, struct, sys, time
    from edge_robot.standalone.dds.endpoints import Writer
    from edge_robot.standalone.dds.participant import Participant, domain_id
    from edge_robot.standalone.dds.qos import DdsQos

    participant = Participant(domain_id())
    random.seed(int(sys.argv[1]))
    SRV = "std_srvs::srv::dds_::SetBool_"
    reliable, latched = DdsQos(depth=1000), DdsQos(depth=1000, transient_local=True)
    odd = [b"typehash=RIHS01_;clientid=.;", bytes(range(256)), b"=;=;;;clientid", b"enclave="]
    writers = [
        Writer(participant, topic, kind, qos, user_data)
        for user_data in odd
        for topic, kind, qos in (
            ("rt/words", "std_msgs::msg::dds_::String_", reliable),
            ("rq/switchRequest", f"{SRV}Request_", reliable),
            ("rr/switchReply", f"{SRV}Response_", reliable),
            ("ros_discovery_info", "rmw_dds_common::msg::dds_::ParticipantEntitiesInfo_", latched),
        )
    ]
    while not all(writer.matched() for writer in writers):
        time.sleep(0.01)

    # Others do not pass Cyclone DDS itself.
    HEADERS = (b"\\0\\1\\0\\0", b"\\0\\0\\0\\0", b"\\0\\7\\0\\0")

    def sample():
        header = random.choice(HEADERS)
        kind = random.randrange(4)
        if kind == 0:
            return header + random.randbytes(random.randrange(64))
        if kind == 1:  # a length that lies
            length = struct.pack("<I", random.choice((5, 1 << 16, 1 << 31, (1 << 32) - 1)))
            return header + random.randbytes(16 * random.randrange(2)) + length + b"abc"
        if kind == 2:  # too long
            return header + struct.pack("<I", 4) + b"abc\\0" + random.randbytes(100)
        return header  # nothing at all

    for _ in range(500):
        random.choice(writers).write(sample())
        time.sleep(0.002)  # services keep only ten
    writers[0].write(b"\\0\\1\\0\\0" + b"\\xff" * 5_000_000)
    for writer in writers:
        writer.wait_for_acknowledgements(5_000_000_000)
    print("done")
    time.sleep(60)
"""


@pytest.mark.parametrize("seed", [1, 2])
def test_a_node_survives_a_fuzzer(
    node: Node,
    start_peer: Callable[..., Any],
    spin_until: SpinUntil,
    seed: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    received: list[str] = []
    subscription = node.create_subscription(
        String, "words", lambda message: received.append(message.data), 1000
    )
    raw: list[bytes] = []
    node.create_subscription(String, "words", raw.append, 1000, raw=True)

    def switch(request: Any, response: Any) -> Any:
        response.success = request.data
        return response

    service = node.create_service(SetBool, "switch", switch)
    client = node.create_client(SetBool, "switch")
    fuzzer = start_peer(FUZZER, str(seed))
    done: list[str] = []

    def finished() -> bool:
        if not fuzzer._lines.empty():
            done.append(fuzzer._lines.get())
        return "done" in done

    spin_until(node, finished)
    node.get_node_names_and_namespaces_with_enclaves()
    node.get_topic_names_and_types(no_demangle=True)
    assert len(node.get_publishers_info_by_topic("words")) == 4
    spin_until(node, lambda: subscription.drops.count > 10 and service.drops.count > 10)
    assert client.drops.count > 0
    assert node._graph.drops.count > 10
    assert len(raw) > 10

    # Everything still works.
    publisher = node.create_publisher(String, "words", 10)
    publisher.publish(String(data="the truth"))
    spin_until(node, lambda: "the truth" in received)
    future = client.call_async(SetBool.Request(data=True))
    spin_until(node, future.done)
    assert future.result().success
    assert "tested" in node.get_node_names()

    # Reported, but not for each single one.
    reports = [line for line in capsys.readouterr().err.splitlines() if "malformed" in line]
    for topic in ("/words", "/switch", "ros_discovery_info"):
        assert any(topic in line for line in reports)
    assert len(reports) < subscription.drops.count
