"""The page of `edge-robot quantize`: every candidate, the choice, and what the gate said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from edge_robot.report.charts import Scale, line, rect, svg, text
from edge_robot.report.page import STYLE

_EXTRA = (
    ".shown { fill:var(--accent) } .shown.fp32 { fill:var(--ink) } "
    ".shown.chosen { fill:var(--good) } .bar.kept { fill:var(--fleet) } "
    "tr.chosen td { font-weight:650 }"
)


def quantization_page(report: Mapping[str, Any]) -> str:
    """Return the page as HTML: self-contained, no script.

    Args:
        report: From `perception.quantization.results.describe`.
    """
    title = f"{report['model']}: {'int8' if report['verdict'] == 'int8' else 'fp32'}"
    engines = list(report["models"][0]["engines"])
    parts = ", ".join(f"{len(names)} {part}" for part, names in report["images"].items())
    sections = [_engine_section(report, engine) for engine in engines]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} – edge_robot</title>"
        f"<style>{STYLE.read_text(encoding='utf-8')}{_EXTRA}</style></head>\n<body><header>"
        f'<p class="eyebrow">edge_robot · quantization · {escape(report["date"])}</p>'
        f'<h1>{escape(title)}</h1><p class="lead">{escape(report["why"])}.</p></header>\n<main>'
        f"{_tiles(report)}{''.join(sections)}{_sensitivity_section(report)}{_class_section(report)}"
        f"</main>\n<footer>Images: {escape(parts)}; none is in two parts. Seed {report['seed']}, "
        f"{report['rounds']} runs behind each latency, one thread of "
        f"{escape(report['machine']['processor'])}.</footer></body></html>\n"
    )


def _model(report: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(item for item in report["models"] if item["name"] == name)
    return found


def _measured(report: Mapping[str, Any], engine: str) -> list[Mapping[str, Any]]:
    return [item for item in report["models"] if engine in item["engines"]]


def _tiles(report: Mapping[str, Any]) -> str:
    chosen, bounds = _model(report, report["chosen"]), report["bounds"]
    score = chosen["engines"][report["engine"]]
    low, high = score["loss_interval"]
    ratio = score["latency"]["ratio"]
    share = chosen["bytes"] / report["models"][0]["bytes"]
    tiles = (
        (
            "mAP lost by int8",
            f"{score['loss']:+.2f}",
            f"95 % interval {low:+.2f} … {high:+.2f}; at most {bounds['max_loss']:g}",
            score["loss"] <= bounds["max_loss"],
        ),
        (
            f"Time on {report['engine']}",
            f"{ratio:.2f} ×",
            f"of fp32; at most {bounds['max_latency_ratio']:g}",
            ratio <= bounds["max_latency_ratio"],
        ),
        ("Size", f"{share:.2f} ×", f"of fp32; {chosen['bytes'] / 1e3:.0f} kB", None),
        ("Gate", report["verdict"], f"candidate: {chosen['name']}", report["verdict"] == "int8"),
    )
    content = "".join(
        f'<div class="tile {"" if good is None else "good" if good else "bad"}">'
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd><p>{escape(remark)}</p></div>"
        for name, value, remark, good in tiles
    )
    return f'<dl class="tiles">{content}</dl>'


def _engine_section(report: Mapping[str, Any], engine: str) -> str:
    head = "".join(
        f'<th scope="col" class="{"" if index else "l"}">{escape(name)}</th>'
        for index, name in enumerate(
            (
                "model",
                "mAP",
                "mAP50",
                "lost",
                "95 % interval",
                "p50, ms",
                "p99, ms",
                "of fp32",
                "kB",
            )
        )
    )
    rows = []
    for item in _measured(report, engine):
        score = item["engines"][engine]
        accuracy, latency = score["accuracy"], score["latency"]
        low, high = score["loss_interval"]
        cells = (
            f"{accuracy['map50_95']:.2f}",
            f"{accuracy['map50']:.2f}",
            f"{score['loss']:+.2f}",
            f"{low:+.2f} … {high:+.2f}",
            f"{latency['p50_ms']:.2f}",
            f"{latency['p99_ms']:.2f}",
            f"{latency['ratio']:.2f}",
            f"{item['bytes'] / 1e3:.0f}",
        )
        mark = ' class="chosen"' if item["name"] == report["chosen"] else ""
        rows.append(
            f'<tr{mark}><td class="l">{escape(item["name"])}</td>'
            + "".join(f"<td>{cell}</td>" for cell in cells)
            + "</tr>"
        )
    gated = " The gate judges here." if engine == report["engine"] else ""
    return (
        f"<section><h2>On {escape(engine)}</h2><p>mAP over IoU 0.5:0.95 in points of 100 on the "
        "images that only score; time from image to detections, all models in turn. The green dot "
        f"and bold row are the choice, made on other images.{gated}</p>"
        f'<div class="card">{_front(report, engine)}</div><div class="card scroll"><table><thead>'
        f"<tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _front(report: Mapping[str, Any], engine: str) -> str:
    """Draw mean average precision over latency."""
    points = [
        (
            item["engines"][engine]["latency"]["p50_ms"],
            item["engines"][engine]["accuracy"]["map50_95"],
            item["name"],
        )
        for item in _measured(report, engine)
    ]
    width, height = 900.0, 320.0
    x = _scale([point[0] for point in points], 56.0, width - 150.0)
    y = _scale([point[1] for point in points], height - 40.0, 18.0)
    body = [
        line(x.start, y.start, x.end, y.start, "axis"),
        line(x.start, y.start, x.start, y.end, "axis"),
    ]
    body += [text(x(t), y.start + 16, f"{t:g}", "tick", "middle") for t in x.ticks(8)]
    body += [text(x.start - 6, y(t) + 4, f"{t:g}", "tick", "end") for t in y.ticks(6)]
    body.append(text((x.start + x.end) / 2, height - 6, "median latency, ms", "tick", "middle"))
    body.append(text(x.start + 6, y.end + 2, "mAP", "tick"))
    for latency, accuracy, name in points:
        kind = "fp32" if name == "fp32" else "chosen" if name == report["chosen"] else ""
        tip = f"{name}: {accuracy:.2f} mAP, {latency:.2f} ms"
        body.append(
            f'<circle cx="{x(latency)}" cy="{y(accuracy)}" r="{6 if kind else 4}" '
            f'class="shown {kind}"><title>{escape(tip)}</title></circle>'
        )
        body.append(text(x(latency) + 9, y(accuracy) + 4, name, "tick"))
    return svg(width, height, body, f"mAP over latency on {engine}", "wide")


def _scale(values: Sequence[float], start: float, end: float) -> Scale:
    margin = 0.08 * (max(values) - min(values)) or 1.0
    return Scale(min(values) - margin, max(values) + margin, start, end)


def _sensitivity_section(report: Mapping[str, Any]) -> str:
    layers = report["sensitivity"]
    width, height, bottom = 900.0, 240.0, 206.0
    worst = max(item["fidelity_db"] for item in layers)
    y = Scale(0.0, max(worst, 1.0), bottom, 14.0)
    step = (width - 56.0) / len(layers)
    body = [line(46.0, bottom, width - 10.0, bottom, "axis")]
    body += [text(40.0, y(tick) + 4, f"{tick:g}", "tick", "end") for tick in y.ticks(5)]
    for index, item in enumerate(layers):
        kind = "bar kept" if item["fp32"] else "bar"
        tip = f"{item['layer']}{' (depthwise)' if item['depthwise'] else ''}: "
        tip += f"{item['fidelity_db']} dB" + (", stays fp32" if item["fp32"] else "")
        top = y(item["fidelity_db"])
        body.append(rect(46.0 + index * step, top, max(step - 1.0, 0.5), bottom - top, kind, tip))
    body.append(text(width / 2, height - 10, "layers, the most sensitive first", "tick", "middle"))
    drawing = svg(width, height, body, "Sensitivity of each layer", "wide")
    return (
        "<section><h2>Sensitivity of each layer</h2><p>Signal over noise of the raw outputs, dB, "
        "with that layer alone in int8: the lower, the more it suffers. Orange layers stay fp32 in "
        f"the choice, and so does the head of {len(report['head'])} nodes.</p>"
        f'<div class="card scroll">{drawing}</div></section>'
    )


def _class_section(report: Mapping[str, Any]) -> str:
    engine = report["engine"]
    before = report["models"][0]["engines"][engine]["accuracy"]["ap50_95"]
    after = _model(report, report["chosen"])["engines"][engine]["accuracy"]["ap50_95"]
    rows = "".join(
        f'<tr><td class="l">{escape(name)}</td><td>{before[name]:.1f}</td>'
        f"<td>{after[name]:.1f}</td><td>{before[name] - after[name]:+.1f}</td></tr>"
        for name in before
    )
    head = '<th class="l">class</th><th>fp32</th><th>int8</th><th>lost</th>'
    return (
        "<section><h2>Class by class</h2><p>Average precision (0.5:0.95) of fp32 and the choice. "
        "Classes with few objects in the scoring images swing widely.</p>"
        "<details><summary>Show the classes</summary>"
        f'<div class="card scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details></section>"
    )
