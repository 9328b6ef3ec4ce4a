"""Charts as inline SVG: a few strings of mark-up each, coloured by the page's style sheet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from edge_robot.report.history import Happening, Span


@dataclass(frozen=True)
class Scale:
    """A linear map from values to pixels.

    Attributes:
        low: Value at `start`.
        high: Value at `end`.
        start: Pixels.
        end: Pixels; may be less than `start`.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of a value, kept within the range."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.0
        return round(self.start + min(max(share, 0.0), 1.0) * (self.end - self.start), 1)

    def ticks(self, count: int) -> list[float]:
        """Return about `count` round values within the range."""
        raw = (self.high - self.low) / max(count, 1)
        if raw <= 0.0:
            return [self.low]
        power = 10.0 ** np.floor(np.log10(raw))
        step = next(f * power for f in (1.0, 2.0, 5.0, 10.0) if f * power >= raw * 0.999)
        first = np.ceil(self.low / step - 1e-9) * step
        return [float(v) + 0.0 for v in np.arange(first, self.high + step * 1e-6, step)]


def text(x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> str:
    """Return a text element; `kind` is its class."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
        f"{escape(content)}</text>"
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """Return a straight line; `kind` is its class."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def rect(x: float, y: float, width: float, height: float, kind: str, tip: str = "") -> str:
    """Return a rectangle; `kind` is its class, `tip` what the pointer shows."""
    title = f"<title>{escape(tip)}</title>" if tip else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.0):.1f}" '
        f'height="{max(height, 0.0):.1f}" class="{kind}">{title}</rect>'
    )


def path(points: np.ndarray, kind: str) -> str:
    """Return a polyline through (N, 2) pixels; `kind` is its class."""
    if len(points) < 2:
        return ""
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{joined}" class="{kind}"/>'


def svg(width: float, height: float, body: Sequence[str], label: str, kind: str = "") -> str:
    """Return the drawing; `label` is what a screen reader says of it."""
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" class="{kind}" role="img" '
        f'aria-label="{escape(label)}">{"".join(body)}</svg>'
    )


