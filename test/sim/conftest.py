"""Worlds for the tests of the simulator."""

from __future__ import annotations

import dataclasses

import pytest

from edge_robot.sim.scenario import Scenario


@pytest.fixture(scope="session")
def warehouse() -> Scenario:
    """A furnished warehouse with people."""
    return Scenario.generate(2)


@pytest.fixture(scope="session")
def empty_hall(warehouse: Scenario) -> Scenario:
    """Four walls and nothing else, 30 × 16 m."""
    return dataclasses.replace(warehouse, racks=(), items=(), people=())
