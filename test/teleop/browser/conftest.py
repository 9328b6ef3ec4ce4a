"""A real Chromium, headless, and pages in it that fail the test on any error in their console."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from visitors import Visitors

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = (
    "--no-sandbox",  # root in a container has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium() -> str:
    """Return the path of a Chromium, or skip, saying how to have one."""
    given = os.environ.get("EDGE_ROBOT_CHROMIUM")
    if given is not None:
        assert Path(given).is_file(), f"EDGE_ROBOT_CHROMIUM: there is no file {given}"
        return given
    for name in NAMES:
        found = shutil.which(name)
        if found is not None:
            return found
    pytest.skip(f"no browser: install {' or '.join(NAMES[:3])}, or name one in EDGE_ROBOT_CHROMIUM")


# Of the module, not of the session: while it lives, asyncio.run() is impossible in this thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = chromium()
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def visitors(browser: Any) -> Iterator[Visitors]:
    visitors = Visitors(browser)
    yield visitors
    visitors.leave()
    assert visitors.problems == []
