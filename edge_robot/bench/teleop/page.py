"""Glass to glass: how old the picture is that a real browser draws."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from edge_robot.bench.figures import percentiles
from edge_robot.bench.runtimes import Runtime
from edge_robot.bench.teleop.scene import BITS
from edge_robot.bench.teleop.site import on_loopback

WARM_UP = 5.0  # s


def picture_age(
    runtime: Runtime, seconds: float, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Return the age of the picture on loopback, from capture to the page's canvas.

    Args:
        runtime: Runs all programs.
        seconds: How long.
        progress: Is told how far it is.
    """
    with on_loopback(runtime) as site:
        progress("page: a browser starts")
        page = site.far("teleop_page", url=site.url, token=site.tokens[0])
        page.next()
        time.sleep(WARM_UP)
        page.go_on()
        page.next()
        progress(f"page: {seconds:g} s")
        time.sleep(seconds)
        page.go_on()
        drawn = page.next()["drawn"]
    return {
        "pictures_hz": round(len(drawn) / seconds, 1),
        "drawn": percentiles([age(code, at) for code, at, _ in drawn]),
        "next_frame": percentiles([age(code, at) for code, _, at in drawn]),
    }


def age(code: int, at: int) -> float:
    """Return the age, s, at a time, ms, of a picture with a code of the time of its capture."""
    return (at - code) % (1 << BITS) * 1e-3
