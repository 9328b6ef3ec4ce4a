"""Downloads a file over HTTP so that an interruption costs only what was not there yet.

What has come is kept beside the file to be, with the server's name for this version of it (RFC
9110, `ETag` or `Last-Modified`); the next attempt asks for the rest on condition that it still is
that version. Nothing that the server says is believed: not the length, not that it has answered
the question.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from edge_robot.errors import UserError

TIMEOUT = 20.0
"""Seconds that a connection may take, or be silent."""

SLOWEST = 500.0
"""Bytes per second, on average over a minute; a server slower than this holds us up."""

ATTEMPTS = 5
MAX_REDIRECTS = 5
CHUNK = 2**16

Progress = Callable[[int, int | None], None]
"""Told how many bytes are there, and how many there will be, as far as the server says."""


class _Interrupted(Exception):
    """A connection ended before its time; says how."""


class _Changed(Exception):
    """The file is no longer the one of which a part is here."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = MAX_REDIRECTS
    max_repeats = 2

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Any,
        newurl: str,
    ) -> urllib.request.Request | None:
        check_url(newurl)
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise UserError(
                f"{req.full_url} leads to the unprotected {newurl}; give that address yourself if "
                "you trust it, with --sha256"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_url(url: str) -> None:
    """Check that this is the address of a file on a web server.

    Raises:
        UserError: it is not; says why.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        raise UserError(f"{url!r} is no http:// or https:// address of a file; give one")
    if parts.username or parts.password:
        raise UserError(
            "an address with a password in it would end up in the model's card; give one without"
        )


def download(
    url: str,
    part: Path,
    *,
    limit: int,
    progress: Progress = lambda done, total: None,
    pause: float = 0.5,
) -> Path:
    """Download a file, or the rest of it.

    Args:
        url: Its address.
        part: Where it goes. What an earlier, interrupted download has left there is used if it is
            still part of the same file.
        limit: Bytes from which it is refused.
        progress: Told how far it is.
        pause: Seconds before the second attempt; they double with every further one.

    Returns:
        `part`, whole as far as the server's word goes; the hash is for the caller to check.

    Raises:
        UserError: it cannot be had, or is too large. After an interruption what has come stays.
    """
    check_url(url)
    with _exclusive(part):
        for attempt in range(ATTEMPTS):
            before = part.stat().st_size
            try:
                _fetch(url, part, limit, progress)
                return part
            except _Changed:
                _forget(part)
            except _Interrupted as error:
                done = part.stat().st_size
                if attempt + 1 == ATTEMPTS:
                    raise UserError(
                        f"download of {url} was interrupted: {error}; {done} bytes are here, give "
                        "the same command again to get the rest"
                    ) from error
                if done == before:
                    time.sleep(pause * 2**attempt)
        raise UserError(f"{url} is another file at every attempt; try again later")


def forget(part: Path) -> None:
    """Remove what a download has left."""
    for path in (part, _notes(part)):
        path.unlink(missing_ok=True)


@contextmanager
def _exclusive(part: Path) -> Iterator[None]:
    """Hold a part against a second download of the same file."""
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UserError(f"{part.name} is being downloaded already; wait for it") from error
            yield
    except OSError as error:
        raise UserError(
            f"cannot write {part}: {error.strerror}; make room, or permit it"
        ) from error


def _fetch(url: str, part: Path, limit: int, progress: Progress) -> None:
    """Make one attempt.

    Raises:
        _Interrupted: it ended early; what has come is kept.
        _Changed: what is here is part of another file.
    """
    done, validator = part.stat().st_size, _validator(part)
    # A server may compress what it sends; lengths and ranges would be those of something else.
    headers = {"Accept-Encoding": "identity", "User-Agent": "edge-robot"}
    if done and validator:
        headers |= {"Range": f"bytes={done}-", "If-Range": validator}
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    request = urllib.request.Request(url, headers=headers)
    try:
        with opener.open(request, timeout=TIMEOUT) as response:
            _receive(response, part, done, validator, limit, progress)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and done:
                raise _Changed from error  # there is no such rest: it has got shorter
            if error.code in (408, 429) or error.code >= 500:
                raise _Interrupted(f"the server says {error.code} {error.reason}") from error
            raise UserError(
                f"{url} cannot be had: the server says {error.code} {error.reason}"[:300]
            ) from error
    except urllib.error.URLError as error:
        raise _Interrupted(f"{error.reason}") from error
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise _Interrupted(f"{type(error).__name__} {error}".strip()) from error


def _receive(
    response: http.client.HTTPResponse,
    part: Path,
    done: int,
    validator: str,
    limit: int,
    progress: Progress,
) -> None:
    """Append a response to what is here, or begin again with it."""
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UserError(f"{response.url} comes compressed, unasked; give another address")
    start = 0
    whole = _number(response.headers.get("Content-Length"))
    if response.status == 206:
        found = re.fullmatch(
            r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})", response.headers.get("Content-Range", "")
        )
        # A server that does not know If-Range may send the rest of another version.
        if not found or int(found[1]) != done or _version(response) != validator:
            raise _Changed
        start, whole = done, int(found[3])
    elif response.status != 200:
        raise UserError(f"{response.url} cannot be had: the server says {response.status}")
    if (whole or 0) > limit:
        raise UserError(_too_large(response.url, limit))
    if start == 0:
        _notes(part).write_text(json.dumps({"version": _version(response)}))
    begun = time.monotonic()
    with part.open("r+b") as file:
        file.truncate(start)
        file.seek(start)
        here = start
        while chunk := response.read1(CHUNK):
            here += len(chunk)
            if here > limit:
                file.truncate(0)
                raise UserError(_too_large(response.url, limit))
            file.write(chunk)
            progress(here, whole)
            elapsed = time.monotonic() - begun
            if elapsed > 60.0 and (here - start) / elapsed < SLOWEST:
                raise _Interrupted("the server is too slow")
    if whole is not None and here < whole:
        raise _Interrupted(f"{here} of {whole} bytes came")


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"\d{1,15}", text) else None


def _version(response: http.client.HTTPResponse) -> str:
    """Return the server's name for this version of the file; empty where it has none to rely on."""
    tag: str = response.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return tag
    modified: str = response.headers.get("Last-Modified", "")
    return modified


def _validator(part: Path) -> str:
    """Return the version of which a part is here; empty where not known."""
    try:
        version = json.loads(_notes(part).read_text())["version"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    # It goes into a header of the request.
    return version if isinstance(version, str) and version.isprintable() else ""


def _forget(part: Path) -> None:
    """Empty a part; the file itself stays, for it is locked."""
    with part.open("wb"):
        pass
    _notes(part).unlink(missing_ok=True)


def _notes(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _too_large(url: str, limit: int) -> str:
    return f"{url} has more than the {limit} bytes that it may have; give another address"
