"""XML elements that know their file and line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from edge_robot.errors import UserError


@dataclass(frozen=True)
class Element:
    """One element of a launch file.

    Attributes:
        tag: Its name.
        attributes: Its attributes, unexpanded.
        children: The elements inside, in order.
        file: The file it is in.
        line: The line its tag begins at, from 1.
    """

    tag: str
    attributes: dict[str, str]
    file: Path
    line: int
    children: list[Element] = field(default_factory=list)

    def error(self, problem: str) -> UserError:
        """Return an error that names the place of this element."""
        return UserError(f"{self.file}:{self.line}: <{self.tag}>: {problem}")

    def require(self, name: str) -> str:
        """Return an attribute that must be there, unexpanded."""
        try:
            return self.attributes[name]
        except KeyError:
            raise self.error(f"needs the attribute {name!r}") from None


def read_xml(file: Path) -> Element:
    """Read a launch file.

    Args:
        file: An XML file whose root is `<launch>`.

    Raises:
        UserError: the file is missing, unreadable or malformed, or is no launch file.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(
            f"cannot read launch file {file}: {error.strerror}; check the path"
        ) from error

    # A parent of the root spares a special case; it never leaves this function.
    top = Element("", {}, file, 0)
    open_elements = [top]
    parser = expat.ParserCreate()

    def start(tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag, attributes, file, parser.CurrentLineNumber)
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def end(_tag: str) -> None:
        open_elements.pop()

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        what = expat.errors.messages[error.code]
        raise UserError(
            f"{file}:{error.lineno}: malformed XML ({what}); correct the file"
        ) from error
    (root,) = top.children
    if root.tag != "launch":
        raise root.error("a launch file's root is <launch>; is this another kind of XML?")
    return root
