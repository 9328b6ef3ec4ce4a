from __future__ import annotations

import array
import copy
import pickle
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from action_msgs.msg import GoalStatusArray
from action_msgs.srv import CancelGoal
from diagnostic_msgs.msg import DiagnosticStatus
from edge_robot.msg import TrackedObject
from example_interfaces.action import Fibonacci, Fibonacci_SendGoal_Request
from geometry_msgs.msg import Point, PoseWithCovariance, Quaternion, Twist
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import ByteMultiArray, Empty, Header, String
from std_srvs.srv import SetBool, SetBool_Request
from vision_msgs.msg import Detection2D, ObjectHypothesisWithPose


def test_defaults_are_those_of_the_definition() -> None:
    assert Quaternion() == Quaternion(x=0.0, y=0.0, z=0.0, w=1.0)
    status = DiagnosticStatus()
    assert (status.level, status.name, status.values) == (b"\0", "", [])
    info = CameraInfo()
    assert info.k.dtype == np.float64
    assert info.k.tolist() == [0.0] * 9
    assert info.d == array.array("d")


def test_every_message_has_nested_defaults_of_its_own() -> None:
    first, second = Twist(), Twist()
    first.linear.x = 1.0
    assert second.linear.x == 0.0
    one, two = PoseWithCovariance(), PoseWithCovariance()
    one.covariance[0] = 1.0
    assert two.covariance[0] == 0.0


def test_constants_are_on_the_class_and_on_instances() -> None:
    assert PointField.FLOAT32 == 7
    assert PointField().FLOAT32 == 7
    assert DiagnosticStatus.ERROR == b"\x02"
    assert TrackedObject.SOURCE_LIDAR == 2


def test_only_known_fields_can_be_given_or_set() -> None:
    with pytest.raises(AssertionError, match="Invalid arguments passed to constructor: q"):
        Point(q=1.0)
    with pytest.raises(TypeError):
        Point(1.0, 2.0, 3.0)
    with pytest.raises(AttributeError):
        Point().q = 1.0


@pytest.mark.parametrize(
    ("message", "field", "value"),
    [
        (Point(), "x", 1),  # rosidl takes no int for a float
        (Image(), "height", -1),
        (Image(), "height", 2**32),
        (Image(), "height", 1.0),
        (Image(), "encoding", b"rgb8"),
        (Image(), "header", Point()),
        (Image(), "data", "text"),
        (Image(), "data", [1, 300]),
        (Image(), "data", np.zeros((2, 2), np.uint8)),
        (Image(), "data", np.zeros(2, np.float32)),
        (CameraInfo(), "k", [0.0] * 8),
        (TrackedObject(), "class_score", 1e39),
        (DiagnosticStatus(), "level", 1),
        (Detection2D(), "results", [Point()]),
        (SetBool.Request(), "data", 1),
    ],
)
def test_values_of_another_type_or_range_are_refused(
    message: object, field: str, value: object
) -> None:
    before = copy.deepcopy(getattr(message, field))
    with pytest.raises(AssertionError, match=field):
        setattr(message, field, value)
    assert getattr(message, field) == pytest.approx(before) if field == "k" else True
    # The constructor converts sequences as `array` does, with the errors of `array`.
    with pytest.raises((AssertionError, TypeError, OverflowError, ValueError)):
        type(message)(**{field: value})


def test_float32_takes_infinity_and_nan() -> None:
    tracked = TrackedObject(class_score=float("inf"), age=float("nan"))
    assert tracked.class_score == float("inf")
    assert tracked.age != tracked.age


@pytest.mark.parametrize(
    "data",
    [
        b"\x01\x02\xff",
        bytearray(b"\x01\x02\xff"),
        memoryview(b"\x01\x02\xff"),
        np.array([1, 2, 255], np.uint8),
        array.array("B", [1, 2, 255]),
        [1, 2, 255],
        (1, 2, 255),
    ],
)
def test_image_data_takes_every_kind_of_bytes(data: object) -> None:
    image = Image(data=data)
    assert isinstance(image.data, array.array)
    assert np.frombuffer(image.data, np.uint8).tolist() == [1, 2, 255]


def test_an_array_is_kept_not_copied() -> None:
    data = array.array("B", [1, 2])
    assert Image(data=data).data is data
    covariance = np.arange(36.0)
    assert PoseWithCovariance(covariance=covariance).covariance is covariance
    fields: list[PointField] = []
    assert PointCloud2(fields=fields).fields is fields


def test_equality_compares_values_of_one_type() -> None:
    assert Image(data=b"ab") == Image(data=b"ab")
    assert Image(data=b"ab") != Image(data=b"ac")
    assert CameraInfo() == CameraInfo()
    assert CameraInfo(k=np.arange(9.0)) != CameraInfo()
    assert String(data="a") != Header(frame_id="a")
    with pytest.raises(TypeError):
        hash(String())


def test_messages_can_be_copied_deeply() -> None:
    original = Detection2D(results=[ObjectHypothesisWithPose()])
    original.results[0].hypothesis.class_id = "person"
    duplicate = copy.deepcopy(original)
    assert duplicate == original
    duplicate.results[0].hypothesis.class_id = "dog"
    assert original.results[0].hypothesis.class_id == "person"


