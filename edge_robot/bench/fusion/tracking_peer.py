"""Runs AB3DMOT's own code on detections and times it: a program, run by path under its interpreter.

It takes its settings as one JSON argument, imports nothing of `edge_robot`, and needs what AB3DMOT
tracks with: NumPy, SciPy, filterpy, PyYAML and numba before 0.59, whose object mode it relies on.
What it only prints and draws with is left out.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import yaml

_CALIBRATION = """P2: 721.5377 0 609.5593 0 0 721.5377 172.854 0 0 0 1 0
R0_rect: 1 0 0 0 1 0 0 0 1
Tr_velo_to_cam: 0 -1 0 0 0 0 -1 0 1 0 0 0
Tr_imu_to_velo: 1 0 0 0 0 1 0 0 0 0 1 0
"""
"""KITTI's camera, at the origin of the frame that the poses are of."""

_WARM_UP = 30  # frames


def main(checkout: str, detections: str, poses: str, results: str, classes: list[str]) -> None:
    """Print the CPU time that each class took on all sequences, one line of JSON a class.

    Args:
        checkout: Folder of AB3DMOT's repository.
        detections: Folder of its detections.
        poses: Folder of `NAME.npy`, (F, 4, 4), for each sequence.
        results: Folder that gets `CLASS/NAME.txt` in KITTI's layout.
        classes: Their names in lower case.
    """
    for module in ("cv2", "xinshuo_io", "xinshuo_miscellaneous", "AB3DMOT_libs.vis"):
        _leave_out(module)
    sys.path.insert(0, checkout)
    from AB3DMOT_libs.io import get_frame_det, load_detection  # type: ignore[import-not-found]
    from AB3DMOT_libs.kitti_calib import Calibration  # type: ignore[import-not-found]
    from AB3DMOT_libs.model import AB3DMOT  # type: ignore[import-not-found]

    settings = yaml.safe_load(Path(checkout, "configs", "KITTI.yml").read_text())
    config = SimpleNamespace(**settings)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(_CALIBRATION)
        file.flush()
        calibration = Calibration(file.name)

    def follow(kind: str, sequence: str, ego: Any, identity: int) -> tuple[list[str], float, int]:
        folder = Path(detections, f"{config.det_name}_{kind}_{config.split}")
        found, _ = load_detection(str(folder / f"{sequence}.txt"))
        found = np.reshape(found, (-1, 15))
        tracker = AB3DMOT(config, kind, calib=calibration, oxts=ego, ID_init=identity)
        rows, spent = [], 0.0
        for frame in range(len(ego)):
            boxes = get_frame_det(found, frame)
            start = time.process_time()
            tracks, _ = tracker.track(boxes, frame, sequence)
            spent += time.process_time() - start
            rows += [_line(frame, kind, track) for track in tracks[0]]
        return rows, spent, tracker.ID_count[0]

    ego_motion = {file.stem: np.load(file) for file in sorted(Path(poses).glob("*.npy"))}
    for name in classes:
        kind = name.capitalize()
        sequence, ego = next(iter(ego_motion.items()))
        follow(kind, sequence, ego[:_WARM_UP], 1)  # numba compiles
        spent, identity = 0.0, 1
        for sequence, ego in ego_motion.items():
            rows, seconds, identity = follow(kind, sequence, ego, identity)
            spent += seconds
            output = Path(results, name, f"{sequence}.txt")
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text("".join(rows))
        print(json.dumps({"class": name, "cpu_s": spent}), flush=True)


def _line(frame: int, kind: str, track: Any) -> str:
    """Return a line of KITTI's result layout; a track is h w l x y z ry, id, alpha, class, …."""
    box, identity, alpha, rectangle, score = track[:7], track[7], track[8], track[10:14], track[14]
    numbers = (alpha, *rectangle, *box, score)
    return f"{frame} {int(identity)} {kind} 0 0 {' '.join(f'{n:f}' for n in numbers)}\n"


def _leave_out(name: str) -> None:
    """Let a module that only prints, draws or makes folders be imported, and do nothing."""
    stub = ModuleType(name)
    stub.__getattr__ = lambda name: lambda *args, **options: None  # type: ignore[method-assign]
    sys.modules[name] = stub


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
