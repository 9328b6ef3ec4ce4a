from __future__ import annotations

from typing import Any

import pytest
from rosbags.typesys import Stores, get_typestore

from edge_robot.standalone.interfaces import hashing
from edge_robot.standalone.interfaces.hashing import type_hash, type_hash_user_data
from edge_robot.standalone.interfaces.store import Interfaces, interfaces


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


@pytest.mark.parametrize("distro", ["iron", "kilted", "lyrical"])
def test_hashes_of_other_distributions_are_those_of_rosbags(
    distro: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Interfaces(distro, {})
    monkeypatch.setattr(hashing, "interfaces", lambda: known)
    oracle = get_typestore(Stores(f"ros2_{distro}"))
    names = [
        f"{package}/msg/{short}"
        for package in known.packages()
        for short in known.names(package, "msg")
    ]
    assert len(names) > 150
    differing = [n for n in names if type_hash.__wrapped__(n) != oracle.hash_rihs01(n)]
    # rosbags takes its `char` for IDL's; what ROS 2 says of it is in `golden.txt`.
    assert set(differing) == {
        "rmw_dds_common/msg/Gid",
        "rmw_dds_common/msg/NodeEntitiesInfo",
        "rmw_dds_common/msg/ParticipantEntitiesInfo",
        "service_msgs/msg/ServiceEventInfo",
        "std_msgs/msg/Char",
    }


def test_humble_announces_no_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_ROBOT_ROS_DISTRO", "humble")
    assert type_hash_user_data("std_msgs/msg/String") == b""


def test_the_hash_depends_on_names_and_types_of_fields() -> None:
    names = [
        "geometry_msgs/msg/Vector3",
        "geometry_msgs/msg/Point",
        "std_srvs/srv/SetBool_Request",
        "std_srvs/srv/SetBool_Response",
    ]
    assert len({type_hash(name) for name in names}) == len(names)
