"""The policies of SROS2 are those of the nodes, and give nobody the wheel who has not got it."""

from __future__ import annotations

import runpy
import xml.etree.ElementTree as ET
from pathlib import Path

from edge_robot import topics

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "config" / "sros2"


def who_may(verb: str, name: str) -> set[str]:
    """The enclaves that a policy lets do something, patterns left aside."""
    found = set()
    for enclave in ET.parse(FOLDER / "policy.xml").getroot().iter("enclave"):
        for rule in enclave.iter():
            if rule.get(verb) == "ALLOW" and name in {item.text for item in rule}:
                found.add(enclave.attrib["path"].removeprefix("/edge_robot/"))
    return found


def test_policies_are_those_of_the_nodes_as_they_are() -> None:
    policies = runpy.run_path(str(ROOT / "docs" / "policies.py"))
    for name, text in policies["files"](policies["rights_of_nodes"]()).items():
        assert (FOLDER / name).read_text() == text, f"{name}: run `python docs/policies.py`"


def test_one_enclave_alone_may_say_what_moves_or_stops_the_robot() -> None:
    assert who_may("publish", topics.CMD_VEL.name) == {"collision_monitor"}
    assert who_may("publish", topics.CMD_VEL_MUX.name) == {"command_mux"}
    assert who_may("publish", topics.CMD_VEL_NAV.name) == {"controller"}
    assert who_may("publish", topics.CMD_VEL_TELEOP.name) == {"dashboard"}
    assert who_may("publish", topics.ESTOP.name) == {"command_mux"}
    assert who_may("publish", topics.MODE.name) == {"mode_manager"}
    assert who_may("reply", "estop/set") == {"command_mux"}
    assert who_may("publish", topics.SCAN.name) == {"drivers", "simulator"}
    assert who_may("publish", "*") == who_may("reply", "*") == set()
