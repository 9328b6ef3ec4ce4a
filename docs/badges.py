"""Draws the badges of README.md as SVG, from what the package says of itself: no image service."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LETTER = 6.6
"""Width of a letter, px."""


def badge(name: str, value: str, colour: str) -> str:
    """Return a badge.

    Args:
        name: Left, on grey.
        value: Right, on the colour.
        colour: As SVG has it.
    """
    left, right = (round(14 + LETTER * len(text)) for text in (name, value))
    width = left + right
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" '
        f'aria-label="{name}: {value}">'
        f'<clipPath id="r"><rect width="{width}" height="20" rx="3"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{left}" height="20" fill="#555"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/></g>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" '
        f'font-size="11"><text x="{left / 2:g}" y="14">{name}</text>'
        f'<text x="{left + right / 2:g}" y="14">{value}</text></g></svg>\n'
    )


def python() -> str:
    """Return the badge of the Python versions, of pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text()
    found = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', text)
    assert found is not None
    return badge("Python", f"3.{found[1]}–3.{int(found[2]) - 1}", "#3572a5")


def licence() -> str:
    """Return the badge of the licence, of package.xml."""
    found = re.search(r"<license>(.*?)</license>", (ROOT / "package.xml").read_text())
    assert found is not None
    return badge("licence", found[1], "#2e7d32")


def ros() -> str:
    """Return the badge of the ROS 2 distribution that the package has been run on."""
    return badge("ROS 2", "Jazzy", "#22314e")


def quality() -> str:
    """Return the badge of the quality level by REP-2004, of QUALITY_DECLARATION.md."""
    text = (ROOT / "QUALITY_DECLARATION.md").read_text()
    found = re.search(r"\*\*Quality Level (\d)\*\*", text)
    assert found is not None
    return badge("REP-2004", f"quality level {found[1]}", "#9f7a00")
