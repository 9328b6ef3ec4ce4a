"""Files of tokens by which a server knows people and programs: they hold hashes, never the tokens.

A line for each token: `SHA256 NAME ROLE`; `#` begins a comment. The fleet's backend knows robots by
such a file, the dashboard people.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from edge_robot.errors import UserError
from edge_robot.file_state import file_state

MAX_TOKEN = 512
"""Longest token looked at, characters."""
LOOK_PERIOD = 1.0
"""How often the file is looked at, s."""

Role = TypeVar("Role")

_log = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WRITABLE_BY_OTHERS = 0o022


@dataclass(frozen=True)
class Holder(Generic[Role]):
    """Whose a token is.

    Attributes:
        name: Of the person or program.
        role: What the holder may do.
        key: The beginning of the token's hash, which names it in logs and lists.
    """

    name: str
    role: Role
    key: str


class TokenFile(Generic[Role]):
    """The tokens of a file, which is read anew when it is replaced.

    So a token can be taken back while the server runs. While the file is malformed or gone, what it
    said before holds; one that holds no token any more knows nobody.

    Args:
        file: The file.
        roles: By the words that stand for them in the file.
        default: The role where a line names none; each must name one if None.
        remedy: The command that adds a token, for those who have a file that cannot be used.

    Raises:
        UserError: the file is missing, can be written by others, holds no token, or a line is
            malformed.
    """

    def __init__(
        self, file: Path, roles: Mapping[str, Role], default: Role | None, remedy: str
    ) -> None:
        self._file = file
        self._roles = roles
        self._default = default
        self._remedy = remedy
        self._state = file_state(file)
        self._looked = time.monotonic()
        self._holders = self._read()
        if not self._holders:
            raise UserError(f"token file {file} holds no token; `{remedy}` adds one")

    def holder(self, token: str) -> Holder[Role] | None:
        """Return whose a token is, None if it is not known.

        The time this takes does not depend on which token is nearly right.
        """
        presented = digest(token) if 0 < len(token) <= MAX_TOKEN else ""
        found = None
        for known, holder in self._current().items():
            if hmac.compare_digest(presented, known):
                found = holder
        return found

    def holders(self) -> list[Holder[Role]]:
        """Return whose tokens are known now, in the file's order."""
        return list(self._current().values())

    def _current(self) -> dict[str, Holder[Role]]:
        """Return the holders by the hashes of their tokens; read the file anew if it changed."""
        now = time.monotonic()
        if now < self._looked + LOOK_PERIOD:
            return self._holders
        self._looked = now
        state = file_state(self._file)
        if state != self._state:
            self._state = state
            try:
                self._holders = self._read()
            except UserError as error:
                _log.error("%s; the tokens known so far are still good", error)
        return self._holders

    def _read(self) -> dict[str, Holder[Role]]:
        holders: dict[str, Holder[Role]] = {}
        for number, words in _lines(self._file):
            if (
                len(words) not in ((3,) if self._default is None else (2, 3))
                or not _SHA256.fullmatch(words[0])
                or not _NAME.fullmatch(words[1])
                or (len(words) == 3 and words[2] not in self._roles)
            ):
                role = "|".join(self._roles)
                # The line is not shown: somebody may have put the token itself there.
                raise UserError(
                    f"token file {self._file}, line {number} is not `SHA256 NAME "
                    f"{role if self._default is None else f'[{role}]'}`; "
                    f"`{self._remedy}` adds one that is"
                )
            if words[0] in holders:
                raise UserError(
                    f"token file {self._file}, line {number}: the token is there already"
                )
            role_of = self._roles[words[2]] if len(words) == 3 else self._default
            assert role_of is not None
            holders[words[0]] = Holder(words[1], role_of, words[0][:8])
        return holders


def bearer_token(authorization: str) -> str | None:
    """Return the token of an `Authorization: Bearer TOKEN` header, None if it has none."""
    scheme, _, token = authorization.partition(" ")
    return token if scheme.lower() == "bearer" and 0 < len(token) <= MAX_TOKEN else None


def digest(token: str) -> str:
    """Return what is kept of a token: its SHA-256, 64 hexadecimal digits."""
    # What came in a header need not be text; it is no token then, and no reason to fail.
    return hashlib.sha256(token.encode(errors="backslashreplace")).hexdigest()


def add_token(file: Path, name: str, role: str) -> str:
    """Add a token to a file, made where it is missing, for its owner's eyes alone.

    Returns:
        The token, 256 random bits, which is kept nowhere.

    Raises:
        UserError: the name is malformed or the file cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name!r} is no name for a token: take 1 to 64 letters, digits, '_', '-' and '.'"
        )
    token = secrets.token_urlsafe(32)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a") as stream:
            stream.write(f"{digest(token)} {name} {role}\n")
    except OSError as error:
        raise UserError(f"token file {file} cannot be written: {error.strerror}") from error
    return token


def remove_tokens(file: Path, name: str) -> int:
    """Take all tokens of a name, or the one whose hash begins so, out of a file.

    Returns:
        How many there were.

    Raises:
        UserError: the file cannot be read or written.
    """
    gone = {
        number
        for number, words in _lines(file)
        if words[1:2] == [name] or (len(name) >= 8 and words[0].startswith(name))
    }
    lines = file.read_text().splitlines(keepends=True)
    kept = [line for number, line in enumerate(lines, 1) if number not in gone]
    try:
        _replace(file, kept)
    except OSError as error:
        raise UserError(f"token file {file} cannot be written: {error.strerror}") from error
    return len(gone)


def _replace(file: Path, lines: Iterable[str]) -> None:
    """Write a file such that a reader sees the old one or the new one."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # mode 600
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.writelines(lines)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(file)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _lines(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield number and words of each line that is not empty."""
    try:
        writable = file.stat().st_mode & _WRITABLE_BY_OTHERS
        lines = file.read_text().splitlines()
    except OSError as error:
        raise UserError(f"token file {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"token file {file} is no text") from error
    if writable:
        raise UserError(
            f"token file {file} can be written by others, who could let themselves in: "
            f"chmod 600 {file}"
        )
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if words:
            yield number, words
