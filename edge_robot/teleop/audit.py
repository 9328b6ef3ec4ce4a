"""What operators did: one JSON line each, in a folder, for whoever must find out later."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from edge_robot.teleop.access import Identity


class Audit:
    """Writes down who did what, from where, and what came of it.

    Args:
        folder: Where the files lie; made where missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / "audit.jsonl").open("a", encoding="utf-8")

    def note(
        self, who: Identity | None, action: str, outcome: str = "done", **details: Any
    ) -> None:
        """Write one entry down; returns at once, may be called from any thread.

        Args:
            who: The person; None for somebody who was not let in.
            action: What was asked for: `login`, `stop`, `take` …
            outcome: What came of it: `done`, or why not.
            details: What else there is to know, JSON-serialisable; no secrets.
        """
        entry = {
            "time": time.time(),
            "who": who.name if who else None,
            "role": who.role.name.lower() if who else None,
            "address": who.address if who else details.pop("address", None),
            "session": who.session if who else None,
            "action": action,
            "outcome": outcome,
            "details": details,
        }
        self._file.write(json.dumps(entry) + "\n")

    def close(self) -> None:
        """Write what is still to be written."""
        self._file.close()
