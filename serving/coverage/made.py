"""The coverage map of an operator: what is in force, and what a ledger or a history says that it found."""

from dataclasses import replace

from msgspec import Struct

from casework import rule_sets
from casework.database import Database
from casework.ledger import Ledger
from domain import instants
from domain.bundle import champion, manifest_of
from domain.errors import BundleError, EmptyPeriodError, RuleError
from domain.rules import State
from features.feature_set import FeatureSet
from features.history import History
from features.plan import Plan
from serving.backtest.asking import Trial
from serving.backtest.figures import Costs
from serving.backtest.heard import SHADOW, Heard, Voice
from serving.backtest.of_history import HistorySource
from serving.backtest.of_ledger import LedgerSource
from serving.backtest.report import Asked, moment
from serving.backtest.trying import as_recorded, heard
from serving.coverage.cells import Map, Serving, coverage
from serving.rule_language import names_in, written_out
from serving.settings import Settings
from serving.templates import completed


class Span(Struct, frozen=True):
    """Which operations are looked at. start, end, as_of, delay: ms, as in a backtest; after: entries up to this number are not read."""

    start: int
    end: int
    as_of: int | None
    delay: int
    resamples: int
    seed: int
    after: int = 0

    @property
    def period(self) -> tuple[int, int]:
        """From the first to the end."""
        return self.start, self.end


def of_ledger(settings: Settings, database: Database, plan: Plan, span: Span) -> Map:
    """With what spoke as recorded, and without it where no operation was."""
    serving = in_force(settings, database, plan)
    try:
        source = LedgerSource(Ledger(database), plan, (), *span.period, span.as_of, span.after)
    except EmptyPeriodError:
        return coverage(serving, None, _asked(span, 0))
    return coverage(serving, as_recorded(source, serving.rules, span.delay, span.period), _asked(span, source.as_of))


def of_history(settings: Settings, database: Database, plan: Plan, history: History, span: Span, workers: int) -> Map:
    """With what the rules in force find in a history; the model and the registry are not asked."""
    serving = in_force(settings, database, plan)
    used = names_in([written_out(rule) for rule in serving.rules])
    names = tuple(name for name in FeatureSet(plan).names if name in used)
    source = HistorySource(history, plan, names, *span.period, span.as_of)
    trial = Trial(serving.rules, names)
    return coverage(
        serving, _as_if_recorded(heard(source, trial, span.delay, span.period, workers)), _asked(span, source.as_of)
    )


def in_force(settings: Settings, database: Database, plan: Plan) -> Serving:
    """The rules that run and what the champion reads; RuleError before the first set."""
    if (stored := rule_sets.live(database)) is None:
        raise RuleError("no rules are in force yet; the server loads its starter set when it first starts")
    features = FeatureSet(plan)
    rules = tuple(completed([rule for rule in stored.rules if rule.state.runs], features.names))
    try:
        manifest = manifest_of(champion(settings.models))
    except BundleError:  # served without one: then no cell is the model's
        return Serving(f"rules-{stored.version}", rules, tuple(features.entries), None, frozenset())
    return Serving(f"rules-{stored.version}", rules, tuple(features.entries), manifest.version, frozenset(manifest.features))


def _as_if_recorded(found: Heard) -> Heard:
    voices = {
        Voice(SHADOW if rule.state is State.SHADOW else "rules", rule.id, rule.criterion): rows
        for rule, rows in zip(found.rules, found.hits, strict=True)
    }
    return replace(found, spoke=voices)


def _asked(span: Span, as_of: int) -> Asked:
    return Asked("", moment(as_of), span.delay / instants.DAY, span.resamples, span.seed, Costs())
