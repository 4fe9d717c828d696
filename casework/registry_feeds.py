"""Feeds: lists that others keep, followed change by change, and our own changes for others to follow (K8, K9).

Four eyes approve a feed once: whose it is, by whose key it comes, and on which list and ground its entries stand. Its pages then come
without a person, in the order of their sequence; a page that came before changes nothing. What the feed listed it alone may withdraw.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

from msgspec import Meta, Struct
from sqlalchemy import Connection, func, insert, select, tuple_, union_all

from casework import proposals
from casework.audit_form import LARGEST
from casework.audit_log import next_number, record_change
from casework.audit_rows import ROWS, kept
from casework.database import Database, timestamp
from casework.proposals import Proposal, Ruling
from casework.registry_entries import LIVE, as_instant, listed_already, remove_entries, retire_expired, row_of, with_rows
from casework.tables import PROPOSALS, REGISTRY, REGISTRY_FEED_PAGES
from domain.errors import ConflictError, InputError, OtherCallerError, UnknownEntryError
from domain.identifiers import QR_LENGTH, IdentifierKind, Identifiers
from domain.listing import Ground, List, Listing, RemovalGround, Source, check_ground, normal_listing

KIND = "registry_feed"
PAGE = 1_000
"""Changes that a page of ours has at least, where there are so many."""
MOST = 100_000
"""Changes that a page of theirs may have."""
TOGETHER = 5_000
"""Changes that one statement does: one for each change took ten times as long, and a ledger in SQLite waits meanwhile."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_R, _F = REGISTRY.c, REGISTRY_FEED_PAGES.c
Instant = Annotated[datetime, Meta(tz=True)]
Number = Annotated[int, Meta(ge=0, le=2**62)]


class FeedAction(StrEnum):
    """What a change of a list does."""

    ADD = "add"
    WITHDRAW = "withdraw"


