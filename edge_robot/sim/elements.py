"""SDF and URDF are XML: the few ways in which their elements are made here."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence

Element = ET.Element


def element(tag: str, *children: Element, **attributes: str) -> Element:
    """Return an element with children."""
    made = ET.Element(tag, attributes)
    made.extend(children)
    return made


def value(tag: str, content: object) -> Element:
    """Return an element with a value; see `text`."""
    made = ET.Element(tag)
    made.text = text(content)
    return made


def values(**contents: object) -> list[Element]:
    """Return one element with a value for each keyword."""
    return [value(tag, content) for tag, content in contents.items()]


def plugin(filename: str, name: str, *children: Element) -> Element:
    """Return a plugin."""
    return element("plugin", *children, filename=filename, name=name)


def text(content: object) -> str:
    """Return a value as SDF and URDF write it; numbers have six significant digits."""
    if isinstance(content, bool):
        return str(content).lower()
    if isinstance(content, float):
        return f"{content:.6g}"
    if isinstance(content, Sequence) and not isinstance(content, str):
        return " ".join(text(item) for item in content)
    return str(content)


def document(root: Element, remark: str, flat: Iterable[str] = ()) -> str:
    """Return a whole file, indented.

    Args:
        root: Its root.
        remark: Stands at its head; XML allows no two hyphens in it.
        flat: Tags of elements that are kept on one line each.
    """
    ET.indent(root)
    for tag in flat:
        for whole in root.iter(tag):
            for part in whole.iter():
                if len(part):
                    part.text = None
                if part is not whole:
                    part.tail = None
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0"?>\n<!-- {remark} -->\n{body}\n'
