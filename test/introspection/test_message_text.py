"""Messages as the tools print them, against texts written down from rosidl_runtime_py's rules."""

from __future__ import annotations

from geometry_msgs.msg import Point, Point32, Polygon
from nav_msgs.msg import Odometry
from sensor_msgs.msg import ChannelFloat32, PointCloud2, PointField
from std_msgs.msg import Byte, ByteMultiArray, Empty, Header, String
from vision_msgs.msg import Detection2D, ObjectHypothesisWithPose

from edge_robot.introspection.message_text import csv_text, yaml_text

HEADER = "header:\n  stamp:\n    sec: 0\n    nanosec: 0\n  frame_id: ''\n"


def test_nested_messages_are_indented() -> None:
    assert yaml_text(Header(frame_id="map")) == "stamp:\n  sec: 0\n  nanosec: 0\nframe_id: map\n"


def test_sequences_of_messages_and_of_numbers_are_items() -> None:
    polygon = Polygon(points=[Point32(x=1.0), Point32(y=2.5)])
    assert yaml_text(polygon) == (
        "points:\n- x: 1.0\n  y: 0.0\n  z: 0.0\n- x: 0.0\n  y: 2.5\n  z: 0.0\n"
    )
    channel = ChannelFloat32(name="intensity", values=[0.5, 1.0])
    assert yaml_text(channel) == "name: intensity\nvalues:\n- 0.5\n- 1.0\n"
    assert yaml_text(ChannelFloat32()) == "name: ''\nvalues: []\n"


def test_flow_style_is_for_sequences_only() -> None:
    channel = ChannelFloat32(name="x", values=[0.5, 1.0])
    assert yaml_text(channel, flow_style=True) == "name: x\nvalues: [0.5, 1.0]\n"
    polygon = Polygon(points=[Point32()])
    assert yaml_text(polygon, flow_style=True) == "points: [{x: 0.0, y: 0.0, z: 0.0}]\n"


def test_what_is_longer_than_allowed_is_cut_off() -> None:
    channel = ChannelFloat32(name="intensity", values=[0.0, 1.0, 2.0])
    assert yaml_text(channel, truncate=2) == "name: in...\nvalues:\n- 0.0\n- 1.0\n- '...'\n"
    assert yaml_text(channel, truncate=9) == "name: intensity\nvalues:\n- 0.0\n- 1.0\n- 2.0\n"
    assert csv_text(channel, truncate=2) == "in...,0.0,1.0,..."


def test_sequences_can_be_left_out() -> None:
    covariance = yaml_text(Odometry(), no_arrays=True).count("'<array type: double[36]>'")
    assert covariance == 2
    detection = Detection2D(results=[ObjectHypothesisWithPose()] * 3)
    assert "<sequence type: vision_msgs/msg/ObjectHypothesisWithPose, length: 3>" in yaml_text(
        detection, no_arrays=True
    )
    assert "<sequence type: uint8, length: 0>" in csv_text(PointCloud2(), no_arrays=True)


def test_strings_can_be_left_out() -> None:
    assert yaml_text(String(data="abc"), no_strings=True) == "data: '<string length: <3>>'\n"
    assert csv_text(String(data="abc"), no_strings=True) == "<string length: <3>>"


def test_text_is_kept_as_it_is() -> None:
    assert yaml_text(String(data="grün: ☃")) == "data: 'grün: ☃'\n"
    assert yaml_text(String(data="x" * 300)) == f"data: {'x' * 300}\n"


def test_bytes_are_characters() -> None:
    assert yaml_text(Byte(data=b"A")) == "data: A\n"
    assert yaml_text(ByteMultiArray(data=[b"A", b"B"])).endswith("data:\n- A\n- B\n")


def test_a_message_without_fields_is_an_empty_mapping() -> None:
    assert yaml_text(Empty()) == "{}\n"


def test_csv_holds_every_value_in_order() -> None:
    assert csv_text(PointField(name="x", offset=4, datatype=7, count=1)) == "x,4,7,1"
    assert csv_text(Point(x=1.0, y=2.0, z=3.0)) == "1.0,2.0,3.0"
