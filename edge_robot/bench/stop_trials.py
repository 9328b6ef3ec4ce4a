"""What may happen while somebody drives, and whether the robot then stops and stays.

Run as a program in a network of its own, it sets up a rig, does the trials that its argument asks
for, and prints a line of JSON for each.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_robot.bench.stop_base import TIMEOUT
from edge_robot.bench.stop_rig import Rig, rig
from edge_robot.bench.stop_verdict import Verdict, judge

LIMIT = 0.2
"""Within which the robot must have been commanded to stop, s."""

OUTAGE, FORGIVEN, LONG_OUTAGE = 0.25, 0.5, 2.0
"""From the event until its cause is over, s, and up to `_PHASE` more. Where input only pauses,
longer than the dashboard's `input_loss`: it forgives a shorter hiccup of link, page or server to an
operator who holds on through it. Now and then long."""

WATCH, LONG_WATCH = 0.3, 6.0
"""For how long nothing may move after that, and now and then, s: the lease of an operator who is
gone ends within the latter."""

LONG_EVERY = 50
"""One trial in so many, at random, has a long outage and a long watch."""

_PHASE = 0.1  # s; longer than the period of any loop: events come at any phase of them
_DRIVEN = 0.05  # s; for how long the robot moves at least
_READY_LIMIT = 5.0  # s
_MOVING_LIMIT, _TRIES = (
    1.0,
    4,
)  # s; a busy machine makes the dashboard doubt its inputs, as it should
_VICTIMS = ("dashboard", "command_mux", "collision_monitor")


@dataclass(frozen=True)
class Kind:
    """Something that may happen.

    Attributes:
        happen: Lets it happen; returns when it began, s on the steady clock.
        recover: Ends its cause, and returns when the robot could move again if it would; raises
            RuntimeError if it never can.
        variants: The ways in which it happens; one is drawn for each trial.
        browser_variants: The same with a real browser; empty where the browser adds nothing.
        outage: How long its cause lasts at least, s.
    """

    happen: Callable[[Rig, str], float]
    recover: Callable[[Rig, str], None]
    variants: tuple[str, ...] = ("",)
    browser_variants: tuple[str, ...] = ()
    outage: float = OUTAGE


@dataclass(frozen=True)
class Trial:
    """A trial and what it showed.

    Attributes:
        kind: Of what happened.
        variant: In which way.
        invalid: Why it shows nothing; empty if it does.
        trouble: Why robot and operator did not find each other again afterwards; empty if they did.
        watched: From the end of the cause to the end of the trial, s.
        verdict: What it showed; None where the robot could not even be driven.
    """

    kind: str
    variant: str
    invalid: str = ""
    trouble: str = ""
    watched: float = 0.0
    verdict: Verdict | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it for JSON; times in s."""
        told: dict[str, Any] = {"kind": self.kind, "variant": self.variant}
        if self.invalid or self.verdict is None:
            return {**told, "invalid": self.invalid}
        by = self.verdict.resumed_by
        return {
            **told,
            "trouble": self.trouble,
            "watched": self.watched,
            "stopped_after": self.verdict.stopped_after,
            "stopped_by": self.verdict.stopped_by.value,
            "resumed_after": self.verdict.resumed_after,
            "resumed_by": by and by.value,
        }


def trial(rig: Rig, name: str, choice: random.Random) -> Trial:
    """Drive, let something happen, end its cause, and look on; the stick is held all the time.

    Args:
        rig: The robot and its operator.
        name: Of what happens: one of `KINDS`.
        choice: Draws variant, phase and durations.
    """
    kind = KINDS[name]
    variant = choice.choice(kind.browser_variants if rig.browser else kind.variants)
    long = choice.randrange(LONG_EVERY) == 0
    outage = LONG_OUTAGE if long else kind.outage + choice.uniform(0.0, _PHASE)
    try:
        _drive(rig)
    except RuntimeError as error:
        return Trial(name, variant, invalid=str(error))
    time.sleep(_DRIVEN + choice.uniform(0.0, _PHASE))
    begun = time.monotonic()
    event = kind.happen(rig, variant)
    time.sleep(max(event + outage - time.monotonic(), 0.0))
    recovery = time.monotonic()
    trouble = ""
    try:
        kind.recover(rig, variant)
    except RuntimeError as error:
        trouble = str(error)
    time.sleep(LONG_WATCH if long else WATCH)
    end = time.monotonic()
    # A command that was in force at the event came at most a time-out before.
    verdict = judge(rig.base.commands(min(begun, event) - TIMEOUT), event, recovery, TIMEOUT)
    if not verdict.moved:
        return Trial(name, variant, invalid="stood already")
    return Trial(name, variant, trouble=trouble, watched=end - recovery, verdict=verdict)


