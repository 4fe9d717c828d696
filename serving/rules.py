"""Rules: CEL expressions over the operation, its features, its score and its registry hits (R19, R20, R58-R74).

Data, not code: a set is TOML, versioned in the database; types are checked when a set is loaded. The live and shadow rules of a kind
of operation run as one list expression, fed with what they name alone; if it fails at run time each rule is run by itself, so
that one broken rule never silences another.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any

import msgspec
import numpy as np
from cel_expr_python import cel
from numpy.typing import NDArray

from casework.registry import Hit
from domain.errors import RuleError
from domain.levels import RiskLevel
from domain.operation import Kind, Operation
from domain.rule_text import in_shadow, parsed
from domain.rules import Rule, State
from serving.rule_language import OPERATION_VARIABLES, environment, findings, names_in, written_out
from serving.templates import completed

__all__ = ["LEVELS", "SILENT", "Outcome", "Rule", "Rules", "State", "parsed"]

log = logging.getLogger("burana")
LEVELS = {"medium": RiskLevel.MEDIUM, "high": RiskLevel.HIGH}
Values = dict[str, Any]


class Outcome(msgspec.Struct, frozen=True):
    """What the rules said of one operation: those that fired, and those that could not be evaluated, with the error."""

    fired: tuple[Rule, ...] = ()
    shadow: tuple[Rule, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()


SILENT = Outcome()


class Rules:
    """A compiled set. counts: how often each rule fired or failed, by (id, state, what); latest: who was asked last, and with which values."""

    def __init__(self, content: str, features: tuple[str, ...], version: str = "", shadow: str = "") -> None:
        """content: TOML with [[rules]]; shadow: the same of rules that are only counted, empty for none.

        RuleError names the rule, the place and what is allowed.
        """
        self.version, self.features, self._parts = version, features, (content, shadow)
        self.rules = tuple(rule for rule in completed(parsed(content) + in_shadow(shadow), features) if rule.state.runs)
        check(self.rules, features)
        self.programs = _programs(self.rules, features)
        self.counts: Counter[tuple[str, State, str]] = Counter()
        self.latest: tuple[Together, Values] | None = None
        self._said: set[str] = set()

    def over(self, features: tuple[str, ...]) -> "Rules":
        """The same set over other features; RuleError where one of its rules needs a feature that is not among them."""
        content, shadow = self._parts
        return self if features == self.features else Rules(content, features, self.version, shadow)

    def evaluate(
        self,
        operation: Operation,
        amount_tyiyn: int,
        vector: NDArray[np.float64] | None,
        score: float | None,
        hits: tuple[Hit, ...],
    ) -> Outcome:
        """Which rules fire. A rule that needs a feature fails where the vector is None; a missing feature (NaN) compares false."""
        program = self.programs[operation.kind]
        values = program.values(operation, amount_tyiyn, vector, score, hits)
        self.latest = program, values
        verdicts = program.verdicts(values)
        if verdicts is None:
            return self._one_by_one(program, values)
        if True not in verdicts:
            return SILENT
        return self._outcome([rule for rule, fires in zip(program.rules, verdicts, strict=True) if fires], [])

    def _one_by_one(self, program: "Together", values: Values) -> Outcome:
        fired, failed = [], []
        for rule, said in program.each(values):
            if isinstance(said, str):
                self._say(rule, said)
                if rule.state is State.LIVE:
                    failed.append((rule.id, said))
            elif said:
                fired.append(rule)
        return self._outcome(fired, failed)

    def _outcome(self, fired: list[Rule], failed: list[tuple[str, str]]) -> Outcome:
        for rule in fired:
            self.counts[rule.id, rule.state, "fired"] += 1
        live = tuple(rule for rule in fired if rule.state is State.LIVE)
        return Outcome(live, tuple(rule for rule in fired if rule.state is State.SHADOW), tuple(failed))

    def _say(self, rule: Rule, error: str) -> None:
        """Count it, and say it once for each rule of the set: it may fail for every operation."""
        self.counts[rule.id, rule.state, "failed"] += 1
        if rule.id not in self._said:
            self._said.add(rule.id)
            log.error("rule %s (%s) of rules-%s could not be evaluated: %s", rule.id, rule.state, self.version, error)


def _programs(rules: tuple[Rule, ...], features: tuple[str, ...]) -> dict[Kind, "Together"]:
    """What is asked of each kind of operation; kinds that are asked the same share a program."""
    programs: dict[tuple[bool, ...], Together] = {}
    found = {}
    for kind in Kind:
        asked = tuple(kind in rule.kinds for rule in rules)
        if asked not in programs:
            programs[asked] = Together(tuple(compress(rules, asked)), features)
        found[kind] = programs[asked]
    return found


class Together:
    """The rules that are asked of some kinds of operation, as one program."""

    def __init__(self, rules: tuple[Rule, ...], features: tuple[str, ...]) -> None:
        """RuleError where they are too much for one program."""
        self.rules = rules
        expressions = [written_out(rule) for rule in rules]
        used = names_in(expressions)
        # a call pays 0.25 us for every value that is handed over, so none is that no rule names
        variables = [name for name in OPERATION_VARIABLES if name in used]
        self._read = [(name, _READ[name]) for name in variables if name in _READ]
        self._asks_score, self._asks_registry, self._asks_listed = "score" in used, "registry" in used, "listed" in used
        self._asks_amount = "amount_tyiyn" in used
        self._names = [name for name in features if name in used]
        self._places = np.array([features.index(name) for name in self._names], np.int64)
        self._environment = environment(self._names, variables)
        self._each = [self._environment.compile(expression) for expression in expressions]
        self._all = self._compiled(expressions)

    def _compiled(self, expressions: Sequence[str]) -> cel.Expression:
        try:
            return self._environment.compile("[" + ", ".join(f"({expression}\n)" for expression in expressions) + "]")
        except RuntimeError as error:  # each rule compiles alone, so they are too much for one program
            raise RuleError(
                f"{len(expressions)} rules of one kind of operation do not compile together: {error}; name the kinds that each is asked of, or load fewer or shorter ones"
            ) from error

    def values(
        self,
        operation: Operation,
        amount_tyiyn: int,
        vector: NDArray[np.float64] | None,
        score: float | None,
        hits: tuple[Hit, ...],
    ) -> Values:
        """What the rules name, of one operation."""
        values = {name: read(operation) for name, read in self._read}
        if self._asks_amount:
            values["amount_tyiyn"] = amount_tyiyn
        if self._asks_score:
            values["score"] = -1.0 if score is None else score
        if self._asks_registry:
            values["registry"] = [hit.list.value for hit in hits]
        if self._asks_listed:
            values["listed"] = [hit.field.partition(".")[0] for hit in hits]
        if vector is not None:
            values.update(zip(self._names, vector[self._places].tolist(), strict=True))
        return values

    def verdicts(self, values: Values) -> list[bool] | None:
        """Of each rule whether it fires; None when one of them fails."""
        try:
            together = self._all.eval(data=values)
        except RuntimeError:  # what the CEL library raises where it gives up
            return None
        return None if together.type() == cel.Type.ERROR else together.plain_value()

    def each(self, values: Values) -> list[tuple[Rule, bool | str]]:
        """Each rule by itself, and whether it fires, or why that cannot be said."""
        activation = self._environment.Activation(values)
        return [(rule, _alone(expression, activation)) for rule, expression in zip(self.rules, self._each, strict=True)]

    def timed(self, values: Values, clock: Callable[[], float]) -> list[tuple[Rule, float]]:
        """How long each rule takes by itself, in the clock's unit."""
        activation, times = self._environment.Activation(values), []
        for rule, expression in zip(self.rules, self._each, strict=True):
            began = clock()
            _alone(expression, activation)
            times.append((rule, clock() - began))
        return times


