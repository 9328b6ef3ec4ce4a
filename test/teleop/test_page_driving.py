"""The dashboard in a browser before a scripted robot: who gets in, who drives, and how it stops."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_robot import TOKENS, Dashboard
from visitors import Visitors, eventually, hold, hold_key


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Dashboard]:
    dashboard = Dashboard(tmp_path)
    yield dashboard
    dashboard.close()


@pytest.fixture
def ada(dashboard: Dashboard, visitors: Visitors) -> Any:
    """Return the page of somebody who may drive."""
    return visitors.log_in(dashboard.url, TOKENS["ada"])


def take(page: Any) -> None:
    page.click("#take")
    page.wait_for_selector("html[data-wheel=yours]")


def newest(dashboard: Dashboard) -> tuple[float, float, float]:
    return dashboard.robot.commands[-1] if dashboard.robot.commands else (0.0, 0.0, 0.0)


def test_only_a_known_token_opens_the_page(dashboard: Dashboard, visitors: Visitors) -> None:
    page = visitors.open(dashboard.url)
    page.fill("#token", "not a token of anybody")
    page.click("button[type=submit]")
    page.wait_for_selector("#login-error:has-text('not known')")
    assert "not a token" not in page.url
    page.fill("#token", TOKENS["guest"])
    page.click("button[type=submit]")
    page.wait_for_selector("html[data-view=live]")
    page.click("#logout button")
    page.wait_for_selector("#token")
    page.goto(dashboard.url)
    page.wait_for_selector("#token")


def test_keys_drive_within_the_limit_until_the_window_loses_focus(
    dashboard: Dashboard, ada: Any
) -> None:
    ada.keyboard.down("w")
    time.sleep(0.2)
    assert not any(newest(dashboard)), "nobody has the wheel"
    ada.keyboard.up("w")
    take(ada)
    ada.evaluate("document.getElementById('speed-limit').value = '0.3'")
    ada.dispatch_event("#speed-limit", "input")
    ada.wait_for_selector("#speed-limit-value:has-text('0.30')")
    eventually(lambda: '"speed": 0.3' in dashboard.audit_log(), ada)
    hold_key(ada, "w", lambda: newest(dashboard)[0] > 0.28)
    assert max(command[0] for command in dashboard.robot.commands) <= 0.301
    ada.evaluate("dispatchEvent(new Event('blur'))")
    eventually(lambda: newest(dashboard) == (0.0, 0.0, 0.0), ada)
    ada.keyboard.down("w")
    time.sleep(0.2)
    assert newest(dashboard) == (0.0, 0.0, 0.0), "held before, not pressed since"
    ada.keyboard.up("w")
    hold_key(ada, "a", lambda: newest(dashboard)[2] > 0.5)
    ada.keyboard.up("a")
    eventually(lambda: newest(dashboard) == (0.0, 0.0, 0.0), ada)


def test_a_finger_on_the_stick_drives_on_a_phone(dashboard: Dashboard, visitors: Visitors) -> None:
    page = visitors.log_in(dashboard.url, TOKENS["ada"], "phone")
    take(page)
    box = page.locator("#stick").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    finger = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        at = [{"x": x, "y": y} for x, y in points]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    def pull(down: float) -> None:
        touch("touchStart", (x, y))
        touch("touchMove", (x, y + down * box["height"]))

    for down in (-1.0, 1.0):
        hold(
            page,
            lambda down=down: pull(down),
            lambda: touch("touchEnd"),
            lambda down=down: down * newest(dashboard)[0] < -0.3,
        )
        touch("touchEnd")
    eventually(lambda: newest(dashboard) == (0.0, 0.0, 0.0), page)
    assert page.evaluate("scrollY") == 0


def test_a_gamepad_drives_with_its_dead_man_and_stops_the_robot(
    dashboard: Dashboard, ada: Any
) -> None:
    pad = """(held, y, stop) => {
      const down = (at) => (at === 5 && held) || (at === 1 && stop);
      const buttons = Array.from({ length: 16 }, (_, at) => ({ pressed: down(at) }));
      const pad = { id: "Pad", connected: true, mapping: "standard", axes: [0, y, 0, 0], buttons };
      navigator.getGamepads = () => [pad];
    }"""
    ada.evaluate(f"({pad})(false, 0, false)")
    ada.wait_for_selector("#gamepad:has-text('Pad')")
    take(ada)
    time.sleep(0.1)
    hold(
        ada,
        lambda: ada.evaluate(f"({pad})(true, -1, false)"),
        lambda: ada.evaluate(f"({pad})(false, 0, false)"),
        lambda: newest(dashboard)[0] > 0.3,
    )
    ada.evaluate("navigator.getGamepads = () => []")
    eventually(lambda: newest(dashboard) == (0.0, 0.0, 0.0), ada)
    ada.evaluate(f"({pad})(false, 0, true)")
    eventually(lambda: dashboard.robot.stopped, ada)


def test_a_stop_latches_and_nothing_moves_before_a_new_command(
    dashboard: Dashboard, ada: Any
) -> None:
    take(ada)
    hold_key(ada, "w", lambda: newest(dashboard)[0] > 0.2)
    ada.keyboard.press("Space")
    eventually(lambda: dashboard.robot.stopped, ada)
    ada.wait_for_selector("#latched:visible")
    commands = len(dashboard.robot.commands)
    time.sleep(0.2)
    assert not any(map(any, dashboard.robot.commands[commands:]))
    ada.click("#reset")
    eventually(lambda: not dashboard.robot.stopped, ada)
    ada.wait_for_selector("#latched", state="hidden")
    ada.keyboard.down("w")  # still held: as the keyboard repeats it
    time.sleep(0.3)
    assert newest(dashboard) == (0.0, 0.0, 0.0)
    ada.keyboard.up("w")
    ada.focus("#camera-screen")
    hold_key(ada, "w", lambda: newest(dashboard)[0] > 0.2)
    ada.click("#stop")
    eventually(lambda: dashboard.robot.stopped, ada)


def test_the_wheel_is_one_persons_at_a_time_and_a_refusal_says_why(
    dashboard: Dashboard, visitors: Visitors, ada: Any
) -> None:
    take(ada)
    bert = visitors.log_in(dashboard.url, TOKENS["bert"], "phone")
    bert.wait_for_selector("#wheel-text:has-text('ada has the wheel')")
    assert bert.is_hidden("#take") and bert.is_hidden("#force")
    bert.click("#ask")
    bert.wait_for_selector("#refused:has-text('ada is told')")
    ada.wait_for_selector("text=bert asks for the wheel")
    bert.keyboard.down("w")
    time.sleep(0.2)
    bert.keyboard.up("w")
    assert not any(map(any, dashboard.robot.commands))

    chief = visitors.log_in(dashboard.url, TOKENS["chief"], "phone")
    chief.click("#force")
    chief.click("#force-dialog button[value=yes]")
    chief.wait_for_selector("html[data-wheel=yours]")
    ada.wait_for_selector("#refused:has-text('chief took the wheel')")

    chief.click("#hand-back")
    bert.wait_for_selector("#take:visible")
    take(bert)
    for action in ("login", "take", "ask", "hand_back"):
        eventually(lambda action=action: f'"{action}"' in dashboard.audit_log(), bert)


def test_who_may_only_look_may_stop(dashboard: Dashboard, visitors: Visitors) -> None:
    page = visitors.log_in(dashboard.url, TOKENS["guest"])
    assert page.is_disabled("#take") and page.is_disabled("#goal-mode")
    page.wait_for_selector("#refused:has-text('look and stop')")
    page.click("#stop")
    eventually(lambda: dashboard.robot.stopped, page)
    page.click("#reset")
    page.wait_for_selector("#stop-note:has-text('role drive'), #refused:has-text('role drive')")
    assert dashboard.robot.stopped


def test_a_stop_goes_by_post_when_the_control_socket_is_gone(
    dashboard: Dashboard, visitors: Visitors
) -> None:
    page = visitors.open(dashboard.url)
    page.route_web_socket("**/ws/control", lambda socket: socket.close())
    page.fill("#token", TOKENS["ada"])
    page.click("button[type=submit]")
    page.wait_for_selector("html[data-view=live]")
    page.click("#stop")
    eventually(lambda: dashboard.robot.stopped, page)
    page.wait_for_selector("#latched:visible")


def test_a_lost_robot_is_unmistakable_and_so_is_a_stop_that_did_not_arrive(
    dashboard: Dashboard, visitors: Visitors, ada: Any
) -> None:
    take(ada)
    dashboard.cut()
    ada.wait_for_selector("html[data-control=lost]")
    ada.wait_for_selector("#lost:visible")
    ada.wait_for_selector("#camera-stale:visible")
    ada.click("#stop")
    ada.wait_for_selector("#stop-note:has-text('NOT delivered')")
    visitors.leave()
    refused = "net::ERR_CONNECTION_REFUSED"  # which the browser tells by itself
    visitors.problems = [line for line in visitors.problems if refused not in line]


def test_a_click_on_the_map_sends_a_goal(dashboard: Dashboard, ada: Any) -> None:
    ada.wait_for_selector("#map-stale", state="hidden")
    box = ada.locator("#map").bounding_box()
    ada.mouse.click(box["x"] + box["width"] / 2 + 80, box["y"] + box["height"] / 2)
    ada.wait_for_selector("#goal-confirm:visible")
    ada.click("#goal-send")
    x, y, yaw = eventually(lambda: dashboard.robot.goals, ada)[-1]
    # The robot is at (1, -1) in the middle of the map: +x is to the right, and one looks there.
    assert x > 1.5 and y == pytest.approx(-1.0, abs=0.05) and yaw == pytest.approx(0.0, abs=0.05)
