"""Who the backend is and who we are: TLS files and the bearer token of one connection.

Files are read anew for each connection, and `state` tells when there should be a new one, so that
certificates and tokens can be replaced while the robot drives.
"""

from __future__ import annotations

import ssl
import stat
from dataclasses import dataclass
from pathlib import Path

import grpc

from edge_robot.errors import UserError
from edge_robot.file_state import file_state

MAX_FILE = 1 << 20
"""Largest file of certificates, a key or a token that is read, bytes."""


@dataclass(frozen=True)
class Credentials:
    """Where certificates, key and token lie.

    Attributes:
        tls: Whether the connection is encrypted and the backend must prove who it is.
        ca_file: Certificates (PEM) of those whom to believe that; the system's where None.
        certificate_file: Our own certificate (PEM), for a backend that asks for one (mutual TLS).
        key_file: The private key of that certificate (PEM).
        server_name: Name the backend's certificate is for, where that is not the host of its
            address.
        token_file: File whose one line is sent as bearer token with every call.

    Raises:
        UserError: these do not make sense together.
    """

    tls: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    server_name: str = ""
    token_file: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate_file is None) != (self.key_file is None):
            raise UserError("certificate_file and key_file belong together: set both")
        if not self.tls and (self.ca_file or self.certificate_file or self.server_name):
            raise UserError("an endpoint has TLS files or a server name, but not tls: true")
        if not self.tls and self.token_file:
            raise UserError(
                "an endpoint has a token_file, but without TLS everybody on the way could read the "
                "token: set tls: true, or take the token out"
            )

    def check(self) -> None:
        """Read everything once.

        Raises:
            UserError: a file is missing, unreadable, open to others, or not what it should be.
        """
        self.channel_credentials()
        self.ssl_context()
        self.metadata()

    def state(self) -> tuple[tuple[int, ...], ...]:
        """Return what tells whether one of the files was replaced."""
        files = (self.ca_file, self.certificate_file, self.key_file, self.token_file)
        return tuple(file_state(file) for file in files if file is not None)

    def channel_credentials(self) -> grpc.ChannelCredentials | None:
        """Return what gRPC needs for TLS; None without.

        Raises:
            UserError: a file cannot be read, or others may read the key.
        """
        if not self.tls:
            return None
        key = None if self.key_file is None else _read(self.key_file, "key", secret=True)
        certificate = (
            None if self.certificate_file is None else _read(self.certificate_file, "certificate")
        )
        ca = None if self.ca_file is None else _read(self.ca_file, "CA certificates")
        return grpc.ssl_channel_credentials(ca, key, certificate)

    def channel_options(self) -> list[tuple[str, str]]:
        """Return the gRPC channel options that the server's name needs."""
        if not self.server_name:
            return []
        return [("grpc.ssl_target_name_override", self.server_name)]

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return the same for Python's `ssl`, which says what is wrong; None without TLS.

        Raises:
            UserError: a file cannot be read, or holds no certificate or key that fit.
        """
        if not self.tls:
            return None
        ca = None if self.ca_file is None else _read(self.ca_file, "CA certificates")
        try:
            context = ssl.create_default_context(cadata=ca and ca.decode("ascii", "replace"))
        except ssl.SSLError as error:
            raise UserError(f"{self.ca_file} holds no certificates (PEM): {error}") from error
        # Python 3.13 began to refuse authorities without a key identifier; gRPC accepts them.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.set_alpn_protocols(["h2"])
        if self.certificate_file is not None and self.key_file is not None:
            try:
                context.load_cert_chain(self.certificate_file, self.key_file)
            except (OSError, ssl.SSLError) as error:
                raise UserError(
                    f"certificate {self.certificate_file} and key {self.key_file} do not fit "
                    f"each other, or are no PEM files: {error}"
                ) from error
        return context

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return the metadata every call carries: the bearer token, if there is one.

        Raises:
            UserError: the token file cannot be read, others may read it, or it holds no token.
        """
        if self.token_file is None:
            return ()
        token = _read(self.token_file, "token", secret=True).strip()
        # RFC 6750's b68token, and nothing that could end a header line.
        if not token or not all(0x21 <= byte <= 0x7E for byte in token):
            raise UserError(
                f"token file {self.token_file} must hold one line of printable ASCII, no spaces"
            )
        return (("authorization", f"Bearer {token.decode()}"),)


PLAIN = Credentials()
"""Neither TLS nor token."""


def _read(path: Path, what: str, secret: bool = False) -> bytes:
    """Read a small file; a secret one must be closed to everybody but its owner and group.

    The group may read: Kubernetes mounts secrets that way for a pod's `fsGroup`.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise UserError(f"cannot read the {what} file {path}: {error.strerror}") from error
    if secret and mode & stat.S_IRWXO:
        raise UserError(f"the {what} file {path} is open to everybody: chmod o-rwx {path}")
    if len(content) > MAX_FILE:
        raise UserError(f"the {what} file {path} is larger than {MAX_FILE} bytes")
    return content
