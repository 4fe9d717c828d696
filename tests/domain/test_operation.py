"""An operation has one canonical form; whatever has none is refused by the name of its field (R16, R41-R55)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import fields, replace

from domain.criteria import Scheme
from domain.errors import IdentifierError, InputError, shortened
from domain.events import Event, EventType, Outcome, OutcomeSource, Verdict, check_known_after, normal_event, normal_outcome
from domain.instants import canonical, from_ms, parse_day_or_instant, to_ms
from domain.money import MAX_REFERENCE_TYIYN, REFERENCE_RATES, Money, exponent, reference_tyiyn
from domain.operation import (
    ACCOUNT_FIELDS,
    IDENTIFIER_FIELDS,
    Access,
    Device,
    Funding,
    Kind,
    Operation,
    Party,
    identifiers_of,
    normal_operation,
)
from tests.records import IDENTIFIERS, LATEST, operations, parties, written_events, written_operations

AT = datetime(2025, 6, 1, 12, tzinfo=UTC)
PLAIN = Operation("op-1", AT, Kind.E_WALLET, Money(100_00, "KGS"), Party(wallet="w1"), Party(wallet="w2"))
WIRE = {
    "operation_id": "op-1", "occurred_at": "2025-06-01T12:00:00Z", "kind": "e_wallet",
    "amount": {"minor": 10000, "currency": "KGS"}, "sender": {"wallet": "w1"}, "recipient": {"wallet": "w2"},
}  # fmt: skip


def normal(operation: Operation) -> Operation:
    return normal_operation(operation, IDENTIFIERS, LATEST)


def decoded(**changes: object) -> Operation:
    return msgspec.json.decode(msgspec.json.encode(WIRE | changes), type=Operation)


def texts(part: msgspec.Struct | None) -> Iterator[tuple[str, str]]:
    """Every text of a part by the name of its field."""
    for field in () if part is None else fields(part):
        if isinstance(value := getattr(part, field.name), str):
            yield field.name, value


# ---- canonical form --------------------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(operation=written_operations)
def test_the_canonical_form_stays_canonical(operation: Operation) -> None:
    once = normal(operation)
    assert normal(once) == once


@settings(max_examples=100)
@given(operation=operations)
def test_a_canonical_operation_comes_back_whole_from_json(operation: Operation) -> None:
    assert msgspec.json.decode(msgspec.json.encode(operation), type=Operation) == operation


@settings(max_examples=100)
@given(event=written_events)
def test_the_canonical_form_of_an_event_stays_canonical_and_comes_back_from_json(event: Event) -> None:
    once = normal_event(event, IDENTIFIERS, LATEST)
    assert normal_event(once, IDENTIFIERS, LATEST) == once
    assert msgspec.json.decode(msgspec.json.encode(once), type=Event) == once


@settings(max_examples=100)
@given(operation=operations)
def test_r96_every_text_of_every_part_is_an_identifier_that_the_registry_is_asked(operation: Operation) -> None:
    asked = {(field, value) for field, _, value in identifiers_of(operation)}
    parts = ("sender", "recipient", "device", "access", "funding")
    assert asked == {(f"{name}.{field}", text) for name in parts for field, text in texts(getattr(operation, name))}


def test_every_text_field_of_a_part_has_a_kind_of_identifier() -> None:
    for struct in (Party, Device, Access, Funding):
        annotations = {field.name: str(field.type) for field in fields(struct)}
        assert set(IDENTIFIER_FIELDS[struct]) == {name for name, annotation in annotations.items() if "str" in annotation}


@pytest.mark.parametrize("side", ["sender", "recipient"])
@pytest.mark.parametrize("party", [Party(), Party(institution="129"), Party(country="KG", institution="129")])
def test_a_party_that_nothing_names_is_refused_by_its_side(side: str, party: Party) -> None:
    with pytest.raises(InputError, match="at least one of account, wallet") as caught:
        normal(replace(PLAIN, **{side: party}))
    assert caught.value.field == side


WRONG = {
    "phone": "12",
    "card": "4111111111111112",
    "country": "XX",
    "service": "сосa",
    "virtual_asset_address": "0x1",
    "ip": "1.2",
}


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (part, name)
        for part, struct in (
            ("sender", Party),
            ("recipient", Party),
            ("device", Device),
            ("access", Access),
            ("funding", Funding),
        )
        for name in IDENTIFIER_FIELDS[struct]
    ],
)
def test_an_identifier_without_normal_form_is_refused_by_the_path_of_its_field(part: str, name: str) -> None:
    struct = {"device": Device, "access": Access, "funding": Funding}.get(part, Party)
    named = {"wallet": "w1"} if struct is Party else {}
    with pytest.raises(IdentifierError) as caught:
        normal(replace(PLAIN, **{part: struct(**named | {name: WRONG.get(name, "\u0441осa?")})}))
    assert caught.value.field == f"{part}.{name}"


# ---- whose account ---------------------------------------------------------------------------------------------------


@given(sender=parties, recipient=parties)
def test_r72_an_account_has_the_same_key_whether_it_sends_or_receives(sender: Party, recipient: Party) -> None:
    there = normal(replace(PLAIN, sender=sender, recipient=recipient))
    back = normal(replace(PLAIN, sender=recipient, recipient=sender))
    assert (there.sender.account_key(), there.recipient.account_key()) == (
        back.recipient.account_key(),
        back.sender.account_key(),
    )


@pytest.mark.parametrize("name", ACCOUNT_FIELDS)
def test_the_first_identifier_that_is_present_names_the_account_and_its_kind(name: str) -> None:
    later = ACCOUNT_FIELDS[ACCOUNT_FIELDS.index(name) :]
    assert Party(**dict.fromkeys(later, "1")).account_key() == f"{name}:1"


def test_a_party_without_customer_is_its_account() -> None:
    assert Party(account="1").customer_key() == "account:1"
    assert Party(account="1", customer_id="7").customer_key() == "customer_id:7"
    assert Party().account_key() == Party().customer_key() == ""


# ---- money -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("currency", REFERENCE_RATES)
def test_the_largest_amount_is_accepted_and_one_more_is_refused(currency: str) -> None:
    _, numerator, denominator = REFERENCE_RATES[currency]
    largest = ((MAX_REFERENCE_TYIYN + 1) * denominator - 1) // numerator
    assert MAX_REFERENCE_TYIYN - numerator // denominator <= reference_tyiyn(largest, currency) <= MAX_REFERENCE_TYIYN
    with pytest.raises(InputError, match="10 billion som") as caught:
        normal(replace(PLAIN, amount=Money(largest + 1, currency)))
    assert caught.value.field == "amount.minor"


@given(currency=st.sampled_from(sorted(REFERENCE_RATES)), minor=st.integers(0, 10**7))
def test_the_reference_amount_is_the_exact_rate_rounded_down(currency: str, minor: int) -> None:
    _, numerator, denominator = REFERENCE_RATES[currency]
    seen = Money(minor, currency).reference_tyiyn()
    assert seen * denominator <= minor * numerator < (seen + 1) * denominator


def test_an_unknown_currency_is_told_which_are_known() -> None:
    with pytest.raises(InputError, match=r"amount\.currency: seen 'XAU', allowed: one of AED, AMD, .*, USD, UZS"):
        normal(replace(PLAIN, amount=Money(1, "XAU")))
    with pytest.raises(InputError, match="one of AED"):
        exponent("XAU")
    assert (exponent("KGS"), exponent("JPY")) == (2, 0)


def test_a_negative_amount_is_refused() -> None:
    with pytest.raises(InputError, match=r"amount\.minor"):
        reference_tyiyn(-1, "KGS")


# ---- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instant", "allowed"),
    [
        (datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), False),
        (datetime(2000, 1, 1, tzinfo=UTC), True),
        (LATEST, True),
        (LATEST + timedelta(microseconds=1), False),
        (datetime(2100, 1, 1, tzinfo=UTC), False),
        (datetime.fromisoformat("9999-12-31T23:59:59-12:00"), False),
        (datetime.fromisoformat("0001-01-01T00:00:00+14:00"), False),
    ],
)
def test_an_operation_occurred_between_2000_and_now(instant: datetime, allowed: bool) -> None:
    if allowed:
        assert normal(replace(PLAIN, occurred_at=instant)).occurred_at == instant
    else:
        with pytest.raises(InputError, match="allowed: 2000-01-01") as caught:
            normal(replace(PLAIN, occurred_at=instant))
        assert caught.value.field == "occurred_at"


@given(micros=st.integers(0, 999_999), hours=st.integers(-12, 14))
def test_time_is_kept_in_utc_cut_to_the_millisecond(micros: int, hours: int) -> None:
    written = datetime.fromisoformat(f"2025-06-01T12:00:00.{micros:06d}{hours:+03d}:00")
    kept = canonical(written, "occurred_at", LATEST)
    assert kept.tzinfo is UTC and kept.microsecond == micros // 1000 * 1000
    assert timedelta(0) <= written - kept < timedelta(milliseconds=1)
    assert from_ms(to_ms(kept)) == kept


def test_milliseconds_before_1970_round_down_too() -> None:
    assert to_ms(datetime(1969, 12, 31, 23, 59, 59, 999_500, tzinfo=UTC)) == -1


@pytest.mark.parametrize("text", ["2025-06-01T12:00:00", "2025-06-01 12:00", "yesterday", "2025-13-01", ""])
def test_a_moment_without_offset_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="time: seen"):
        parse_day_or_instant(text)


def test_a_day_is_its_midnight_in_utc() -> None:
    assert parse_day_or_instant("2025-06-01") == datetime(2025, 6, 1, tzinfo=UTC)
    assert parse_day_or_instant("2025-06-01T06:00:00+06:00") == datetime(2025, 6, 1, tzinfo=UTC)


# ---- the decoder -----------------------------------------------------------------------------------------------------


def test_the_wire_form_is_read() -> None:
    assert decoded() == PLAIN


@pytest.mark.parametrize(
    "changes",
    [
        {"occurred_at": "2025-06-01T12:00:00"},
        {"occurred_at": 1748779200},
        {"amount": {"minor": 1.5, "currency": "KGS"}},
        {"amount": {"minor": -1, "currency": "KGS"}},
        {"amount": {"minor": 2**63, "currency": "KGS"}},
        {"amount": {"minor": "1", "currency": "KGS"}},
        {"amount": {"minor": True, "currency": "KGS"}},
        {"amount": {"minor": 1, "currency": "kgs"}},
        {"amount": {"minor": 1}},
        {"kind": "gift"},
        {"operation_id": ""},
        {"operation_id": "x" * 129},
        {"operation_id": "два"},
        {"operation_id": "a b"},
        {"category": "54"},
        {"purpose": "x" * 501},
        {"sender": {"wallet": ""}},
        {"sender": {"wallet": "x" * 129}},
        {"sender": {"walet": "w1"}},
        {"sender": None},
        {"device": {"latitude": 91}},
        {"device": {"vpn": 1}},
        {"score": 0.0},
    ],
    ids=str,
)
def test_what_the_wire_form_does_not_allow_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        decoded(**changes)


@pytest.mark.parametrize("changes", [{"operation_id": "op-1\n"}, {"category": "5411\n"}], ids=str)
def test_a_line_feed_at_the_end_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        decoded(**changes)


# ---- events and outcomes ---------------------------------------------------------------------------------------------


def test_an_event_of_nobody_is_refused() -> None:
    with pytest.raises(InputError, match="at least one identifier") as caught:
        normal_event(Event("e1", AT, EventType.LOGIN_FAILED, Party(country="KG")), IDENTIFIERS, LATEST)
    assert caught.value.field == "customer"


def test_an_event_and_an_outcome_of_the_future_are_refused_by_name() -> None:
    later = LATEST + timedelta(seconds=1)
    with pytest.raises(InputError, match="occurred_at"):
        normal_event(Event("e1", later, EventType.LOGIN_FAILED, Party(wallet="w1")), IDENTIFIERS, LATEST)
    with pytest.raises(InputError, match="known_at"):
        normal_outcome(Outcome("o1", "op-1", Verdict.FRAUD, later, OutcomeSource.VERIFICATION), LATEST)


def test_only_a_fraud_has_a_scheme() -> None:
    genuine = Outcome("o1", "op-1", Verdict.LEGITIMATE, AT, OutcomeSource.VERIFICATION, Scheme.FALSE_CALL)
    with pytest.raises(
        InputError, match=r"scheme: seen .false_call of a legitimate operation., allowed: a scheme of a fraud, or none"
    ):
        normal_outcome(genuine, LATEST)


def test_an_outcome_is_known_at_its_operation_at_the_earliest() -> None:
    fraud = Outcome("o1", "op-1", Verdict.FRAUD, AT, OutcomeSource.VERIFICATION)
    check_known_after(fraud, AT)
    with pytest.raises(InputError, match=r"known_at: seen .*, allowed: a moment not before its operation's, "):
        check_known_after(fraud, AT + timedelta(milliseconds=1))


@given(seen=st.one_of(st.text(st.characters(exclude_categories=()), max_size=300), st.binary(), st.integers(), st.floats()))
def test_what_was_seen_is_shown_in_80_printable_characters(seen: object) -> None:
    text = shortened(seen)
    assert len(text) <= 80 and text.isascii() and text.isprintable()
