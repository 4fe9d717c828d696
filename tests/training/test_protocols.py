"""Folds as the Handbook cuts them: who is trained on, who is tested, and who is no longer looked at."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from domain.errors import HistoryError, SettingsError
from domain.events import Event, Outcome, OutcomeSource, Verdict
from domain.money import Money
from domain.operation import Kind, Operation, Party
from features.decisions import DECISIONS
from features.history import History, empty, table_of
from training.dataset import Outcomes
from training.protocols import Fold, Prequential

START = datetime(2026, 1, 5, tzinfo=UTC)
DELAY = timedelta(days=7)
PROTOCOL = Prequential()

Told = tuple[float, str, bool]
"""An operation of a story: its day from the start of the fold, its customer, whether it is fraud (known 7 days later)."""
# every fold needs both kinds in training and test, from its first to its last day
CALM: list[Told] = [(0.1, "someone", False), (3, "careless", True), *((14.5 + day, "someone", False) for day in range(7))]
AT_LAST: Told = (20.9, "unlucky", True)


def history(told: list[Told], known_after: timedelta, late: str) -> History:
    told = sorted(told)
    operations, outcomes = [], []
    for number, (day, customer, is_fraud) in enumerate(told):
        at = START + timedelta(days=day)
        parties = Party(customer_id=customer), Party(account="shop")
        operations.append(Operation(f"o{number}", at, Kind.E_WALLET, Money(100, "KGS"), *parties))
        verdict = Verdict.FRAUD if is_fraud else Verdict.LEGITIMATE
        known_at = at + known_after + (timedelta(days=14) if customer == late else timedelta())
        outcomes.append(Outcome(f"x{number}", f"o{number}", verdict, known_at, OutcomeSource.IMPORT))
    first = len(told)
    return History(
        table_of(operations, Operation, list(range(first))),
        empty(Event),
        table_of(outcomes, Outcome, list(range(first, 2 * first))),
    )


def fold(told: list[Told], protocol: Prequential = PROTOCOL, known_after: timedelta = DELAY, late: str = "") -> Fold:
    h = history(told, known_after, late)
    return protocol.folds(h.operations, Outcomes(h.operations, h.outcomes), [START])[0]


def days_tested(
    told: list[Told], customer: str, protocol: Prequential = PROTOCOL, known_after: timedelta = DELAY
) -> list[float]:
    """The days, of the fold, of the customer's operations that are tested."""
    mask = fold(told, protocol, known_after).test
    return [day for (day, who, _), tested in zip(sorted(told), mask, strict=True) if who == customer and tested]


def shops_daily(customer: str) -> list[Told]:
    return [(14.2 + day, customer, False) for day in range(7)]


ALL_DAYS = [14.2 + day for day in range(7)]


def test_a_fold_trains_on_one_week_waits_for_a_week_and_tests_on_the_next() -> None:
    days = [-0.01, 0, 6.99, 7, 13.99, 14, 20.99, 21]
    told = [*CALM, AT_LAST, *((day, f"c{day}", False) for day in days)]
    of_day = dict(
        zip(((day, who) for day, who, _ in sorted(told)), zip(fold(told).train, fold(told).test, strict=True), strict=True)
    )
    assert [day for day in days if of_day[day, f"c{day}"][0]] == [0, 6.99]
    assert [day for day in days if of_day[day, f"c{day}"][1]] == [14, 20.99]


def test_a_customer_compromised_in_the_training_week_is_never_tested() -> None:
    assert days_tested([*CALM, AT_LAST, *shops_daily("victim"), (2, "victim", True)], "victim") == []


def test_a_customer_compromised_before_the_training_week_is_tested() -> None:
    long = Prequential(train_days=14)
    told = [*CALM, AT_LAST, *shops_daily("victim"), (-7, "someone", False), (-1, "victim", True)]
    assert days_tested(told, "victim", long) == ALL_DAYS


@pytest.mark.parametrize("day", range(7))
def test_a_customer_compromised_on_a_day_of_the_delay_is_tested_until_that_is_known(day: int) -> None:
    told = [*CALM, AT_LAST, *shops_daily("victim"), (7.5 + day, "victim", True)]
    assert days_tested(told, "victim") == ALL_DAYS[: day + 1]


def test_a_customer_compromised_on_a_day_of_the_test_is_tested_to_the_end_since_nobody_knows_yet() -> None:
    told = [*CALM, AT_LAST, *shops_daily("victim"), (14.5, "victim", True)]
    assert days_tested(told, "victim") == sorted([*ALL_DAYS, 14.5])


