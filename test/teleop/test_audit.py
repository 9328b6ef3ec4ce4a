"""The audit log on a real disk: complete, bounded, safe to read, loud when it fails."""

from __future__ import annotations

import json
import multiprocessing
import threading
from pathlib import Path

import pytest

from edge_robot.errors import UserError
from edge_robot.teleop import audit
from edge_robot.teleop.access import Identity, Role
from edge_robot.teleop.audit import MAX_FILES, Audit

ANNA = Identity("anna", Role.DRIVE, "10.0.0.1", "5e5510")


def lines(folder: Path) -> list[str]:
    return (folder / "audit.jsonl").read_text().splitlines()


def test_an_entry_says_who_did_what_when_and_what_came_of_it(tmp_path: Path) -> None:
    log = Audit(tmp_path / "new" / "audit", stamp=lambda: 42)
    log.note(ANNA, "limit", speed=0.5, ratio=float("nan"))
    log.note(None, "login", "wrong token", address="10.0.0.9")
    log.close()
    (entry,) = (json.loads(line) for line in lines(log.folder))
    other, _ = log.newest(9)
    assert entry.pop("time").endswith("+00:00") and len(entry.pop("run")) == 8
    assert entry == {
        "stamp": 42,
        "n": 1,
        "who": "anna",
        "role": "drive",
        "address": "10.0.0.1",
        "session": "5e5510",
        "action": "limit",
        "outcome": "done",
        "details": {"speed": 0.5, "ratio": "nan"},
    }
    assert (other["who"], other["address"], other["n"]) == (None, "10.0.0.9", 2)
    assert (log.folder / "audit.jsonl").stat().st_mode & 0o777 == 0o600


def test_nothing_that_is_written_can_pass_for_something_else(tmp_path: Path) -> None:
    log = Audit(tmp_path)
    forged = '\n{"who": "bob"}\x1b[2J\u202e\0'
    log.note(ANNA, f"<script>{forged}", forged, address=forged, name="<img src=x>", long="x" * 9999)
    log.note(ANNA, "deep", nested=[[[[[[[["deep"]]]]]]]], many=list(range(999)), odd=object())
    log.close()
    first, second = lines(tmp_path)
    assert "<" not in first and first.isascii() and first.isprintable() and len(first) < 2000
    assert json.loads(first)["details"]["name"] == "<img src=x>"
    assert len(json.loads(second)["details"]["many"]) < 100


def test_it_is_bounded_and_the_newest_is_kept(tmp_path: Path) -> None:
    log = Audit(tmp_path, max_file_bytes=2000)
    for number in range(120):
        log.note(ANNA, "limit", number=number, pad="x" * 200)
        if number % 3 == 0:
            assert log.flush()
    log.flush()
    newest = [entry["details"]["number"] for entry in log.newest(10)]
    log.close()
    assert newest == list(range(119, 109, -1))
    files = list(tmp_path.glob("audit*.jsonl"))
    assert len(files) == MAX_FILES and all(file.stat().st_size <= 2000 for file in files)


def test_strangers_do_not_push_out_what_people_did(tmp_path: Path) -> None:
    log = Audit(tmp_path, max_file_bytes=2000)
    log.note(ANNA, "take")
    for number in range(40):
        log.note(None, "login", "wrong token", address="10.0.0.9", number=number, pad="x" * 250)
        log.flush()
    entries = log.newest(999)
    log.close()
    assert entries[0]["details"]["number"] == 39
    assert [entry["action"] for entry in entries if entry["who"]] == ["take"]


def test_it_goes_on_after_a_restart_and_a_line_cut_in_two(tmp_path: Path) -> None:
    first = Audit(tmp_path)
    first.note(ANNA, "take")
    first.close()
    with (tmp_path / "audit.jsonl").open("a") as torn:
        torn.write('{"who": "an')
    second = Audit(tmp_path)
    second.note(ANNA, "hand_back")
    second.close()
    assert [entry["action"] for entry in second.newest(9)] == ["hand_back", "take"]


def test_no_entry_is_lost_without_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "RETRY_PERIOD", 0.01)
    monkeypatch.setattr(audit, "MAX_WAITING", 5)
    log = Audit(tmp_path)
    file, away = tmp_path / "audit.jsonl", tmp_path / "away"
    file.rename(away)
    file.mkdir()  # no file can be written in its place, by root neither
    for _ in range(8):
        log.note(ANNA, "stop")
    assert not log.flush(0.2)
    assert "cannot be written" in log.problem() and "3 entries are lost" in log.problem()
    file.rmdir()
    away.rename(file)
    assert log.flush()
    log.note(ANNA, "reset")
    log.flush()
    assert log.problem() == ""
    actions = [entry["action"] for entry in log.newest(99)]
    log.close()
    assert actions == ["reset", "audit", *["stop"] * 5]
    assert "3 entries were lost" in file.read_text()


def _write(folder: Path, name: str) -> None:
    log = Audit(folder, max_file_bytes=8000)
    writers = [
        threading.Thread(target=lambda: [log.note(ANNA, name, pad="x" * 50) for _ in range(25)])
        for _ in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    log.close()


def test_threads_and_processes_write_into_one_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_write, args=(tmp_path, name)) for name in ("a", "b")]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=20)
    entries = Audit(tmp_path).newest(999)
    assert {(entry["action"], entry["n"]) for entry in entries} == {
        (name, number) for name in "ab" for number in range(1, 101)
    }


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="parameter audit_folder"):
        Audit(tmp_path / "file" / "audit")
