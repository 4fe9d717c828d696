"""An arrival -> the row of integers that the kernel reads: one at a time for a live call, many at once for history.

What a row is made of is declared once (ACCOUNTS, KEYS, VALUES and the facts below); both encoders read the declarations, and
a property test holds them to the same rows.
"""

import hashlib
import zlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from domain import instants
from domain.errors import HistoryError
from domain.events import Event, EventType, Outcome, Verdict
from domain.money import MAX_REFERENCE_TYIYN, REFERENCE_RATES
from domain.operation import ACCOUNT_FIELDS, Access, Device, Kind, Operation, Party
from features.history import History
from features.layout import HOME_COUNTRY, MISSING, WORDS, ZONE_NAME, Column, Fact, Slot, Word

ZONE = ZoneInfo(ZONE_NAME)

KEYS: dict[Word, tuple[str, str]] = {
    Word.DEVICE: ("device", "id"),
    Word.ADDRESS: ("device", "ip"),
    Word.AGENT: ("access", "agent_id"),
    Word.EMPLOYEE: ("access", "employee_id"),
    Word.COUNTRY: ("device", "country"),
    Word.LOGIN_METHOD: ("access", "login_method"),
    Word.AUTHORISATION_METHOD: ("access", "authorisation_method"),
}
"""Words that hold the hash of one field, of operations and of events alike."""
_KEYS_OF_PART = {
    part: tuple((int(word), name) for word, (of, name) in KEYS.items() if of == part) for part in ("device", "access")
}
EVENT_FACTS = {type_: Fact[type_.name] for type_ in EventType}
KIND_CODES = {kind: code for code, kind in enumerate(Kind)}
KIND_FACTS = {kind: Fact[kind.name] for kind in Kind} | {
    Kind.INTERNATIONAL_TRANSFER: Fact.INTERNATIONAL_TRANSFER | Fact.FOREIGN
}
VERDICT_FACTS = {Verdict.FRAUD: Fact.FRAUD_KNOWN, Verdict.LEGITIMATE: Fact.GENUINE_KNOWN}

Rows = NDArray[np.int64]
ENCODING = zlib.crc32(
    repr((
        [(words.__name__, dict(words.__members__)) for words in (Slot, Column, Fact, Word)], ACCOUNT_FIELDS, KEYS, EVENT_FACTS,
        KIND_CODES, KIND_FACTS, VERDICT_FACTS, sorted(REFERENCE_RATES.items()), HOME_COUNTRY, ZONE_NAME,
    )).encode()
)  # fmt: skip
"""Stands for all that a row's meaning depends on: rows with another one are made again from their records."""


REMEMBERED_KEYS = 1 << 17
"""Of those that were asked for last: a look-up costs a fifth of a hash, for some 25 MB."""


def hashed(text: str) -> int:
    """64 bits of BLAKE2b as a signed integer; the same on every machine. Empty text is MISSING."""
    if not text:
        return MISSING
    key = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)
    return key if key != MISSING else MISSING + 1


key64 = lru_cache(maxsize=REMEMBERED_KEYS)(hashed)
"""As `hashed`, of one arrival after another: the same accounts, devices, countries come again."""


@lru_cache(maxsize=1 << 16)
def zone_offset(quarter: int) -> int:
    """Offset of the operator's zone, ms, in a quarter of an hour counted from 1970: zones change at no finer step."""
    offset = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * quarter)).astimezone(ZONE).utcoffset()
    assert offset is not None, "a zone has an offset at every instant"
    return offset // timedelta(milliseconds=1)


_QUARTER = 15 * instants.MINUTE
MILLION = 1e6
"""Coordinates are kept in millionths of a degree: eleven centimetres."""


# ---- one at a time ---------------------------------------------------------------------------------------------------
# facts are handled as plain integers: an IntFlag's | costs half a microsecond

_OPERATION_FACTS = {kind: int(Fact.OPERATION | facts) for kind, facts in KIND_FACTS.items()}
_FOREIGN, _VPN, _OTHER_INSTITUTION = int(Fact.FOREIGN), int(Fact.VPN), int(Fact.OTHER_INSTITUTION)
_DEVICE_GIVEN, _LOCATED = int(Fact.DEVICE_GIVEN), int(Fact.LOCATED)
_EMPTY_ROW = [0 if word in {Word.AMOUNT, Word.KIND} else MISSING for word in range(WORDS)]


