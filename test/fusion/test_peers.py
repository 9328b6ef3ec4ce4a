"""Tracks of peers: what is taken from them, and what is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scene import LIDAR_POSE, Sensors, ns

from edge_robot.bench.fusion.two_robots import tell
from edge_robot.fusion.admission import Admission, AdmissionSettings
from edge_robot.fusion.config import TrackerConfig
from edge_robot.fusion.measurements import LidarMeasurement, PeerMeasurement, Source
from edge_robot.fusion.peers import Peer, PeerConfig, placed
from edge_robot.fusion.refusal import Refusal
from edge_robot.fusion.tracker import Tracker
from edge_robot.fusion.tracks import Track

CONFIG = PeerConfig()
LIDAR = LIDAR_POSE[:3, 3]
HERE = [(4.0, 0.5), (3.0, -1.5)]


def told(
    places: Sequence[tuple[float, float]], t: float, sigma: float = 0.1, name: str = "robot2"
) -> PeerMeasurement:
    """Return people who stand at `places`, as a peer that sees them tells of them."""
    count = len(places)
    return PeerMeasurement(
        stamp=ns(t),
        positions=np.column_stack([np.reshape(places, (-1, 2)), np.full(count, 0.85)]),
        sizes=np.tile([0.5, 0.5, 1.7], (count, 1)),
        yaws=np.zeros(count),
        velocities=np.zeros((count, 2)),
        covariances=np.tile(sigma**2 * np.eye(4), (count, 1, 1)),
        scores=np.full(count, 0.95),
        labels=["person"] * count,
        label_scores=np.full(count, 0.9),
        first_hand=np.ones(count, bool),
        sensor=name,
    )


def followed(places: Sequence[tuple[float, float]], until: float = 1.0) -> Tracker:
    """Return a tracker whose lidar sees people at `places`."""
    tracker, sensors = Tracker(), Sensors()
    for t in np.arange(0.0, until, 0.1):
        tracker.process(sensors.lidar(float(t), places))
    return tracker


def listener(name: str) -> Peer:
    return Peer(name, CONFIG, Admission(AdmissionSettings(), 1.0))


def refused(peer: Peer) -> dict[Refusal, int]:
    return dict(peer._admission.refused[peer.sensor])


def talk(
    peer: Peer,
    tracker: Tracker,
    places: Sequence[tuple[float, float]],
    seconds: NDArray[np.float64],
) -> list[PeerMeasurement | None]:
    """Return what a peer's word is worth while nothing changes."""
    own = tracker.tracks()
    return [peer.admit(told(places, float(t)), own, ns(float(t)), LIDAR) for t in seconds]


def test_what_only_a_peer_sees_is_kept_and_flagged() -> None:
    tracker = followed(HERE)
    for k in range(5):
        tracker.process(told([(8.0, 3.0)], 1.0 + 0.1 * k))
    (track,) = [track for track in tracker.tracks() if track.position[0] > 6.0]
    assert track.sources == track.recent_sources == Source.PEER
    assert track.class_name == "person"
    assert track.existence == pytest.approx(0.95 * CONFIG.peer_authority)
    assert len(tracker.tracks()) == 3


def test_no_certainty_grows_from_what_comes_back() -> None:
    """A tells B, who sees the same; B tells A what it made of it, and so on, fifty times."""
    a, b = followed(HERE), followed(HERE)
    before = a.tracks()
    for k in range(50):
        for hearer, speaker in ((b, a), (a, b)):
            heard = tell(speaker, "peer")
            heard = replace(heard, stamp=ns(0.9 + 1e-6 * (k + 1)), sensor=f"peer{k}")
            assert heard.first_hand.all()
            assert hearer.process(placed(heard, np.eye(4), CONFIG))
    for old, new in zip(before, a.tracks(), strict=True):
        assert new.existence <= old.existence
        assert new.class_score == old.class_score
        grown = new.covariance - old.covariance * (1.0 - 1e-3)
        assert np.linalg.eigvalsh(grown).min() > 0.0


