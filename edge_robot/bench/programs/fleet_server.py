"""A backend with a detector and a dense network, for robots of `fleet_robots.py`.

Arguments, as JSON: `workers` and `batch` of the scheduler, and `runtime` of the detector. Prints
its port and, for each line of input, what became of the requests so far and
its CPU time, s.
"""

from __future__ import annotations

import json
import sys
import time

from edge_robot.bench.backend import DENSE, DETECTOR, dense_network
from edge_robot.fleet.backend.models import Model
from edge_robot.fleet.backend.onnx_model import OnnxModel
from edge_robot.fleet.backend.repository import load_detector
from edge_robot.fleet.backend.scheduler import Limits, Scheduler
from edge_robot.fleet.backend.server import Backend


def main() -> None:
    """Serve until the input ends."""
    wanted = json.loads(sys.argv[1])
    workers, batch = wanted["workers"], wanted["batch"]
    scheduler: list[Scheduler] = []

    def load() -> Scheduler:
        models: list[Model] = [
            load_detector(DETECTOR, DETECTOR, copies=workers, engine=wanted["runtime"]),
            OnnxModel(DENSE, "1", dense_network(), max_rows=max(1, batch)),
        ]
        scheduler.append(Scheduler(models, workers=workers, limits=Limits(batch=batch)))
        return scheduler[0]

    backend = Backend(load, port=0)
    print(json.dumps({"port": backend.port}), flush=True)
    for _ in sys.stdin:
        print(json.dumps({**scheduler[0].counts, "cpu_s": time.process_time()}), flush=True)
    backend.stop()


if __name__ == "__main__":
    main()
