"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from visitors import Visitors

os.environ["EDGE_ROBOT_RUNTIME"] = "standalone"  # whichever ROS 2 is sourced; heard by all below

import edge_robot  # noqa: F401  (from here on rclpy can be imported)
from edge_robot.bench.chromium import ARGUMENTS, browser_path
from edge_robot.errors import UserError

# A job in the background ignores SIGINT, and so would the processes that tests start to interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Of the processes that xdist runs side by side, each has every second (third, …) domain.
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_domains = count(_WORKER + _WORKERS * (os.getpid() % 30), _WORKERS)
_SHARED = 100 // _WORKERS * _WORKERS


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Give the test a DDS domain of its own (1..100), confined to this machine."""
    number = 1 + next(_domains) % _SHARED
    monkeypatch.setenv("ROS_DOMAIN_ID", str(number))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    yield number


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real recordings and models, or skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("../shared/data is absent: tests on real recordings and models are skipped")
    return folder


# Of the module, not of the session: while it lives, asyncio.run() is impossible in this thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start a Chromium without a window, or skip, saying why."""
    try:
        path = browser_path()
    except UserError as error:
        pytest.skip(str(error))
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def visitors(browser: Any) -> Iterator[Visitors]:
    """Return people at that browser; an error in the console of one of their pages is a failure."""
    visitors = Visitors(browser)
    yield visitors
    visitors.leave()
    assert visitors.problems == []
