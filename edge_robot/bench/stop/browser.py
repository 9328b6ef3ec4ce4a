"""An operator who works the page in a real Chromium; obeys `operator`'s words."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge_robot.bench.chromium import ARGUMENTS, browser_path
from edge_robot.bench.stop.operator import obey

if TYPE_CHECKING:  # Playwright is asked for only where a browser is
    from playwright.async_api import Browser, CDPSession, Page, WebSocket

_LIMIT = 10.0  # s; the first page of a new browser takes longest
_KEY = "w"


class _Tab:
    """A page that is open, and what its control channel says.

    Attributes:
        page: The page.
        ticks: How many ticks came.
        status: The newest status; empty before the first.
        connected: Whether its control channel is open.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.ticks = 0
        self.status: dict[str, Any] = {}
        self.connected = False
        page.on("websocket", self._on_socket)
        page.on("crash", self._on_end)
        page.on("close", self._on_end)

    def _on_socket(self, socket: WebSocket) -> None:
        if socket.url.endswith("/ws/control"):
            socket.on("framereceived", self._on_frame)
            socket.on("close", self._on_end)

    def _on_frame(self, frame: str | bytes) -> None:
        message = json.loads(frame)
        if message["type"] == "status":
            if not self.connected or message["seat"] == self.status["seat"]:  # else yet to join
                self.status, self.connected = message, True
        elif message["type"] == "tick":
            self.ticks += 1

    def _on_end(self, _: object) -> None:
        self.connected = False


class _Page:
    """What an operator does, with the page."""

    def __init__(self, browser: Browser, url: str, token: str) -> None:
        self._browser = browser
        self._url = url
        self._token = token
        self._tab: _Tab | None = None
        self._devtools: CDPSession | None = None
        self._held = False

    async def connect(self) -> None:
        """Open the page, log in if it asks, with the key held down if it was."""
        if self._tab is not None and not self._tab.page.is_closed():
            await self._tab.page.close()
        context = self._browser.contexts[0]
        self._tab = tab = _Tab(await context.new_page())
        self._devtools = await context.new_cdp_session(tab.page)
        await tab.page.goto(self._url)
        if await tab.page.locator("#token").count():
            await tab.page.fill("#token", self._token)
            await tab.page.click("#login")
        await self._until(lambda: bool(tab.status))
        if self._held:
            await tab.page.keyboard.down(_KEY)

    async def close(self, how: str) -> None:
        """Close the tab, or let its process die."""
        tab = self._open_tab()
        if how == "crash":
            assert self._devtools is not None
            crashing = asyncio.ensure_future(self._devtools.send("Page.crash"))
            await self._until(lambda: not tab.connected)
            crashing.cancel()  # who crashed does not answer
            await asyncio.gather(crashing, return_exceptions=True)
        else:
            await tab.page.close()

    async def take(self) -> None:
        """Get the wheel."""
        tab = self._open_tab()
        if not tab.status["lease"]["yours"]:
            await tab.page.click("#take")
            await self._until(lambda: bool(tab.status["lease"]["yours"]))

    async def hold(self) -> None:
        """Hold a key down."""
        page = self._open_tab().page
        await page.locator("[data-drive]").first.focus()
        await page.keyboard.down(_KEY)
        self._held = True

    async def let_go(self) -> None:
        """Let go of the key, until the robot has been told."""
        tab = self._open_tab()
        await tab.page.keyboard.up(_KEY)
        self._held = False
        told = tab.ticks + 2
        await self._until(lambda: tab.ticks >= told)

    async def page_processes(self) -> dict[str, Any]:
        """Tell which processes hold pages: the one that is open, and perhaps one for the next."""
        session = await self._browser.new_browser_cdp_session()
        try:
            processes = (await session.send("SystemInfo.getProcessInfo"))["processInfo"]
        finally:
            await session.detach()
        return {"pids": [process["id"] for process in processes if process["type"] == "renderer"]}

    async def stop(self, how: str) -> dict[str, Any]:
        """Press stop, and go on holding the key; `at` is when the button or key is pressed."""
        page = self._open_tab().page
        if how == "button":
            box = await page.locator("#stop").bounding_box()
            assert box is not None
            x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
            at = time.monotonic()
            await page.mouse.click(x, y)
        else:
            at = time.monotonic()
            await page.keyboard.press("Space")
        return {"at": at}

    async def reset(self) -> None:
        """Release the emergency stop."""
        tab = self._open_tab()
        await tab.page.click("#reset")
        await self._until(lambda: not tab.status["stopped"])

    async def look(self) -> dict[str, Any]:
        """Tell what the robot says."""
        tab = self._tab
        if tab is None:
            return {"connected": False, "ticks": 0, "status": {}}
        return {"connected": tab.connected, "ticks": tab.ticks, "status": tab.status}

    def _open_tab(self) -> _Tab:
        if self._tab is None:
            raise RuntimeError("no page is open")
        return self._tab

    async def _until(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + _LIMIT
        while not condition():
            if time.monotonic() > until:
                raise RuntimeError("the page does not get there")
            await asyncio.sleep(0.005)


async def _main(url: str, certificate: str) -> None:
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=browser_path(), args=[*ARGUMENTS, "--renderer-process-limit=1"]
        )
        # Its certificate is the rig's own: what is trusted is not what is tried here.
        await browser.new_context(ignore_https_errors=True)
        await obey(_Page(browser, url, os.environ["EDGE_ROBOT_TOKEN"]))
        await browser.close()


if __name__ == "__main__":
    asyncio.run(_main(**json.loads(sys.argv[1])))
