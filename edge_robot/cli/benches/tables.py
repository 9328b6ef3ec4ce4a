"""What `edge-robot bench` prints for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

_PEERS = "peers"
_DETECTOR_PEERS = {"plain_onnxruntime": "plain", "opencv_dnn": "dnn"}
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
        if name in ("machine", _RATIOS, "detector", "tracking") or (name == _PEERS and peer):
            continue
        first = name
        for path, value in _leaves(values):
            theirs = _at(peer.get(name), path)
            more = (_text(theirs), _ratio(value, theirs)) if peer else ()
            table.add_row(first, ".".join(path), _text(value), *more)
            first = ""
        table.add_section()
    if table.row_count:
        console.print(table)
    if "detector" in figures:
        _print_detector(figures["detector"], console)
    if "tracking" in figures:
        _print_tracking(figures["tracking"], console)


def _print_tracking(figures: dict[str, Any], console: Console) -> None:
    """Print a row for each tracker and class, their speeds, and what late detections cost."""
    peers = {key: each for key, each in figures.items() if key.startswith("ab3dmot")}
    trackers = {"here": figures, **peers}
    rows = {
        f"{name}, {tracker}": row
        for tracker, values in trackers.items()
        for name, row in values["classes"].items()
    }
    late = figures.get("late", {}).get("sAMOTA", {})
    for title, content in (("", rows), ("sAMOTA, detections late", late)):
        if not content:
            continue
        table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("")
        for heading in next(iter(content.values())):
            table.add_column(heading, justify="right", no_wrap=True)
        for name, row in content.items():
            cells = (f"{v:.2f}" if isinstance(v, float) else str(v) for v in row.values())
            table.add_row(name, *cells)
        console.print(table)
    for tracker, values in trackers.items():
        console.print(f"{tracker}: {values['frames_per_second']} frames per second on one core")


def _print_detector(figures: dict[str, Any], console: Console) -> None:
    """Print a table for each model and number of threads: medians in ms, and what they share."""
    console.print(
        f"Image to boxes, ms at the median; images: {figures['images']['source']}. "
        "÷: how many times longer the peer takes; same: boxes as plain ONNX Runtime finds"
    )
    for model, by_threads in figures.items():
        for threads, values in by_threads.items() if model != "images" else ():
            console.print(_detector_table(f"{model}, {threads.replace('_', ' ')}", values))


def _detector_table(title: str, values: dict[str, Any]) -> Table:
    ours, peers = values["ratios"], values["peers"]
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for heading in ("prepare", "infer", "decode", "all", "p99", "plain÷", "dnn÷", "same"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, steps in {**{key: values[key] for key in ours}, **peers}.items():
        if isinstance(steps, str):
            table.caption = f"{name}: {steps}"
            continue
        medians = [steps[step]["p50_ms"] for step in ("preprocess", "inference", "decode")]
        whole = steps["end_to_end"]
        ratios = [ours.get(name, {}).get(f"to_{peer}", "") for peer in _DETECTOR_PEERS]
        shared = values["agreement"].get(name)
        table.add_row(
            _DETECTOR_PEERS.get(name, name),
            *(f"{figure:.2f}" for figure in (*medians, whole["p50_ms"], whole["p99_ms"])),
            *map(str, ratios),
            f"{shared['the_same']}/{shared['boxes_of_peer']}" if shared else "",
        )
    return table


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
