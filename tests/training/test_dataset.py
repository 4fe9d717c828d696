"""Labels as they were known, and vectors as of then."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from domain import instants
from domain.criteria import Scheme
from domain.errors import HistoryError
from domain.events import Event, Outcome, OutcomeSource, Verdict
from domain.levels import RiskLevel
from domain.money import Money
from domain.operation import Kind, Operation, Party
from features.decisions import DECISIONS
from features.definitions import DEFINITIONS
from features.feature_set import FeatureSet
from features.history import History, empty, table_of
from features.labels import UNKNOWN
from features.plan import Plan
from training.dataset import Dataset, Outcomes, check_told, customer_numbers, labelled, labels_as_of

ACTIONS = {level.word: level.action.value for level in RiskLevel}
REJECTED_BY = (["registry"], ["rules"], ["score"], ["registry", "rules", "score"])
START = datetime(2026, 1, 1, tzinfo=UTC)
DELAY = timedelta(days=7)
FEATURES = FeatureSet(Plan(DEFINITIONS, 1 << 12))


def operation(day: float, number: int) -> Operation:
    at = START + timedelta(days=day)
    return Operation(
        f"o{number}", at, Kind.E_WALLET, Money(100, "KGS"), Party(customer_id="c1"), Party(account=f"a{number}")
    )


def outcome(number: int, day: float, verdict: Verdict, name: str = "", scheme: Scheme | None = None) -> Outcome:
    known_at = START + timedelta(days=day)
    return Outcome(f"x{number}{name}", f"o{number}", verdict, known_at, OutcomeSource.VERIFICATION, scheme)


def history(operations: list[Operation], outcomes: list[Outcome]) -> History:
    first = len(operations)
    return History(
        table_of(operations, Operation, list(range(first))),
        empty(Event),
        table_of(outcomes, Outcome, list(range(first, first + len(outcomes)))),
    )


def labels(operations: list[Operation], outcomes: list[Outcome], day: float, decisions: pa.Table | None = None) -> list[int]:
    h = history(operations, outcomes)
    return labels_as_of(h.operations, h.outcomes, START + timedelta(days=day), DELAY, decisions).tolist()


def decided(**levels: tuple[str, list[str]]) -> pa.Table:
    """Decisions on operations by id: the level, and the layers that asked for more than low."""
    rows = [
        {"sequence": int(id_[1:]), "operation_id": id_, "level": level, "action": ACTIONS[level], "score": 0.5, "asked": asked,
         "would_be": level, "propensity": float(level != "low"), "model": "m"}
        for id_, (level, asked) in levels.items()
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=DECISIONS)


def test_an_outcome_counts_from_the_moment_it_became_known() -> None:
    operations, outcomes = [operation(0, 0)], [outcome(0, 20, Verdict.FRAUD)]
    assert labels(operations, outcomes, 19) == [0]
    assert labels(operations, outcomes, 20) == [0]  # half-open: known at the moment of training is not yet known
    assert labels(operations, outcomes, 21) == [1]


def test_silence_is_genuine_only_after_the_delay() -> None:
    assert labels([operation(0, 0), operation(5, 1)], [], 8) == [0, UNKNOWN]


def test_the_last_known_outcome_decides() -> None:
    mistaken = [outcome(0, 2, Verdict.FRAUD), outcome(0, 4, Verdict.LEGITIMATE, "b")]
    assert labels([operation(-10, 0)], mistaken, 3) == [1]
    assert labels([operation(-10, 0)], mistaken, 5) == [0]


def test_a_young_operation_is_unknown_even_when_its_outcome_is_known() -> None:
    """Early outcomes are mostly fraud: without this the last week of every training span would be nearly all fraud."""
    assert labels([operation(0, 0)], [outcome(0, 1, Verdict.FRAUD)], 2) == [UNKNOWN]
    assert labels([operation(0, 0)], [outcome(0, 1, Verdict.FRAUD)], 8) == [1]


@pytest.mark.parametrize("asked", REJECTED_BY)
def test_what_was_rejected_is_never_genuine_by_silence_nor_fraud_by_the_layer_that_rejected_it(asked: list[str]) -> None:
    assert labels([operation(0, 0)], [], 60, decided(o0=("high", asked))) == [UNKNOWN]


@pytest.mark.parametrize("asked", REJECTED_BY)
@pytest.mark.parametrize("level", ["medium", "high"])
def test_fraud_that_rules_or_registry_or_score_stopped_is_positive_once_somebody_found_it_out(
    level: str, asked: list[str]
) -> None:
    stopped = decided(o0=(level, asked))
    assert labels([operation(0, 0)], [outcome(0, 3, Verdict.FRAUD)], 60, stopped) == [1]
    assert labels([operation(0, 0)], [outcome(0, 3, Verdict.LEGITIMATE)], 60, stopped) == [0]
    assert labels([operation(0, 0)], [outcome(0, 61, Verdict.FRAUD)], 60, stopped) == [UNKNOWN]


def test_what_was_verified_without_a_verdict_is_unknown() -> None:
    assert labels([operation(0, 0)], [], 60, decided(o0=("medium", ["score"]))) == [UNKNOWN]
    assert labels([operation(0, 0)], [], 60, decided(o0=("medium", []))) == [UNKNOWN]  # by lot


def test_what_passed_in_silence_is_genuine_after_the_delay() -> None:
    assert labels([operation(0, 0), operation(5, 1)], [], 8, decided(o0=("low", []), o1=("low", []))) == [0, UNKNOWN]
    assert labels([operation(0, 0)], [], 60, decided(o0=("low", ["score"]))) == [0]  # let pass by lot


def test_what_was_never_decided_is_genuine_by_silence_beside_what_was() -> None:
    decisions = decided(o1=("high", ["rules"]))
    assert labels([operation(0, 0), operation(0, 1), operation(0, 2)], [], 60, decisions) == [0, UNKNOWN, 0]


def test_a_stopped_operation_without_a_verdict_is_left_out_of_training() -> None:
    operations = [operation(day, day) for day in range(20)]
    known = history(operations, [outcome(3, 8, Verdict.FRAUD)])
    decisions = decided(o3=("high", ["rules"]), o5=("medium", ["score"]), o7=("low", []))
    dataset = labelled(replace(known, decisions=decisions), FEATURES, None, None, START + timedelta(days=60), DELAY)
    assert len(dataset) == 19
    assert dataset.times.tolist() == [instants.to_ms(one.occurred_at) for one in operations if one.operation_id != "o5"]
    assert dataset.labels.sum() == 1


def test_changing_what_is_not_yet_known_changes_neither_vectors_nor_labels() -> None:
    operations = [operation(day, day) for day in range(20)]
    known = [outcome(0, 3, Verdict.FRAUD), outcome(1, 4, Verdict.LEGITIMATE)]
    end = START + timedelta(days=15)
    truth = labelled(history(operations, [*known, outcome(2, 16, Verdict.FRAUD)]), FEATURES, None, end, None, DELAY)
    flipped = labelled(history(operations, [*known, outcome(2, 16, Verdict.LEGITIMATE)]), FEATURES, None, end, None, DELAY)
    assert np.array_equal(truth.labels, flipped.labels)
    assert truth.matrix.tobytes() == flipped.matrix.tobytes()


def test_an_end_beyond_the_history_makes_nobody_genuine_who_could_still_be_reported() -> None:
    known = history([operation(day, day) for day in range(20)], [outcome(1, 3, Verdict.FRAUD)])
    to_its_end = labelled(known, FEATURES, None, None, None, DELAY)
    beyond = labelled(known, FEATURES, None, START + timedelta(days=400), None, DELAY)
    assert len(beyond) == len(to_its_end) == 13  # days 0 to 12: silence is seven days old just after the last arrival
    assert beyond.labels.tolist() == to_its_end.labels.tolist()


def test_the_span_is_half_open_and_rows_stay_beside_their_labels() -> None:
    operations = [operation(day, day) for day in range(20)]
    start, end = START + timedelta(days=2), START + timedelta(days=6)
    outcomes = [outcome(3, 8, Verdict.FRAUD)]
    dataset = labelled(history(operations, outcomes), FEATURES, start, end, START + timedelta(days=30), DELAY)
    assert dataset.labels.tolist() == [0, 1, 0, 0]
    counts = dataset.matrix[:, FEATURES.names.index("customer_sent_count_30d")]
    assert counts.tolist() == [2, 3, 4, 5]


def test_the_scheme_is_that_of_the_last_outcome_known_by_then() -> None:
    told = [
        outcome(0, 2, Verdict.FRAUD, scheme=Scheme.CARD_MISUSE),
        outcome(0, 4, Verdict.LEGITIMATE, "b"),
        outcome(1, 3, Verdict.FRAUD, scheme=Scheme.CARD_MISUSE),
    ]
    h = history([operation(0, 0), operation(0, 1), operation(0, 2)], told)
    outcomes = Outcomes(h.operations, h.outcomes)
    assert outcomes.schemes(START + timedelta(days=3, hours=1)).tolist() == ["card_misuse", "card_misuse", None]
    assert outcomes.schemes(outcomes.end).tolist() == [None, "card_misuse", None]


def test_amounts_of_all_currencies_are_of_one_scale() -> None:
    dollars, soms = (replace_amount(operation(day, day), currency) for day, currency in ((0, "USD"), (1, "KGS")))
    dataset = labelled(
        history([dollars, soms], [outcome(0, 3, Verdict.FRAUD)]), FEATURES, None, None, START + timedelta(days=60), DELAY
    )
    assert dataset.amounts.tolist() == [Money(100, "USD").reference_tyiyn(), 100]


def replace_amount(of: Operation, currency: str) -> Operation:
    return msgspec.structs.replace(of, amount=Money(100, currency))


def test_a_customer_has_one_number_and_without_a_name_it_is_the_account() -> None:
    named, other = Party(customer_id="c1", account="a1"), Party(customer_id="c2", account="a1")
    unnamed = Party(account="a1")
    operations = [
        Operation(f"o{number}", START, Kind.E_WALLET, Money(100, "KGS"), party, Party(account="shop"))
        for number, party in enumerate((named, other, unnamed, named, unnamed))
    ]
    assert customer_numbers(history(operations, []).operations).tolist() == [0, 1, 2, 0, 2]


def test_columns_are_behaviour_then_profiles_as_they_were_known() -> None:
    operations = [operation(day, day) for day in range(20)]
    start = START + timedelta(days=5)
    dataset = labelled(
        history(operations, [outcome(9, 12, Verdict.FRAUD)]), FEATURES, start, None, START + timedelta(days=60), DELAY
    )
    days = dataset.matrix[:, FEATURES.names.index("customer_profile_active_days_90d")]
    assert days.tolist() == list(range(5, 20))  # an operation at 06:00 reads the profile of the day before
    behaviour = labelled(
        history(operations, [outcome(9, 12, Verdict.FRAUD)]), FeatureSet(FEATURES.plan, with_profiles=False),
        start, None, START + timedelta(days=60), DELAY,
    )  # fmt: skip
    assert dataset.matrix[:, : len(FEATURES.plan)].tobytes() == behaviour.matrix.tobytes()


def test_a_span_without_fraud_is_refused_with_what_to_do() -> None:
    with pytest.raises(HistoryError, match="widen --from and --to"):
        labelled(history([operation(0, 0), operation(9, 1)], []), FEATURES, None, None, None, DELAY)


@pytest.mark.parametrize(
    ("mask", "shared"), [("1111", True), ("0110", True), ("0001", True), ("0000", True), ("1011", False), ("1001", False)]
)
def test_rows_that_follow_each_other_are_not_copied(mask: str, shared: bool) -> None:
    numbers = np.arange(4)
    whole = Dataset(numbers[:, None] * 1.0, numbers.astype(np.int8), *[numbers] * 3, *[numbers.astype(object)] * 2)
    part = whole.where(np.array([int(each) for each in mask], np.bool_))
    assert len(part.where(np.zeros(len(part), np.bool_))) == 0
    assert part.labels.tolist() == [number for number, each in enumerate(mask) if each == "1"]
    assert np.shares_memory(part.matrix, whole.matrix) is (shared and "1" in mask)


def test_a_moment_of_which_the_history_tells_nothing_any_more_is_refused() -> None:
    known = history([operation(day, day) for day in range(20)], [outcome(1, 3, Verdict.FRAUD)])
    check_told(known, None)
    check_told(known, START + timedelta(days=20))
    with pytest.raises(HistoryError, match=r"--as-of: seen 2026-01-22 00:00, allowed up to 2026-01-21 00:00"):
        check_told(known, START + timedelta(days=21))
