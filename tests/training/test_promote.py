"""A challenger becomes champion when the comparison lets it, or when somebody answers for it; and one command goes back."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from domain import promotions
from domain.bundle import Manifest, champion, manifest_of
from domain.errors import PromotionError, SettingsError
from domain.levels import Thresholds
from features import history as histories
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.plan import Plan
from serving import cli
from tests.mlflow_store import StoreIn
from training import champions, figures, promote, released, tracking
from training.boosting import Boosting
from training.comparison import AT_BUDGET, Scored, compare
from training.dataset import Dataset
from training.pipeline import FitSettings
from training.promote import Span, caution, objections, recent, worst_slice
from training.simulator import WorldSettings, simulate, write
from training.train import TrainSettings, train

pytestmark = pytest.mark.filterwarnings("ignore::Warning:mlflow", "ignore::DeprecationWarning", "ignore::FutureWarning")
START, SPLIT = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 26, tzinfo=UTC)
PLAN = Plan(DEFINITIONS, RETAINED_ARRIVALS)


class Trained(NamedTuple):
    """A history, two bundles that were trained on its first part, and where MLflow keeps the runs.

    worse: learned labels that were dealt out by chance.
    """

    history: Path
    models: Path
    mlflow: Path
    better: str
    worse: str


def dealt_out(history: histories.History) -> histories.History:
    """The same history, in which each outcome is of any operation that had arrived before it."""
    ids, outcomes = history.operations["operation_id"].to_numpy(), history.outcomes
    earlier = np.searchsorted(history.operations["sequence"].to_numpy(), outcomes["sequence"].to_numpy())
    any_of_them = ids[np.random.default_rng(1).integers(0, earlier)]
    column = outcomes.column_names.index("operation_id")
    return replace(history, outcomes=outcomes.set_column(column, outcomes.schema.field(column), pa.array(any_of_them)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, store_in: StoreIn) -> Trained:
    folder = tmp_path_factory.mktemp("rivals")
    write(simulate(WorldSettings(seed=5, customers=400, days=45, fraud_share=0.04)), folder / "history")
    histories.write(dealt_out(histories.read(folder / "history")), folder / "dealt out")
    fitting = FitSettings(boosting=Boosting(trees=30))
    settings = TrainSettings(start=START, end=SPLIT, parity_rows=2_000, fit=fitting)
    store = store_in(folder)
    better, worse = (train(folder / of, folder / "models", store, settings)[1].version for of in ("history", "dealt out"))
    return Trained(folder / "history", folder / "models", folder / "mlflow.db", better, worse)


@pytest.fixture
def trained(made: Trained, tmp_path: Path) -> Trained:
    """The same with models and MLflow's store that a test may change; nobody is champion."""
    shutil.copytree(made.models, tmp_path / "models")
    shutil.copy(made.mlflow, tmp_path / "mlflow.db")
    return made._replace(models=tmp_path / "models", mlflow=tmp_path / "mlflow.db")


@pytest.fixture
def command(trained: Trained) -> Callable[..., int]:
    """`burana promote` on the part of the history that nobody was trained on."""

    def run(*arguments: str, by: str = "aigul", reason: str = "finds more") -> int:
        known = ["--models", str(trained.models), "--mlflow", f"sqlite:///{trained.mlflow}", "--by", by, "--reason", reason]
        return cli.main(["promote", *known, *arguments])

    return run


def on_history(trained: Trained, challenger: str, *more: str) -> list[str]:
    span = ["--from", f"{SPLIT:%Y-%m-%d}", "--resamples", "100"]
    return ["--challenger", challenger, "--history", str(trained.history), *span, *more]


def begin_with(trained: Trained, version: str) -> None:
    champions.promote(trained.models, version, "burana train", "the first", expected=None)


def record(trained: Trained) -> list[promotions.Promotion]:
    return promotions.read(trained.models)


def aliases(trained: Trained) -> dict[str, str]:
    """Alias -> bundle."""
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{trained.mlflow}")
    found = client.get_registered_model(tracking.REGISTERED_MODEL).aliases
    versions = {
        one.version: one.tags["bundle"] for one in client.search_model_versions(f"name='{tracking.REGISTERED_MODEL}'")
    }
    return {alias: versions[version] for alias, version in found.items()}


