"""The tiering curve as a drawing: accuracy against the share of frames uploaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edge_robot.report.charts import Scale, line, path, svg, text

_LINES = {
    "oracle": ("oracle", "#7a8794", "2 3"),
    "foresight": ("foresight", "#3a8f6a", "2 3"),
    "ours": ("ours", "#0a66c2", ""),
    "sedna_threshold": ("Sedna threshold", "#c01f3a", "7 3"),
    "sedna_ibt": ("Sedna IBT", "#a64b00", "4 3"),
    "random": ("random", "#7a8794", ""),
}
_STYLE = (
    "<style>text{font:12px sans-serif;fill:#15202b}polyline{fill:none;stroke-width:1.8}"
    "line{stroke:#dde3ea}"
    + "".join(
        f".{name}{{stroke:{colour};stroke-dasharray:{dashes or 'none'}}}"
        for name, (_, colour, dashes) in _LINES.items()
    )
    + "</style>"
)


def upload_chart(curves: Mapping[str, Any]) -> str:
    """Return an SVG file of the curves of one comparison.

    Args:
        curves: `fused` or `replaced` of the mean that `bench.tiering.measurement.measure` returns.
    """
    width, height = 640.0, 400.0
    share = np.linspace(0.0, 1.0, len(curves["ours"]["map"]))
    x = Scale(0.0, 1.0, 56.0, width - 20.0)
    values = np.array([curves[name]["map"] for name in _LINES])
    y = Scale(0.98 * values.min(), 1.01 * values.max(), height - 44.0, 14.0)
    body = [_STYLE]
    for tick in x.ticks(10):
        body += [line(x(tick), y.start, x(tick), y.end, "grid")]
        body.append(text(x(tick), y.start + 16, f"{tick * 100:.0f}", "", "middle"))
    for tick in y.ticks(8):
        body += [line(x.start, y(tick), x.end, y(tick), "grid")]
        body.append(text(x.start - 6, y(tick) + 4, f"{tick:.2f}", "", "end"))
    for row, (name, (title, _, _)) in enumerate(_LINES.items()):
        points = [(x(s), y(v)) for s, v in zip(share, curves[name]["map"], strict=True)]
        top = y.start - 110 + 18 * row
        body.append(path(np.array(points), name))
        body.append(path(np.array([(x.end - 150, top), (x.end - 122, top)]), name))
        body.append(text(x.end - 116, top + 4, title))
    body.append(text((x.start + x.end) / 2, height - 8, "frames uploaded, %", "", "middle"))
    body.append(text(x.start + 4, y.end + 4, "mAP, IoU 0.50–0.95"))
    drawing = svg(width, height, body, "mAP against the share of frames uploaded")
    return drawing.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"
