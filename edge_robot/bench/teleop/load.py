"""What viewers cost: memory of those who do not read, processor time of those who do."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edge_robot.bench.figures import percentiles
from edge_robot.bench.processes import usage
from edge_robot.bench.runtimes import Program, Runtime
from edge_robot.bench.teleop.delays import command_delays
from edge_robot.bench.teleop.site import Site, ask, on_loopback

KINDS = ("never", "slow", "liar", "asker")
"""See `programs/teleop_stalled.py`."""

Progress = Callable[[str], None]


def stalled(runtime: Runtime, count: int, seconds: float, progress: Progress) -> dict[str, Any]:
    """Return what clients who do not read cost, and what others notice of them.

    Args:
        runtime: Runs all programs.
        count: Of each kind, one kind after the other.
        seconds: How long each are there.
        progress: Is told how far it is.
    """
    figures: dict[str, Any] = {}
    for kind in KINDS:  # a process each: memory is not given back to the kernel
        progress(f"stalled: {count} clients ({kind})")
        with on_loopback(runtime) as site:
            figures[kind] = _stall(site, _Crowd(site), kind, count, seconds)
    progress("stalled: once more, with Python's own account of its memory")
    with on_loopback(runtime, trace=True) as site:
        crowd = _Crowd(site)
        for kind in KINDS:
            mb_each = _stall(site, crowd, kind, count, seconds / 2)["mb_each"]
            figures[kind]["traced_mb_each"] = mb_each
    return figures


class _Crowd:
    """An operator who drives and a viewer who reads: who should notice nothing."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._operator, self._audience = site.people()
        ask(self._operator, do="drive")
        ask(self._audience, do="watch", viewers=1)
        time.sleep(4.0)  # buffers and caches fill

    def look(self, seconds: float) -> dict[str, Any]:
        """Return what they had in the last seconds."""
        viewer = ask(self._audience, do="report")["viewers"][0]
        samples = ask(self._operator, do="report")["samples"]
        loop = [delay for _, delay in command_delays(self._site.notes(), samples)["loop"]]
        return {"frames_hz": round(len(viewer["frames"]) / seconds, 1), "loop": percentiles(loop)}


def _stall(site: Site, crowd: _Crowd, kind: str, count: int, seconds: float) -> dict[str, Any]:
    crowd.look(1.0)
    time.sleep(seconds)
    before, held = crowd.look(seconds), _memory(site)
    address = urlsplit(site.url)
    assert address.port is not None
    clients = site.far(
        "teleop_stalled",
        host=address.hostname,
        port=address.port,
        token=site.tokens[1],
        count=count,
        kind=kind,
    )
    connected = clients.next()["connected"]
    crowd.look(1.0)
    most = kernel = 0
    begun = time.monotonic()
    while time.monotonic() < begun + seconds:
        time.sleep(0.5)
        most = max(most, _memory(site))
        kernel = max(kernel, _unsent(site, address.port))
    after = crowd.look(time.monotonic() - begun)
    clients.stop()
    return {
        "clients": connected,
        "mb_each": round(max(0, most - held) / connected / 1e6, 3),
        "kernel_kb_most": round(kernel / 1e3, 1),
        "frames_hz": {"before": before["frames_hz"], "with": after["frames_hz"]},
        "loop": {"before": before["loop"], "with": after["loop"]},
    }


def _memory(site: Site) -> int:
    """Return what the dashboard holds, bytes, as Python counts it if it does, else the kernel."""
    traced = ask(site.dashboard, memory=True)["traced"]
    return int(traced) or 1000 * usage(site.dashboard.process.pid).rss_kb


def _unsent(site: Site, port: int) -> int:
    """Return the most that the kernel holds for one connection of the dashboard, bytes."""
    inside = ("nsenter", f"--net=/proc/{site.dashboard.process.pid}/ns/net")
    where = inside if os.geteuid() == 0 else ()
    listing = ("ss", "-tnmH", "state", "established", "sport", "=", f":{port}")
    told = subprocess.run([*where, *listing], capture_output=True, text=True, check=True).stdout
    return max((int(queued) for queued in re.findall(r"\bw(\d+)", told)), default=0)


def processor(
    runtime: Runtime, viewers: list[int], seconds: float, progress: Progress
) -> list[dict[str, Any]]:
    """Return the share of a core that the dashboard takes for so many viewers.

    Args:
        runtime: Runs all programs.
        viewers: Numbers of viewers.
        seconds: For each.
        progress: Is told how far it is.
    """
    found = []
    with on_loopback(runtime) as site:
        operator, audience = site.people()
        ask(operator, do="drive")
        for count in viewers:
            progress(f"processor: {count} viewers")
            ask(audience, do="watch", viewers=count)
            time.sleep(5.0)
            ask(audience, do="report")
            spent, begun = _spent(site.dashboard), time.monotonic()
            time.sleep(seconds)
            share = (_spent(site.dashboard) - spent) / (time.monotonic() - begun)
            seen = ask(audience, do="report")["viewers"]
            frames = [len(viewer["frames"]) / seconds for viewer in seen]
            ages = [came - at for viewer in seen for came, at, *_ in viewer["frames"]]
            found.append(
                {
                    "viewers": count,
                    "percent_of_a_core": round(100.0 * share, 1),
                    "frames_hz_least": round(min(frames, default=0.0), 1),
                    "kbit_s_each": round(
                        8e-3 * sum(viewer["bytes"] for viewer in seen) / seconds / max(1, count)
                    ),
                    "frame_age": percentiles(ages),
                }
            )
    return found


def _spent(program: Program) -> float:
    """Return the processor time of a process, s."""
    fields = Path(f"/proc/{program.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