# ---- the rule -------------------------------------------------------------------------------------------------------------


def test_a_worse_challenger_is_refused_and_the_champion_stays(trained, command, tmp_path, capsys):
    begin_with(trained, trained.better)
    before = record(trained)
    assert command(*on_history(trained, trained.worse, "--json", str(tmp_path / "figures.json"))) == 2
    out, err = capsys.readouterr()
    assert f"{trained.worse} is refused, {trained.better} stays champion: ap " in err
    assert "worse beyond chance" in out
    assert champion(trained.models).name == trained.better
    assert record(trained) == before
    found = json.loads((tmp_path / "figures.json").read_text())
    assert found["figures"]["ap"]["difference_interval"]["high"] < 0
    assert found["objections"]
    assert aliases(trained)["challenger"] == trained.worse


def test_a_better_challenger_takes_over_and_the_change_is_kept_with_its_figures(trained, command, capsys):
    begin_with(trained, trained.worse)
    assert command(*on_history(trained, trained.better)) == 0
    assert champion(trained.models).name == trained.better
    last = record(trained)[-1]
    assert (last.before, last.after, last.by, last.reason) == (trained.worse, trained.better, "aigul", "finds more")
    assert (last.override, last.roll_back) == (False, False)
    kept = json.loads((trained.models / last.figures).read_text())
    assert (kept["champion"], kept["challenger"], kept["objections"]) == (trained.worse, trained.better, [])
    assert f"champion {trained.better} in place of {trained.worse}" in capsys.readouterr().out
    assert {name: aliases(trained).get(name) for name in ("champion", "previous", "challenger")} == {
        "champion": trained.better, "previous": trained.worse, "challenger": None
    }  # fmt: skip


def test_an_override_is_kept_as_one(trained, command):
    begin_with(trained, trained.better)
    assert command(*on_history(trained, trained.worse, "--override"), by="bakyt", reason="the better one is too slow") == 0
    last = record(trained)[-1]
    assert (last.after, last.override, last.by, last.reason) == (trained.worse, True, "bakyt", "the better one is too slow")


def test_an_override_that_was_not_needed_is_none(trained, command):
    begin_with(trained, trained.worse)
    assert command(*on_history(trained, trained.better, "--override")) == 0
    assert record(trained)[-1].override is False


def test_the_comparison_is_a_run_in_mlflow(trained, command):
    import mlflow

    begin_with(trained, trained.better)
    command(*on_history(trained, trained.worse))
    client = mlflow.MlflowClient(f"sqlite:///{trained.mlflow}")
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    run = client.search_runs([experiment.experiment_id], max_results=1)[0]
    assert (run.data.params["champion"], run.data.params["challenger"]) == (trained.better, trained.worse)
    assert run.data.metrics["difference_ap"] < 0
    assert run.data.tags["promoted"] == "False"
    assert [file.path for file in client.list_artifacts(run.info.run_id, "comparison")]


# ---- what is compared -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def span(made: Trained) -> Dataset:
    return recent(histories.read(made.history), released.read(made.models / made.better, PLAN).features, Span(SPLIT))


def test_the_figures_are_those_of_both_bundles_on_the_same_labelled_operations(made, span):
    both = [promote.scored(released.read(made.models / version, PLAN), span) for version in (made.worse, made.better)]
    comparison = compare(span, *both, resamples=50)
    assert (comparison.operations, comparison.frauds) == (len(span), span.labels.sum())
    for who, one in zip(("champion", "challenger"), both, strict=True):
        found = {name: getattr(figure, who) for name, figure in comparison.figures.items()}
        medium = figures.at_threshold(span.labels, one.scores, span.amounts, one.thresholds.medium)
        assert found["ap"] == pytest.approx(figures.ap(span.labels, one.scores))
        assert found[AT_BUDGET] == pytest.approx(figures.recall_at_fpr(span.labels, one.scores, 0.001))
        assert found["medium_recall"] == pytest.approx(medium.recall)
        assert found["medium_value_recall"] == pytest.approx(medium.value_recall)
        assert found["medium_precision"] == pytest.approx(medium.precision, nan_ok=True)  # of no alert there is none
        of_slices = sum(getattr(one.recall, who) * one.frauds for one in comparison.slices if one.name.startswith("kind"))
        assert of_slices / comparison.frauds == pytest.approx(found[AT_BUDGET])


