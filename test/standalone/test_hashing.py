from __future__ import annotations

from typing import Any

import pytest
from rosbags.typesys import Stores, get_typestore

from edge_robot.standalone.interfaces.hashing import type_hash, type_hash_user_data
from edge_robot.standalone.interfaces.store import interfaces


@pytest.fixture(scope="module")
def rosbags_store() -> Any:
    return get_typestore(Stores.ROS2_JAZZY)


def test_the_published_hash_of_a_string() -> None:
    expected = "RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18"
    assert type_hash("std_msgs/msg/String") == expected
    assert type_hash_user_data("std_msgs/msg/String") == f"typehash={expected};".encode()


def test_hashes_are_those_of_rosbags(rosbags_store: Any) -> None:
    compared = 0
    for package in ("sensor_msgs", "geometry_msgs", "nav_msgs", "tf2_msgs", "rcl_interfaces"):
        for short in interfaces().names(package, "msg"):
            name = f"{package}/msg/{short}"
            assert type_hash(name) == rosbags_store.hash_rihs01(name), name
            compared += 1
    assert compared > 60


def test_the_hash_depends_on_names_and_types_of_fields() -> None:
    names = [
        "geometry_msgs/msg/Vector3",
        "geometry_msgs/msg/Point",
        "std_srvs/srv/SetBool_Request",
        "std_srvs/srv/SetBool_Response",
    ]
    assert len({type_hash(name) for name in names}) == len(names)
