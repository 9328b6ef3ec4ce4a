"""Why a connection to a backend does not come about, in words a person can act on.

gRPC says UNAVAILABLE of an expired certificate as of a cut cable. This looks once more, with
Python's own sockets and TLS, and only after gRPC has failed.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

from edge_robot.errors import UserError
from edge_robot.fleet.credentials import Credentials

TIMEOUT = 1.0
"""Longest wait for each step, s."""

# What a client of HTTP/2 says first, with an empty SETTINGS frame (RFC 9113, section 3.4), and the
# type of frame that must come first from the other side.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_SETTINGS = 4
_FRAME_HEADER = 9
_TLS_ALERT = b"\x15\x03"


@dataclass(frozen=True)
class Finding:
    """What was found.

    Attributes:
        cause: What is wrong, and what to do.
        refused: It stays wrong until somebody mends it; otherwise it may pass by itself.
    """

    cause: str
    refused: bool


def diagnose(address: str, credentials: Credentials) -> Finding | None:
    """Connect as gRPC would and return what is wrong; None if nothing is.

    Blocks, for some seconds at worst.

    Args:
        address: `host:port`.
        credentials: As gRPC uses them.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        credentials.metadata()
        context = credentials.ssl_context()
    except UserError as error:
        return Finding(str(error), refused=True)
    try:
        with socket.create_connection((host, int(port)), TIMEOUT) as connection:
            if context is None:
                return _judge(_first_words(connection), host, int(port))
            name = credentials.server_name or host
            with context.wrap_socket(connection, server_hostname=name) as secured:
                return _judge_secured(_first_words(secured), address)
    except ssl.SSLCertVerificationError as error:
        return Finding(
            f"the certificate of {address} is not accepted: {error.verify_message}; "
            "renew it there, or correct ca_file, server_name or this machine's clock",
            refused=True,
        )
    except ssl.SSLEOFError:
        return Finding(f"{address} closes the connection in the TLS handshake", refused=False)
    except ssl.SSLError as error:
        return Finding(_tls_refusal(address, error), refused=True)
    except OSError as error:
        return Finding(f"{address}: {error.strerror or error}", refused=False)


def _first_words(connection: socket.socket) -> bytes:
    """Say the first words of HTTP/2 and return those of the other side, up to a frame's header."""
    connection.sendall(_PREFACE)
    answer = b""
    while len(answer) < _FRAME_HEADER:
        part = connection.recv(_FRAME_HEADER - len(answer))
        if not part:
            break
        answer += part
    return answer


def _judge(answer: bytes, host: str, port: int) -> Finding | None:
    if answer.startswith(_TLS_ALERT) or (not answer and _speaks_tls(host, port)):
        return Finding(f"{host}:{port} speaks TLS: set tls and ca_file", refused=True)
    if not answer:
        return Finding(f"{host}:{port} closes the connection without a word", refused=False)
    return _judge_words(answer, f"{host}:{port}")


def _judge_secured(answer: bytes, address: str) -> Finding | None:
    # With TLS 1.3 the client has finished its part of the handshake before the server looks at
    # its certificate; gRPC's servers then close without saying why.
    if not answer:
        return Finding(
            f"{address} closes the connection after the TLS handshake: it asks for a certificate, "
            "or does not accept the robot's; see certificate_file and key_file",
            refused=True,
        )
    return _judge_words(answer, address)


def _judge_words(answer: bytes, address: str) -> Finding | None:
    if answer.startswith(b"HTTP/"):
        return Finding(f"{address} speaks HTTP/1, not gRPC: is it the right port?", refused=True)
    if len(answer) < _FRAME_HEADER or answer[3] != _SETTINGS:
        return Finding(f"{address} does not speak HTTP/2: is it the right port?", refused=True)
    return None


def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), TIMEOUT) as connection,
            context.wrap_socket(connection),
        ):
            return True
    except OSError:
        return False


def _tls_refusal(address: str, error: ssl.SSLError) -> str:
    reason = error.reason or str(error)
    if reason == "WRONG_VERSION_NUMBER":
        return f"{address} does not speak TLS: is it the right port?"
    if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
        return (
            f"{address} does not accept the robot's certificate ({reason}): set or renew "
            "certificate_file and key_file, from an authority that the backend trusts"
        )
    return f"no TLS with {address}: {reason}"