def _drive(rig: Rig) -> None:
    """Get the robot moving, whatever became of it before.

    Raises:
        RuntimeError: it does not move.
    """
    operator = rig.operator
    if not operator.do("look")["connected"]:
        rig.connect(_READY_LIMIT)
    if rig.base.stopped:
        operator.do("reset")
    operator.do("take")
    for _ in range(_TRIES):
        operator.do("let_go")
        operator.do("hold")
        if rig.base.until_moving(_MOVING_LIMIT):
            return
    refused = operator.do("look")["status"].get("refused")
    raise RuntimeError(f"could not be driven: {refused or 'nobody says why'}")


# --- what happens -------------------------------------------------------------------------------


def _close_tab(rig: Rig, variant: str) -> float:
    return float(rig.operator.do("close", how=variant)["at"])


def _open_tab(rig: Rig, variant: str) -> None:
    rig.connect(_READY_LIMIT)


def _freeze_page(rig: Rig, variant: str) -> float:
    return rig.operator.freeze()


def _thaw_page(rig: Rig, variant: str) -> None:
    rig.operator.thaw()
    _await_ticks(rig)


def _freeze_input(rig: Rig, variant: str) -> float:
    return float(rig.operator.do("freeze_input")["at"])


def _thaw_input(rig: Rig, variant: str) -> None:
    rig.operator.do("thaw_input")


def _cut(rig: Rig, variant: str) -> float:
    at = time.monotonic()
    rig.network.cut()
    return at


def _mend(rig: Rig, variant: str) -> None:
    rig.network.mend()
    _await_ticks(rig)


def _stop_server(rig: Rig, variant: str) -> float:
    at = time.monotonic()
    rig.signal("dashboard", signal.SIGSTOP)
    return at


def _continue_server(rig: Rig, variant: str) -> None:
    rig.signal("dashboard", signal.SIGCONT)
    _await_ticks(rig)


def _kill(rig: Rig, variant: str) -> float:
    at = time.monotonic()
    rig.kill(variant)
    return at


def _start_again(rig: Rig, variant: str) -> None:
    rig.start(variant)
    begun = time.monotonic()
    if variant == "dashboard":
        rig.connect(_READY_LIMIT)
    elif not rig.base.until(lambda: bool(rig.base.commands(begun)), _READY_LIMIT):
        raise RuntimeError(f"{variant} does not come back")


def _press_stop(rig: Rig, variant: str) -> float:
    return float(rig.operator.do("stop", how=variant)["at"])


def _reset(rig: Rig, variant: str) -> None:
    rig.operator.do("reset")


def _await_ticks(rig: Rig) -> None:
    """Wait until the operator hears the robot again, by a new connection if need be."""
    before = rig.operator.do("look")["ticks"]
    until = time.monotonic() + _READY_LIMIT
    while (seen := rig.operator.do("look"))["ticks"] <= before:
        if not seen["connected"]:
            rig.connect(_READY_LIMIT)
            return
        if time.monotonic() > until:
            raise RuntimeError("the operator does not hear the robot any more")
        time.sleep(0.01)


KINDS: Mapping[str, Kind] = {
    "tab_closed": Kind(
        _close_tab, _open_tab, ("closing handshake", "connection ends"), ("close", "crash")
    ),
    "page_frozen": Kind(_freeze_page, _thaw_page, browser_variants=("",), outage=FORGIVEN),
    "input_frozen": Kind(_freeze_input, _thaw_input, outage=FORGIVEN),
    "black_hole": Kind(_cut, _mend, browser_variants=("",), outage=FORGIVEN),
    "server_stopped": Kind(_stop_server, _continue_server, outage=FORGIVEN),
    "process_killed": Kind(_kill, _start_again, _VICTIMS),
    "stop_pressed": Kind(
        _press_stop, _reset, ("control channel", "POST /stop"), ("button", "Space key")
    ),
}
"""By name."""


def main(plan: dict[str, int], seed: int, browser: bool, folder: str) -> None:
    """Do trials and print them; one that shows nothing is done again, up to twice as many in all.

    Args:
        plan: How many, by kind.
        seed: Of their order and of all that is random in them.
        browser: Whether the operator works a real browser.
        folder: For logs.
    """
    choice = random.Random(seed)
    order = [name for name, count in plan.items() for _ in range(count)]
    choice.shuffle(order)
    spare = len(order)
    with rig(browser, Path(folder)) as made:
        print(json.dumps({"autonomy_drove": made.autonomy_drove}), flush=True)
        while order:
            name = order.pop()
            done = trial(made, name, choice)
            print(json.dumps(done.as_json()), flush=True)
            if done.invalid and spare:
                spare -= 1
                order.insert(choice.randrange(len(order) + 1), name)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
