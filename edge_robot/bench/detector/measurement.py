"""Our engines and their peers in turn on the same images: times, and whether boxes agree."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot.bench.detector.peers import LAYOUTS, OpenCvDnn, PlainOnnxRuntime
from edge_robot.bench.figures import percentiles
from edge_robot.errors import UserError
from edge_robot.perception.decoders.boxes import iou_matrix
from edge_robot.perception.detections import Detections
from edge_robot.perception.detector import Detector
from edge_robot.perception.engines import ENGINES
from edge_robot.perception.images import read_image

THREADS = (1, 2)
STEPS = ("preprocess", "inference", "decode")
MAX_IMAGES = 40
SEED = 900_001
"""Of the world that is rendered; training draws others."""

SAME_IOU = 0.99
SAME_SCORE = 0.002
"""From which overlap and up to which difference in score two boxes are one and the same. Networks
in float32 agree far more closely on all runtimes; in int8 each runtime rounds in its own way."""

Pipeline = Callable[[NDArray[np.uint8]], tuple[Detections, list[float]]]
"""Returns what it finds in an image, and the times before and after each of its steps, s."""


def measure(
    models: Sequence[str],
    images: Path | None = None,
    runs: int = 200,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Return times and ratios of every model, with one and with two threads.

    All pipelines take turns in one process, each with the same images, and each round begins with
    another one. A ratio is the peer's median from image to boxes divided by ours: of the time that
    passed, and of what all threads together computed (`cpu`), which others' work disturbs less.

    Args:
        models: Names in `models/`, or paths.
        images: Folder of .jpg or .png images; by default, rendered ones.
        runs: Images each pipeline runs on; the same ones again where there are fewer.
        progress: Told what is being measured.

    Raises:
        UserError: a model or the images cannot be read.
    """
    pictures = _render() if images is None else _read(images)
    source = "rendered" if images is None else str(images)
    figures: dict[str, Any] = {"images": {"source": source, "different": len(pictures)}}
    threads_before = cv2.getNumThreads()
    try:
        for model in models:
            for threads in THREADS:
                progress(f"  {model}, {threads} thread(s)")
                cv2.setNumThreads(threads)
                of_model = figures.setdefault(Path(model).stem, {})
                of_model[f"threads_{threads}"] = _measure(model, threads, pictures, runs)
    finally:
        cv2.setNumThreads(threads_before)
    return figures


def _measure(
    model: str, threads: int, pictures: list[NDArray[np.uint8]], runs: int
) -> dict[str, Any]:
    ours = {
        name: Detector(model, threads=threads, engine=name)
        for name in ENGINES
        if name == "onnxruntime" or find_spec(name) is not None
    }
    pipelines = {name: _steps_of(detector) for name, detector in ours.items()}
    first = next(iter(ours.values()))
    peers, absent = _peers(first, threads)
    pipelines |= peers
    found, durations, computed = _take_turns(pipelines, pictures, runs)
    figures: dict[str, Any] = {
        "sha256": first.sha256,
        "providers": {name: detector.provider for name, detector in ours.items()},
    }
    for name in pipelines:
        times = np.array(durations[name])
        place = figures if name in ours else figures.setdefault("peers", {})
        place[name] = {
            step: percentiles(values) for step, values in zip(STEPS, times.T, strict=True)
        }
        place[name]["end_to_end"] = percentiles(times.sum(axis=1))
        place[name]["cpu"] = percentiles(computed[name])
    if absent:
        figures.setdefault("peers", {}).update(absent)
    passed = {name: float(np.median(np.sum(durations[name], axis=1))) for name in pipelines}
    used = {name: float(np.median(computed[name])) for name in pipelines}
    figures["ratios"] = {
        name: {
            f"{kind}to_{peer}": round(medians[peer] / medians[name], 2)
            for kind, medians in (("", passed), ("cpu_", used))
            for peer in peers
        }
        for name in ours
    }
    # Against the plain pipeline, which has none of what could go wrong in ours.
    figures["agreement"] = {
        name: agreement(found[name], found["plain_onnxruntime"])
        for name in pipelines
        if "plain_onnxruntime" in peers and name != "plain_onnxruntime"
    }
    return figures


def _steps_of(detector: Detector) -> Pipeline:
    def run(image: NDArray[np.uint8]) -> tuple[Detections, list[float]]:
        clock = [time.perf_counter()]
        placement = detector.preprocess(image)
        clock.append(time.perf_counter())
        outputs = detector.infer()
        clock.append(time.perf_counter())
        found = detector.decode(outputs, placement)
        clock.append(time.perf_counter())
        return found, clock

    return run