def test_a_bundle_reads_the_columns_that_it_was_trained_on(made, span):
    one = released.read(made.models / made.better, PLAN)
    wider = replace(span, matrix=np.column_stack([span.matrix, np.ones(len(span))]))
    assert promote.scored(one, wider).scores.tobytes() == promote.scored(one, span).scores.tobytes()


def test_a_challenger_is_not_measured_on_what_it_was_trained_on(trained, command, capsys):
    begin_with(trained, trained.worse)
    early = on_history(trained, trained.better)
    early[early.index("--from") + 1] = "2026-01-10"
    assert command(*early) == 2
    said = capsys.readouterr().err
    assert f"{trained.better} was trained on operations up to 2026-01" in said
    assert champion(trained.models).name == trained.worse


def test_a_champion_that_has_seen_the_operations_is_said_to(made):
    one = released.read(made.models / made.better, PLAN)
    assert caution(one, Span(SPLIT)) is None
    assert "its figures flatter it" in caution(one, Span(START))


def test_training_says_up_to_when_it_has_seen_operations(made):
    trained_to = manifest_of(made.models / made.better).trained_to
    assert trained_to is not None
    assert START < trained_to <= SPLIT


# ---- the rule on plain numbers ----------------------------------------------------------------------------------------------


def operations(frauds: int, kinds: int = 1, genuine: int = 20_000) -> Dataset:
    """A fraud of each kind in turn, then genuine operations; every operation of another customer."""
    many = kinds * frauds + genuine
    labels = np.zeros(many, np.int8)
    labels[: kinds * frauds] = 1
    names = np.array([f"kind_{number % kinds}" for number in range(many)], np.object_)
    nothing = np.full(many, None, np.object_)
    return Dataset(np.empty((many, 0)), labels, np.arange(many), np.ones(many, np.int64), np.arange(many), names, nothing)


def scored(of: Dataset, missed: np.ndarray, version: str) -> Scored:
    """Finds every fraud but those of a mask (n,), which score like genuine operations."""
    scores = np.random.default_rng(1).uniform(0, 0.5, len(of))
    scores[(of.labels == 1) & ~missed] += 0.5
    manifest = Manifest(
        1, version, datetime(2026, 1, 1, tzinfo=UTC), (), "", "", "", Thresholds(0.4, 0.6), "", "", "", {}, {}, {}
    )
    return Scored(manifest, scores)


def against(of: Dataset, missed: np.ndarray) -> tuple[str, ...]:
    """What speaks against a challenger that misses some frauds where the champion finds all."""
    nothing = np.zeros(len(of), np.bool_)
    return objections(compare(of, scored(of, nothing, "champion"), scored(of, missed, "challenger"), resamples=100))


def test_who_is_as_good_is_not_refused_and_differs_by_nothing():
    of = operations(frauds=100, kinds=3)
    nothing = np.zeros(len(of), np.bool_)
    comparison = compare(of, scored(of, nothing, "a"), scored(of, nothing, "b"), resamples=100)
    differences = {
        (one.difference, one.difference_interval.low, one.difference_interval.high) for one in comparison.figures.values()
    }
    assert differences == {(0.0, 0.0, 0.0)}
    assert objections(comparison) == ()


def test_a_difference_within_chance_does_not_refuse():
    of = operations(frauds=200)
    missed = np.zeros(len(of), np.bool_)
    missed[0] = True
    assert against(of, missed) == ()


def test_a_kind_that_is_found_less_refuses_though_the_rest_hides_it():
    of = operations(frauds=100, kinds=30)
    missed = (of.kinds == "kind_7") & (np.arange(len(of)) < 300)
    champion_of = scored(of, (of.kinds != "kind_7") & (np.arange(len(of)) % 11 == 0), "champion")
    comparison = compare(of, champion_of, scored(of, missed, "challenger"), resamples=100)
    assert comparison.figures["ap"].difference > 0, "over all operations the challenger is better"
    assert worst_slice(comparison).name == "kind kind_7"
    assert len(objections(comparison)) == 1
    assert objections(comparison)[0].startswith("kind kind_7: of 100 frauds it finds")


