"""The cells of the coverage map: which rules, templates, features, checks and reasons of the model live in each, and what they found."""

from collections.abc import Iterable, Iterator
from enum import StrEnum

import numpy as np
from msgspec import Struct

from domain.applicability import why_not
from domain.criteria import FraudCriterion
from domain.decision import Layer
from domain.operation import Kind
from domain.rules import Rule, State
from features.catalogue import Entry
from serving.backtest.figures import Figures, Measure
from serving.backtest.heard import SHADOW, Heard, Integers, Voice
from serving.backtest.report import Asked, moment

KINDS = tuple(Kind)
STORY = "tests/stories/test_every_cell.py::test_the_criterion_is_seen[{criterion}-{kind}]"
"""The test that tells the criterion at an operation of the kind."""
CHECKS = {
    FraudCriterion.SUSPICIOUS_RECIPIENT: ("registry",),
    FraudCriterion.AMOUNT: ("basic checks",),
    FraudCriterion.POLICY: ("basic checks",),
}
"""What serves a criterion at every kind of operation, beside rules and model: R45, R96 and R22."""


class Lives(StrEnum):
    """The strongest of what lives in a cell. acts: a live rule, the registry or a basic check; scores: the model reads its features,
    and names the criterion among its reasons; counts: only rules in shadow; nothing: red; none: the criterion cannot apply."""  # fmt: skip

    ACTS = "acts"
    SCORES = "scores"
    COUNTS = "counts"
    NOTHING = "nothing"
    NONE = "not_applicable"


class Found(Struct, frozen=True):
    """What spoke for a cell over a period. acted: hits of whatever acted; counted: of rules in shadow; by: hits by rule, or layer."""

    acted: Figures
    counted: Figures
    by: dict[str, int]


class Cell(Struct, frozen=True):
    """A criterion at a kind of operation.

    live, shadow: rules that are asked of the kind, by id; templates: those of them that tell a scheme by its steps; checks: what else
    acts; why_not: why the criterion cannot apply; story: the test that tells it, None where there is none; found: None without a
    period, or where nothing can live.
    """

    criterion: FraudCriterion
    kind: Kind
    lives: Lives
    live: tuple[str, ...]
    shadow: tuple[str, ...]
    templates: tuple[str, ...]
    checks: tuple[str, ...]
    is_scored: bool
    why_not: str | None
    story: str | None
    found: Found | None


class Row(Struct, frozen=True):
    """A criterion. words: as the regulation has it; features: all that serve it; scored: those that the champion reads."""

    criterion: FraudCriterion
    words: str
    features: tuple[str, ...]
    scored: tuple[str, ...]


class Map(Struct, frozen=True):
    """The map. policy, model: what was looked at, None without a champion; start, end, as_of: of what was found, None for nothing;
    operations: in that period; counts: cells by what lives in them; cells: by criterion, then kind.
    """  # fmt: skip

    policy: str
    model: str | None
    start: str | None
    end: str | None
    as_of: str | None
    operations: int
    counts: dict[Lives, int]
    criteria: tuple[Row, ...]
    kinds: tuple[Kind, ...]
    cells: tuple[Cell, ...]

    def cell(self, criterion: FraudCriterion, kind: Kind) -> Cell:
        """One of them."""
        return next(cell for cell in self.cells if (cell.criterion, cell.kind) == (criterion, kind))


class Serving(Struct, frozen=True):
    """What is in force. rules: live and in shadow; entries: every feature that runs, in words; read: the names that the champion reads."""

    policy: str
    rules: tuple[Rule, ...]
    entries: tuple[Entry, ...]
    model: str | None
    read: frozenset[str]


def coverage(serving: Serving, heard: Heard | None, asked: Asked) -> Map:
    """The map of what is in force. heard: recorded operations and what spoke of them, None for a map without what was found."""
    rows = tuple(_row(serving, criterion) for criterion in FraudCriterion)
    findings = None if heard is None else _Findings(serving, heard, asked)
    cells = tuple(_cell(serving, row, kind, findings) for row in rows for kind in KINDS)
    counts = {lives: sum(cell.lives is lives for cell in cells) for lives in Lives}
    return Map(
        serving.policy, serving.model, None if heard is None else moment(heard.start), None if heard is None else moment(heard.end),
        None if heard is None else asked.as_of, 0 if heard is None else len(heard), counts, rows, KINDS, cells,
    )  # fmt: skip


