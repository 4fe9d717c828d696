"""A training run end to end on a small simulated world."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from domain.bundle import CARD_FILE, CONTRIBUTIONS_FILE, MANIFEST_FILE, MODEL_FILE, Manifest, champion
from domain.criteria import FraudCriterion
from domain.errors import BundleError, HistoryError, SettingsError
from features import history as histories
from features.bins import SCORE
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feature_set import FeatureSet
from features.plan import Plan
from serving import scoring
from tests.mlflow_store import StoreIn
from training import bundles, tracking
from training.boosting import Boosting
from training.pipeline import FitSettings
from training.simulator import WorldSettings, simulate, write
from training.train import CONTRIBUTION_ROWS, TrainSettings, search_key, train

pytestmark = pytest.mark.filterwarnings("ignore::Warning:mlflow", "ignore::DeprecationWarning", "ignore::FutureWarning")
END = datetime(2026, 2, 5, tzinfo=UTC)
FIT = FitSettings(boosting=Boosting(trees=30))
SETTINGS = TrainSettings(end=END, warm_up=timedelta(0), parity_rows=2_000, fit=FIT)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world") / "history"
    write(simulate(WorldSettings(seed=5, customers=400, days=40)), folder)
    return folder


@pytest.fixture(scope="module")
def trained(history: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest, Path]:
    home = tmp_path_factory.mktemp("trained")
    bundle, manifest, _ = train(history, home / "models", f"sqlite:///{home}/mlflow.db", SETTINGS)
    return bundle, manifest, home


def test_the_bundle_is_served(trained: tuple[Path, Manifest, Path]) -> None:
    bundle, manifest, home = trained
    plan = Plan(DEFINITIONS, RETAINED_ARRIVALS)
    bundles.set_champion(home / "models", manifest.version)
    assert champion(home / "models") == bundle
    model = scoring.load(bundle, plan)
    assert model.version == manifest.version
    assert 0 <= model.score(np.full(len(plan), np.nan)) <= 1


def test_a_model_with_profiles_names_them_behind_behaviour(history: Path, tmp_path: Path, store_in: StoreIn) -> None:
    with_profiles = replace(SETTINGS, profiles=True)
    bundle, manifest, _ = train(history, tmp_path / "models", store_in(tmp_path), with_profiles)
    features = FeatureSet(Plan(DEFINITIONS, RETAINED_ARRIVALS))
    assert (manifest.features, manifest.declarations) == (features.names, features.hash)
    assert scoring.load(bundle, features.plan).manifest.features == features.names


def test_the_same_history_seed_and_versions_give_the_same_model_bytes(
    history: Path, trained: tuple[Path, Manifest, Path], tmp_path: Path, store_in: StoreIn
) -> None:
    again, _, _ = train(history, tmp_path / "models", store_in(tmp_path), SETTINGS)
    for name in (MODEL_FILE, CONTRIBUTIONS_FILE):
        assert (again / name).read_bytes() == (trained[0] / name).read_bytes()


def test_the_manifest_says_what_was_done(history: Path, trained: tuple[Path, Manifest, Path]) -> None:
    bundle, manifest, _ = trained
    assert msgspec.json.decode((bundle / MANIFEST_FILE).read_bytes(), type=Manifest) == manifest
    assert manifest.history_sha256 == histories.sha256(history)
    assert manifest.parity["random"] == manifest.parity["on_thresholds"] == manifest.parity["not_finite"] == 0
    assert manifest.thresholds_argument in (bundle / CARD_FILE).read_text(encoding="utf-8")


def test_the_bundle_keeps_what_drift_is_measured_against(trained: tuple[Path, Manifest, Path]) -> None:
    bundle, manifest, _ = trained
    reference = scoring.load(bundle, Plan(DEFINITIONS, RETAINED_ARRIVALS)).stability
    assert reference is not None
    assert reference.names == (*manifest.features, SCORE)
    assert {sum(bins.counts) for bins in reference.bins[:-1]} == {manifest.metrics["operations"]}
    assert sum(reference.bins[-1].counts) == manifest.metrics["later_operations"]


def test_the_bundle_keeps_the_contributions_and_the_card_tells_them(trained: tuple[Path, Manifest, Path]) -> None:
    bundle, manifest, _ = trained
    explainer = scoring.load(bundle, Plan(DEFINITIONS, RETAINED_ARRIVALS)).explainer
    assert explainer is not None
    assert (manifest.parity["contributions"], manifest.parity["contributions_rows"]) == (0, 3 * CONTRIBUTION_ROWS)
    card = (bundle / CARD_FILE).read_text(encoding="utf-8")
    assert all(criterion.words in card for criterion in FraudCriterion)
    assert f"![What each feature adds]({bundles.PLOT_FILE})" in card
    assert (bundle / bundles.PLOT_FILE).read_bytes().startswith(b"\x89PNG")


def test_the_run_is_in_mlflow_with_its_bundle_and_the_registry_has_aliases(trained: tuple[Path, Manifest, Path]) -> None:
    import mlflow

    _, manifest, home = trained
    uri = f"sqlite:///{home}/mlflow.db"
    tracking.set_aliases(uri, {"champion": manifest.version})
    client = mlflow.MlflowClient(uri)
    run = client.get_run(manifest.run)
    assert run.data.params["declarations"] == manifest.declarations
    assert run.data.metrics["later_auc"] == pytest.approx(manifest.metrics["later_auc"])
    assert {file.path for file in client.list_artifacts(manifest.run, "bundle")} >= {
        f"bundle/{MODEL_FILE}",
        f"bundle/{MANIFEST_FILE}",
        f"bundle/{CONTRIBUTIONS_FILE}",
        f"bundle/{bundles.PLOT_FILE}",
    }
    registered = client.get_model_version_by_alias(tracking.REGISTERED_MODEL, "champion")
    assert registered.tags["bundle"] == manifest.version


def test_nothing_that_became_known_later_changes_the_model(
    history: Path, trained: tuple[Path, Manifest, Path], tmp_path: Path, store_in: StoreIn
) -> None:
    whole = histories.read(history)
    past = histories.History(
        histories.between(whole.operations, "occurred_at", None, END),
        histories.between(whole.events, "occurred_at", None, END),
        histories.between(whole.outcomes, "known_at", None, END),
    )
    histories.write(past, tmp_path / "past")
    bundle, _, _ = train(tmp_path / "past", tmp_path / "models", store_in(tmp_path), SETTINGS)
    assert (bundle / MODEL_FILE).read_bytes() == (trained[0] / MODEL_FILE).read_bytes()


def test_a_span_too_short_for_three_parts_is_refused(history: Path, tmp_path: Path) -> None:
    as_of, delay = datetime(2026, 2, 10, tzinfo=UTC), timedelta(days=5)
    short = TrainSettings(start=datetime(2026, 2, 4, tzinfo=UTC), end=END, as_of=as_of, delay=delay)
    with pytest.raises(HistoryError, match=r"fraud"):
        train(history, tmp_path / "models", f"sqlite:///{tmp_path}/mlflow.db", short)
    assert not list((tmp_path / "models").glob("*")) if (tmp_path / "models").exists() else True


def test_a_tracking_store_of_another_form_is_refused(history: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="sqlite:///FILE"):
        train(history, tmp_path / "models", "mlruns", SETTINGS)


@pytest.mark.parametrize(
    "other", [{"delay": timedelta(days=14)}, {"warm_up": timedelta(days=60)}, {"end": datetime(2026, 2, 1, tzinfo=UTC)}]
)
def test_a_search_goes_on_only_with_the_same_operations_and_labels(other: dict[str, Any]) -> None:
    assert search_key("data", TrainSettings()) == search_key("data", TrainSettings())
    assert search_key("data", replace(TrainSettings(), **other)) != search_key("data", TrainSettings())


def test_an_untrained_installation_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="train a model first"):
        champion(tmp_path)
