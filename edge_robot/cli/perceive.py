"""`edge-robot perceive`: find objects in photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the app."""

    @app.command()
    def perceive(
        images: Annotated[list[Path], typer.Argument(help="Photographs, JPEG or PNG.")],
        model: Annotated[
            str, typer.Option(help="A name from `edge-robot model list`, or an .onnx file.")
        ] = "warehouse_edge",
        json_file: Annotated[
            Path | None, typer.Option("--json", help="Write the detections here.")
        ] = None,
        output: Annotated[
            Path | None, typer.Option(help="Write the photographs with detections drawn here.")
        ] = None,
        min_score: Annotated[
            float | None,
            typer.Option(min=0.0, max=1.0, help="Lowest score; the model's own by default."),
        ] = None,
        threads: Annotated[int, typer.Option(min=1, help="Threads of one inference.")] = 1,
    ) -> None:
        """Find objects in photographs, print them, and draw or write them down."""
        import json
        import time

        import cv2

        from edge_robot.errors import UserError
        from edge_robot.perception.detector import Detector
        from edge_robot.perception.drawing import draw_detections
        from edge_robot.perception.images import read_image

        stems = [path.stem for path in images]
        twice = sorted({stem for stem in stems if stems.count(stem) > 1})
        if output is not None and twice:
            raise UserError(
                f"several images are called {twice[0]} and would overwrite each other in "
                f"--output {output}; give them in separate runs"
            )
        detector = Detector(model, min_score=min_score, threads=threads)
        detector.warm_up()
        typer.echo(f"{detector.path.name}: sha256 {detector.sha256[:12]}, {detector.provider}")
        results = []
        for path in images:
            image = read_image(path)
            start = time.perf_counter()
            found = detector.detect(image)
            elapsed = 1e3 * (time.perf_counter() - start)
            rows = list(zip(found.labels, found.scores, found.boxes, strict=True))
            results.append(
                {
                    "image": str(path),
                    "detections": [
                        {
                            "class": name,
                            "score": round(float(score), 4),
                            "box": [round(float(value), 2) for value in box],
                        }
                        for name, score, box in rows
                    ],
                }
            )
            summary = ", ".join(f"{name} {score:.2f}" for name, score, _ in rows) or "nothing"
            typer.echo(f"{path}: {summary} ({elapsed:.1f} ms)")
            if output is not None:
                drawn = draw_detections(image, found)
                try:
                    output.mkdir(parents=True, exist_ok=True)
                    encoded = cv2.imencode(".png", drawn)[1].tobytes()
                    (output / f"{path.stem}.png").write_bytes(encoded)
                except OSError as error:
                    raise UserError(
                        f"cannot write to --output {output}: {error.strerror}"
                    ) from error
        if json_file is not None:
            try:
                json_file.write_text(json.dumps(results, indent=1) + "\n")
            except OSError as error:
                raise UserError(f"cannot write --json {json_file}: {error.strerror}") from error