def row_of_operation(operation: Operation) -> list[int]:
    """The row of a canonical operation."""
    kind, device, recipient, funding = operation.kind, operation.device, operation.recipient, operation.funding
    country, institution = recipient.country, recipient.institution
    facts = _OPERATION_FACTS[kind]
    if country is not None and country != HOME_COUNTRY:
        facts |= _FOREIGN
    if device is not None and device.vpn:
        facts |= _VPN
    if institution is not None and operation.sender.institution not in {None, institution}:
        facts |= _OTHER_INSTITUTION
    row = _row_of_record(operation, operation.sender, operation.occurred_at, facts)
    row[Word.AMOUNT] = operation.amount.reference_tyiyn()
    row[Word.KIND] = KIND_CODES[kind]
    row[Word.RECIPIENT] = key64(recipient.account_key())
    if operation.category is not None:
        row[Word.CATEGORY] = key64(operation.category)
    if funding is not None:
        row[Word.FUNDING] = key64(_funding(funding.instrument, funding.source))
    if country is not None:
        row[Word.RECIPIENT_COUNTRY] = key64(country)
    if institution is not None:
        row[Word.INSTITUTION] = key64(institution)
    return row


def row_of_event(event: Event) -> list[int]:
    """The row of a canonical event: its customer stands as sender."""
    return _row_of_record(event, event.customer, event.occurred_at, int(EVENT_FACTS[event.type]))


