"""Starts a backend: which models, where it listens, whom it listens to."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_robot.errors import UserError
from edge_robot.fleet.backend import repository
from edge_robot.fleet.backend.access import Access, Certificates, Tokens
from edge_robot.fleet.backend.models import Model
from edge_robot.fleet.backend.scheduler import Engine, Scheduler
from edge_robot.fleet.backend.server import Backend
from edge_robot.settings import setting

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerSettings:
    """Where the backend listens, and whom it listens to."""

    host: str = setting("127.0.0.1", "address to listen on; beyond this machine only protected")
    port: int = setting(8001, "TCP port for gRPC; 0 for any free one")
    http_port: int = setting(-1, "TCP port for HTTP and /metrics; 0 for any free one, -1 for none")
    tls_cert: str = setting("", "PEM file of the server's certificate and those above it")
    tls_key: str = setting("", "PEM file of its private key")
    client_ca: str = setting("", "PEM file of the roots of certificates that clients must show")
    tokens: str = setting("", "file of tokens that clients must have one of")
    insecure: bool = setting(False, "listen beyond this machine although that is not protected")

    def access(self) -> Access:
        """Return what is asked of callers.

        Raises:
            UserError: files do not go together or cannot be used, or what can be reached from
                other machines is not protected.
        """
        if bool(self.tls_cert) != bool(self.tls_key):
            raise UserError("TLS needs both a certificate and its key: give tls_cert and tls_key")
        if self.client_ca and not self.tls_cert:
            raise UserError(
                "client_ca asks for clients' certificates, which needs TLS: give tls_cert"
            )
        certificates = None
        if self.tls_cert:
            roots = Path(self.client_ca) if self.client_ca else None
            certificates = Certificates(Path(self.tls_cert), Path(self.tls_key), roots)
        access = Access(certificates, Tokens.read(Path(self.tokens)) if self.tokens else None)
        if not self.insecure:
            access.require_protection(self.host)
        return access


@dataclass(frozen=True)
class Models:
    """Which models are served. Called, it loads them: here, or in a replica elsewhere.

    Attributes:
        detectors: .onnx files with their cards, or names of such in `models/`.
        name: Under which a single detector is served; its file's if empty.
        repository: Folder in Triton's layout, all of it; none if empty.
        copies: Detectors to open of each model, which compute as many images at once.
        min_score: Lowest score that detectors report; the model card's by default.
        threads: Threads that one inference may use.
    """

    detectors: tuple[str, ...] = ()
    name: str = ""
    repository: str = ""
    copies: int = 1
    min_score: float | None = None
    threads: int = 1

    def __call__(self) -> list[Model]:
        """Return the models, loaded and warm.

        Raises:
            UserError: there is none, two have one name, or one cannot be loaded.
        """
        names = [self.name or Path(model).stem for model in self.detectors]
        if len(set(names)) < len(names):
            raise UserError(
                f"models {', '.join(names)} have a name in common; serve one alone, or give "
                "their files different names"
            )
        models: list[Model] = [
            repository.load_detector(
                model,
                name,
                copies=self.copies,
                min_score=self.min_score,
                threads=self.threads,
            )
            for name, model in zip(names, self.detectors, strict=True)
        ]
        if self.repository:
            found = repository.load(Path(self.repository), copies=self.copies)
            for name, reason in found.refused.items():
                _log.warning("model %s is not served: %s", name, reason)
            models += found.models
        if not models:
            raise UserError("no model to serve: give --model or --repository")
        return models


def embedded(models: Callable[[], list[Model]], workers: int | None = None) -> Callable[[], Engine]:
    """Return what loads models and computes in this process.

    Args:
        models: Loads them.
        workers: Threads that compute; by default one for each core.
    """
    return lambda: Scheduler(models(), workers=workers or os.cpu_count() or 1)


def serve(load: Callable[[], Engine], settings: ServerSettings) -> Backend:
    """Listen, load and serve until `Backend.stop`.

    Args:
        load: Returns the engine, as `Backend` wants it.
        settings: Where, and to whom.

    Raises:
        UserError: a setting is wrong, a model cannot be loaded, or the address not be listened on.
    """
    return Backend(
        load,
        host=settings.host,
        port=settings.port,
        http_port=None if settings.http_port < 0 else settings.http_port,
        access=settings.access(),
    )
