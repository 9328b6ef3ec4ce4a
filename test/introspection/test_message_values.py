"""Values from YAML into messages."""

from __future__ import annotations

import pytest
import yaml
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseWithCovariance, TwistStamped
from nav_msgs.msg import Odometry, Path
from sensor_msgs.msg import ChannelFloat32
from std_msgs.msg import Bool, Byte, Header, Int8, String
from tf2_msgs.msg import TFMessage

from edge_robot.introspection.message_values import fill, select


def filled(message: object, text: str) -> object:
    assert fill(message, yaml.safe_load(text)) == []
    return message


def test_values_are_converted_to_the_type_of_their_field() -> None:
    assert filled(String(), "{data: 5}") == String(data="5")
    assert filled(TwistStamped(), "{twist: {linear: {x: 1}}}").twist.linear.x == 1.0
    assert filled(Byte(), "{data: 7}") == Byte(data=b"\7")
    assert filled(Bool(), "{data: true}") == Bool(data=True)


def test_sequences_are_filled() -> None:
    assert filled(ChannelFloat32(), "{values: [1, 2.5]}") == ChannelFloat32(values=[1.0, 2.5])
    covariance = list(range(36))
    message = filled(PoseWithCovariance(), f"{{covariance: {covariance}}}")
    assert list(message.covariance) == covariance


def test_messages_in_sequences_are_filled() -> None:
    text = (
        "{transforms: [{child_frame_id: a}, {child_frame_id: b, transform: {translation: {x: 2}}}]}"
    )
    transforms = filled(TFMessage(), text).transforms
    assert [item.child_frame_id for item in transforms] == ["a", "b"]
    assert transforms[1].transform.translation.x == 2.0


def test_now_and_auto_stand_for_the_time_of_publishing() -> None:
    path = Path()
    text = "{header: auto, poses: [{header: {stamp: now, frame_id: x}}]}"
    setters = fill(path, yaml.safe_load(text), expand=True)
    for set_stamp in setters:
        set_stamp(Time(sec=7))
    assert path.header.stamp == path.poses[0].header.stamp == Time(sec=7)
    assert path.poses[0].header.frame_id == "x"
    with pytest.raises(TypeError, match="Value 'auto' is expected to be a dictionary but is a str"):
        fill(Path(), {"header": "auto"})


def test_a_frame_may_be_called_now() -> None:
    header = Header()
    assert fill(header, {"frame_id": "now"}, expand=True) == []
    assert header.frame_id == "now"


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(AttributeError, match="'String' object has no attribute 'dato'"):
        fill(String(), {"dato": 1})
    with pytest.raises(ValueError):
        fill(Int8(), {"data": "many"})
    with pytest.raises(AssertionError):
        fill(Int8(), {"data": 1000})
    with pytest.raises(TypeError, match="Value '3' is expected to be a dictionary but is a int"):
        fill(Odometry(), {"pose": 3})


def test_a_path_leads_to_a_field() -> None:
    message = Odometry()
    message.pose.pose.position.x = 3.0
    assert select(message, "pose.pose.position").x == 3.0
    assert select(message, "pose.pose.position.x") == 3.0
    with pytest.raises(ValueError, match=r"Invalid field 'pose.nose': 'PoseWithCovariance' object"):
        select(message, "pose.nose")
    with pytest.raises(ValueError, match="Invalid field value"):
        select(message, ".")
