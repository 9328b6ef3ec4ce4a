"""Writes what the documentation takes from the code: every block of `BLOCKS` on every page.

A page says where a block goes by a pair of comments, `<!-- topics -->` and `<!-- /topics -->`; what
stands between them is made anew. Run `python docs/tables.py` after a change of the code it reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import badges
import mode_diagram
import typer

from edge_robot.cli import main as command_line
from edge_robot.control.modes import TRANSITIONS, ModeTimes
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.parameters import LIVE
from edge_robot.stages import CAMERA_TO_COMMAND, STAGES, TRANSPORT_BUDGET
from edge_robot.standalone.launch import Argument, arguments_of
from edge_robot.standalone.rclpy.node import Node
from edge_robot.standalone.virtual import VirtualWorld
from edge_robot.topics import TOPICS, Durability, Qos

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head)]
    lines.append(["---"] * len(lines[0]))
    lines += [[cell.replace("|", r"\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _contract(qos: Qos) -> str:
    parts = [qos.reliability.value, f"keep last {qos.depth}"]
    if qos.durability is Durability.TRANSIENT_LOCAL:
        parts.append("transient local")
    for name, value in (
        ("deadline", qos.deadline),
        ("lifespan", qos.lifespan),
        ("liveliness lease", qos.liveliness_lease),
    ):
        if value is not None:
            parts.append(f"{name} {value * 1e3:.0f} ms")
    return ", ".join(parts)


def topic_table() -> str:
    """Return the table of topics in Markdown."""
    return _table(
        ("topic", "type", "rate, Hz", "QoS", "what it carries"),
        ((f"`{t.name}`", f"`{t.type}`", t.rate, _contract(t.qos), t.about) for t in TOPICS),
    )


def stage_table() -> str:
    """Return the table of stages in Markdown."""
    rows = [(f"`{s.name}`", f"`{s.node}`", f"{s.budget * 1e3:.0f} ms", s.about) for s in STAGES]
    rows.append(("transport", "all hops", f"{TRANSPORT_BUDGET * 1e3:.0f} ms", "DDS between nodes"))
    whole, promise = CAMERA_TO_COMMAND, f"{CAMERA_TO_COMMAND.budget * 1e3:.0f} ms"
    rows.append((f"`{whole.name}`", f"measured by `{whole.node}`", promise, whole.about))
    return _table(("stage", "node", "budget (95th percentile)", "from → to"), rows)


def mode_table() -> str:
    """Return the transitions between modes in Markdown, in order of precedence."""
    times = ModeTimes()
    rows = (
        (
            str(number),
            ", ".join(mode.text for mode in sorted(transition.sources)),
            transition.target.text,
            transition.when,
            f"{getattr(times, transition.after):g} s" if transition.after else "at once",
        )
        for number, transition in enumerate(TRANSITIONS, 1)
    )
    return _table(("", "from", "to", "when", "held for"), rows)


def message_definitions() -> str:
    """Return every message of our own in Markdown, as its file has it."""
    return "\n\n".join(
        f"## {file.stem}\n\n```\n{file.read_text().rstrip()}\n```"
        for file in sorted((ROOT / "msg").glob("*.msg"))
    )


def launch_arguments() -> str:
    """Return the arguments of every launch file in Markdown, those of included files among them."""
    sections = []
    for file in sorted((ROOT / "launch").glob("*.launch.xml")):
        rows = [(f"`{a.name}`", _default(a), _meaning(a)) for a in arguments_of(file)]
        table = _table(("argument", "default", "meaning"), rows) if rows else "No arguments."
        sections.append(f"## {file.name}\n\n{table}")
    return "\n\n".join(sections)


def _default(argument: Argument) -> str:
    if argument.default is None:
        return "must be given"
    return f"`{argument.default}`" if argument.default else "empty"


def _meaning(argument: Argument) -> str:
    if not argument.choices:
        return argument.description
    choices = ", ".join(f"`{choice}`" for choice in argument.choices)
    return f"{argument.description}; one of {choices}"


def commands() -> str:
    """Return every sub-command of `edge-robot` with its arguments and options in Markdown."""
    app = typer.Typer()
    for name in command_line.COMMANDS:
        import_module(f"edge_robot.cli.{name}").register(app)
    return "\n\n".join(_sections(typer.main.get_command(app), ("edge-robot",)))


def _sections(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    """Yield a section for each command below a group, and for the group itself but the first.

    Args:
        command: What `typer.main.get_command` returns, or a command below it.
        path: The words that lead to it.
    """
    below = getattr(command, "commands", None)
    if len(path) > 1:
        parts = [f"{'#' * min(len(path), 4)} {' '.join(path)}", command.help or ""]
        if below is None:
            rows = [_parameter(item) for item in command.params]
            if rows:
                parts.append(_table(("argument, option", "default", "meaning"), rows))
        yield "\n\n".join(parts)
    for name, item in (below or {}).items():
        yield from _sections(item, (*path, name))


def _parameter(item: Any) -> tuple[str, str, str]:
    """Return the row of an argument or option; flags have no default worth telling."""
    if item.param_type_name == "argument":
        names, default = [item.metavar or item.name.upper()], None
    else:
        names, default = [*item.opts, *item.secondary_opts], item.default
    if item.required:
        shown = "must be given"
    elif isinstance(default, bool) or default in (None, "") or callable(default):
        shown = ""
    else:
        shown = f"`{default}`"
    return ", ".join(f"`{name}`" for name in names), shown, item.help or ""


def parameters() -> str:
    """Return a table of the parameters of each node in Markdown.

    The nodes are made, but neither configured nor connected to anything.
    """
    sections = []
    for file in sorted((ROOT / "edge_robot" / "nodes").glob("*.py")):
        if "def main(" in file.read_text(encoding="utf-8"):
            module = import_module(f"edge_robot.nodes.{file.stem}")
            (kind,) = (
                item
                for item in vars(module).values()
                if isinstance(item, type)
                and issubclass(item, Node)
                and item.__module__ == module.__name__
            )
            about = str(kind.__doc__).splitlines()[0]
            sections.append(f"## {file.stem}\n\n{about}\n\n{_parameter_table(kind)}")
    return "\n\n".join(sections)


def _parameter_table(kind: type[Node]) -> str:
    rows: dict[str, list[str]] = {}
    # The second time shows what belongs to a name in a list that has none by default.
    for named in ([], ["-p", "endpoints:=[NAME]", "-p", "neighbours:=[NAME]"]):
        with VirtualWorld(arguments=["--ros-args", *named]):
            node = kind()
            for name, parameter in node.get_parameters_by_prefix("").items():
                described = node.describe_parameter(name)
                everybodys = name == "autostart" and issubclass(kind, ManagedNode)
                own = described.additional_constraints and not everybodys
                if own and name not in rows:
                    rows[name] = _parameter_row(parameter, described)
    if not rows:
        return "It has none of its own."
    return _table(("parameter", "type", "default", "range", "live", "meaning"), rows.values())


def _parameter_row(parameter: Any, descriptor: Any) -> list[str]:
    choice, _, when = descriptor.additional_constraints.rpartition("; ")
    for bounds in (*descriptor.floating_point_range, *descriptor.integer_range):
        unbounded = bounds.to_value >= 1 << 62
        choice = f"{bounds.from_value:g} " + ("or more" if unbounded else f"to {bounds.to_value:g}")
    return [
        f"`{parameter.name}`",
        parameter.type_.name.lower().replace("_array", " list").replace("double", "float"),
        f"`{json.dumps(parameter.value, ensure_ascii=False)}`",
        choice.removeprefix("one of "),
        "yes" if when == LIVE else "",
        descriptor.description,
    ]


BLOCKS: dict[str, Callable[[], str]] = {
    "topics": topic_table,
    "stages": stage_table,
    "modes": mode_table,
    "messages": message_definitions,
    "launch arguments": launch_arguments,
    "commands": commands,
    "parameters": parameters,
}
"""By the name in the comments around it."""


def with_blocks(page: str) -> str:
    """Return `page` with the text between each pair of comments made anew."""
    for name, make in BLOCKS.items():
        begin, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
        if begin in page:
            before, rest = page.split(begin)
            page = before + begin + make() + end + rest.split(end)[1]
    return page


DRAWINGS: dict[str, Callable[[], str]] = {
    "images/modes.svg": mode_diagram.svg,
    "images/badge_python.svg": badges.python,
    "images/badge_ros.svg": badges.ros,
    "images/badge_licence.svg": badges.licence,
    "images/badge_quality.svg": badges.quality,
}
"""By their place below this folder."""


if __name__ == "__main__":
    for file in DOCS.rglob("*.md"):
        file.write_text(with_blocks(file.read_text()))
    for name, draw in DRAWINGS.items():
        (DOCS / name).write_text(draw())
