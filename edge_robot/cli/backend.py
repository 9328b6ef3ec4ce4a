"""`edge-robot backend`: serves models to a fleet of robots."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_robot.errors import UserError

if TYPE_CHECKING:
    from edge_robot.fleet.backend.server import Backend

_MODELS, _NETWORK, _ACCESS = "Models", "Network", "Who may ask"


class EngineKind(str, Enum):
    """What computes."""

    EMBEDDED = "embedded"
    RAY = "ray"


class Runtime(str, Enum):
    """What runs a detector."""

    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"


class TokenRole(str, Enum):
    """What a token is for."""

    ROBOT = "robot"
    MONITOR = "monitor"


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def backend(
        model: Annotated[
            list[str] | None,
            typer.Option(
                help="A detector: an .onnx file, or the name of one in models/. May be given "
                "several times.",
                rich_help_panel=_MODELS,
            ),
        ] = None,
        name: Annotated[
            str,
            typer.Option(
                help="Name to serve a single --model under; its file's by default.",
                rich_help_panel=_MODELS,
            ),
        ] = "",
        repository: Annotated[
            Path | None,
            typer.Option(
                help="Folder of models in Triton's layout: NAME/config.pbtxt, NAME/1/model.onnx.",
                rich_help_panel=_MODELS,
            ),
        ] = None,
        planner: Annotated[
            bool,
            typer.Option(
                help="Plan paths over maps as well, as model `planner`.", rich_help_panel=_MODELS
            ),
        ] = True,
        archive: Annotated[
            Path | None,
            typer.Option(
                help="Folder for what robots have kept while they were cut off, sent to the "
                "model `archive`.",
                rich_help_panel=_MODELS,
            ),
        ] = None,
        min_score: Annotated[
            float | None,
            typer.Option(
                help="Lowest score that detectors report; the model's by default.",
                rich_help_panel=_MODELS,
            ),
        ] = None,
        workers: Annotated[
            int,
            typer.Option(
                min=0,
                help="Requests computed at once; 0: one for each core, with Ray one in each "
                "replica.",
                rich_help_panel=_MODELS,
            ),
        ] = 0,
        threads: Annotated[
            int,
            typer.Option(min=1, help="Threads one inference may use.", rich_help_panel=_MODELS),
        ] = 1,
        runtime: Annotated[
            Runtime,
            typer.Option(help="What detectors run on.", rich_help_panel=_MODELS),
        ] = Runtime.ONNXRUNTIME,
        limits: Annotated[
            Path | None,
            typer.Option(
                help="YAML file of limits: waiting, batch, delay, lead, and quota (of every robot) "
                "and quotas (by robot) of requests and bytes a second, burst and places.",
                rich_help_panel=_MODELS,
            ),
        ] = None,
        engine: Annotated[
            EngineKind,
            typer.Option(
                help="What computes: this process, or replicas of Ray Serve.",
                rich_help_panel=_MODELS,
            ),
        ] = EngineKind.EMBEDDED,
        ray_options: Annotated[
            Path | None,
            typer.Option(
                help="YAML file of the Ray deployment's options: num_replicas, "
                "autoscaling_config, ray_actor_options …",
                rich_help_panel=_MODELS,
            ),
        ] = None,
        host: Annotated[
            str,
            typer.Option(
                help="Address to listen on; 0.0.0.0 for all of this machine.",
                rich_help_panel=_NETWORK,
            ),
        ] = "127.0.0.1",
        port: Annotated[
            int,
            typer.Option(help="TCP port for gRPC; 0 for any free one.", rich_help_panel=_NETWORK),
        ] = 8001,
        http_port: Annotated[
            int,
            typer.Option(
                help="TCP port for HTTP and /metrics; 0 for any free one, -1 for none.",
                rich_help_panel=_NETWORK,
            ),
        ] = 8000,
        grace: Annotated[
            float,
            typer.Option(
                min=0.0,
                help="When told to end: time for requests already here to be answered, s.",
                rich_help_panel=_NETWORK,
            ),
        ] = 10.0,
        tls_cert: Annotated[
            Path | None,
            typer.Option(
                help="The server's certificate and those above it, PEM.", rich_help_panel=_ACCESS
            ),
        ] = None,
        tls_key: Annotated[
            Path | None, typer.Option(help="Its private key, PEM.", rich_help_panel=_ACCESS)
        ] = None,
        client_ca: Annotated[
            Path | None,
            typer.Option(
                help="Ask clients for a certificate, and believe those these roots have signed, "
                "PEM.",
                rich_help_panel=_ACCESS,
            ),
        ] = None,
        tokens: Annotated[
            Path | None,
            typer.Option(
                help="Ask clients for a token of this file, which holds their hashes.",
                rich_help_panel=_ACCESS,
            ),
        ] = None,
        new_token: Annotated[
            str,
            typer.Option(
                metavar="NAME",
                help="Make a token for a robot or monitor of that name, add its hash to --tokens, "
                "print it, and end.",
                rich_help_panel=_ACCESS,
            ),
        ] = "",
        role: Annotated[
            TokenRole,
            typer.Option(
                help="What --new-token is for: a robot asks for inference, a monitor reads "
                "/metrics.",
                rich_help_panel=_ACCESS,
            ),
        ] = TokenRole.ROBOT,
        insecure: Annotated[
            bool,
            typer.Option(
                "--insecure",
                help="Listen beyond this machine without TLS or without knowing who asks: for "
                "networks that see to that themselves.",
                rich_help_panel=_ACCESS,
            ),
        ] = False,
    ) -> None:
        """Serve models to robots over the Open Inference Protocol, until Ctrl-C or SIGTERM.

        gRPC and HTTP (version 2) as Triton, KServe and their clients speak them, and /metrics for
        Prometheus. Work goes by deadline and fair shares; what has expired is not computed. On
        this machine:

            edge-robot backend --model warehouse_fleet

        For a fleet, encrypted, and for robots that are known:

            edge-robot backend --tokens tokens --new-token robot7

            edge-robot backend --repository models --host 0.0.0.0 --tokens tokens
            --tls-cert server.pem --tls-key server.key
        """
        if new_token:
            _make_token(tokens, new_token, role)
            return
        from edge_robot.fleet.backend.scheduler import Limits
        from edge_robot.fleet.backend.serving import (
            Models,
            ServerSettings,
            embedded,
            read_limits,
            serve,
        )

        settings = ServerSettings(
            host=host,
            port=port,
            http_port=http_port,
            tls_cert=_text(tls_cert),
            tls_key=_text(tls_key),
            client_ca=_text(client_ca),
            tokens=_text(tokens),
            insecure=insecure,
        )
        settings.access()  # before models are loaded, which takes long
        if name and len(model or ()) != 1:
            raise UserError("--name is for a single --model; others have their files' names")
        at_once = workers or (1 if engine is EngineKind.RAY else os.cpu_count() or 1)
        models = Models(
            tuple(model or ()),
            name,
            _text(repository),
            planner=planner,
            archive=_text(archive),
            copies=at_once,
            runtime=runtime.value,
            min_score=min_score,
            threads=threads,
        )
        permitted = read_limits(limits) if limits else Limits()
        if engine is EngineKind.RAY:
            if archive is not None:
                raise UserError("--archive is one database, and needs --engine embedded")
            from edge_robot.fleet.backend.ray_engine import RayEngine

            replicas = RayEngine(models, _options(ray_options), workers=at_once, limits=permitted)
            try:
                _until_told(lambda: serve(lambda: replicas.scheduler, settings), grace)
            finally:
                replicas.close()
        else:
            _until_told(lambda: serve(embedded(models, at_once, permitted), settings), grace)


def _until_told(start: Callable[[], Backend], grace: float) -> None:
    """Serve until SIGINT or SIGTERM, then drain."""
    server = start()
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())
    names = ", ".join(f"{m.name} ({m.version})" for m in server.models)
    http = "" if server.http_port is None else f", HTTP on port {server.http_port}"
    print(f"fleet backend: serves {names}; gRPC on port {server.port}{http}", flush=True)
    told.wait()
    server.stop(grace)


def _make_token(file: Path | None, name: str, role: TokenRole) -> None:
    from edge_robot.fleet.backend.access import Role, new_token

    if file is None:
        raise UserError("--new-token needs --tokens FILE, to which the token's hash is added")
    print(new_token(file, name, Role(role.value)))
    print(
        f"This is the token of {name!r}; it is kept nowhere else. Take its line out of {file} to "
        "take it back: a running backend notices.",
        file=sys.stderr,
    )


def _options(file: Path | None) -> dict[str, object]:
    """Return the options in a YAML file."""
    import yaml

    if file is None:
        return {}
    try:
        options = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"Ray options {file} cannot be read: {error}") from error
    if not isinstance(options, dict):
        raise UserError(f"Ray options {file} are no mapping of options to values")
    return options


def _text(path: Path | None) -> str:
    return "" if path is None else str(path)
