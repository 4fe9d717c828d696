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
from casework.writers import writer
from domain.errors import BuranaError, LedgerError, RuleError
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.engine import Engine
from features.feature_set import FeatureSet
from features.layout import Word
from features.plan import Plan
from features.profiles import due_day
from serving import api, recovery, spot_check, succession
from serving.assessor import FEATURE_FAILURES, Assessor, Layers
from serving.auth import Gate
from serving.challengers import Challengers
from serving.endpoint import Endpoint
from serving.explanation import Explanations
from serving.live_profiles import LiveProfiles
from serving.metrics import Metrics
from serving.rates import Rate, Rates
from serving.recorded_at import RecordedAt
from serving.rules import Rules
from serving.settings import Settings
from serving.signatures import Signatures

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
            commits = opened.enter_context(contextlib.closing(GroupCommit(writer(self.database), loop.call_soon_threadsafe)))
            self.keys, identifiers = Keys(self.database), settings.identifiers()
            model = succession.first(settings, plan)
            features = FeatureSet(plan, model is not None and model.asks_for_profiles)
            layers = Layers(Registry(self.database, identifiers), model, live_rules(self.database, features), features)
            recovery.warm_up(plan)
            self.ledger = Ledger(self.database)
            seen = opened.enter_context(contextlib.closing(lookups(self.database, loop.call_soon_threadsafe)))
            self.metrics = Metrics()
            engine = self._rebuilt()
            self.gate = gate(settings, self.keys, self.metrics)
            layers.live = succession.live_counts(model, self.metrics)
            succession.tell(self.metrics, layers)
            layers.profiles = await self._profiles() if features.with_profiles else None
            stepped_back = self.metrics.clock_stepped_back.inc
            recorded_at = RecordedAt(self.clock, self.ledger.last_recorded_at, stepped_back)
            self.assessor = Assessor(
                settings, identifiers, layers, engine, commits, seen, self.clock, recorded_at, self.metrics
            )
            if model is not None:
                succession.record(self.database, settings.models, model.version)
            self.challengers = Challengers(settings, plan, self.metrics)
            opened.callback(self.challengers.close)
            self._opened = opened.pop_all()
        self._refused_rules: tuple[str, FeatureSet] | None = None
        self._tasks = [
            asyncio.create_task(self._keep_up()),
            asyncio.create_task(self._keep_recording()),
            asyncio.create_task(self._keep_new_ids()),
            asyncio.create_task(self._follow_champion()),
            asyncio.create_task(self._follow_profiles()),
            asyncio.create_task(self._follow_challengers()),
        ]
        if settings.spot_check_s:
            self._tasks.append(asyncio.create_task(self._spot_checks()))
        log.info("ready: %d entities of %d entries, model %s", engine.entities, engine.applied, self.model_version)

    @property
    def model_version(self) -> str | None:
        """The served bundle's version."""
        model = self.assessor.layers.model
        return None if model is None else model.version

    async def close(self) -> None:
        """Wait for what is on its way to the disk, snapshot the features, close."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with self._opened:
            await self.assessor.drained()
            if self.assessor.broken is None and not self.assessor.stale:
                self._save()

    async def _keep_up(self) -> None:
        """Follow changes of registry, rules and keys that any process made."""
        while True:
            await asyncio.sleep(self.settings.refresh_s)
            for follow in (self._follow_registry, self._follow_keys, self._follow_rules, self._count_live):
                try:
                    await follow()
                except (BuranaError, OSError, RuntimeError, *FEATURE_FAILURES):
                    self.metrics.follow_failures.inc()
                    log.exception("%s failed; what was loaded last stays in force", follow.__name__)

    async def _keep_recording(self) -> None:
        """Recover after a failed write; in a task of its own, so that a database that answers nothing is waited for once."""
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
            try:
                found = await spot_check.beside(self.settings.database)
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
            if self.assessor.new_ids.is_due:
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
            try:
                await asyncio.to_thread(self.challengers.turn, self.assessor.layers)
            except (BuranaError, OSError, RuntimeError, *FEATURE_FAILURES):
                log.exception("challengers could not score; no decision depends on them")

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
            if profiles is not self.assessor.layers.profiles:  # a champion without them took over meanwhile
                succession.tell(self.metrics, self.assessor.layers)

    async def _recover(self) -> None:
        if self.assessor.broken is not None or self.assessor.stale:
            await self.assessor.recover(self._rebuilt)

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
            layers.rules = Rules(stored.content, layers.features.names, stored.version)
        except RuleError:
            self.metrics.rules_refused.inc()
            raise
        self._refused_rules = None
        log.info("rules %s are live", stored.version)

    async def _count_live(self) -> None:
        if (live := self.assessor.layers.live) is not None:
            await asyncio.to_thread(live.count)

    def _save(self) -> None:
        try:
            recovery.save(self.assessor.engine, self.ledger, self.settings.state)
        except (LedgerError, OSError) as error:
            log.error("no snapshot, the next start rebuilds from the ledger: %s", error)  # noqa: TRY400 it says all there is

    def _rebuilt(self) -> Engine:
        return recovery.rebuild(self.plan, self.ledger, self.settings.state, self.metrics.states_refused.inc)


def live_rules(database: Database, features: FeatureSet) -> Rules:
    """The live set; the starter set is loaded, and recorded as such, where there is none."""
    stored = rule_sets.live(database)
    if stored is None:
        content = resources.files("serving").joinpath(STARTER_RULES).read_text(encoding="utf-8")
        Rules(content, features.names)
        rule_sets.load(database, content, "burana", "starter set of this release")
        stored = rule_sets.live(database)
        assert stored is not None, "the set was loaded in the line above"
    return Rules(stored.content, features.names, stored.version)


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
    rest = api.application(lambda: burana.assessor, lambda: burana.ledger, lambda: burana.gate, burana.plan, explanations)
    return Endpoint(settings.max_body, rest, opened)
