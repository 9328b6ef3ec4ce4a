"""Nodes that come and go: what they leave behind, in their process and in one that sees them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from edge_robot.bench.processes import Usage, usage
from edge_robot.bench.runtimes import bench_domain, programs, standalone

WARM_UP = 50
"""Nodes before the first look: they fill caches and pools."""

STEP = 100


def measure(
    nodes: int = 1000, progress: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Make and destroy nodes one after the other; return what is held before and after.

    Args:
        nodes: How many.
        progress: Is told of every hundredth.

    Raises:
        RuntimeError: a process failed.
    """
    seen: dict[str, list[Usage]] = {"churner": [], "onlooker": []}
    with programs(standalone(bench_domain())) as start:
        onlooker = start("crowd", names=["churn_onlooker"])
        onlooker.next()
        churner = start("churner", nodes=nodes, warm_up=WARM_UP, step=STEP)
        begin = None
        while True:
            done = churner.next()["done"]
            begin = begin or time.monotonic()
            for name, program in (("churner", churner), ("onlooker", onlooker)):
                seen[name].append(usage(program.process.pid))
            held = seen["churner"][-1]
            progress(
                f"{done} of {nodes} nodes: {held.rss_kb} kB, {held.threads} threads, "
                f"{held.descriptors} descriptors"
            )
            if done >= nodes:
                break
            churner.go_on()
        seconds = time.monotonic() - begin
    return {
        "nodes": nodes,
        "ms_per_node": round(seconds / nodes * 1e3, 2),
        **{
            name: {
                "before": asdict(kept[0]),
                "after": asdict(kept[-1]),
                "rss_kb_per_node": round((kept[-1].rss_kb - kept[0].rss_kb) / nodes, 3),
                "rss_kb": [one.rss_kb for one in kept],
                "nothing_left": kept[-1].threads <= kept[0].threads
                and kept[-1].descriptors <= kept[0].descriptors,
            }
            for name, kept in seen.items()
        },
    }
