"""How a story is told: people, what they do, and what the features of one operation say when it arrives."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from domain.events import Event, EventType, Outcome, OutcomeSource, Verdict
from domain.money import Money
from domain.operation import Funding, Kind, Operation, Party
from features.arrivals import row_of_event, row_of_operation, row_of_outcome
from features.definitions import DEFINITIONS
from features.engine import Engine
from features.plan import Plan

PLAN = Plan(DEFINITIONS, 1 << 10)
NOW = datetime(2025, 6, 16, 6, tzinfo=UTC)
"""A Monday, noon in Bishkek."""
NAN = float("nan")
SOM = 100
"""Tyiyn."""
DAY = 86_400
"""Seconds."""

AYSULUU = Party(customer_id="aysuluu", wallet="w-aysuluu", institution="bank-one")
BAKYT = Party(customer_id="bakyt", wallet="w-bakyt", institution="bank-one")
CHOLPON = Party(customer_id="cholpon", wallet="w-cholpon", institution="bank-one")
SHOP = Party(account="shop")
ATM = Party(service="atm")

Record = Operation | Event | Outcome
_NUMBERS = itertools.count()


def ago(**span: float) -> datetime:
    """`ago(minutes=5)`."""
    return NOW - timedelta(**span)


def people(count: int) -> list[Party]:
    """So many customers, each with a wallet."""
    return [Party(customer_id=f"c{i}", wallet=f"w{i}") for i in range(count)]


def paid(
    sender: Party = AYSULUU, recipient: Party = SHOP, som: float = 1_000, at: datetime = NOW, kind: Kind = Kind.E_WALLET,
    **more: object,
) -> Operation:  # fmt: skip
    """An operation; by default Aysuluu pays the shop 1,000 som now."""
    return Operation(
        f"op-{next(_NUMBERS)}", at, kind, Money(round(som * SOM), "KGS"), sender, recipient, **more  # type: ignore[arg-type]
    )  # fmt: skip


def topped_up(
    wallet: Party, tool: str, at: datetime = NOW, by: Party | None = None, source: str | None = None, som: float = 1_000
) -> Operation:
    """Money put on a wallet with a tool and from a source, by its owner unless another is named."""
    funding = Funding(instrument=tool, source=source)
    return paid(wallet if by is None else by, wallet, som, at, Kind.TOP_UP, funding=funding)


def cashed(sender: Party, som: float = 1_000, at: datetime = NOW, **more: object) -> Operation:
    """Cash taken from a machine."""
    return paid(sender, ATM, som, at, Kind.CASH_WITHDRAWAL, **more)


def happened(what: EventType, at: datetime, to: Party = AYSULUU, **more: object) -> Event:
    """An event, by default Aysuluu's."""
    return Event(f"e-{next(_NUMBERS)}", at, what, to, **more)  # type: ignore[arg-type]


def known(operation: Operation, verdict: Verdict, at: datetime) -> Outcome:
    """What an operation turned out to be, from the moment it became known."""
    return Outcome(f"o-{next(_NUMBERS)}", operation.operation_id, verdict, at, OutcomeSource.LAW_ENFORCEMENT)


def seen(operation: Operation, *others: Record) -> dict[str, float]:
    """The features of an operation when it arrives among the others; who is as early as it arrives before it."""
    engine, rows, vector = Engine(PLAN), {}, None
    for record in sorted([*others, operation], key=_when):
        row = rows[record.operation_id] = _row(record, rows)
        if record is operation:
            vector = engine.read(row)
        engine.apply(row)
    assert vector is not None, "the operation arrives"
    return dict(zip(PLAN.names, vector.tolist(), strict=True))


def shows(vector: dict[str, float], **wanted: float) -> None:
    """These features have these values; NaN is missing."""
    assert {name: vector[name] for name in wanted} == pytest.approx(wanted, rel=1e-12, nan_ok=True)


def _when(record: Record) -> datetime:
    return record.known_at if isinstance(record, Outcome) else record.occurred_at


def _row(record: Record, rows: dict[str | None, list[int]]) -> list[int]:
    match record:
        case Operation():
            return row_of_operation(record)
        case Event():
            return row_of_event(record)
    return row_of_outcome(record, rows[record.operation_id])
