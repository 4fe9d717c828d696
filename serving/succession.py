"""Succession: a running server follows models/CHAMPION without a restart and without losing an operation.

What is named there is loaded, checked and warmed off the thread that answers, and takes over by one assignment, with all that
hangs on the model: thresholds, features, profiles, the vocabulary of the rules, the counts for drift. So every operation
meets one champion, before or after. What does not fit is refused once, and the champion in force stays.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from casework import champions
from casework.database import Database
from domain import promotions
from domain.bundle import CHAMPION_FILE, MANIFEST_FILE, MODEL_FILE, champion
from domain.errors import BundleError, HeldElsewhereError, RuleError
from features.feature_set import FeatureSet
from features.plan import Plan
from serving import scoring
from serving.assessor import Assessor, Layers
from serving.live_counts import LiveCounts
from serving.live_profiles import LiveProfiles
from serving.metrics import Metrics
from serving.scoring import Model
from serving.settings import Settings

log = logging.getLogger("burana")
NO_REFERENCE = "bundle %s was trained by a release that kept no stability.json; a new training keeps one"
UNRECORDED = ("unknown", f"{promotions.PROMOTIONS_FILE} says nothing of it")


class Named(NamedTuple):
    """What CHAMPION names, and when it, the bundle's manifest and its model were written: each change is looked at once."""

    version: str
    written_ns: int
    manifest_ns: int
    model_ns: int


class Succession:
    """One for a process. `look` is called time and again, in the loop that answers."""

    def __init__(self, settings: Settings, plan: Plan, assessor: Assessor, database: Database,
                 profiles: Callable[[], Awaitable[LiveProfiles]]) -> None:  # fmt: skip
        """profiles: loads those for now, for a champion that reads them where the one in force does not."""
        self._settings, self._plan, self._assessor = settings, plan, assessor
        self._database, self._profiles = database, profiles
        found, model = named(settings.models), assessor.layers.model
        self._seen = found if found is not None and model is not None and found.version == model.version else None

    async def look(self) -> None:
        """Take over the bundle that CHAMPION names, when it is another one and fits."""
        found, in_force = await asyncio.to_thread(named, self._settings.models), self._assessor.layers
        if found == self._seen:
            return
        if found is None:
            self._seen = found
            if in_force.model is not None:
                self._say_unread(in_force.model)
            return
        if in_force.model is not None and found.version == in_force.model.version:
            await self._look_again(found)
            return
        try:
            layers = await self._prepared(self._settings.models / found.version, in_force)
        except (BundleError, RuleError) as error:
            self._refuse(found, error)
            return
        if not isinstance(self._assessor.records.broken, HeldElsewhereError):  # a standby's champion does not act yet
            assert layers.model is not None, "it was loaded for this"
            await asyncio.to_thread(record, self._database, self._settings.models, layers.model)
        if self._assessor.layers.rules is in_force.rules:  # else rules were loaded meanwhile: the next look takes both
            self._seen = found
            self._exchange(layers)

    async def _look_again(self, found: Named) -> None:
        """The champion in force was written again: whatever is there now, it acts as it was loaded; damage is said before a restart."""
        self._seen = found
        try:
            await asyncio.to_thread(scoring.load, self._settings.models / found.version, self._plan)
        except BundleError as error:
            self._refuse(found, error)

    async def _prepared(self, folder: Path, in_force: Layers) -> Layers:
        """The layers of a bundle; BundleError or RuleError says why it cannot take over."""
        model = await asyncio.to_thread(scoring.load, folder, self._plan)
        features = FeatureSet(self._plan, model.asks_for_profiles)
        profiles = await self._profiles_for(features, in_force, folder)
        try:
            rules = await asyncio.to_thread(in_force.rules.over, features.names)
        except RuleError as error:
            raise RuleError(
                f"{folder}: rules-{in_force.rules.version} name features that it does not read: {error}"
            ) from error
        return Layers(in_force.registry, model, rules, features, profiles, live_counts(model, self._assessor.metrics))

    async def _profiles_for(self, features: FeatureSet, in_force: Layers, folder: Path) -> LiveProfiles | None:
        if not features.with_profiles:
            return None
        profiles = in_force.profiles or await self._profiles()
        if profiles.newest_day is None:
            raise BundleError(
                f"{folder} reads profiles, and there are none in {self._settings.profiles}: materialise them first, then name it again"
            )
        return profiles

    def _exchange(self, layers: Layers) -> None:
        """From here on every operation meets the new champion."""
        self._assessor.layers = layers
        assert layers.model is not None, "it was loaded for this"
        tell(self._assessor.metrics, layers)
        self._assessor.metrics.champions_taken.inc()
        log.info("champion %s has taken over", layers.model.version)

    def _say_unread(self, model: Model) -> None:
        """CHAMPION is gone, or another user's: who went back by it would take the bundle before for the one in force."""
        self._assessor.metrics.champions_refused.inc()
        file = self._settings.models / CHAMPION_FILE
        log.error("%s cannot be read, %s stays in force: the server's user must be able to", file, model.version)

    def _refuse(self, found: Named, error: Exception) -> None:
        self._seen = found
        self._assessor.metrics.champions_refused.inc()
        model = self._assessor.layers.model
        log.error("champion %s refused, %s stays in force: %s", found.version, model.version if model else "none", error)


def named(models: Path) -> Named | None:
    """What CHAMPION names; None while it cannot be read."""
    try:
        folder = champion(models)
        return Named(
            folder.name,
            written_ns(models / CHAMPION_FILE),
            written_ns(folder / MANIFEST_FILE),
            written_ns(folder / MODEL_FILE),
        )
    except BundleError:
        return None


def first(settings: Settings, plan: Plan) -> Model | None:
    """The champion at the start, checked and warm; None without one where the settings allow to run on rules alone."""
    try:
        return scoring.load(champion(settings.models), plan)
    except BundleError:
        if settings.require_model:
            raise
        log.warning("no champion: every operation is verified until there is one", exc_info=True)
        return None


def record(database: Database, models: Path, model: Model) -> None:
    """Write into the audit log who let this bundle act and why."""
    try:
        promotion = promotions.last_to(promotions.read(models), model.version)
    except (BundleError, OSError) as error:
        log.warning("who promoted %s cannot be read: %s", model.version, error)
        promotion = None
    person, reason = UNRECORDED if promotion is None else (promotion.by, promotion.reason)
    champions.take_over(database, model.version, model.manifest.thresholds, person, reason)


def live_counts(model: Model | None, metrics: Metrics) -> LiveCounts | None:
    """Counts of what will be served; None, and said so, where drift cannot be measured."""
    if model is None or model.stability is None:
        log.warning("drift is not measured: %s", "there is no model" if model is None else NO_REFERENCE % model.version)
        return None
    return LiveCounts(model.stability, now, metrics.psi_dropped.inc)


def tell(metrics: Metrics, layers: Layers) -> None:
    """Let the metrics say which champion is in force; what they held of another one is forgotten."""
    version = None if layers.model is None else layers.model.version
    metrics.in_force(version, is_psi_measured=layers.live is not None)


def now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


def written_ns(file: Path) -> int:
    """When a file was written, nanoseconds since 1970; 0 for none."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0