def test_field_types_are_spelled_as_rosidl_does() -> None:
    assert Image.get_fields_and_field_types() == {
        "header": "std_msgs/Header",
        "height": "uint32",
        "width": "uint32",
        "encoding": "string",
        "is_bigendian": "uint8",
        "step": "uint32",
        "data": "sequence<uint8>",
    }
    assert CameraInfo.get_fields_and_field_types()["k"] == "double[9]"
    assert Empty.get_fields_and_field_types() == {}


def test_repr_and_module_name_the_type() -> None:
    assert repr(String(data="a")) == "std_msgs.msg.String(data='a')"
    assert Image.__module__ == "sensor_msgs.msg._image"
    assert repr(ByteMultiArray(data=[b"a"])).endswith("data=[b'a'])")
    assert repr(Image(data=b"ab")).endswith("data=[97, 98])")
    assert repr(SetBool.Request()) == "std_srvs.srv.SetBool_Request(data=False)"


def test_a_sequence_of_wide_numbers_takes_an_ndarray_of_its_type() -> None:
    from sensor_msgs.msg import LaserScan

    scan = LaserScan(ranges=np.array([1.0, 2.0], np.float32)[::-1])
    assert scan.ranges.tolist() == [2.0, 1.0]
    assert LaserScan(ranges=np.zeros(0, np.float32)).ranges.tolist() == []


def test_constants_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        PointField.FLOAT32 = 8  # type: ignore[misc]
    with pytest.raises(AttributeError):
        PointField().FLOAT32 = 8


def test_stated_defaults_are_on_the_class() -> None:
    assert Quaternion.W__DEFAULT == 1.0
    assert Quaternion().Z__DEFAULT == 0.0
    assert not hasattr(Point, "X__DEFAULT")


def test_slots_and_slot_types_are_those_of_rosidl() -> None:
    from rosidl_parser.definition import (
        Array,
        BasicType,
        NamespacedType,
        UnboundedSequence,
        UnboundedString,
    )

    assert Image.__slots__[:2] == ["_header", "_height"]
    assert (
        NamespacedType(["std_msgs", "msg"], "Header"),
        BasicType("uint32"),
        BasicType("uint32"),
        UnboundedString(),
        BasicType("uint8"),
        BasicType("uint32"),
        UnboundedSequence(BasicType("uint8")),
    ) == Image.SLOT_TYPES
    assert CameraInfo().SLOT_TYPES[5] == Array(BasicType("double"), 9)
    assert DiagnosticStatus.SLOT_TYPES[0] == BasicType("octet")


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_messages_can_be_copied_and_pickled(duplicate: Callable[[object], object]) -> None:
    messages = [
        Detection2D(results=[ObjectHypothesisWithPose()]),
        SetBool.Request(data=True),
        Fibonacci.Impl.SendGoalService.Request(goal=Fibonacci.Goal(order=3)),
        CameraInfo(),
    ]
    for message in messages:
        assert duplicate(message) == message


def test_checks_can_be_left_out() -> None:
    point = Point(x=1, check_fields=False)
    point.y = 2
    assert (point.x, point.y) == (1, 2)
    assert Image(data=[1], check_fields=False).data == array.array("B", [1])


def test_messages_say_what_a_field_must_be() -> None:
    refused = {
        "x": (Point(), 1, "The 'x' field must be of type 'float'"),
        "height": (Image(), -1, r"must be an unsigned integer in \[0, 4294967295\]"),
        "header": (Image(), Point(), "must be a sub message of type 'Header'"),
        "level": (DiagnosticStatus(), 1, "must be of type 'bytes' or 'ByteString' with length 1"),
        "results": (Detection2D(), [1], "and each value of type 'ObjectHypothesisWithPose'"),
        "k": (CameraInfo(), [1] * 9, "a set or sequence with length 9 and each value of type"),
        "data": (Image(), array.array("i"), r"array\(\) must have the type code of 'B'"),
    }
    for field, (message, value, words) in refused.items():
        with pytest.raises(AssertionError, match=words):
            setattr(message, field, value)


def test_services_and_actions_hold_their_messages() -> None:
    assert SetBool.Event.get_fields_and_field_types() == {
        "info": "service_msgs/ServiceEventInfo",
        "request": "sequence<std_srvs/SetBool_Request, 1>",
        "response": "sequence<std_srvs/SetBool_Response, 1>",
    }
    assert SetBool.Request is SetBool_Request
    assert Fibonacci.Impl.SendGoalService.Request is Fibonacci_SendGoal_Request
    assert Fibonacci.Impl.FeedbackMessage().feedback == Fibonacci.Feedback()
    assert Fibonacci.Goal.__module__ == "example_interfaces.action._fibonacci"
    assert Fibonacci.Impl.CancelGoalService is CancelGoal
    assert Fibonacci.Impl.GoalStatusMessage is GoalStatusArray
    for kind in (SetBool, Fibonacci):
        with pytest.raises(NotImplementedError):
            kind()


def test_image_and_cloud_data_are_copied_once_at_most() -> None:
    pixels = np.zeros((1080, 1920, 3), np.uint8)
    tracemalloc.start()
    image = Image()
    image.data = pixels.reshape(-1)
    cloud = PointCloud2(data=pixels.reshape(-1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(image.data) == len(cloud.data) == pixels.size
    assert peak < 2 * pixels.size * 1.1
