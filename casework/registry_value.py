"""What a list would have stopped: its entries asked about recorded operations, beside what was decided and what became of them."""

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from msgspec import Struct

from casework.ledger import Entry
from casework.registry_asking import Asking, Entries
from casework.registry_index import RECORD, Index
from casework.registry_keys import STORED, look_up
from domain.events import Outcome, Verdict
from domain.identifiers import Identifiers
from domain.levels import RiskLevel
from domain.listing import List, Listing
from domain.operation import Operation

_OPERATION, _OUTCOME = msgspec.json.Decoder(Operation), msgspec.json.Decoder(Outcome)


class _Answer(Struct):
    """What is read of an answer."""

    level: str


class Value(Struct, frozen=True):
    """Counts of recorded operations, and of those that met the list by the outcome that is known; amounts in tyiyn.

    entries: of the list; entries_hit: met at least once. fraud, legitimate, unknown: operations that met it, by the last outcome.
    fraud_passed: fraud among them that was answered low, which the list would have stopped; legitimate_passed: customers whom it would
    newly have stopped. reject, verify: operations by what the list would have asked for.
    """

    entries: int
    operations: int
    entries_hit: int
    hits: int
    reject: int
    verify: int
    fraud: int
    legitimate: int
    unknown: int
    fraud_passed: int
    legitimate_passed: int
    fraud_tyiyn: int
    fraud_passed_tyiyn: int


def asking(identifiers: Identifiers, listings: Sequence[Listing]) -> Asking:
    """Asks a list that need not be in the registry; an entry's id is its place. Its entries count whenever, whatever their validity."""
    stored = np.frombuffer(b"".join(look_up(one.kind, one.value, one.list, None, None) for one in listings), STORED)
    records = np.empty(len(listings), RECORD)
    for name in STORED.names or ():
        records[name] = stored[name]
    records["entry"] = np.arange(len(listings))
    return Asking(identifiers, Entries.of(0, (Index(records),), frozenset()))


def value(identifiers: Identifiers, listings: Sequence[Listing], entries: Iterable[Entry]) -> Value:
    """What a list of normal entries would have stopped among entries of the ledger, as if it had been in force all the time."""
    asked, met, outcomes, operations = asking(identifiers, listings), {}, {}, 0
    hit: set[int] = set()
    for entry in entries:
        if entry.type == "outcome":
            outcome = _OUTCOME.decode(entry.body)
            outcomes[outcome.operation_id] = outcome.verdict
        elif entry.type == "operation":
            operations += 1
            operation = _OPERATION.decode(entry.body)
            if hits := asked.hits(operation):
                hit |= {one.entry_id for one in hits}
                rejects = any(one.list is List.PROHIBITED for one in hits)
                passed = entry.answer is None or msgspec.json.decode(entry.answer, type=_Answer).level == RiskLevel.LOW.word
                met[operation.operation_id] = (operation.amount.reference_tyiyn(), rejects, passed)
    return _counted(len(listings), operations, len(hit), met, outcomes)


def _counted(
    entries: int, operations: int, entries_hit: int, met: dict[str, tuple[int, bool, bool]], outcomes: dict[str, Verdict]
) -> Value:
    fraud = [one for id_, one in met.items() if outcomes.get(id_) is Verdict.FRAUD]
    genuine = [one for id_, one in met.items() if outcomes.get(id_) is Verdict.LEGITIMATE]
    reject = sum(rejects for _, rejects, _ in met.values())
    return Value(
        entries, operations, entries_hit, len(met), reject, len(met) - reject, len(fraud), len(genuine),
        len(met) - len(fraud) - len(genuine), sum(passed for *_, passed in fraud), sum(passed for *_, passed in genuine),
        sum(amount for amount, *_ in fraud), sum(amount for amount, _, passed in fraud if passed),
    )  # fmt: skip
