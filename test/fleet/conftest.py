"""A real backend, and a radio link to it that can be cut."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lamp import LampDetector, lamp_backend

from edge_robot.fleet.backend.server import Backend
from edge_robot.sim.radio_link import LinkQuality, RadioLink


@pytest.fixture
def detector() -> Iterator[LampDetector]:
    detector = LampDetector()
    yield detector
    detector.free.set()


@pytest.fixture
def backend(detector: LampDetector) -> Iterator[Backend]:
    backend = lamp_backend(detector)
    yield backend
    detector.free.set()
    backend.stop()


@pytest.fixture
def radio(backend: Backend) -> Iterator[RadioLink]:
    radio = RadioLink("127.0.0.1", 0, "127.0.0.1", backend.port, LinkQuality())
    yield radio
    radio.close()
