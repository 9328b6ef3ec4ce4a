"""Who may talk to the backend: TLS, client certificates, tokens and what they allow."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import os
import re
import secrets
import ssl
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import grpc

from edge_robot.errors import UserError

MAX_TOKEN = 512
"""Longest token looked at, characters."""
LOOK_PERIOD = 1.0
"""How often the token file is looked at, s."""

_log = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Role(Enum):
    """What the bearer of a token may do."""

    ROBOT = "robot"
    """Ask about models and have them compute."""
    MONITOR = "monitor"
    """Ask about models, and read the metrics of everybody."""


class UnknownCallerError(Exception):
    """The caller bears no token that is known here."""


class ForbiddenError(Exception):
    """The caller is known and may not do this."""


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        name: The token's; empty where tokens are not asked for.
        role: The token's; None where everybody may do everything.
    """

    name: str = ""
    role: Role | None = None

    def require(self, role: Role) -> None:
        """Check that the caller may do what a role may.

        Raises:
            ForbiddenError: no.
        """
        if self.role is not None and self.role is not role:
            raise ForbiddenError(
                f"the token of {self.name!r} is for a {self.role.value}; this is for a {role.value}"
            )


@dataclass(frozen=True)
class Certificates:
    """Files in PEM form that make the server's TLS.

    Attributes:
        certificate: The server's, with those between it and the root, if any.
        key: Its private key.
        client_ca: Roots of the certificates that clients must show; none are asked for if None.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Return the TLS settings of the HTTP face.

        Raises:
            UserError: a file is missing or not what it should be.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise UserError(
                f"TLS certificate {self.certificate} with key {self.key} cannot be used: "
                f"{error.strerror or error}; give PEM files that belong together"
            ) from error
        if self.client_ca is not None:
            try:
                context.load_verify_locations(self.client_ca)
            except (OSError, ssl.SSLError) as error:
                raise UserError(
                    f"roots of client certificates {self.client_ca} cannot be used: "
                    f"{error.strerror or error}; give a PEM file"
                ) from error
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def credentials(self) -> grpc.ServerCredentials:
        """Return the TLS settings of the gRPC face; `context` has checked the files."""
        roots = self.client_ca.read_bytes() if self.client_ca else None
        pair = (self.key.read_bytes(), self.certificate.read_bytes())
        return grpc.ssl_server_credentials([pair], roots, require_client_auth=roots is not None)


class Tokens:
    """The tokens of a file that are known, by their hashes: the tokens themselves are kept nowhere.

    A line for each token: `SHA256 NAME [robot|monitor]`; `#` begins a comment. When the file is
    replaced it is read anew, so that a token can be taken back while the server runs; while it is
    malformed, what it said before holds.

    Args:
        file: The file.

    Raises:
        UserError: it is missing, or a line is malformed.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._callers = _read_tokens(file)
        self._state = _state(file)
        self._looked = time.monotonic()

    def _look(self) -> None:
        """Read the file anew if it has changed."""
        now = time.monotonic()
        if now < self._looked + LOOK_PERIOD:
            return
        self._looked = now
        state = _state(self._file)
        if state == self._state:
            return
        self._state = state
        try:
            self._callers = _read_tokens(self._file)
        except UserError as error:
            _log.error("%s; the tokens known so far are still good", error)

    def caller(self, authorization: str) -> Caller:
        """Return whose token an `authorization` header bears.

        The time this takes does not depend on which token is nearly right.

        Raises:
            UnknownCallerError: the header bears no token, or an unknown one.
        """
        self._look()
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not 0 < len(token) <= MAX_TOKEN:
            raise UnknownCallerError(
                "a token is asked for here: send `authorization: Bearer TOKEN`"
            )
        presented = hashlib.sha256(token.encode()).hexdigest()
        found = None
        for known, caller in self._callers.items():
            if hmac.compare_digest(presented, known):
                found = caller
        if found is None:
            raise UnknownCallerError("the token is not known here")
        return found


@dataclass(frozen=True)
class Access:
    """What the server asks of its callers.

    Attributes:
        certificates: For TLS; without it if None.
        tokens: That callers must have one of; none if None.
    """

    certificates: Certificates | None = None
    tokens: Tokens | None = None

    def caller(self, authorization: str) -> Caller:
        """Return who asks.

        Raises:
            UnknownCallerError: a token is asked for and none that is known is there.
        """
        return Caller() if self.tokens is None else self.tokens.caller(authorization)

    def require_protection(self, host: str) -> None:
        """Refuse to listen beyond this machine without TLS and something to know callers by.

        Raises:
            UserError: `host` is not a loopback address, and one of the two is missing.
        """
        known = self.tokens is not None or (
            self.certificates is not None and self.certificates.client_ca is not None
        )
        if is_loopback(host) or (self.certificates is not None and known):
            return
        raise UserError(
            f"fleet backend: {host} can be reached from other machines, where anybody could read "
            "along or ask: give --tls-cert and --tls-key, and --tokens or --client-ca (parameters "
            "tls_cert …), or say --insecure if the network around it protects it"
        )


def _state(file: Path) -> tuple[int, ...]:
    """Return what tells one content of a file from another; empty where there is none."""
    try:
        told = file.stat()
    except OSError:
        return ()
    return told.st_ino, told.st_size, told.st_mtime_ns


def _read_tokens(file: Path) -> dict[str, Caller]:
    """Return callers by the SHA-256 of their token, 64 hexadecimal digits."""
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"token file {file} cannot be read: {error}") from error
    callers: dict[str, Caller] = {}
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        roles = {role.value: role for role in Role}
        if (
            len(words) not in (2, 3)
            or not _SHA256.fullmatch(words[0])
            or not _NAME.fullmatch(words[1])
            or (len(words) == 3 and words[2] not in roles)
        ):
            # The line is not shown: somebody may have put the token itself there.
            raise UserError(
                f"token file {file}, line {number} is not `SHA256 NAME [robot|monitor]`; "
                "`edge-robot backend --tokens FILE --new-token NAME` adds one that is"
            )
        if words[0] in callers:
            raise UserError(f"token file {file}, line {number}: the token is there already")
        role = roles[words[2]] if len(words) == 3 else Role.ROBOT
        callers[words[0]] = Caller(words[1], role)
    if not callers:
        raise UserError(
            f"token file {file} holds no token; "
            "`edge-robot backend --tokens FILE --new-token NAME` adds one"
        )
    return callers


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def new_token(file: Path, name: str, role: Role = Role.ROBOT) -> str:
    """Add a token to a token file, made where it is missing, for its owner's eyes alone.

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
    line = f"{hashlib.sha256(token.encode()).hexdigest()} {name} {role.value}\n"
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a") as stream:
            stream.write(line)
    except OSError as error:
        raise UserError(f"token file {file} cannot be written: {error.strerror}") from error
    return token
