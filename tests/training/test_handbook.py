"""The Fraud Detection Handbook's own numbers on its own data: they prove the protocol before anything is measured by it."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from features.history import History
from training import figures, mapping
from training.baselines import fit_baseline
from training.book_features import book_matrix
from training.dataset import Outcomes, dataset_of
from training.foreign_rows import read_foreign
from training.importing import import_rows
from training.protocols import Fold, Prequential

CHAPTER_3 = datetime(2018, 7, 25, tzinfo=UTC)
FIRST, LAST = datetime(2018, 6, 17), datetime(2018, 8, 15)
"""The longest window of the book reaches back 37 days from the first day of training; the test ends before the last."""


@pytest.fixture(scope="module")
def history(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> History:
    file = tmp_path_factory.mktemp("handbook") / "handbook.parquet"
    of_span = pl.col("TX_DATETIME").is_between(FIRST, LAST, closed="left")
    pl.scan_parquet(shared_data / "handbook_dev.parquet").filter(of_span).sink_parquet(file)
    chosen = mapping.load(mapping.find("handbook"))
    return import_rows(read_foreign(file, chosen), chosen, None, datetime.now(UTC)).history


@pytest.fixture(scope="module")
def fold(history: History) -> Fold:
    outcomes = Outcomes(history.operations, history.outcomes)
    return Prequential().folds(history.operations, outcomes, [CHAPTER_3])[0]


def test_the_fold_of_chapter_3_has_the_operations_and_frauds_of_the_book(history: History, fold: Fold) -> None:
    truth = Outcomes(history.operations, history.outcomes).labels(datetime(2018, 9, 1, tzinfo=UTC), Prequential().delay)
    assert (fold.train.sum(), fold.known[fold.train].sum()) == (67_240, 598)
    assert (fold.test.sum(), truth[fold.test].sum()) == (58_264, 385)


@pytest.mark.parametrize(("name", "auc", "ap", "cp100"), [("forest", 0.867, 0.658, 0.287), ("xgboost", 0.862, 0.639, 0.273)])
def test_the_baselines_of_chapter_3_have_the_figures_that_were_published(
    name: str, auc: float, ap: float, cp100: float, history: History, fold: Fold
) -> None:
    outcomes = Outcomes(history.operations, history.outcomes)
    matrix = book_matrix(history.operations, history.outcomes)
    dataset = dataset_of(history.operations, matrix, outcomes, outcomes.end, Prequential().delay)
    test = fold.testing(dataset)
    scores = fit_baseline(name, fold.training(dataset)).score(test.matrix)
    assert figures.auc(test.labels, scores) == pytest.approx(auc, abs=0.003)
    assert figures.ap(test.labels, scores) == pytest.approx(ap, abs=0.003)
    by_customer = figures.customer_precision(test.labels, scores, test.customers, test.days, 100)
    assert by_customer == pytest.approx(cp100, abs=0.003)
