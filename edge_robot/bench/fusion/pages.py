"""The page of `edge-robot bench fusion --report`: recorded scenes with boxes and ellipses."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot.bench.fusion.recorded import BOTH, Picture, Scene
from edge_robot.fusion.boxes import corners
from edge_robot.fusion.tracks import Track
from edge_robot.perception.drawing import colour_of
from edge_robot.report.page import STYLE

_WIDTH = 960  # pixels, of a picture
_REACH = 40.0  # m around the robot that the view from above shows
_NINETY_FIVE = 5.991  # squared Mahalanobis distance within which 95 % lie, two dimensions
_GREY, _PAPER, _TRUE = (170, 160, 150), (34, 28, 22), (120, 220, 120)
_EDGES = [(a, b) for a in range(8) for b in range(a) if bin(a ^ b).count("1") == 1]


def write_report(folder: Path, figures: Mapping[str, Any], scenes: Sequence[Scene]) -> Path:
    """Write `index.html` with the figures and, of each scene, its images and a view from above.

    Pictures are beside it as PNG.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for number, scene in enumerate(scenes):
        drawn = [("from above", _from_above(scene))]
        drawn += [(picture.name, _in_camera(picture, scene.tracks)) for picture in scene.pictures]
        parts.append(f"<section><h2>{escape(scene.title)}</h2>")
        for name, image in drawn:
            _, png = cv2.imencode(".png", image)
            (folder / f"{number}_{name.replace(' ', '_')}.png").write_bytes(png.tobytes())
            _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])
            data = base64.b64encode(jpeg.tobytes()).decode()
            parts.append(
                f'<figure class="frame"><img alt="{escape(name)}" style="width:100%" '
                f'src="data:image/jpeg;base64,{data}"><figcaption>{escape(name)}</figcaption>'
                "</figure>"
            )
        parts.append("</section>")
    page = folder / "index.html"
    page.write_text(
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        "<title>fusion – edge_robot</title>"
        f"<style>{STYLE.read_text(encoding='utf-8')}</style></head>\n<body><header>"
        '<p class="eyebrow">edge_robot · bench fusion</p><h1>Camera and lidar together</h1>'
        '<p class="lead">In colour, tracks that camera and lidar agree on; grey, one of them '
        "alone; white, the detector's boxes; green, labels; ellipses hold 95 %.</p></header>\n"
        f"<main>{''.join(parts)}<section><h2>Figures</h2><pre>"
        f"{escape(json.dumps(figures, indent=2))}</pre></section></main></body></html>\n",
        encoding="utf-8",
    )
    return page


def _colour(track: Track) -> tuple[int, int, int]:
    return colour_of(track.class_name) if track.sources & BOTH == BOTH else _GREY


def _in_camera(picture: Picture, tracks: Sequence[Track]) -> NDArray[np.uint8]:
    """Return an image with the detector's boxes and the tracks' boxes in perspective."""
    scale = _WIDTH / picture.image.shape[1]
    image = cv2.resize(picture.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    for x1, y1, x2, y2 in (scale * picture.boxes).round().astype(int).tolist():
        cv2.rectangle(image, (x1, y1), (x2, y2), (255, 255, 255), 1, cv2.LINE_AA)
    view = picture.view
    for track in sorted(tracks, key=lambda track: track.sources & BOTH == BOTH):
        box = corners(track.position[None], track.size[None], np.array([track.yaw]))[0]
        homogeneous = box @ view.matrix[:, :3].T + view.matrix[:, 3]
        if homogeneous[:, 2].min() < 0.5:
            continue
        pixels = homogeneous[:, :2] / homogeneous[:, 2:]
        if (pixels.max(axis=0) < 0).any() or (pixels.min(axis=0) > (view.width, view.height)).any():
            continue
        ends = (scale * pixels).round().astype(int).tolist()
        for a, b in _EDGES:
            cv2.line(image, ends[a], ends[b], _colour(track), 1, cv2.LINE_AA)
        if track.sources & BOTH == BOTH:
            low = (scale * pixels.min(axis=0)).astype(int)
            _write(image, f"{track.id} {track.class_name}", (int(low[0]), int(low[1]) - 3), track)
    return np.asarray(image, np.uint8)


def _from_above(scene: Scene) -> NDArray[np.uint8]:
    """Return points, labels, tracks and their ellipses from above, the robot looking right."""
    image = np.full((_WIDTH, _WIDTH, 3), _PAPER, np.uint8)
    scale = _WIDTH / (2 * _REACH)

    def place(points: NDArray[Any]) -> NDArray[np.int32]:
        local = np.column_stack([points[:, 0] + _REACH, _REACH - points[:, 1]])
        return (scale * local).round().astype(np.int32)

    upright = scene.points[(scene.points[:, 2] > 0.3) & (scene.points[:, 2] < 3.0)]
    at = place(upright)
    at = at[((at >= 0) & (at < _WIDTH)).all(axis=1)]
    image[at[:, 1], at[:, 0]] = (120, 110, 100)
    for x, y, length, width, yaw in scene.labels.tolist():
        outline = _outline(np.array([x, y]), (length, width), yaw)
        cv2.polylines(image, [place(outline)], True, _TRUE, 1, cv2.LINE_AA)
    for track in scene.tracks:
        outline = _outline(track.position[:2], track.size[:2].tolist(), track.yaw)
        cv2.polylines(image, [place(outline)], True, _colour(track), 1, cv2.LINE_AA)
        values, axes = np.linalg.eigh(track.covariance[:2, :2])
        turn = np.linspace(0.0, 2.0 * np.pi, 40)
        circle = np.column_stack([np.cos(turn), np.sin(turn)])
        ellipse = track.position[:2] + (circle * np.sqrt(_NINETY_FIVE * values)) @ axes.T
        cv2.polylines(image, [place(ellipse)], True, _colour(track), 1, cv2.LINE_AA)
        if track.sources & BOTH == BOTH:
            x, y = place(track.position[None])[0].tolist()
            _write(image, f"{track.id} {track.class_name}", (x + 6, y - 6), track)
    tip = place(np.array([[1.5, 0.0], [-1.5, 0.9], [-1.5, -0.9]]))
    cv2.fillPoly(image, [tip], (255, 176, 98), cv2.LINE_AA)
    return image


def _outline(center: NDArray[Any], size: Sequence[float], yaw: float) -> NDArray[np.float64]:
    box = corners(np.array([[*center, 0.0]]), np.array([[size[0], size[1], 1.0]]), np.array([yaw]))[
        0
    ]
    return np.asarray(box[[0, 2, 6, 4], :2])


def _write(image: NDArray[Any], words: str, at: tuple[int, int], track: Track) -> None:
    cv2.putText(image, words, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, _colour(track), 1, cv2.LINE_AA)
