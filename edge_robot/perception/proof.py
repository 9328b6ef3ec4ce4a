"""Whether a model works, tried in a process of its own.

A network is a program: what it computes, how long and with how much memory shows when it runs. A
model that is new here first runs where it can take nothing with it: in a child process with a bound
on memory and time, whose end, however it comes, is an answer.
"""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from edge_robot.errors import UserError
from edge_robot.perception.detections import Detections
from edge_robot.perception.detector import Detector
from edge_robot.perception.images import read_image

MEMORY = 6 * 2**30
"""Bytes of address space a model may use on trial."""

TIME = 120.0
"""Seconds that loading and all runs of a trial may take."""

RUNS = 20


@dataclass(frozen=True)
class Proof:
    """What a model did on a test image.

    Attributes:
        boxes: x1 y1 x2 y2 of each object found, px of the image.
        scores: Of each.
        labels: Of each.
        engine: What ran it, and on what.
        latency_ms: Median of an image, from pixels to boxes, on one thread.
        latency_p99_ms: 99th percentile of the same.
    """

    boxes: list[list[float]]
    scores: list[float]
    labels: list[str]
    engine: str
    latency_ms: float
    latency_p99_ms: float

    def detections(self) -> Detections:
        """Return what was found in the form that can be drawn."""
        names = tuple(dict.fromkeys(self.labels))
        return Detections(
            np.array(self.boxes, np.float32).reshape(-1, 4),
            np.array(self.scores, np.float32),
            np.array([names.index(label) for label in self.labels], np.int64),
            names,
        )


def prove(model: Path, image: Path) -> Proof:
    """Run a model, with the card beside it, on an image, in a process of its own.

    Raises:
        UserError: it cannot be loaded, crashes, does not end, asks for too much memory, or gives
            numbers that are none.
    """
    command = [sys.executable, "-m", "edge_robot.perception.proof", str(model), str(image)]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=TIME, check=False)
    except subprocess.TimeoutExpired as error:
        raise UserError(
            f"model {model.name} did not end within {TIME:.0f} s on one image; take a smaller one"
        ) from error
    if ended.returncode == 2:
        raise UserError(ended.stderr.strip().splitlines()[-1])
    if ended.returncode < 0:
        name = signal.Signals(-ended.returncode).name
        raise UserError(f"model {model.name} crashes the runtime ({name}); take another")
    if ended.returncode > 0:
        said = (ended.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UserError(f"model {model.name} cannot be run: {said[:300]}; take another")
    return Proof(**json.loads(ended.stdout.splitlines()[-1]))


def _attempt(model: Path, image_path: Path) -> Proof:
    image = read_image(image_path)
    detector = Detector(model, provider="cpu")
    detector.warm_up()
    # Whatever is scored has a score, be it 0; nothing at all means that they are no numbers. Only
    # an SSD with suppression inside may rightly be left with none.
    threshold, detector.min_score = detector.min_score, 0.0
    if not len(detector.detect(image)) and detector.card.layout != "ssd":
        raise UserError(
            f"model {model.name} gives no usable number for {image_path.name}: its card's layout "
            "or normalisation is another's; correct the card"
        )
    detector.min_score = threshold
    elapsed = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        found = detector.detect(image)
        elapsed.append(1e3 * (time.perf_counter() - begun))
    return Proof(
        boxes=[[round(float(value), 1) for value in box] for box in found.boxes],
        scores=[round(float(score), 4) for score in found.scores],
        labels=found.labels,
        engine=f"{detector.engine} on {detector.provider}",
        latency_ms=round(float(np.median(elapsed)), 2),
        latency_p99_ms=round(float(np.percentile(elapsed, 99)), 2),
    )


def main() -> None:
    """Run the trial that `prove` has started, and print what came of it as JSON."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        proof = _attempt(Path(sys.argv[1]), Path(sys.argv[2]))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except MemoryError:
        print(f"it needs more than {MEMORY / 2**30:.0f} GiB of memory", file=sys.stderr)
        sys.exit(1)
    print(json.dumps(asdict(proof)))


if __name__ == "__main__":
    main()