def row_of_outcome(outcome: Outcome, operation_row: list[int]) -> list[int]:
    """The row of an outcome: its operation's, with the moment at which it became known and what became known."""
    row = list(operation_row)
    row[Word.TIME] = instants.to_ms(outcome.known_at)
    row[Word.ZONE_OFFSET] = zone_offset(row[Word.TIME] // _QUARTER)
    row[Word.FACTS] = row[Word.FACTS] & ~int(Fact.OPERATION) | int(VERDICT_FACTS[outcome.verdict])
    return row


def _row_of_record(record: Operation | Event, party: Party, occurred_at: datetime, facts: int) -> list[int]:
    row = _EMPTY_ROW.copy()
    row[Word.TIME] = time = instants.to_ms(occurred_at)
    row[Word.ZONE_OFFSET] = zone_offset(time // _QUARTER)
    row[Word.SENDER] = key64(party.account_key())
    row[Word.CUSTOMER] = key64(party.customer_key())
    device, access = record.device, record.access
    if access is not None:
        _put_keys(row, access, _KEYS_OF_PART["access"])
    if device is not None:
        _put_keys(row, device, _KEYS_OF_PART["device"])
        if device.id is not None or device.ip is not None:
            facts |= _DEVICE_GIVEN
        if device.latitude is not None and device.longitude is not None:
            facts |= _LOCATED
            row[Word.LATITUDE], row[Word.LONGITUDE] = round(device.latitude * MILLION), round(device.longitude * MILLION)
    row[Word.FACTS] = facts
    return row


def _put_keys(row: list[int], part: Device | Access, keys: tuple[tuple[int, str], ...]) -> None:
    for word, name in keys:
        value = getattr(part, name)
        if value is not None:
            row[word] = key64(value)


def _funding(instrument: str | None, source: str | None) -> str:
    return f"{instrument or ''}|{source or ''}" if instrument or source else ""


# ---- many at once ----------------------------------------------------------------------------------------------------


def rows_of_history(history: History) -> tuple[Rows, Rows]:
    """Every arrival of a history in order: rows (n, WORDS), and their sequence numbers (n,).

    HistoryError names an outcome whose operation is not in the history, or arrives later than it.
    """
    operations = rows_of_operations(history.operations)
    events = rows_of_events(history.events)
    outcomes = rows_of_outcomes(history.outcomes, operations[places_of_operations(history)])
    return in_order(history, operations, events, outcomes)


def in_order(history: History, operations: Rows, events: Rows, outcomes: Rows) -> tuple[Rows, Rows]:
    """The rows of a history's three tables in the order of arrival, and their sequence numbers."""
    tables = (history.operations, history.events, history.outcomes)
    sequence = np.concatenate([table["sequence"].to_numpy() for table in tables]).astype(np.int64)
    order = np.argsort(sequence, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    rows, first = np.empty((len(order), WORDS), np.int64), 0
    for part in (operations, events, outcomes):  # each row is copied once
        rows[place[first : first + len(part)]] = part
        first += len(part)
    return rows, sequence[order]


def rows_of_operations(table: pa.Table) -> Rows:
    """The rows (n, WORDS) of a table of operations."""
    rows = _rows_of_records(table, "sender", "occurred_at")
    kinds = _mapped(table["kind"], KIND_CODES)
    facts = _mapped(table["kind"], KIND_FACTS) | int(Fact.OPERATION)
    country = table["recipient_country"]
    foreign = pc.fill_null(pc.not_equal(country, HOME_COUNTRY), False).to_numpy()
    vpn = pc.fill_null(table["device_vpn"], False).to_numpy()
    elsewhere = pc.fill_null(pc.not_equal(table["sender_institution"], table["recipient_institution"]), False).to_numpy()
    rows[:, Word.FACTS] |= (
        facts | foreign * int(Fact.FOREIGN) | vpn * int(Fact.VPN) | elsewhere * int(Fact.OTHER_INSTITUTION)
    )
    rows[:, Word.AMOUNT] = amounts_tyiyn(table)
    rows[:, Word.KIND] = kinds
    rows[:, Word.RECIPIENT] = _first_given(table, "recipient", ACCOUNT_FIELDS)
    rows[:, Word.CATEGORY] = _hashed(table["category"])
    rows[:, Word.RECIPIENT_COUNTRY] = _hashed(country)
    rows[:, Word.INSTITUTION] = _hashed(table["recipient_institution"])
    instrument, source = (pc.fill_null(table[f"funding_{name}"], "") for name in ("instrument", "source"))
    funding = pc.binary_join_element_wise(instrument, source, "|")
    rows[:, Word.FUNDING] = _hashed(pc.if_else(pc.equal(funding, "|"), None, funding))
    return rows


def rows_of_events(table: pa.Table) -> Rows:
    """The rows (n, WORDS) of a table of events."""
    rows = _rows_of_records(table, "customer", "occurred_at")
    rows[:, Word.FACTS] |= _mapped(table["type"], EVENT_FACTS)
    return rows


def rows_of_outcomes(table: pa.Table, operations: Rows) -> Rows:
    """The rows (n, WORDS) of a table of outcomes; operations (n, WORDS): the row of each one's operation, written over."""
    _set_time(operations, table["known_at"])
    operations[:, Word.FACTS] = operations[:, Word.FACTS] & ~int(Fact.OPERATION) | _mapped(table["verdict"], VERDICT_FACTS)
    return operations


def places_of_operations(history: History) -> Rows:
    """Where the operation of each outcome stands among the operations (outcomes,); HistoryError as from `rows_of_history`."""
    outcomes = history.outcomes
    index = pc.index_in(outcomes["operation_id"], history.operations["operation_id"])
    place = pc.fill_null(index, -1).to_numpy().astype(np.int64)
    earlier = np.searchsorted(history.operations["sequence"].to_numpy(), outcomes["sequence"].to_numpy())
    check_places(outcomes, place, earlier)
    return place


def check_places(outcomes: pa.Table, place: Rows, earlier: Rows) -> None:
    """HistoryError for an outcome whose operation is nowhere (place -1), or not among those that arrived earlier."""
    if (place < 0).any():
        first = outcomes["operation_id"][int(np.flatnonzero(place < 0)[0])].as_py()
        raise HistoryError(f"outcomes: operation {first!r} is not in operations ({(place < 0).sum()} such outcomes)")
    early = place >= earlier
    if early.any():
        first = outcomes["outcome_id"][int(np.flatnonzero(early)[0])].as_py()
        raise HistoryError(f"outcomes: {first!r} arrives before its operation ({early.sum()} such outcomes)")


def _rows_of_records(table: pa.Table, party: str, time: str) -> Rows:
    rows = np.full((table.num_rows, WORDS), MISSING, np.int64)
    _set_time(rows, table[time])
    rows[:, Word.AMOUNT] = rows[:, Word.KIND] = 0
    rows[:, Word.SENDER] = account = _first_given(table, party, ACCOUNT_FIELDS)
    customer = _first_given(table, party, ("customer_id",))
    rows[:, Word.CUSTOMER] = np.where(customer == MISSING, account, customer)
    for word, path in KEYS.items():
        rows[:, word] = _hashed(table["_".join(path)])
    given = (rows[:, Word.DEVICE] != MISSING) | (rows[:, Word.ADDRESS] != MISSING)
    latitude, longitude = (table[f"device_{name}"].to_numpy() for name in ("latitude", "longitude"))
    located = ~(np.isnan(latitude) | np.isnan(longitude))
    for word, degrees in ((Word.LATITUDE, latitude), (Word.LONGITUDE, longitude)):
        rows[located, word] = np.rint(degrees[located] * MILLION).astype(np.int64)
    rows[:, Word.FACTS] = given * int(Fact.DEVICE_GIVEN) | located * int(Fact.LOCATED)
    return rows


def customer_keys(table: pa.Table, party: str) -> pa.ChunkedArray:
    """`Party.customer_key` of every row; party: sender, recipient or customer."""
    return pc.coalesce(_prefixed("customer_id", table[f"{party}_customer_id"]), _account_keys(table, party))


def _set_time(rows: Rows, column: pa.ChunkedArray) -> None:
    rows[:, Word.TIME] = times = column.cast(pa.int64()).to_numpy()
    quarters, inverse = np.unique(times // _QUARTER, return_inverse=True)
    rows[:, Word.ZONE_OFFSET] = np.array([zone_offset(int(q)) for q in quarters], np.int64)[inverse]


def _prefixed(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(f"{name}:", column, "")


def _account_keys(table: pa.Table, party: str) -> pa.ChunkedArray:
    return pc.coalesce(*[_prefixed(name, table[f"{party}_{name}"]) for name in ACCOUNT_FIELDS])


def _first_given(table: pa.Table, party: str, names: tuple[str, ...]) -> Rows:
    """The keys of `customer_keys` and of accounts: of the first of some fields that a row gives, told by its name; else MISSING."""
    keys = np.full(table.num_rows, MISSING, np.int64)
    for name in reversed(names):
        found = _hashed(table[f"{party}_{name}"], f"{name}:")
        keys = np.where(found == MISSING, keys, found)
    return keys


def _hashed(column: pa.ChunkedArray, before: str = "") -> Rows:
    """The key of every value with a text before it, each different value asked for once; null is MISSING."""
    if column.null_count == len(column):  # most columns of most histories
        return np.full(len(column), MISSING, np.int64)
    encoded = pc.dictionary_encode(column.combine_chunks())
    texts = pc.binary_join_element_wise(before, encoded.dictionary, "").to_pylist()
    keys = np.array([*map(key64, texts), MISSING], np.int64)
    return keys[pc.fill_null(encoded.indices, len(keys) - 1).to_numpy()]


def _mapped(column: pa.ChunkedArray, codes: dict[Any, Any]) -> Rows:
    """The code of every word of a closed list; HistoryError for a word outside it."""
    encoded = pc.dictionary_encode(column.combine_chunks())
    words = encoded.dictionary.to_pylist()
    unknown = [word for word in words if word not in codes]
    if unknown:
        raise HistoryError(f"seen {unknown[0]!r}, allowed {', '.join(map(str, codes))}")
    return np.array([*(int(codes[word]) for word in words), 0], np.int64)[encoded.indices.to_numpy().astype(np.int64)]


def amounts_tyiyn(table: pa.Table) -> Rows:
    """`Money.reference_tyiyn` of every operation (n,); HistoryError beyond its bounds."""
    minor = table["amount_minor"].to_numpy()
    numerator = _mapped(table["currency"], {code: rate[1] for code, rate in REFERENCE_RATES.items()})
    denominator = _mapped(table["currency"], {code: rate[2] for code, rate in REFERENCE_RATES.items()})
    within = (minor >= 0) & (minor <= (MAX_REFERENCE_TYIYN + 1) * denominator // numerator)
    tyiyn = np.where(within, minor, 0) * numerator // denominator
    refused = ~within | (tyiyn > MAX_REFERENCE_TYIYN)
    if refused.any():
        row = int(np.flatnonzero(refused)[0])
        raise HistoryError(
            f"operation {table['operation_id'][row].as_py()!r}: amount_minor {minor[row]}, allowed 0 to {MAX_REFERENCE_TYIYN} tyiyn's worth"
        )
    return tyiyn
