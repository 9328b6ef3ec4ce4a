"""What `edge-robot bench` prints for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

_PEERS = "peers"
_RATIOS = "ratios_to_rclpy"


def print_figures(figures: dict[str, Any]) -> None:
    """Print figures as a table, beside those of rclpy where it was measured too."""
    console = Console()
    machine = figures["machine"]
    console.print(f"Python {machine['python']}, {machine['cores']} cores, {machine['machine']}")
    peer = figures.get(_PEERS, {}).get("rclpy", {})
    table = Table()
    for title in ("measured", "figure", "here", *(("rclpy", "ratio") if peer else ())):
        table.add_column(title, justify="left" if title in ("measured", "figure") else "right")
    for name, values in figures.items():
        if name in ("machine", _RATIOS) or (name == _PEERS and peer):
            continue
        first = name
        for path, value in _leaves(values):
            theirs = _at(peer.get(name), path)
            more = (_text(theirs), _ratio(value, theirs)) if peer else ()
            table.add_row(first, ".".join(path), _text(value), *more)
            first = ""
        table.add_section()
    console.print(table)


def _leaves(values: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the figures below a name; long series are for the JSON alone."""
    if isinstance(values, dict):
        for name, value in values.items():
            yield from _leaves(value, (*path, name))
    elif not isinstance(values, list):
        yield path, values


def _at(values: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        values = values.get(name) if isinstance(values, dict) else None
    return values


def _ratio(ours: Any, theirs: Any) -> str:
    numbers = isinstance(ours, float) and isinstance(theirs, float) and theirs > 0.0
    return f"{ours / theirs:.2f}" if numbers else ""


def _text(value: Any) -> str:
    return "" if value is None else f"{value:,.3f}" if isinstance(value, float) else str(value)
