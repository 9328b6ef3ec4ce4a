"""The report page: whole, self-contained, well-formed, and true to the recording."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from drive import write_drive
from synthetic import Scribe
from typer.testing import CliRunner

from edge_robot import topics
from edge_robot.cli.report import register
from edge_robot.errors import UserError
from edge_robot.report import run_metrics, write_report

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Checker(HTMLParser):
    """Checks that tags nest, and gathers text, attributes and counts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.counts: dict[str, int] = {}
        self.links: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        values = dict(attrs)
        assert len(values) == len(attrs), f"<{tag}> repeats an attribute"
        self.links += [v for k, v in attrs if k in ("src", "href", "data", "action") and v]
        if tag == "svg":
            assert values.get("role") == "img" and values.get("aria-label")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes <{self.open[-1:]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def check(page: Path) -> Checker:
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert checker.open == []
    for link in checker.links:
        assert link.startswith(("data:image/", "#")) or "://" not in link, link
    assert "<script" not in text and "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert "nan" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", text).lower().split('"')
    return checker


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("drive") / "a drive.mcap"
    write_drive(file)
    return file


def test_every_section_is_there(drive: Path) -> None:
    page = write_report(drive, drive.parent / "report", run_metrics(drive, 17))
    checker = check(page)
    text = " ".join(checker.words)
    for heading in ("Seen from above", "Through the camera", "Time line", "Latencies", "Tracks"):
        assert heading in text
    for word in ("link cut", "link restored", "goal reached", "nominal", "person 0.94", "budget"):
        assert word in text, word
    # Map, time line, 6 histograms, 8 frames.
    assert checker.counts["svg"] == 16
    assert "../a%20drive.mcap" in checker.links
    assert page.stat().st_size < 3_000_000


def test_command_rebuilds_it_beside_the_recording(drive: Path) -> None:
    import typer

    app = typer.Typer()
    register(app)
    result = CliRunner().invoke(app, [str(drive)])
    assert result.exit_code == 0, result.output
    check(drive.parent / "index.html")


def test_a_recording_of_almost_nothing_has_a_page(tmp_path: Path) -> None:
    file = tmp_path / "run.mcap"
    with Scribe(file) as s:
        s.event(0.0, "goal_sent", "<b>&\"'")
        s.add(topics.LINK, 0.0, header=s.header(0.0), up=False, cause="<script>alert(1)</script>")
        s.add(topics.TRACKS, 0.1, header=s.header(0.1), objects=[])
    checker = check(write_report(file, tmp_path, run_metrics(file), title="<em>", note="a < b"))
    assert not {"script", "em"} & checker.counts.keys()


def test_cut_short_recording_says_so(drive: Path, tmp_path: Path) -> None:
    file = tmp_path / "cut.mcap"
    content = drive.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    checker = check(write_report(file, tmp_path, run_metrics(file)))
    assert "ends abruptly" in " ".join(checker.words)


def test_nowhere_to_write(drive: Path) -> None:
    with pytest.raises(UserError, match="cannot write"):
        write_report(drive, Path("/proc/none"), run_metrics(drive))
