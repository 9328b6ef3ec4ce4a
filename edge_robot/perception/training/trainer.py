"""The training loop."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from edge_robot.errors import UserError
from edge_robot.perception.decoders.grid import grid
from edge_robot.perception.training.batches import Batches
from edge_robot.perception.training.dataset import Dataset
from edge_robot.perception.training.losses import loss
from edge_robot.perception.training.network import STRIDES, Detector, Shape

_WARM_UP = 300  # steps; a tenth of a short run
_WEIGHT_DECAY = 0.02
_REPORT_STEPS = 50
_CHECKPOINT_STEPS = 200


@dataclass(frozen=True)
class Progress:
    """Where training stands.

    Attributes:
        step: Steps done.
        steps: Steps in all.
        loss: Mean loss since the last report.
        left: Estimate of the time still needed, s.
    """

    step: int
    steps: int
    loss: float
    left: float

    def __str__(self) -> str:
        """Say it in a line for the user."""
        minutes, seconds = divmod(round(self.left), 60)
        return (
            f"step {self.step} of {self.steps}, loss {self.loss:.3f}, "
            f"{minutes}:{seconds:02d} min left"
        )


@dataclass(frozen=True)
class Trained:
    """A trained network, and what it took.

    Attributes:
        network: On the CPU, in evaluation mode: the moving average of the weights.
        seconds: Time of training, that of earlier parts of an interrupted run included.
        devices: What it was trained on, one name for each kind.
    """

    network: Detector
    seconds: float
    devices: tuple[str, ...]


def choose_device(asked: str) -> torch.device:
    """Return where to train.

    Args:
        asked: "cpu", "cuda", or "auto" for a GPU where PyTorch finds one.

    Raises:
        UserError: there is no such device here.
    """
    if asked not in ("auto", "cpu", "cuda"):
        raise UserError(f"device {asked!r} is unknown; use auto, cpu or cuda")
    if asked != "cpu" and torch.cuda.is_available():
        return torch.device("cuda")
    if asked == "cuda":
        built = torch.version.cuda
        why = f"finds no GPU for its CUDA {built}" if built else "is built without CUDA"
        raise UserError(f"PyTorch {torch.__version__} {why}; install one that fits, or use cpu")
    return torch.device("cpu")


def train(
    dataset: Dataset,
    shape: Shape,
    width: int,
    height: int,
    *,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    start: Mapping[str, Tensor] | None,
    checkpoint: Path | None,
    report: Callable[[Progress], None],
    device: torch.device,
    workers: int = 1,
) -> Trained:
    """Train a network and return the moving average of its weights.

    Batches depend on seed and step alone, so that a run continued from its checkpoint ends in the
    same weights as one that was never interrupted; on a GPU, but for the order of its sums.

    Args:
        dataset: Training images.
        shape: Widths and depths of the network.
        width: Input width, px.
        height: Input height, px.
        steps: Batches.
        batch: Images in each.
        rate: Peak learning rate.
        seed: Of weights, order and augmentation.
        start: Weights to refine; None for random ones.
        checkpoint: File written every 200 steps and at the end; where it exists, training
            continues from it. None for a short run.
        report: Called every 50 steps.
        device: Where to train.
        workers: Processes that prepare the batches.

    Raises:
        UserError: the checkpoint is not of this run.
    """
    torch.manual_seed(seed)
    network = Detector(shape, len(dataset.classes))
    if start is not None:
        network.load_state_dict(start)
    network = network.to(device, memory_format=torch.channels_last)
    average = copy.deepcopy(network).eval()
    optimiser = torch.optim.AdamW(_groups(network), lr=rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))
    run = {"shape": repr(shape), "size": [width, height], "steps": steps, "batch": batch}
    run |= {"rate": rate, "seed": seed, "images": len(dataset), "classes": list(dataset.classes)}
    parts = {"network": network, "average": average, "optimiser": optimiser, "schedule": schedule}
    before = _Before() if checkpoint is None else _continue(checkpoint, run, parts)
    devices = set(before.devices)
    if before.step < steps:
        devices.add(_name(device))
    cells = torch.from_numpy(grid(width, height, STRIDES)).to(device)
    batches = Batches(dataset, batch, width, height, seed=seed, steps=steps)
    total = torch.zeros((), device=device)
    reported = before.step
    started = time.monotonic()
    # A slow average and a fast one, of what is learnt and of what normalisation has seen.
    slow, fast = ([*part.parameters(), *_statistics(part)] for part in (average, network))
    loader = batches.load(before.step, device, workers)
    for step, (images, targets) in enumerate(loader, before.step + 1):
        # bfloat16 halves the time on processors that have it, and needs no loss scaling.
        with torch.autocast(device.type, torch.bfloat16):
            raw = network(images.permute(0, 3, 1, 2).float())
        value = loss(raw.float(), cells, targets)
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimiser.step()
        schedule.step()
        # Quickly at first, then over about 1000 steps.
        get_ema_multi_avg_fn(min(0.999, (1.0 + step) / (10.0 + step)))(slow, fast, step)
        total += value.detach()
        if step % _REPORT_STEPS == 0 or step == steps:
            # Reading a value waits for the GPU: never at every step.
            mean = total.item() / (step - reported)
            pace = (time.monotonic() - started) / (step - before.step)
            report(Progress(step, steps, mean, pace * (steps - step)))
            total.zero_()
            reported = step
        if checkpoint is not None and (step % _CHECKPOINT_STEPS == 0 or step == steps):
            seconds = before.seconds + time.monotonic() - started
            _keep(checkpoint, _Before(step, seconds, sorted(devices)), run, parts)
    seconds = before.seconds + time.monotonic() - started
    return Trained(average.cpu(), seconds, tuple(sorted(devices)))


@dataclass(frozen=True)
class _Before:
    """What was done of a run before now: steps, seconds, and on which devices."""

    step: int = 0
    seconds: float = 0.0
    devices: Sequence[str] = ()


def _keep(path: Path, done: _Before, run: dict[str, Any], parts: Mapping[str, Any]) -> None:
    """Write a checkpoint; an interruption leaves the previous one whole."""
    partial = path.with_name(f"{path.name}.partial")
    states = {name: part.state_dict() for name, part in parts.items()}
    torch.save({"done": asdict(done), "run": run, **states}, partial)
    partial.replace(path)


def _continue(path: Path, run: dict[str, Any], parts: Mapping[str, Any]) -> _Before:
    """Load a checkpoint if there is one, and return what was done.

    Raises:
        UserError: it is of another run.
    """
    if not path.is_file():
        return _Before()
    stored = torch.load(path, weights_only=True, map_location="cpu")
    other = [key for key in run if stored["run"].get(key) != run[key]]
    if other:
        raise UserError(
            f"{path} is of an unfinished run with other {', '.join(other)} "
            f"({', '.join(str(stored['run'].get(key)) for key in other)}); "
            "give the same options to finish it, or delete it"
        )
    for name, part in parts.items():
        part.load_state_dict(stored[name])
    return _Before(**stored["done"])


def _rate(step: int, steps: int) -> float:
    """Return the learning rate relative to its peak: linear warm-up, then a cosine to 1 %."""
    warm = min(1.0, (step + 1) / min(_WARM_UP, 1 + steps // 10))
    return warm * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, step / steps))))


def _groups(network: Detector) -> list[dict[str, object]]:
    """Decay the convolutions' weights, not biases and normalisation."""
    weights = [item for item in network.parameters() if item.ndim > 1]
    others = [item for item in network.parameters() if item.ndim <= 1]
    return [
        {"params": weights, "weight_decay": _WEIGHT_DECAY},
        {"params": others, "weight_decay": 0.0},
    ]


def _statistics(network: Detector) -> list[Tensor]:
    """Return what normalisation has seen: means and variances, not the count of batches."""
    return [values for values in network.buffers() if values.dtype.is_floating_point]


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
