"""`$(var x)` and its relatives: text that is filled in when a launch file is read."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge_robot.expressions import ExpressionError, evaluate
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
        arguments: ROS arguments of all nodes started here, before their own, as
            `<set_parameter>`, `<set_remap>` and their like gave them.
        anonymous: Names made by `$(anon)`, the same in the whole launch.
    """

    variables: dict[str, str]
    environment: dict[str, str]
    namespace: str = ""
    arguments: tuple[str, ...] = ()
    anonymous: dict[str, str] = field(default_factory=dict)

    def copy(self) -> Scope:
        """Return a scope whose changes stay in it."""
        return replace(self, variables=dict(self.variables), environment=dict(self.environment))


def _var(scope: Scope, _file: Path, name: str) -> str:
    if name not in scope.variables:
        raise SubstitutionError(f"no launch argument or <let> named {name!r} is set here")
    return scope.variables[name]


def _env(scope: Scope, _file: Path, name: str, default: str | None = None) -> str:
    value = scope.environment.get(name, default)
    if value is None:
        raise SubstitutionError(f"environment variable {name} is not set; set it or give a default")
    return value


def _find_pkg_share(scope: Scope, file: Path, package: str) -> str:
    if package == "edge_robot":
        return str(share_dir())
    return f"{_find_pkg_prefix(scope, file, package)}/share/{package}"


def _find_pkg_prefix(scope: Scope, _file: Path, package: str) -> str:
    for prefix in scope.environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        if prefix and (Path(prefix) / "share" / package).is_dir():
            return prefix
    raise SubstitutionError(
        f"package {package!r} is not found: it is neither edge_robot nor in AMENT_PREFIX_PATH"
    )


def exec_in_pkg(scope: Scope, file: Path, executable: str, package: str) -> str:
    """Return the path of a package's program, found by AMENT_PREFIX_PATH.

    Raises:
        SubstitutionError: there is none.
    """
    path = Path(_find_pkg_prefix(scope, file, package)) / "lib" / package / executable
    if not os.access(path, os.X_OK):
        raise SubstitutionError(f"{path} is no executable")
    return str(path)


def _find_exec(scope: Scope, _file: Path, name: str) -> str:
    found = shutil.which(name, path=scope.environment.get("PATH"))
    if found is None:
        raise SubstitutionError(f"program {name!r} is not on the PATH; install it")
    return found


def _dirname(_scope: Scope, file: Path) -> str:
    return str(file.parent)


def _filename(_scope: Scope, file: Path) -> str:
    return str(file)


def _file_content(_scope: Scope, _file: Path, name: str) -> str:
    try:
        return Path(name).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SubstitutionError(f"cannot read {name}: {error}") from None


def _anon(scope: Scope, _file: Path, name: str) -> str:
    if name not in scope.anonymous:
        text = f"{name}_{socket.gethostname()}_{os.getpid()}_{secrets.randbits(63)}"
        scope.anonymous[name] = "".join(c if c.isalnum() else "_" for c in text)
    return scope.anonymous[name]


def _eval(_scope: Scope, _file: Path, expression: str, _modules: str = "math") -> str:
    try:
        return str(evaluate(expression))
    except ExpressionError as error:
        raise SubstitutionError(f"$(eval {expression!r}) {error}") from None


def _command(scope: Scope, _file: Path, command: str, on_stderr: str = "fail") -> str:
    if on_stderr not in ("fail", "ignore", "warn", "capture"):
        raise SubstitutionError(f"{on_stderr!r} is none of fail, ignore, warn, capture")
    errors = subprocess.STDOUT if on_stderr == "capture" else subprocess.PIPE
    try:
        result = subprocess.run(
            with_this_python(shlex.split(command)),
            stdout=subprocess.PIPE,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            text=True,
            env=scope.environment,
            check=False,
        )
    except (OSError, ValueError) as error:
        raise SubstitutionError(f"$(command {command!r}): {error}") from None
    said = " ".join((result.stderr or "").split())
    if result.returncode:
        raise SubstitutionError(
            f"$(command {command!r}) failed with status {result.returncode}: {said}"
        )
    if said and on_stderr == "fail":
        raise SubstitutionError(f"$(command {command!r}) wrote errors: {said}")
    if said and on_stderr == "warn":
        print(f"$(command {command!r}) wrote errors: {said}", file=sys.stderr)
    return result.stdout


def with_this_python(command: list[str]) -> list[str]:
    """Return a command for the Python that runs us, where it says `python3`, as nodes are run.

    A virtual environment need not be activated for `edge-robot` to be started by its path.
    """
    return [sys.executable, *command[1:]] if command[:1] == ["python3"] else command


def truth(text: str) -> bool:
    """Return what launch takes a text for.

    Raises:
        SubstitutionError: it is neither true nor false.
    """
    value = text.strip().lower()
    if value not in ("true", "1", "false", "0"):
        raise SubstitutionError(f"{text!r} is neither true nor false")
    return value in ("true", "1")


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _not(_scope: Scope, _file: Path, value: str) -> str:
    return _bool(not truth(value))


def _all(_scope: Scope, _file: Path, *values: str) -> str:
    return _bool(all(truth(value) for value in values))


def _any(_scope: Scope, _file: Path, *values: str) -> str:
    return _bool(any(truth(value) for value in values))


def _if(_scope: Scope, _file: Path, condition: str, then: str = "", otherwise: str = "") -> str:
    return then if truth(condition) else otherwise


def _equals(_scope: Scope, _file: Path, left: str, right: str) -> str:
    return _bool(_same(left, right))


def _not_equals(_scope: Scope, _file: Path, left: str, right: str) -> str:
    return _bool(not _same(left, right))


def _same(left: str, right: str) -> bool:
    """Compare as truth, as numbers, or else as texts."""
    for convert in (truth, float):
        try:
            return convert(left) == convert(right)
        except (SubstitutionError, ValueError):
            continue
    return left == right


_SUBSTITUTIONS: dict[str, tuple[Callable[..., str], range]] = {
    "var": (_var, range(1, 2)),
    "env": (_env, range(1, 3)),
    "find-pkg-share": (_find_pkg_share, range(1, 2)),
    "find-exec": (_find_exec, range(1, 2)),
    "find-pkg-prefix": (_find_pkg_prefix, range(1, 2)),
    "exec-in-pkg": (exec_in_pkg, range(2, 3)),
    "dirname": (_dirname, range(1)),
    "filename": (_filename, range(1)),
    "file-content": (_file_content, range(1, 2)),
    "anon": (_anon, range(1, 2)),
    "command": (_command, range(1, 3)),
    "eval": (_eval, range(1, 3)),
    "not": (_not, range(1, 2)),
    "and": (_all, range(2, 3)),
    "or": (_any, range(2, 3)),
    "all": (_all, range(100)),
    "any": (_any, range(100)),
    "if": (_if, range(1, 4)),
    "equals": (_equals, range(2, 3)),
    "not-equals": (_not_equals, range(2, 3)),
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