def _alone(expression: cel.Expression, activation: cel.Activation) -> bool | str:
    try:
        result = expression.eval(activation)
    except RuntimeError as error:  # what the CEL library raises where it gives up
        return str(error)
    return str(result.value()) if result.type() == cel.Type.ERROR else bool(result.plain_value())


def check(rules: Sequence[Rule], features: tuple[str, ...]) -> None:
    """RuleError names the first rule that does not compile, or gives something else than true or false; with place and suggestion."""
    vocabulary = (*OPERATION_VARIABLES, *features)
    known = environment(features)
    for rule in rules:
        if found := findings(rule, known, vocabulary):
            raise RuleError(f"rule {rule.id}: {'; '.join(map(str, found))}")


_READ: dict[str, Callable[[Operation], Any]] = {
    "kind": lambda operation: operation.kind.value,
    "currency": lambda operation: operation.amount.currency,
    "category": lambda operation: operation.category or "",
    "recipient_country": lambda operation: operation.recipient.country or "",
    "device_country": lambda operation: (operation.device.country or "") if operation.device else "",
    "vpn": lambda operation: bool(operation.device and operation.device.vpn),
    "agent": lambda operation: bool(operation.access and operation.access.agent_id),
    "employee": lambda operation: bool(operation.access and operation.access.employee_id),
}
"""What the operation says of itself by these names; amount, score and registry are known by who asks."""
