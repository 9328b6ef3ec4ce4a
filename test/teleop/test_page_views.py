"""The dashboard in a browser before a scripted robot: what is shown, how old it is, and to whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from scripted_robot import SCRIPT, TOKENS, Dashboard
from visitors import SIZES, Visitors

GRAVE = ("serious", "critical")


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    dashboard = Dashboard(tmp_path_factory.mktemp("dashboard"))
    yield dashboard
    dashboard.close()


PANELS = {
    "tracks": ["person", "camera, lidar", "0.4 m/s", SCRIPT],
    "stages": ["camera perception", "25 ms", "3 of 400", "over budget"],
    "fleet": ["hall", "blurred", "a protected object (2)"],
    "health": ["dark", "exposure 33 ms", "63 %"],
    "log": ["planner", "odd", SCRIPT],
    "robots": ["crane", "stork", "no answer", SCRIPT],
    "audit": ["chief", "login"],
}


def test_everything_that_the_robot_tells_is_shown_and_names_stay_text(
    dashboard: Dashboard, visitors: Visitors
) -> None:
    page = visitors.log_in(dashboard.url, TOKENS["chief"])
    page.wait_for_selector("#robot-name:has-text('crane')")
    page.wait_for_selector("#mode:has-text('nominal')")
    page.wait_for_selector("#battery:has-text('63')")
    for panel, texts in PANELS.items():
        page.click(f"#tab-{panel}")
        for text in texts:
            page.locator(f"#panel-{panel}").filter(has_text=text).wait_for()
        assert page.locator(f"#panel-{panel} img").count() == 0
    assert page.get_attribute("body", "data-hit") is None
    assert page.locator("a[href^='javascript']").count() == 0
    for canvas in ("camera", "map"):
        colours = page.evaluate(f"""() => {{
          const canvas = document.getElementById("{canvas}");
          const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return new Set(new Uint32Array(pixels.data.buffer)).size;
        }}""")
        assert colours > 10, canvas


def test_an_old_picture_says_so(dashboard: Dashboard, visitors: Visitors) -> None:
    page = visitors.log_in(dashboard.url, TOKENS["guest"])
    page.wait_for_selector("#camera-stale", state="hidden")
    dashboard.robot.films = False
    page.wait_for_selector("#camera-stale:visible")
    dashboard.robot.films = True
    page.wait_for_selector("#camera-stale", state="hidden")


def test_the_colours_are_the_systems_or_ones_own(dashboard: Dashboard, visitors: Visitors) -> None:
    page = visitors.log_in(dashboard.url, TOKENS["guest"], theme="dark")

    def background() -> Any:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    dark = background()
    page.click("#theme")
    page.click("#theme")
    page.wait_for_selector("html[data-theme=light]")
    assert background() != dark
    page.reload()
    page.wait_for_selector("html[data-theme=light]")


@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing_serious(dashboard: Dashboard, visitors: Visitors, size: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visitors.open(dashboard.url, size)

    def audit(what: str) -> None:
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            found = axe.run(page).response["violations"]
            grave = [
                (it["id"], [node["target"] for node in it["nodes"]][:5])
                for it in found
                if it["impact"] in GRAVE
            ]
            assert not grave, (what, size, theme)

    if size == "phone":
        audit("log in")
    page.fill("#token", TOKENS["chief"])
    page.click("button[type=submit]")
    page.wait_for_selector("html[data-view=live]")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "scrolls sideways"
    audit("dashboard")
    assert page.locator("#stop").bounding_box()["y"] < SIZES[size][1] - 40, "stop is on screen"
    if size == "phone":
        page.click("#help")
        audit("help")
