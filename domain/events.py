"""Events (behaviour beside operations) and outcomes (what an operation turned out to be)."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from domain import instants
from domain.criteria import Scheme
from domain.errors import InputError
from domain.identifiers import Identifiers
from domain.operation import Access, AwareTime, Device, Party, RecordId, given, normal_part


class EventType(StrEnum):
    """What happened in a session or to an operation (R64, R65, R67, R71, K17)."""

    LOGIN_SUCCEEDED = "login_succeeded"
    LOGIN_FAILED = "login_failed"
    CONTACT_CHANGED = "contact_changed"
    DEVICE_ENROLLED = "device_enrolled"
    LOGIN_METHOD_CHANGED = "login_method_changed"
    AUTHORISATION_METHOD_CHANGED = "authorisation_method_changed"
    OPERATION_RETURNED = "operation_returned"
    OPERATION_CANCELLED = "operation_cancelled"


class Event(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One event of a customer. operation_id: the operation that was returned or cancelled."""

    event_id: RecordId
    occurred_at: AwareTime
    type: EventType
    customer: Party
    device: Device | None = None
    access: Access | None = None
    operation_id: RecordId | None = None


class Verdict(StrEnum):
    """What an operation turned out to be."""

    FRAUD = "fraud"
    LEGITIMATE = "legitimate"


class OutcomeSource(StrEnum):
    """Who said so (K12)."""

    VERIFICATION = "verification"
    CUSTOMER_NOTICE = "customer_notice"
    LAW_ENFORCEMENT = "law_enforcement"
    NATIONAL_BANK = "national_bank"
    PARTICIPANT = "participant"
    INVESTIGATION = "investigation"
    IMPORT = "import"


class Outcome(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an operation turned out to be, by whom, and when that became known (`known_at`, never before).

    scheme: the known scheme of a fraud; what is legitimate has none.
    """

    outcome_id: RecordId
    operation_id: RecordId
    verdict: Verdict
    known_at: AwareTime
    source: OutcomeSource
    scheme: Scheme | None = None


def normal_event(event: Event, identifiers: Identifiers, latest: datetime) -> Event:
    """The event in canonical form; InputError names the first field that has none."""
    customer = normal_part(event.customer, identifiers, "customer")
    if not customer.account_key():
        raise InputError("customer", "no identifier", "at least one identifier of the customer")
    device = None if event.device is None else given(normal_part(event.device, identifiers, "device"))
    access = None if event.access is None else given(normal_part(event.access, identifiers, "access"))
    occurred_at = instants.canonical(event.occurred_at, "occurred_at", latest)
    return replace(event, occurred_at=occurred_at, customer=customer, device=device, access=access)


def normal_outcome(outcome: Outcome, latest: datetime) -> Outcome:
    """The outcome with its moment in UTC; InputError for a moment in the future or before 2000, and for a scheme of no fraud."""
    if outcome.scheme is not None and outcome.verdict is not Verdict.FRAUD:
        raise InputError("scheme", f"{outcome.scheme} of a {outcome.verdict} operation", "a scheme of a fraud, or none")
    return replace(outcome, known_at=instants.canonical(outcome.known_at, "known_at", latest))


def check_known_after(outcome: Outcome, occurred_at: datetime) -> None:
    """InputError for an outcome that was known before its operation, whose moment is given, took place."""
    if outcome.known_at < occurred_at:
        allowed = f"a moment not before its operation's, {occurred_at.isoformat()}"
        raise InputError("known_at", outcome.known_at.isoformat(), allowed)
