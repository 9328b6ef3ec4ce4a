"""Writes config/sros2: what each node may say and hear, read off the nodes themselves.

Run `python docs/policies.py`. Every node is started in a virtual world of its own, in a namespace,
so that its part of the graph tells which names move with the robot; sensors and peers, which can be
any number, become patterns.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import edge_robot  # noqa: F401  (from here on rclpy can be imported)

# isort: split
from rclpy.node import Node

from edge_robot import topics
from edge_robot.standalone.launch.loader import node_executables
from edge_robot.standalone.virtual import VirtualWorld

FOLDER = Path(__file__).parents[1] / "config" / "sros2"

_ROBOT = "/robot"
_REMAPPINGS = (f"__ns:={_ROBOT}", "/tf:=tf", "/tf_static:=tf_static")
_NODES = [name for name in node_executables() if name != "lifecycle_manager"]
_PARAMETERS = ("port:=0", "http_port:=0", f"node_names:=[{', '.join(_NODES)}]")
_TIME = 0.5  # s of the virtual world, until a node has made all that it makes at its start

_WITHOUT = {"replay_source"}
"""Says what a recording holds, which its path alone tells; it belongs to no secured robot."""

_SHOWS_ALL = {"dashboard", "foxglove_bridge", "recorder"}
"""Whoever may look at them may ask to see any topic of the robot."""

_SEVERAL = {"camera_perception", "lidar_perception"}
"""Of these a robot may have several: `camera_perception_left`."""

_FOREIGN = {"drivers", "tools"}
"""Enclaves of programs that are not ours, whatever their nodes are called."""

_BESIDE = {"gazebo_world", "lifecycle_manager", "mission", "network_link", "simulator"}
"""What they hear is no matter of drivers."""


@dataclass
class Rights:
    """What a node may do, by name of a topic, a service or an action.

    Names are as sros2 takes them: relative ones stand in the robot's namespace, `~` is the node.
    """

    publish: set[str] = field(default_factory=set)
    subscribe: set[str] = field(default_factory=set)
    reply: set[str] = field(default_factory=set)
    request: set[str] = field(default_factory=set)
    execute: set[str] = field(default_factory=set)
    call: set[str] = field(default_factory=set)

    def __sub__(self, other: Rights) -> Rights:
        return Rights(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))

    def __or__(self, other: Rights) -> Rights:
        return Rights(*(getattr(self, f.name) | getattr(other, f.name) for f in fields(self)))

    def __and__(self, other: Rights) -> Rights:
        return Rights(*(getattr(self, f.name) & getattr(other, f.name) for f in fields(self)))


_BY_PARAMETER = {
    "camera_perception": Rights(subscribe={topics.CAMERA_COMPRESSED.of("*").name}),
    "fusion": Rights(subscribe={topics.PEER_TRACKS.of("*").name}),
    "planner": Rights(publish={topics.MAP.name}),
}
"""What nodes do with other parameters than the default ones: transport, peers, map."""


def rights_of_nodes() -> dict[str, Rights]:
    """Return what each node does in the graph, by executable."""
    found = {name: _rights(name) for name in node_executables() if name not in _WITHOUT}
    for name, also in _BY_PARAMETER.items():
        found[name] = found[name] | also
    for name in _SHOWS_ALL:
        absolute = {topic for topic in found[name].subscribe if topic.startswith("/")}
        found[name].subscribe = absolute | {"*"}
    return found


def files(found: dict[str, Rights]) -> dict[str, str]:
    """Return the policy of a robot without namespace, as sros2's XML: text by file name."""
    common = _common(found.values())
    enclaves = {name: rights - common for name, rights in found.items()}
    own = [rights for name, rights in enclaves.items() if name not in _BESIDE]
    said = set().union(*(rights.publish for rights in own))
    heard = set().union(*(rights.subscribe for rights in own))
    # Drivers of sensors and base, map servers and the like: what the robot hears and does not say.
    outside = (heard - said - {"*", "/rosout"}) | {topics.MAP.name}
    enclaves["drivers"] = Rights(publish=outside, subscribe={topics.CMD_VEL.name})
    # `ros2 …` in a terminal, and whoever commands through actions: sees all, says nothing.
    enclaves["tools"] = Rights(subscribe={"*"}, request={"*"}, call={"*"})
    profile = f"{_DECLARATION}<!-- {_ABOUT} -->\n<profile>\n{_elements(common, 2)}</profile>\n"
    text = f'{_DECLARATION}<!-- {_ABOUT} -->\n<policy version="0.2.0"{_XINCLUDE}>\n  <enclaves>\n'
    for name, rights in enclaves.items():
        node = f"{name}*" if name in _SEVERAL else "*" if name in _FOREIGN else name
        text += f'    <enclave path="/edge_robot/{name}">\n      <profiles>\n'
        text += f'        <profile ns="/" node="{node}">\n'
        text += '          <xi:include href="common.xml" xpointer="xpointer(/profile/*)"/>\n'
        text += _elements(rights, 10)
        text += "        </profile>\n      </profiles>\n    </enclave>\n"
    return {"common.xml": profile, "policy.xml": f"{text}  </enclaves>\n</policy>\n"}


