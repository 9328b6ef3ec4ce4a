"""Downloads from a real server that cuts connections, lies about lengths and changes its mind."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from file_server import FileServer, serving

from edge_robot.errors import UserError
from edge_robot.perception.download import check_url, download

CONTENT = random.Random(1).randbytes(300_000)
LIMIT = 1_000_000


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(FileServer(CONTENT)) as running:
        yield running


def fetch(server: FileServer, folder: Path, path: str = "", limit: int = LIMIT) -> bytes:
    url = server.url if not path else server.url.replace("/model.onnx", path)
    return download(url, folder / "m.part", limit=limit, pause=0.01).read_bytes()


def test_a_file_comes_whole_and_says_how_far_it_is(server: FileServer, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    path = download(
        server.url, tmp_path / "p", limit=LIMIT, progress=lambda *step: told.append(step)
    )
    assert path.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))


def test_what_is_cut_off_goes_on_where_it_ended(server: FileServer, tmp_path: Path) -> None:
    server.cuts = [100_000, 50_000, 70_000]
    assert fetch(server, tmp_path) == CONTENT
    assert server.ranges == [None, "bytes=100000-", "bytes=150000-", "bytes=220000-"]


def test_a_later_command_goes_on_as_well(server: FileServer, tmp_path: Path) -> None:
    server.cuts = [100_000, 0, 0, 0, 0]
    with pytest.raises(UserError, match=r"interrupted.*100000 bytes are here"):
        fetch(server, tmp_path)
    server.ranges.clear()
    assert fetch(server, tmp_path) == CONTENT
    assert server.ranges == ["bytes=100000-"]


@pytest.mark.parametrize("honours_if_range", [True, False])
def test_a_file_that_changes_between_two_parts_is_fetched_anew(
    server: FileServer, tmp_path: Path, honours_if_range: bool
) -> None:
    server.cuts, server.honours_if_range = [100_000, 0, 0, 0, 0], honours_if_range
    with pytest.raises(UserError, match="interrupted"):
        fetch(server, tmp_path)
    server.content = CONTENT[::-1]
    assert fetch(server, tmp_path) == CONTENT[::-1]


def test_a_file_that_gets_shorter_is_fetched_anew(server: FileServer, tmp_path: Path) -> None:
    server.cuts, server.honours_if_range = [200_000, 0, 0, 0, 0], False
    with pytest.raises(UserError, match="interrupted"):
        fetch(server, tmp_path)
    server.content = CONTENT[:1000]
    assert fetch(server, tmp_path) == CONTENT[:1000]


def test_without_a_name_of_the_version_it_begins_again(server: FileServer, tmp_path: Path) -> None:
    server.cuts, server.validators = [100_000], False
    assert fetch(server, tmp_path) == CONTENT
    assert server.ranges == [None, None]


def test_less_than_promised_is_an_interruption(server: FileServer, tmp_path: Path) -> None:
    server.claimed = len(CONTENT) + 5
    with pytest.raises(UserError, match=r"interrupted|another file"):
        fetch(server, tmp_path)


@pytest.mark.parametrize("chunked", [True, False])
def test_too_much_is_refused_and_not_kept(
    server: FileServer, tmp_path: Path, chunked: bool
) -> None:
    server.chunked = chunked
    with pytest.raises(UserError, match="more than the 1000 bytes"):
        fetch(server, tmp_path, limit=1000)
    assert (tmp_path / "m.part").stat().st_size == 0


def test_redirects_are_followed_a_few_times_and_to_web_servers_only(
    server: FileServer, tmp_path: Path
) -> None:
    assert fetch(server, tmp_path, "/redirect?to=/model.onnx") == CONTENT
    with pytest.raises(UserError, match="cannot be had"):
        fetch(server, tmp_path, "/redirect")
    for target in ("file:///etc/passwd", "ftp://127.0.0.1/x"):
        with pytest.raises(UserError, match=r"no http|not allowed"):
            fetch(server, tmp_path, f"/redirect?to={target}")
    with pytest.raises(UserError, match="404"):
        fetch(server, tmp_path, "/missing")


def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="interrupted"):
        download("http://127.0.0.1:9/m.onnx", tmp_path / "p", limit=LIMIT, pause=0.01)


def test_two_downloads_of_one_file_do_not_mix(server: FileServer, tmp_path: Path) -> None:
    def second(done: int, total: int | None) -> None:
        with pytest.raises(UserError, match="already"):
            fetch(server, tmp_path)

    download(server.url, tmp_path / "m.part", limit=LIMIT, progress=second)


def test_notes_of_an_earlier_download_are_not_believed(server: FileServer, tmp_path: Path) -> None:
    for notes in ("", "[]", '{"version": 5}', '{"version": "a\\r\\nX: y"}', "\xff"):
        (tmp_path / "m.part").write_bytes(b"x" * 10)
        (tmp_path / "m.part.json").write_text(notes, encoding="latin-1")
        assert fetch(server, tmp_path) == CONTENT
    assert set(server.ranges) == {None}


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a/b",
        "file:///etc/passwd",
        "http://",
        "http://a:99999/b",
        "http://[::1/x",
        "https://a/b\r\nX: y",
        "https://a/ü",
        "javascript:alert(1)",
        "https://me:secret@a/b",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(UserError) as raised:
        check_url(url)
    assert "secret" not in str(raised.value)
    assert str(raised.value).isprintable()
