"""A backend of ours whose detector finds the lamp after a given time; prints its port.

Arguments, as JSON: `host`, `port` (0: any free one) and `service`, the time of one inference, s.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from numpy.typing import NDArray

from edge_robot.bench.offload.scene import MODEL, seen
from edge_robot.fleet.backend.detector_model import DetectorModel
from edge_robot.fleet.backend.fairness import Quota
from edge_robot.fleet.backend.scheduler import Limits, Scheduler
from edge_robot.fleet.backend.server import Backend
from edge_robot.perception.detections import Detections


class TimedDetector:
    """Waits, as for an accelerator, and finds what there is."""

    sha256 = "ab" * 32

    def __init__(self, service: float) -> None:
        self._service = service

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Find the lamp."""
        if self._service > 0.0:
            time.sleep(self._service)
        return seen()


def main() -> None:
    """Serve until the bench closes the pipe, or is gone itself."""
    wanted = json.loads(sys.argv[1])
    model = DetectorModel(MODEL, "1", [TimedDetector(wanted["service"])])
    # Its robots have no names: what they ask together is not what one may ask.
    limits = Limits(quota=Quota(places=Limits.waiting))
    backend = Backend(
        lambda: Scheduler([model], workers=1, limits=limits),
        host=wanted["host"],
        port=wanted["port"],
    )
    print(json.dumps({"port": backend.port}), flush=True)
    sys.stdin.read()
    backend.stop()


if __name__ == "__main__":
    main()
