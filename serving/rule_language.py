"""The language of rules: what an expression may name and do, and what is said of one that does not fit.

Every expression ends, and soon: there are no loops, no regular expressions, nothing that joins texts or lists, so one costs at most in
proportion to its 2,000 characters. It nests 32 deep at most, which the CEL library holds.
"""

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from cel_expr_python import cel

from domain.errors import RuleError
from domain.rules import Rule

OPERATION_VARIABLES: dict[str, cel.Type] = {
    "kind": cel.Type.STRING,
    "amount_tyiyn": cel.Type.INT,
    "currency": cel.Type.STRING,
    "category": cel.Type.STRING,
    "recipient_country": cel.Type.STRING,
    "device_country": cel.Type.STRING,
    "vpn": cel.Type.BOOL,
    "agent": cel.Type.BOOL,
    "employee": cel.Type.BOOL,
    "score": cel.Type.DOUBLE,
    "registry": cel.Type.List(cel.Type.STRING),
    "listed": cel.Type.List(cel.Type.STRING),
}
"""The vocabulary beside the features. Absent text is empty; a score that is missing is -1; `registry` names the lists hit, `listed` the
parts of the operation that are on one: sender, recipient, device, access, funding."""
FUNCTIONS = {
    "&&": "_&&_", "||": "_||_", "!": "!_", "? :": "_?_:_", "==": "_==_", "!=": "_!=_", "<": "_<_", "<=": "_<=_", ">": "_>_",
    ">=": "_>=_", "-": "_-_", "- before a number": "-_", "*": "_*_", "/": "_/_", "%": "_%_", "in": "@in", "double()": "double",
    "int()": "int", "size()": "size", "startsWith()": "startsWith", "endsWith()": "endsWith", "contains()": "contains",
}  # fmt: skip
"""What may be done with it, as it is written -> as CEL calls it; `+` of numbers beside. Nothing of it makes a text or a list longer."""
_SUMS = "add_int64", "add_double"
_CONFIG = cel.NewEnvConfigFromYaml(
    "stdlib:\n  disable_macros: true\n  include_functions:\n"
    + "".join(f'    - name: "{name}"\n' for name in FUNCTIONS.values())
    + '    - name: "_+_"\n      overloads: [' + ", ".join(f"{{id: {overload}}}" for overload in _SUMS) + "]\n"
)  # fmt: skip
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PARAMETER = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)?")
_ERROR = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_UNKNOWN = re.compile(r"undeclared reference to '([^']*)'")
NUMBERS = "features and score are numbers with a point (10.0), amount_tyiyn and currency amounts are whole (1000000)"


class Finding(NamedTuple):
    """What is wrong with an expression, at which line and column of what was written, from 1; suggestion: what may have been meant."""

    line: int
    column: int
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        """For people."""
        return f"{self.line}:{self.column}: {self.message}" + (f"; {self.suggestion}" if self.suggestion else "")


def environment(features: Sequence[str], variables: Sequence[str] = tuple(OPERATION_VARIABLES)) -> cel.Env:
    """Where expressions over these features and variables of the operation compile."""
    types = {name: OPERATION_VARIABLES[name] for name in variables}
    return cel.NewEnv(config=_CONFIG, variables=types | dict.fromkeys(features, cel.Type.DOUBLE))


def names_in(expressions: Sequence[str]) -> set[str]:
    """Every word that expressions use: what they name, and words that they hold as texts."""
    return {name for expression in expressions for name in _NAME.findall(expression)}


def written_out(rule: Rule) -> str:
    """The expression with its parameters in their places, typed: 5 is whole, 5.0 is not. RuleError for what is unknown or unused."""
    used = {found[1] for found in _PARAMETER.finditer(rule.expression)}
    if wrong := sorted(str(name or "") for name in used ^ set(rule.parameters)):
        raise RuleError(
            f"rule {rule.id}: parameters {', '.join(f'${name}' for name in wrong)} stand in the expression or among the parameters, not in both"
        )
    return _PARAMETER.sub(lambda found: _literal(rule.parameters[found[1]]), rule.expression)


def findings(rule: Rule, known: cel.Env, vocabulary: Sequence[str]) -> list[Finding]:
    """What is wrong with a rule's expression; empty when it compiles and gives true or false. known: over the whole vocabulary."""
    try:
        expression = known.compile(written_out(rule))
    except RuntimeError as error:  # what the CEL library raises for any expression that it refuses
        return list(_found(rule, str(error), vocabulary))
    if expression.return_type() != cel.Type.BOOL:
        return [Finding(1, 1, f"gives {expression.return_type().name()}, allowed BOOL")]
    return []


def _found(rule: Rule, said: str, vocabulary: Sequence[str]) -> Iterator[Finding]:
    places = list(_ERROR.finditer(said))
    for place in places:
        line, column, message = int(place[1]), int(place[2]), place[3].removesuffix(" (in container '')")
        yield Finding(line, _as_written(rule, line, column), message, _suggestion(message, vocabulary))
    if not places:
        yield Finding(1, 1, said)


def _suggestion(message: str, vocabulary: Sequence[str]) -> str:
    if unknown := _UNKNOWN.search(message):
        close = get_close_matches(unknown[1], [*vocabulary, *FUNCTIONS.values()], n=3)
        return f"nearest known: {', '.join(close)}" if close else "see `burana rules vocabulary`"
    return NUMBERS if "(double, int)" in message or "(int, double)" in message else ""


def _as_written(rule: Rule, line: int, column: int) -> int:
    """The column in what was written, of a column in what was written out."""
    longer = 0
    for found in _PARAMETER.finditer(rule.expression.split("\n")[line - 1]):
        if found.start() + longer >= column - 1:
            break
        longer += len(_literal(rule.parameters[found[1]])) - len(found[0])
    return max(column - longer, 1)


def _literal(value: float) -> str:
    return repr(value) if value >= 0 else f"({value!r})"
