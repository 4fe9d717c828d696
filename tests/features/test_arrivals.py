"""An arrival has one row, whether it comes alone or in a history of many."""

from dataclasses import replace as changed
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.errors import HistoryError
from domain.events import Event, EventType, Outcome, OutcomeSource, Verdict
from domain.money import MAX_REFERENCE_TYIYN, REFERENCE_RATES, Money
from domain.operation import Access, Device, Funding, Kind, Operation, Party
from features.arrivals import key64, row_of_event, row_of_operation, row_of_outcome, rows_of_history, zone_offset
from features.history import History, empty, table_of
from features.layout import MISSING, WORDS, Fact, Word
from tests import records

AT = datetime(2025, 6, 1, 12, tzinfo=UTC)
PAYMENT = Operation("op-1", AT, Kind.E_WALLET, Money(100_00, "KGS"), Party(wallet="w1"), Party(wallet="w2"))
LOGIN = Event("e-1", AT, EventType.LOGIN_FAILED, Party(wallet="w1"))
FRAUD = Outcome("o-1", "op-1", Verdict.FRAUD, datetime(2025, 6, 9, tzinfo=UTC), OutcomeSource.VERIFICATION)


def history_of(arrivals: list[Operation | Event | Outcome], first: int = 0) -> History:
    """A history in which these arrive in this order."""
    tables = []
    for struct in (Operation, Event, Outcome):
        chosen = [(first + place, record) for place, record in enumerate(arrivals) if isinstance(record, struct)]
        tables.append(table_of([record for _, record in chosen], struct, [place for place, _ in chosen]))
    return History(*tables)


def rows_one_at_a_time(arrivals: list[Operation | Event | Outcome]) -> list[list[int]]:
    rows, of_operation = [], {}
    for record in arrivals:
        if isinstance(record, Operation):
            rows.append(of_operation.setdefault(record.operation_id, row_of_operation(record)))
        elif isinstance(record, Event):
            rows.append(row_of_event(record))
        else:
            rows.append(row_of_outcome(record, of_operation[record.operation_id]))
    return rows


@st.composite
def arrivals(draw: st.DrawFn) -> list[Operation | Event | Outcome]:
    """Operations with ids of their own, events, and outcomes of earlier operations, in any order of time."""
    made: list[Operation | Event | Outcome] = []
    for place in range(draw(st.integers(0, 12))):
        ids = [record.operation_id for record in made if isinstance(record, Operation)]
        match draw(st.integers(0, 3)):
            case 0:
                made.append(draw(records.events))
            case 1 if ids:
                made.append(draw(records.outcomes(st.sampled_from(ids))))
            case _:
                made.append(replace(draw(records.operations), operation_id=f"op-{place}"))
    return made


@settings(max_examples=120)
@given(arrivals=arrivals(), first=st.integers(-5, 10**9))
def test_a_history_of_many_has_the_rows_of_each_alone(arrivals: list[Operation | Event | Outcome], first: int) -> None:
    rows, sequence = rows_of_history(history_of(arrivals, first))
    wanted = rows_one_at_a_time(arrivals)
    assert rows.dtype == np.int64 and rows.shape == (len(arrivals), WORDS) and rows.flags.c_contiguous
    for record, seen, alone in zip(arrivals, rows.tolist(), wanted, strict=True):
        assert dict(zip(Word, seen, strict=True)) == dict(zip(Word, alone, strict=True)), record
    assert sequence.tolist() == list(range(first, first + len(arrivals)))


def test_the_order_is_that_of_the_sequence_and_not_of_time_or_kind() -> None:
    early = replace(PAYMENT, operation_id="op-2", occurred_at=datetime(2020, 1, 1, tzinfo=UTC))
    event = Event("e-1", AT, EventType.LOGIN_FAILED, Party(wallet="w1"))
    rows, _ = rows_of_history(history_of([event, PAYMENT, FRAUD, early]))
    facts = [Fact(row) & ~Fact.E_WALLET for row in rows[:, Word.FACTS].tolist()]
    assert facts == [Fact.LOGIN_FAILED, Fact.OPERATION, Fact.FRAUD_KNOWN, Fact.OPERATION]


# ---- outcomes --------------------------------------------------------------------------------------------------------


def test_an_outcome_is_its_operation_again_at_the_moment_it_became_known() -> None:
    payment = replace(PAYMENT, device=Device(id="d1", vpn=True))
    row = row_of_outcome(FRAUD, row_of_operation(payment))
    differing = {Word(i) for i, (a, b) in enumerate(zip(row, row_of_operation(payment), strict=True)) if a != b}
    assert differing == {Word.TIME, Word.FACTS}
    assert Fact(row[Word.FACTS]) == Fact.FRAUD_KNOWN | Fact.E_WALLET | Fact.VPN | Fact.DEVICE_GIVEN


