"""Calls a service and sets a parameter of its server at fixed rates, and counts."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import rclpy
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.executors import ExternalShutdownException
from std_srvs.srv import SetBool

RATES = {"call": 100.0, "set": 10.0}
PATIENCE = 2.0
"""Time after which a response is given up, s."""


def main(name: str, keeper: str, period: float) -> None:
    """Call until told to end; print counts and the longest round trip every `period` s."""
    rclpy.init(args=[])
    node = rclpy.create_node(name)
    counts: Counter[str] = Counter()
    pending: dict[str, tuple[Any, float]] = {}
    longest = 0.0

    def set_gain() -> Any:
        value = ParameterValue(
            type=ParameterType.PARAMETER_DOUBLE, double_value=float(counts["set"])
        )
        return SetParameters.Request(parameters=[Parameter(name="gain", value=value)])

    work: dict[str, tuple[Any, Callable[[], Any], Callable[[Any], bool]]] = {
        "call": (
            node.create_client(SetBool, "soak/service"),
            lambda: SetBool.Request(data=True),
            lambda response: bool(response.success),
        ),
        "set": (
            node.create_client(SetParameters, f"{keeper}/set_parameters"),
            set_gain,
            lambda response: bool(response.results[0].successful),
        ),
    }

    def call(kind: str) -> None:
        client, make, is_good = work[kind]
        now = time.monotonic()
        if kind in pending:
            future, since = pending[kind]
            if now - since < PATIENCE:
                counts[f"{kind}_busy"] += 1
                return
            client.remove_pending_request(future)
            counts[f"{kind}_unanswered"] += 1
            del pending[kind]
        if not client.service_is_ready():
            counts[f"{kind}_no_server"] += 1
            return

        def done(future: Any) -> None:
            nonlocal longest
            if pending.get(kind, (None, 0.0))[0] is future:
                del pending[kind]
            longest = max(longest, time.monotonic() - now)
            counts[kind if is_good(future.result()) else f"{kind}_refused"] += 1

        future = client.call_async(make())
        pending[kind] = future, now
        future.add_done_callback(done)

    def report() -> None:
        nonlocal longest
        print(json.dumps({**counts, "longest_round_trip_s": longest}), flush=True)
        longest = 0.0

    for kind, rate in RATES.items():
        node.create_timer(1.0 / rate, lambda kind=kind: call(kind))
    node.create_timer(period, report)
    with contextlib.suppress(ExternalShutdownException):
        rclpy.spin(node)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
