"""A bundle on days that it has not seen: what it answers, what its thresholds promised, and what they kept."""

import json
import shutil
from dataclasses import asdict
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from domain.bundle import THRESHOLDS_FILE, Manifest
from domain.errors import BundleError, HistoryError
from features import history as histories
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.plan import Plan
from serving import scoring
from tests.mlflow_store import StoreIn
from training import promises, released
from training.boosting import Boosting
from training.dataset import labels_as_of
from training.pipeline import FitSettings
from training.simulator import WorldSettings, simulate, write
from training.train import TrainSettings, train
from training.unseen import Unseen, unseen

pytestmark = pytest.mark.filterwarnings("ignore::Warning:mlflow", "ignore::DeprecationWarning", "ignore::FutureWarning")
WORLD = WorldSettings(seed=5, customers=300, days=40, fraud_share=0.04)
SPLIT = WORLD.start + timedelta(days=30)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, store_in: StoreIn) -> tuple[Path, Path, Manifest]:
    """A history, and a bundle that was trained on what came before SPLIT."""
    home = tmp_path_factory.mktemp("trained")
    write(simulate(WORLD), home / "history")
    settings = TrainSettings(end=SPLIT, warm_up=timedelta(0), parity_rows=500, fit=FitSettings(boosting=Boosting(trees=12)))
    bundle, manifest, _ = train(home / "history", home / "models", store_in(home), settings)
    return home / "history", bundle, manifest


@pytest.fixture(scope="module")
def seen(trained: tuple[Path, Path, Manifest]) -> Unseen:
    return unseen(trained[0], trained[1])


def test_all_that_became_known_in_the_end_is_the_label(trained, seen):
    history = histories.read(trained[0])
    whole = history.operations
    labels = labels_as_of(whole, history.outcomes, datetime(2030, 1, 1, tzinfo=UTC), timedelta(0))
    later = whole["occurred_at"].cast("int64").to_numpy() >= seen.start.timestamp() * 1000
    assert seen.operations.labels.tolist() == labels[later].tolist()
    assert seen.ranked.operations == later.sum()


def test_the_scores_are_those_that_the_endpoint_would_give(trained, seen):
    served = scoring.load(trained[1], Plan(DEFINITIONS, RETAINED_ARRIVALS))
    assert seen.scores.tolist() == served.score_many(seen.operations.matrix)[1].tolist()


def test_days_without_a_known_fraud_are_refused(trained):
    with pytest.raises(HistoryError, match="name an earlier day"):
        unseen(trained[0], trained[1], WORLD.start + timedelta(days=60))


def test_days_that_may_have_been_trained_on_are_refused_and_those_after_are_the_default(trained, seen):
    trained_to = trained[2].trained_to
    with pytest.raises(HistoryError, match="may have been trained on"):
        unseen(trained[0], trained[1], trained_to - timedelta(hours=1))
    assert trained_to <= seen.start < trained_to + timedelta(days=1)
    assert seen.start.time() == time()
    assert seen.operations.times.min() >= trained_to.timestamp() * 1000


def test_a_column_that_no_split_reads_changes_no_score_and_those_that_are_read_do(seen):
    matrix, used = seen.operations.matrix, list(seen.bundle.used)
    unread = [column for column in range(matrix.shape[1]) if column not in seen.bundle.used]
    random = np.random.default_rng(1)
    others, ours = matrix.copy(), matrix.copy()
    others[:, unread] = random.normal(size=(len(matrix), len(unread))) * 1e6
    ours[:, used] = matrix[random.permutation(len(matrix))][:, used]
    assert used
    assert unread
    assert np.array_equal(seen.bundle.model.score(others), seen.scores)
    assert not np.array_equal(seen.bundle.model.score(ours), seen.scores)


def test_a_bundle_tells_why_its_thresholds_lie_where_they_do(trained):
    _, bundle, manifest = trained
    argument = released.argument_of(bundle, manifest)
    assert argument.text == manifest.thresholds_argument
    assert (argument.chosen.medium, argument.chosen.high) == (manifest.thresholds.medium, manifest.thresholds.high)
    assert len(argument.alternatives) == 5


def test_an_argument_that_was_changed_or_never_written_is_refused(trained, tmp_path):
    _, bundle, manifest = trained
    changed = tmp_path / "changed"
    shutil.copytree(bundle, changed)
    stated = json.loads((changed / THRESHOLDS_FILE).read_text())
    (changed / THRESHOLDS_FILE).write_text(json.dumps(stated | {"frauds": 1}))
    with pytest.raises(BundleError, match="not the file that its manifest states"):
        released.argument_of(changed, manifest)
    with pytest.raises(BundleError, match="train again"):
        released.argument_of(bundle, replace(manifest, thresholds_sha256=""))


def test_what_was_kept_is_counted_and_lies_in_its_interval(trained, seen):
    _, bundle, manifest = trained
    argument = released.argument_of(bundle, manifest)
    found = {one.words: one for one in promises.promises(argument.chosen, seen, manifest.thresholds)}
    labels, stopped = seen.operations.labels, seen.scores >= manifest.thresholds.medium
    days = len(np.unique(seen.operations.days))
    assert found["frauds stopped"].kept == pytest.approx(labels[stopped].sum() / labels.sum())
    assert found["operations stopped a day"].kept == pytest.approx(stopped.sum() / days)
    assert found["frauds stopped"].promised == argument.chosen.recall
    assert all(one.interval.low <= one.kept <= one.interval.high for one in found.values())
    assert not any(np.isnan(list(asdict(one.interval).values())).any() for one in found.values())


def test_a_promise_outside_of_the_interval_is_named(trained, seen):
    _, bundle, manifest = trained
    chosen = released.argument_of(bundle, manifest).chosen
    kept = promises.promises(chosen, seen, manifest.thresholds)
    lines = list(promises.table(kept))[1:]
    assert ["outside" in line for line in lines] == [one.is_broken for one in kept]
    shares = [one for one in kept if one.is_share]
    (axes,) = promises.plot(kept).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [one.words for one in shares]
