"""The chart of the accuracy–latency front is a drawing of every variant."""

from __future__ import annotations

from xml.etree import ElementTree

from edge_robot.report.detector_front import draw

SVG = "{http://www.w3.org/2000/svg}"


def variant(name: str, fp32: float, int8: float, map50: float | None) -> dict[str, object]:
    def kind(elapsed: float) -> dict[str, object]:
        accuracy = {} if map50 is None else {"map50": map50, "map50_95": 0.5 * map50}
        return {"inference_ms": elapsed, "kilobytes": 100, **accuracy}

    return {"name": name, "depthwise": "wise" in name, "fp32": kind(fp32), "int8": kind(int8)}


def test_faster_is_further_left_better_is_higher_and_the_untrained_lie_below() -> None:
    figures = {
        "width": 320,
        "height": 240,
        "steps": 500,
        "variants": [
            variant("plain", 6.0, 3.0, 0.4),
            variant("depthwise & thin", 2.0, 4.0, 0.2),
            variant("plain wide", 12.0, 6.0, None),
        ],
    }
    root = ElementTree.fromstring(draw(figures))
    dots = {}
    for circle in list(root.iter(f"{SVG}circle"))[:6]:
        number = len(dots) // 2
        kind = "fp32" if "hollow" in circle.get("class", "") else "int8"
        dots[number, kind] = (float(circle.get("cx", "")), float(circle.get("cy", "")))
    assert dots[0, "int8"][0] < dots[0, "fp32"][0] < dots[2, "fp32"][0]
    assert dots[1, "int8"][0] > dots[1, "fp32"][0]
    assert dots[0, "int8"][1] < dots[1, "int8"][1] < dots[2, "int8"][1]
    words = {element.text for element in root.iter(f"{SVG}text")}
    axis = "mAP50 after 500 steps, of 100"
    assert {"plain", "depthwise & thin", "plain wide", "12.00", axis} <= words
