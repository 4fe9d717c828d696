"""The words of the registry: on which list, on what ground, whose information, why an entry ends (para. 13, 19-21)."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from domain.errors import InputError
from domain.identifiers import QR_LENGTH, IdentifierKind, Identifiers
from domain.instants import in_utc


class List(StrEnum):
    """On which list an identifier stands: prohibited always rejects (R96), watched is verified at least (R45)."""

    PROHIBITED = "prohibited"
    WATCHED = "watched"


class Ground(StrEnum):
    """Why an identifier is listed."""

    HIGH_RISK_CONFIRMED = "high_risk_confirmed"
    CUSTOMER_NOTICE = "customer_notice"
    STATE_BODY_REQUEST = "state_body_request"
    NATIONAL_BANK = "national_bank"
    PARTICIPANT_WARNING = "participant_warning"
    NATIONAL_BLACK_LIST = "national_black_list"
    NATIONAL_GRAY_LIST = "national_gray_list"
    INTERNAL_INVESTIGATION = "internal_investigation"
    NOT_KEPT = "not_kept"


GROUNDS = {
    Ground.HIGH_RISK_CONFIRMED: "a high-risk decision that was confirmed (R40)",
    Ground.CUSTOMER_NOTICE: "a notice of the customer who lost money",
    Ground.STATE_BODY_REQUEST: "a request of a state body (R103)",
    Ground.NATIONAL_BANK: "information of the National Bank (R103)",
    Ground.PARTICIPANT_WARNING: "a warning of another participant",
    Ground.NATIONAL_BLACK_LIST: "the national black list (K8)",
    Ground.NATIONAL_GRAY_LIST: "the national gray list (K9)",
    Ground.INTERNAL_INVESTIGATION: "an internal investigation",
    Ground.NOT_KEPT: "listed by a release that kept no grounds: see the reason",
}
"""What each ground means, for people."""
OLD = Ground.NOT_KEPT
"""Stands in entries of an earlier release; nobody lists on it."""
TO_LIST_ON = tuple(ground for ground in Ground if ground is not OLD)


class Source(StrEnum):
    """Whose information an entry is (R103)."""

    OWN_CASE = "own_case"
    STATE_BODY = "state_body"
    NATIONAL_BANK = "national_bank"
    PARTICIPANT = "participant"
    NATIONAL_LIST = "national_list"


class RemovalGround(StrEnum):
    """Why an entry is taken off its list: an error (R99), the customer's confirmation (R100), its time, its source."""

    ERROR_FOUND = "error_found"
    CUSTOMER_CONFIRMED = "customer_confirmed"
    EXPIRED = "expired"
    SOURCE_WITHDREW = "source_withdrew"


class Listing(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is listed, and why.

    value: in any form, and normal in `normal_listing`; reference: of the letter, case or record that the source named; it acts in
    [valid_from, valid_to), from its listing on and without end where they are not given.
    """

    kind: IdentifierKind
    value: Annotated[str, Meta(min_length=1, max_length=QR_LENGTH)]
    list: List
    ground: Ground
    source: Source
    reference: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    valid_from: Annotated[datetime, Meta(tz=True)] | None = None
    valid_to: Annotated[datetime, Meta(tz=True)] | None = None


def normal_listing(listing: Listing, identifiers: Identifiers) -> Listing:
    """With its value in normal form and its instants in UTC, to the second; InputError for what has none, or ends before it begins."""
    check_ground(listing.ground)
    begins, ends = _to_the_second(listing.valid_from, "valid_from"), _to_the_second(listing.valid_to, "valid_to")
    if begins is not None and ends is not None and begins >= ends:
        raise InputError("valid_to", ends.isoformat(), f"an instant after valid_from, {begins.isoformat()}")
    value = identifiers.normal(listing.kind, listing.value, "value")
    return replace(listing, value=value, valid_from=begins, valid_to=ends)


def check_ground(ground: Ground) -> None:
    """InputError for one that nobody lists on."""
    if ground not in TO_LIST_ON:
        raise InputError("ground", ground.value, ", ".join(TO_LIST_ON))


def _to_the_second(moment: datetime | None, field: str) -> datetime | None:
    return None if moment is None else in_utc(moment, field).replace(microsecond=0)
