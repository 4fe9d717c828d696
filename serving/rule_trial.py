"""One rule on one operation, step by step: what it reads, what each part of it says, and what the decision is with it and without it."""

import math
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from domain.criteria import FraudCriterion
from domain.decision import Reason
from domain.rule_text import written
from domain.rules import Rule, State
from features import wording
from features.catalogue import Entry
from serving.expression_parts import Part, parts
from serving.hearing import Hearing, Question, hear
from serving.rule_language import OPERATION_VARIABLES, environment, names_in, written_out
from serving.rules import Rules, Together
from serving.templates import completed


class Met(Struct, frozen=True):
    """An identifier of the operation that is listed."""

    field: str
    list: str
    entry_id: int


class Read(Struct, frozen=True):
    """Something that the rule names. value: as the rule sees it, None (null) where it is missing; said: in words."""

    name: str
    value: Any
    said: str


class Decided(Struct, frozen=True):
    """A decision: level, action, and what spoke."""

    level: str
    action: str
    reasons: tuple[Reason, ...]


class Tested(Struct, frozen=True):
    """What a rule does to an operation.

    recorded: the level that was answered, None for an operation that was not recorded; is_asked: whether the rule is asked of this
    kind; fires: None where it cannot be evaluated; steps: the expression with its parameters in their places, and its parts;
    without, with_rule: the decision with the rule gone, and with it live beside the others.
    """

    operation_id: str
    recorded: str | None
    rule: str
    version: int
    state: State
    criterion: FraudCriterion
    level: str
    registry: tuple[Met, ...]
    score: float | None
    reads: tuple[Read, ...]
    is_asked: bool
    fires: bool | None
    steps: Part
    without: Decided
    with_rule: Decided


def tested(rule: Rule, question: Question, entries: list[Entry], recorded: str | None = None) -> Tested:
    """rule: of any state; question: what is asked about the operation, with the rules beside which it would act; RuleError for one that does not compile.

    entries: the features that run, in words; recorded: the level that was answered.
    """
    live = replace(completed([rule], question.rules.features)[0], state=State.LIVE)
    others = [other for other in question.rules.rules if other.id != rule.id]
    without, with_rule = (_heard(question, rules) for rules in (others, [*others, live]))
    steps, reads = _steps(live, question, without, entries)
    is_asked = question.operation.kind in rule.kinds
    return Tested(
        operation_id=question.operation.operation_id, recorded=recorded, rule=rule.id, version=rule.version, state=rule.state,
        criterion=rule.criterion, level=rule.level,
        registry=tuple(Met(hit.field, hit.list.value, hit.entry_id) for hit in question.hits),
        score=without.heard.score, reads=reads, is_asked=is_asked,
        fires=None if steps.failed is not None else is_asked and bool(steps.value), steps=steps,
        without=_decided(without), with_rule=_decided(with_rule),
    )  # fmt: skip


def _heard(question: Question, rules: list[Rule]) -> Hearing:
    return hear(replace(question, rules=Rules(written(rules), question.rules.features, question.rules.version)))


def _decided(hearing: Hearing) -> Decided:
    level = hearing.assessment.level
    return Decided(level.word, level.action.value, hearing.assessment.reasons)


def _steps(rule: Rule, question: Question, hearing: Hearing, entries: list[Entry]) -> tuple[Part, tuple[Read, ...]]:
    names, expression = question.rules.features, written_out(rule)
    values = Together((rule,), names).values(
        question.operation, question.amount_tyiyn, hearing.vector, hearing.heard.score, question.hits
    )
    used = names_in([expression])
    known = environment([name for name in names if name in used], [name for name in OPERATION_VARIABLES if name in used])
    return parts(expression, known, values), _reads(values, entries)


def _reads(values: dict[str, Any], entries: list[Entry]) -> tuple[Read, ...]:
    words = {entry.name: entry for entry in entries}
    return tuple(Read(name, _json(value), _said(words.get(name), value)) for name, value in values.items())


def _said(entry: Entry | None, value: Any) -> str:
    if entry is None:
        return ""
    when = f" ({entry.missing.partition(': ')[2]})" if math.isnan(value) else ""
    return f"{entry.meaning}: {wording.value(value, entry.unit)}{when}"


def _json(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def lines(test: Tested) -> list[str]:
    """For people."""
    recorded = "not recorded" if test.recorded is None else f"answered {test.recorded}"
    said = [f"operation {test.operation_id}: {recorded}"]
    said += [f"registry: {met.field} is on the {met.list} list (entry {met.entry_id})" for met in test.registry] or [
        "registry: nothing is met"
    ]
    said += ["score: none" if test.score is None else f"score: {test.score:.4f}", "the rule reads"]
    said += [
        f"  {read.name} = {'missing' if read.value is None else read.value}" + (f"  ({read.said})" if read.said else "")
        for read in test.reads
    ]
    said += [f"rule {test.rule} ({test.criterion}, {test.level}, {test.state}): {_verdict(test)}", *_tree(test.steps, 1)]
    return [*said, f"without the rule: {_told(test.without)}", f"with it live:     {_told(test.with_rule)}"]


def _verdict(test: Tested) -> str:
    if not test.is_asked:
        return "is not asked of this kind of operation"
    return "cannot be evaluated" if test.fires is None else ("fires" if test.fires else "does not fire")


def _tree(part: Part, depth: int) -> list[str]:
    value = f"fails ({part.failed})" if part.failed is not None else _short(part.value)
    return [f"{'  ' * depth}{value:<8} {part.text}", *(line for child in part.parts for line in _tree(child, depth + 1))]


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _told(decided: Decided) -> str:
    codes = ", ".join(dict.fromkeys(reason.code for reason in decided.reasons))
    return f"{decided.level}, {decided.action}" + (f" ({codes})" if codes else "")
