"""Contracts that suit others."""

from __future__ import annotations

from dataclasses import replace

from edge_robot.introspection.qos import FOREVER, PRESETS, Contract, matching, offering, to_bag

SENSOR = PRESETS["sensor_data"]
RELIABLE = Contract()
LATCHED = Contract(durability="transient_local", depth=1)


def test_a_listener_asks_for_what_all_publishers_offer() -> None:
    assert matching(SENSOR, []) == (SENSOR, [])
    assert matching(SENSOR, [SENSOR])[0].reliability == "best_effort"
    matched, notes = matching(SENSOR, [LATCHED, LATCHED])
    assert (matched.reliability, matched.durability) == ("reliable", "transient_local")
    assert matched.depth == SENSOR.depth
    assert notes == []


def test_a_listener_says_what_it_gives_up() -> None:
    matched, notes = matching(SENSOR, [LATCHED, RELIABLE, SENSOR])
    assert (matched.reliability, matched.durability) == ("best_effort", "volatile")
    assert notes == [
        "Some, but not all, publishers are offering QoSReliabilityPolicy.RELIABLE. Falling back to "
        "QoSReliabilityPolicy.BEST_EFFORT as it will connect to all publishers",
        "Some, but not all, publishers are offering QoSDurabilityPolicy.TRANSIENT_LOCAL. Falling "
        "back to QoSDurabilityPolicy.VOLATILE as it will connect to all publishers",
    ]


def test_a_player_offers_what_was_recorded() -> None:
    automatic = replace(LATCHED, liveliness="automatic")
    assert offering([]) == PRESETS["default"]
    assert offering([automatic, automatic]) == automatic
    assert offering([LATCHED, SENSOR]) == Contract("best_effort", "volatile", depth=5)
    unknown = Contract("unknown", "unknown", "unknown", depth=0, liveliness="unknown", deadline=5)
    assert offering([unknown]) == Contract(liveliness="automatic", deadline=5)


def test_no_limit_is_the_longest_duration_in_a_bag() -> None:
    (entry,) = to_bag([Contract(lifespan=1_500_000_000, deadline=FOREVER)])
    assert entry["lifespan"] == {"sec": 1, "nsec": 500_000_000}
    longest = {"sec": 9223372036, "nsec": 854775807}
    assert entry["deadline"] == entry["liveliness_lease_duration"] == longest
    assert entry["reliability"] == "reliable"
