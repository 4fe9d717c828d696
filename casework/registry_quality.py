"""How good the registry is (para. 8, R121): relevance, completeness, timeliness, each as it is defined here."""

from collections.abc import Iterable
from datetime import datetime
from statistics import median

import msgspec
from msgspec import Struct
from sqlalchemy import select

from casework.database import Database, as_kept
from casework.ledger import Entry, Ledger
from casework.registry_asking import Asking
from casework.registry_entries import LIVE
from casework.shadow_scores import outcomes
from casework.tables import REGISTRY, REGISTRY_FEED_PAGES
from domain.events import Outcome, Verdict
from domain.operation import Operation

_R = REGISTRY.c
_OPERATION, _OUTCOME = msgspec.json.Decoder(Operation), msgspec.json.Decoder(Outcome)


class _Met(Struct):
    """What is read of a hit that a decision kept."""

    entry_id: int


class _Evidence(Struct):
    """What is read of a decision's evidence."""

    registry: list[_Met] = []


_EVIDENCE = msgspec.json.Decoder(_Evidence)


class Relevance(Struct, frozen=True):
    """Whether entries still serve. live: nobody removed them; acting: of these, valid now; hit: of these, met by an operation of the
    period; confirmed: of those hit, met by one that is known to be fraud; contradicted: met by one that is known to be legitimate.
    """

    live: int
    acting: int
    hit: int
    confirmed: int
    contradicted: int


class Completeness(Struct, frozen=True):
    """Whether what is known is listed. frauds: operations of the period known to be fraud; listed: of these, with an identifier
    that is listed now, of any party or device; share: listed of frauds, None without any.
    """

    frauds: int
    listed: int
    share: float | None


class Timeliness(Struct, frozen=True):
    """How soon. to_list_s: median seconds from the outcome's `known_at` until the first entry that the fraud met was listed, 0 for one
    that was there before, None without any; in_a_day: of the listed frauds, within 24 hours; feed_lag_s: median seconds between a feed's
    page being issued and taken, of the period; oldest_feed_s: seconds since a page was last taken of the feed that is behind most.
    """

    to_list_s: float | None
    in_a_day: int
    feed_lag_s: float | None
    oldest_feed_s: float | None


class Quality(Struct, frozen=True):
    """The figures of a period that ends now. operations: recorded in it."""

    operations: int
    relevance: Relevance
    completeness: Completeness
    timeliness: Timeliness


def quality(database: Database, asking: Asking, entries: Iterable[Entry], since: datetime, now: datetime) -> Quality:
    """The figures of the ledger's entries of a period. asking: the registry as it is; since: the period's begin."""
    after = Ledger(database).last_before(as_kept(since))
    verdicts = {outcome.operation_id: outcome for outcome in map(_OUTCOME.decode, outcomes(database, after))}
    operations, met, frauds = 0, {}, {}
    for entry in entries:
        if entry.type != "operation":
            continue
        operations += 1
        if (outcome := verdicts.get(entry.id)) is not None and outcome.verdict is Verdict.FRAUD:
            frauds[entry.id] = entry.body, outcome
        if entry.evidence is not None and (hits := _EVIDENCE.decode(entry.evidence).registry):
            met[entry.id] = {hit.entry_id for hit in hits}
    genuine = {id_ for id_, one in verdicts.items() if one.verdict is Verdict.LEGITIMATE}
    waits = _waits(database, asking, frauds, now)
    return Quality(
        operations, _relevance(database, met, set(frauds), genuine, now),
        Completeness(len(frauds), len(waits), len(waits) / len(frauds) if frauds else None),
        _timeliness(database, waits, since, now),
    )  # fmt: skip


def _relevance(
    database: Database, met: dict[str, set[int]], frauds: set[str], genuine: set[str], now: datetime
) -> Relevance:
    stamp = as_kept(now)
    hit = {entry for of in met.values() for entry in of}
    confirmed = {entry for id_, of in met.items() if id_ in frauds for entry in of}
    contradicted = {entry for id_, of in met.items() if id_ in genuine for entry in of}
    live = acting = served = 0
    with database.reading() as connection:
        for entry_id, begins, ends in connection.execute(select(_R.entry_id, _R.valid_from, _R.valid_to).where(LIVE)):
            live += 1
            if (begins is None or begins <= stamp) and (ends is None or stamp < ends):
                acting += 1
                served += entry_id in hit
    return Relevance(live, acting, served, len(confirmed), len(contradicted))


def _waits(database: Database, asking: Asking, frauds: dict[str, tuple[bytes, Outcome]], now: datetime) -> dict[str, float]:
    """Seconds from known to listed, of each fraud that meets an entry now; 0 where the entry was there before."""
    met = {id_: (asking.ask(_OPERATION.decode(body), now)[0], outcome) for id_, (body, outcome) in frauds.items()}
    ids = {hit.entry_id for hits, _ in met.values() for hit in hits}
    with database.reading() as connection:
        rows = connection.execute(select(_R.entry_id, _R.added_at).where(_R.entry_id.in_(ids))).all() if ids else []
    added = {entry_id: datetime.fromisoformat(at) for entry_id, at in rows}
    return {
        id_: max(0.0, (min(added[hit.entry_id] for hit in hits) - outcome.known_at).total_seconds())
        for id_, (hits, outcome) in met.items() if hits
    }  # fmt: skip


def _timeliness(database: Database, waits: dict[str, float], since: datetime, now: datetime) -> Timeliness:
    pages = REGISTRY_FEED_PAGES.c
    with database.reading() as connection:
        taken = connection.execute(select(pages.proposal_id, pages.issued_at, pages.taken_at)).all()
    begin = as_kept(since)
    lags = [_seconds(page.issued_at, page.taken_at) for page in taken if page.taken_at >= begin]
    last: dict[int, str] = {}
    for page in taken:
        last[page.proposal_id] = max(last.get(page.proposal_id, ""), page.taken_at)
    oldest = min(last.values(), default=None)
    return Timeliness(
        median(waits.values()) if waits else None, sum(wait <= 86_400 for wait in waits.values()), median(lags) if lags else None,
        None if oldest is None else _seconds(oldest, as_kept(now)),
    )  # fmt: skip


def _seconds(begin: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()