def test_a_kind_with_few_frauds_refuses_nothing():
    of = operations(frauds=49, kinds=2, genuine=50_000)
    missed = (of.kinds == "kind_1") & (np.arange(len(of)) < 12)
    assert not [reason for reason in against(of, missed) if "kind_1" in reason]


# ---- going back, and who may change what ----------------------------------------------------------------------------------


def test_one_command_goes_back_to_the_champion_before(trained, command):
    begin_with(trained, trained.better)
    champions.promote(trained.models, trained.worse, "aigul", "a mistake", expected=trained.better)
    assert command("--roll-back", by="bakyt", reason="too many calls") == 0
    assert champion(trained.models).name == trained.better
    last = record(trained)[-1]
    assert (last.before, last.after, last.by, last.roll_back) == (trained.worse, trained.better, "bakyt", True)
    now = aliases(trained)
    assert (now["champion"], now.get("previous"), now["challenger"]) == (trained.better, None, trained.worse)


def test_before_the_first_there_is_nobody_to_go_back_to(trained, command, capsys):
    assert command("--roll-back") == 2
    assert "there is no champion to go back from" in capsys.readouterr().err
    begin_with(trained, trained.better)
    assert command("--roll-back") == 2
    assert f"knows of no champion before {trained.better}" in capsys.readouterr().err
    assert champion(trained.models).name == trained.better


def test_the_first_champion_is_compared_with_nobody_and_is_kept_too(trained, command, capsys):
    assert command("--challenger", trained.worse) == 0
    assert "no champion to compare with" in capsys.readouterr().out
    assert [(one.before, one.after, one.by) for one in record(trained)] == [(None, trained.worse, "aigul")]


@pytest.mark.parametrize(("by", "reason"), [(" ", "why"), ("aigul", "")])
def test_nobody_is_promoted_without_a_person_and_a_reason(trained, command, by, reason, capsys):
    begin_with(trained, trained.better)
    assert command(*on_history(trained, trained.worse, "--override"), by=by, reason=reason) == 2
    said = capsys.readouterr()
    assert "needs a person and a reason" in said.err
    assert not said.out, "before the comparison, which MLflow would keep as a promotion"
    assert champion(trained.models).name == trained.better


def test_what_is_missing_is_said(trained, command, capsys):
    begin_with(trained, trained.better)
    assert command() == 2
    assert "name the bundle with --challenger VERSION" in capsys.readouterr().err
    assert command("--challenger", trained.worse) == 2
    assert "a comparison needs --history and --from" in capsys.readouterr().err


@pytest.mark.parametrize("which", ["better", "worse"])
def test_a_path_is_no_version(trained, command, which, capsys):
    """Records would name a path, and the champion by another name would challenge itself."""
    begin_with(trained, trained.better)
    path = f"../{trained.models.name}/{getattr(trained, which)}"
    assert command(*on_history(trained, path)) == 2
    assert f"seen '{path}': name a version in" in capsys.readouterr().err
    with pytest.raises(PromotionError, match="name a version"):
        champions.promote(trained.models, path, "aigul", "by a path", expected=trained.better)
    assert champion(trained.models).name == trained.better


def test_a_folder_that_is_not_there_is_said(tmp_path, capsys):
    command = ["promote", "--models", str(tmp_path / "none"), "--by", "aigul", "--reason", "x"]
    assert cli.main([*command, "--roll-back"]) == 2
    assert "is no folder; name by --models" in capsys.readouterr().err
    assert cli.main([*command, "--challenger", "20200101T000000-gone"]) == 2
    said = capsys.readouterr()
    assert ("is no folder" in said.err, said.out) == (True, "")


def test_a_bundle_that_is_not_there_is_refused(trained, command, capsys):
    begin_with(trained, trained.better)
    assert command(*on_history(trained, "20200101T000000-gone")) == 2
    assert "20200101T000000-gone is not a bundle" in capsys.readouterr().err


