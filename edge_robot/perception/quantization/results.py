"""What a search for an int8 model leaves behind: the model to ship, its card, its figures."""

from __future__ import annotations

import datetime
import hashlib
import platform
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from edge_robot.errors import UserError
from edge_robot.perception.model_card import ModelCard
from edge_robot.perception.quantization.search import (
    FP32,
    Candidate,
    Outcome,
    Parts,
    Score,
    Settings,
)


def describe(name: str, outcome: Outcome, parts: Parts, settings: Settings) -> dict[str, Any]:
    """Return everything that was found as plain values, for JSON and the page.

    Args:
        name: Of the model.
        outcome: From `search`.
        parts: The images it was given.
        settings: The settings it was given.
    """
    scores = outcome.scores
    depthwise = {layer.name for layer in outcome.structure.layers if layer.depthwise}
    models = [
        {
            "name": FP32,
            "arithmetic": "fp32",
            "bytes": len(outcome.content),
            "sha256": _sha256(outcome.content),
            "engines": _by_engine(scores, FP32),
        }
    ]
    models += [
        {
            "name": item.name,
            **_plan(item),
            "bytes": len(item.content),
            "sha256": _sha256(item.content),
            "development": asdict(item.development),
            "engines": _by_engine(scores, item.name),
        }
        for item in outcome.candidates
    ]
    return {
        "model": name,
        "verdict": outcome.verdict.arithmetic,
        "why": outcome.verdict.why,
        "chosen": outcome.chosen.name,
        "engine": settings.engine,
        "bounds": asdict(settings.bounds),
        "seed": settings.seed,
        "rounds": settings.rounds,
        "machine": {"processor": _processor(), "system": platform.platform()},
        "date": datetime.date.today().isoformat(),
        "images": {
            part: [item.path.name for item in getattr(parts, part)]
            for part in ("calibration", "selection", "scoring")
        },
        "layers": len(outcome.structure.layers),
        "head": sorted(outcome.structure.head),
        "sensitivity": [
            {
                "layer": layer,
                "fidelity_db": round(value, 2),
                "depthwise": layer in depthwise,
                "fp32": layer in outcome.chosen.plan.fp32_layers,
            }
            for layer, value in outcome.sensitivity.items()
        ],
        "models": models,
    }


def write_model(folder: Path, name: str, outcome: Outcome, settings: Settings) -> Path:
    """Write the model that the gate lets through, and its card.

    Args:
        folder: Where to; made if need be.
        name: Name of both files.
        outcome: From `search`.
        settings: The settings it was given.

    Returns:
        The model file.
    """
    int8 = outcome.verdict.arithmetic == "int8"
    content = outcome.shipped
    scores = outcome.scores[settings.engine]
    figures: dict[str, Any] = {
        **outcome.card.figures,
        "arithmetic": outcome.verdict.arithmetic,
        "gate": outcome.verdict.why,
        "engine": settings.engine,
        "fp32": _short(scores[FP32]),
        "int8": _short(scores[outcome.chosen.name]),
    }
    if int8:
        figures |= {**_plan(outcome.chosen), "head_fp32": sorted(outcome.structure.head)}
    figures |= {"seed": settings.seed, "date": datetime.date.today().isoformat()}
    card = replace(outcome.card, sha256=_sha256(content), figures=figures)
    if int8:  # no longer the file that is to be had there
        origin = card.source or card.url
        card = replace(card, url="", source=f"edge-robot quantize of {origin or name}", size=0)
    return write_pair(folder / f"{name}.onnx", content, card)


def write_pair(path: Path, content: bytes, card: ModelCard) -> Path:
    """Write a model and its card, each whole or not at all.

    Raises:
        UserError: the folder cannot be written.
    """
    write_atomically(path, content)
    write_atomically(path.with_suffix(".yaml"), card.to_yaml().encode())
    return path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    partial = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror}; choose another folder with --output"
        ) from error


def _plan(candidate: Candidate) -> dict[str, Any]:
    plan = candidate.plan
    return {
        "arithmetic": plan.arithmetic,
        "calibration": plan.calibration,
        "outputs_int8": plan.outputs,
        "fp32_layers": sorted(plan.fp32_layers),
    }


def _by_engine(scores: Mapping[str, Mapping[str, Score]], name: str) -> dict[str, Any]:
    return {engine: asdict(values[name]) for engine, values in scores.items() if name in values}


def _short(score: Score) -> dict[str, Any]:
    accuracy, latency = score.accuracy, score.latency
    return {
        "map50_95": round(accuracy.map50_95, 2),
        "map50": round(accuracy.map50, 2),
        "latency_ms": round(latency.p50_ms, 2),
        "latency_p99_ms": round(latency.p99_ms, 2),
    }


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
