"""`burana evaluate` end to end on a small simulated world: folds, a bundle, a matrix from a file."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from domain.bundle import MODEL_FILE, Manifest
from features import history as histories
from features.decisions import DECISIONS
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feature_set import FeatureSet
from features.labels import UNKNOWN
from features.plan import Plan
from serving import cli, scoring
from tests.mlflow_store import StoreIn
from training.boosting import Boosting
from training.dataset import labels_as_of
from training.evaluate import Evaluation, search_key
from training.evaluate_command import table
from training.pipeline import FitSettings
from training.simulator import WorldSettings, simulate, write
from training.train import TrainSettings, train
from training.vectors import vectors

pytestmark = pytest.mark.filterwarnings("ignore::Warning:mlflow", "ignore::DeprecationWarning", "ignore::FutureWarning")
SPLIT, END = datetime(2026, 2, 5, tzinfo=UTC), datetime(2026, 2, 15, tzinfo=UTC)
FOLDS = ("--starts", "2026-01-18,2026-01-25", "--train-days", "21", "--delay-days", "3", "--drop-compromised",
         "--trees", "12", "--alerts-per-day", "8", "--bootstrap", "40")  # fmt: skip


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world") / "history"
    write(simulate(WorldSettings(seed=5, customers=300, days=60, fraud_share=0.04)), folder)
    return folder


@pytest.fixture(scope="module")
def matrix(history: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("matrix") / "matrix.parquet"
    assert cli.main(["features", "--history", str(history), "--out", str(file)]) == 0
    return file


@pytest.fixture(scope="module")
def bundle(history: Path, tmp_path_factory: pytest.TempPathFactory, store_in: StoreIn) -> tuple[Path, Manifest]:
    home = tmp_path_factory.mktemp("trained")
    fitting = FitSettings(boosting=Boosting(trees=12))
    settings = TrainSettings(end=SPLIT, warm_up=timedelta(0), parity_rows=1_000, fit=fitting)
    folder, manifest, _ = train(history, home / "models", store_in(home), settings)
    return folder, manifest


def evaluated(history: Path, json_file: Path, *arguments: str) -> dict[str, Any]:
    assert cli.main(["evaluate", "--history", str(history), "--json", str(json_file), *arguments]) == 0
    return dict(json.loads(json_file.read_text()))


@pytest.fixture(scope="module")
def found(history: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return evaluated(history, tmp_path_factory.mktemp("json") / "found.json", *FOLDS)


def test_every_fold_has_the_figures_and_the_mean_is_theirs(found: dict[str, Any]) -> None:
    for name in ("auc", "ap", "cp100", "cp100_max", "recall_at_fpr_0.001", "alerts_8_recall", "medium_precision", "brier"):
        of_folds = [fold[name] for fold in found["folds"]]
        assert found["mean"][name] == pytest.approx(np.mean(of_folds))
        assert found["sd"][name] == pytest.approx(np.std(of_folds, ddof=1))
    assert [fold["start"] for fold in found["folds"]] == ["2026-01-18", "2026-01-25"]
    assert [(fold["train_from"], fold["test_from"], fold["test_to"]) for fold in found["folds"]] == [
        ("2026-01-04", "2026-01-28", "2026-02-03"),
        ("2026-01-11", "2026-02-04", "2026-02-10"),
    ]


def test_every_figure_has_an_interval_also_the_means(found: dict[str, Any]) -> None:
    for told in (*found["folds"], {**found["mean"], "intervals": found["intervals"]}):
        assert set(told["intervals"]) == set(found["mean"])
        low, high = told["intervals"]["auc"]
        assert low <= told["auc"] <= high


def test_slices_add_up_to_the_whole(found: dict[str, Any]) -> None:
    for fold in found["folds"]:
        assert sum(part["operations"] for part in fold["by_kind"].values()) == fold["test_operations"]
        assert sum(part["frauds"] for part in fold["by_scheme"].values()) == fold["test_frauds"]
        caught = sum(part["frauds"] * part["medium_recall"] for part in fold["by_scheme"].values())
        assert caught == pytest.approx(fold["medium_recall"] * fold["test_frauds"])
        assert sum(part["operations"] for part in fold["reliability"]) == fold["test_operations"]
    assert found["weekly"]["ap"]["weeks"] == 3


def test_the_same_seed_gives_the_same_figures_and_a_matrix_from_a_file_too(
    history: Path, matrix: Path, found: dict[str, Any], tmp_path: Path
) -> None:
    again = evaluated(history, tmp_path / "again.json", *FOLDS, "--matrix", str(matrix))
    for each in (*again["folds"], *found["folds"]):
        each.pop("fit_seconds", None)
    assert again == found


def test_the_table_reads_in_words(found: dict[str, Any]) -> None:
    said = table(found, 8)
    ap = re.search(r"average precision +([\d.]+) +([\d.]+) - ([\d.]+)", said)
    assert ap is not None
    assert [float(value) for value in ap.groups()] == pytest.approx(
        [found["mean"]["ap"], *found["intervals"]["ap"]], abs=1e-4
    )
    assert "Stopped: the 8 highest scores of a day" in said
    assert "Fraud caught (medium), by scheme" in said
    assert "2026-01-18: trained 2026-01-04 to 2026-01-24 on" in said


def test_a_bundle_is_measured_by_its_own_graph_and_thresholds(
    history: Path, bundle: tuple[Path, Manifest], tmp_path: Path
) -> None:
    folder, manifest = bundle
    span = ("--from", "2026-02-05", "--to", "2026-02-15")
    [told] = evaluated(history, tmp_path / "bundle.json", "--bundle", str(folder), *span, "--bootstrap", "0")["folds"]
    plan = Plan(DEFINITIONS, RETAINED_ARRIVALS)
    whole = histories.read(history)
    past = histories.cut(whole, None, END)
    served = scoring.load(folder, plan)
    scores = served.score_many(vectors(past, FeatureSet(plan, with_profiles=False), SPLIT))[1]
    operations = histories.between(past.operations, "occurred_at", SPLIT, None)
    labels = labels_as_of(operations, whole.outcomes, datetime(2027, 1, 1, tzinfo=UTC), timedelta(days=7))
    assert UNKNOWN not in labels
    stopped = scores >= manifest.thresholds.medium
    assert told["bundle"] == manifest.version
    assert (told["test_operations"], told["test_frauds"]) == (len(labels), labels.sum())
    assert told["medium_recall"] == pytest.approx(labels[stopped].sum() / labels.sum())
    assert told["medium_precision"] == pytest.approx(labels[stopped].mean())
    assert told["intervals"] == {}


def test_what_was_stopped_without_a_verdict_is_not_measured_as_genuine(
    history: Path, bundle: tuple[Path, Manifest], tmp_path: Path
) -> None:
    told = histories.read(history)
    silent = told.operations.filter(pc.invert(pc.is_in(told.operations["operation_id"], told.outcomes["operation_id"])))
    ids = silent.filter(pc.equal(silent["occurred_at"].cast(pa.date32()), SPLIT.date())).slice(0, 3)
    rows = [
        {"sequence": sequence, "operation_id": id_, "level": "medium", "action": "verify", "score": 0.5, "asked": ["score"],
         "would_be": "medium", "propensity": 1.0, "model": "m"}
        for sequence, id_ in zip(ids["sequence"].to_pylist(), ids["operation_id"].to_pylist(), strict=True)
    ]  # fmt: skip
    histories.write(replace(told, decisions=pa.Table.from_pylist(rows, schema=DECISIONS)), tmp_path / "decided")
    asked = ("--bundle", str(bundle[0]), "--from", f"{SPLIT:%Y-%m-%d}", "--to", f"{END:%Y-%m-%d}", "--bootstrap", "0")
    (all_of_them,), (decided,) = (
        evaluated(folder, tmp_path / "found.json", *asked)["folds"] for folder in (history, tmp_path / "decided")
    )
    assert decided["test_operations"] == all_of_them["test_operations"] - len(rows)
    assert decided["test_frauds"] == all_of_them["test_frauds"]


def refused(history: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["evaluate", "--history", str(history), *arguments]) == 2
    return capsys.readouterr().err


def test_a_damaged_bundle_is_refused(
    history: Path, bundle: tuple[Path, Manifest], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in bundle[0].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / MODEL_FILE).write_bytes(b"another model")
    assert "sha256 differs" in refused(history, capsys, "--bundle", str(tmp_path))
    assert "is not a bundle" in refused(history, capsys, "--bundle", str(tmp_path / "absent"))


def rewritten(matrix: Path, file: Path, change: Any) -> str:
    pq.write_table(change(pq.read_table(matrix)), file)
    return str(file)


def test_a_matrix_of_other_declarations_of_another_history_or_of_a_part_is_refused(
    history: Path, matrix: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "changed.parquet"
    other = rewritten(matrix, file, lambda table: table.replace_schema_metadata({"declarations": "0" * 64}))
    assert "was made by features 000000000000" in refused(history, capsys, *FOLDS, "--matrix", other)
    part = rewritten(matrix, file, lambda table: table.slice(0, table.num_rows // 2))
    assert "make it of the whole history" in refused(history, capsys, *FOLDS, "--matrix", part)

    def renamed(table: pa.Table) -> pa.Table:
        ids = pa.array([f"other-{number}" for number in range(table.num_rows)])
        return table.set_column(table.column_names.index("operation_id"), "operation_id", ids)

    assert "another history" in refused(history, capsys, *FOLDS, "--matrix", rewritten(matrix, file, renamed))
    file.write_bytes(b"no Parquet")
    assert "not a readable matrix" in refused(history, capsys, *FOLDS, "--matrix", str(file))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name --starts"),
        (("--starts", "2026-01-18", "--bundle", "models/x"), "not both"),
        (("--starts", "2026-01-18", "--to", "2026-02-01"), "--to: of a bundle (--bundle) alone"),
        (("--bundle", "models/x", "--trees", "9", "--profiles"), "--profiles, --trees: of folds (--starts) alone"),
        (("--starts", "2026-01-18", "--matrix", "m.parquet", "--profiles"), "without profiles"),
        (("--starts", "2026-01-18", "--bootstrap", "-1"), "allowed from 1, from 0"),
        (("--starts", "2026-01-18", "--alerts-per-day", "100000"), "less than half of the"),
        (("--starts", "2025-06-01"), "the history"),
        (("--starts", "2026-01-18,2026-01-25,2026-01-18"), "allowed: each day once"),
        (("--starts", "2026-03-01"), "the history"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_words(
    history: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert said in refused(history, capsys, *arguments)


def test_a_search_is_measured_on_validation_folds_before_any_test_fold(history: Path, matrix: Path, tmp_path: Path) -> None:
    search = ("--validate", "2026-01-16", "--trials", "2", "--search-file", str(tmp_path / "search.db"))
    folds = ("--starts", "2026-01-25", *FOLDS[2:-1], "0")
    found = evaluated(history, tmp_path / "found.json", "--matrix", str(matrix), *folds, *search)
    assert found["search"]["trials"] == 2
    assert found["boosting"] == found["search"]["boosting"]


def test_a_search_without_validation_folds_is_refused(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", "--history", str(history), *FOLDS, "--trials", "2"]) != 0
    assert "--validate" in capsys.readouterr().err


def test_growing_is_not_chosen_by_what_it_is_then_tested_on(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("evaluate", "--history", str(history), *FOLDS, "--validate", "2026-01-18", "--trials", "2")
    assert cli.main([*asked]) != 0
    assert "name earlier starts" in capsys.readouterr().err


def test_a_bundle_is_not_measured_on_what_it_was_trained_on(
    history: Path, bundle: tuple[Path, Manifest], capsys: pytest.CaptureFixture[str]
) -> None:
    told = refused(history, capsys, "--bundle", str(bundle[0]), "--from", "2026-01-20")
    assert "may have been trained on operations before" in told


def test_how_old_an_operation_is_in_the_end_the_whole_history_says(
    history: Path, bundle: tuple[Path, Manifest], tmp_path: Path
) -> None:
    whole = histories.read(history)
    early = replace(whole, outcomes=histories.between(whole.outcomes, "known_at", None, END))
    histories.write(early, tmp_path / "early")
    span = ("--from", f"{SPLIT:%Y-%m-%d}", "--to", f"{END:%Y-%m-%d}", "--bootstrap", "0", "--alerts-per-day", "8")
    found = evaluated(tmp_path / "early", tmp_path / "found.json", "--bundle", str(bundle[0]), *span)
    assert found["folds"][0]["test_to"] == "2026-02-14", "weeks of operations follow: the span's last days are settled"


def test_a_search_goes_on_only_with_the_same_declarations_and_code() -> None:
    names, settings = ("a", "b"), Evaluation()
    assert search_key("history/declarations/code", names, settings) == search_key(
        "history/declarations/code", names, settings
    )
    for other in ("history/others/code", "history/declarations/another"):
        assert search_key(other, names, settings) != search_key("history/declarations/code", names, settings)
