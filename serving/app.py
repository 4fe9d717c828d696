"""The only place where real things are plugged in."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from importlib import resources

from casework import database as databases
from casework import rule_sets
from casework.database import Database
from casework.group_commit import GroupCommit
from casework.keys import Keys
from casework.ledger import Ledger
from casework.lookups import lookups
from casework.registry import Registry
from domain.errors import BuranaError, HeldElsewhereError, LedgerError, RuleError
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feature_set import FeatureSet
from features.layout import Word
from features.plan import Plan
from features.profiles import due_day
from serving import api, garbage, recorded_settings, recovery, spot_check, succession
from serving.assessor import FEATURE_FAILURES, Assessor, Layers
from serving.auth import Gate
from serving.batches import Batches
from serving.candidates import Candidates
from serving.challengers import Challengers
from serving.endpoint import Endpoint
from serving.explanation import Explanations
from serving.live_profiles import LiveProfiles
from serving.metrics import Metrics
from serving.notary import Notary
from serving.rates import Rate, Rates
from serving.readiness import Readiness
from serving.recorded_at import RecordedAt
from serving.rule_desk import Desk
from serving.rules import Rules
from serving.settings import Settings
from serving.signatures import Signatures
from serving.snapshots import Snapshots
from serving.tenure import Tenure, check_card_key, writer_of

log = logging.getLogger("burana")
STARTER_RULES = "starter_rules.toml"


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
            check_card_key(settings, self.ledger)
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
            layers.profiles = await self._profiles() if features.with_profiles else None
            recorded_at = RecordedAt(self.clock, self.ledger.last_recorded_at, self.metrics.clock_stepped_back.inc)
            self.assessor = Assessor(
                settings, identifiers, layers, self.tenure.engine(), commits, seen, self.clock, recorded_at, self.metrics
            )
            if self.is_standby:
                self.assessor.broken = HeldElsewhereError("the ledger is not held yet")
            await self._acting()
            self.snapshots = Snapshots(settings, self.metrics, lambda: self.assessor.engine.applied)
            self.readiness = Readiness(settings, self.ledger, self.assessor, self.tenure, self.clock)
            self.candidates = Candidates(self.database, frozenset(settings.listing_rules.split()))
            self.challengers = Challengers(settings, plan, self.metrics)
            opened.callback(self.challengers.close)
            self.notary = Notary(settings, self.database, self.metrics)
            opened.callback(self.notary.close)
            self.batches = Batches(settings, self.database, self.metrics, lambda: self.assessor.engine.applied)
            await self._recover()
            await self.readiness.look()
            self._opened = opened.pop_all()
        self._refused_rules: tuple[str, FeatureSet] | None = None
        self._tasks = [
            asyncio.create_task(self.snapshots.keep()),
            asyncio.create_task(self._keep_looking()),
            asyncio.create_task(self._keep_up()),
            asyncio.create_task(self._keep_recording()),
            asyncio.create_task(self._keep_new_ids()),
            asyncio.create_task(self._follow_champion()),
            asyncio.create_task(self._follow_profiles()),
            asyncio.create_task(self._follow_challengers()),
            asyncio.create_task(self._follow_audit_log()),
            asyncio.create_task(self._batch_decisions()),
        ]
        if settings.propose_entries:
            self._tasks.append(asyncio.create_task(self._follow_candidates()))
        if settings.spot_check_s:
            self._tasks.append(asyncio.create_task(self._spot_checks()))
        garbage.leave_what_is_loaded()
        engine, state = self.assessor.engine, "standby" if self.is_standby else "ready"
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
                await asyncio.wait_for(self.assessor.drained(), self.settings.drain_s)
                await asyncio.to_thread(self.tenure.save, self.assessor)
            except (BuranaError, OSError, TimeoutError) as error:
                log.error("no snapshot at this stop, the next start replays more: %s", error or "the disk did not answer")  # noqa: TRY400

    async def _keep_up(self) -> None:
        """Follow changes of registry, rules and keys that any process made."""
        while True:
            await asyncio.sleep(self.settings.refresh_s)
            for follow in (self._follow_registry, self._follow_keys, self._follow_rules, self._time_rules, self._count_live):
                try:
                    await follow()
                except (BuranaError, OSError, RuntimeError, *FEATURE_FAILURES):
                    self.metrics.follow_failures.inc()
                    log.exception("%s failed; what was loaded last stays in force", follow.__name__)

    async def _keep_looking(self) -> None:
        """Look whether this process is ready."""
        while True:
            await asyncio.sleep(self.settings.refresh_s)
            await self.readiness.look()

    async def _keep_recording(self) -> None:
        """Recover after a failed write, follow the ledger as a standby; in a task of its own, so that a database that answers nothing is waited for once."""
        while True:
            await asyncio.sleep(self.settings.refresh_s)
            try:
                await self._recover()
            except (BuranaError, OSError, RuntimeError, *FEATURE_FAILURES) as error:
                log.error("the ledger does not take records yet: %s", error)  # noqa: TRY400 it is said twice a second

    async def _spot_checks(self) -> None:
        """Time and again: recompute a sample of the served vectors, and count what differs."""
        metrics = self.metrics
        while True:
            await asyncio.sleep(self.settings.spot_check_s)
            if self.is_standby:
                continue
            try:
                found = await spot_check.check(self.settings.database)
            except (BuranaError, OSError, ValueError, LookupError):
                log.exception("a sample of the served vectors could not be verified")
                continue
            metrics.spot_checked.inc(found.vectors)
            metrics.spot_differing.inc(found.differing)
            if found.vectors:
                metrics.spot_checked_at.set(succession.now().timestamp())
            if found.differing:
                log.error("%d of %d served vectors differ: %s", found.differing, found.vectors, found.first_difference)

    async def _keep_new_ids(self) -> None:
        """Have at hand which ids are surely new; while that is not so the database is asked."""
        while True:
            if not self.is_standby and self.assessor.new_ids.is_due:
                try:
                    await self.assessor.new_ids.read(self.ledger, self.assessor.pending)
                except LedgerError:
                    log.exception("the ids of the ledger could not be read; each id is looked up meanwhile")
            await asyncio.sleep(self.settings.refresh_s)

    async def _follow_champion(self) -> None:
        """Let another champion take over when CHAMPION names one; in a task of its own, so that the registry waits for nobody."""
        heir = succession.Succession(self.settings, self.plan, self.assessor, self.database, self._profiles)
        while True:
            await asyncio.sleep(self.settings.refresh_s)
            try:
                await heir.look()
            except (BuranaError, OSError, RuntimeError, *FEATURE_FAILURES):
                log.exception("the champion could not be followed; the one in force stays")

    async def _follow_challengers(self) -> None:
        """Let challengers score in shadow what was decided, in another thread."""
        while True:
            await asyncio.sleep(self.settings.refresh_s)
            if self.is_standby:
                continue
            try:
                await asyncio.to_thread(self.challengers.turn, self.assessor.layers)
            except (BuranaError, OSError, RuntimeError, *FEATURE_FAILURES):
                log.exception("challengers could not score; no decision depends on them")

    async def _follow_audit_log(self) -> None:
        """Sign checkpoints of the audit log, in another thread."""
        while True:
            await asyncio.sleep(self.settings.refresh_s)
            if self.is_standby:
                continue
            try:
                await asyncio.to_thread(self.notary.turn)
            except (BuranaError, OSError, RuntimeError):
                log.exception("the audit log could not be followed; what is recorded stays, and is signed later")

    async def _follow_candidates(self) -> None:
        """Let high-risk decisions propose entries of the registry, in another thread."""
        while True:
            await asyncio.sleep(self.settings.refresh_s)
            if self.is_standby:
                continue
            try:
                await asyncio.to_thread(self.candidates.turn)
            except (BuranaError, OSError, RuntimeError):
                self.metrics.follow_failures.inc()
                log.exception("high-risk decisions could not propose entries; no decision depends on it")

    async def _batch_decisions(self) -> None:
        """Let decisions join the audit log, by a process beside."""
        while True:
            await asyncio.sleep(self.settings.refresh_s)
            if self.is_standby:
                continue
            try:
                await self.batches.turn()
            except (BuranaError, OSError, RuntimeError):
                log.exception("how far decisions are in the audit log cannot be looked up; they are batched later")

    async def _profiles(self) -> LiveProfiles:
        """The profiles for now and for the time at which the ledger ends, as far as they are there."""
        profiles = LiveProfiles(self.settings.profiles, self.settings.profiles_days_behind, self.metrics)
        if (row := await asyncio.to_thread(recovery.last_row, self.ledger)) is not None:
            profiles.ask(due_day(row[Word.TIME], row[Word.ZONE_OFFSET]))
        await asyncio.to_thread(profiles.refresh)
        if profiles.newest_day is None:
            log.warning("no profiles in %s: every operation is verified until there are some", self.settings.profiles)
        return profiles

    async def _follow_profiles(self) -> None:
        """Load newer profiles as they come, off the thread that answers, while the champion reads any."""
        while True:
            if (profiles := self.assessor.layers.profiles) is None:
                await asyncio.sleep(self.settings.refresh_s)
                continue
            await profiles.turn(self.settings.profiles_refresh_s)
            try:
                await asyncio.to_thread(profiles.refresh)
            except (BuranaError, OSError, *FEATURE_FAILURES):
                log.exception("profiles could not be looked at; what was loaded last stays in force")

    async def _recover(self) -> None:
        if await self.tenure.turn(self.assessor):
            await self._acting()

    async def _acting(self) -> None:
        """Record the settings and who lets the champion act, once this process takes records."""
        if self.is_standby:
            return
        await asyncio.to_thread(recorded_settings.record, self.database, self.settings)
        if (model := self.assessor.layers.model) is not None:
            await asyncio.to_thread(succession.record, self.database, self.settings.models, model)

    async def _follow_registry(self) -> None:
        await asyncio.to_thread(self.assessor.layers.registry.refresh)

    async def _follow_keys(self) -> None:
        await asyncio.to_thread(self.keys.refresh)

    async def _follow_rules(self) -> None:
        stored, layers = await asyncio.to_thread(rule_sets.live, self.database), self.assessor.layers
        if stored is None or stored.version == layers.rules.version:
            return
        if (asked := (stored.version, layers.features)) == self._refused_rules:
            return
        self._refused_rules = asked
        try:
            rules = await asyncio.to_thread(Rules, stored.content, layers.features.names, stored.version, stored.shadow)
        except RuleError:
            self.metrics.rules_refused.inc()
            raise
        if layers is not self.assessor.layers:  # a champion took over meanwhile: the next look compiles over its features
            self._refused_rules = None
            return
        layers.rules = rules
        self._refused_rules = None
        log.info("rules %s are live", stored.version)

    async def _time_rules(self) -> None:
        await asyncio.to_thread(self.metrics.rules.look, self.assessor.layers.rules)

    async def _count_live(self) -> None:
        if (live := self.assessor.layers.live) is not None:
            await asyncio.to_thread(live.count)


def live_rules(database: Database, features: FeatureSet) -> Rules:
    """The live set; the starter set is loaded, and recorded as such, where there is none."""
    stored = rule_sets.live(database)
    if stored is None:
        Desk(database, features.names).load(starter_rules(), rule_sets.BURANA, "starter set of this release")
        stored = rule_sets.live(database)
        assert stored is not None, "the set was loaded in the line above"
    return Rules(stored.content, features.names, stored.version, stored.shadow)


def starter_rules() -> str:
    """The rules and templates that a new installation starts with, TOML."""
    return resources.files("serving").joinpath(STARTER_RULES).read_text(encoding="utf-8")


def gate(settings: Settings, keys: Keys, metrics: Metrics) -> Gate:
    """What lets callers in, as the settings have it."""
    signatures = Signatures(settings.card_key(), settings.signature_window_s, time.time)
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
