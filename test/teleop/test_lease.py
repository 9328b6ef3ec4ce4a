from __future__ import annotations

import pytest

from edge_robot.teleop.access import Identity, Role
from edge_robot.teleop.lease import Lease, RefusedError

ANNA = Identity("anna", Role.DRIVE, "127.0.0.1", "a")
BELA = Identity("bela", Role.DRIVE, "127.0.0.1", "b")
CHEF = Identity("chef", Role.ADMIN, "127.0.0.1", "c")
GUEST = Identity("guest", Role.VIEW, "127.0.0.1", "g")


def test_one_has_the_wheel_and_others_are_told_why_they_do_not() -> None:
    lease = Lease(lifetime=5.0)
    with pytest.raises(RefusedError, match="role drive"):
        lease.take(GUEST, 1, 0.0, force=True)
    lease.take(ANNA, 2, 0.0)
    with pytest.raises(RefusedError, match="anna has had the wheel for 2 min: ask for it"):
        lease.heard(2, 120.0)
        lease.take(BELA, 3, 120.0)
    with pytest.raises(RefusedError, match="only an admin"):
        lease.take(BELA, 3, 120.0, force=True)
    generation = lease.generation
    lease.take(CHEF, 4, 120.0, force=True)
    assert lease.held_by(4)
    assert not lease.held_by(2)
    assert lease.generation == generation + 1


def test_the_wheel_outlives_a_lost_page_for_a_while_and_for_its_person_alone() -> None:
    lease = Lease(lifetime=5.0)
    lease.take(ANNA, 1, 10.0)
    lease.heard(1, 11.0)
    lease.heard(7, 14.0)  # somebody else's page
    lease.left(1)
    with pytest.raises(RefusedError, match="link of anna is lost: the wheel is free in 3 s"):
        lease.take(BELA, 2, 13.0)
    assert not lease.has_expired(16.0)
    assert lease.has_expired(16.1)
    lease.take(ANNA, 3, 16.1)
    assert lease.held_by(3)
    assert not lease.has_expired(21.0)


def test_who_asks_is_told_to_the_holder_until_that_is_settled() -> None:
    lease = Lease(lifetime=5.0)
    with pytest.raises(RefusedError, match="free: take it"):
        lease.ask(BELA, 0.0)
    lease.take(ANNA, 1, 0.0)
    with pytest.raises(RefusedError, match="yourself"):
        lease.ask(ANNA, 0.0)
    assert lease.ask(BELA, 1.0) == "anna"
    assert lease.asked_by(2.0) == "bela"
    assert lease.asked_by(60.0) is None
    lease.ask(BELA, 61.0)
    lease.release()
    lease.take(BELA, 2, 61.0)
    assert lease.asked_by(61.0) is None
