"""Python expressions from outside, as far as they only calculate: no `eval`.

For `$(eval …)` in launch files and `topic echo --filter`.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

_LONGEST = 2000
"""Characters of an expression; also keeps its tree shallow."""

_LARGEST = 10_000
"""Largest text, and largest exponent."""

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, container: item in container,
    ast.NotIn: lambda item, container: item not in container,
}
_NAMES: dict[str, Any] = {
    **{name: value for name, value in vars(math).items() if not name.startswith("_")},
    **{function.__name__: function for function in (int, float, str, bool, len, min, max, abs)},
    "round": round,
    # What launch arguments say of truth.
    "true": True,
    "false": False,
}
# Of whole numbers these return what has no bounds.
for _unbounded in ("factorial", "comb", "perm"):
    _NAMES.pop(_unbounded)
_METHODS = {"lower", "upper", "strip", "lstrip", "rstrip", "startswith", "endswith", "split"}


class ExpressionError(Exception):
    """An expression is malformed, fails, or does more than calculate."""


def evaluate(expression: str) -> Any:
    """Return the value of an expression.

    Literals, arithmetic, comparisons, `and`, `or`, `not`, `if … else`, indices, fields of
    messages, the functions of `math` and a few of Python's own are known; nothing that could reach
    files or other code.

    Raises:
        ExpressionError: with what is wrong.
    """
    return Expression(expression).value({})


class Expression:
    """An expression that is read once and evaluated many times.

    Raises:
        ExpressionError: it is malformed or too long.
    """

    def __init__(self, text: str) -> None:
        if len(text) > _LONGEST:
            raise ExpressionError(f"is longer than {_LONGEST} characters")
        try:
            self._body = ast.parse(text.strip(), mode="eval").body
        except SyntaxError as error:
            raise ExpressionError(f"is malformed: {error.msg}") from None
        except (ValueError, MemoryError, RecursionError) as error:
            raise ExpressionError(f"is malformed: {error}") from None

    def value(self, names: Mapping[str, Any]) -> Any:
        """Return its value, where these names are known too.

        Raises:
            ExpressionError: it fails, or does more than calculate.
        """
        try:
            return _Evaluation(names).value(self._body)
        except (ArithmeticError, LookupError, TypeError, ValueError, MemoryError) as error:
            raise ExpressionError(f"fails: {error}") from None
        except RecursionError:
            raise ExpressionError("is nested too deeply") from None


class _Evaluation:
    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = {**_NAMES, **names}

    def value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant():
                return node.value
            case ast.Name() if node.id in self._names:
                return self._names[node.id]
            case ast.Attribute(value=ast.Name(id="math")) if node.attr in _NAMES:
                return _NAMES[node.attr]
            case ast.Attribute():
                return self._field(node)
            case ast.List() | ast.Tuple():
                return [self.value(item) for item in node.elts]
            case ast.BoolOp():
                result: Any = None
                for operand in node.values:
                    result = self.value(operand)
                    if bool(result) is isinstance(node.op, ast.Or):
                        break
                return result
            case ast.UnaryOp() if type(node.op) in _UNARY:
                return _UNARY[type(node.op)](self.value(node.operand))
            case ast.BinOp() if type(node.op) in _BINARY:
                return _bounded(node.op, self.value(node.left), self.value(node.right))
            case ast.Compare():
                left = self.value(node.left)
                for op, right_node in zip(node.ops, node.comparators, strict=True):
                    right = self.value(right_node)
                    if type(op) not in _COMPARE:
                        raise ExpressionError(f"{type(op).__name__!r} is not known")
                    if not _COMPARE[type(op)](left, right):
                        return False
                    left = right
                return True
            case ast.IfExp():
                return self.value(node.body if self.value(node.test) else node.orelse)
            case ast.Subscript():
                return self.value(node.value)[self.value(node.slice)]
            case ast.Call(keywords=[]):
                return self._function(node.func)(*map(self.value, node.args))
        raise ExpressionError(f"{ast.unparse(node)!r} is not known here")

    def _function(self, node: ast.expr) -> Callable[..., Any]:
        if isinstance(node, ast.Attribute) and node.attr in _METHODS:
            owner = self.value(node.value)
            if isinstance(owner, str):
                return getattr(owner, node.attr)
        function = self.value(node)
        if not callable(function):
            raise ExpressionError(f"{ast.unparse(node)!r} is no function")
        return function

    def _field(self, node: ast.Attribute) -> Any:
        owner = self.value(node.value)
        fields: dict[str, str] = getattr(type(owner), "get_fields_and_field_types", dict)()
        if node.attr not in fields:
            raise ExpressionError(f"{ast.unparse(node)!r} is no field of a message")
        return getattr(owner, node.attr)


def _bounded(op: ast.operator, left: Any, right: Any) -> Any:
    """Return the result of an operator, unless it would fill the memory."""
    if isinstance(op, ast.Mod) and isinstance(left, str):
        raise ExpressionError("formatting with % is not known here")
    if isinstance(op, ast.Mult):
        for text, times in ((left, right), (right, left)):
            if isinstance(text, (str, list)) and len(text) * times > _LARGEST:
                raise ExpressionError("makes too long a text")
    if isinstance(op, (ast.Pow, ast.Mult)):
        for number in (left, right):
            if isinstance(number, int) and number.bit_length() > _LARGEST:
                raise ExpressionError("makes too large a number")
    if isinstance(op, ast.Pow) and isinstance(right, int) and abs(right) > _LARGEST:
        raise ExpressionError("makes too large a number")
    return _BINARY[type(op)](left, right)
