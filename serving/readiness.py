"""Whether this process takes records: the checks behind /readyz, made time and again beside the route, which only tells of them.

So /readyz answers at once while the database hangs, and a probe costs nothing. What fails is said in the log when it begins and
when it ends; the answer, which asks for no key, names checks and no causes.
"""

import asyncio
import logging
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from casework.ledger import Ledger
from domain.errors import LedgerError
from serving.assessor import Assessor
from serving.settings import Settings
from serving.tenure import Tenure

log = logging.getLogger("burana")
NOT_YET = "not looked at yet"
CLOCKS_DIFFER = timedelta(seconds=2)
"""So far the ledger's last entry may lie in the future: a standby's clock is another one."""


class Check(StrEnum):
    """What has to hold.

    CHAMPION: a bundle whose reference rows gave their scores is in force, or none is asked for; HELD: this process holds the ledger
    and nothing failed to be written; FEATURES: they took every record; READABLE, WRITABLE: the database answers; STATE: the features
    stand at the ledger's end; DISK: `least_free_mib` of the home's disk are free; CLOCK: it is not before the ledger's last entry.
    """

    CHAMPION = "champion"
    HELD = "ledger_held"
    READABLE = "ledger_readable"
    WRITABLE = "ledger_writable"
    FEATURES = "features"
    STATE = "state_at_ledger_end"
    DISK = "disk_space"
    CLOCK = "clock"


class Readiness:
    """The checks of one process. Before the first `look` none holds."""

    def __init__(
        self, settings: Settings, ledger: Ledger, assessor: Assessor, tenure: Tenure, clock: Callable[[], datetime]
    ) -> None:
        self._settings, self._ledger, self._assessor, self._tenure, self._clock = settings, ledger, assessor, tenure, clock
        self._failing: dict[Check, str] = dict.fromkeys(Check, NOT_YET)
        self._looked_at = time.monotonic()

    @property
    def checks(self) -> dict[Check, bool]:
        """Which checks hold: those of memory as of now, the others as of the last look, none of them when that was long ago."""
        holds = {check: check not in self._failing for check in Check}
        if time.monotonic() - self._looked_at > self._longest_s:
            holds[Check.READABLE] = holds[Check.WRITABLE] = False
        holds[Check.HELD] = holds[Check.HELD] and self._assessor.records.broken is None
        holds[Check.FEATURES] = not self._assessor.records.stale
        return holds

    @property
    def status(self) -> str:
        """In a word; `ready` alone means that records are taken."""
        if self._assessor.is_draining:
            return "draining"
        if self._tenure.standby is not None:
            return "standby"
        if self._assessor.records.broken is not None:
            return "recovering"
        return "ready" if all(self.checks.values()) else "not_ready"

    async def look(self) -> None:
        """Make every check once."""
        failing = self._of_memory() | await asyncio.to_thread(self._of_disk) | await self._of_ledger()
        for check, why in failing.items():
            if check not in self._failing:
                log.warning("not ready, %s: %s", check, why)
        for check, why in self._failing.items():
            if check not in failing and why is not NOT_YET:
                log.info("%s holds again", check)
        self._failing, self._looked_at = failing, time.monotonic()

    @property
    def _longest_s(self) -> float:
        """How long a look may take and the next one be awaited."""
        patience = self._settings.patience
        return self._settings.refresh_s + 2 * (patience.answer_s + patience.connect_s) + 5

    def _of_memory(self) -> dict[Check, str]:
        failing = {}
        if self._settings.require_model and self._assessor.layers.model is None:
            failing[Check.CHAMPION] = "there is none"
        if self._assessor.records.broken is not None:
            failing[Check.HELD] = str(self._assessor.records.broken)
        if self._assessor.records.stale:
            failing[Check.FEATURES] = "they could not take a record"
        return failing

    def _of_disk(self) -> dict[Check, str]:
        try:
            free = shutil.disk_usage(self._settings.home).free >> 20
        except OSError as error:
            return {Check.DISK: str(error)}
        least = self._settings.least_free_mib
        return {} if free >= least else {Check.DISK: f"{free} MiB free, allowed {least} or more (least_free_mib)"}

    async def _of_ledger(self) -> dict[Check, str]:
        records = self._assessor.records
        failing = {}
        if (error := await records.could_record()) is not None:
            failing[Check.WRITABLE] = str(error)
        before = records.engine.applied - records.waiting
        try:
            end, recorded_at = await asyncio.to_thread(lambda: self._ledger.end)
        except LedgerError as unread:
            return failing | {Check.READABLE: str(unread), Check.STATE: "the ledger cannot be read"}
        if records.broken is None and not records.stale and not before <= end <= records.engine.applied:
            failing[Check.STATE] = f"the ledger ends at {end}, the features took {records.engine.applied} entries"
        if recorded_at and datetime.fromisoformat(recorded_at) > self._clock() + CLOCKS_DIFFER:
            failing[Check.CLOCK] = (
                f"it shows {self._clock().astimezone(UTC)}, the ledger's last entry was recorded {recorded_at}"
            )
        return failing
