"""Weights by inverse propensity: what is known by design stands for all that was decided."""

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from domain.errors import HistoryError
from domain.events import Outcome, OutcomeSource, Verdict
from domain.levels import RiskLevel
from domain.money import Money
from domain.operation import Kind, Operation, Party
from features.decisions import DECISIONS
from features.history import table_of
from features.labels import UNKNOWN
from training import figures
from training.propensity import Weighted, effective_size, weigh

START = datetime(2026, 1, 1, tzinfo=UTC)
AS_OF = START + timedelta(days=30)
COUNT = 300
RANDOM = random.Random(7)
SCORES = [RANDOM.random() ** 3 for _ in range(COUNT)]
IS_FRAUD = [RANDOM.random() < 0.05 + 0.7 * score for score in SCORES]
WOULD_BE = ["high" if score > 0.9 else "medium" if score > 0.5 else "low" for score in SCORES]


def operations(count: int = COUNT) -> pa.Table:
    party = Party(customer_id="c1"), Party(account="a1")
    made = [Operation(f"o{i}", START + timedelta(minutes=i), Kind.E_WALLET, Money(100, "KGS"), *party) for i in range(count)]
    return table_of(made, Operation, list(range(count)))


def decisions(levels: list[str], propensities: list[float], would_be: list[str] | None = None) -> pa.Table:
    would_be = would_be or WOULD_BE[: len(levels)]
    rows = [
        {"sequence": i, "operation_id": f"o{i}", "level": level, "action": RiskLevel[level.upper()].action.value,
         "score": SCORES[i], "asked": [], "would_be": would_be[i], "propensity": propensities[i], "model": "m"}
        for i, level in enumerate(levels)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=DECISIONS)


def outcomes(known: list[int], day: float = 3, fraud: list[bool] = IS_FRAUD) -> pa.Table:
    at = START + timedelta(days=day)
    verdicts = [Verdict.FRAUD if fraud[i] else Verdict.LEGITIMATE for i in known]
    made = [
        Outcome(f"x{i}", f"o{i}", verdict, at, OutcomeSource.VERIFICATION)
        for i, verdict in zip(known, verdicts, strict=True)
    ]
    return table_of(made, Outcome, list(range(COUNT, COUNT + len(made))))


def drawn(lots: random.Random, verified: float, passed: float) -> tuple[list[str], list[float]]:
    """Levels and propensities when the lot verifies a share of the low and passes a share of the medium."""
    propensity = [{"low": verified, "medium": 1 - passed, "high": 1.0}[level] for level in WOULD_BE]
    stopped = [lots.random() < p for p in propensity]
    levels = [
        "low" if not stops else "high" if level == "high" else "medium"
        for stops, level in zip(stopped, WOULD_BE, strict=True)
    ]
    return levels, propensity


OPERATIONS, VERDICTS = operations(), outcomes(list(range(COUNT)))


def weighed(levels: list[str], propensity: list[float]) -> Weighted:
    stopped = [i for i, level in enumerate(levels) if level != "low"]
    return weigh(OPERATIONS, VERDICTS.take(stopped), decisions(levels, propensity), AS_OF)


def test_where_everything_is_verified_the_weighted_figures_are_the_figures() -> None:
    all_stopped = ["high" if level == "high" else "medium" for level in WOULD_BE]
    found = weighed(all_stopped, [1.0] * COUNT)
    labels, scores = np.array(IS_FRAUD, np.int8), np.array(SCORES)
    assert found.weights.tolist() == [1.0] * COUNT
    assert figures.ap(found.labels, found.scores, found.weights) == pytest.approx(figures.ap(labels, scores))
    assert (found.effective, found.clipped, found.unseen) == (COUNT, 0, {})


