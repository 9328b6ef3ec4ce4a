"""Weights to start from: those an earlier run has left, or those of one of our ONNX files."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from edge_robot.errors import UserError
from edge_robot.perception.model_card import read_card
from edge_robot.perception.onnx_check import check_graph
from edge_robot.perception.training.network import Detector, Shape

_BOX_AND_OBJECT = 5
"""Outputs of a cell before those of the classes."""


def save_weights(network: Detector, classes: Sequence[str], path: Path) -> None:
    """Write a network's weights; an interruption leaves no half of a file."""
    partial = path.with_name(f"{path.name}.partial")
    torch.save({"classes": list(classes), "weights": network.state_dict()}, partial)
    partial.replace(path)


def read_weights(path: Path) -> tuple[list[str], dict[str, Tensor]]:
    """Return the classes and weights that `save_weights` has written."""
    stored = torch.load(path, weights_only=True)
    return stored["classes"], stored["weights"]


def starting_weights(
    path: Path, shape: Shape, classes: Sequence[str], images: Tensor
) -> dict[str, Tensor]:
    """Return weights for a network, taken from another of the same shape.

    Args:
        path: From `save_weights`, or one of our detectors as ONNX (fp32 or int8) with its card.
        shape: Of both networks.
        classes: Of the new network; outputs of a class the other did not know start at random.
        images: (B, 3, H, W), 0..255, as in training. An ONNX file has no batch normalisation left:
            it is put back with the statistics of these, so that the network answers as before.

    Raises:
        UserError: the file is missing, of another shape, or not one of ours.
    """
    if not path.is_file():
        raise UserError(
            f"no weights {path} to refine; give an .onnx file of ours, or run "
            f"`edge-robot train {path.stem}` first, which leaves {path.name}"
        )
    try:
        if path.suffix == ".onnx":
            known = list(read_card(path.with_suffix(".yaml")).classes)
            weights = _from_onnx(path, Detector(shape, len(known)), images)
        else:
            known, weights = read_weights(path)
        network = Detector(shape, len(classes))
        network.load_state_dict(_for_classes(weights, known, network.state_dict(), classes))
    except (KeyError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise UserError(
            f"{path} holds no weights for this network: {' '.join(str(error).split())[:200]}; "
            "give a file of a detector of the same shape that `edge-robot train` has written"
        ) from error
    return network.state_dict()


def _for_classes(
    weights: dict[str, Tensor], known: list[str], fresh: dict[str, Tensor], classes: Sequence[str]
) -> dict[str, Tensor]:
    """Return the weights with the outputs of `classes`, in their order."""
    adapted = dict(weights)
    for name, values in fresh.items():
        if name.startswith("outputs."):
            values = values.clone()
            values[:_BOX_AND_OBJECT] = weights[name][:_BOX_AND_OBJECT]
            for row, label in enumerate(classes, _BOX_AND_OBJECT):
                if label in known:
                    values[row] = weights[name][_BOX_AND_OBJECT + known.index(label)]
            adapted[name] = values
    return adapted


def _from_onnx(path: Path, network: Detector, images: Tensor) -> dict[str, Tensor]:
    """Read convolutions, normalisation folded into them, from a file of `export_onnx`."""
    graph = check_graph(path.read_bytes(), str(path)).graph
    constants = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    dequantized = {node.output[0]: node for node in graph.node if node.op_type.startswith("Deq")}

    def value(name: str) -> Tensor:
        if name in constants:
            return torch.from_numpy(constants[name].astype(np.float32))
        codes, scale, zero = (
            torch.from_numpy(constants[item].astype(np.float32)) for item in dequantized[name].input
        )
        rows = (-1,) + (1,) * (codes.ndim - 1)
        return (codes - zero.reshape(rows)) * scale.reshape(rows)

    # The exporter names a node after its module: /network/stages.0/stages.0.1/stages.0.1.0/Conv.
    convolutions = {
        node.name.split("/")[-2]: [value(name) for name in node.input[1:]]
        for node in graph.node
        if node.op_type == "Conv"
    }
    weights = network.state_dict()
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            kernel, bias = convolutions[name]
            weights[f"{name}.weight"] = kernel
            if module.bias is not None:
                weights[f"{name}.bias"] = bias
            else:
                normalisation = f"{name.rpartition('.')[0]}.{int(name.rpartition('.')[2]) + 1}"
                weights[f"{normalisation}.bias"] = bias
    network.load_state_dict(weights)
    _normalise(network, images)
    return network.state_dict()


@torch.no_grad()
def _normalise(network: Detector, images: Tensor) -> None:
    """Give each normalisation the statistics of its input, and a scale and offset that undo them.

    Args:
        network: Its normalisations do nothing but add their offsets.
        images: (B, 3, H, W), 0..255.
    """

    def settle(module: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        mean, variance = inputs[0].mean((0, 2, 3)), inputs[0].var((0, 2, 3), correction=0)
        module.running_mean.copy_(mean)
        module.running_var.copy_(variance)
        module.weight.copy_((variance + module.eps).sqrt())
        module.bias.add_(mean)

    # Each runs before its module does, so that one pass settles them all in order.
    hooks = [
        module.register_forward_pre_hook(settle)
        for module in network.modules()
        if isinstance(module, nn.BatchNorm2d)
    ]
    network.eval()(images)
    for hook in hooks:
        hook.remove()
