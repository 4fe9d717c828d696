"""What rules in shadow would have done so far: their hits as the ledger kept them, what acted beside them, and what was fraud."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from msgspec import Struct, structs

from casework import rule_sets
from casework.database import Database
from casework.ledger import Ledger
from casework.rule_sets import RuleSet
from domain.errors import RuleError
from domain.rules import Rule, State
from features.plan import Plan
from serving.backtest.heard import SHADOW, Heard, Integers, Voice
from serving.backtest.of_ledger import LedgerSource
from serving.backtest.report import Asked, RuleFigures, moment, rule_figures
from serving.backtest.table import HEAD, rule_lines
from serving.backtest.trying import as_recorded

EVERY_SET = 100_000
"""More sets than are ever put in force."""


class InShadow(Struct, frozen=True):
    """A rule in shadow. since: from when on this version has been in shadow without a break; asked: operations that were decided meanwhile."""

    version: int
    since: str
    asked: int
    figures: RuleFigures


class ShadowReport(Struct, frozen=True):
    """Every rule in shadow. start, end: of the operations, ISO 8601, UTC; operations: decided or not."""

    asked: Asked
    start: str
    end: str
    operations: int
    rules: list[InShadow]


def report(
    database: Database, plan: Plan, period: tuple[int, int], as_of: int | None, delay: int, asked: Asked
) -> ShadowReport:
    """period, as_of, delay: ms, as in a backtest. RuleError where no rule is in shadow, EmptyPeriodError where the period is empty.

    Hits of another version of a rule are not its own: those count that were decided under a set that has this one in shadow.
    """
    sets = rule_sets.history(database, EVERY_SET)
    rules = [rule for rule in (sets[0].rules if sets else ()) if rule.state is State.SHADOW]
    if not rules:
        raise RuleError("no rule is in shadow; `burana rules shadow` puts one there")
    source = LedgerSource(Ledger(database), plan, (), *period, as_of)
    heard = as_recorded(source, rules, delay, period)
    under = [_under(heard, sets, rule) for rule in rules]
    hits = tuple(_hits(heard, rule, mine) for rule, mine in zip(rules, under, strict=True))
    figures = rule_figures(replace(heard, hits=hits), asked)
    found = [
        InShadow(rule.version, _since(sets, rule), int(mine.sum()), of)
        for rule, mine, of in zip(rules, under, figures, strict=True)
    ]
    stated = structs.replace(asked, as_of=moment(source.as_of))
    return ShadowReport(stated, moment(heard.start), moment(heard.end), len(heard), found)


def _has(stored: RuleSet, rule: Rule) -> bool:
    return any((other.id, other.version) == (rule.id, rule.version) for other in stored.rules if other.state is State.SHADOW)


def _under(heard: Heard, sets: list[RuleSet], rule: Rule) -> np.ndarray:
    """(n,) which operations were decided under a set that has this version of a rule in shadow."""
    having = {f"rules-{stored.version}" for stored in sets if _has(stored, rule)}
    return np.isin(heard.policies, [place for place, name in enumerate(heard.policy_names) if name in having])


def _hits(heard: Heard, rule: Rule, under: np.ndarray) -> Integers:
    rows = heard.spoke.get(Voice(SHADOW, rule.id, None), np.empty(0, np.int64))
    return rows[under[rows]]


def _since(sets: list[RuleSet], rule: Rule) -> str:
    """When the first of the last sets in a row that have it came into force. sets: the last one first."""
    since = ""
    for stored in sets:
        if not _has(stored, rule):
            break
        since = stored.loaded_at
    return since


def lines(found: ShadowReport) -> Iterator[str]:
    """For people."""
    yield f"{found.operations:,} operations, {found.start} to {found.end}, as known at {found.asked.as_of}"
    yield ""
    yield HEAD
    for rule in found.rules:
        yield from rule_lines(rule.figures, was_decided=True)
        yield f"  in shadow since {rule.since} (version {rule.version}), asked of {rule.asked:,} of these operations"
