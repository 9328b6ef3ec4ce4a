"""How the figures of a benchmark reach people, files and other programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_robot.errors import UserError

AsJson = Annotated[
    bool, typer.Option("--json", help="Print the figures as JSON, or write them to FILE.")
]
JsonFile = Annotated[
    Path | None, typer.Argument(metavar="[FILE]", help="With --json: write them there.")
]


def progress(text: str) -> None:
    """Tell people, not programs, how far it is."""
    print(text, file=sys.stderr, flush=True)


class Output:
    """Where the figures of one call of the command go.

    Args:
        as_json: JSON rather than a table.
        file: For the JSON, or None for standard output.

    Raises:
        UserError: a file without `--json`, or one that cannot be written: better now than after
            an hour.
    """

    def __init__(self, as_json: bool, file: Path | None) -> None:
        from edge_robot.bench.figures import machine

        if file is not None and not as_json:
            raise UserError(f"{file}: figures are written to a file with --json")
        self._as_json, self._file = as_json, file
        self._figures: dict[str, Any] = {"machine": machine()}
        self._write()

    def sofar(self, figures: dict[str, Any]) -> None:
        """Write figures that will be superseded, if there is a file."""
        self._write(figures)

    def add(self, figures: dict[str, Any]) -> None:
        """Take in the figures of a benchmark, by name."""
        from edge_robot.bench.figures import merge

        merge(self._figures, figures)

    def finish(self) -> None:
        """Print the figures, or write them to the file."""
        self._write()
        if not self._as_json:
            from edge_robot.cli.benches.tables import print_figures

            print_figures(self._figures)
        elif self._file is None:
            typer.echo(json.dumps(self._figures, indent=2))

    def _write(self, more: dict[str, Any] | None = None) -> None:
        if self._file is None:
            return
        try:
            self._file.write_text(json.dumps({**self._figures, **(more or {})}, indent=2) + "\n")
        except OSError as error:
            raise UserError(f"cannot write {self._file}: {error.strerror}") from error
