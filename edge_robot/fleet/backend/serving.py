"""Starts a backend: which models, where it listens, whom it listens to."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import yaml

from edge_robot.errors import UserError
from edge_robot.fleet.backend import repository
from edge_robot.fleet.backend.access import Access, Certificates, Tokens
from edge_robot.fleet.backend.archive import Archive
from edge_robot.fleet.backend.fairness import Quota
from edge_robot.fleet.backend.models import Model
from edge_robot.fleet.backend.planner_model import PlannerModel
from edge_robot.fleet.backend.scheduler import Engine, Limits, Scheduler
from edge_robot.fleet.backend.server import Backend
from edge_robot.settings import Settings, setting

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerSettings(Settings):
    """Where the backend listens, and whom it listens to."""

    host: str = setting("127.0.0.1", "address to listen on; beyond this machine only protected")
    port: int = setting(8001, "TCP port for gRPC; 0 for any free one", ge=0, le=65535)
    http_port: int = setting(
        -1, "TCP port for HTTP and /metrics; 0 for any free one, -1 for none", ge=-1, le=65535
    )
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
        access = Access(certificates, Tokens(Path(self.tokens)) if self.tokens else None)
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
        planner: Whether paths are planned as well, by the model `planner`.
        archive: Folder for what robots have spooled, taken by the model `archive`; none if empty.
        copies: Detectors to open of each model, which compute as many images at once.
        runtime: What detectors run on, onnxruntime or openvino.
        min_score: Lowest score that detectors report; the model card's by default.
        threads: Threads that one inference may use.
    """

    detectors: tuple[str, ...] = ()
    name: str = ""
    repository: str = ""
    planner: bool = True
    archive: str = ""
    copies: int = 1
    runtime: str = "onnxruntime"
    min_score: float | None = None
    threads: int = 1

    def __call__(self) -> list[Model]:
        """Return the models, loaded and warm.

        Raises:
            UserError: there is none, two have one name, or one cannot be loaded.
        """
        names = [self.name or Path(model).stem for model in self.detectors]
        models: list[Model] = [
            repository.load_detector(
                model,
                name,
                copies=self.copies,
                engine=self.runtime,
                min_score=self.min_score,
                threads=self.threads,
            )
            for name, model in zip(names, self.detectors, strict=True)
        ]
        if self.repository:
            found = repository.load(Path(self.repository), copies=self.copies, engine=self.runtime)
            for name, reason in found.refused.items():
                _log.warning("model %s is not served: %s", name, reason)
            models += found.models
        if self.planner:
            models.append(PlannerModel())
        if self.archive:
            models.append(Archive(Path(self.archive)))
        if not models:
            raise UserError("no model to serve: give --model or --repository")
        for (name, version), count in Counter((m.name, m.version) for m in models).items():
            if count > 1:
                raise UserError(
                    f"{count} models are {name!r} version {version}: leave out, or rename, "
                    f"{'one' if count == 2 else 'all but one'}"
                )
        return models


def read_limits(file: Path) -> Limits:
    """Read what a backend permits: the fields of `Limits` in YAML, quotas as mappings of theirs.

    Raises:
        UserError: the file cannot be read, or holds what is no limit.
    """
    try:
        values = yaml.safe_load(file.read_text()) or {}
        values["quota"] = _quota(values.get("quota", {}))
        values["quotas"] = {
            str(robot): _quota(quota) for robot, quota in values.get("quotas", {}).items()
        }
        return _numbers(Limits, values)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"limits {file} cannot be read: {error}") from error
    except (TypeError, ValueError, AttributeError) as error:
        known = [", ".join(item.name for item in fields(kind)) for kind in (Limits, Quota)]
        raise UserError(
            f"limits {file} cannot be used: {error}; known are {known[0]}, and of quotas {known[1]}"
        ) from error


def _quota(values: dict[str, Any]) -> Quota:
    return _numbers(Quota, values)


def _numbers(kind: type[T], values: dict[str, Any]) -> T:
    known = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"{name!r} is no limit")
        if name in ("quota", "quotas"):
            continue
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not value > 0:
            raise ValueError(f"{name} is {value!r}, not a number greater than 0")
    return kind(**values)


def embedded(
    models: Callable[[], list[Model]], workers: int | None = None, limits: Limits | None = None
) -> Callable[[], Engine]:
    """Return what loads models and computes in this process.

    Args:
        models: Loads them.
        workers: Threads that compute; by default one for each core.
        limits: What is permitted.
    """
    return lambda: Scheduler(models(), workers=workers, limits=limits)


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
