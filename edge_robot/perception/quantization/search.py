"""The whole way from an fp32 detector to a verdict: calibrate, search, choose, score, judge."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_robot.errors import UserError
from edge_robot.perception.detections import Detections
from edge_robot.perception.detector import Detector
from edge_robot.perception.engines import ENGINES
from edge_robot.perception.evaluation import (
    COCO_IOUS,
    Labels,
    Resampled,
    mean_average_precision,
)
from edge_robot.perception.labelled_images import LabelledImage
from edge_robot.perception.model_card import ModelCard
from edge_robot.perception.preprocessing import input_tensor
from edge_robot.perception.quantization.calibration import METHODS, Range, observe, ranges
from edge_robot.perception.quantization.gate import Bounds, Verdict, judge
from edge_robot.perception.quantization.graph import Structure, analyse
from edge_robot.perception.quantization.measurement import (
    MIN_SCORE,
    Accuracy,
    Latency,
    detect,
    race,
    summarise,
)
from edge_robot.perception.quantization.qdq import Plan, write_qdq
from edge_robot.perception.quantization.sensitivity import Reference, sensitivities

FP32 = "fp32"
DRAWS = 300
"""Bootstrap draws behind an interval."""
SENSITIVITY_IMAGES = 8
LADDER = (1 / 16, 1 / 8, 1 / 4, 1 / 2)
"""Shares of the layers, the most sensitive, that are tried in fp32."""
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how far it is, and how far it goes."""


@dataclass(frozen=True)
class Parts:
    """Labelled images by what they may be used for.

    Attributes:
        calibration: Ranges are taken from these.
        selection: Layers are ranked on these; on them and those of calibration candidates compete.
        scoring: Used for the final figures and the gate, and for nothing before.
    """

    calibration: Sequence[LabelledImage]
    selection: Sequence[LabelledImage]
    scoring: Sequence[LabelledImage]

    def __post_init__(self) -> None:
        """Check the parts.

        Raises:
            UserError: one is empty, or two hold images of the same content.
        """
        for name in ("calibration", "selection", "scoring"):
            if not getattr(self, name):
                raise UserError(f"no images for {name}; add images or set their number")
        used = {item.sha256 for item in (*self.calibration, *self.selection)}
        shared = [item.path for item in self.scoring if item.sha256 in used]
        if shared or len(used) != len(self.calibration) + len(self.selection):
            raise UserError(
                "an image is in two parts"
                + (f" ({shared[0]})" if shared else "")
                + "; images that score may not be used for anything else"
            )


@dataclass(frozen=True)
class Settings:
    """How to search.

    Attributes:
        engine: Inference runtime the model is to run on; the gate measures there.
        bounds: Of the gate; candidates that would hold them go before the others.
        seed: Of the bootstrap.
        rounds: Runs of each candidate behind a latency.
    """

    engine: str = "onnxruntime"
    bounds: Bounds = field(default_factory=Bounds)
    seed: int = 0
    rounds: int = 100


@dataclass(frozen=True)
class Development:
    """What the search saw of a candidate, on images that do not score.

    Attributes:
        fidelity_db: Signal over noise of the raw outputs.
        agreement: Mean average precision (0.5:0.95), points of 100, with what fp32 finds on the
            same engine taken for the truth. A label that fp32 misses says nothing about int8, and
            few images hold few labels: this tells candidates apart where precision does not.
        loss: Mean average precision lost to fp32, points of 100, with the labels themselves.
    """

    fidelity_db: float
    agreement: float
    loss: float


@dataclass(frozen=True)
class Candidate:
    """One way to quantize the model.

    Attributes:
        name: What it is called in the report.
        plan: How it is quantized.
        content: Its .onnx file.
        development: What the search saw of it.
    """

    name: str
    plan: Plan
    content: bytes
    development: Development


@dataclass(frozen=True)
class Score:
    """Final figures of one model on one engine, from the scoring images.

    Attributes:
        accuracy: Agreement with the labels.
        loss: Mean average precision (0.5:0.95) lost to fp32 on the same engine, points of 100.
        loss_interval: 95 % interval of that loss, a paired bootstrap over images.
        latency: From image to detections, measured in turn with fp32 and the others.
    """

    accuracy: Accuracy
    loss: float
    loss_interval: tuple[float, float]
    latency: Latency


@dataclass(frozen=True)
class Outcome:
    """All that was found.

    Attributes:
        card: The model's card.
        content: The fp32 model's file.
        structure: Its layers.
        candidates: All that were tried to the end.
        chosen: The one that went to the gate.
        sensitivity: By name of the layer, fidelity in dB with that layer alone in int8, the most
            sensitive first; for the chosen candidate's way to quantize.
        scores: By engine, then by name of the candidate or `FP32`; all candidates on the engine of
            the settings, the chosen one on every engine that is installed.
        verdict: What the gate decided.
    """

    card: ModelCard
    content: bytes
    structure: Structure
    candidates: tuple[Candidate, ...]
    chosen: Candidate
    sensitivity: dict[str, float]
    scores: dict[str, dict[str, Score]]
    verdict: Verdict

    @property
    def shipped(self) -> bytes:
        """The .onnx file that the gate lets through."""
        return self.chosen.content if self.verdict.arithmetic == "int8" else self.content


