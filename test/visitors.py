"""People at their browsers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

SIZES = {"laptop": (1440, 900), "tablet": (820, 1180), "phone": (390, 844)}
"""Of the window, px, in which the page has to work."""


class Visitors:
    """People at their browsers, each with cookies of their own; what goes wrong there is kept.

    Attributes:
        problems: Errors in the consoles, and uncaught ones; violations of the CSP are among them.
    """

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self._contexts: list[Any] = []
        self.problems: list[str] = []

    def open(self, url: str, size: str = "laptop", theme: str = "light") -> Any:
        """Return a page at an address."""
        width, height = SIZES[size]
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,
            has_touch=size != "laptop",
        )
        context.set_default_timeout(20_000)
        self._contexts.append(context)
        page = context.new_page()
        page.on("console", lambda it: it.type == "error" and self.problems.append(it.text))
        page.on("pageerror", lambda error: self.problems.append(error.stack or str(error)))
        page.goto(url)
        return page

    def log_in(self, url: str, token: str, size: str = "laptop", theme: str = "light") -> Any:
        """Return a page that shows the dashboard, connected by both sockets."""
        page = self.open(url, size, theme)
        page.fill("#token", token)
        page.click("button[type=submit]")
        page.wait_for_selector("html[data-control=open]")
        page.wait_for_selector("html:not([data-view=lost])")
        return page

    def leave(self) -> None:
        """Close everything."""
        while self._contexts:
            self._contexts.pop().close()


def eventually(what: Callable[[], Any], page: Any, within: float = 5.0) -> Any:
    """Return the first value of `what` that is true; meanwhile the browser's events are handled."""
    end = time.monotonic() + within
    while not (found := what()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {within} s; the page says: {page.inner_text('body')}")
        page.wait_for_timeout(20)
    return found


def hold(
    page: Any, press: Callable[[], Any], release: Callable[[], Any], does: Callable[[], bool]
) -> None:
    """Hold the controls until the robot obeys; let go and take hold anew where it does not.

    So does an operator whose browser was too busy to answer in time.
    """
    for _ in range(5):
        press()
        end = time.monotonic() + 3.0
        while time.monotonic() < end:
            if does():
                return
            page.wait_for_timeout(20)
        release()
        page.wait_for_timeout(1000)
    raise AssertionError(f"the robot does not obey; the page says: {page.inner_text('body')}")


def hold_key(page: Any, key: str, does: Callable[[], bool]) -> None:
    """Hold a key as `hold` does."""
    hold(page, lambda: page.keyboard.down(key), lambda: page.keyboard.up(key), does)
