"""How far the vectors that a ledger keeps moved from those that the champion was trained on."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from casework.database import masked
from casework.ledger import Entry, Ledger, reading
from domain import instants
from domain.bundle import Manifest, champion, manifest_of
from domain.errors import BundleError, SettingsError
from domain.instants import DAY, HOUR
from features.bins import SCORE, Counts, Floats, Reference
from features.stability import MOVING, UNREAD, Finding, Level, findings
from serving.scoring import stability_of

CHUNK = 10_000


class _Evidence(msgspec.Struct):
    """What is read of a decision's evidence."""

    declarations: str = ""


class _Decision(msgspec.Struct):
    """What is read of a decision."""

    score: float | None
    model: str | None


class _Operation(msgspec.Struct):
    """What is read of an operation."""

    occurred_at: datetime


EVIDENCE, DECISION = msgspec.json.Decoder(_Evidence), msgspec.json.Decoder(_Decision)
OPERATION = msgspec.json.Decoder(_Operation)


@dataclass
class Served:
    """Served vectors, counted by the bins of a reference.

    days: number of the day on which operations occurred (UTC, since 1970) -> counts (columns, WIDTH); first, last: when the
    first and last of them were recorded; others: vectors that other features than the bundle's made, which are not counted. Scores
    are counted of the bundle itself alone: what another one gave the same vectors is no drift.
    """

    days: dict[int, Counts] = field(default_factory=dict)
    first: str = ""
    last: str = ""
    others: int = 0
    earliest_ms: int = 2**62
    latest_ms: int = 0

    @property
    def vectors(self) -> int:
        """How many were counted."""
        return sum(int(counts[0].sum()) for counts in self.days.values())

    @property
    def hours(self) -> int:
        """The hours that the operations span, begun ones included."""
        return -((self.earliest_ms - self.latest_ms) // HOUR)

    def counts(self, reference: Reference) -> Counts:
        """All days together, (columns, WIDTH)."""
        return sum(self.days.values(), np.zeros_like(reference.counts))

    def findings(self, reference: Reference) -> list[Finding]:
        """What all of them show, in the reference's order."""
        return findings(reference, self.counts(reference), self.hours)

    def by_day(self, reference: Reference) -> tuple[NDArray[np.int64], Floats]:
        """The days in order, and their PSI (days, columns): NaN where a day has too few vectors to read."""
        days = np.array(sorted(self.days), np.int64)
        each = [findings(reference, self.days[day], DAY // HOUR) for day in days.tolist()]
        return days, np.array([[math.nan if one.level in UNREAD else one.psi for one in found] for found in each])


def compared(models: Path) -> tuple[Manifest, Reference]:
    """The champion's manifest and what drift is measured against; BundleError where it has nothing."""
    folder = champion(models)
    manifest = manifest_of(folder)
    reference = stability_of(folder, manifest)
    if reference is None:
        raise BundleError(
            f"{folder} keeps nothing to compare with: train again (`burana train`), new bundles have stability.json"
        )
    return manifest, reference


def served(
    database: str, manifest: Manifest, reference: Reference, start: datetime | None, end: datetime | None = None
) -> Served:
    """The vectors that were recorded with start <= recorded_at < end, None for no bound; a running server is not disturbed.

    SettingsError where there is no ledger, or nothing was served in that time; BundleError where only other features were.
    """
    with reading(database) as ledger:
        result = Served()
        entries = _decided(ledger, start, end)
        while chunk := list(itertools.islice(entries, CHUNK)):
            _take(chunk, manifest, reference, result)
        if not result.first:
            raise SettingsError(f"{masked(database)}: no operation was served {_period(start, end)}; {_last_entry(ledger)}")
    if not result.vectors:
        raise BundleError(
            f"{masked(database)}: all {result.others:,} vectors served {_period(start, end)} were made by other features than those of "
            f"{manifest.version}; name the models of that server, or ask again once it has served with this bundle"
        )
    return result


def moved_since(days: NDArray[np.int64], indices: Floats) -> list[date | None]:
    """For each column of `by_day`, the first of the days since which it was never below MOVING; None when it is now, or unread."""
    first: list[date | None] = []
    for column in indices.T:
        read = np.flatnonzero(~np.isnan(column))
        calm = read[column[read] < MOVING]
        after = read if not len(calm) else read[read > calm[-1]]
        first.append(instants.from_ms(int(days[after[0]]) * DAY).date() if len(after) else None)
    return first


def report(manifest: Manifest, result: Served, found: list[Finding]) -> dict[str, Any]:
    """Every figure by name; `features` and `score` as findings."""
    levels = Counter(finding.level for finding in found)
    by_name = {finding.name: asdict(finding) for finding in by_psi(found)}
    return {
        "bundle": manifest.version, "declarations": manifest.declarations, "vectors": result.vectors,
        "vectors_of_other_features": result.others, "recorded_from": result.first, "recorded_to": result.last,
        "hours": result.hours, "levels": {level.value: levels[level] for level in Level},
        "score": by_name.pop(SCORE), "features": by_name,
    }  # fmt: skip


def table(figures: dict[str, Any], most: int | None = None) -> Iterator[str]:
    """The figures as lines for people, at most so many features."""
    yield f"{figures['vectors']:,} vectors served from {figures['recorded_from'][:16]} to {figures['recorded_to'][:16]} UTC, against the training of {figures['bundle']}"
    if figures["vectors_of_other_features"]:
        yield f"{figures['vectors_of_other_features']:,} vectors were made by other features and are left out"
    yield "PSI: below 0.1 stable, to 0.25 moving, above changed; by chance: what equal distributions are expected to give"
    yield ""
    rows = {SCORE: figures["score"]} | dict(itertools.islice(figures["features"].items(), most))
    width = max(map(len, rows))
    yield f"{'':{width}}{'PSI':>9}{'by chance':>11}  {'':16}  {'what moved most':28}{'training':>9}{'live':>9}"
    for name, row in rows.items():
        shares = f"{row['share_training']:>9.1%}{row['share_live']:>9.1%}"
        yield f"{name:{width}}{row['psi']:>9.4f}{row['noise']:>11.4f}  {row['level']:16}  {row['moved'][:28]:28}{shares}"
    if (left := len(figures["features"]) + 1 - len(rows)) > 0:
        yield f"and {left} features with a smaller PSI"
    yield ""
    yield "  ".join(f"{level} {count}" for level, count in figures["levels"].items() if count)


def by_psi(found: list[Finding]) -> list[Finding]:
    """That with the largest PSI first; what cannot be read comes last."""
    return sorted(found, key=lambda finding: (finding.level in UNREAD, -finding.psi))


def _decided(ledger: Ledger, start: datetime | None, end: datetime | None) -> Iterator[Entry]:
    """The operations of a period that have a vector, in order."""
    after = 0 if start is None else ledger.last_before(_stamp(start))
    up_to = ledger.last_sequence if end is None else ledger.last_before(_stamp(end))
    with tqdm(total=up_to - after, desc="ledger", unit="entry", unit_scale=True, delay=2, mininterval=1) as progress:
        for entry in ledger.read(after, up_to):
            progress.update()
            if entry.vector is not None and entry.answer is not None:
                yield entry


def _take(chunk: list[Entry], manifest: Manifest, reference: Reference, result: Served) -> None:
    """Count a chunk of decided operations, day by day."""
    result.first, result.last = result.first or chunk[0].recorded_at, chunk[-1].recorded_at
    mine = [entry for entry in chunk if EVIDENCE.decode(entry.evidence or b"{}").declarations == manifest.declarations]
    result.others += len(chunk) - len(mine)
    if not mine:
        return
    times = np.array([instants.to_ms(OPERATION.decode(entry.body).occurred_at) for entry in mine])
    decisions = [DECISION.decode(entry.answer or b"") for entry in mine]
    scores = np.array([decision.score for decision in decisions], np.float64)
    own = np.array([decision.model == manifest.version for decision in decisions])
    matrix = np.frombuffer(b"".join(entry.vector or b"" for entry in mine), "<f8").reshape(len(mine), -1)
    result.earliest_ms, result.latest_ms = min(result.earliest_ms, int(times.min())), max(result.latest_ms, int(times.max()))
    for day in np.unique(times // DAY).tolist():
        on_day = times // DAY == day
        counts, mine_on_day = reference.count(matrix[on_day], scores[on_day]), on_day & own
        counts[-1] = reference.count(matrix[mine_on_day], scores[mine_on_day])[-1]
        result.days[day] = result.days.get(day, 0) + counts


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")


def _period(start: datetime | None, end: datetime | None) -> str:
    return f"from {'the beginning' if start is None else start.isoformat(timespec='minutes')} to {'now' if end is None else end.isoformat(timespec='minutes')}"


def _last_entry(ledger: Ledger) -> str:
    last = ledger.at(ledger.last_sequence)
    return (
        "the ledger is empty"
        if last is None
        else f"the last entry of the ledger is of {last.recorded_at[:16]} UTC: name more --days"
    )
