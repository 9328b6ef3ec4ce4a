"""The dashboard in a browser before the running demo, all of its processes.

With EDGE_ROBOT_SCREENSHOTS=docs/images it renews the pictures of the documentation.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from visitors import Visitors, eventually, hold_key

COMMAND = (sys.executable, "-c", "from edge_robot.cli.main import main; main()", "demo")
TOKEN = "a token for this test only"
PATIENCE = 60.0  # s; on two cores all processes need some until they know where they are

PICTURES = os.environ.get("EDGE_ROBOT_SCREENSHOTS")

AROUND = ((0.35, 0.5), (0.65, 0.5), (0.5, 0.3), (0.5, 0.7))
"""Points of the map, with the robot in its middle; some of them may lie in a shelf."""


@pytest.fixture
def url(tmp_path: Path, domain: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Start the demo; return the address of its dashboard."""
    monkeypatch.setenv("EDGE_ROBOT_TOKEN", TOKEN)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    arguments = ("--headless", "--seed", "3", "--report", str(tmp_path / "run"))
    with (tmp_path / "demo.txt").open("w") as output:
        demo = subprocess.Popen(
            [*COMMAND, *arguments, f"dashboard_port:={port}"], stdout=output, stderr=output
        )
    try:
        end = time.monotonic() + PATIENCE
        while not is_served(port):
            assert demo.poll() is None, (tmp_path / "demo.txt").read_text()
            assert time.monotonic() < end, "the page is not served"
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/"
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait(timeout=30.0)


def put_browser_first() -> None:
    """Put the browser, where permitted, before the robot's work: it stands for another computer.

    Chromium chooses the niceness of its processes itself, so nothing started before helps.
    """
    parents, names = {}, {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            head, rest = file.read_text().rsplit(")", 1)
            number = int(file.parent.name)
            parents[number], names[number] = int(rest.split()[1]), head.split("(", 1)[1]
    for process, name in names.items():
        ancestor = process
        while ancestor in parents and ancestor != os.getpid():
            ancestor = parents[ancestor]
        if ancestor == os.getpid() and name.startswith("chrom"):
            for task in Path(f"/proc/{process}/task").glob("*"):
                with suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, int(task.name), -15)


@pytest.mark.timeout(400)
@pytest.mark.skipif(
    (os.cpu_count() or 1) < 4 and PICTURES is None,
    reason="robot, world and a browser that draws without a GPU want four cores; "
    "EDGE_ROBOT_SCREENSHOTS=FOLDER runs it all the same",
)
def test_an_operator_sees_takes_over_stops_and_sends_the_robot_on(
    url: str, visitors: Visitors
) -> None:
    page = visitors.log_in(url, TOKEN)
    put_browser_first()
    page.set_default_timeout(1e3 * PATIENCE)
    for stale in ("#camera-stale", "#map-stale"):
        page.wait_for_selector(stale, state="hidden")
    page.click("#tab-tracks")
    page.locator("#tracks").filter(has_text="person").wait_for()

    page.click("#take")
    page.wait_for_selector("html[data-wheel=yours]")
    eventually(lambda: speed(page) < 0.02, page, PATIENCE)
    hold_key(page, "w", lambda: speed(page) > 0.1)
    keep(page, "dashboard")
    page.keyboard.up("w")
    eventually(lambda: speed(page) < 0.02, page, PATIENCE)

    hold_key(page, "w", lambda: speed(page) > 0.05)
    page.keyboard.press("Space")
    page.wait_for_selector("html[data-stopped=true]")
    eventually(lambda: speed(page) < 0.02, page, PATIENCE)
    keep(page, "dashboard-stopped")
    page.click("#reset")
    page.wait_for_selector("html[data-stopped=false]")
    page.wait_for_timeout(1000)
    assert not speed(page) > 0.02, "the key is still held, but was not pressed since"
    page.keyboard.up("w")

    page.click("#hand-back")
    page.wait_for_selector("html[data-wheel=free]")
    assert any(drives_to(page, *point) for point in AROUND), page.inner_text("body")
    assert not visitors.problems
    visitors.leave()

    for size in ("tablet", "phone"):
        other = visitors.log_in(url, TOKEN, size, "dark")
        other.wait_for_selector("html[data-view=live]", timeout=1e3 * PATIENCE)
        other.wait_for_timeout(1500)
        keep(other, f"dashboard-{size}")
        visitors.leave()


def drives_to(page: Any, right: float, down: float) -> bool:
    """Click on the map, send the goal, and return whether the robot drives."""
    box = page.locator("#map").bounding_box()
    page.mouse.click(box["x"] + right * box["width"], box["y"] + down * box["height"])
    page.click("#goal-send")
    page.wait_for_selector("#refused:has-text('on its way')")
    end = time.monotonic() + 15.0
    while time.monotonic() < end and not speed(page) > 0.1:
        page.wait_for_timeout(50)
    return speed(page) > 0.1


def is_served(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def speed(page: Any) -> float:
    """Return what the page shows, m/s; NaN while it shows none."""
    text = page.inner_text("#hud-speed")
    return float("nan") if text == "–" else float(text)


def keep(page: Any, name: str) -> None:
    """Keep a picture for the documentation, where that is asked for."""
    if PICTURES is not None:
        page.screenshot(path=Path(PICTURES) / f"{name}.png")