def test_the_champion_cannot_challenge_itself(trained, command, capsys):
    begin_with(trained, trained.better)
    assert command(*on_history(trained, trained.better)) == 2
    assert f"{trained.better} is the champion already" in capsys.readouterr().err


def test_of_many_promotions_at_once_one_takes_effect(trained):
    begin_with(trained, trained.better)

    def one(number: int) -> bool:
        try:
            champions.promote(trained.models, trained.worse, f"person {number}", "at once", expected=trained.better)
        except PromotionError as error:
            assert f"{trained.worse} is champion by now" in str(error)
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(32))) == 1
    assert len(record(trained)) == 2


def test_a_promotion_that_was_compared_with_a_former_champion_is_refused(trained):
    begin_with(trained, trained.better)
    with pytest.raises(PromotionError, match="compare again"):
        champions.promote(trained.models, trained.worse, "aigul", "late", expected="20200101T000000-gone")


def test_a_line_that_a_crash_cut_off_does_not_damage_the_next(trained):
    begin_with(trained, trained.better)
    with (trained.models / promotions.PROMOTIONS_FILE).open("ab") as file:
        file.write(b'{"at": "2026')
    champions.promote(trained.models, trained.worse, "aigul", "after the crash", expected=trained.better)
    assert [one.after for one in record(trained)] == [trained.better, trained.worse]


def test_a_change_that_mlflow_cannot_note_is_made_and_said(trained, command, capsys):
    begin_with(trained, trained.better)
    champions.promote(trained.models, trained.worse, "aigul", "a mistake", expected=trained.better)
    trained.mlflow.write_bytes(b"not a database, whatever it was before" * 100)
    assert command("--roll-back") == 0
    assert "MLflow's aliases are not" in capsys.readouterr().out
    assert champion(trained.models).name == trained.better


# ---- training names champions by the same way -----------------------------------------------------------------------------


def test_training_asks_who_names_the_champion(tmp_path, capsys):
    assert cli.main(["train", "--history", str(tmp_path), "--champion"]) == 2
    assert "needs --by PERSON" in capsys.readouterr().err


@pytest.mark.parametrize("said", [("--by", " "), ("--champion", "--by", "you", "--reason", "")])
def test_training_asks_for_a_person_and_a_reason_before_it_begins(tmp_path, capsys, said):
    assert cli.main(["train", "--history", str(tmp_path / "nowhere"), "--models", str(tmp_path / "m"), *said]) == 2
    assert "needs a person and a reason" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("wrong", ["--delay-days nan", "--delay-days inf", "--warm-up-days nan", "--seed -1"])
def test_training_refuses_in_words_what_is_no_number_of_days_or_no_seed(tmp_path, capsys, wrong):
    assert cli.main(["train", "--history", str(tmp_path), "--models", str(tmp_path / "m"), *wrong.split()]) == 2
    assert f"{wrong.split()[0]}: seen" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["nan", "inf", "-1"])
def test_a_comparison_refuses_in_words_what_is_no_number_of_days(trained, command, capsys, wrong):
    begin_with(trained, trained.better)
    assert command("--challenger", "v", "--history", "h", "--from", "2026-01-01", "--delay-days", wrong) == 2
    assert "seen --delay-days" in capsys.readouterr().err


def test_what_training_names_is_kept_as_a_change_that_nothing_was_compared_for(trained):
    begin_with(trained, trained.better)
    known = ["--history", str(trained.history), "--models", str(trained.models), "--mlflow", f"sqlite:///{trained.mlflow}"]
    span = ["--from", f"{START:%Y-%m-%d}", "--to", f"{SPLIT:%Y-%m-%d}", "--trees", "3"]
    assert cli.main(["train", *known, *span, "--champion", "--by", "aigul"]) == 0
    last = record(trained)[-1]
    assert (last.before, last.by, last.override, last.figures) == (trained.better, "aigul", True, None)
    assert champion(trained.models).name == last.after
    assert aliases(trained)["previous"] == trained.better


def test_no_person_is_no_change(trained):
    with pytest.raises(SettingsError, match="needs a person and a reason"):
        champions.promote(trained.models, trained.better, "", "why", expected=None)
    assert not (trained.models / "CHAMPION").exists()
