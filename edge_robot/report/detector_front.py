"""Draws the accuracy–latency front of detector variants as an SVG file of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_robot.report.charts import Scale, line, svg, text

_WIDTH = 860.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 500.0, 48.0, 330.0
_UNTRAINED = 362.0
"""Where the rows of variants begin that were timed only, px."""
_ROW = 19.0
_LEGEND = 530.0
_SPACE = "http://www.w3.org/2000/svg"

_STYLE = """<style>
svg { background: #fff; font: 12px system-ui, sans-serif; fill: #222; }
.axis { stroke: #888; } .grid { stroke: #e4e4e4; } .tie { stroke: #aaa; stroke-dasharray: 3 3; }
.title { font-size: 15px; font-weight: 600; } .small { font-size: 11px; fill: #555; }
.digit { font-size: 10px; font-weight: 600; } .on { fill: #fff; }
.plain { stroke: #1769aa; fill: #1769aa; } .depthwise { stroke: #b3541e; fill: #b3541e; }
.plain.hollow, .depthwise.hollow { fill: #fff; stroke-width: 1.6; }
</style>"""


def draw(figures: Mapping[str, Any]) -> str:
    """Return the chart: latency across, mAP50 up, fp32 hollow and int8 filled, tied by a line.

    Args:
        figures: From `measure_front`.
    """
    variants = figures["variants"]
    kinds = ("fp32", "int8")
    trained = [item for item in variants if "map50" in item["int8"]]
    slowest = max(item[kind]["inference_ms"] for item in variants for kind in kinds)
    best = max((item[kind]["map50"] for item in trained for kind in kinds), default=1.0)
    x = Scale(0.0, 1.05 * slowest, _LEFT, _RIGHT)
    y = Scale(0.0, 100.0 * 1.08 * best, _BOTTOM, _TOP)
    untrained = [item["name"] for item in variants if item not in trained]
    end = _UNTRAINED + _ROW * len(untrained)
    body = [_STYLE]
    size = f"{figures['width']}×{figures['height']}"
    body.append(text(_LEFT, 20, f"Detector variants at {size}, one thread", "title"))
    for tick in x.ticks(8):
        body.append(line(x(tick), _TOP, x(tick), end - 6, "grid"))
        body.append(text(x(tick), end + 10, f"{tick:g}", "small", "middle"))
    for tick in y.ticks(6):
        body.append(line(_LEFT, y(tick), _RIGHT, y(tick), "grid"))
        body.append(text(_LEFT - 8, y(tick) + 4, f"{tick:g}", "small", "end"))
    body.append(line(_LEFT, _BOTTOM, _RIGHT, _BOTTOM, "axis"))
    body.append(text(_LEFT, _TOP - 10, f"mAP50 after {figures['steps']} steps, of 100", "small"))
    body.append(text(_RIGHT, end + 26, "inference, ms", "small", "end"))
    body.append(text(_LEFT - 8, _UNTRAINED + 4, "timed", "small", "end"))
    for number, item in enumerate(variants, 1):
        if item in trained:
            heights = {kind: y(100.0 * item[kind]["map50"]) for kind in kinds}
        else:
            heights = dict.fromkeys(kinds, _UNTRAINED + _ROW * untrained.index(item["name"]))
        places = {kind: (x(item[kind]["inference_ms"]), heights[kind]) for kind in kinds}
        body.append(line(*places["fp32"], *places["int8"], "tie"))
        for kind in kinds:
            body += _marker(*places[kind], number, item["depthwise"], kind)
    body += _legend(variants)
    drawing = svg(_WIDTH, end + 36, body, "Accuracy against latency of detector variants")
    return drawing.replace("<svg ", f'<svg xmlns="{_SPACE}" ', 1) + "\n"


def _marker(x: float, y: float, number: int, depthwise: bool, kind: str) -> list[str]:
    """Return a numbered dot."""
    family = "depthwise" if depthwise else "plain"
    hollow = "" if kind == "int8" else " hollow"
    return [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" class="{family}{hollow}"/>',
        text(x, y + 3.5, str(number), "digit" if hollow else "digit on", "middle"),
    ]


def _legend(variants: list[Mapping[str, Any]]) -> list[str]:
    """Return the list of variants with their figures."""
    columns = ((_LEGEND + 196, "fp32 ms"), (_LEGEND + 254, "int8 ms"), (_LEGEND + 312, "int8 kB"))
    body = [text(column, _TOP - 10, title, "small", "end") for column, title in columns]
    for number, item in enumerate(variants, 1):
        row = _TOP + 12 + 24 * (number - 1)
        body += _marker(_LEGEND + 8, row - 4, number, item["depthwise"], "int8")
        body.append(text(_LEGEND + 24, row, item["name"]))
        values = (
            f"{item['fp32']['inference_ms']:.2f}",
            f"{item['int8']['inference_ms']:.2f}",
            f"{item['int8']['kilobytes']}",
        )
        for (column, _), value in zip(columns, values, strict=True):
            body.append(text(column, row, value, "", "end"))
    row = _TOP + 12 + 24 * len(variants)
    body.append(text(_LEGEND, row, "hollow fp32, filled int8; blue plain 3×3, brown", "small"))
    body.append(text(_LEGEND, row + 15, "depthwise + 1×1; below: timed, not trained", "small"))
    return body
