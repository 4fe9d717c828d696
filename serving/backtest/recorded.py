"""Operations as they were recorded, some at a time: what the rules on trial are shown."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from casework.registry import Hit
from domain.operation import Operation
from features.history import records_of
from serving.backtest.heard import Integers, Levels, Voice
from serving.backtest.resampling import Floats
from serving.contracts import OPERATION

CHUNK = 16_384
"""Operations that are handed to a process at once: half a second of its time."""


@dataclass(frozen=True)
class Recorded:
    """Some operations in order of arrival.

    records: a table of a history, or bodies of a ledger; times, amounts, customers, kinds, recorded: as in `Heard`;
    vectors: (n, k) the features that the rules name; scores: (n,) NaN where there is none; by_score: (n,) the level that the score
    gave; others: (n,) that of registry, basic checks and failures; hits: what the registry said, by place; spoke: places
    where each voice spoke; policies: as in `Heard`.
    """

    records: pa.Table | list[bytes]
    times: Integers
    amounts: Integers
    customers: Integers
    kinds: Levels
    recorded: Levels
    vectors: Floats
    scores: Floats
    by_score: Levels
    others: Levels
    hits: dict[int, tuple[Hit, ...]]
    spoke: dict[Voice, list[int]]
    policies: Integers

    def __len__(self) -> int:
        return len(self.times)

    def operations(self) -> Iterator[Operation]:
        """The records, decoded where they are needed: a third of the work of a trial."""
        if isinstance(self.records, list):
            return map(OPERATION.decode, self.records)
        return (operation for _, operation in records_of(self.records, Operation))


class Source(Protocol):
    """Where recorded operations come from; what arrived at or after the trial's moment is not there."""

    as_of: int
    """The moment, ms: only what had arrived by then is seen."""
    total: int
    """Operations, to show progress."""

    @property
    def policy_names(self) -> list[str]:
        """The rule sets that were in force, as far as operations have come."""

    def chunks(self) -> Iterator[Recorded]:
        """The operations of the period, in order."""

    def verdicts(self) -> Levels:
        """(n,) of each of them, once all have come: 1 fraud, 0 genuine by the last outcome, -1 without one."""
