"""What a replay shows of its launch: what the nodes say, without the launch's own routine."""

from __future__ import annotations

from edge_robot.standalone.launch import Console
from edge_robot.standalone.launch.description import Process
from edge_robot.standalone.launch.output import Stream

_MISTAKE = "error: "


class ReplayOutput(Console):
    """Prints the lines of the nodes, and keeps the one that ends the replay for its last word.

    Attributes:
        mistake: The first line a node printed about something the user must mend.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mistake: str | None = None

    def line(self, process: Process, stream: Stream, text: str) -> None:
        """Print a line of a process, unless it is to come last."""
        if self.mistake is None and text.startswith(_MISTAKE):
            self.mistake = text.removeprefix(_MISTAKE)
        else:
            super().line(process, stream, text)

    def notice(self, text: str, error: bool = False) -> None:
        """Print what goes wrong with the launch, unless a node has said why."""
        if error and self.mistake is None:
            super().notice(text, error)