def thinned(points: np.ndarray, limit: int = 1500) -> np.ndarray:
    """Return every n-th row so that at most about `limit` remain, the last one among them."""
    step = max(1, len(points) // limit)
    return points if step == 1 else np.concatenate([points[::step], points[-1:]])


def histogram(values: np.ndarray, budget: float, label: str) -> str:
    """Draw how often each latency occurred, with the budget as a line.

    Args:
        values: (N,) ms, N ≥ 1.
        budget: ms.
        label: What is counted, for screen readers.
    """
    width, height, bottom, top = 340.0, 150.0, 122.0, 16.0
    longest = float(np.percentile(values, 99.8))
    high = max(budget * 1.25, longest * 1.05)
    counts, edges = np.histogram(values, bins=44, range=(0.0, high))
    x = Scale(0.0, high, 8.0, width - 8.0)
    y = Scale(0.0, max(1, int(counts.max())), bottom, top + 14.0)
    body = [line(x.start, bottom, x.end, bottom, "axis")]
    for count, left, right in zip(counts, edges, edges[1:], strict=False):
        if count:
            kind = "bar over" if left >= budget else "bar"
            tip = f"{left:.1f}–{right:.1f} ms: {count}"
            body.append(
                rect(x(left) + 0.5, y(count), x(right) - x(left) - 1, bottom - y(count), kind, tip)
            )
    for tick in x.ticks(5):
        body.append(text(x(tick), bottom + 15, f"{tick:g}", "tick", "middle"))
    body.append(line(x(budget), top, x(budget), bottom, "budget"))
    anchor = "end" if x(budget) > width * 0.6 else "start"
    shift = -5 if anchor == "end" else 5
    body.append(text(x(budget) + shift, top + 8, f"budget {budget:g} ms", "budget-label", anchor))
    if beyond := int((values > high).sum()):
        body.append(text(x.end, bottom - 6, f"+{beyond} beyond", "tick", "end"))
    body.append(text(width / 2, height - 2, "ms", "tick", "middle"))
    return svg(width, height, body, label)


@dataclass(frozen=True)
class Lane:
    """One row of the time line.

    Attributes:
        title: What it shows.
        height: Pixels.
        spans: States to draw as bars; the class of each is its state.
        dots: (N, 2) wall time in ns and value, drawn as dots.
        curve: (N, 2) wall time in ns and value, drawn as a line.
        limit: A value to draw across the lane, with what lies above it in the alarm colour.
        unit: Of dots, curve and limit.
    """

    title: str
    height: float
    spans: Sequence[Span] = ()
    dots: np.ndarray | None = None
    curve: np.ndarray | None = None
    limit: float | None = None
    unit: str = ""


def timeline(
    lanes: Sequence[Lane], happenings: Sequence[Happening], origin: int, end: int, start: int
) -> str:
    """Draw lanes over one time axis, with happenings as flags across all of them.

    Args:
        lanes: From top to bottom.
        happenings: Drawn from `start` to `end`.
        origin: Wall time that counts as 0 s, ns.
        end: Wall time at the right edge, ns.
        start: Wall time at the left edge, ns.
    """
    width, left = 1000.0, 152.0
    x = Scale((start - origin) * 1e-9, (end - origin) * 1e-9, left, width - 12.0)

    def at(wall: float) -> float:
        return x((wall - origin) * 1e-9)

    flags, top = _flags([h for h in happenings if start <= h.wall <= end], at, width)
    body: list[str] = []
    y = top
    for lane in lanes:
        body += _lane(lane, y, at, left, x.end)
        y += lane.height + 12.0
    body += [line(at(h.wall), top - 6, at(h.wall), y - 4, "flag") for h in happenings]
    body += flags
    body.append(line(left, y, x.end, y, "axis"))
    for tick in x.ticks(10):
        body += [line(x(tick), y, x(tick), y + 5, "axis")]
        body.append(text(x(tick), y + 18, f"{tick:g}", "tick", "middle"))
    body.append(text(left - 10, y + 18, "time, s", "tick", "end"))
    told = "; ".join(f"{(h.wall - origin) * 1e-9:.1f} s {h.name}" for h in happenings)
    return svg(width, y + 26, body, f"Time line. {told}", "wide")


def _flags(
    happenings: Sequence[Happening], at: Callable[[float], float], width: float
) -> tuple[list[str], float]:
    """Place the names of happenings in as many rows as they need; return them and their height."""
    rows: list[float] = []
    placed: list[tuple[Happening, float, int, bool]] = []
    for happening in happenings:
        x = at(happening.wall)
        length = 6.6 * len(happening.name) + 10
        flip = x + length > width
        begin = x - length if flip else x
        row = next((i for i, last in enumerate(rows) if last <= begin), len(rows))
        if row == len(rows):
            rows.append(0.0)
        rows[row] = begin + length
        placed.append((happening, x, row, flip))
    body = []
    for happening, x, row, flip in placed:
        anchor, shift = ("end", -4) if flip else ("start", 4)
        name = happening.name.replace("_", " ")
        y = 14 + 17 * row
        tip = f"<title>{escape(happening.detail)}</title>" if happening.detail else ""
        body.append(line(x, y - 10, x, 24 + 17 * len(rows), "flag"))
        body.append(
            f'<text x="{x + shift:.1f}" y="{y}" class="flag-label" text-anchor="{anchor}">'
            f"{escape(name)}{tip}</text>"
        )
    return body, 28.0 + 17 * len(rows)


def _lane(
    lane: Lane, top: float, at: Callable[[float], float], left: float, right: float
) -> list[str]:
    bottom = top + lane.height
    body = [
        rect(left, top, right - left, lane.height, "lane"),
        text(left - 10, top + min(lane.height / 2, 20) + 4, lane.title, "lane-title", "end"),
    ]
    for span in lane.spans:
        x1, x2 = at(span.start), at(span.end)
        kind = span.state.replace(" ", "-")
        body.append(
            rect(x1, top, x2 - x1, lane.height, f"state {kind}", f"{span.state}: {span.cause}")
        )
        if x2 - x1 > 7.0 * len(span.state) + 8:
            body.append(
                text((x1 + x2) / 2, bottom - lane.height / 2 + 4, span.state, "on-state", "middle")
            )
    values = [
        series[:, 1] for series in (lane.dots, lane.curve) if series is not None and len(series)
    ]
    if not values:
        return body
    highest = max(float(v.max()) for v in values)
    lowest = min(0.0, *(float(v.min()) for v in values))
    y = Scale(lowest, max(highest, (lane.limit or 0.0) * 1.15) or 1.0, bottom - 3, top + 4)
    shown = y.ticks(2)[-1]
    body.append(
        text(left - 10, bottom - 3, f"to {max(highest, shown):.3g} {lane.unit}", "tick", "end")
    )
    if lane.limit is not None:
        body.append(line(left, y(lane.limit), right, y(lane.limit), "budget"))
        body.append(
            text(right - 4, y(lane.limit) - 3, f"{lane.limit:g} {lane.unit}", "budget-label", "end")
        )
    if lane.curve is not None:
        points = [(at(t), y(v)) for t, v in thinned(lane.curve)]
        body.append(path(np.array(points), "curve"))
    if lane.dots is not None:
        for wall, value in lane.dots:
            over = lane.limit is not None and value > lane.limit
            kind, radius = ("dot over", 2.6) if over else ("dot", 1.5)
            body.append(f'<circle cx="{at(wall)}" cy="{y(value)}" r="{radius}" class="{kind}"/>')
    return body
