"""Draws the table of transitions between modes as SVG: `docs/images/modes.svg`.

The places are chosen here; what is connected comes from the table. Numbers are its rows.
"""

from __future__ import annotations

import math
from collections import defaultdict

from edge_robot.control.modes import BY_ITSELF, TRANSITIONS, Mode

SIZE = (960, 540)
PLACES = {
    Mode.INITIALIZING: (130.0, 90.0),
    Mode.NOMINAL: (480.0, 90.0),
    Mode.REDUCED: (480.0, 270.0),
    Mode.LAST_SAFE_PLAN: (480.0, 450.0),
    Mode.CONTROLLED_STOP: (150.0, 360.0),
    Mode.EMERGENCY_STOP: (830.0, 90.0),
    Mode.WAITING: (830.0, 270.0),
    Mode.TELEOPERATION: (830.0, 450.0),
}
"""Middle of each mode's box, px."""
BOX = (160.0, 48.0)
AROUND = (30.0, 30.0, 610.0, 510.0)
"""Around the modes in which the robot acts by itself: left, top, right, bottom, px."""
BEND = 22.0
"""How far a line bends to its left, px, so that there and back stay apart."""
BENDS = {
    (Mode.TELEOPERATION, Mode.EMERGENCY_STOP): -98.0,
    (Mode.NOMINAL, Mode.LAST_SAFE_PLAN): 102.0,
    (Mode.WAITING, Mode.CONTROLLED_STOP): 2.0,
}
"""Of lines that would meet another box, or another line's numbers."""

Point = tuple[float, float]


def svg() -> str:
    """Return the picture."""
    rows: dict[tuple[Mode | None, Mode], list[int]] = defaultdict(list)
    for row, transition in enumerate(TRANSITIONS, 1):
        sources: list[Mode | None] = sorted(transition.sources)
        if transition.sources >= BY_ITSELF:  # one line for all of them
            sources = [None, *sorted(transition.sources - BY_ITSELF)]
        for source in sources:
            rows[source, transition.target].append(row)
    left, top, right, bottom = AROUND
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE[0]} {SIZE[1]}" '
        'font-family="sans-serif" font-size="16" text-anchor="middle">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="#555"/></marker></defs>',
        f'<rect width="{SIZE[0]}" height="{SIZE[1]}" rx="8" fill="#fff"/>',
        f'<rect x="{left:g}" y="{top:g}" width="{right - left:g}" height="{bottom - top:g}" '
        'rx="12" fill="#e8f4f2" stroke="#009485"/>',
        f'<text x="{left + 60:g}" y="{bottom - 16:g}" fill="#00695c">by itself</text>',
    ]
    parts += [_line(source, target, numbers) for (source, target), numbers in rows.items()]
    parts += [_box(mode) for mode in Mode]
    return "\n".join([*parts, "</svg>", ""])


def _box(mode: Mode) -> str:
    x, y = PLACES[mode]
    width, height = BOX
    return (
        f'<rect x="{x - width / 2:g}" y="{y - height / 2:g}" width="{width:g}" '
        f'height="{height:g}" rx="8" fill="#fff" stroke="#333"/>'
        f'<text x="{x:g}" y="{y + 5:g}" fill="#111">{mode.text}</text>'
    )


def _line(source: Mode | None, target: Mode, numbers: list[int]) -> str:
    """Return an arrow with the rows of the table that it stands for."""
    end = PLACES[target]
    if source is None:
        start, bend = (AROUND[2], end[1]), 0.0
    else:
        start, bend = PLACES[source], BENDS.get((source, target), BEND)
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy)
    control = (
        (start[0] + end[0]) / 2 + 2 * bend * dy / length,
        (start[1] + end[1]) / 2 - 2 * bend * dx / length,
    )
    first = start if source is None else _edge(start, control)
    last = _edge(end, control)
    x, y = ((a + 2 * b + c) / 4 for a, b, c in zip(first, control, last, strict=True))
    text = ", ".join(map(str, numbers))
    width = 12 + 8 * len(text)
    return (
        f'<path d="M{first[0]:.1f} {first[1]:.1f}Q{control[0]:.1f} {control[1]:.1f} '
        f'{last[0]:.1f} {last[1]:.1f}" fill="none" stroke="#555" marker-end="url(#tip)"/>'
        f'<rect x="{x - width / 2:.1f}" y="{y - 10:.1f}" width="{width}" height="20" rx="10" '
        f'fill="#fff" stroke="#bbb"/><text x="{x:.1f}" y="{y + 5:.1f}" font-size="13" '
        f'fill="#333">{text}</text>'
    )


def _edge(middle: Point, towards: Point) -> Point:
    """Return where a line from the middle of a box leaves it."""
    dx, dy = towards[0] - middle[0], towards[1] - middle[1]
    scale = min(
        BOX[0] / 2 / abs(dx) if dx else math.inf,
        BOX[1] / 2 / abs(dy) if dy else math.inf,
    )
    return middle[0] + scale * dx, middle[1] + scale * dy
