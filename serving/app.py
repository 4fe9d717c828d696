"""The only place where real things are plugged in."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from casework import database as databases
from casework.group_commit import GroupCommit
from casework.keys import Keys
from casework.ledger import Ledger
from casework.lookups import lookups
from casework.registry import Registry
from domain.errors import BuranaError, HeldElsewhereError
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feature_set import FeatureSet
from features.layout import Word
from features.plan import Plan
from features.profiles import due_day
from serving import api, card_key, garbage, recorded_settings, recovery, succession
from serving.assessor import Assessor, Layers
from serving.auth import Gate
from serving.batches import Batches
from serving.candidates import Candidates
from serving.challengers import Challengers
from serving.endpoint import Endpoint
from serving.explanation import Explanations
from serving.following import Following
from serving.live_profiles import LiveProfiles
from serving.live_rules import live_rules
from serving.metrics import Metrics
from serving.notary import Notary
from serving.rates import Rate, Rates
from serving.readiness import Readiness
from serving.recorded_at import RecordedAt
from serving.records import Records
from serving.settings import Settings
from serving.signatures import Signatures
from serving.snapshots import Snapshots
from serving.tenure import Tenure, writer_of

log = logging.getLogger("burana")


@dataclass
class Burana:
    """A running Burana: open it in an event loop, close it when done. clock: gives the moment, aware."""

    settings: Settings
    plan: Plan = field(default_factory=lambda: Plan(DEFINITIONS, RETAINED_ARRIVALS))
    clock: Callable[[], datetime] = succession.now

    async def open(self) -> None:
        """Open the database, load and check the champion, rebuild the features, warm up. BuranaError says what is wrong."""
        settings, plan = self.settings, self.plan
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as opened:
            self.database = opened.enter_context(databases.connect(settings.database, settings.patience))
            writing = writer_of(settings, self.database)
            commits = opened.enter_context(
                contextlib.closing(GroupCommit(writing, loop.call_soon_threadsafe, loop.call_soon))
            )
            self.ledger = Ledger(self.database)
            card_key.check(settings, self.database)
            self.keys, identifiers = Keys(self.database), settings.identifiers()
            model = succession.first(settings, plan)
            features = FeatureSet(plan, model is not None and model.asks_for_profiles)
            layers = Layers(Registry(self.database, identifiers), model, live_rules(self.database, features), features)
            recovery.warm_up(plan)
            seen = opened.enter_context(contextlib.closing(lookups(self.database, loop.call_soon_threadsafe)))
            self.metrics = Metrics()
            self.tenure = Tenure(settings, plan, self.ledger, self.metrics.states_refused.inc)
            self.gate = gate(settings, self.keys, self.metrics)
            layers.live = succession.live_counts(model, self.metrics)
            succession.tell(self.metrics, layers)
            layers.profiles = await self.profiles() if features.with_profiles else None
            recorded_at = RecordedAt(self.clock, self.ledger.last_recorded_at, self.metrics.clock_stepped_back.inc)
            self.records = Records(self.tenure.engine(), commits, seen, recorded_at, self.metrics, settings.max_pending)
            self.assessor = Assessor(settings, identifiers, layers, self.records, self.clock, self.metrics)
            if self.is_standby:
                self.records.broken = HeldElsewhereError("the ledger is not held yet")
            self._has_recorded = False
            await self._acting()
            self.snapshots = Snapshots(settings, self.metrics, lambda: self.records.engine.applied)
            self.readiness = Readiness(settings, self.ledger, self.assessor, self.tenure, self.clock)
            self.candidates = Candidates(self.database, frozenset(settings.listing_rules.split()))
            self.challengers = Challengers(settings, plan, self.metrics)
            opened.callback(self.challengers.close)
            self.notary = Notary(settings, self.database, self.metrics)
            opened.callback(self.notary.close)
            self.batches = Batches(settings, self.database, self.metrics, lambda: self.records.engine.applied)
            await self.recover()
            await self.readiness.look()
            self._opened = opened.pop_all()
        self._tasks = [asyncio.create_task(each) for each in Following(self).all()]
        garbage.leave_what_is_loaded()
        engine, state = self.records.engine, "standby" if self.is_standby else "ready"
        log.info("%s: %d entities of %d entries, model %s", state, engine.entities, engine.applied, self.model_version)

    @property
    def is_standby(self) -> bool:
        """Whether another process holds the ledger, and this one follows it."""
        return self.tenure.standby is not None

    @property
    def model_version(self) -> str | None:
        """The served bundle's version."""
        model = self.assessor.layers.model
        return None if model is None else model.version

    async def close(self) -> None:
        """Wait for what is on its way to the disk, no longer than `drain_s`; snapshot the features, close."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with self._opened:
            try:
                await asyncio.wait_for(self.records.drained(), self.settings.drain_s)
                await asyncio.to_thread(self.tenure.save, self.records)
            except (BuranaError, OSError, TimeoutError) as error:
                log.error("no snapshot at this stop, the next start replays more: %s", error or "the disk did not answer")  # noqa: TRY400

    async def profiles(self) -> LiveProfiles:
        """The profiles for now and for the time at which the ledger ends, as far as they are there."""
        profiles = LiveProfiles(self.settings.profiles, self.settings.profiles_days_behind, self.metrics)
        if (row := await asyncio.to_thread(recovery.last_row, self.ledger)) is not None:
            profiles.ask(due_day(row[Word.TIME], row[Word.ZONE_OFFSET]))
        await asyncio.to_thread(profiles.refresh)
        if profiles.newest_day is None:
            log.warning("no profiles in %s: every operation is verified until there are some", self.settings.profiles)
        return profiles

    async def recover(self) -> None:
        """After a failed write, or as a standby: see `Tenure.turn`. SettingsError where the card key is no longer the one in use."""
        if self.is_standby:  # it is not to take over, and hash cards that no entry is listed under
            await asyncio.to_thread(card_key.check, self.settings, self.database)
        if await self.tenure.turn(self.records):
            self._has_recorded = False
        if not self._has_recorded:
            await self._acting()

    async def _acting(self) -> None:
        """Record card key, settings and who lets the champion act, once this process takes records; what fails is for the next turn."""
        if self.is_standby:
            return
        await asyncio.to_thread(card_key.use, self.settings, self.database)
        await asyncio.to_thread(recorded_settings.record, self.database, self.settings)
        if (model := self.assessor.layers.model) is not None:
            await asyncio.to_thread(succession.record, self.database, self.settings.models, model)
        self._has_recorded = True


def gate(settings: Settings, keys: Keys, metrics: Metrics) -> Gate:
    """What lets callers in, as the settings have it."""
    signatures = Signatures(settings.card_key(), settings.signature_window_s, time.time, time.monotonic)
    rates = Rates(Rate(settings.rate_per_s, settings.rate_burst), settings.rates, time.monotonic)
    return Gate(keys, signatures, rates, metrics)


def application(settings: Settings) -> Endpoint:
    """The ASGI application that `burana serve` runs."""
    burana = Burana(settings)

    @asynccontextmanager
    async def opened() -> AsyncIterator[tuple[Assessor, Gate]]:
        await burana.open()
        try:
            yield burana.assessor, burana.gate
        finally:
            await burana.close()

    explanations = Explanations(settings.models, burana.plan)
    rest = api.application(lambda: burana, explanations)
    return Endpoint(settings.max_body, rest, opened)
