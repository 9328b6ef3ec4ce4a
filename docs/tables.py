"""Writes the tables and diagrams that come from the code into docs/architecture.md.

Run `python docs/tables.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edge_robot.control.modes import TRANSITIONS, ModeTimes, diagram
from edge_robot.stages import CAMERA_TO_COMMAND, STAGES, TRANSPORT_BUDGET
from edge_robot.topics import TOPICS, Durability, Qos

PAGE = Path(__file__).parent / "architecture.md"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head)]
    lines.append(["---"] * len(lines[0]))
    lines += [list(row) for row in rows]
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


def mode_diagram() -> str:
    """Return the mode machine as a Mermaid diagram in Markdown."""
    return f"```mermaid\n{diagram()}\n```"


def mode_table() -> str:
    """Return the transitions between modes in Markdown, in order of precedence."""
    times = ModeTimes()
    rows = (
        (
            ", ".join(mode.text for mode in sorted(transition.sources)),
            transition.target.text,
            transition.when,
            f"{getattr(times, transition.after):g} s" if transition.after else "at once",
        )
        for transition in TRANSITIONS
    )
    return _table(("from", "to", "when", "held for"), rows)


def with_tables(page: str) -> str:
    """Return `page` with the text between each pair of markers made anew."""
    for name, table in (
        ("topics", topic_table()),
        ("stages", stage_table()),
        ("mode diagram", mode_diagram()),
        ("modes", mode_table()),
    ):
        begin, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
        before, rest = page.split(begin)
        page = before + begin + table + end + rest.split(end)[1]
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text()))
