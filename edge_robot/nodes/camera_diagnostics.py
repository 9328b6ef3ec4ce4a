"""What `camera_perception` says of its camera, its model and itself in `DIAGNOSTICS`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edge_robot.nodes.diagnostics import ERROR, OK, STALE, WARN, Status
from edge_robot.perception.adaptation import Adaptation, OperatingPoint
from edge_robot.perception.camera_health import UNUSABLE, CameraHealth
from edge_robot.perception.detector import Detector
from edge_robot.perception.drift import DriftMonitor

SILENCE = 2.0
"""Time without an image after which there is nothing to say of the camera, s."""


def camera_status(
    health: CameraHealth, silence: float, withholds: bool, withheld: int, frame: str
) -> Status:
    """Return how the camera is.

    Args:
        health: The judgement of its images.
        silence: Time since the last image came, s; infinite before the first.
        withholds: Whether nothing is published of images that show nothing.
        withheld: Images of which no detections were published, so far.
        frame: The camera's frame.
    """
    causes = ", ".join(cause.value for cause in health.since)
    if silence > SILENCE:
        level, message = STALE, "no image" + (f" for {silence:.0f} s" if silence < 1e6 else " yet")
    elif UNUSABLE & health.since.keys():
        consequence = "are withheld" if withholds else "prove nothing"
        level, message = ERROR, f"{causes}: detections {consequence}"
    elif causes:
        level, message = WARN, causes
    else:
        level, message = OK, "well"
    values: dict[str, object] = {
        f"{cause.value} since (s)": f"{since:.3f}" for cause, since in health.since.items()
    }
    values |= {
        "brightness of the brightest 2 % (0..255)": health.brightness,
        "sharpness (0..1)": "unknown" if health.sharpness is None else health.sharpness,
        "best sharpness": "unknown" if health.best_sharpness is None else health.best_sharpness,
        "age on arrival (s)": health.age,
        "period (s)": health.period,
        "gaps": health.gaps,
        "stamps that jumped back": health.jumps,
        "images withheld": withheld,
    }
    return Status("camera", level, message, values, frame)


def detector_status(
    detector: Detector,
    times: Sequence[float],
    budget: float,
    counts: Mapping[str, int],
    further_looks: int,
) -> Status:
    """Return how the detector is.

    Args:
        detector: The one in use.
        times: Of the last runs, s.
        budget: 95th percentile they shall keep, s.
        counts: Images by what became of them.
        further_looks: Taken so far at parts of images, besides those at all of each.
    """
    values: dict[str, object] = {
        "model": detector.path.name,
        "sha256": detector.sha256,
        "engine": detector.engine,
        "provider": detector.provider,
        "lowest score": detector.min_score,
        "budget (ms)": budget * 1e3,
        "further looks": further_looks,
    }
    level, message = OK, f"{detector.path.stem} on {detector.engine}, {detector.provider}"
    if times:
        p50, p95, p99 = np.percentile(times, (50, 95, 99)) * 1e3
        values |= {"latency p50 (ms)": float(p50), "latency p99 (ms)": float(p99)}
        if p95 > budget * 1e3:
            level, message = WARN, f"95 % of runs take up to {p95:.0f} ms of {budget * 1e3:.0f} ms"
    values |= {f"images {what}": number for what, number in counts.items()}
    return Status("detector", level, message, values)


def drift_status(monitor: DriftMonitor) -> Status:
    """Return whether the model still sees what it was made for."""
    values: dict[str, object] = {}
    for shift in monitor.shifts:
        values |= {
            f"{shift.name}: stability index": shift.psi,
            f"{shift.name}: probability by chance": shift.probability,
            f"{shift.name}: counted": shift.count,
            f"{shift.name}: worth": shift.effective_count,
        }
    shifted = ", ".join(shift.name for shift in monitor.shifts if shift.alarm)
    if shifted:
        return Status("drift", WARN, f"{shifted} differ from the model card's reference", values)
    return Status("drift", OK, monitor.note or "as in the model card", values)


def operating_status(
    adaptation: Adaptation, points: Sequence[OperatingPoint], temperature: float, charge: float
) -> Status:
    """Return where on its ladder perception works, and why.

    Args:
        adaptation: The ladder's keeper.
        points: The ladder.
        temperature: Of the machine, °C; NaN where not measured.
        charge: Of the battery, 0..1; NaN where not known.
    """
    point = points[adaptation.step]
    values = {
        "step": f"{adaptation.step + 1} of {len(points)}",
        "model": point.model,
        "every how many images": point.divisor,
        "cause": adaptation.cause,
        "temperature (°C)": temperature,
        "battery (0..1)": charge,
    }
    if adaptation.step == 0:
        return Status("operating point", OK, str(point), values)
    return Status("operating point", WARN, f"{point}: {adaptation.cause}", values)
