"""Prints the figures of a campaign of demos as a Markdown table: `python docs/campaign.py DIR`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HEAD = (
    "seed | goal reached | collisions | s simulated | real-time factor | camera → command p50, ms "
    "| p99, ms | late commands | fallback, ms | answers before cut | after | link recovered"
)


def row(figures: dict[str, Any]) -> str:
    """Return one demo's figures as a table row."""
    link, latency = figures["link"], figures["camera_to_cmd_ms"]
    cells = (
        figures["seed"],
        "yes" if figures["reached_goal"] else "no",
        figures["collisions"],
        f"{figures['sim_seconds']:.1f}",
        f"{figures['real_time_factor']:.3f}",
        f"{latency['p50']:.0f}",
        f"{latency['p99']:.0f}",
        figures["cmd_deadline_misses"],
        f"{link['fallback_ms']:.0f}",
        link["offloaded_before"],
        link["offloaded_after"],
        "yes" if link["recovered"] else "no",
    )
    return f"| {' | '.join(str(cell) for cell in cells)} |"


if __name__ == "__main__":
    runs = [json.loads(path.read_text()) for path in Path(sys.argv[1]).glob("*.json")]
    print(f"| {HEAD} |")
    print("|---" * len(HEAD.split("|")) + "|")
    for figures in sorted(runs, key=lambda figures: int(figures["seed"])):
        print(row(figures))