class FeedChange(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One change of a list; several may have one sequence number, and then come in one page."""

    sequence: Number
    action: FeedAction
    kind: IdentifierKind
    value: Annotated[str, Meta(min_length=1, max_length=QR_LENGTH)]
    reference: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    valid_from: Instant | None = None
    valid_to: Instant | None = None


class FeedPage(Struct, frozen=True, forbid_unknown_fields=True):
    """The changes of a list with after < sequence <= up_to, in order; up_to is the last one's, or `after` where there is none.

    issued_at: when the list's keeper gave them out.
    """

    after: Number
    up_to: Number
    issued_at: Instant
    changes: Annotated[tuple[FeedChange, ...], Meta(max_length=MOST)]


class Taken(Struct, frozen=True):
    """What a page did. known: it stood on the list before, or was not listed by this feed; rejects: (sequence, why)."""

    up_to: int
    added: int
    withdrawn: int
    known: int
    rejects: tuple[tuple[int, str], ...]


class _Feed(NamedTuple):
    """caller: who sends its pages; None of one that was approved before that was asked for: whoever may list."""

    proposal_id: int
    caller: str | None
    list: List
    ground: Ground
    source: Source


class _Change(NamedTuple):
    sequence: int
    action: FeedAction
    listing: Listing


def propose(
    database: Database, feed: str, list_: List, ground: Ground, source: Source, caller: str, person: str, reason: str
) -> int:
    """Propose to follow a list under a name, its pages sent by a caller's key; the proposal's id."""
    if not _NAME.fullmatch(feed):
        raise InputError("feed", feed, "1 to 64 letters, digits, - and _")
    if not proposals.folded(caller):
        raise InputError("caller", caller, "the caller of a key")
    check_ground(ground)
    content = {"feed": feed, "list": list_, "ground": ground, "source": source, "caller": caller}
    return proposals.propose(database, KIND, content, person, reason)


def apply_feed(connection: Connection, proposal: Proposal, _: int) -> None:
    """What the approval of a feed does: its pages may come. ConflictError for a name that another feed has."""
    if any(other.proposal_id != proposal.proposal_id for other in _approved(connection, proposal.content["feed"])):
        raise ConflictError(f"a feed {proposal.content['feed']} is followed already; name it otherwise")
    words = f"registry: follow the feed {proposal.content['feed']}"
    person, reason = proposal.proposed_by, proposal.proposed_reason
    record_change(connection, person, reason, words, after=proposal.content, approved_by=proposal.decided_by)


def take(database: Database, identifiers: Identifiers, feed: str, page: FeedPage, person: str) -> Taken:
    """List and withdraw what a page says, all of it or nothing; what was taken before is left out.

    UnknownEntryError for a feed that nobody approved, OtherCallerError for a person who is not its caller, InputError for a page that
    is not what it says; ConflictError where pages are missing before this one: ask from the cursor on.
    """
    with database.reading() as connection:
        of = _feed(connection, feed)
    if of.caller is not None and not proposals.is_same_person(of.caller, person):
        raise OtherCallerError(f"the feed {feed} was approved to come by the key of {of.caller}, not of {person}")
    _check(page)
    issued_at = as_instant(page.issued_at, "issued_at")
    normal, refused = _sorted_out(page, of, identifiers)  # before anybody has to wait for the transaction
    with database.transaction() as connection:
        cursor = _cursor(connection, of)
        if page.after > cursor:
            raise ConflictError(
                f"the feed {feed} was taken up to {cursor}, this page begins after {page.after}: send those between"
            )
        if page.up_to <= cursor and all(one.sequence <= cursor for one in page.changes):
            return Taken(cursor, 0, 0, 0, ())  # whoever asks every minute fills no log
        new, rejects = [one for one in normal if one.sequence > cursor], [one for one in refused if one[0] > cursor]
        count = len(new) + len(rejects)
        words = f"registry: {count} changes of the feed {feed}, up to {page.up_to}"
        told = {"feed": feed, "after": _said(cursor), "up_to": _said(page.up_to), "changes": count}
        change = next_number(connection)
        counts = _done(connection, of, new, change, person)
        row = {"proposal_id": of.proposal_id, "up_to": max(cursor, page.up_to), "issued_at": issued_at,
               "taken_at": timestamp(), "added": counts["added"], "withdrawn": counts["withdrawn"], "rejected": len(rejects)}  # fmt: skip
        if page.up_to > cursor:
            connection.execute(insert(REGISTRY_FEED_PAGES).values(row))
        after = with_rows(connection, change, told)
        after[ROWS] |= kept(connection, REGISTRY_FEED_PAGES, _F.proposal_id == of.proposal_id, _F.up_to > cursor)
        record_change(connection, person, f"page of {issued_at}", words, after=after)
        return Taken(max(cursor, page.up_to), rejects=tuple(rejects), **counts)


def _check(page: FeedPage) -> None:
    """InputError unless the changes are in order and go just up to where the page says: what it passed over would never be asked for."""
    numbers = [page.after, *(one.sequence for one in page.changes)]
    if numbers != sorted(numbers) or numbers[1:2] == numbers[:1]:
        raise InputError("changes", "a sequence below the one before", f"in order, from {page.after + 1} on")
    if page.up_to != numbers[-1]:
        raise InputError("up_to", page.up_to, f"{numbers[-1]}, of the last change; `after` where there is none")


def _said(number: int) -> int | str:
    """As the audit log keeps it: a number that not every reader of JSON has is text there, such as one made of nanoseconds."""
    return number if number <= LARGEST else str(number)


def _sorted_out(page: FeedPage, feed: _Feed, identifiers: Identifiers) -> tuple[list[_Change], list[tuple[int, str]]]:
    """The changes of a page whose listings are normal, and the sequence numbers of the others with why."""
    normal, refused = [], []
    for one in page.changes:
        try:
            normal.append(_Change(one.sequence, one.action, normal_listing(_listing(one, feed), identifiers)))
        except InputError as error:
            refused.append((one.sequence, str(error)))
    return normal, refused


def _done(connection: Connection, feed: _Feed, changes: list[_Change], change: int, person: str) -> dict[str, int]:
    """How many were added, withdrawn and known."""
    counts = {"added": 0, "withdrawn": 0}
    for action, listings in _runs(changes):
        if action is FeedAction.ADD:
            counts["added"] += _add(connection, listings, feed, change, person)
        else:
            counts["withdrawn"] += _withdraw(connection, listings, feed, change, person)
    return {**counts, "known": len(changes) - sum(counts.values())}


def _runs(changes: list[_Change]) -> Iterator[tuple[FeedAction, list[Listing]]]:
    """In their order, those together that can be done by one statement: of one action, and of no identifier two."""
    run: dict[tuple[str, str], Listing] = {}
    action = FeedAction.ADD
    for one in changes:
        key = one.listing.kind, one.listing.value
        if run and (one.action is not action or key in run or len(run) == TOGETHER):
            yield action, [*run.values()]
            run = {}
        run[key], action = one.listing, one.action
    if run:
        yield action, [*run.values()]


def _add(connection: Connection, listings: list[Listing], feed: _Feed, change: int, person: str) -> int:
    retire_expired(connection, listings, change, person)
    there = listed_already(connection, listings)
    told = {"added_at": timestamp(), "added_by": person, "added_reason": "the feed lists it", "added_change": change,
            "added_proposal": feed.proposal_id}  # fmt: skip
    rows = [{**row_of(one), **told} for one in listings if (one.kind, one.value, one.list) not in there]
    if rows:
        connection.execute(insert(REGISTRY), rows)
    return len(rows)


def _withdraw(connection: Connection, listings: list[Listing], feed: _Feed, change: int, person: str) -> int:
    keys = [(one.kind, one.value) for one in listings]
    own = (_R.list == feed.list, _R.added_proposal == feed.proposal_id, LIVE)
    ids = connection.scalars(select(_R.entry_id).where(tuple_(_R.kind, _R.value).in_(keys), *own)).all()
    if ids:
        ground = RemovalGround.SOURCE_WITHDREW
        remove_entries(connection, ids, ground, change, person, "the feed withdrew it", feed.proposal_id)
    return len(ids)


def _listing(change: FeedChange, feed: _Feed) -> Listing:
    return Listing(
        kind=change.kind, value=change.value, list=feed.list, ground=feed.ground, source=feed.source, reference=change.reference,
        valid_from=change.valid_from, valid_to=change.valid_to,
    )  # fmt: skip


def cursor(database: Database, feed: str) -> int:
    """Up to which sequence number a feed was taken; UnknownEntryError for one that nobody approved."""
    with database.reading() as connection:
        return _cursor(connection, _feed(connection, feed))


def _cursor(connection: Connection, feed: _Feed) -> int:
    return connection.scalar(select(func.max(_F.up_to)).where(_F.proposal_id == feed.proposal_id)) or 0


def _feed(connection: Connection, name: str) -> _Feed:
    for one in _approved(connection, name):
        told = one.content
        return _Feed(one.proposal_id, told.get("caller"), List(told["list"]), Ground(told["ground"]), Source(told["source"]))
    raise UnknownEntryError(f"nobody approved a feed {name}; `burana registry feed propose` begins one")


def _approved(connection: Connection, name: str) -> list[Proposal]:
    ids = select(PROPOSALS.c.proposal_id).where(PROPOSALS.c.kind == KIND, PROPOSALS.c.verdict == Ruling.APPROVED)
    found = (proposals.found(connection, id_) for id_ in connection.scalars(ids).all())
    return [one for one in found if one is not None and one.content["feed"] == name]


# ---- our own changes, for others -------------------------------------------------------------------------------------


def given_out(database: Database, after: int, list_: List, least: int = PAGE) -> FeedPage:
    """Our own cases' changes of a list after a sequence number, in the form in which others' are taken; a change is never parted."""
    own = (_R.source == Source.OWN_CASE, _R.list == list_)
    added = select(_R.added_change.label("change")).where(*own, _R.added_change > after)
    removed = select(_R.removed_change).where(*own, _R.removed_change > after)
    numbers = union_all(added, removed).subquery()
    with database.reading() as connection:
        end = connection.scalar(select(numbers.c.change).order_by(numbers.c.change).limit(1).offset(least - 1))
        up_to = end or connection.scalar(select(func.max(numbers.c.change))) or after
        changes = [*_changes(connection, FeedAction.ADD, _R.added_change, own, after, up_to),
                   *_changes(connection, FeedAction.WITHDRAW, _R.removed_change, own, after, up_to)]  # fmt: skip
    # entry by entry: what had expired and is listed anew by one change is withdrawn before it is added
    changes.sort(key=lambda one: (one[1].sequence, one[0], one[1].action))
    return FeedPage(after, up_to, datetime.now(UTC), tuple(change for _, change in changes))


def _changes(
    connection: Connection, action: FeedAction, column: Any, own: Any, after: int, up_to: int
) -> list[tuple[int, FeedChange]]:
    """By the entry that each is of."""
    query = select(_R.entry_id, column, _R.kind, _R.value, _R.reference, _R.valid_from, _R.valid_to).where(
        *own, column > after, column <= up_to
    )
    return [
        (entry_id, FeedChange(
            number, action, IdentifierKind(kind), value, reference,
            *(None if bound is None else datetime.fromisoformat(bound) for bound in (begins, ends)),
        ))
        for entry_id, number, kind, value, reference, begins, ends in connection.execute(query).all()
    ]  # fmt: skip
