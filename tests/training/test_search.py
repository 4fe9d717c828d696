"""A search for better ways of growing trees is bounded, goes on where it stopped, and never ends below where it began."""

from pathlib import Path

import numpy as np
import optuna
import pytest

from domain.errors import SettingsError
from domain.file_lock import held
from training.boosting import Boosting
from training.dataset import Dataset
from training.search import BLOCKS, SearchSettings, forward_blocks, search

NAMES = ("signal", "noise")
START = Boosting(trees=20, leaf_operations=10)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    random = np.random.default_rng(5)
    labels = (random.random(2_000) < 0.1).astype(np.int8)
    matrix = np.column_stack([labels + random.normal(0, 0.7, len(labels)), random.normal(0, 1, len(labels))])
    texts = np.full(len(labels), "own_account", np.object_)
    numbers = np.arange(len(labels))
    return Dataset(matrix, labels, numbers * 60_000, numbers, numbers, texts, texts)


def found(dataset: Dataset, file: Path, trials: int, key: str = "a"):
    return search(forward_blocks(dataset), NAMES, START, 1, SearchSettings(trials, 600, file), key)


def test_forward_blocks_measure_on_what_came_after(dataset: Dataset) -> None:
    pairs = forward_blocks(dataset)
    assert len(pairs) == BLOCKS
    assert all(earlier.times.max() < later.times.min() for earlier, later in pairs)
    assert pairs[-1][1].times.max() == dataset.times.max()


def test_the_start_is_the_first_trial_and_stands_unless_it_is_beaten(dataset: Dataset, tmp_path: Path) -> None:
    first = found(dataset, tmp_path / "search.db", 1)
    assert (first.boosting, first.trials) == (START, 1)
    assert first.average_precision == first.average_precision_at_start
    more = found(dataset, tmp_path / "search.db", 4)
    assert more.average_precision >= first.average_precision


def test_an_interrupted_search_ends_like_one_that_was_not(dataset: Dataset, tmp_path: Path) -> None:
    whole = found(dataset, tmp_path / "whole.db", 4)
    found(dataset, tmp_path / "parts.db", 2)
    assert found(dataset, tmp_path / "parts.db", 4) == whole


def test_a_start_that_was_interrupted_is_tried_again(dataset: Dataset, tmp_path: Path) -> None:
    whole = found(dataset, tmp_path / "whole.db", 2)
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/parts.db", study_name="a", direction="maximize")
    study.enqueue_trial({name: value for name, value in START.figures().items() if name != "trees"})
    study.ask()  # begun, and never told of
    assert found(dataset, tmp_path / "parts.db", 1).boosting == START
    assert found(dataset, tmp_path / "parts.db", 2) == whole


def test_trials_of_other_data_are_not_looked_at(dataset: Dataset, tmp_path: Path) -> None:
    found(dataset, tmp_path / "search.db", 2)
    assert found(dataset, tmp_path / "search.db", 1, key="b").trials == 1


def test_two_searches_do_not_share_a_file_at_once(dataset: Dataset, tmp_path: Path) -> None:
    with held(tmp_path / "search.db.lock"), pytest.raises(SettingsError, match="another search goes on in it"):
        found(dataset, tmp_path / "search.db", 1)
    assert found(dataset, tmp_path / "search.db", 1).trials == 1


def test_a_search_without_an_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="allowed"):
        SearchSettings(0, 10, tmp_path)


def test_a_start_that_cannot_be_tried_by_its_logarithm_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="l2: seen 0"):
        search([], NAMES, Boosting(l2=0), 1, SearchSettings(2, 600, tmp_path / "search.db"), "key")
