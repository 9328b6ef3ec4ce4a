from __future__ import annotations

import numpy as np
import pytest

from edge_robot.sim.flat.world import World


@pytest.fixture
def passage() -> World:
    """A goal 4 m straight ahead, between two cylinders 1 m apart."""
    cylinders = np.array([[2.0, 0.5, 0.075], [2.0, -0.5, 0.075]])
    return World(7, cylinders, (0.0, 0.0, 0.0), (4.0, 0.0), np.empty((0, 2)))