def test_an_outcome_of_an_unknown_operation_is_refused_by_the_operation_s_name() -> None:
    with pytest.raises(HistoryError, match="operation 'op-9' is not in operations \\(1 such outcomes\\)"):
        rows_of_history(history_of([PAYMENT, FRAUD, replace(FRAUD, outcome_id="o-2", operation_id="op-9")]))
    with pytest.raises(HistoryError, match="operation 'op-1' is not in operations"):
        rows_of_history(history_of([FRAUD]))


def test_an_outcome_that_arrives_before_its_operation_is_refused_by_its_name() -> None:
    with pytest.raises(HistoryError, match="'o-1' arrives before its operation \\(1 such outcomes\\)"):
        rows_of_history(history_of([FRAUD, PAYMENT]))


def test_an_outcome_may_be_known_at_a_moment_before_its_operation_as_long_as_it_arrives_later() -> None:
    known_early = replace(FRAUD, known_at=datetime(2020, 1, 1, tzinfo=UTC))
    rows, _ = rows_of_history(history_of([PAYMENT, known_early]))
    assert rows[1, Word.TIME] < rows[0, Word.TIME]


# ---- what a row says -------------------------------------------------------------------------------------------------


@given(instant=records.instants)
def test_the_zone_offset_is_that_of_the_operator_s_clock(instant: datetime) -> None:
    row = row_of_event(Event("e-1", instant.astimezone(UTC), EventType.LOGIN_FAILED, Party(wallet="w1")))
    wanted = instant.astimezone(ZoneInfo("Asia/Bishkek")).utcoffset()
    assert wanted is not None and row[Word.ZONE_OFFSET] == wanted.total_seconds() * 1000


def test_summer_time_began_and_ended_in_bishkek_until_2005() -> None:
    quarters = [
        int(datetime(year, month, 1, tzinfo=UTC).timestamp()) // 900 for year, month in ((2004, 1), (2004, 7), (2024, 7))
    ]
    assert [zone_offset(quarter) / 3_600_000 for quarter in quarters] == [5, 6, 6]


@pytest.mark.parametrize("currency", REFERENCE_RATES)
@pytest.mark.parametrize("minor", [0, 1, 99, 12_345])
def test_an_amount_in_any_currency_is_on_the_reference_scale(currency: str, minor: int) -> None:
    payment = replace(PAYMENT, amount=Money(minor, currency))
    _, numerator, denominator = REFERENCE_RATES[currency]
    rows, _ = rows_of_history(history_of([payment]))
    assert row_of_operation(payment)[Word.AMOUNT] == rows[0, Word.AMOUNT] == minor * numerator // denominator


@pytest.mark.parametrize(
    ("minor", "currency"), [(MAX_REFERENCE_TYIYN + 1, "KGS"), (2**63 - 1, "UZS"), (2**63 - 1, "JPY"), (-1, "KGS")]
)
def test_an_amount_out_of_bounds_is_refused_by_its_operation(minor: int, currency: str) -> None:
    history = history_of([PAYMENT, replace(PAYMENT, operation_id="op-2", amount=Money(minor, currency))])
    with pytest.raises(HistoryError, match=f"operation 'op-2': amount_minor {minor}, allowed 0 to {MAX_REFERENCE_TYIYN}"):
        rows_of_history(history)


@pytest.mark.parametrize(("column", "word"), [("currency", "XAU"), ("kind", "gift"), ("currency", "")])
def test_a_word_outside_its_list_is_refused_with_the_list(column: str, word: str) -> None:
    history = history_of([PAYMENT])
    place = history.operations.schema.get_field_index(column)
    spoilt = history.operations.set_column(place, history.operations.schema.field(column), pa.array([word]))
    with pytest.raises(HistoryError, match=f"seen '{word}', allowed .*(KGS|e_wallet)"):
        rows_of_history(changed(history, operations=spoilt))


def test_who_pays_himself_is_sender_and_recipient_of_one_key() -> None:
    row = row_of_operation(replace(PAYMENT, recipient=Party(wallet="w1", customer_id="someone")))
    assert row[Word.SENDER] == row[Word.RECIPIENT] == row[Word.CUSTOMER] == key64("wallet:w1")


@pytest.mark.parametrize(
    ("change", "foreign"),
    [
        ({}, False),
        ({"recipient": Party(wallet="w2", country="KG")}, False),
        ({"recipient": Party(wallet="w2", country="KZ")}, True),
        ({"sender": Party(wallet="w1", country="KZ")}, False),
        ({"kind": Kind.INTERNATIONAL_TRANSFER}, True),
    ],
)
def test_an_operation_is_foreign_by_its_kind_or_its_recipient_s_country(change: dict[str, object], foreign: bool) -> None:
    assert bool(row_of_operation(replace(PAYMENT, **change))[Word.FACTS] & Fact.FOREIGN) is foreign


