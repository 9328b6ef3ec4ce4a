"""A managed node as a program, for its manager: `managed_program.py NAME [--ros-args …]`."""

from __future__ import annotations

import sys
import time

from edge_robot.errors import UserError
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.runner import run


class Pupil(ManagedNode):
    """Configures as it is told to."""

    def __init__(self) -> None:
        super().__init__(sys.argv[1])
        self._able = self.parameter("able", True, "whether it can be configured")
        self._delay = self.parameter("delay", 0.0, "how long that takes, s")

    def configure(self) -> None:
        time.sleep(self._delay.value)
        if not self._able.value:
            raise UserError(f"{self.get_name()} was never able to")


run(Pupil)