def test_hearsay_is_refused_so_that_ghosts_die() -> None:
    """Nobody sees the person any more: two robots cannot keep it alive by telling each other."""
    a, b = followed(HERE), Tracker()
    at_a, at_b = Peer("b", CONFIG, a.admission), Peer("a", CONFIG, b.admission)
    sensors = Sensors()
    for k in range(30):
        t = 1.0 + 0.1 * k
        for hearer, speaker, peer in ((b, a, at_b), (a, b, at_a)):
            if speaker.stamp is None:
                continue
            heard = replace(tell(speaker), stamp=ns(t))
            admitted = peer.admit(placed(heard, np.eye(4), CONFIG), hearer.tracks(), ns(t), LIDAR)
            if admitted is not None and len(admitted):
                hearer.process(admitted)
        a.process(sensors.lidar(t + 0.05, []))
        b.process(sensors.lidar(t + 0.05, []))
    assert refused(at_a)[Refusal.HEARSAY] > 0
    assert not a.tracks()
    assert not b.tracks()


def test_a_liar_is_ignored_and_may_come_back() -> None:
    tracker, peer = followed(HERE), listener("robot2")
    honest = talk(peer, tracker, HERE, np.arange(0.0, 2.0, 0.1))
    assert None not in honest
    shifted = [(x + 1.3, y) for x, y in HERE]
    lies = talk(peer, tracker, shifted, np.arange(2.0, 6.0, 0.1))
    assert lies[-1] is None
    assert not peer.trusted
    assert "2 of 2 tracks contradict" in peer.reason
    assert refused(peer)[Refusal.DISTRUSTED] >= lies.count(None) >= 15
    again = talk(peer, tracker, HERE, np.arange(6.0, 12.0, 0.1))
    assert again[0] is None
    assert again[-1] is not None
    assert peer.trusted
    assert peer.reason == ""


def test_a_liar_among_trusted_messages_moves_no_track() -> None:
    tracker = followed(HERE)
    before = tracker.tracks()
    tracker.process(told([(x + 1.3, y) for x, y in HERE], 1.0, sigma=0.001))
    for old, new in zip(before, tracker.tracks(), strict=True):
        np.testing.assert_allclose(new.position, old.position, atol=0.02)


def test_ghosts_before_what_is_seen_cost_trust_and_people_behind_it_do_not() -> None:
    wall, sensors = Tracker(), Sensors()
    for k in range(12):
        wall.process(sensors.lidar(0.1 * k, [(8.0, 0.0)], (1.0, 6.0, 2.0)))
    ghosts, hidden = listener("robot2"), listener("robot3")
    talk(ghosts, wall, [(3.0, 0.0)], np.arange(0.0, 2.0, 0.1))
    assert not ghosts.trusted
    assert "seen through" in ghosts.reason
    talk(hidden, wall, [(11.0, 0.0)], np.arange(0.0, 2.0, 0.1))
    assert hidden.trust == pytest.approx(0.7)
    hidden.admit(told([(3.0, 0.0)], 0.0), wall.tracks(), ns(0.9), LIDAR)  # much may have changed
    assert hidden.trust == pytest.approx(0.7)


def test_unsound_tracks_are_counted_and_the_others_of_the_message_kept() -> None:
    peer = listener("robot2")
    message = told([(float(k), 0.0) for k in range(8)], 0.0)
    message.positions[0, 0] = np.nan
    message.covariances[1] *= -1.0
    message.covariances[2, 0, 1] = 0.5  # not symmetric
    message.covariances[3] = np.inf
    message.sizes[4] = 0.0
    message.scores[5] = 2.0
    message.velocities[6, 1] = -np.inf
    admitted = peer.admit(message, [], 0, None)
    assert admitted is not None
    np.testing.assert_allclose(admitted.positions[:, 0], [7.0])
    assert refused(peer) == {Refusal.BOX: 7}


def test_floods_and_other_clocks_are_cut() -> None:
    peer = listener("robot2")
    read = [peer.expects(ns(1e-3 * k), ns(1e-3 * k)) for k in range(1000)]
    assert sum(read) <= 2 * CONFIG.peer_rate + 1
    assert refused(peer) == {Refusal.TOO_OFTEN: read.count(False)}
    assert peer.expects(ns(10.0), ns(10.0))
    assert not peer.expects(ns(3600.0), ns(11.0))
    assert refused(peer)[Refusal.FUTURE] == 1


