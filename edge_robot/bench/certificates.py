"""Certificates for robots that exist as long as a bench runs."""

from __future__ import annotations

import subprocess
from pathlib import Path


def certify(certificate: Path, key: Path, address: str) -> None:
    """Make a certificate for an IP address that needs no authority, and its key, as PEM files."""
    made = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    about = ("-days", "2", "-subj", "/CN=robot", "-addext", f"subjectAltName=IP:{address}")
    files = ("-keyout", str(key), "-out", str(certificate))
    subprocess.run(["openssl", *made, *about, *files], check=True, capture_output=True)