def test_the_weighted_count_of_frauds_is_right_on_average_over_lots() -> None:
    """The mean over 300 lots, within four standard errors; what is known of the stopped alone is far too low."""
    random_lots = random.Random(11)
    counts, naive = [], []
    for _ in range(300):
        found = weighed(*drawn(random_lots, 0.25, 0.1))
        counts.append(float((found.weights * (found.labels == 1)).sum()))
        naive.append(int((found.labels == 1).sum()))
    error = np.std(counts) / np.sqrt(len(counts))
    assert abs(np.mean(counts) - sum(IS_FRAUD)) < 4 * error
    assert np.mean(naive) < sum(IS_FRAUD) - 20 * error


def test_the_weights_of_each_level_without_the_lot_sum_to_its_operations() -> None:
    found = weighed(*drawn(random.Random(3), 0.25, 0.1))
    for level in ("low", "medium", "high"):
        of_level = np.array([word == level for word in WOULD_BE])
        assert found.weights[of_level].sum() == pytest.approx(of_level.sum())


def test_a_verdict_stands_for_one_over_its_propensity_of_its_like() -> None:
    """Of four that would pass, one of a share of a half and one of a tenth are verified: 1 to 5."""
    found = weigh(
        operations(4), outcomes([0, 1]),
        decisions(["medium", "medium", "low", "low"], [0.5, 0.1, 0.5, 0.1], ["low"] * 4), AS_OF,
    )  # fmt: skip
    assert found.weights.tolist() == pytest.approx([4 * 2 / 12, 4 * 10 / 12, 0, 0])


def test_reported_fraud_that_passed_stands_for_nothing() -> None:
    """It is known because it is fraud, not by design: counted, it would make the missed look like fraud that is reported."""
    found = weigh(operations(2), outcomes([0, 1]), decisions(["low", "medium"], [0.5, 0.5], ["low", "low"]), AS_OF)
    assert found.weights.tolist() == [0, 2]


def test_those_whose_verdict_is_not_known_yet_are_represented_by_those_like_them() -> None:
    known, later = outcomes([0, 1]), outcomes([2, 3], day=40)
    levels, would_be = ["medium"] * 4, ["medium"] * 4
    found = weigh(operations(4), pa.concat_tables([known, later]), decisions(levels, [1.0] * 4, would_be), AS_OF)
    assert found.weights.tolist() == [2, 2, 0, 0]
    assert found.labels.tolist()[2:] == [UNKNOWN, UNKNOWN]


def test_a_level_of_which_no_verdict_is_known_is_said_to_be_unseen() -> None:
    found = weigh(
        operations(3), outcomes([0]), decisions(["medium", "low", "high"], [1, 0, 1], ["medium", "low", "high"]), AS_OF
    )
    assert found.unseen == {"low": 1, "high": 1}
    assert found.weights.tolist() == [1, 0, 0]
    assert found.seen().labels.tolist() == [IS_FRAUD[0]]
    assert found.words.endswith("Nobody stands for 1 low, 1 high: verify a share of them.")


def test_a_weight_above_the_bound_is_clipped_and_its_share_said() -> None:
    levels, propensity = ["medium"] + ["low"] * 99, [0.01] * 100
    found = weigh(operations(100), outcomes([0]), decisions(levels, propensity, ["low"] * 100), AS_OF, most=40)
    assert (found.weights.max(), found.clipped) == (40, 1.0)
    assert "The largest weight is 40.0; 100.00% were clipped at the bound." in found.words


def test_the_effective_size_is_the_count_for_even_weights_and_less_for_uneven_ones() -> None:
    assert effective_size(np.full(50, 7.0)) == pytest.approx(50)
    assert effective_size(np.array([1.0, 1.0, 8.0])) == pytest.approx(100 / 66)
    assert effective_size(np.zeros(3)) == effective_size(np.empty(0)) == 0


def test_operations_that_were_never_decided_are_left_out() -> None:
    found = weigh(operations(5), outcomes([0, 4]), decisions(["medium", "medium"], [1, 1], ["medium"] * 2), AS_OF)
    assert len(found.weights) == 2
    with pytest.raises(HistoryError, match="burana export"):
        weigh(operations(5), outcomes([0]), DECISIONS.empty_table(), AS_OF)
