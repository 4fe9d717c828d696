"""What would be asked about an operation if it came now: the features as of the ledger's end, registry, champion and rules in force."""

from datetime import UTC, datetime, timedelta

import numpy as np

from casework.database import Database
from casework.ledger import Ledger
from casework.registry import Registry
from domain.bundle import champion
from domain.operation import Operation, normal_operation
from domain.rule_text import written
from features.arrivals import row_of_operation
from features.feature_set import FeatureSet
from features.layout import Word
from features.plan import Plan
from features.profile_kernel import Integers
from serving import card_key, chosen_rules, recovery, scoring
from serving.hearing import Question, Terms, Vector
from serving.live_profiles import LiveProfiles, Used
from serving.metrics import Metrics
from serving.rules import Rules
from serving.settings import Settings

NEVER_DRAWN = 1.0
"""A lot above every share: what the lot does is no matter of a rule."""


def asked_now(settings: Settings, database: Database, plan: Plan, operation: Operation) -> Question:
    """InputError for an operation without a normal form, SettingsError for another card key than the database's: no listed card would
    be met. Beside a running server; nothing is recorded."""
    card_key.check(settings, database)
    identifiers = settings.identifiers()
    latest = datetime.now(UTC) + timedelta(seconds=settings.clock_ahead_s)
    operation = normal_operation(operation, identifiers, latest)
    row = np.array(row_of_operation(operation), np.int64)
    model = scoring.load(champion(settings.models), plan) if settings.require_model else None
    features = FeatureSet(plan, model is not None and model.asks_for_profiles)
    hits, change = Registry(database, identifiers).ask(operation, datetime.now(UTC))
    vector, used = _vector(settings, database, features, row)
    return Question(
        operation=operation, amount_tyiyn=row.item(int(Word.AMOUNT)), hits=hits, registry_change=change, read=lambda: (vector, used),
        model=model, rules=Rules(written(chosen_rules.in_force(database)), features.names), terms=Terms(settings.limit_tyiyn, settings.shares), lot=NEVER_DRAWN,
        late=lambda _: None,
    )  # fmt: skip


def _vector(settings: Settings, database: Database, features: FeatureSet, row: Integers) -> tuple[Vector, Used | None]:
    behaviour = recovery.rebuild(features.plan, Ledger(database), settings.state).read(row)
    if not features.with_profiles:
        return behaviour, None
    profiles = LiveProfiles(settings.profiles, settings.profiles_days_behind, Metrics())
    if profiles.use(row)[0].degraded is not None:
        profiles.refresh()
    return profiles.beside(behaviour, row)
