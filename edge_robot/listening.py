"""What every server of the stack asks itself before it listens: from where, and with what TLS."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from pathlib import Path

from edge_robot.errors import UserError


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def free_port() -> int:
    """Return a TCP port of this machine's loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return the TLS settings of a server, 1.2 or newer.

    Args:
        certificate: PEM file of its certificate and those between it and the root, if any.
        key: PEM file of its private key.

    Raises:
        UserError: a file is missing or not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=lambda: _no_password(key))
    except (OSError, ssl.SSLError) as error:
        raise UserError(
            f"TLS certificate {certificate} with key {key} cannot be used: "
            f"{error.strerror or error}; give PEM files that belong together"
        ) from error
    return context


def _no_password(key: Path) -> str:
    """Answer in the place of the terminal, which a server does not have."""
    raise UserError(f"TLS key {key} is encrypted: give one that is not, readable by its owner only")
