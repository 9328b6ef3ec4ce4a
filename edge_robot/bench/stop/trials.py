"""What may happen while somebody drives, and whether the robot then stops and stays.

Run as a program in a network of its own, it sets up a rig; for every line of JSON that it reads,
it does a trial and prints what that showed.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_robot.bench.stop.base import TIMEOUT
from edge_robot.bench.stop.rig import Rig, rig
from edge_robot.bench.stop.verdict import Command, judge

LIMIT = 0.2
"""Within which the robot must have been commanded to stop, s."""

OUTAGE, FORGIVEN, LONG_OUTAGE = 0.25, 0.5, 2.0
"""From when the event surely has happened until its cause is over, s, and up to `_PHASE` more.
Where input only pauses, longer than the dashboard's `input_loss`: it forgives a shorter hiccup of
link, page or server to an operator who holds on through it. Now and then long."""

WATCH, LONG_WATCH = 0.3, 6.0
"""For how long nothing may move after that, and now and then, s: the lease of an operator who is
gone ends within the latter."""

_PHASE = 0.1  # s; longer than the period of any loop: events come at any phase of them
_DRIVEN = 0.05  # s; for how long the robot moves at least
_READY_LIMIT = 5.0  # s
_MOVING_LIMIT = 1.0  # s
_TRIES = 4  # on a busy machine the dashboard doubts inputs, as it should
_EXCERPT = 0.25  # s; of the commands before and after what failed
_VICTIMS = ("dashboard", "command_mux", "collision_monitor")


@dataclass(frozen=True)
class Kind:
    """Something that may happen.

    Attributes:
        happen: Lets it happen; returns when it began, s on the steady clock.
        recover: Ends its cause, and returns when the robot could move again if it would; raises
            RuntimeError if it never can.
        variants: The ways in which it happens.
        browser_variants: The same with a real browser; empty where the browser adds nothing.
        outage: How long its cause lasts at least, s.
    """

    happen: Callable[[Rig, str], float]
    recover: Callable[[Rig, str], None]
    variants: tuple[str, ...] = ("",)
    browser_variants: tuple[str, ...] = ()
    outage: float = OUTAGE


@dataclass(frozen=True)
class Order:
    """A trial that is to be done.

    Attributes:
        kind: Of what is to happen: one of `KINDS`.
        variant: In which way.
        long: Whether outage and watch are long.
    """

    kind: str
    variant: str
    long: bool


def trial(rig: Rig, order: Order, choice: random.Random) -> dict[str, Any]:
    """Drive, let something happen, end its cause, and look on; the stick is held all the time.

    Args:
        rig: The robot and its operator.
        order: What to do.
        choice: Draws phase and durations.

    Returns:
        The order; `invalid`: why the trial shows nothing, alone; or, all times in s, `watched`
        (since the end of the cause), what `Verdict` has, `trouble` (why robot and operator did not
        find each other again; empty if they did) and, where it failed, the `commands` about that
        moment: s from the event, whether they move, whose they are, and s since their stamp.
    """
    kind = KINDS[order.kind]
    outage = LONG_OUTAGE if order.long else kind.outage + choice.uniform(0.0, _PHASE)
    begun = time.monotonic()
    try:
        _drive(rig)
        time.sleep(_DRIVEN + choice.uniform(0.0, _PHASE))
        event = kind.happen(rig, order.variant)
    except RuntimeError as error:
        return {**asdict(order), "invalid": str(error)}
    # Not from `event`: a machine that is held up may let it happen long after that.
    time.sleep(outage)
    recovery = time.monotonic()
    trouble = ""
    try:
        kind.recover(rig, order.variant)
    except RuntimeError as error:
        trouble = str(error)
    time.sleep(LONG_WATCH if order.long else WATCH)
    end = time.monotonic()
    commands = rig.base.commands(begun)
    verdict = judge(commands, event, recovery, TIMEOUT)
    if not verdict.moved:
        return {**asdict(order), "invalid": "stood already"}
    by = verdict.resumed_by
    told = {
        **asdict(order),
        "watched": end - recovery,
        "stopped_after": verdict.stopped_after,
        "stopped_by": verdict.stopped_by.value,
        "resumed_after": verdict.resumed_after,
        "resumed_by": by and by.value,
        "trouble": trouble,
    }
    if verdict.resumed_after is not None:
        told["commands"] = _excerpt(commands, event, recovery + verdict.resumed_after)
    elif verdict.stopped_after > LIMIT:
        told["commands"] = _excerpt(commands, event, event + verdict.stopped_after)
    return told


def _excerpt(commands: Sequence[Command], event: float, about: float) -> list[tuple[Any, ...]]:
    return [
        (round(c.at - event, 4), c.moves, c.sender.value, round(c.age, 4))
        for c in commands
        if abs(c.at - about) < _EXCERPT
    ]


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


def main(seed: int, browser: bool, folder: str) -> None:
    """Do the trials that standard input asks for, until it ends.

    Args:
        seed: Of what is drawn.
        browser: Whether the operator works a real browser.
        folder: For logs.
    """
    choice = random.Random(seed)
    with rig(browser, Path(folder)) as made:
        print(json.dumps({"autonomy_drove": made.autonomy_drove}), flush=True)
        for line in sys.stdin:
            print(json.dumps(trial(made, Order(**json.loads(line)), choice)), flush=True)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