_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_ABOUT = "Written by docs/policies.py from the nodes as they are. See docs/security.md"
_XINCLUDE = ' xmlns:xi="http://www.w3.org/2001/XInclude"'


def _common(found: Iterable[Rights]) -> Rights:
    """Return what every node may do: log, tell the time, be asked for its parameters."""
    first, *rest = found
    common = first
    for rights in rest:
        common = common & rights
    return common


def _rights(name: str) -> Rights:
    module = import_module(f"edge_robot.nodes.{name}")
    (kind,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Node)
        and value.__module__ == module.__name__
    )
    with _machine(), VirtualWorld(arguments=_arguments()) as world:
        process = world.start(name, kind)
        world.run_for(_TIME)
        if process.error is not None:
            raise process.error
        assert process.node is not None
        return _graph_of(process.node)


def _arguments() -> list[str]:
    arguments = ["--ros-args"]
    for flag, values in (("-r", _REMAPPINGS), ("-p", _PARAMETERS)):
        for value in values:
            arguments += [flag, value]
    return arguments


@contextmanager
def _machine() -> Iterator[None]:
    """Have folders to write to, which are forgotten, and a systemd to talk to."""
    before, place = dict(os.environ), Path.cwd()
    cache = before.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))  # of compiled code
    with (
        TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
    ):
        systemd.bind(f"{folder}/notify")
        os.environ |= {
            "HOME": folder,
            "XDG_CACHE_HOME": cache,
            "NOTIFY_SOCKET": f"{folder}/notify",
        }
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(place)
            os.environ.clear()
            os.environ |= before


def _graph_of(node: Node) -> Rights:
    who = node.get_name(), node.get_namespace()

    def names(found: Iterable[tuple[str, list[str]]]) -> set[str]:
        return {_general(_relative(name, who[0])) for name, _ in found}

    offered = names(node.get_service_names_and_types_by_node(*who))
    asked = names(node.get_client_names_and_types_by_node(*who))
    rights = Rights(
        publish=_no_actions(names(node.get_publisher_names_and_types_by_node(*who))),
        subscribe=_no_actions(names(node.get_subscriber_names_and_types_by_node(*who))),
        reply=_no_actions(offered),
        request=_no_actions(asked),
        execute=_actions(offered),
        call=_actions(asked),
    )
    rights.publish.add("/rosout")  # a logger's own publisher
    rights.subscribe.add(topics.CLOCK.name)  # where time is simulated
    return rights


def _relative(name: str, node: str) -> str:
    """Return a name of the graph as a policy has it."""
    relative, own = name.removeprefix(f"{_ROBOT}/"), f"{node}/"
    # A topic of the table that looks like a node's own stays what it is: fusion/tracks.
    if relative.startswith(own) and relative not in _TABLE:
        return f"~/{relative.removeprefix(own)}"
    return relative


_TABLE = {topic.name for topic in topics.TOPICS}
_PATTERNS = {topic.name: topic.of("*").name for topic in topics.TOPICS if topic.sensor}


def _general(name: str) -> str:
    """Return the pattern of what every sensor of a kind has, else the name."""
    node, _, rest = name.partition("/")
    return f"{node}*/{rest}" if node in _SEVERAL else _PATTERNS.get(name, name)


def _actions(names: set[str]) -> set[str]:
    return {name.split("/_action/")[0] for name in names if "/_action/" in name}


def _no_actions(names: set[str]) -> set[str]:
    return {name for name in names if "/_action/" not in name}


def _elements(rights: Rights, indent: int) -> str:
    text, margin = "", " " * indent
    for kind, verbs in (
        ("topic", ("publish", "subscribe")),
        ("service", ("reply", "request")),
        ("action", ("execute", "call")),
    ):
        for verb in verbs:
            names = sorted(getattr(rights, verb))
            if names:
                lines = "".join(f"{margin}  <{kind}>{name}</{kind}>\n" for name in names)
                text += f'{margin}<{kind}s {verb}="ALLOW">\n{lines}{margin}</{kind}s>\n'
    return text


if __name__ == "__main__":
    for file, content in files(rights_of_nodes()).items():
        (FOLDER / file).write_text(content)
