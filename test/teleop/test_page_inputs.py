"""What page/inputs.js makes of the operator's hands, on an otherwise empty page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from edge_robot.teleop.server import PAGE

SPEED, YAW_RATE = 2.0, 1.5
HTML = """<!doctype html><title>hands</title><style>body { margin: 0 }</style>
<div data-drive tabindex="0" id="area" style="width:400px;height:300px">
  <div id="stick" style="width:200px;height:200px;touch-action:none"><div id="knob"></div></div>
</div>
<button id="button">a button</button><input id="field">
<dialog id="dialog">asked</dialog>
<script type="module">
  import * as hands from "/inputs.js";
  window.hands = hands;
  window.pad = null;
  navigator.getGamepads = () => [window.pad];
  const byId = (id) => document.getElementById(id);
  window.inputs = new hands.Inputs({ stick: byId("stick"), knob: byId("knob") });
  Object.assign(inputs, { speed: 2.0, yawRate: 1.5, enabled: true });
  window.events = [];
  for (const type of ["device", "gamepad", "press", "released"])
    inputs.addEventListener(type, (event) => events.push([type, event.detail]));
  inputs.addEventListener("press", () => inputs.neutral()); // as the page does to stop
  inputs.addEventListener("press", () => inputs.neutral()); // as the page does to stop
</script>"""
PAD = """(held, x, y, stop) => {
  const down = (at) => (at === 5 && held) || (at === 1 && stop);
  window.pad = { id: "pad", connected: true, mapping: "standard", axes: [x, y, 0, 0],
    buttons: Array.from({ length: 16 }, (_, at) => ({ pressed: down(at) })) };
}"""


@pytest.fixture(scope="module")
def tab(browser: Any) -> Iterator[Any]:
    page = browser.new_page()

    def serve(route: Any) -> None:
        name = route.request.url.rpartition("/")[2]
        if name:
            route.fulfill(path=PAGE / name, content_type="text/javascript")
        else:
            route.fulfill(body=HTML, content_type="text/html")

    page.route("**/*", serve)
    yield page
    page.close()


@pytest.fixture
def page(tab: Any) -> Any:
    tab.goto("http://page.test/")
    for _ in range(100):
        if tab.evaluate("window.inputs?.sample().n > 2"):
            return tab
        time.sleep(0.02)
    raise AssertionError("inputs.js did not start")


def sample(page: Any) -> dict[str, Any]:
    return dict(page.evaluate("inputs.sample()"))


def eventually(page: Any, what: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Return the first sample for which `what` holds."""
    for _ in range(150):
        found = sample(page)
        if what(found):
            return found
        time.sleep(0.02)
    raise AssertionError(found)


def is_neutral(found: dict[str, Any]) -> bool:
    return not found["held"] and found["vx"] == found["vy"] == found["wz"] == 0


def test_a_key_drives_up_to_the_limit_and_no_longer_than_it_is_held(page: Any) -> None:
    page.keyboard.down("KeyW")
    first = eventually(page, lambda it: it["held"])
    assert first["vx"] < 0.6 * SPEED, "a key is a ramp, not a kick"
    last = eventually(page, lambda it: it["vx"] == pytest.approx(SPEED))
    assert last["n"] > first["n"] and last["age_ms"] < 200
    page.keyboard.up("KeyW")
    assert is_neutral(sample(page))
    assert ["released", None] in page.evaluate("events")


def test_keys_have_the_axes_of_rep_103_and_a_diagonal_is_no_faster(page: Any) -> None:
    page.keyboard.down("ArrowUp")
    page.keyboard.down("ArrowLeft")
    both = eventually(page, lambda it: it["wz"] > 0.7 * YAW_RATE and it["vx"] > 0.7 * SPEED)
    assert (both["vx"] / SPEED) ** 2 + (both["wz"] / YAW_RATE) ** 2 <= 1.0001
    page.keyboard.up("ArrowUp")
    page.keyboard.down("Shift")
    eventually(page, lambda it: it["wz"] == pytest.approx(YAW_RATE / 3) and it["vx"] == 0)
    page.keyboard.up("Shift")
    page.keyboard.up("ArrowLeft")
    page.keyboard.down("KeyQ")
    time.sleep(0.1)
    assert is_neutral(sample(page)), "this robot cannot move sideways"
    page.keyboard.up("KeyQ")
    page.evaluate("inputs.holonomic = true")
    page.keyboard.down("KeyQ")
    eventually(page, lambda it: it["vy"] == pytest.approx(SPEED))
    page.keyboard.up("KeyQ")


@pytest.mark.parametrize("focus", ["#field", "#button"])
def test_keys_do_not_drive_from_fields_and_buttons(page: Any, focus: str) -> None:
    page.focus(focus)
    page.keyboard.down("KeyW")
    time.sleep(0.1)
    assert is_neutral(sample(page))
    page.keyboard.up("KeyW")
    assert focus == "#button" or page.input_value("#field") == "w"
    page.focus("#area")
    page.keyboard.down("KeyW")
    eventually(page, lambda it: it["held"])
    page.focus(focus)
    eventually(page, is_neutral)
    page.keyboard.up("KeyW")


ENDS = {
    "blur": "window.dispatchEvent(new Event('blur'))",
    "unfocused window": "document.hasFocus = () => false",
    "hidden": "document.dispatchEvent(new Event('visibilitychange'))",
    "left": "window.dispatchEvent(new Event('pagehide'))",
    "menu": "document.dispatchEvent(new Event('contextmenu'))",
    "dialog": "document.getElementById('dialog').show()",
    "alert, or a page that hung": (
        "const end = performance.now() + 450; while (performance.now() < end);"
    ),
    "disabled": "inputs.enabled = false; inputs.enabled = true",
}