def _row(serving: Serving, criterion: FraudCriterion) -> Row:
    names = tuple(entry.name for entry in serving.entries if entry.serves is criterion)
    return Row(criterion, criterion.words, names, tuple(name for name in names if name in serving.read))


def _cell(serving: Serving, row: Row, kind: Kind, findings: "_Findings | None") -> Cell:
    if (reason := why_not(row.criterion, kind)) is not None:
        return Cell(row.criterion, kind, Lives.NONE, (), (), (), (), False, reason, None, None)
    mine = [rule for rule in serving.rules if rule.criterion is row.criterion and kind in rule.kinds]
    live, shadow = (tuple(rule.id for rule in mine if rule.state is state) for state in (State.LIVE, State.SHADOW))
    checks = CHECKS.get(row.criterion, ())
    return Cell(
        criterion=row.criterion, kind=kind, lives=_lives(bool(live or checks), bool(row.scored), bool(shadow)), live=live,
        shadow=shadow, templates=tuple(rule.id for rule in mine if rule.steps), checks=checks, is_scored=bool(row.scored),
        why_not=None, story=STORY.format(criterion=row.criterion, kind=kind),
        found=None if findings is None else findings.of(row.criterion, kind),
    )  # fmt: skip


def _lives(acts: bool, scores: bool, counts: bool) -> Lives:
    if acts:
        return Lives.ACTS
    if scores:
        return Lives.SCORES
    return Lives.COUNTS if counts else Lives.NOTHING


class _Findings:
    """What spoke of recorded operations, by criterion."""

    def __init__(self, serving: Serving, heard: Heard, asked: Asked) -> None:
        self._heard = heard
        of_rule = {rule.id: rule.criterion for rule in serving.rules}
        self._voices = {voice: _criterion(voice, of_rule) for voice in heard.spoke}
        rows = [heard.spoke[voice] for voice, criterion in self._voices.items() if criterion is not None]
        self._measure = Measure(heard, asked.costs, _mask(len(heard), _union(rows)), asked.resamples, asked.seed)

    def of(self, criterion: FraudCriterion, kind: Kind) -> Found:
        """Of one cell."""
        within = self._heard.kinds == KINDS.index(kind)
        mine = {voice: rows[within[rows]] for voice, rows in self._of(criterion)}
        acted = _union(rows for voice, rows in mine.items() if voice.layer != SHADOW)
        counted = _union(rows for voice, rows in mine.items() if voice.layer == SHADOW)
        by: dict[str, int] = {}
        for voice, rows in mine.items():
            if len(rows):
                by[_said(voice)] = by.get(_said(voice), 0) + len(rows)
        return Found(self._measure.of(acted, within), self._measure.of(counted, within), by)

    def _of(self, criterion: FraudCriterion) -> Iterator[tuple[Voice, Integers]]:
        return ((voice, rows) for voice, rows in self._heard.spoke.items() if self._voices[voice] is criterion)


def _criterion(voice: Voice, of_rule: dict[str, FraudCriterion]) -> FraudCriterion | None:
    """What a voice speaks for. A rule in shadow left its id alone: that of a rule that is gone speaks for nothing."""
    if voice.layer == SHADOW:
        return of_rule.get(voice.code)
    return None if voice.criterion is None else FraudCriterion(voice.criterion)


def _said(voice: Voice) -> str:
    return voice.code if voice.layer in (SHADOW, Layer.RULES) else voice.layer


def _union(rows: Iterable[Integers]) -> Integers:
    return np.unique(np.concatenate([np.empty(0, np.int64), *rows]))


def _mask(size: int, rows: Integers) -> np.ndarray:
    mask = np.zeros(size, np.bool_)
    mask[rows] = True
    return mask
