"""The report of a trial: every rule by itself, beside what was decided, and all together; the same figures for text and JSON."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from tqdm import tqdm

from domain import instants
from domain.criteria import FraudCriterion
from domain.decision import Layer
from domain.levels import RiskLevel
from domain.operation import Kind
from serving.backtest.figures import Costs, Figures, Measure
from serving.backtest.heard import UNDECIDED, Heard, Integers

KINDS = tuple(Kind)


class Asked(Struct, frozen=True):
    """What was asked of the backtest. as_of: what had arrived by then is seen; ISO 8601, UTC."""

    source: str
    as_of: str
    delay_days: float
    resamples: int
    seed: int
    costs: Costs


class RuleFigures(Struct, frozen=True):
    """What one rule on trial would have done.

    hits: all that it fires on; new: of these, what passed as recorded, or about which nothing was decided; alone: of these, where
    no other rule on trial fires and no other layer speaks; beside: shared hits with each other rule on trial, and with what acted as
    recorded (`recorded:` and the rule's id, or the level that was answered); failed: operations on which it cannot be evaluated.
    """

    id: str
    criterion: FraudCriterion
    level: str
    state: str
    hits: Figures
    new: Figures
    alone: Figures
    beside: dict[str, int]
    by_kind: dict[Kind, Figures]
    failed: int


class Report(Struct, frozen=True):
    """Everything that a backtest found.

    start, end: of the period, ISO 8601, UTC; operations, customers, days: in it; known, frauds: operations with a label, and those that are fraud; recorded: what
    was stopped as recorded, None where nothing was decided; without_rules, with_rules: what would be stopped; added: stopped with
    the rules and not as recorded; listed: what a list on trial stops by itself; levels: operations by level, with the rules.
    """

    asked: Asked
    start: str
    end: str
    operations: int
    customers: int
    days: float
    known: int
    frauds: int
    recorded: Figures | None
    without_rules: Figures
    with_rules: Figures
    added: Figures
    listed: Figures | None
    levels: dict[str, int]
    by_kind: dict[Kind, Figures]
    rules: list[RuleFigures]


def report(heard: Heard, asked: Asked, has_list: bool) -> Report:
    """Figures of a trial. has_list: whether a list was on trial."""
    levels, passed = heard.with_rules(), heard.recorded <= 0
    involved = (levels > 0) | ~passed
    involved[np.concatenate([*heard.hits, heard.listed])] = True
    measure = Measure(heard, asked.costs, involved, asked.resamples, asked.seed)
    stopped = np.flatnonzero(levels > 0)
    was_decided = bool((heard.recorded != UNDECIDED).any())
    return Report(
        asked=asked, start=moment(heard.start), end=moment(heard.end), operations=len(heard), customers=measure.customers, days=heard.days, known=int((heard.labels >= 0).sum()),
        frauds=int((heard.labels == 1).sum()),
        recorded=measure.of(np.flatnonzero(~passed)) if was_decided else None,
        without_rules=measure.of(np.flatnonzero(heard.without_rules > 0)), with_rules=measure.of(stopped),
        added=measure.of(stopped[passed[stopped]]), listed=measure.of(heard.listed) if has_list else None,
        levels=dict(zip((level.word for level in RiskLevel), np.bincount(levels, minlength=3).tolist(), strict=True)),
        by_kind=_by_kind(heard, measure, stopped),
        rules=_of_rules(heard, measure),
    )  # fmt: skip


def rule_figures(heard: Heard, asked: Asked) -> list[RuleFigures]:
    """Of each rule alone, without the figures of all together."""
    involved = np.zeros(len(heard), np.bool_)
    involved[np.concatenate([*heard.hits, heard.listed])] = True
    measure = Measure(heard, asked.costs, involved, asked.resamples, asked.seed)
    return _of_rules(heard, measure)


def _of_rules(heard: Heard, measure: Measure) -> list[RuleFigures]:
    places = tqdm(range(len(heard.rules)), desc="figures", unit="rule", delay=2, mininterval=1, leave=False)
    return [_of_rule(heard, measure, place) for place in places]


def _of_rule(heard: Heard, measure: Measure, place: int) -> RuleFigures:
    rule, hits = heard.rules[place], heard.hits[place]
    alone = (heard.speaking()[hits] == 1) & (heard.without_rules[hits] == 0)
    return RuleFigures(
        id=rule.id, criterion=rule.criterion, level=rule.level, state=rule.state.value, hits=measure.of(hits),
        new=measure.of(hits[heard.recorded[hits] <= 0]), alone=measure.of(hits[alone]), beside=_beside(heard, place),
        by_kind=_by_kind(heard, measure, hits), failed=len(heard.failed[place]),
    )  # fmt: skip


def _by_kind(heard: Heard, measure: Measure, rows: Integers) -> dict[Kind, Figures]:
    """The kinds among some operations; shares are of the kind's own frauds."""
    return {KINDS[kind]: measure.of(rows, within=heard.kinds == kind) for kind in np.unique(heard.kinds[rows]).tolist()}


def _beside(heard: Heard, place: int) -> dict[str, int]:
    """How many of a rule's hits others have too, the most first."""
    mine = _mask(len(heard), heard.hits[place])
    shared = {_name(heard, other): int(mine[rows].sum()) for other, rows in enumerate(heard.hits) if other != place}
    shared |= {
        f"recorded:{voice.code}": int(mine[rows].sum()) for voice, rows in heard.spoke.items() if voice.layer == Layer.RULES
    }
    levels = heard.recorded[heard.hits[place]]
    shared |= {f"recorded:{level.word}": int((levels == level).sum()) for level in RiskLevel}
    return {name: count for name, count in sorted(shared.items(), key=lambda item: -item[1]) if count}


def _name(heard: Heard, place: int) -> str:
    """The id, with the state where a rule is on trial in two forms."""
    rule = heard.rules[place]
    is_twice = sum(other.id == rule.id for other in heard.rules) > 1
    return f"{rule.id} ({rule.state})" if is_twice else rule.id


def _mask(size: int, rows: Integers) -> NDArray[np.bool_]:
    mask = np.zeros(size, np.bool_)
    mask[rows] = True
    return mask


def moment(ms: int) -> str:
    """A moment as the report says it."""
    return instants.from_ms(ms).isoformat(timespec="seconds")
