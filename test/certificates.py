"""Certificates of every kind a robot may meet, made with the openssl program."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Certificates:
    """Makes PEM files in a folder: NAME.pem and NAME.key.

    `good` is for 127.0.0.1 and `robot` for a client, both by the authority `ca`; `expired` and
    `elsewhere` (another host) are bad ones by the same; `stranger` is by the authority `other`.
    """

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("no openssl program here to make certificates with")
        self.folder = folder
        self._authority("ca")
        self._authority("other")
        self._issue("good", "IP:127.0.0.1", "ca")
        self._issue("expired", "IP:127.0.0.1", "ca", days=-1)
        self._issue("elsewhere", "DNS:elsewhere.example", "ca")
        self._issue("robot", "DNS:robot", "ca")
        self._issue("stranger", "DNS:robot", "other")

    def pem(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def _authority(self, name: str) -> None:
        self._run(
            *("req", "-x509", *_KEY, "-keyout", self.key(name), "-out", self.pem(name)),
            *("-days", "1", "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE"),
            *("-addext", "keyUsage=critical,keyCertSign"),  # strict readers, as Python 3.13, ask it
        )

    def _issue(self, name: str, alternative: str, authority: str, days: int = 1) -> None:
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternative}\n")
        self._run("req", *_KEY, "-keyout", self.key(name), "-out", request, "-subj", f"/CN={name}")
        self._run(
            *("x509", "-req", "-in", request, "-out", self.pem(name), "-days", days),
            *("-CA", self.pem(authority), "-CAkey", self.key(authority), "-CAcreateserial"),
            *("-extfile", extensions),
        )
        self.key(name).chmod(0o600)

    def _run(self, *arguments: object) -> None:
        command = ["openssl", *(str(argument) for argument in arguments)]
        subprocess.run(command, check=True, capture_output=True)
