"""Writes one message of every type as bytes, or reads such bytes; runs under either runtime.

    every_message.py list PACKAGE…          prints the names of the messages there are
    every_message.py write < names          prints `name hex` for a message made from the name
    every_message.py read < "name hex" …    prints `name ok` where the bytes are that message's

The fields' values come from a random number generator seeded with the type's name, so that both
runtimes make the same message.
"""

import importlib
import random
import re
import sys
import zlib

import rclpy  # noqa: F401  the runtime must be there before message packages are
from rclpy.serialization import deserialize_message, serialize_message

PACKAGES = (
    *("action_msgs", "actionlib_msgs", "builtin_interfaces", "composition_interfaces"),
    *("diagnostic_msgs", "example_interfaces", "geometry_msgs", "lifecycle_msgs", "nav_msgs"),
    *("rcl_interfaces", "rmw_dds_common", "rosgraph_msgs", "sensor_msgs", "service_msgs"),
    *("shape_msgs", "statistics_msgs", "std_msgs", "std_srvs", "stereo_msgs", "tf2_msgs"),
    *("trajectory_msgs", "type_description_interfaces", "unique_identifier_msgs"),
    *("vision_msgs", "visualization_msgs"),
)
"""Packages of ROS 2 that the standalone runtime has, too."""

_INTEGERS = {f"{sign}int{bits}": (sign, bits) for sign in ("", "u") for bits in (8, 16, 32, 64)}


def get_class(name):
    """Return the class of `package/msg/Name`, also of halves of services and actions."""
    package, kind, short = name.split("/")
    module = importlib.import_module(f"{package}.{kind}")
    if kind == "msg":
        return getattr(module, short)
    stem, _, half = short.rpartition("_")
    if kind == "srv":
        return getattr(getattr(module, stem), half)
    action, _, part = stem.rpartition("_")
    if part in ("SendGoal", "GetResult"):
        service = getattr(getattr(module, action).Impl, f"{part}Service")
        return getattr(service, half)
    if half == "FeedbackMessage":
        return getattr(module, stem).Impl.FeedbackMessage
    return getattr(getattr(module, stem), half)


def names_of(package):
    """Return the names of all messages of a package, and of its services' and actions' halves."""
    names = []
    for kind in ("msg", "srv", "action"):
        try:
            module = importlib.import_module(f"{package}.{kind}")
        except ImportError:
            continue
        for short in sorted(dir(module)):
            item = getattr(module, short)
            if short.startswith("_") or not isinstance(item, type) or "_" in short:
                continue
            full = f"{package}/{kind}/{short}"
            if kind == "msg":
                names.append(full)
            elif kind == "srv":
                names += [f"{full}_Request", f"{full}_Response"]
            else:
                names += [f"{full}_{half}" for half in ("Goal", "Result", "Feedback")]
                names += [f"{full}_FeedbackMessage"]
                names += [
                    f"{full}_{service}_{half}"
                    for service in ("SendGoal", "GetResult")
                    for half in ("Request", "Response")
                ]
    return names


def number(base, dice):
    """Return a value of a primitive type."""
    if base == "boolean":
        return dice.random() < 0.5
    if base == "octet":
        return bytes([dice.randrange(256)])
    if base in _INTEGERS:
        sign, bits = _INTEGERS[base]
        return dice.randrange(2**bits) - (0 if sign else 2 ** (bits - 1))
    if base == "float":
        return float(dice.randrange(-(2**20), 2**20)) / 16.0
    if base == "double":
        return dice.uniform(-1e9, 1e9)
    raise ValueError(base)


def text(bound, dice):
    """Return a string, with letters of one, two and three bytes."""
    return "".join(dice.choice("aZ0 é漢") for _ in range(dice.randrange(min(bound or 9, 9) + 1)))


def value(spelled, dice, depth=0):
    """Return a value of a type as `get_fields_and_field_types` spells it."""
    if found := re.fullmatch(r"sequence<(.*?)(?:, (\d+))?>", spelled):
        longest = min(int(found[2] or 5), 5)
        return [value(found[1], dice, depth) for _ in range(dice.randrange(longest + 1))]
    if found := re.fullmatch(r"(.*)\[(\d+)\]", spelled):
        return [value(found[1], dice, depth) for _ in range(int(found[2]))]
    if found := re.fullmatch(r"w?string(?:<(\d+)>)?", spelled):
        return text(int(found[1] or 0), dice)
    if "/" in spelled:
        package, short = spelled.split("/")
        return message(find(package, short), dice)
    return number(spelled, dice)


def find(package, short):
    """Return the class of a nested type, which is a message or part of an action."""
    if "_" in short:
        return get_class(f"{package}/action/{short}")
    return get_class(f"{package}/msg/{short}")


def message(kind, dice):
    """Return a message with random values in all fields."""
    made = kind()
    for name, spelled in kind.get_fields_and_field_types().items():
        setattr(made, name, value(spelled, dice))
    return made


def make(name):
    """Return the message that belongs to a name."""
    return message(get_class(name), random.Random(zlib.crc32(name.encode())))


def main():
    """Do as told."""
    what, *packages = sys.argv[1:]
    if what == "list":
        for package in packages:
            for name in names_of(package):
                print(name)
    for line in sys.stdin if what != "list" else ():
        name, *rest = line.split()
        try:
            mine = make(name)
            if what == "write":
                print(name, bytes(serialize_message(mine)).hex())
            else:
                theirs = deserialize_message(bytes.fromhex(rest[0]), get_class(name))
                again = bytes(serialize_message(theirs)).hex()
                print(name, "ok" if theirs == mine and again == rest[0] else f"differs: {theirs}")
        except Exception as error:
            print(name, f"{type(error).__name__}: {error}".replace("\n", " "))


if __name__ == "__main__":
    main()
