"""Which browser tries the dashboard's page: the system's Chromium, driven by Playwright."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from edge_robot.errors import UserError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

ARGUMENTS = (
    "--no-sandbox",  # which root in a container has not
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""For a browser that talks to nobody but the page's server."""


def browser_path() -> str:
    """Return the path of the browser: what EDGE_ROBOT_CHROMIUM says, else the first that is found.

    Raises:
        UserError: there is none, or Playwright is not installed.
    """
    if importlib.util.find_spec("playwright") is None:
        raise UserError("no Playwright here: pip install playwright")
    given = os.environ.get("EDGE_ROBOT_CHROMIUM")
    if given is not None:
        if not Path(given).is_file():
            raise UserError(f"EDGE_ROBOT_CHROMIUM: there is no file {given}")
        return given
    for name in NAMES:
        found = shutil.which(name)
        if found is not None:
            return found
    raise UserError(
        "no Chromium here: install your system's package of it, or say in EDGE_ROBOT_CHROMIUM "
        "where one is"
    )
