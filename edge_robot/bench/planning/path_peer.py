"""Times other planners on a cost raster: a program, run by path under an interpreter of theirs.

It takes a file with `cost` (rows, columns; infinite: no way), `start` and `goal` (pairs, 2) as
`numpy.savez` writes it, imports nothing of `edge_robot`, and needs scikit-image and pyastar2d.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
import pyastar2d  # type: ignore[import-not-found]
from skimage.graph import route_through_array  # type: ignore[import-not-found]


def main(file: str) -> None:
    """Print CPU times, s, and lengths, cell sides, of each planner's paths as JSON."""
    data = np.load(file)
    cost = data["cost"].astype(np.float32)
    closed = np.where(np.isfinite(cost), cost, -1.0)  # scikit-image's way to say so

    def a_star(start: Any, goal: Any) -> Any:
        return pyastar2d.astar_path(cost, tuple(start), tuple(goal), allow_diagonal=True)

    def minimum_cost_path(start: Any, goal: Any) -> Any:
        return np.array(route_through_array(closed, start, goal, geometric=True)[0])

    figures: dict[str, dict[str, list[float]]] = {}
    for name, find in (("pyastar2d", a_star), ("scikit-image", minimum_cost_path)):
        seconds, lengths = [], []
        for start, goal in zip(data["start"], data["goal"], strict=True):
            begun = time.process_time()
            path = find(start, goal)
            seconds.append(time.process_time() - begun)
            lengths.append(float(np.hypot(*np.diff(path, axis=0).T).sum()))
        figures[name] = {"seconds": seconds, "lengths": lengths}
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1])