def _steps_of_peer(peer: PlainOnnxRuntime | OpenCvDnn) -> Pipeline:
    def run(image: NDArray[np.uint8]) -> tuple[Detections, list[float]]:
        clock = [time.perf_counter()]
        tensor = peer.preprocess(image)
        clock.append(time.perf_counter())
        output = peer.infer(tensor)
        clock.append(time.perf_counter())
        found = peer.decode(output, image)
        clock.append(time.perf_counter())
        return found, clock

    return run


def _peers(ours: Detector, threads: int) -> tuple[dict[str, Pipeline], dict[str, str]]:
    """Return the peers that can run the model, and why the others cannot."""
    if ours.card.layout not in LAYOUTS:
        return {}, {"none": f"no peer here decodes layout {ours.card.layout}"}
    model = (ours.path, ours.card, ours.min_score)
    peers = {"plain_onnxruntime": _steps_of_peer(PlainOnnxRuntime(*model, threads))}
    absent = {}
    try:
        opencv = _steps_of_peer(OpenCvDnn(*model))
        opencv(np.zeros((ours.card.height, ours.card.width, 3), np.uint8))
        peers["opencv_dnn"] = opencv
    except (cv2.error, ValueError) as error:
        absent["opencv_dnn"] = f"cannot run this model: {' '.join(str(error).split())[-120:]}"
    return peers, absent


def _take_turns(
    pipelines: dict[str, Pipeline], pictures: list[NDArray[np.uint8]], runs: int
) -> tuple[dict[str, list[Detections]], dict[str, list[list[float]]], dict[str, list[float]]]:
    """Return what each pipeline finds, the durations of its steps, and its processor time, s."""
    names = list(pipelines)
    pictures = pictures[:runs]
    durations: dict[str, list[list[float]]] = {name: [] for name in names}
    computed: dict[str, list[float]] = {name: [] for name in names}
    # The first round also warms up, and tells what is found.
    found = {name: [pipelines[name](image)[0] for image in pictures] for name in names}
    for turn in range(-(-runs // len(pictures))):
        for name in (names[(turn + place) % len(names)] for place in range(len(names))):
            run = pipelines[name]
            for image in pictures[: runs - turn * len(pictures)]:
                before = time.process_time()
                durations[name].append(list(np.diff(run(image)[1])))
                computed[name].append(time.process_time() - before)
    return found, durations, computed


def agreement(ours: list[Detections], theirs: list[Detections]) -> dict[str, Any]:
    """Return how many boxes of two pipelines are one and the same, and how far others are off."""
    same = 0
    overlaps, differences = [], []
    for one, other in zip(ours, theirs, strict=True):
        overlap = iou_matrix(one.boxes.astype(float), other.boxes.astype(float))
        overlap[one.class_ids[:, None] != other.class_ids[None, :]] = 0.0
        while overlap.size and overlap.max() > 0.5:
            row, column = np.unravel_index(overlap.argmax(), overlap.shape)
            overlaps.append(float(overlap[row, column]))
            differences.append(abs(float(one.scores[row] - other.scores[column])))
            same += overlaps[-1] >= SAME_IOU and differences[-1] <= SAME_SCORE
            overlap[row], overlap[:, column] = 0.0, 0.0
    counts = sum(map(len, ours)), sum(map(len, theirs))
    return {
        "equal": same == counts[0] == counts[1],
        "boxes": counts[0],
        "boxes_of_peer": counts[1],
        "the_same": int(same),
        "worst_iou": round(min(overlaps, default=1.0), 4),
        "mean_iou": round(float(np.mean(overlaps or [1.0])), 4),
        "worst_score_difference": round(max(differences, default=0.0), 5),
    }


def _render() -> list[NDArray[np.uint8]]:
    from edge_robot.perception.training.rendering import render

    return list(render([SEED]).images)


def _read(folder: Path) -> list[NDArray[np.uint8]]:
    paths = sorted(path for path in folder.glob("*") if path.suffix in (".jpg", ".png"))
    if not paths:
        raise UserError(f"{folder} holds no .jpg or .png image; give another folder with --images")
    return [read_image(path) for path in paths[:: -(-len(paths) // MAX_IMAGES)]]
