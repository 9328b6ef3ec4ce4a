"""Every page that tells a reader what to type, typed; every file it shows, saved and used.

Pages with programs in them are typed in the environment of the tests, since nothing else tries
these. `make new-user` (EDGE_ROBOT_NEW_USER=1) types all of them, demo included, on a new user's
machine: a clone of what is committed, in an environment made as the quick start says. Minutes.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from documented import NEEDS, blocks, follow
from exported_detector import exported_detector
from onnx import save

from edge_robot.listening import free_port

ROOT = Path(__file__).resolve().parents[2]
INSTALLATION = ROOT / "docs" / "start" / "index.md"
PAGES = [
    page
    for folder in ("start", "tutorials")
    for page in sorted((ROOT / "docs" / folder).glob("*.md"))
    if any(block.typed or block.file for block in blocks(page))
]

WITH_PROGRAMS = [page for page in PAGES if any(block.file for block in blocks(page))]


def named(page: Path) -> str:
    return f"{page.parent.name}/{page.stem}"


@pytest.mark.timeout(400)
@pytest.mark.parametrize("page", WITH_PROGRAMS, ids=named)
def test_a_page_works_as_typed(page: Path, tmp_path: Path, domain: int) -> None:
    typed, _ = follow(page, readers_folder(tmp_path), environment(tmp_path), available())
    assert typed > 0


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_nothing_is_shown_that_nobody_tries(page: Path) -> None:
    for block in blocks(page):
        tried = block.typed or block.file
        assert tried or block.language not in ("sh", "python"), f"{page}:{block.line}"


@pytest.mark.timeout(3600)
@pytest.mark.skipif("EDGE_ROBOT_NEW_USER" not in os.environ, reason="minutes: `make new-user`")
def test_a_new_user_gets_through_all_pages(tmp_path: Path, domain: int) -> None:
    there = {"new", *available()}
    given = {**new_environment(tmp_path), "REPOSITORY": str(ROOT)}
    first = readers_folder(tmp_path / "installation")
    follow(INSTALLATION, first, given, there)
    for page in PAGES:
        if page != INSTALLATION:
            reader = readers_folder(tmp_path / page.stem)
            if {block.need for block in blocks(page) if block.typed} != {"ros2"}:
                terminal = (first / ".terminal").read_text()
                (reader / ".terminal").write_text(f"{terminal}cd '{reader}'\n")
            _, left_out = follow(page, reader, given, there)
            print(*left_out, sep="\n")


def available() -> set[str]:
    """Return which of `NEEDS` this machine has, but for a new user's environment."""
    tools = {"ros2": ("ros2", "colcon"), "gazebo": ("ros2", "gz")}
    assert tools.keys() < NEEDS.keys()
    return {need for need, names in tools.items() if all(map(shutil.which, names))}


def new_environment(folder: Path) -> dict[str, str]:
    """Return the environment of a user who has just logged in, with a home of their own."""
    home = folder / "home"
    home.mkdir()
    ours = ("EDGE_ROBOT_", "PYTEST_", "VIRTUAL_ENV", "XDG_")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
    paths = kept.pop("PYTHONPATH", "").split(os.pathsep)  # where a sourced ROS 2 says what it has
    kept["PYTHONPATH"] = os.pathsep.join(path for path in paths if path != str(ROOT))
    # Where a page says ${PORT:-8001}: two tests run at a time.
    return {**kept, "HOME": str(home), "PORT": str(free_port())}


def environment(folder: Path) -> dict[str, str]:
    """Return the same with `edge-robot` and `python` as the tests have them."""
    tools = folder / "bin"
    tools.mkdir()
    for name, module in (("edge-robot", "-m edge_robot "), ("python", "")):
        tool = tools / name
        tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" {module}"$@"\n')
        tool.chmod(0o755)
    given = new_environment(folder)
    return {
        **given,
        "PATH": f"{tools}{os.pathsep}{given['PATH']}",
        "PYTHONPATH": os.pathsep.join((str(ROOT), given["PYTHONPATH"])),
        # Filled on the first start of all, which takes a second.
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
    }


def readers_folder(parent: Path) -> Path:
    """Return a folder with what the pages say a reader has: a detector and a photograph."""
    folder = parent / "reader"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "models" / "test_image.jpg", folder / "photo.jpg")
    save(exported_detector(), folder / "best.onnx")
    return folder
