"""What the routes of the registry and of proposals take and answer, as types."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from casework.proposals import Proposal, Ruling
from domain.identifiers import QR_LENGTH, IdentifierKind
from domain.listing import List, Listing, RemovalGround, Source
from serving.queries import LARGEST_NUMBER

Reason = Annotated[str, Meta(min_length=1, max_length=1_000, pattern=r"\S", description="words that can be seen")]
Moment = Annotated[str, Meta(max_length=40)]
Number = Annotated[int, Meta(ge=0, le=LARGEST_NUMBER)]


class EntriesAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """Which entries: the live ones, or those that were live `at` an instant; after: an id, 0 for the first; limit: how many at most."""

    kind: IdentifierKind | None = None
    list: List | None = None
    source: Source | None = None
    at: Moment | None = None
    after: Number = 0
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 100


class ToFind(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An identifier, in any writing; at: the instant as of which its entries are asked for, now if nothing is said."""

    kind: IdentifierKind
    value: Annotated[str, Meta(min_length=1, max_length=QR_LENGTH)]
    at: Moment | None = None


class RegistryEntry(Struct, frozen=True):
    """An entry with who listed it and why, and, once it is removed, who, why and on what ground. state: acting, not_yet, expired or removed."""

    entry_id: int
    kind: str
    value: str
    list: str
    ground: str
    source: str
    added_at: str
    added_by: str
    added_reason: str
    added_change: int
    state: str
    reference: str | None = None
    valid_from: str | None = None
    valid_to: str | None = None
    added_proposal: int | None = None
    added_line: int | None = None
    removed_at: str | None = None
    removed_by: str | None = None
    removed_reason: str | None = None
    removed_ground: str | None = None
    removed_proposal: int | None = None
    removed_change: int | None = None


class EntriesTold(Struct, frozen=True):
    """A page of entries. next: what to ask after for the next one, null at the end."""

    entries: tuple[RegistryEntry, ...]
    next: int | None


class EntryTold(Struct, frozen=True):
    """An entry, and every one that there ever was of its identifier, the oldest first."""

    entry: RegistryEntry
    history: tuple[RegistryEntry, ...]


class ToList(Struct, frozen=True, forbid_unknown_fields=True):
    """An identifier to list, and why."""

    listing: Listing
    reason: Reason


class Listed(Struct, frozen=True):
    """The entry that was made."""

    entry_id: int


class ToRemove(Struct, frozen=True, forbid_unknown_fields=True):
    """On what ground an entry shall go, and why."""

    ground: RemovalGround
    reason: Reason


class Proposed(Struct, frozen=True):
    """What waits for a second person."""

    proposal_id: int


class ToImport(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Many to list. file: what they came from; dry_run: only tell what it would change. Each line is taken or rejected by itself."""

    file: Annotated[str, Meta(min_length=1, max_length=200)]
    reason: Reason
    lines: Annotated[tuple[dict[str, Any], ...], Meta(min_length=1, max_length=100_000)]
    dry_run: bool = False


class Rejected(Struct, frozen=True):
    """A line that is not taken, counted from 1, and why."""

    line: int
    reason: str


class Imported(Struct, frozen=True):
    """What an import would change. new, there: lines that are not, and that are, listed already; proposal_id: null for a dry run or nothing new."""

    new: int
    there: int
    rejects: tuple[Rejected, ...]
    proposal_id: int | None


class ExportAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """Of which kind and list the live entries are."""

    kind: IdentifierKind
    list: List | None = None


class FeedAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """Which list's changes, and after which sequence number."""

    list: List
    after: Number = 0


class QualityAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """Of how many days that end now."""

    days: Annotated[int, Meta(ge=1, le=366)] = 30


class ProposalsAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """Which proposals that nobody has decided on; after: an id."""

    kind: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    after: Number = 0
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 100


class ProposalsTold(Struct, frozen=True):
    """A page of proposals, the oldest first. next: what to ask after for the next one, null at the end."""

    proposals: tuple[Proposal, ...]
    next: int | None


class ToDecide(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a proposal is approved or refused, and why."""

    verdict: Ruling
    reason: Reason


def entry_told(row: dict[str, Any]) -> RegistryEntry:
    """An entry as it is answered."""
    return RegistryEntry(**row)
