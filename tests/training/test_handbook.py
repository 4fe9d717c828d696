"""The Fraud Detection Handbook's own numbers on its own data: they prove the protocol before anything is measured by it."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from features.history import History
from training import mapping
from training.dataset import Outcomes
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