@pytest.mark.parametrize(
    ("device", "facts"),
    [
        (None, Fact(0)),
        (Device(vpn=True), Fact.VPN),
        (Device(vpn=False, country="KG"), Fact(0)),
        (Device(id="d1"), Fact.DEVICE_GIVEN),
        (Device(ip="10.0.0.1", vpn=True), Fact.DEVICE_GIVEN | Fact.VPN),
        (Device(latitude=0.0, longitude=0.0), Fact.LOCATED),
    ],
)
def test_a_device_is_given_by_its_id_or_its_address(device: Device | None, facts: Fact) -> None:
    assert Fact(row_of_operation(replace(PAYMENT, device=device))[Word.FACTS]) == Fact.OPERATION | Fact.E_WALLET | facts


@pytest.mark.parametrize("kind", Kind)
def test_an_operation_has_the_fact_of_its_kind_and_no_other(kind: Kind) -> None:
    rows, _ = rows_of_history(history_of([replace(PAYMENT, kind=kind)]))
    foreign = Fact.FOREIGN if kind is Kind.INTERNATIONAL_TRANSFER else Fact(0)
    assert Fact(rows[0, Word.FACTS]) == Fact.OPERATION | Fact[kind.name] | foreign
    assert rows[0, Word.KIND] == list(Kind).index(kind)


@pytest.mark.parametrize("type_", EventType)
def test_an_event_has_the_fact_of_its_type_and_no_kind(type_: EventType) -> None:
    row = row_of_event(Event("e-1", AT, type_, Party(wallet="w1")))
    assert Fact(row[Word.FACTS]) == Fact[type_.name] and row[Word.KIND] == row[Word.AMOUNT] == 0


@pytest.mark.parametrize(
    ("sender", "recipient", "elsewhere"),
    [("bank one", "bank two", True), ("bank one", "bank one", False), (None, "bank two", False), ("bank one", None, False)],
)
def test_an_operation_goes_to_another_institution_when_both_are_named_and_differ(
    sender: str | None, recipient: str | None, elsewhere: bool
) -> None:
    payment = replace(
        PAYMENT, sender=Party(wallet="w1", institution=sender), recipient=Party(wallet="w2", institution=recipient)
    )
    rows, _ = rows_of_history(history_of([payment]))
    assert bool(rows[0, Word.FACTS] & Fact.OTHER_INSTITUTION) is elsewhere
    assert rows[0, Word.INSTITUTION] == key64(recipient or "")


@pytest.mark.parametrize(
    ("latitude", "longitude", "words"),
    [
        (42.8746, 74.5698, [42_874_600, 74_569_800]),
        (-90.0, 180.0, [-90_000_000, 180_000_000]),
        (0.0000004, -0.0000006, [0, -1]),
        (42.8746, None, [MISSING, MISSING]),
        (None, 74.5698, [MISSING, MISSING]),
    ],
)
def test_a_place_is_in_millionths_of_a_degree_and_needs_both(
    latitude: float | None, longitude: float | None, words: list[int]
) -> None:
    device = Device(latitude=latitude, longitude=longitude)
    for record, row_of in (
        (replace(PAYMENT, device=device), row_of_operation),
        (replace(LOGIN, device=device), row_of_event),
    ):
        row = row_of(record)
        assert rows_of_history(history_of([record]))[0].tolist() == [row]
        assert [row[Word.LATITUDE], row[Word.LONGITUDE]] == words
        assert bool(row[Word.FACTS] & Fact.LOCATED) is (MISSING not in words)


def test_what_is_not_given_is_missing_and_never_a_key() -> None:
    row = row_of_operation(PAYMENT)
    given = {Word.TIME, Word.ZONE_OFFSET, Word.AMOUNT, Word.FACTS, Word.KIND, Word.SENDER, Word.RECIPIENT, Word.CUSTOMER}
    assert {word for word in Word if row[word] != MISSING} == given
    assert row_of_event(Event("e-1", AT, EventType.LOGIN_FAILED, Party(wallet="w1")))[Word.RECIPIENT] == MISSING


def test_a_part_that_says_nothing_is_as_no_part() -> None:
    said_nothing = replace(PAYMENT, device=Device(), access=Access(), funding=Funding())
    assert row_of_operation(said_nothing) == row_of_operation(PAYMENT)
    assert rows_of_history(history_of([said_nothing]))[0].tolist() == [row_of_operation(PAYMENT)]


@given(texts=st.lists(st.text(), min_size=2, max_size=2, unique=True))
def test_different_texts_have_different_keys_and_no_text_is_missing(texts: list[str]) -> None:
    keys = [key64(text) for text in texts]
    assert keys[0] != keys[1] and all(
        (key == MISSING) is (text == "") and -(2**63) <= key < 2**63 for key, text in zip(keys, texts, strict=True)
    )


def test_a_key_is_the_same_on_every_machine() -> None:
    assert key64("wallet:w1") == 6204900544772614908  # b2sum -l 64, read from its last byte


def test_an_empty_history_has_no_rows() -> None:
    rows, sequence = rows_of_history(History(empty(Operation), empty(Event), empty(Outcome)))
    assert rows.shape == (0, WORDS) and sequence.shape == (0,)
