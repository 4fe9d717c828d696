"""What goes on beside the answers: following what other processes change, and handing on what was decided.

Each is a task of its own, so that none waits for another. One that fails is said, and tried again at its next turn; no decision
depends on any of them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial
from itertools import count
from math import ceil
from time import monotonic
from typing import Any, Protocol

from casework.database import Database
from casework.keys import Keys
from casework.ledger import Ledger
from domain.errors import BuranaError
from features.plan import Plan
from serving import spot_check, succession
from serving.assessor import Assessor
from serving.batches import Batches
from serving.candidates import Candidates
from serving.challengers import Challengers
from serving.live_profiles import LiveProfiles
from serving.live_rules import RuleFollower
from serving.metrics import Metrics
from serving.notary import Notary
from serving.readiness import Readiness
from serving.records import FEATURE_FAILURES, Records
from serving.settings import Settings
from serving.snapshots import Snapshots

log = logging.getLogger("burana")
FAILURES = (BuranaError, OSError, RuntimeError, *FEATURE_FAILURES)
"""Of one turn: the next one comes."""
APART = (5**0.5 - 1) / 2
"""Between the places of two tasks, as a share of the time between two turns: however many there are, no two are near one another."""
Turn = Callable[[], Awaitable[object]]


class Followed(Protocol):
    """A running Burana, see `serving/app.py`."""

    settings: Settings
    plan: Plan
    database: Database
    ledger: Ledger
    keys: Keys
    metrics: Metrics
    assessor: Assessor
    records: Records
    snapshots: Snapshots
    readiness: Readiness
    candidates: Candidates
    challengers: Challengers
    notary: Notary
    batches: Batches

    @property
    def is_standby(self) -> bool:
        """Whether another process holds the ledger."""

    async def profiles(self) -> LiveProfiles:
        """The profiles for now."""

    async def recover(self) -> None:
        """After a failed write, or as a standby: see `Tenure.turn`."""


class Following:
    """The tasks of one process."""

    def __init__(self, running: Followed) -> None:
        self._running, self._metrics, self._every_s = running, running.metrics, running.settings.refresh_s
        self._places = (i * APART % 1 for i in count())
        self._rules = RuleFollower(running.database, running.assessor)
        self._heir = succession.Succession(
            running.settings, running.plan, running.assessor, running.database, running.profiles
        )

    def all(self) -> Iterator[Coroutine[Any, Any, None]]:
        """What is to run for as long as the process does."""
        running = self._running
        yield running.snapshots.keep()
        yield self._again(running.readiness.look, "whether this process is ready could not be looked at")
        yield self._keep_up()
        yield self._keep_recording()
        yield self._again(self._heir.look, "the champion could not be followed; the one in force stays")
        yield self._follow_profiles()
        yield from self._of_the_holder()

    def _of_the_holder(self) -> Iterator[Coroutine[Any, Any, None]]:
        """What is done only while this process holds the ledger."""
        running, settings = self._running, self._running.settings
        yield self._held(self._read_ids, "the ids of the ledger could not be read; each id is looked up meanwhile")
        yield self._held(self._score_in_shadow, "challengers could not score; no decision depends on them")
        yield self._held(
            lambda: asyncio.to_thread(running.notary.turn),
            "the audit log could not be followed; what is recorded stays, and is signed later",
        )
        yield self._held(
            running.batches.turn, "how far decisions are in the audit log cannot be looked up; they are batched later"
        )
        if settings.propose_entries:
            propose = self._counted(lambda: asyncio.to_thread(running.candidates.turn))
            yield self._held(propose, "high-risk decisions could not propose entries; no decision depends on it")
        if settings.spot_check_s:
            words = "a sample of the served vectors could not be verified"
            yield self._held(self._check_spots, words, settings.spot_check_s)

    # ---- how often -----------------------------------------------------------------------------------------------------

    async def _again(self, turn: Turn, words: str, every_s: float | None = None) -> None:
        """A turn every so many seconds, `refresh_s` unless told otherwise; words: said of one that fails.

        Each has its own place in that time: turns that all came at once held callers up for 5 ms, twice a second, and at a thousand
        operations a second that was one in a hundred.
        """
        every = self._every_s if every_s is None else every_s
        due = monotonic() + next(self._places) * every
        while True:
            due += every * max(1, ceil((monotonic() - due) / every))  # a sleep may end early, a turn may take longer
            await asyncio.sleep(due - monotonic())
            await _tried(turn, words)

    def _held(self, turn: Turn, words: str, every_s: float | None = None) -> Coroutine[Any, Any, None]:
        """As `_again`, without the turns in which another process holds the ledger."""

        async def if_held() -> None:
            if not self._running.is_standby:
                await turn()

        return self._again(if_held, words, every_s)

    def _counted(self, turn: Turn) -> Turn:
        """A turn whose failures are a metric."""

        async def counted() -> None:
            try:
                await turn()
            except FAILURES:
                self._metrics.follow_failures.inc()
                raise

        return counted

    async def _keep_up(self) -> None:
        """What every answer asks and any process may change, one after the other, all within `refresh_s`."""
        looks: dict[str, Turn] = {
            "the registry": self._follow_registry, "keys": self._follow_keys, "rules": self._rules.look,
            "the time that rules take": self._time_rules, "live counts": self._count_live,
        }  # fmt: skip
        between_s = self._every_s / len(looks)
        await asyncio.sleep(self._every_s - between_s)
        while True:
            for what, look in looks.items():
                await asyncio.sleep(between_s)
                await _tried(self._counted(look), f"{what} could not be followed; what was loaded last stays in force")

    async def _keep_recording(self) -> None:
        """Recover after a failed write, follow the ledger as a standby; a database that answers nothing is waited for once."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self._running.recover()
            except FAILURES as error:
                log.error("the ledger does not take records yet: %s", error)  # noqa: TRY400 it is said twice a second

    async def _follow_profiles(self) -> None:
        """Newer profiles as they come, while the champion reads any: at once when a new day is asked for."""
        while True:
            if (profiles := self._running.assessor.layers.profiles) is None:
                await asyncio.sleep(self._every_s)
                continue
            await profiles.turn(self._running.settings.profiles_refresh_s)
            words = "profiles could not be looked at; what was loaded last stays in force"
            await _tried(partial(asyncio.to_thread, profiles.refresh), words)

    # ---- one turn ------------------------------------------------------------------------------------------------------

    async def _follow_registry(self) -> None:
        await asyncio.to_thread(self._running.assessor.layers.registry.refresh)

    async def _follow_keys(self) -> None:
        await asyncio.to_thread(self._running.keys.refresh)

    async def _time_rules(self) -> None:
        await asyncio.to_thread(self._metrics.rules.look, self._running.assessor.layers.rules)

    async def _count_live(self) -> None:
        if (live := self._running.assessor.layers.live) is not None:
            await asyncio.to_thread(live.count)

    async def _score_in_shadow(self) -> None:
        await asyncio.to_thread(self._running.challengers.turn, self._running.assessor.layers)

    async def _read_ids(self) -> None:
        """Have at hand which ids are surely new; while that is not so the database is asked."""
        records = self._running.records
        if records.new_ids.is_due:
            await records.new_ids.read(self._running.ledger, records.pending)

    async def _check_spots(self) -> None:
        """Recompute a sample of the served vectors, and count what differs."""
        found, metrics = await spot_check.check(self._running.settings.database), self._metrics
        metrics.spot_checked.inc(found.vectors)
        metrics.spot_differing.inc(found.differing)
        if found.vectors:
            metrics.spot_checked_at.set(succession.now().timestamp())
        if found.differing:
            log.error("%d of %d served vectors differ: %s", found.differing, found.vectors, found.first_difference)


async def _tried(turn: Turn, words: str) -> None:
    try:
        await turn()
    except FAILURES:
        log.exception(words)
