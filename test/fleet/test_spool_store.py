"""The spool's store: its bound, who is dropped, what is told, damage, a full disk, one writer."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import queue
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spooling import MIB, event, telemetry

from edge_robot.errors import UserError
from edge_robot.fleet.spool import spool as spool_module
from edge_robot.fleet.spool.reader import SpoolReader
from edge_robot.fleet.spool.records import (
    CHUNK_BYTES,
    DAMAGED,
    DROPPED,
    KEPT,
    Entry,
    Priority,
    Verdict,
)
from edge_robot.fleet.spool.spool import Spool
from edge_robot.fleet.spool.store import DiskFullError, Store

_numbers = itertools.count()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory, where there is one: what fsync does is `bench spool`'s affair."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as path:
        yield Path(path)


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    store = Store(folder / "spool", 4 * MIB)
    yield store
    store.close()


def drain(store: Store) -> list[Entry]:
    """Take everything out, in the order it would be sent; whole records only."""
    payloads: dict[str, Entry] = {}
    while held := store.take(MIB):
        store.settle([(item, KEPT) for item in held])
        for chunk in (item.chunk for item in held):
            before = payloads[chunk.id].payload if chunk.id in payloads else b""
            payloads[chunk.id] = Entry(chunk.kind, chunk.priority, chunk.stamp, before + chunk.data)
    return list(payloads.values())


def test_what_goes_in_comes_out_by_priority_then_age(store: Store) -> None:
    large = Entry("hard_example/frame", Priority.HARD_EXAMPLE, 5, os.urandom(3 * CHUNK_BYTES + 1))
    ids = store.add([telemetry(1), event(2), telemetry(3), event(4)]) + store.add([large])
    assert len(set(ids)) == 5
    assert drain(store) == [event(2), event(4), large, telemetry(1), telemetry(3)]
    assert store.status().waiting == {}


def test_what_is_not_settled_as_kept_stays(store: Store) -> None:
    store.add([event(1), event(2), event(3)])
    first, second, third = store.take(MIB)
    assert store.take(MIB) == []  # on its way already
    store.settle([(first, None), (second, Verdict(False, True, "bad")), (third, KEPT)])
    (again,) = store.take(MIB)
    assert (again.chunk, again.attempts) == (first.chunk, 1)
    assert store.status().refused == 1
    assert store.retry_refused() == 1
    (retried,) = store.take(MIB)
    assert retried.chunk == second.chunk


def test_what_is_on_its_way_is_not_dropped(store: Store) -> None:
    store.add([telemetry(number, 60_000) for number in range(2)])
    sent = store.take(MIB)
    for number in range(2, 60):
        store.add([telemetry(number, 60_000)])
    dropped = store.status().dropped["telemetry/odometry"]
    store.settle([(held, KEPT) for held in sent])
    assert len({held.chunk.id for held in sent}) == 2
    assert len([e for e in drain(store) if e.kind != DROPPED]) == 60 - 2 - dropped


def test_ids_are_new_after_every_start(tmp_path: Path) -> None:
    ids: list[str | None] = []
    for _ in range(2):
        store = Store(tmp_path, 4 * MIB)
        ids += store.add([event(1)])
        store.close()
    assert len(set(ids)) == 2


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(st.sampled_from([0, 1, 3]), st.integers(0, 100_000)), min_size=30, max_size=80
    )
)
def test_the_bound_holds_and_what_is_dropped_is_the_oldest_of_the_lowest(
    folder: Path, sizes: list[tuple[int, int]]
) -> None:
    store = Store(folder / str(next(_numbers)), 2 * MIB)
    entries = [
        Entry(f"telemetry/{priority}", priority, i, bytes(size))
        for i, (priority, size) in enumerate(sizes)
    ]
    for entry in entries:
        store.add([entry])
        status = store.status()
        assert status.disk_bytes <= status.max_bytes
    dropped = store.status().dropped
    kept = [entry for entry in drain(store) if entry.kind != DROPPED]
    store.close()
    for priority in {entry.priority for entry in entries}:
        stamps = [entry.stamp for entry in entries if entry.priority == priority]
        left = [entry.stamp for entry in kept if entry.priority == priority]
        assert left == stamps[len(stamps) - len(left) :]  # the newest
        assert dropped.get(f"telemetry/{priority}", 0) == len(stamps) - len(left)
    assert dropped.get("telemetry/3", 0) == 0 or all(entry.priority == 3 for entry in kept)


def test_drops_are_told_once_by_a_record_of_their_own(store: Store) -> None:
    store.add([event(1)])
    for number in range(60):
        store.add([telemetry(number * 10**9, 60_000)])
    count = store.status().dropped["telemetry/odometry"]
    assert count > 10
    told = [json.loads(entry.payload) for entry in drain(store) if entry.kind == DROPPED]
    assert [item["records"] for item in told] == [count]
    assert told[0]["text"] == (
        f"dropped {count} of kind telemetry/odometry between 1970-01-01T00:00:00+00:00 and "
        f"1970-01-01T00:00:{count - 1:02}+00:00"
    )
    assert drain(store) == []


def test_low_priority_never_displaces_higher(store: Store) -> None:
    while not store.status().dropped:
        store.add([Entry("event/x", Priority.EVENT, 0, bytes(60_000))])
    before = dict(store.status().dropped)
    assert store.add([telemetry(1, 200_000)]) == [None]
    assert store.status().dropped == {**before, "telemetry/odometry": 1}


def test_a_file_is_one_record_and_half_a_file_is_none(store: Store, tmp_path: Path) -> None:
    content = os.urandom(10 * CHUNK_BYTES + 7)
    file = tmp_path / "drive.mcap"
    file.write_bytes(content)
    entry = Entry("recording/drive", Priority.RECORDING, 7, b"")
    assert store.add_file(entry, file)
    (whole,) = drain(store)
    assert (whole.kind, whole.payload) == ("recording/drive", content)
    with pytest.raises(UserError, match="nowhere"):
        store.add_file(entry, tmp_path / "nowhere")
    file.write_bytes(bytes(8 * MIB))
    assert store.add_file(entry, file) is None  # larger than the spool
    assert [item.kind for item in drain(store)] == [DROPPED]


def test_what_may_be_heard_twice_is_taken_once(folder: Path) -> None:
    file = folder / "drive.mcap"
    file.write_bytes(os.urandom(2 * CHUNK_BYTES))
    recording = Entry("recording/drive", Priority.RECORDING, 7, b"", once="drive.mcap")
    heard = dataclasses.replace(event(1), once="a1b2")
    for _ in range(2):
        store = Store(folder / "spool", 4 * MIB)
        assert store.add_file(recording, file, is_cancelled=lambda: True) is None
        store.add([heard, event(2), heard])
        store.add_file(recording, file)
        store.close()
    store = Store(folder / "spool", 4 * MIB)
    kept = drain(store)
    assert [entry.stamp for entry in kept] == [1, 2, 2, 7]
    store.close()


def test_a_process_killed_while_it_reads_a_file_leaves_nothing_of_it(tmp_path: Path) -> None:
    file = tmp_path / "drive.mcap"
    file.write_bytes(os.urandom(40 * CHUNK_BYTES))
    code = f"""