@pytest.mark.parametrize("end", ENDS)
def test_whatever_is_in_doubt_is_neutral_until_it_is_pressed_anew(page: Any, end: str) -> None:
    page.evaluate(f"({PAD})(false, 0, 0, false)")
    time.sleep(0.05)
    page.evaluate(f"({PAD})(true, 0, -1, false)")
    page.mouse.move(100, 30)
    page.mouse.down()
    page.keyboard.down("KeyW")
    eventually(page, lambda it: it["held"])
    page.evaluate(ENDS[end])
    eventually(page, is_neutral)
    page.evaluate("delete document.hasFocus; document.getElementById('dialog').close()")
    page.keyboard.down("KeyW")  # as the keyboard repeats it
    page.mouse.move(100, 31)
    time.sleep(0.1)
    assert is_neutral(sample(page)), "each of the three is still held"
    page.keyboard.up("KeyW")
    page.mouse.up()
    page.evaluate("window.pad = null")
    page.keyboard.down("KeyW")
    eventually(page, lambda it: it["held"])
    page.keyboard.up("KeyW")


def test_a_key_with_a_modifier_is_the_browsers(page: Any) -> None:
    page.keyboard.down("KeyW")
    eventually(page, lambda it: it["held"])
    page.keyboard.down("Control")
    assert is_neutral(sample(page))
    page.keyboard.up("Control")
    page.keyboard.up("KeyW")


def test_stick_by_mouse_and_finger(page: Any) -> None:
    page.mouse.move(100, 100)
    page.mouse.down()
    assert eventually(page, lambda it: it["held"])["vx"] == 0
    page.mouse.move(100, 250)  # beyond its edge: captured, and no faster
    eventually(page, lambda it: it["vx"] == pytest.approx(-SPEED))
    page.mouse.move(190, 100)
    right = eventually(page, lambda it: it["wz"] < -0.7 * YAW_RATE)
    assert abs(right["vx"]) < 1.0
    page.mouse.up()
    assert is_neutral(sample(page))

    touch = page.context.new_cdp_session(page)

    def finger(kind: str, *points: tuple[int, int]) -> None:
        at = [{"x": x, "y": y} for x, y in points]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    finger("touchStart", (100, 100))
    finger("touchMove", (100, 10))
    eventually(page, lambda it: it["vx"] > 0.7 * SPEED)
    finger("touchEnd")
    assert is_neutral(sample(page))
    finger("touchStart", (100, 20))
    eventually(page, lambda it: it["vx"] > 0.5 * SPEED)
    finger("touchCancel")
    assert is_neutral(sample(page))
    assert page.evaluate("window.scrollY") == 0


def test_gamepad_needs_its_dead_man_and_may_be_unplugged(page: Any) -> None:
    page.evaluate(f"({PAD})(true, 0, -1, false)")
    time.sleep(0.1)
    assert is_neutral(sample(page)), "found with the button held: it was not pressed for this"
    page.evaluate(f"({PAD})(false, 0, -1, false)")
    time.sleep(0.1)
    assert is_neutral(sample(page))
    page.evaluate(f"({PAD})(true, 0, -1, false)")
    eventually(page, lambda it: it["vx"] == pytest.approx(SPEED))
    page.evaluate(f"({PAD})(true, 0, 0.05, false)")
    centred = eventually(page, lambda it: it["vx"] == 0)
    assert centred["held"], "inside the dead zone it stands still, held"
    page.evaluate(f"({PAD})(true, 0, -1, false)")
    eventually(page, lambda it: it["vx"] > 0)
    page.evaluate("window.pad = null")
    eventually(page, is_neutral)
    page.evaluate("inputs.enabled = false")
    page.evaluate(f"({PAD})(false, 0, 0, true)")
    time.sleep(0.1)
    events = page.evaluate("events")
    assert events.count(["press", {"action": "stop"}]) == 1, "without the wheel, and once"
    assert ["gamepad", {"name": None}] in events


def test_frozen_rendering_cannot_look_fresh(page: Any) -> None:
    page.keyboard.down("KeyW")
    eventually(page, lambda it: it["held"])
    page.evaluate("window.requestAnimationFrame = () => 0")
    time.sleep(0.05)
    first = sample(page)
    time.sleep(0.15)
    second = sample(page)
    assert second["n"] == first["n"] and second["held"]
    assert second["age_ms"] > first["age_ms"] + 140
    time.sleep(0.4)
    assert is_neutral(sample(page))
    page.keyboard.up("KeyW")


def test_shaping_stays_in_bounds_for_any_stick(page: Any) -> None:
    """On a grid that includes a square gate's corners, a jittering middle, and no number."""
    found = page.evaluate("""() => {
      const problems = [];
      const steps = Array.from({ length: 41 }, (_, at) => (at - 20) / 20);
      for (const x of steps) for (const y of steps) {
        const [sx, sy] = hands.shape(x, y);
        if (Math.hypot(sx, sy) > 1 + 1e-9) problems.push(["long", x, y]);
        if (sx * x < 0 || sy * y < 0) problems.push(["turned", x, y]);
        if (Math.hypot(x, y) <= 0.08 && (sx || sy)) problems.push(["middle", x, y]);
        const next = hands.approach(x, y, 0.016);
        const most = Math.max(Math.abs(x), Math.abs(y));
        if (Math.abs(next) > most + 1e-9) problems.push(["far", x, y]);
        if (x * next < 0) problems.push(["leapt over zero", x, y]);
        const sum = hands.combine([[x, 0, y], [0, 1, 0]]);
        if (Math.hypot(...sum) > 1 + 1e-9) problems.push(["sum", x, y]);
      }
      if (hands.shape(NaN, 1).some((it) => it !== 0)) problems.push("NaN");
      return problems;
    }""")
    assert found == []
