"""Type hashes and bytes of every interface, as a real ROS 2 Jazzy printed them."""

from __future__ import annotations

from pathlib import Path

import make_fixtures

GOLDEN = Path(__file__).with_name("golden.txt").read_text().splitlines()


def test_hashes_and_bytes_are_those_of_ros_2() -> None:
    assert len(GOLDEN) > 350
    assert sum(not line.endswith("-") for line in GOLDEN) > 280
    names = [line.split()[0] for line in GOLDEN]
    ours = list(make_fixtures.fixture(make_fixtures.our_hashes(names)))
    assert [pair for pair in zip(GOLDEN, ours, strict=True) if pair[0] != pair[1]] == []