import os
from pathlib import Path
from edge_robot.fleet.spool import store
from edge_robot.fleet.spool.records import Entry
spool = store.Store(Path({str(tmp_path / "spool")!r}), {4 * MIB})
insert, count = spool._insert_chunk, []
def killed(chunk):
    count.append(insert(chunk))
    if len(count) == 20:
        os.kill(os.getpid(), 9)
spool._insert_chunk = killed
spool.add([Entry("event/x", 3, 1, b"kept")])
spool.add_file(Entry("recording/drive", 1, 2, b""), Path({str(file)!r}))
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    store = Store(tmp_path / "spool", 4 * MIB)
    assert [entry.payload for entry in drain(store)] == [b"kept"]
    store.close()


def test_a_damaged_database_is_set_aside_and_said(tmp_path: Path) -> None:
    store = Store(tmp_path, 4 * MIB)
    store.add([telemetry(number, 2_000) for number in range(100)])
    store.close()
    content = bytearray((tmp_path / "spool.db").read_bytes())
    content[5 * 4096 : 9 * 4096] = os.urandom(4 * 4096)
    (tmp_path / "spool.db").write_bytes(content)
    troubles: list[str] = []
    store = Store(tmp_path, 4 * MIB, troubles.append)
    (aside,) = tmp_path.glob("spool.db.damaged-*")
    assert aside.read_bytes() == content
    assert str(aside) in troubles[0]
    (record,) = drain(store)
    assert record.kind == DAMAGED and str(aside) in record.payload.decode()
    store.close()


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path, 4 * MIB)
    with pytest.raises(UserError, match=f"in use by process {os.getpid()}"):
        Store(tmp_path, 4 * MIB)
    reader = SpoolReader(tmp_path)  # looking in is no writing
    assert list(reader.waiting()) == []
    reader.close()
    store.close()
    Store(tmp_path, 4 * MIB).close()


