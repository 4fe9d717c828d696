"""The demonstration of the control share, on a world small enough for a test: decided by the whole path, outcomes as they come."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.control_share import Decided, Estimate, as_they_come, decided, drawn_again, estimates, over_lots, summary
from serving.control import Lots, Shares
from training.control_plots import estimates_against_truth
from training.simulator import WorldSettings

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy is deprecated",  # MLflow's store, through SQLAlchemy 2.1
)
SHARES = Shares(verified=0.25, passed=0.1)
WORLD = WorldSettings(seed=8, customers=400, days=36, fraud_share=0.03)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    return decided(WORLD, train_days=18, trees=60, shares=SHARES, folder=tmp_path_factory.mktemp("control"))


@pytest.fixture(scope="module")
def lots(world: Decided) -> list[dict[str, Estimate]]:
    """The estimates of 60 lots, the same in every run."""
    return list(over_lots(world, SHARES, 60))


@pytest.fixture(scope="module")
def found(lots: list[dict[str, Estimate]]) -> dict[str, dict[str, dict[str, float]]]:
    return summary(lots)


def test_the_weighted_recall_is_nearer_the_truth_than_the_naive_one(found: dict) -> None:
    """Over fixed lots: its bias is a fraction of the naive one's, and its error is smaller with all its spread."""
    naive, weighted = found["naive"]["recall"], found["weighted"]["recall"]
    assert naive["bias"] > 0.02
    assert abs(weighted["bias"]) < naive["bias"] / 3
    assert weighted["rmse"] < naive["rmse"]


def test_the_weighted_count_of_frauds_is_nearer_the_truth_than_the_known_ones(found: dict) -> None:
    assert abs(found["weighted"]["frauds"]["bias"]) < -found["naive"]["frauds"]["bias"] / 2


def test_what_was_served_is_what_its_own_lots_draw_again(world: Decided) -> None:
    """The same function decides in the endpoint and when the lot is drawn again."""
    again = drawn_again(world, Lots(b"another key"), SHARES)
    for name in ("would_be", "propensity", "score"):
        assert again[name].equals(world.decisions[name])
    levels = [np.array(table["level"].to_pylist()) for table in (world.decisions, again)]
    certain = np.isin(world.decisions["propensity"].to_numpy(), (0.0, 1.0))
    assert (levels[0] == levels[1])[certain].all()
    assert (levels[0] != levels[1])[~certain].any()


def test_outcomes_come_of_what_was_stopped_and_of_reports_of_what_passed(world: Decided) -> None:
    outcomes = as_they_come(world, world.decisions).to_pylist()
    levels = dict(zip(*(world.decisions[name].to_pylist() for name in ("operation_id", "level")), strict=True))
    verified = {row["operation_id"] for row in outcomes if row["outcome_id"].startswith("verified-")}
    assert verified == {id_ for id_, level in levels.items() if level != "low"}
    assert all(levels.get(row["operation_id"], "low") == "low" for row in outcomes if row["operation_id"] not in verified)


def test_the_estimates_are_drawn_beside_the_truth(world: Decided, lots: list[dict[str, Estimate]], tmp_path: Path) -> None:
    values = {name: [np.array([one[name].recall for one in lots])] for name in ("naive", "weighted")}
    truth = np.array([estimates(world, world.decisions)["truth"].recall])
    figure = estimates_against_truth(["one world"], truth, values, "Recall", "share of the frauds that is stopped")
    figure.savefig(tmp_path / "figure.png")
    assert {text.get_text() for text in figure.legends[0].get_texts()} >= {"truth"}