def test_without_a_delay_a_customer_compromised_on_a_day_of_the_test_is_dropped_from_the_next_day_on() -> None:
    told = [(day - 7 if day >= 14 else day, who, fraud) for day, who, fraud in [*CALM, AT_LAST, *shops_daily("victim")]]
    told += [(8.5, "victim", True)]
    days = days_tested(told, "victim", Prequential(delay_days=0), known_after=timedelta(minutes=1))
    assert days == pytest.approx([7.2, 8.2, 8.5])


def test_others_of_the_day_are_not_dropped_and_what_was_dropped_is_counted() -> None:
    told = [*CALM, AT_LAST, *shops_daily("victim"), *shops_daily("neighbour"), (2, "victim", True)]
    assert days_tested(told, "neighbour") == ALL_DAYS
    assert fold(told).dropped == 7


def test_without_the_drop_rule_everybody_is_tested() -> None:
    told = [*CALM, AT_LAST, *shops_daily("victim"), (2, "victim", True)]
    assert days_tested(told, "victim", Prequential(drop_compromised=False)) == ALL_DAYS


def test_longer_training_reaches_further_back_and_leaves_the_test_as_it_is() -> None:
    told = [*CALM, AT_LAST, *shops_daily("victim"), (-21, "someone", False), (-14, "victim", True), (9, "victim", True)]
    week, month = fold(told), fold(told, Prequential(train_days=28))
    assert week.test.tolist() == month.test.tolist()
    assert [day for (day, _, _), train in zip(sorted(told), month.train, strict=True) if train] == [-21, -14, 0.1, 3]


def test_training_knows_no_outcome_that_became_known_after_the_first_day_of_the_test() -> None:
    told = [*CALM, AT_LAST, (6, "reported late", True)]
    place = sorted(told).index((6, "reported late", True))
    in_time, later = fold(told), fold(told, late="reported late")
    assert in_time.train[place]
    assert later.train[place]
    assert (in_time.known[place], later.known[place]) == (1, 0)


def test_a_history_that_does_not_cover_a_fold_is_refused_with_what_is_needed() -> None:
    with pytest.raises(
        HistoryError, match="needs operations from 2025-12-15 up to 2026-01-26; the history goes from 2026-01-05"
    ):
        fold([*CALM, AT_LAST], Prequential(train_days=28))
    with pytest.raises(
        HistoryError, match=r"needs operations from 2026-01-05 up to 2026-01-26; the history goes .* to 2026-01-2"
    ):
        fold([told for told in CALM if told[0] < 18])


def test_a_test_whose_outcomes_are_not_all_in_is_refused() -> None:
    with pytest.raises(HistoryError, match="not 7 days old yet"):
        fold([*CALM, AT_LAST], known_after=timedelta(days=1))


def test_what_was_stopped_without_a_verdict_is_not_tested() -> None:
    h = history([*CALM, AT_LAST], DELAY, "")
    stopped = h.operations.filter(pc.equal(h.operations["occurred_at"], pa.scalar(START + timedelta(days=15.5))))
    (id_,), (sequence,) = stopped["operation_id"].to_pylist(), stopped["sequence"].to_pylist()
    silent = h.outcomes.filter(pc.not_equal(h.outcomes["operation_id"], id_))
    row = {"sequence": sequence, "operation_id": id_, "level": "medium", "action": "verify", "score": 0.5, "asked": ["score"],
           "would_be": "medium", "propensity": 1.0, "model": "m"}  # fmt: skip
    decisions = pa.Table.from_pylist([row], schema=DECISIONS)
    passed, held = (
        PROTOCOL.folds(h.operations, Outcomes(h.operations, silent, known), [START])[0] for known in (None, decisions)
    )
    place = h.operations["operation_id"].to_pylist().index(id_)
    assert passed.test[place]
    assert not held.test[place]
    assert held.test.sum() == passed.test.sum() - 1


def test_a_fold_without_fraud_is_refused() -> None:
    with pytest.raises(HistoryError, match="test has 8 operations and 0 frauds"):
        fold([*CALM, (20.9, "lucky", False)])


@pytest.mark.parametrize("wrong", [{"train_days": 0}, {"delay_days": -1}, {"test_days": 0}])
def test_impossible_lengths_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match="allowed train_days"):
        Prequential(**wrong)
