"""The archive: what comes twice is kept once, what differs is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from certificates import Certificates
from spooling import MIB

from edge_robot.bench.spool.direct import Direct
from edge_robot.cli import archive as archive_command
from edge_robot.errors import UserError
from edge_robot.fleet.backend.access import new_token
from edge_robot.fleet.backend.archive import FILE, Archive, ArchiveReader
from edge_robot.fleet.backend.models import InvalidRequestError
from edge_robot.fleet.backend.scheduler import Scheduler
from edge_robot.fleet.backend.server import Backend
from edge_robot.fleet.backend.serving import ServerSettings
from edge_robot.fleet.client import RequestError
from edge_robot.fleet.credentials import Credentials
from edge_robot.fleet.spool import wire
from edge_robot.fleet.spool.payload import pack
from edge_robot.fleet.spool.records import KEPT, Chunk, Verdict
from edge_robot.fleet.spool.sender import ArchiveConnection
from edge_robot.fleet.tensors import to_arrays


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    archive = Archive(tmp_path / "archive", max_robot_bytes=2 * MIB)
    yield archive
    archive.close()


def chunk(data: bytes = b"content", **changes: Any) -> Chunk:
    digest = hashlib.sha256(data).digest()
    plain = Chunk("a-1", "event/mode", 3, 5, 0, "", 6, 0, 1, digest, data)
    return dataclasses.replace(plain, **changes)


def ask(archive: Archive, *chunks: Chunk, robot: str = "robot1") -> list[Verdict]:
    response = Direct(archive).infer(wire.request(robot, chunks, 1.0), 1.0)
    return wire.read_verdicts(response, chunks)


def test_what_comes_twice_is_kept_once(archive: Archive) -> None:
    assert ask(archive, chunk(), chunk()) == [KEPT, KEPT]
    assert ask(archive, chunk()) == [KEPT]
    (record,) = archive.records()
    assert (record.robot, record.id, record.stamp) == ("robot1", "a-1", 5)
    assert (record.payload, record.missing) == (b"content", 0)
    assert ask(archive, chunk(), robot="robot2") == [KEPT]  # ids are the robot's own
    assert len(list(archive.records())) == 2


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (chunk(b"other"), "another chunk"),
        (chunk(stamp=9), "another record"),
        (chunk(parts=2), "another record"),
        (chunk(id="b-1", sha256=bytes(32)), "damaged"),
        (chunk(id="b-1", part=1), "part 1 of 1"),
        (chunk(id="not a name"), "no name"),
        (chunk(id="b-1", kind="event/../../etc"), "no name"),
        (chunk(bytes(MIB + 1), id="b-1"), "at most"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_else_is_lost(
    archive: Archive, other: Chunk, reason: str
) -> None:
    assert ask(archive, chunk()) == [KEPT]
    verdict, kept = ask(archive, other, chunk(id="c-1"))
    assert not verdict.kept and verdict.final and reason in verdict.reason
    assert kept == KEPT
    assert [record.payload for record in archive.records()] == [b"content"] * 2


def test_parts_come_in_any_order_and_are_put_together(archive: Archive) -> None:
    parts = [chunk(bytes([i]) * 1000, part=i, parts=3) for i in range(3)]
    assert ask(archive, parts[2]) == [KEPT]
    (record,) = archive.records()
    assert record.missing == 2
    assert ask(archive, parts[0], parts[1], parts[2]) == [KEPT] * 3
    (record,) = archive.records()
    assert (record.missing, record.payload) == (0, b"".join(part.data for part in parts))


def test_a_robot_beyond_its_share_is_told_to_wait(archive: Archive) -> None:
    large = [chunk(os.urandom(MIB), id=f"a-{i}") for i in range(3)]
    assert ask(archive, *large[:2]) == [KEPT] * 2
    (verdict,) = ask(archive, large[2])
    assert not verdict.kept and not verdict.final and "share of robot1 is full" in verdict.reason
    assert ask(archive, large[0]) == [KEPT]  # known already
    assert ask(archive, large[2], robot="robot2") == [KEPT]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda tensors: tensors.pop("data"),
        lambda tensors: tensors.update(stamp=np.zeros(2, np.int64)),
        lambda tensors: tensors.update(stamp=np.zeros(1, np.int32)),
        lambda tensors: tensors.update(robot=np.array([b"\xff"], object)),
        lambda tensors: tensors.update(robot=np.array([b"../up"], object)),
        lambda tensors: tensors.update(kind=np.array([b"\xff"], object)),
    ],
)
def test_malformed_requests_are_refused_as_a_whole(archive: Archive, spoil: Any) -> None:
    tensors = dict(to_arrays(wire.request("robot1", [chunk()], 1.0)))
    spoil(tensors)
    with pytest.raises(InvalidRequestError):
        archive.read(tensors)


def test_an_answer_to_something_else_is_not_believed(archive: Archive) -> None:
    mine, other = chunk(), chunk(id="b-1")
    response = Direct(archive).infer(wire.request("robot1", [other], 1.0), 1.0)
    with pytest.raises(wire.WrongAnswerError, match="something else"):
        wire.read_verdicts(response, [mine])
    response.raw_output_contents[2] = b"\x04\0\0\0lost"
    with pytest.raises(wire.WrongAnswerError, match="malformed"):
        wire.read_verdicts(response, [other])


def test_it_is_read_while_it_is_written_and_a_damaged_one_is_left_alone(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    ask(archive, chunk(), chunk(id="a-2", kind="telemetry/odometry"))
    reader = ArchiveReader(tmp_path)
    assert [item.id for item in reader.records(kind="telemetry")] == ["a-2"]
    assert [item.id for item in reader.records("robot1", "event/mode")] == ["a-1"]
    reader.close()
    with pytest.raises(UserError, match="in use by process"):
        Archive(tmp_path)
    archive.close()
    (tmp_path / FILE).write_bytes(b"no database" * 1000)
    with pytest.raises(UserError, match="damaged"):
        Archive(tmp_path)
    assert (tmp_path / FILE).read_bytes() == b"no database" * 1000


def test_it_is_listed_and_exported_as_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = Archive(tmp_path / "archive")
    image, recording = b"\xff\xd8image", os.urandom(100)
    ask(
        archive,
        chunk(pack({"mode": "nominal"})),
        chunk(pack({"score": 1.5}, image), id="a-2", kind="hard_example/frame"),
        chunk(recording, id="a-3", kind="recording/drive.mcap"),
        chunk(b"half", id="a-4", kind="recording/half.mcap", parts=2),
    )
    archive.close()
    archive_command.list_holdings(tmp_path / "archive")
    assert "recording/half" in capsys.readouterr().out
    output = tmp_path / "out"
    archive_command.export(tmp_path / "archive", output)
    assert capsys.readouterr().out == "3 records written, 1 incomplete ones left out\n"
    (line,) = (output / "robot1" / "event" / "mode.jsonl").read_text().splitlines()
    assert json.loads(line) == {"id": "a-1", "stamp": 5, "created": 6, "mode": "nominal"}
    for kind, content in (("hard_example/frame", image), ("recording/drive.mcap", recording)):
        path = output / "robot1" / f"{kind}.jsonl"
        (line,) = path.read_text().splitlines()
        assert (path.parent / json.loads(line)["file"]).read_bytes() == content
    with pytest.raises(UserError, match="new folder"):
        archive_command.export(tmp_path / "archive", output)


def test_behind_tls_and_tokens_no_robot_writes_for_another(tmp_path: Path) -> None:
    pki = Certificates(tmp_path)
    token = tmp_path / "token"
    token.write_text(new_token(tmp_path / "tokens", "robot7"))
    token.chmod(0o600)
    settings = ServerSettings(
        tls_cert=str(pki.pem("good")),
        tls_key=str(pki.key("good")),
        client_ca=str(pki.pem("ca")),
        tokens=str(tmp_path / "tokens"),
    )
    archive = Archive(tmp_path / "archive")
    backend = Backend(lambda: Scheduler([archive]), port=0, access=settings.access())
    connection = ArchiveConnection(
        f"127.0.0.1:{backend.port}",
        Credentials(
            tls=True,
            ca_file=pki.pem("ca"),
            certificate_file=pki.pem("robot"),
            key_file=pki.key("robot"),
            token_file=token,
        ),
    )
    mine = [chunk()]
    response = connection.infer(wire.request("robot7", mine, 5.0), 5.0)
    assert wire.read_verdicts(response, mine) == [KEPT]
    with pytest.raises(RequestError, match=r"PERMISSION_DENIED.*robot8"):
        connection.infer(wire.request("robot8", mine, 5.0), 5.0)
    token.unlink()  # as when it is being replaced
    with pytest.raises(RequestError, match=r"UNAUTHENTICATED.*token"):
        connection.infer(wire.request("robot7", mine, 5.0), 5.0)
    connection.cancel()
    with pytest.raises(RequestError, match="CANCELLED"):
        connection.infer(wire.request("robot7", mine, 5.0), 5.0)
    connection.close()
    backend.stop()
    assert [record.robot for record in archive.records()] == ["robot7"]
    archive.close()
