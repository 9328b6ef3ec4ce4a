"""Who may talk to the backend: TLS, client certificates, tokens and what they allow."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Generic, TypeVar

import grpc

from edge_robot.errors import UserError
from edge_robot.file_state import file_state
from edge_robot.listening import is_loopback, server_context
from edge_robot.token_file import TokenFile, add_token, bearer_token

T = TypeVar("T")

_log = logging.getLogger(__name__)


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
    """Files in PEM form that make the server's TLS, for connections made after they are replaced.

    Connections that stand go on; so certificates are renewed and none is dropped. Files that cannot
    be used, or do not fit each other yet, leave those before in force.

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
        renewed = _Renewed(self._files, self._context)

        def renew(connection: ssl.SSLObject, name: str | None, first: ssl.SSLContext) -> None:
            connection.context = renewed.current()

        context = self._context()
        context.sni_callback = renew  # called for every connection, whether or not it names a host
        return context

    def credentials(self) -> grpc.ServerCredentials:
        """Return the TLS settings of the gRPC face.

        Raises:
            UserError: a file is missing or not what it should be.
        """
        renewed = _Renewed(self._files, self._configuration)
        return grpc.dynamic_ssl_server_credentials(
            renewed.current(), renewed.current, require_client_authentication=bool(self.client_ca)
        )

    @property
    def _files(self) -> tuple[Path, ...]:
        return (self.certificate, self.key, *([self.client_ca] if self.client_ca else []))

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        self._context()  # names the file that cannot be used; gRPC would not
        roots = self.client_ca.read_bytes() if self.client_ca else None
        pair = (self.key.read_bytes(), self.certificate.read_bytes())
        return grpc.ssl_server_certificate_configuration([pair], roots)

    def _context(self) -> ssl.SSLContext:
        context = server_context(self.certificate, self.key)
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


class _Renewed(Generic[T]):
    """What is read from files, and read anew when one of them was replaced.

    Args:
        files: The files.
        read: Reads them.

    Raises:
        UserError: they cannot be used.
    """

    def __init__(self, files: Sequence[Path], read: Callable[[], T]) -> None:
        self._files = files
        self._read = read
        self._looked_at = self._state()
        self._current = read()

    def current(self) -> T:
        """Return what the files say; while they cannot be used, what they said before."""
        state = self._state()
        if state != self._looked_at:
            try:
                renewed = self._read()
            except (UserError, OSError) as error:
                _log.error("%s; the certificates before are still in use", error)
                self._looked_at = state
            else:
                if self._state() == state:  # else one was replaced after another was read
                    self._looked_at, self._current = state, renewed
        return self._current

    def _state(self) -> tuple[tuple[int, ...], ...]:
        return tuple(map(file_state, self._files))


class Tokens:
    """The tokens of a file, a line for each: `SHA256 NAME [robot|monitor]`.

    Args:
        file: The file; see `edge_robot.token_file`.

    Raises:
        UserError: it cannot be used.
    """

    def __init__(self, file: Path) -> None:
        roles = {role.value: role for role in Role}
        remedy = "edge-robot backend --tokens FILE --new-token NAME"
        self._file = TokenFile(file, roles, Role.ROBOT, remedy)

    def caller(self, authorization: str) -> Caller:
        """Return whose token an `authorization` header bears.

        Raises:
            UnknownCallerError: the header bears no token, or an unknown one.
        """
        token = bearer_token(authorization)
        if token is None:
            raise UnknownCallerError(
                "a token is asked for here: send `authorization: Bearer TOKEN`"
            )
        holder = self._file.holder(token)
        if holder is None:
            raise UnknownCallerError("the token is not known here")
        return Caller(holder.name, holder.role)


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


def new_token(file: Path, name: str, role: Role = Role.ROBOT) -> str:
    """Add a token to a token file; return it: it is kept nowhere.

    Raises:
        UserError: the name is malformed or the file cannot be written.
    """
    return add_token(file, name, role.value)
