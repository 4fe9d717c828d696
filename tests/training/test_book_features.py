"""The book's features against plain loops, and on operations without the Handbook's columns."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.events import Event, Outcome, OutcomeSource, Verdict
from domain.money import Money
from domain.operation import Kind, Operation, Party
from features.history import History, empty, table_of
from training.book_features import NAMES, book_matrix

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
Told = tuple[int, int, int, int, int | None]
"""Hours after the one before, customer, recipient, minor units, and days until it is known to be fraud, if it is."""
stories = st.lists(
    st.tuples(st.integers(1, 120), st.integers(0, 2), st.integers(0, 2), st.integers(1, 9_999), st.none() | st.integers(1, 9)),
    min_size=1, max_size=25,
)  # fmt: skip


def history(story: list[Told]) -> History:
    operations, outcomes, at = [], [], MONDAY
    for number, (hours, customer, recipient, minor, known_after) in enumerate(story):
        at += timedelta(hours=hours)
        parties = Party(account=f"c{customer}"), Party(wallet=f"r{recipient}")
        operations.append(Operation(f"o{number}", at, Kind.E_WALLET, Money(minor, "KGS"), *parties))
        if known_after is not None:
            known_at = at + timedelta(days=known_after)
            outcomes.append(Outcome(f"x{number}", f"o{number}", Verdict.FRAUD, known_at, OutcomeSource.IMPORT))
    first = len(operations)
    return History(
        table_of(operations, Operation, list(range(first))),
        empty(Event),
        table_of(outcomes, Outcome, list(range(first, first + len(outcomes)))),
    )


def in_plain_loops(story: list[Told]) -> list[list[float]]:
    times = np.cumsum([hours for hours, *_ in story]).tolist()
    rows = []
    for now, (_, customer, recipient, minor, _) in zip(times, story, strict=True):
        at = MONDAY + timedelta(hours=now)
        row = [minor / 100, float(at.weekday() >= 5), float(at.hour <= 6)]
        for days in (1, 7, 30):
            mine = [s for t, s in zip(times, story, strict=True) if now - 24 * days < t <= now and s[1] == customer]
            row += [len(mine), sum(s[3] / 100 for s in mine) / len(mine)]
        for days in (1, 7, 30):
            old = now - 24 * 7
            theirs = [s for t, s in zip(times, story, strict=True) if old - 24 * days < t <= old and s[2] == recipient]
            frauds = [s for s in theirs if s[4] is not None and s[4] <= 7]
            row += [len(theirs), len(frauds) / len(theirs) if theirs else 0]
        rows.append(row)
    return rows


@given(stories)
def test_the_features_of_the_book_are_those_of_plain_loops(story: list[Told]) -> None:
    made = history(story)
    matrix = book_matrix(made.operations, made.outcomes)
    assert matrix.shape == (len(story), len(NAMES))
    assert matrix == pytest.approx(np.array(in_plain_loops(story)))


def test_a_fraud_that_is_withdrawn_too_late_to_be_known_counts_as_everybody_knew_it() -> None:
    made = history([(1, 0, 0, 100, 1), (24 * 9, 0, 0, 100, None)])
    withdrawn = Outcome("x2", "o0", Verdict.LEGITIMATE, MONDAY + timedelta(days=20), OutcomeSource.IMPORT)
    outcomes = pa.concat_tables([made.outcomes, table_of([withdrawn], Outcome, [3])])
    matrix = book_matrix(made.operations, outcomes)
    assert matrix[1, NAMES.index("recipient_fraud_share_7d")] == 1
