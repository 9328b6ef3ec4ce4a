"""`edge-robot backend`: serves a detector to a fleet of robots."""

from __future__ import annotations

import signal
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def backend(
        model: Annotated[str, typer.Option(help="an .onnx file, or the name of one in models/")],
        port: Annotated[int, typer.Option(help="TCP port; 0 for any free one")] = 8001,
        host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
        name: Annotated[
            str, typer.Option(help="name to serve it under; by default the file's")
        ] = "",
        min_score: Annotated[
            float | None, typer.Option(help="lowest score reported; the model's by default")
        ] = None,
        threads: Annotated[int, typer.Option(help="threads one inference may use")] = 1,
    ) -> None:
        """Answer the Open Inference Protocol (gRPC) with a detector, until Ctrl-C."""
        from edge_robot.fleet.backend.serving import serve_detector

        # Blocked here and taken by sigwait: no handler can interrupt a request half answered.
        stop_signals = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals)
        server = serve_detector(
            model, name=name, host=host, port=port, threads=threads, min_score=min_score
        )
        print(f"fleet backend: model on {host}:{server.port}", flush=True)
        signal.sigwait(stop_signals)
        server.stop()