def search(model: Path, parts: Parts, settings: Settings, progress: Progress) -> Outcome:
    """Quantize a detector in several ways, choose one, and let the gate judge it.

    Everything but latencies repeats bit by bit with the same model, images, settings and versions
    of the libraries.

    Args:
        model: The fp32 .onnx file.
        parts: Labelled images, classes as the model numbers them.
        settings: How to search.
        progress: Told how far it is.

    Raises:
        UserError: the model cannot be quantized, or an image cannot be read.
    """
    original = Detector(model, min_score=MIN_SCORE, engine=settings.engine)
    content = original.path.read_bytes()
    structure = analyse(content, str(model))
    with _Bench(replace(original.card, sha256="")) as bench:
        tools = _Search(bench, content, structure, parts, settings, progress)
        candidates = tools.candidates()
        chosen = tools.choose(candidates)
        scores = {settings.engine: tools.score(candidates, settings.engine, parts.scoring)}
        for engine in _others(settings.engine):
            scores[engine] = tools.score([chosen], engine, parts.scoring)
    score = scores[settings.engine][chosen.name]
    return Outcome(
        original.card,
        content,
        structure,
        tuple(candidates),
        chosen,
        tools.sensitivity[chosen.plan.outputs],
        scores,
        judge(score.loss, score.latency.ratio, settings.bounds),
    )


def _others(engine: str) -> list[str]:
    """Return the engines that are installed besides this one."""
    return [name for name in ENGINES if name != engine and find_spec(name)]


class _Bench:
    """Opens networks that are in memory as detectors; a folder of its own holds them meanwhile."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self._folder = tempfile.TemporaryDirectory()

    def __enter__(self) -> _Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def open(self, content: bytes, engine: str, min_score: float | None = None) -> Detector:
        """Open a network; it reports what its card's threshold lets through, as it will in use."""
        path = Path(self._folder.name) / "model.onnx"
        path.write_bytes(content)
        return Detector(path, card=self.card, min_score=min_score, engine=engine)


