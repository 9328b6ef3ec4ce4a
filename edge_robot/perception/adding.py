"""Adds a model to those of the user: fetched, checked, tried, and only then put among them."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from edge_robot.errors import UserError
from edge_robot.perception.catalogue import NAME, Entry, available
from edge_robot.perception.detector import read_model
from edge_robot.perception.download import Progress, download, forget
from edge_robot.perception.graph import describe
from edge_robot.perception.model_card import ModelCard, model_folders, read_card, user_models
from edge_robot.perception.onnx_check import MAX_BYTES, check_graph
from edge_robot.perception.proof import Proof, prove
from edge_robot.perception.recognition import recognise


@dataclass(frozen=True)
class Added:
    """A model that has just been added.

    Attributes:
        entry: It.
        proof: What it did on the test image.
        card_from: Where its card comes from, for people.
    """

    entry: Entry
    proof: Proof
    card_from: str


def add(
    source: str,
    *,
    image: Path,
    name: str | None = None,
    card_file: Path | None = None,
    sha256: str = "",
    licence: str = "",
    file: Path | None = None,
    progress: Progress = lambda done, total: None,
) -> Added:
    """Add a model to those of the user; if anything is wrong with it, nothing is left behind.

    Only the part of an interrupted download stays, for the next attempt.

    Args:
        source: Name of one that can be had, address of a file, or a file.
        image: To try it on.
        name: What to call it; by default what the catalogue or the file is called.
        card_file: Its card; by default the catalogue's for a file of that hash, the one beside the
            file, or what its graph gives away.
        sha256: That the file must have; by default what the card says.
        licence: Of the weights, where the card says nothing.
        file: Take this file in place of what the catalogue would download.
        progress: Told how far a download is.

    Raises:
        UserError: it cannot be had, is not what it should be, or does not work.
    """
    catalogue = available()
    wanted = catalogue.get(source)
    if file is not None and wanted is None:
        raise UserError(
            f"--from is for a model of the catalogue ({', '.join(catalogue)}), not for {source}"
        )
    card = read_card(card_file) if card_file is not None else wanted
    origin = str(card_file) if card_file is not None else "the catalogue"
    expected = (sha256 or (card.sha256 if card is not None else "")).lower()
    if expected and not re.fullmatch("[0-9a-f]{64}", expected):
        raise UserError(f"sha256 {sha256} is not 64 hexadecimal digits; correct it")
    called = name or (source if wanted is not None else _stem(source))
    if wanted is not None:
        url = wanted.url if file is None else ""
    else:
        url = source if "://" in source else ""
    with _obtained(url, file or Path(source), card.size if card else 0, progress) as content:
        digest = hashlib.sha256(content).hexdigest()
        if expected and digest != expected:
            raise UserError(
                f"{url or file or source} has sha256 {digest}, not {expected}; it is another "
                "file, or a damaged one: get it again, from elsewhere perhaps"
            )
        if card is None:
            for entry, entry_card in catalogue.items():
                if entry_card.sha256 == digest:
                    called, card = name or entry, entry_card
                    origin = f"the catalogue's {entry}, by the file's hash"
        if card is None:
            card, origin = _own_card(content, None if url else Path(source), called)
        _check_name(called)
        complete = replace(
            card,
            sha256=digest,
            size=len(content),
            licence=card.licence or licence,
            url=card.url or url,
            source=card.source or (url or Path(source).name),
        )
        complete.check_fit(describe(check_graph(content, called)), called)
        proof = _install(content, complete, called, image)
    path = user_models() / f"{called}.onnx"
    return Added(Entry(called, complete, path, added=True), proof, origin)


def _install(content: bytes, card: ModelCard, name: str, image: Path) -> Proof:
    """Try a model, and put it among the user's if it works.

    Raises:
        UserError: it does not, or there is no writing there.
    """
    try:
        with _trial_folder() as folder:
            trial = folder / f"{name}.onnx"
            trial.write_bytes(content)
            card.write(trial.with_suffix(".yaml"))
            try:
                proof = prove(trial, image)
            except UserError as error:  # of the model, not of the folder it was tried in
                raise UserError(str(error).replace(f"{folder}/", "")) from error
            # The card first: a model is found by its file, and then has its card.
            for file in (trial.with_suffix(".yaml"), trial):
                file.replace(user_models() / file.name)
    except OSError as error:
        raise UserError(
            f"cannot write to {user_models()}: {error.strerror}; make room, or permit it"
        ) from error
    return proof


def _own_card(content: bytes, file: Path | None, name: str) -> tuple[ModelCard, str]:
    """Return the card beside a file, or what its graph gives away; and which of them it is."""
    beside = file.with_suffix(".yaml") if file is not None else None
    if beside is not None and beside.is_file():
        return read_card(beside), str(beside)
    graph = describe(check_graph(content, name))
    noted = " ".join(graph.metadata.get("license", "").split())[:120]
    return replace(recognise(graph, name), licence=noted), "its graph"


@contextmanager
def _obtained(url: str, file: Path, size: int, progress: Progress) -> Iterator[bytes]:
    """Read a model from its address or else its file; leave nothing of a download that is whole."""
    if not url:
        file = file.expanduser()
        if not file.is_file():
            raise UserError(
                f"{file} is no file, no http(s):// address and no model of the catalogue "
                f"({', '.join(available())}); give one of them"
            )
        yield read_model(file)
        return
    kept = user_models() / ".downloads"
    part = kept / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}.part"
    try:
        download(url, part, limit=size or MAX_BYTES, progress=progress)
    except UserError:
        if part.is_file() and part.stat().st_size == 0:
            _clear(part)
        raise
    try:
        yield part.read_bytes()
    finally:
        _clear(part)


def _clear(part: Path) -> None:
    forget(part)
    if not any(part.parent.iterdir()):
        part.parent.rmdir()


@contextmanager
def _trial_folder() -> Iterator[Path]:
    """Make a folder on the file system of the models, so that a move from it is one step."""
    user_models().mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".trial-", dir=user_models()))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _stem(source: str) -> str:
    """Return what a file or address calls its model, as far as it may be a name."""
    last = source.split("?")[0].split("#")[0].rstrip("/").rsplit("/", 1)[-1]
    return re.sub(r"[^A-Za-z0-9_.-]", "_", last.removesuffix(".onnx"))[:64]


def _check_name(name: str) -> None:
    """Check that a name can be given to a new model."""
    if not NAME.fullmatch(name) or name.endswith(".onnx"):
        raise UserError(
            f"a model cannot be called {name!r}; give --name, of letters, digits, _ . and -"
        )
    for folder in model_folders():
        if (folder / f"{name}.onnx").exists():
            raise UserError(
                f"there is a model called {name} in {folder}; give another --name, or remove it "
                f"first: edge-robot model remove {name}"
            )
