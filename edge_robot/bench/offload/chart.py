"""What each robot had around a fault of each kind, as a drawing: a mark for every result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge_robot.bench.offload.robot import FLEET, Result
from edge_robot.report.charts import Scale, line, rect, svg, text

_BEFORE, _AFTER = 0.7, 4.0
"""Drawn from the beginning of a fault, s."""
_LANE, _GROUP = 14.0, 26.0
_STYLE = (
    "<style>text{font:12px sans-serif;fill:#15202b}.fault{fill:#f3d9dc}.grid{stroke:#dde3ea}"
    ".fleet{stroke:#0a66c2;stroke-width:2}.onboard{stroke:#3a8f6a;stroke-width:2}"
    ".old{stroke:#c9a227;stroke-width:2}</style>"
)
_MARKS = {
    "fleet": "of the fleet",
    "onboard": "of the robot itself",
    "old": "of the fleet, from a frame before the last",
}


def fault_chart(
    robots: Mapping[str, Sequence[Result]], faults: Sequence[tuple[str, float, float]]
) -> str:
    """Return an SVG file, with the first fault of each kind and what follows it.

    Args:
        robots: The results of each.
        faults: Kind, beginning and end, s of `time.monotonic`.
    """
    firsts = {kind: begun for kind, begun, _ in reversed(faults)}
    width = 760.0
    height = len(firsts) * (_GROUP + len(robots) * _LANE) + 60.0
    x = Scale(-_BEFORE, _AFTER, 150.0, width - 16.0)
    body, top = [_STYLE], 8.0
    for kind, begun in firsts.items():
        bottom = top + _GROUP + len(robots) * _LANE - 8.0
        for _, start, end in faults:
            left, right = x(start - begun), x(end - begun)
            if left < x.end and right > x.start:
                body.append(rect(left, top + 4, max(right - left, 2.0), bottom - top - 4, "fault"))
        body.append(text(8.0, top + 15.0, kind))
        for row, (name, results) in enumerate(robots.items()):
            y = top + _GROUP + row * _LANE
            body.append(text(x.start - 8.0, y + 4.0, name, "", "end"))
            for result in results:
                if -_BEFORE <= result.at - begun <= _AFTER:
                    at = x(result.at - begun)
                    body.append(line(at, y - 5.0, at, y + 5.0, _mark(result)))
        top = bottom + 8.0
    for tick in x.ticks(10):
        body.append(text(x(tick), top + 12.0, f"{tick:g}", "", "middle"))
    body.append(text((x.start + x.end) / 2, top + 28.0, "s since the fault", "", "middle"))
    left = 8.0
    for kind, title in _MARKS.items():
        body += [
            line(left, top + 34.0, left, top + 44.0, kind),
            text(left + 6.0, top + 43.0, title),
        ]
        left += 30.0 + 6.6 * len(title)
    drawing = svg(width, height, body, "Results of each robot around a fault of each kind")
    return drawing.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _mark(result: Result) -> str:
    if result.by != FLEET:
        return "onboard"
    return "fleet" if result.observed == result.captured else "old"
