"""An expression in its parts, each evaluated by CEL itself: why a rule fired, or why it did not.

Only the text is cut here, at operators outside brackets and texts, weakest first. A part that CEL does not compile by itself is
not shown.
"""

import re
from collections.abc import Mapping
from typing import Any

from cel_expr_python import cel
from msgspec import Struct

_TOKEN = re.compile(
    r"""(?P<text>[rR]?(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'))|(?P<sign>\|\||&&|==|!=|<=|>=|[-+*/%<>!?:()\[\]{},])|(?P<word>[\w.]+)|\s+"""
)
_WEAKEST_FIRST = (("||",), ("&&",), ("==", "!=", "<", "<=", ">", ">=", "in"))
_ATOM = re.compile(r"[\w.]+|\"[^\"]*\"|'[^']*'|-?[\d.]+(e-?\d+)?")
_OPENING, _CLOSING = "([{", ")]}"


class Part(Struct, frozen=True):
    """Some of an expression. value: what it gives; failed: why it gives nothing, None where it gives something; parts: what it is made of."""

    text: str
    value: Any
    failed: str | None
    parts: tuple["Part", ...]


def parts(expression: str, environment: cel.Env, values: Mapping[str, Any]) -> Part:
    """The value of an expression, and of everything in it that is more than a name or a constant."""
    return _part(expression, environment, environment.Activation(dict(values)))


def _part(text: str, environment: cel.Env, activation: cel.Activation) -> Part:
    value, failed = _evaluated(environment.compile(text), activation)
    pieces = [piece for piece in cut(text) if not _ATOM.fullmatch(piece)]
    return Part(
        " ".join(text.split()),
        value,
        failed,
        tuple(_part(piece, environment, activation) for piece in pieces if _compiles(piece, environment)),
    )


def _compiles(text: str, environment: cel.Env) -> bool:
    try:
        environment.compile(text)
    except RuntimeError:  # what the CEL library raises for any expression that it refuses
        return False
    return True


def _evaluated(expression: cel.Expression, activation: cel.Activation) -> tuple[Any, str | None]:
    try:
        result = expression.eval(activation)
    except RuntimeError as error:  # what the CEL library raises where it gives up
        return None, str(error)
    return (None, str(result.value())) if result.type() == cel.Type.ERROR else (result.plain_value(), None)


def cut(text: str) -> list[str]:
    """The operands of the weakest operators of an expression; none of what has no operator."""
    text = _bare(text)
    if text.startswith("!") and len(operands := _operands(text, ("||", "&&"))) == 1:
        return [_bare(text[1:])]
    for operators in _WEAKEST_FIRST:
        if len(operands := _operands(text, operators)) > 1:
            return operands
    return []


def _bare(text: str) -> str:
    """Without brackets around the whole of it."""
    text = text.strip()
    while text.startswith("(") and _closes(text) == len(text) - 1:
        text = text[1:-1].strip()
    return text


def _closes(text: str) -> int:
    """Where the bracket that opens a text closes."""
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += (token[0] in _OPENING) - (token[0] in _CLOSING) if token["sign"] else 0
        if depth == 0:
            return token.start()
    return -1


def _operands(text: str, operators: tuple[str, ...]) -> list[str]:
    """What stands between operators outside brackets and texts. A choice (`a ? b : c`) stays whole."""
    depth, begin, found = 0, 0, []
    for token in _TOKEN.finditer(text):
        if token["sign"] and token[0] in _OPENING + _CLOSING:
            depth += 1 if token[0] in _OPENING else -1
        elif depth == 0 and token["sign"] == "?":
            return [text]
        elif depth == 0 and not token["text"] and token[0] in operators:
            found.append(_bare(text[begin : token.start()]))
            begin = token.end()
    return [*found, _bare(text[begin:])]