class _Search:
    def __init__(
        self,
        bench: _Bench,
        content: bytes,
        structure: Structure,
        parts: Parts,
        settings: Settings,
        progress: Progress,
    ) -> None:
        self._bench = bench
        self._content = content
        self._structure = structure
        self._settings = settings
        self._progress = progress
        self.sensitivity: dict[bool, dict[str, float]] = {}
        calibration = [input_tensor(item.read(), bench.card) for item in parts.calibration]
        with self._stage("calibrating", 2 * len(calibration)) as done:
            histograms = observe(structure.model, calibration, done)
        with self._stage("choosing ranges", len(METHODS)) as done:
            self._ranges: dict[str, dict[str, Range]] = {}
            for method in METHODS:
                self._ranges[method] = ranges(histograms, method)
                done()
        development = (*parts.selection, *parts.calibration)
        self._images = [item.read() for item in development]
        self._labels: list[Labels] = [item.labels for item in development]
        few = [input_tensor(image, bench.card) for image in self._images[:SENSITIVITY_IMAGES]]
        self._reference = Reference(structure, few)
        self._found = self._detect(content)
        self._base = mean_average_precision(self._found, self._labels, COCO_IOUS)
        # What fp32 holds for too weak to report is neither to be found nor wrong to be found.
        threshold = bench.card.score_threshold
        self._truth = [
            Labels(item.boxes, item.class_ids, item.scores < threshold) for item in self._found
        ]
        if all(item.ignore.all() for item in self._truth):
            raise UserError(
                f"the fp32 model finds nothing in {len(self._images)} images at its score "
                f"threshold {threshold:g}; give images of what it knows"
            )

    @contextmanager
    def _stage(self, name: str, total: int) -> Iterator[Callable[[], None]]:
        count = 0

        def done() -> None:
            nonlocal count
            count += 1
            self._progress(name, count, total)

        self._progress(name, 0, total)
        yield done

    def _detect(self, content: bytes) -> list[Detections]:
        """Return what a model finds in the development images, on the engine it is for."""
        return detect(self._bench.open(content, self._settings.engine, MIN_SCORE), self._images)

    def candidates(self) -> list[Candidate]:
        """Return all candidates: each calibration, then the best of them in mixed precision."""
        found: dict[str, Candidate] = {}
        layers = self._structure.layers
        depthwise = frozenset(layer.name for layer in layers if layer.depthwise)
        starts = {"": frozenset[str]()}
        if 0 < len(depthwise) < len(layers):
            starts[", depthwise fp32"] = depthwise
        # ONNX Runtime computes a layer in int8 only if it also gives int8.
        styles = (
            {"": True} if self._settings.engine == "onnxruntime" else {"": True, " inputs": False}
        )
        for style, outputs in styles.items():
            plans = [Plan(method, outputs=outputs) for method in METHODS]
            with self._stage(f"comparing calibrations{style}", len(plans) + 1) as done:
                whole = [self._try(plan, f"{plan.calibration}{style}", done) for plan in plans]
                best = max(whole, key=lambda item: item.development.fidelity_db)
                signed = replace(best.plan, arithmetic="S8S8")
                whole.append(self._try(signed, f"{best.name} S8S8", done))
            found |= {item.name: item for item in whole}
            with self._stage(f"measuring sensitivity{style}", len(layers)) as done:
                self.sensitivity[outputs] = sensitivities(
                    self._structure,
                    self._ranges[best.plan.calibration],
                    best.plan,
                    self._reference,
                    done,
                )
            for start, kept in starts.items():
                mixed = self._mix(best, kept, f"{best.name}{start}")
                found |= {item.name: item for item in mixed}
        return list(found.values())

    def _mix(self, best: Candidate, kept: frozenset[str], name: str) -> list[Candidate]:
        """Leave ever more layers in fp32, the most sensitive first."""
        order = [item for item in self.sensitivity[best.plan.outputs] if item not in kept]
        most = len(order) - 1
        counts = {min(most, math.ceil(share * len(order))) for share in LADDER}
        if kept:
            counts.add(0)  # without layers kept that is the best calibration itself
        tried = []
        with self._stage(f"mixing precisions, {name}", len(counts)) as done:
            for count in sorted(counts):
                plan = replace(best.plan, fp32_layers=kept | frozenset(order[:count]))
                title = f"{name}, {count} sensitive fp32" if count else name
                tried.append(self._try(plan, title, done))
        return tried

    def _try(self, plan: Plan, name: str, done: Callable[[], None]) -> Candidate:
        content = write_qdq(self._structure, self._ranges[plan.calibration], plan)
        found = self._detect(content)
        development = Development(
            self._reference.fidelity(content),
            100.0 * mean_average_precision(found, self._truth, COCO_IOUS),
            100.0 * (self._base - mean_average_precision(found, self._labels, COCO_IOUS)),
        )
        done()
        return Candidate(name, plan, content, development)

    def choose(self, candidates: Sequence[Candidate]) -> Candidate:
        """Return the one for the gate, by images that do not score.

        Of those that both bounds of the gate would let through on these images, the one that
        agrees best with fp32; of all, where there are none. How quick and how faithful is measured
        on the engine itself: engines compute the same network differently.
        """
        detectors = self._open(candidates, self._settings.engine)
        with self._stage("choosing", self._settings.rounds) as done:
            times = race(detectors, self._images, self._settings.rounds, done)
        bounds = self._settings.bounds
        passing = [
            item
            for item in candidates
            if times[item.name].ratio <= bounds.max_latency_ratio
            and item.development.loss <= bounds.max_loss
        ]
        return max(passing or candidates, key=lambda item: item.development.agreement)

    def _open(
        self, candidates: Sequence[Candidate], engine: str, min_score: float | None = None
    ) -> dict[str, Detector]:
        contents = {FP32: self._content} | {item.name: item.content for item in candidates}
        return {
            name: self._bench.open(content, engine, min_score) for name, content in contents.items()
        }

    def score(
        self, candidates: Sequence[Candidate], engine: str, images: Sequence[LabelledImage]
    ) -> dict[str, Score]:
        """Measure candidates, and fp32, on the scoring images."""
        pictures, labels = [item.read() for item in images], [item.labels for item in images]
        with self._stage(f"timing with {engine}", self._settings.rounds) as done:
            latencies = race(self._open(candidates, engine), pictures, self._settings.rounds, done)
        detectors = self._open(candidates, engine, MIN_SCORE)
        scores: dict[str, Score] = {}
        draws: dict[str, NDArray[np.float64]] = {}
        with self._stage(f"scoring with {engine}", len(detectors)) as done:
            for name, detector in detectors.items():
                rated = Resampled(detect(detector, pictures), labels)
                accuracy = summarise(rated, detector.class_names)
                draws[name] = rated.draws(DRAWS, self._settings.seed)
                low, high = np.percentile(100.0 * (draws[FP32] - draws[name]), [2.5, 97.5])
                base = accuracy if name == FP32 else scores[FP32].accuracy
                loss = base.map50_95 - accuracy.map50_95
                scores[name] = Score(accuracy, loss, (float(low), float(high)), latencies[name])
                done()
        return scores
