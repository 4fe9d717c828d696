"""Hypothesis-made operations, events and outcomes: as callers write them, and in canonical form."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import fields

from domain.criteria import Scheme
from domain.events import Event, EventType, Outcome, OutcomeSource, Verdict, normal_event, normal_outcome
from domain.identifiers import Identifiers
from domain.money import MAX_REFERENCE_TYIYN, REFERENCE_RATES, Money
from domain.operation import Access, Device, Funding, Kind, Operation, Party, normal_operation

IDENTIFIERS = Identifiers(b"a key of tests only, 32 bytes ok")
LATEST = datetime(2030, 1, 1, tzinfo=UTC)
ZONES = [timezone(timedelta(hours=h)) for h in (-11, 0, 6, 14)]

# few values each, written in several ways, so that parties meet
CODES = st.sampled_from(("1", "2", "A1", "a1", "ａ１", " a 1 ", "kg-1299.7"))
NAMES = st.sampled_from(("Касса", "КАССА", "kacca", "Burana Android", "«о!» деньги", "sms+pin", "a|b"))
COUNTRIES = st.sampled_from(("KG", "kg", "KZ", "ru"))
PHONES = st.sampled_from(("0700123456", "+996 700 123 456", "700123457", "+79161234567"))
CARDS = st.sampled_from(("4111111111111111", "4111 1111 1111 1111", "5555-5555-5555-4444"))
IPS = st.sampled_from(("10.0.0.1", "::ffff:10.0.0.1", "2001:DB8::1", "2001:db8:0::1"))
ASSETS = st.sampled_from(("0x52908400098527886E0F7030069857D2E4169EE7", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"))
RECORD_IDS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=12)


def maybe(values: st.SearchStrategy) -> st.SearchStrategy:
    return st.none() | values


def is_empty(part: Struct) -> bool:
    return all(getattr(part, field.name) is None for field in fields(part))


def part(struct: type[Struct], **values: st.SearchStrategy) -> st.SearchStrategy:
    """A part of a record, or None; never one that says nothing."""
    built = st.builds(struct, **{name: maybe(value) for name, value in values.items()})
    return maybe(built.map(lambda made: None if is_empty(made) else made))


instants = st.datetimes(datetime(2000, 1, 2), datetime(2029, 12, 30), timezones=st.sampled_from(ZONES))
near_instants = st.datetimes(datetime(2025, 6, 1), datetime(2025, 6, 9), timezones=st.sampled_from(ZONES))
parties = st.builds(
    Party, customer_id=maybe(CODES), account=maybe(CODES), wallet=maybe(CODES), card=maybe(CARDS), phone=maybe(PHONES),
    service=maybe(NAMES), institution=maybe(CODES), country=maybe(COUNTRIES), qr_id=maybe(CODES),
    virtual_asset_address=maybe(ASSETS),
).filter(lambda party: party.account_key() != "")  # fmt: skip
devices = part(
    Device, id=CODES, ip=IPS, country=COUNTRIES, latitude=st.floats(-90, 90), longitude=st.floats(-180, 180),
    vpn=st.booleans(), application=NAMES,
)  # fmt: skip
accesses = part(Access, session_id=CODES, login_method=NAMES, authorisation_method=NAMES, agent_id=CODES, employee_id=CODES)
fundings = part(Funding, instrument=NAMES, source=NAMES)


@st.composite
def amounts(draw: st.DrawFn) -> Money:
    """Any amount that is allowed in any currency, the largest included."""
    currency = draw(st.sampled_from(sorted(REFERENCE_RATES)))
    _, numerator, denominator = REFERENCE_RATES[currency]
    largest = ((MAX_REFERENCE_TYIYN + 1) * denominator - 1) // numerator
    return Money(draw(st.one_of(st.integers(0, largest), st.integers(0, 10**6), st.just(largest))), currency)


written_operations = st.builds(
    Operation, operation_id=RECORD_IDS, occurred_at=instants | near_instants, kind=st.sampled_from(Kind), amount=amounts(),
    sender=parties, recipient=parties, device=devices, access=accesses, funding=fundings,
    category=maybe(st.from_regex("[0-9]{4}", fullmatch=True)), purpose=maybe(st.text(st.characters(exclude_categories=["Cs"]), max_size=20)),
)  # fmt: skip
"""Operations as callers write them."""
operations = written_operations.map(lambda operation: normal_operation(operation, IDENTIFIERS, LATEST))
written_events = st.builds(
    Event, event_id=RECORD_IDS, occurred_at=instants | near_instants, type=st.sampled_from(EventType), customer=parties,
    device=devices, access=accesses, operation_id=maybe(RECORD_IDS),
)  # fmt: skip
events = written_events.map(lambda event: normal_event(event, IDENTIFIERS, LATEST))


def outcomes(operation_ids: st.SearchStrategy[str] = RECORD_IDS) -> st.SearchStrategy[Outcome]:
    """Canonical outcomes of these operations."""
    built = st.builds(
        Outcome, outcome_id=RECORD_IDS, operation_id=operation_ids, verdict=st.sampled_from(Verdict), known_at=instants,
        source=st.sampled_from(OutcomeSource), scheme=maybe(st.sampled_from(Scheme)),
    )  # fmt: skip
    fitting = built.filter(lambda outcome: outcome.verdict is Verdict.FRAUD or outcome.scheme is None)
    return fitting.map(lambda outcome: normal_outcome(outcome, LATEST))
