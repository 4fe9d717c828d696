"""Decisions join the audit log by batches, which a process beside the server makes, at the lowest priority.

In the server itself a thread that hashes took the interpreter from the one that answers: beside a load that filled a core, catching up
with 1.9 million entries cost 100 to 350 us of CPU an operation, and 1,650 answers a second became 700.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from casework import decision_batches
from casework.database import Database
from casework.decision_batches import MOST
from domain.errors import BuranaError, StateError
from serving import beside
from serving.metrics import Metrics
from serving.settings import Settings

PATIENCE_S = 3_600
log = logging.getLogger("burana")


class Batches:
    """One for a process. `turn` is called time and again; it begins a process only where there is something to batch."""

    def __init__(self, settings: Settings, database: Database, metrics: Metrics, applied: Callable[[], int]) -> None:
        """applied: how many entries the ledger has, without asking it."""
        self._settings, self._database, self._metrics, self._applied = settings, database, metrics, applied
        self._began, self._seen, self._batched_to = time.monotonic(), applied(), -1

    async def turn(self) -> None:
        """Have recorded what is due; it ends with its process. Whatever fails is logged, and tried again when the next batch is due."""
        if self._batched_to < 0:
            self._batched_to = await asyncio.to_thread(decision_batches.batched_to, self._database)
        if self._is_due():
            await self._record()
        self._metrics.audit.unbatched.set(max(0, self._applied() - self._batched_to))

    def _is_due(self) -> bool:
        """When the last batch is old and the ledger has grown, or when the next one would be full."""
        applied, every_s = self._applied(), self._settings.audit_batch_s
        is_old = time.monotonic() - self._began >= every_s and applied > self._batched_to
        return every_s > 0 and (is_old or applied - self._seen >= MOST)

    async def _record(self) -> None:
        self._began, self._seen = time.monotonic(), self._applied()
        settings = self._settings
        try:
            ended = await beside.run(
                "audit", "batch", "--home", str(settings.home), database=settings.database, patience_s=PATIENCE_S
            )
            if ended.code:
                raise StateError(ended.said)
        except (BuranaError, OSError):
            log.exception("decisions do not join the audit log; they are batched later")
        self._batched_to = await asyncio.to_thread(decision_batches.batched_to, self._database)
