"""Tenure: whether this process holds the ledger, and how it comes to hold it: from the start, again after a write that failed, or
as a standby once the process that held it has ended."""

import asyncio
import logging
from collections.abc import Callable

from casework.database import Database
from casework.ledger import Ledger
from casework.writers import Writer, waiting, writer
from domain.errors import HeldElsewhereError
from features.engine import Engine
from features.plan import Plan
from serving import recovery, snapshots
from serving.records import Records
from serving.settings import Settings
from serving.standby import Standby

log = logging.getLogger("burana")


def writer_of(settings: Settings, database: Database) -> Writer:
    """Who will add to the ledger; where this is no standby it holds the ledger now, else HeldElsewhereError."""
    return waiting(database) if settings.standby else writer(database)


class Tenure:
    """One for a process. `standby` follows the ledger while another process holds it, and is None while this one does."""

    def __init__(self, settings: Settings, plan: Plan, ledger: Ledger, refused: Callable[[], object]) -> None:
        """refused: called for a snapshot that does not fit. LedgerError when the ledger cannot be read."""
        self._settings, self._plan, self._ledger, self._refused = settings, plan, ledger, refused
        self.standby = Standby(plan, ledger, settings.state) if settings.standby else None

    @property
    def behind(self) -> int | None:
        """How many entries were new to the standby when it last looked; None where this process records."""
        return None if self.standby is None else self.standby.behind

    def engine(self) -> Engine:
        """The features as of the ledger's last entry, for records that begin."""
        return self._rebuilt() if self.standby is None else self.standby.engine

    async def turn(self, records: Records) -> bool:
        """Follow, and take the ledger where nobody holds it; whether records are taken from now on and were not before.

        LedgerError when the database does not answer: the next turn goes on.
        """
        if records.broken is None and not records.stale:
            return False
        if self.standby is not None:
            records.engine = await asyncio.to_thread(self.standby.follow)
        try:
            await records.recover(lambda: self._taken_over(records))
        except HeldElsewhereError as held:
            await self._stand_by(records, held)
            return False
        self.standby = None
        return True

    def save(self, records: Records) -> None:
        """The snapshot of a stop, where the features stand at an entry of the ledger; StateError and OSError when it fails."""
        least = self._settings.least_free_mib
        if self.standby is not None:
            self.standby.save(least)
        elif records.broken is None and not records.stale:
            snapshots.save(records.engine, self._ledger, self._settings.state, least)

    async def _stand_by(self, records: Records, held: HeldElsewhereError) -> None:
        """Follow the ledger that another process holds, also where this one held it before and lost it."""
        records.broken = held
        if self.standby is None:
            log.error("%s; this process is the standby from now on", held)
            standby = await asyncio.to_thread(Standby, self._plan, self._ledger, self._settings.state)
            records.engine, records.stale, self.standby = standby.engine, False, standby

    def _taken_over(self, records: Records) -> Engine:
        engine = self._rebuilt()
        records.recorded_at.not_before(self._ledger.last_recorded_at)
        return engine

    def _rebuilt(self) -> Engine:
        if self.standby is not None:
            return self.standby.follow()
        return recovery.rebuild(self._plan, self._ledger, self._settings.state, self._refused)
