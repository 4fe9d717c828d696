"""The standby: a state of features that follows the ledger which another process holds, ready to go on where that one ends."""

import threading
from pathlib import Path

from casework.ledger import Ledger
from features.engine import Engine
from features.plan import Plan
from serving import recovery, snapshots


class Standby:
    """Follows a ledger. Its methods may be called from any thread; they wait for one another."""

    def __init__(self, plan: Plan, ledger: Ledger, snapshot: Path) -> None:
        """From the snapshot, if there is one, and the ledger as far as it goes now; LedgerError when it cannot be read."""
        self._plan, self._ledger, self._snapshot = plan, ledger, snapshot
        self._one = threading.Lock()
        self._behind, self._mark = 0, ""
        self._begin()

    @property
    def behind(self) -> int:
        """How many entries were new when the ledger was last looked at."""
        return self._behind

    def follow(self) -> Engine:
        """Take what was recorded since; the engine then stands at the last entry, unless somebody goes on recording.

        A ledger whose entries are not those that were taken, as after a restored backup or a replica that had not everything, is
        begun anew. LedgerError when it cannot be read.
        """
        with self._one:
            if recovery.mark(self._ledger, self.engine.applied) != self._mark:
                self._begin()
            self._behind = self._ledger.last_sequence - self.engine.applied
            recovery.catch_up(self.engine, self._ledger)
            self._mark = recovery.mark(self._ledger, self.engine.applied)
            return self.engine

    def save(self, least_free_mib: int) -> bool:
        """Write the snapshot; see `snapshots.save`."""
        with self._one:
            return snapshots.save(self.engine, self._ledger, self._snapshot, least_free_mib)

    def _begin(self) -> None:
        self.engine = recovery.rebuild(self._plan, self._ledger, self._snapshot)
        self._mark = recovery.mark(self._ledger, self.engine.applied)
