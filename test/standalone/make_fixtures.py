"""Prints what is on the wire for every interface: the fixtures of `test_golden.py`.

    python make_fixtures.py > golden.txt

Runs under a sourced ROS 2, whose answers are the ones to keep, and under the standalone runtime.
Each line holds a name, the RIHS01 hash of the type, and the SHA-256 of a message of the type whose
values come from its name (`-` for what is no message, and for events, which no program makes).
"""

import contextlib
import hashlib
import json
import os
import sys
from pathlib import Path

with contextlib.suppress(ImportError):
    import edge_robot  # noqa: F401  supplies rclpy where there is none

sys.path.append(str(Path(__file__).parents[1] / "interop"))
import every_message
from every_message import PACKAGES
from rclpy.serialization import serialize_message


def installed_hashes():
    """Return the type hashes that the sourced ROS 2 was built with."""
    hashes = {}
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        for package in PACKAGES:
            for file in Path(prefix, "share", package).glob("*/*.json"):
                for item in json.loads(file.read_text()).get("type_hashes", ()):
                    if item["type_name"].split("/")[0] in PACKAGES:
                        hashes[item["type_name"]] = item["hash_string"]
    return hashes


def our_hashes(names):
    """Return the type hashes of the standalone runtime."""
    from edge_robot.standalone.interfaces.hashing import type_hash

    return {name: type_hash(name) for name in names}


def digest(name):
    """Return the SHA-256 of the message that belongs to a name."""
    data = bytes(serialize_message(every_message.make(name)))
    return hashlib.sha256(data).hexdigest()


def fixture(hashes):
    """Give the lines of all types whose hashes these are."""
    messages = {name for package in PACKAGES for name in every_message.names_of(package)}
    for name, type_hash in sorted(hashes.items()):
        yield f"{name} {type_hash} {digest(name) if name in messages else '-'}"


if __name__ == "__main__":
    for line in fixture(installed_hashes()):
        print(line)