def test_space_is_given_back(store: Store) -> None:
    for number in range(30):
        store.add([telemetry(number, 60_000)])
    full = store.status().disk_bytes
    drain(store)
    for number in range(10):
        store.add([event(number)])
        drain(store)
    assert store.status().disk_bytes < full - MIB // 2


def fill(file: Path) -> None:
    with pytest.raises(OSError, match="No space"), file.open("wb", buffering=0) as out:
        while out.write(bytes(4096)):
            pass


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid():
        pytest.skip("a disk of its own can be mounted by root only")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6M", "tmpfs", tmp_path], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no disk of its own can be mounted here: {mounted.stderr.decode().strip()}")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_on_a_full_disk_the_newest_of_high_priority_are_kept(small_disk: Path) -> None:
    troubles: list[str] = []
    store = Store(small_disk / "spool", 4 * MIB, troubles.append)
    for number in range(5):
        store.add([telemetry(number, 60_000)])
    fill(small_disk / "other")
    for number in range(100):
        store.add([event(number), telemetry(number, 20_000)])
    assert store.status().disk_full
    assert "full" in troubles[0] and len(troubles) == 1
    (small_disk / "other").unlink()
    store.add([event(100)])
    assert not store.status().disk_full
    kept = drain(store)
    store.close()
    assert [e.stamp for e in kept if e.kind == "event/mode"] == list(range(101))
    assert sum(e.kind == "telemetry/odometry" for e in kept) < 105


def test_a_disk_without_any_room_is_said(small_disk: Path) -> None:
    troubles: list[str] = []
    Store(small_disk / "spool", 4 * MIB).close()
    store = Store(small_disk / "spool", 4 * MIB, troubles.append)  # its log is empty now
    fill(small_disk / "other")
    (small_disk / "spool" / "spool.ballast").unlink()
    fill(small_disk / "more")
    with pytest.raises(DiskFullError, match="free some space"):
        store.add([event(1)])
    assert len(troubles) == 1
    (small_disk / "other").unlink()
    assert store.add([Entry("event/x", Priority.EVENT, 0, bytes(100_000))]) != [None]
    assert store.status().dropped == {}
    store.close()


def test_what_a_full_disk_does_not_take_waits_for_it(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "FULL_PAUSE", 0.02)
    monkeypatch.setattr(spool_module, "MAX_INBOX", 20_000)
    troubles: list[str] = []
    Store(small_disk / "spool", 4 * MIB).close()
    store = Store(small_disk / "spool", 4 * MIB)  # its log is empty now
    fill(small_disk / "other")
    (small_disk / "spool" / "spool.ballast").unlink()
    fill(small_disk / "more")
    spool = Spool(store, None, troubles.append)
    accepted: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    for number in range(5):
        spool.put(event(number), accepted.put)
    for number in range(100):  # more than may wait
        spool.put(telemetry(number))
    spool.put(event(5), accepted.put)
    time.sleep(0.1)
    assert accepted.empty() and "free some space" in troubles[0]
    (small_disk / "other").unlink()
    assert all(accepted.get(timeout=10.0) for _ in range(6))
    dropped = store.status().dropped["telemetry/odometry"]
    spool.close()
    store = Store(small_disk / "spool", 4 * MIB)
    kept = [entry for entry in drain(store) if entry.kind != DROPPED]
    store.close()
    assert [entry.stamp for entry in kept[:6]] == list(range(6))
    assert [entry.stamp for entry in kept[6:]] == list(range(dropped, 100))
