"""What a ledger decided beside what became of it: every operation with its vector, so that errors can be looked into."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import msgspec
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from casework import database as databases
from casework.ledger import Entry, Ledger, reading
from domain import instants
from domain.bundle import Manifest
from domain.errors import SettingsError
from domain.events import Outcome, Verdict
from domain.identifiers import masked_key
from domain.money import Money
from domain.operation import Kind, Party
from serving.contracts import OUTCOME
from serving.replay import LEVELS, Answer, Compared


class _Decision(msgspec.Struct):
    """What tells whose decision it is."""

    model: str | None


class _Operation(msgspec.Struct):
    """What is read of an operation."""

    occurred_at: datetime
    kind: Kind
    amount: Money
    sender: Party


DECISION, ANSWER = msgspec.json.Decoder(_Decision), msgspec.json.Decoder(Answer)
OPERATION = msgspec.json.Decoder(_Operation)


@dataclass(frozen=True)
class Decided:
    """Decided operations in the ledger's order, each array with one value an operation (n,).

    compared: levels, scores and reasons beside outcomes; amounts: tyiyn on the reference scale; customers: numbers from 0 on;
    names: of the customers by number, masked; vectors: (n, features) as served, all NaN where there was none.
    """

    compared: Compared
    amounts: NDArray[np.int64]
    customers: NDArray[np.int64]
    names: tuple[str, ...]
    vectors: NDArray[np.float64]


def decided(database: str, manifest: Manifest, start: datetime | None = None) -> Decided:
    """The operations that were decided with this bundle and recorded from `start` on, None for all of them.

    Outcomes are those in the ledger; silence counts as genuine. A running server is not disturbed. SettingsError where nothing
    was decided with it.
    """
    with reading(database) as ledger:
        entries, outcomes = _taken(ledger, manifest, 0 if start is None else ledger.last_before(_stamp(start)))
    if not entries:
        raise SettingsError(
            f"{databases.masked(database)}: no operation was decided with {manifest.version}{'' if start is None else f' since {start:%Y-%m-%d}'}; "
            "serve with it first, or name more days"
        )
    return _decided(entries, outcomes, len(manifest.features))


def _taken(ledger: Ledger, manifest: Manifest, after: int) -> tuple[list[Entry], dict[str, Outcome]]:
    """The decided operations after a sequence number, and the last outcome of each operation by its id."""
    entries, outcomes = [], {}
    for entry in _progress(ledger, after):
        if entry.type == "outcome":
            outcome = OUTCOME.decode(entry.body)
            outcomes[outcome.operation_id] = outcome
        elif entry.type == "operation" and entry.answer is not None and _is_of(entry.answer, manifest):
            entries.append(entry)
    return entries, outcomes


def _is_of(answer: bytes, manifest: Manifest) -> bool:
    return DECISION.decode(answer).model == manifest.version


def _progress(ledger: Ledger, after: int) -> Iterator[Entry]:
    left = ledger.last_sequence - after
    yield from tqdm(ledger.read(after), "ledger", left, delay=2, mininterval=1, unit="entry", unit_scale=True)


def _decided(entries: list[Entry], outcomes: dict[str, Outcome], features: int) -> Decided:
    operations = [OPERATION.decode(entry.body) for entry in entries]
    keys = [operation.sender.customer_key() for operation in operations]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return Decided(
        compared=_compared(entries, operations, [outcomes.get(entry.id) for entry in entries]),
        amounts=np.array([operation.amount.reference_tyiyn() for operation in operations], np.int64),
        customers=np.array([numbers[key] for key in keys], np.int64), names=tuple(map(masked_key, numbers)),
        vectors=np.array([_vector(entry, features) for entry in entries]),
    )  # fmt: skip


def _compared(entries: list[Entry], operations: list[_Operation], outcomes: list[Outcome | None]) -> Compared:
    answers = [ANSWER.decode(entry.answer or b"") for entry in entries]
    frauds = [outcome is not None and outcome.verdict is Verdict.FRAUD for outcome in outcomes]
    return Compared(
        kinds=np.array([operation.kind.value for operation in operations]),
        times=np.array([instants.to_ms(operation.occurred_at) for operation in operations], np.int64),
        levels=np.array([LEVELS[answer.level] for answer in answers], np.int64),
        scores=np.array([np.nan if answer.score is None else answer.score for answer in answers]),
        known=np.array([outcome is not None for outcome in outcomes]), is_fraud=np.array(frauds),
        schemes=np.array([_scheme(outcome) if fraud else "" for outcome, fraud in zip(outcomes, frauds, strict=True)]),
        reasons=tuple(answer.stopping for answer in answers),
    )  # fmt: skip


def _scheme(outcome: Outcome | None) -> str:
    return "" if outcome is None or outcome.scheme is None else outcome.scheme.value


def _vector(entry: Entry, features: int) -> NDArray[np.float64]:
    return np.full(features, np.nan) if entry.vector is None else np.frombuffer(entry.vector, "<f8")


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")
