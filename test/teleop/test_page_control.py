"""What page/control.js says to the robot and to the operator, against a scripted socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from edge_robot.teleop.server import PAGE

HTML = """<!doctype html><title>control</title>
<script type="module">
  import { Control } from "/control.js";
  window.hands = Object.assign(new EventTarget(), {
    n: 0,
    held: true,
    neutral() { this.held = false; this.dispatchEvent(new CustomEvent("released")); },
    sample() { return { n: ++this.n, held: this.held, vx: 0.123456, vy: 0, wz: 0, age_ms: 3.21 }; },
  });
  window.events = [];
  window.control = new Control();
  for (const type of ["connection", "status", "rtt", "stop"])
    control.addEventListener(type, (event) => events.push([type, event.detail]));
  control.drive(hands);
  control.connect();
</script>"""

REFUSED = """void (window.WebSocket = class {
  static OPEN = 1;
  constructor() { setTimeout(() => this.onclose?.({ reason: "" }), 1); }
  close() {}
})"""


class Far:
    """The other end of the page's socket and of its requests: answers as it is told to."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.sockets: list[Any] = []
        self.heard: list[dict[str, Any]] = []
        self.posts = 0
        self.stop_status: int | None = None
        """Of POST /stop; None: no answer, ever."""
        self.session_status = 200
        self.answers: Callable[[dict[str, Any]], str | None] = lambda request: "done"
        page.route("**/*", self._serve)
        page.route_web_socket("**/ws/control", self._open)
        page.goto("http://robot.test/")
        self.until(lambda: len(self.sockets) == 1)

    def _serve(self, route: Any) -> None:
        name = route.request.url.rpartition("/")[2]
        if name == "stop":
            self.posts += 1
            if self.stop_status is not None:
                route.fulfill(status=self.stop_status, body="by post\n")
        elif name == "session":
            route.fulfill(status=self.session_status, body="{}")
        elif name:
            route.fulfill(path=PAGE / name, content_type="text/javascript")
        else:
            route.fulfill(body=HTML, content_type="text/html")

    def _open(self, socket: Any) -> None:
        self.sockets.append(socket)
        socket.on_message(self._hear)

    def _hear(self, text: str | bytes) -> None:
        message = json.loads(text)
        self.heard.append(message)
        if "id" in message:
            answer = self.answers(message)
            if answer is not None:
                self.say(type="answer", id=message["id"], ok=True, text=answer)

    def say(self, **message: Any) -> None:
        self.sockets[-1].send(json.dumps(message))

    def until(self, what: Callable[[], bool], within: int = 3000) -> None:
        for _ in range(within // 10):
            if what():
                return
            self.page.wait_for_timeout(10)  # time.sleep() would keep the other end from answering
        raise AssertionError((self.heard, self.events()))

    def events(self, kind: str | None = None) -> list[Any]:
        every = self.page.evaluate("window.events ?? []")
        return [detail for name, detail in every if kind in (None, name)]


@pytest.fixture
def far(browser: Any) -> Iterator[Far]:
    page = browser.new_page()
    yield Far(page)
    page.close()


def test_every_tick_is_answered_once_and_a_release_does_not_wait_for_one(far: Far) -> None:
    for tick in (11, 12, 13):
        far.say(type="tick", tick=tick, rtt_ms=42.5)
    far.until(lambda: len(far.heard) == 3)
    assert [it["tick"] for it in far.heard] == [11, 12, 13]
    sample = {"n": 1, "held": True, "vx": 0.1235, "vy": 0, "wz": 0, "age_ms": 3.21}
    assert far.heard[0] == {"type": "input", "tick": 11, **sample}
    assert far.events("rtt")[-1] == {"ms": 42.5}
    far.page.evaluate("hands.neutral()")
    far.until(lambda: len(far.heard) == 4)
    assert (far.heard[3]["tick"], far.heard[3]["held"]) == (13, False)


def test_requests_come_back_in_words(far: Far) -> None:
    assert far.page.evaluate("control.take()") == {"ok": True, "text": "done"}
    assert far.page.evaluate("control.goal(1, 2, 0.5)")["ok"]
    assert [it["type"] for it in far.heard] == ["take", "goal"]
    assert far.heard[0]["force"] is False and far.heard[1]["x"] == 1
    assert len({it["id"] for it in far.heard}) == 2
    far.answers = lambda request: None
    far.page.evaluate("void control.take().then((it) => events.push(['lost', it]))")
    far.until(lambda: len(far.heard) == 3)
    far.sockets[-1].close(reason="the robot is shutting down")
    far.until(lambda: bool(far.events("lost")))
    assert far.events("lost") == [
        {"ok": False, "text": "the robot is shutting down, before it answered"}
    ]


def test_a_stop_that_is_answered_by_the_socket_is_not_posted(far: Far) -> None:
    assert far.page.evaluate("control.stop()") == {"ok": True, "text": "done"}
    far.page.wait_for_timeout(150)
    assert far.posts == 0
    assert [it["state"] for it in far.events("stop")] == ["sending", "delivered"]
    assert far.page.evaluate("hands.held") is False


def test_a_stop_is_posted_when_the_socket_does_not_answer(far: Far) -> None:
    far.answers = lambda request: None
    far.stop_status = 200
    begun = far.page.evaluate("performance.now()")
    assert far.page.evaluate("control.stop()") == {"ok": True, "text": "by post"}
    assert far.page.evaluate("performance.now()") - begun < 450
    far.page.evaluate(REFUSED)
    far.sockets[-1].close()
    far.until(lambda: not far.events("connection")[-1]["open"])
    assert far.page.evaluate("control.stop()")["ok"]
    assert far.posts == 2


def test_an_undelivered_stop_is_said_and_tried_again(far: Far) -> None:
    far.answers = lambda request: None
    far.page.evaluate("void control.stop()")
    far.until(lambda: bool([it for it in far.events("stop") if it["state"] == "undelivered"]))
    assert "NOT delivered" in far.events("stop")[-1]["text"]
    assert "button on the robot" in far.events("stop")[-1]["text"]
    far.answers = lambda request: "stopped"
    far.until(lambda: far.events("stop")[-1] == {"state": "delivered", "text": "stopped"})


def test_a_refused_stop_says_why(far: Far) -> None:
    far.stop_status = 503
    far.page.evaluate(REFUSED)
    far.sockets[-1].close()
    far.page.evaluate("void control.stop()")
    far.until(lambda: "undelivered" in [it["state"] for it in far.events("stop")])
    assert "NOT delivered: by post" in far.events("stop")[-1]["text"]


def test_a_second_connection_joins_the_first_and_either_will_do(far: Far) -> None:
    far.say(type="status", seat=7)
    far.until(lambda: [it.get("seat") for it in far.heard] == [7])
    far.say(type="status", seat=7)
    far.say(type="tick", tick=21, rtt_ms=30.0)
    far.until(lambda: far.heard[-1].get("tick") == 21)
    first, second = far.sockets
    first.close(reason="gone")
    far.until(lambda: len(far.sockets) == 3)
    assert far.page.evaluate("control.take()")["ok"], "over what is left"
    assert [it["open"] for it in far.events("connection")] == [True]
    assert far.page.evaluate("hands.held")
    second.close(reason="gone too")
    far.until(lambda: not all(it["open"] for it in far.events("connection")))
    assert not far.page.evaluate("hands.held")
    far.until(lambda: len(far.sockets) == 4)


def test_silence_is_a_lost_connection_and_another_is_opened(far: Far) -> None:
    far.say(type="tick", tick=1, rtt_ms=None)
    far.until(lambda: len(far.sockets) == 2, within=4000)
    lost, again = far.events("connection")[-2:]
    assert not lost["open"] and "Nothing was heard" in lost["text"]
    assert again["open"]
    assert not far.page.evaluate("hands.held")


def test_an_ended_session_is_told_apart_from_a_lost_robot(far: Far) -> None:
    far.session_status = 401
    far.page.evaluate(REFUSED)
    far.sockets[-1].close()
    far.until(lambda: any(it.get("expired") for it in far.events("connection")))
