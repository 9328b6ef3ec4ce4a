"""The models there are: those shipped, those the user has added, and those to be had by address.

A model that is here is a file `NAME.onnx` with its card `NAME.yaml` beside it. One that can be had
is a card in `models/catalogue/`, with address, size and hash.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edge_robot.errors import UserError
from edge_robot.perception.detector import read_model
from edge_robot.perception.graph import describe
from edge_robot.perception.model_card import (
    ModelCard,
    find_model,
    model_folders,
    read_card,
    user_models,
)
from edge_robot.perception.onnx_check import check_graph
from edge_robot.perception.proof import Proof, prove
from edge_robot.perception.recognition import recognise
from edge_robot.share import share_dir

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""What a model may be called: it becomes a file's name and a launch argument."""


@dataclass(frozen=True)
class Entry:
    """A model of the catalogue.

    Attributes:
        name: What it is called on the command line and in parameters.
        card: What it expects and gives.
        path: Its file; None where it is not here yet.
        added: Whether the user has added it; what is shipped cannot be removed.
    """

    name: str
    card: ModelCard
    path: Path | None
    added: bool


def trial_image() -> Path:
    """Return the image on which models are tried: a rendered warehouse with people in it."""
    return share_dir() / "models" / "test_image.jpg"


def entries() -> list[Entry]:
    """Return all models, by name: those here, and those that can be added by their name.

    Raises:
        UserError: a card or a model without one cannot be read.
    """
    found: dict[str, Entry] = {}
    for folder in model_folders():
        for path in sorted(folder.glob("*.onnx")):
            added = folder == user_models()
            found.setdefault(path.stem, Entry(path.stem, _card_of(path), path, added))
    for name, card in available().items():
        found.setdefault(name, Entry(name, card, None, False))
    return [found[name] for name in sorted(found)]


def remove(name: str) -> Path:
    """Remove a model that the user has added, and its card.

    Returns:
        The file that was removed.

    Raises:
        UserError: there is none, or it is one of those shipped.
    """
    path = user_models() / f"{name}.onnx"
    if not NAME.fullmatch(name) or not path.is_file():
        if (share_dir() / "models" / f"{name}.onnx").is_file():
            raise UserError(f"model {name} is shipped with edge_robot; only added ones are removed")
        known = ", ".join(sorted(item.stem for item in user_models().glob("*.onnx"))) or "none"
        raise UserError(f"no model called {name!r} has been added; there are: {known}")
    try:
        path.unlink()
        path.with_suffix(".yaml").unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot remove {path}: {error.strerror}; permit it") from error
    return path


def check(name: str, image: Path) -> tuple[Entry, Proof]:
    """Check a model of the catalogue or a file: hash, graph, fit of the card, an inference.

    Raises:
        UserError: what is wrong with it.
    """
    path = find_model(name)
    card = _card_of(path)
    proof = prove(path, image)  # loads it as every user does, and so checks hash, graph and fit
    return Entry(path.stem, card, path, path.parent == user_models()), proof


def available() -> dict[str, ModelCard]:
    """Return the cards of the models that can be had, by name."""
    folder = share_dir() / "models" / "catalogue"
    return {path.stem: read_card(path) for path in sorted(folder.glob("*.yaml"))}


def _card_of(path: Path) -> ModelCard:
    """Return the card of a model file."""
    card_path = path.with_suffix(".yaml")
    if card_path.is_file():
        return read_card(card_path)
    return recognise(describe(check_graph(read_model(path), str(path))), str(path))
