"""The snapshot of the features: what a start takes before it replays the rest of the ledger.

A stop writes it. While the server runs a process beside it does, at the lowest priority: it takes the last snapshot, follows the
ledger and writes the next one, so that after `kill -9` only what came since is replayed. It is only ever a shortcut: written
aside and renamed, one writer at a time, never into the last of the disk, and what fails is said and changes nothing.
"""

import asyncio
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from casework.ledger import Ledger
from domain.errors import BuranaError, StateError
from domain.file_lock import held
from features.engine import Engine
from serving import beside, recovery
from serving.metrics import Metrics
from serving.settings import Settings

log = logging.getLogger("burana")
MIB = 1 << 20
PATIENCE_S = 3_600


def save(engine: Engine, ledger: Ledger, snapshot: Path, least_free_mib: int) -> bool:
    """Write the snapshot of an engine that stands at an entry of the ledger; False where another process writes one now.

    StateError where less than `least_free_mib` of the disk would be left: the ledger needs it more.
    """
    with held(snapshot.with_suffix(".lock")) as is_alone:
        if not is_alone:
            return False
        if (left := shutil.disk_usage(snapshot.parent).free - engine.nbytes) < least_free_mib * MIB:
            raise StateError(
                f"{snapshot} needs {engine.nbytes // MIB} MiB and would leave {left // MIB} MiB of the disk free, allowed"
                f" {least_free_mib} (least_free_mib); make room"
            )
        engine.snapshot(snapshot, sequence=engine.applied, mark=recovery.mark(ledger, engine.applied))
    return True


def sequence_of(snapshot: Path) -> int:
    """The entry at which a snapshot stands, 0 where there is none to be read."""
    try:
        return int(Engine.notes(snapshot)["sequence"])
    except StateError:
        return 0


class Snapshots:
    """Keeps the snapshot of a running server young. A file that somebody else renews, such as a standby of the same home, is young."""

    def __init__(self, settings: Settings, metrics: Metrics, applied: Callable[[], int]) -> None:
        """applied: how many entries the features have taken."""
        self._settings, self._metrics, self._applied = settings, metrics, applied
        self._began = time.monotonic()
        self._look()

    async def keep(self) -> None:
        """For as long as the server runs: have a new one written whenever the last is old and the ledger has grown."""
        while self._settings.snapshot_s:
            await asyncio.sleep(max(self._settings.refresh_s, self._settings.snapshot_s - self._age_s()))
            await asyncio.to_thread(self._look)
            if self._age_s() >= self._settings.snapshot_s and self._applied() > self._sequence:
                await self._renew()

    def tell(self) -> None:
        """Set the metric: entries that a start would replay."""
        self._metrics.snapshot_behind.set(max(0, self._applied() - self._sequence))

    async def _renew(self) -> None:
        self._began = time.monotonic()
        settings = self._settings
        try:
            ended = await beside.run(
                "snapshot", "--home", str(settings.home), "--least-free-mib", str(settings.least_free_mib),
                database=settings.database, patience_s=PATIENCE_S,
            )  # fmt: skip
            if ended.code:
                raise StateError(ended.said)
        except (BuranaError, OSError):
            log.exception("no new snapshot of the features; a start replays what came since the last one")
            self._metrics.snapshots_failed.inc()
        await asyncio.to_thread(self._look)

    def _look(self) -> None:
        self._sequence = sequence_of(self._settings.state)

    def _age_s(self) -> float:
        """Since the last one was written, or the last attempt was made, whichever is the later.

        One that was written before the clock stepped back seems to come from the future: it is as old as the last attempt.
        """
        tried_s = time.monotonic() - self._began
        try:
            written_s = time.time() - self._settings.state.stat().st_mtime
        except OSError:  # none, or one that cannot be looked at
            return tried_s
        return min(tried_s, written_s) if written_s >= 0 else tried_s
