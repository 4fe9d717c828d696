"""The daily profiles that operations are compared with: read from a folder of snapshots that is looked at time and again.

`use` is called for each operation and only looks in a dictionary; `refresh` does the work and is called from another thread. What it
loaded takes effect by one assignment, so an operation sees the days of before or those of after, never a mixture.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from domain import instants
from domain.decision import Degraded
from domain.errors import StateError
from features.layout import WORDS, Word
from features.packed_profiles import Profiles, snapshot_folder
from features.profile_kernel import Integers
from features.profile_reader import DayReader
from features.profiles import PROFILE_NAMES, date_of, day_of, due_day, end_of
from serving.metrics import Metrics

log = logging.getLogger("burana")
BESIDE = 0.2
"""Of a core's time that loading takes at most while there is something at hand. A day of 85,000 customers has 345 MB, whose hashes
take a second: on the core that answers they held up two seconds of answers at every local midnight."""
ASKED = 3
"""Of the days that operations read, how many of the latest are kept at hand beside the newest snapshot."""
_TIME, _ZONE_OFFSET = int(Word.TIME), int(Word.ZONE_OFFSET)
NOTHING = np.full(len(PROFILE_NAMES), np.nan)


class Used(msgspec.Struct, frozen=True):
    """What one operation was compared with. due, day: local days as numbers since 1970-01-01, day None for nothing.

    age_ms: from the end of that day to the operation; degraded: why there was nothing.
    """

    due: int
    day: int | None = None
    snapshot: str | None = None
    age_ms: int | None = None
    degraded: Degraded | None = None

    def evidence(self) -> dict[str, Any]:
        """As it is kept with the decision."""
        return {
            "due": _iso(self.due), "day": None if self.day is None else _iso(self.day),
            "snapshot": self.snapshot, "age_s": None if self.age_ms is None else self.age_ms // 1000,
        }  # fmt: skip


class LiveProfiles:
    """The days at hand: those of the newest snapshot, and of the latest ASKED days that operations read."""

    def __init__(self, folder: Path, days_behind: int, metrics: Metrics) -> None:
        """days_behind: how many days before the due one a profile may be and still be used."""
        self._folder, self._days_behind, self._metrics = folder, days_behind, metrics
        self._days: dict[int, DayReader] = {}
        self._asked: tuple[int, ...] = ()
        self._loaded: dict[Path, Profiles] = {}
        self._refused: set[tuple[Path, int]] = set()
        self._said: set[int] = set()
        self._new_day = asyncio.Event()
        DayReader(Profiles.none(), 0).read([0] * WORDS)  # compiled, or loaded from the cache, before the first operation

    @property
    def newest_day(self) -> int | None:
        """The newest local day at hand."""
        return max(self._days, default=None)

    # ---- for each operation ------------------------------------------------------------------------------------------

    def beside(self, behaviour: NDArray[np.float64], row: Integers) -> tuple[NDArray[np.float64], Used]:
        """The whole vector, behaviour and then the comparison with profiles, and what the operation was compared with."""
        used, reader = self.use(row)
        return np.concatenate((behaviour, NOTHING if reader is None else reader.read(row))), used

    def use(self, row: Integers) -> tuple[Used, DayReader | None]:
        """The newest profiles of the day that is due at the operation's own time, or of up to `days_behind` days before it."""
        time, days = row.item(_TIME), self._days
        due = due_day(time, row.item(_ZONE_OFFSET))
        if due not in self._asked:
            self.ask(due)
        if (reader := days.get(due)) is not None:
            return Used(due, due, reader.profiles.id, time - reader.ended_at), reader
        for day in range(due - 1, due - self._days_behind - 1, -1):
            if (reader := days.get(day)) is not None:
                return Used(due, day, reader.profiles.id, time - reader.ended_at), reader
        is_stale = any(day < due for day in days)
        return Used(due, degraded=Degraded.STALE_PROFILES if is_stale else Degraded.NO_PROFILES), None

    def ask(self, due: int) -> None:
        """Let the profiles of a day be at hand, and of the next one, which comes."""
        if due in self._asked:
            return
        self._asked = tuple(sorted((due, *self._asked), reverse=True)[:ASKED])
        if due == self._asked[0]:  # an earlier one can wait for the next turn: late operations do not make the thread run
            self._new_day.set()

    # ---- in another thread -------------------------------------------------------------------------------------------

    async def turn(self, seconds: float) -> None:
        """Return when it is time to look at the folder: after so many seconds, or when a new day was asked for."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):  # wait_for of Python 3.11 may lose a cancellation
                await self._new_day.wait()
        self._new_day.clear()

    def refresh(self) -> None:
        """Look at the folder, load what is new and needed, forget what is not; what cannot be read is said once and counted."""
        there = self._there()
        days: dict[int, DayReader] = {}
        kept: dict[Path, Profiles] = {}
        for due in (
            max(there, default=0),
            *sorted({day for asked in self._asked for day in (asked, asked + 1)}, reverse=True),
        ):
            self._cover(due, there, days, kept)
        self._days, self._loaded = days, kept
        self._say_missing(days)

    def _cover(self, due: int, there: dict[int, Path], days: dict[int, DayReader], kept: dict[Path, Profiles]) -> None:
        """Have the newest readable profiles of a day, or of up to `days_behind` before it, among `days`."""
        for day in range(due, due - self._days_behind - 1, -1):
            if day in days:
                return
            if day in there and (profiles := self._read(there[day])) is not None:
                kept[there[day]] = profiles
                for its in profiles.days:
                    if its == day or its not in days:
                        days[its] = self._reader(profiles, its)
                return

    def _say_missing(self, days: dict[int, DayReader]) -> None:
        """Say once of each day that operations read that there is nothing to compare them with."""
        for due in self._asked:
            if due not in self._said and not any(day in days for day in range(due - self._days_behind, due + 1)):
                log.error(
                    "no profiles of %s, nor of the %d days before: its operations are verified", _iso(due), self._days_behind
                )
                self._said.add(due)
        self._said &= {*self._asked}

    def _reader(self, profiles: Profiles, day: int) -> DayReader:
        known = self._days.get(day)
        return known if known is not None and known.profiles is profiles else DayReader(profiles, day)

    def _there(self) -> dict[int, Path]:
        """Day -> snapshot of it; those that other declarations made are refused where they are newer."""
        mine = snapshot_folder(self._folder)
        found = dict(_dated(mine))
        for other in (path for path in _folders(self._folder) if path != mine):
            newest = max(_dated(other), default=None)
            if newest is not None and newest[0] > max(found, default=0):
                self._read(newest[1])
        return found

    def _read(self, folder: Path) -> Profiles | None:
        """The profiles of a folder; None for one that is refused, which is said once."""
        if folder in self._loaded:
            return self._loaded[folder]
        seen = (folder, _changed_at(folder))
        if seen in self._refused:
            return None
        try:
            profiles = Profiles.load(folder, BESIDE if self._days else 1.0)
        except StateError as error:
            self._refused.add(seen)
            self._metrics.profiles_refused.inc()
            log.error("profiles refused, what was loaded last stays in force: %s", error)  # noqa: TRY400 it says all there is
            return None
        log.info("profiles of %s are loaded: %d, snapshot %s", folder.name, len(profiles), profiles.id)
        return profiles


@lru_cache(maxsize=64)
def _iso(day: int) -> str:
    return date_of(day).isoformat()


def _folders(folder: Path) -> Iterator[Path]:
    """The folders in a folder that are whole; none where it is not there."""
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _dated(folder: Path) -> Iterator[tuple[int, Path]]:
    """Days and their snapshots in a folder."""
    for path in _folders(folder):
        try:
            yield day_of(date.fromisoformat(path.name)), path
        except ValueError:  # somebody else's
            continue


def _changed_at(folder: Path) -> int:
    try:
        return (folder / "header.json").stat().st_mtime_ns
    except OSError:
        return 0


def age_s(day: int, now: datetime) -> float:
    """Seconds since the end of a local day."""
    return (instants.to_ms(now) - end_of(day)) / 1000
