"""Rules: CEL expressions over the operation, its features, its score and its registry hits (R19, R20, R58-R74).

Data, not code: a set is TOML, versioned in the database; types are checked when a set is loaded. All live and shadow rules
run as one list expression; if any fails at run time each is run alone, so that one broken rule never silences another.
"""

import logging
import re
import tomllib
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import numpy as np
from cel_expr_python import cel
from numpy.typing import NDArray

from casework.registry import Hit
from domain.criteria import FraudCriterion
from domain.errors import RuleError
from domain.levels import RiskLevel
from domain.operation import Operation

log = logging.getLogger("burana")
LEVELS = {"medium": RiskLevel.MEDIUM, "high": RiskLevel.HIGH}


class State(StrEnum):
    """live: acts; shadow: is only counted; off: does not run."""

    LIVE = "live"
    SHADOW = "shadow"
    OFF = "off"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule of a set. expression: CEL, true when the rule fires; text: the reason as an officer reads it."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{2,63}(?!\n)$")]
    criterion: FraudCriterion
    level: Annotated[str, msgspec.Meta(pattern=r"^(medium|high)(?!\n)$")]
    state: State
    owner: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    expression: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class _Set(msgspec.Struct, forbid_unknown_fields=True):
    rules: list[Rule]


class Outcome(msgspec.Struct, frozen=True):
    """What the rules said of one operation: those that fired, and those that could not be evaluated, with the error."""

    fired: tuple[Rule, ...] = ()
    shadow: tuple[Rule, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()


SILENT = Outcome()
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
}
"""The vocabulary beside the features. Absent text is empty; a score that is missing is -1; `registry` names the lists hit."""


class Rules:
    """A compiled set."""

    def __init__(self, content: str, features: tuple[str, ...], version: str = "") -> None:
        """content: TOML with [[rules]]; RuleError names the rule, the place and what is allowed."""
        self.version, self.features, self._content = version, features, content
        self._said: set[str] = set()
        self.rules = tuple(rule for rule in parsed(content) if rule.state is not State.OFF)
        vocabulary = OPERATION_VARIABLES | dict.fromkeys(features, cel.Type.DOUBLE)
        _check(self.rules, cel.NewEnv(variables=vocabulary))
        used = set(re.findall(r"[a-z_][a-z0-9_]*", " ".join(rule.expression for rule in self.rules)))
        # a call pays for every variable that is declared: with those features alone that are named it costs 8 us, with all it cost 19
        self._names = [name for name in features if name in used]
        self._environment = cel.NewEnv(variables=OPERATION_VARIABLES | dict.fromkeys(self._names, cel.Type.DOUBLE))
        self._places = np.array([features.index(name) for name in self._names], np.int64)
        self._each = [self._environment.compile(rule.expression) for rule in self.rules]
        try:
            self._all = self._environment.compile("[" + ", ".join(f"({rule.expression}\n)" for rule in self.rules) + "]")
        except RuntimeError as error:  # each rule compiles alone, so the set is too much for one program
            raise RuleError(
                f"{len(self.rules)} rules do not compile together: {error}; load fewer or shorter ones"
            ) from error

    def over(self, features: tuple[str, ...]) -> "Rules":
        """The same set over other features; RuleError where one of its rules needs a feature that is not among them."""
        return self if features == self.features else Rules(self._content, features, self.version)

    def evaluate(
        self,
        operation: Operation,
        amount_tyiyn: int,
        vector: NDArray[np.float64] | None,
        score: float | None,
        hits: tuple[Hit, ...],
    ) -> Outcome:
        """Which rules fire. A rule that needs a feature fails where the vector is None; a missing feature (NaN) compares false."""
        values = _values(operation, amount_tyiyn, score, hits)
        if vector is not None:
            values.update(zip(self._names, vector[self._places].tolist(), strict=True))
        activation = self._environment.Activation(values)
        together = self._all.eval(activation)
        if together.type() == cel.Type.ERROR:
            return self._one_by_one(activation)
        verdicts = together.plain_value()
        if True not in verdicts:
            return SILENT
        return _outcome([rule for rule, fires in zip(self.rules, verdicts, strict=True) if fires], [])

    def _one_by_one(self, activation: cel.Activation) -> Outcome:
        fired, failed = [], []
        for rule, expression in zip(self.rules, self._each, strict=True):
            result = expression.eval(activation)
            if result.type() == cel.Type.ERROR:
                self._say(rule, str(result.value()))
                if rule.state is State.LIVE:
                    failed.append((rule.id, str(result.value())))
            elif result.plain_value():
                fired.append(rule)
        return _outcome(fired, failed)

    def _say(self, rule: Rule, error: str) -> None:
        """Once for each rule of the set: it may fail for every operation."""
        if rule.id not in self._said:
            self._said.add(rule.id)
            log.error("rule %s (%s) of rules-%s could not be evaluated: %s", rule.id, rule.state, self.version, error)


def _check(rules: Iterable[Rule], environment: cel.Env) -> None:
    """RuleError names the first rule that does not compile, or gives something else than true or false."""
    for rule in rules:
        try:
            expression = environment.compile(rule.expression)
        except RuntimeError as error:  # what the CEL library raises for any expression that it refuses
            raise RuleError(f"rule {rule.id}: {error}") from error
        if expression.return_type() != cel.Type.BOOL:
            raise RuleError(f"rule {rule.id}: gives {expression.return_type().name()}, allowed BOOL")


def parsed(content: str) -> list[Rule]:
    """The rules of a set in TOML; RuleError says what was seen and what is allowed."""
    try:
        rules = msgspec.convert(tomllib.loads(content), _Set).rules
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise RuleError(f"the rule set cannot be read: {error}") from error
    names = [rule.id for rule in rules]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RuleError(f"the rule set names a rule twice: {', '.join(twice)}")
    return rules


def _outcome(fired: list[Rule], failed: list[tuple[str, str]]) -> Outcome:
    live = tuple(rule for rule in fired if rule.state is State.LIVE)
    return Outcome(live, tuple(rule for rule in fired if rule.state is State.SHADOW), tuple(failed))


def _values(operation: Operation, amount_tyiyn: int, score: float | None, hits: tuple[Hit, ...]) -> dict[str, Any]:
    device, access = operation.device, operation.access
    return {
        "kind": operation.kind.value,
        "amount_tyiyn": amount_tyiyn,
        "currency": operation.amount.currency,
        "category": operation.category or "",
        "recipient_country": operation.recipient.country or "",
        "device_country": (device.country or "") if device else "",
        "vpn": bool(device and device.vpn),
        "agent": bool(access and access.agent_id),
        "employee": bool(access and access.employee_id),
        "score": -1.0 if score is None else score,
        "registry": [hit.list.value for hit in hits],
    }