def test_a_peers_frame_is_turned_and_its_own_error_added() -> None:
    pose = np.eye(4)
    pose[:2, :2] = [[0.0, -1.0], [1.0, 0.0]]
    pose[:3, 3] = (5.0, 6.0, 0.0)
    message = replace(told([(2.0, 0.0)], 0.0, sigma=0.1), velocities=np.array([[1.0, 0.0]]))
    found = placed(message, pose, CONFIG)
    np.testing.assert_allclose(found.positions, [[5.0, 8.0, 0.85]])
    np.testing.assert_allclose(found.velocities, [[0.0, 1.0]], atol=1e-12)
    np.testing.assert_allclose(found.yaws, [np.pi / 2])
    floor = 0.1**2 + CONFIG.peer_noise**2 + CONFIG.peer_position_error**2
    turned = CONFIG.peer_heading_error**2
    np.testing.assert_allclose(found.covariances[0, 0, 0], floor + 4.0 * turned)
    np.testing.assert_allclose(found.covariances[0, 1, 1], floor)
    np.testing.assert_allclose(found.covariances[0, 0, 2], 2.0 * turned)


def test_a_late_message_is_applied_when_it_was_true() -> None:
    """In whatever order sweeps and messages come, the tracks are the same."""
    sensors = Sensors()
    sweeps: list[LidarMeasurement | PeerMeasurement] = [
        sensors.lidar(0.1 * k, HERE) for k in range(9)
    ]
    messages = [told([*HERE, (8.0, 3.0)], 0.05 + 0.1 * k) for k in range(8)]
    in_order, late = Tracker(), Tracker()
    for item in sorted([*sweeps, *messages], key=lambda m: m.stamp):
        in_order.process(item)
    for item in [*sweeps, *reversed(messages)]:
        assert late.process(item)
    assert len(in_order.tracks()) == 3
    for one, other in zip(in_order.tracks(), late.tracks(), strict=True):
        assert_same(one, other)


def assert_same(one: Track, other: Track) -> None:
    assert one.class_name == other.class_name
    assert one.sources == other.sources
    np.testing.assert_allclose(one.position, other.position, atol=1e-9)
    np.testing.assert_allclose(one.covariance, other.covariance, atol=1e-9)
    assert one.existence == pytest.approx(other.existence, abs=1e-9)


def test_a_word_that_is_no_class_here_names_nothing() -> None:
    tracker = Tracker(TrackerConfig())
    for k in range(4):
        message = told([(3.0, 0.0)], 0.1 * k)
        tracker.process(replace(message, labels=[f"umbrella {k}"]))
    (track,) = tracker.tracks()
    assert (track.class_name, track.class_score) == ("unknown", 0.0)


ANY = st.one_of(st.floats(width=32), st.sampled_from([0.0, 1.0, -1.0, 1e30, np.nan, np.inf]))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), ANY), max_size=12), st.integers(0, 3))
@example([(6, -1.0)], 0)  # a class less than improbable
def test_whatever_a_peer_says_the_tracks_stay_sound(
    garbage: list[tuple[int, float]], rounds: int
) -> None:
    tracker, peer = followed(HERE, until=0.5), listener("robot2")
    for k in range(rounds + 1):
        message = told([*HERE, (8.0, 3.0)], 0.5 + 0.05 * k)
        arrays = [
            *(message.positions, message.sizes, message.velocities, message.yaws),
            *(message.covariances, message.scores, message.label_scores),
        ]
        for place, value in garbage:
            array = arrays[place % len(arrays)].reshape(-1)
            array[(place + k) % len(array)] = value
        fixed = placed(message, np.eye(4), CONFIG)
        admitted = peer.admit(fixed, tracker.tracks(), ns(0.5), LIDAR)
        if admitted is not None:
            tracker.process(admitted)
    for track in tracker.tracks():
        assert np.isfinite([*track.position, *track.velocity, *track.size, track.yaw]).all()
        assert np.linalg.eigvalsh(track.covariance).min() > 0.0
        assert 0.0 <= track.existence <= 1.0
        assert 0.0 <= track.class_score <= 1.0
