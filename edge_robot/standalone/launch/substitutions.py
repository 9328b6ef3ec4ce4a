"""`$(var x)` and its relatives: text that is filled in when a launch file is read."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_robot.share import share_dir


class SubstitutionError(Exception):
    """A substitution is malformed, unknown or cannot be filled in."""


@dataclass
class Scope:
    """What substitutions and nodes see at one place of a launch file.

    Attributes:
        variables: Launch arguments and `<let>` values.
        environment: Environment of the processes started here.
        namespace: Namespace pushed onto the nodes started here; empty or absolute.
        parameters: Parameters of all nodes started here, as `<set_parameter>` gave them.
    """

    variables: dict[str, str]
    environment: dict[str, str]
    namespace: str = ""
    parameters: tuple[tuple[str, str], ...] = ()

    def copy(self) -> Scope:
        """Return a scope whose changes stay in it."""
        return Scope(dict(self.variables), dict(self.environment), self.namespace, self.parameters)


def _var(scope: Scope, _file: Path, name: str) -> str:
    if name not in scope.variables:
        raise SubstitutionError(f"no launch argument or <let> named {name!r} is set here")
    return scope.variables[name]


def _env(scope: Scope, _file: Path, name: str, default: str | None = None) -> str:
    value = scope.environment.get(name, default)
    if value is None:
        raise SubstitutionError(f"environment variable {name} is not set; set it or give a default")
    return value


def _find_pkg_share(_scope: Scope, _file: Path, package: str) -> str:
    if package != "edge_robot":
        raise SubstitutionError(f"only edge_robot's share folder is known here, not {package!r}'s")
    return str(share_dir())


def _find_exec(scope: Scope, _file: Path, name: str) -> str:
    found = shutil.which(name, path=scope.environment.get("PATH"))
    if found is None:
        raise SubstitutionError(f"program {name!r} is not on the PATH; install it")
    return found


def _dirname(_scope: Scope, file: Path) -> str:
    return str(file.parent)


_SUBSTITUTIONS: dict[str, tuple[Callable[..., str], range]] = {
    "var": (_var, range(1, 2)),
    "env": (_env, range(1, 3)),
    "find-pkg-share": (_find_pkg_share, range(1, 2)),
    "find-exec": (_find_exec, range(1, 2)),
    "dirname": (_dirname, range(1)),
}
"""Name: function of (scope, file, arguments...) and how many arguments it takes."""


def expand(
    text: str, scope: Scope, file: Path, quote: Callable[[str], str] = lambda value: value
) -> str:
    r"""Return `text` with its substitutions filled in.

    Args:
        text: Text with any number of `$(name argument ...)`, nested at will; arguments are
            separated by spaces and may be quoted; `\$` is a plain dollar sign.
        scope: Where values come from.
        file: The launch file the text is in.
        quote: Applied to each outermost value, for text that is split afterwards.

    Raises:
        SubstitutionError: with what is wrong; the caller knows where.
    """
    result: list[str] = []
    position = 0
    while position < len(text):
        if text.startswith("\\$", position):
            result.append("$")
            position += 2
        elif text.startswith("$(", position):
            value, position = _substitution(text, position, scope, file)
            result.append(quote(value))
        else:
            result.append(text[position])
            position += 1
    return "".join(result)


def _substitution(text: str, start: int, scope: Scope, file: Path) -> tuple[str, int]:
    """Return the value of the substitution that begins at `start`, and where it ends."""
    words: list[str] = []
    word: str | None = None  # None between words: a quoted word may be empty
    quote = ""
    position = start + 2
    while position < len(text):
        character = text[position]
        if text.startswith("$(", position):
            value, position = _substitution(text, position, scope, file)
            word = (word or "") + value
            continue
        position += 1
        if quote:
            if character == quote:
                quote = ""
            else:
                word = (word or "") + character
        elif character in "'\"":
            quote, word = character, word or ""
        elif character in " )":
            if word is not None:
                words.append(word)
                word = None
            if character == ")":
                return _evaluate(words, scope, file), position
        else:
            word = (word or "") + character
    raise SubstitutionError(f"{text[start:]!r} is not closed; add the missing parenthesis or quote")


def _evaluate(words: list[str], scope: Scope, file: Path) -> str:
    if not words:
        raise SubstitutionError("'$()' is empty")
    name, *arguments = words
    if name not in _SUBSTITUTIONS:
        known = ", ".join(f"$({known})" for known in _SUBSTITUTIONS)
        raise SubstitutionError(f"unknown substitution $({name}); known are {known}")
    function, counts = _SUBSTITUTIONS[name]
    if len(arguments) not in counts:
        expected = " or ".join(str(count) for count in counts)
        raise SubstitutionError(f"$({name}) takes {expected} arguments, not {len(arguments)}")
    return function(scope, file, *arguments)
