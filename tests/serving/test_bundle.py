"""A bundle that is not what runs, or not what it says, is refused at load with the difference named."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from casework import database as databases
from casework.sqlite import LOCK_FILE
from casework.writers import writer
from domain.bundle import champion
from domain.errors import BundleError
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.plan import Plan
from features.tree_contributions import Contributions
from serving import scoring
from serving.settings import CARD_KEY_FILE, Settings
from tests.serving.running import REPOSITORY, InProcess, file_in, free_port

PLAN = Plan(DEFINITIONS, RETAINED_ARRIVALS)


@pytest.fixture
def copied(models: Path, tmp_path: Path) -> Path:
    """The folder of a bundle that a test may damage, champion of `tmp_path/models`."""
    shutil.copytree(models, tmp_path / "models")
    return champion(tmp_path / "models")


def restate(folder: Path, **changes: Any) -> None:
    """Change what the manifest says."""
    path = folder / "manifest.json"
    path.write_bytes(msgspec.json.encode({**msgspec.json.decode(path.read_bytes()), **changes}))


def state_files(folder: Path) -> None:
    """Let the manifest state the files that are there."""
    names = {"model_sha256": "model.onnx", "rows_sha256": "reference_rows.parquet"}
    restate(folder, **{field: hashlib.sha256((folder / name).read_bytes()).hexdigest() for field, name in names.items()})


def change_rows(folder: Path, column: str, value: Callable[[np.ndarray], np.ndarray] | None) -> None:
    """Write the reference rows with a column changed, or without it."""
    table = pq.read_table(folder / "reference_rows.parquet")
    columns = {name: table[name].to_numpy() for name in table.column_names}
    if value is None:
        del columns[column]
    else:
        columns[column] = value(columns[column])
    pq.write_table(pa.table(columns), folder / "reference_rows.parquet")
    state_files(folder)


def change_stability(folder: Path, content: bytes) -> None:
    """Another reference for drift, which the manifest states."""
    (folder / "stability.json").write_bytes(content)
    restate(folder, stability_sha256=hashlib.sha256(content).hexdigest())


def change_contributions(folder: Path, content: bytes) -> None:
    """Other contributions, which the manifest states."""
    (folder / "contributions.npz").write_bytes(content)
    restate(folder, contributions_sha256=hashlib.sha256(content).hexdigest())


def other_contributions(folder: Path) -> bytes:
    """With one leaf of another value."""
    contributions = Contributions.decode((folder / "contributions.npz").read_bytes())
    contributions.nodes["value"][np.flatnonzero(contributions.nodes["value"])[0]] += 1
    return contributions.encode()


def more_contributions(folder: Path) -> bytes:
    """With one split on a column that no vector has."""
    contributions = Contributions.decode((folder / "contributions.npz").read_bytes())
    first = contributions.nodes[: np.flatnonzero(contributions.nodes["parent"] < 0)[1]]
    first["feature"][first["parent"] == 0] = 99_999
    return contributions.encode()


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def other_features(folder: Path) -> None:
    restate(folder, declarations="0" * 64, features=[*PLAN.names[:-1], "customer_sent_count_13h"])


def other_order(folder: Path) -> None:
    restate(folder, features=[PLAN.names[1], PLAN.names[0], *PLAN.names[2:]])


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "other declarations": (lambda folder: restate(folder, declarations="0" * 64), "declarations 000000000000, running"),
    "other features": (other_features, r"only in the bundle \['customer_sent_count_13h'\], only running \['"),
    "another order of features": (other_order, "the names agree, so an order"),
    "a bit of the model": (lambda folder: flip(folder / "model.onnx"), "model.onnx is not the file that its manifest states"),
    "a bit of the rows": (lambda folder: flip(folder / "reference_rows.parquet"), "reference_rows.parquet is not the file"),
    "a raw score, one ulp": (
        lambda folder: change_rows(folder, "_raw", lambda raw: np.nextafter(raw, np.inf)), "reference rows score otherwise"),
    "a score": (lambda folder: change_rows(folder, "_score", lambda score: score + 1e-9), "reference rows score otherwise"),
    "a score that is NaN": (lambda folder: change_rows(folder, "_score", lambda score: score * np.nan), "score otherwise"),
    "rows without a feature": (lambda folder: change_rows(folder, PLAN.names[3], None), PLAN.names[3]),
    "no model": (lambda folder: (folder / "model.onnx").unlink(), "is not a bundle: .*model.onnx"),
    "no rows": (lambda folder: (folder / "reference_rows.parquet").unlink(), "is not a bundle: .*reference_rows"),
    "a bit of the reference for drift": (lambda folder: flip(folder / "stability.json"), "stability.json is not the file"),
    "a stated reference for drift that is not there": (
        lambda folder: (folder / "stability.json").unlink(), "is not a bundle: .*stability"),
    "a reference for drift that is none": (lambda folder: change_stability(folder, b"{}"), "not a reference for drift"),
    "a reference for drift of other features": (
        lambda folder: change_stability(folder, b'{"bins": []}'), "stability.json is of other features"),
    "a bit of the contributions": (lambda folder: flip(folder / "contributions.npz"), "contributions.npz is not the file"),
    "stated contributions that are not there": (
        lambda folder: (folder / "contributions.npz").unlink(), "is not a bundle: .*contributions"),
    "contributions that are none": (lambda folder: change_contributions(folder, b"none"), "not the contributions of trees"),
    "contributions of another model": (
        lambda folder: change_contributions(folder, other_contributions(folder)), "contributions.npz is of another model"),
    "contributions of more features": (
        lambda folder: change_contributions(folder, more_contributions(folder)), "is of 100000 features or more"),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "is not a bundle: .*manifest.json"),
    "a manifest cut off": (lambda folder: (folder / "manifest.json").write_bytes(b'{"format": 1, '), "is not a bundle"),
    "a manifest without thresholds": (lambda folder: restate(folder, thresholds=None), "thresholds"),
    "thresholds out of order": (lambda folder: restate(folder, thresholds={"medium": 0.9, "high": 0.1}), "medium 0.9"),
    "a future format": (lambda folder: restate(folder, format=2), "format 2, this release reads 1"),
    "a future format with fields of its own": (lambda folder: restate(folder, format=9, colour="red"), "format 9, this release"),
    "an unknown field": (lambda folder: restate(folder, colour="red"), "colour"),
    "a model that is none": (
        lambda folder: ((folder / "model.onnx").write_bytes(b"not a graph"), state_files(folder)), "cannot be read"),
    "rows that are none": (
        lambda folder: ((folder / "reference_rows.parquet").write_bytes(b"no rows"), state_files(folder)), "cannot be read"),
}  # fmt: skip


def test_the_bundle_of_these_tests_is_sound(copied):
    model = scoring.load(copied, PLAN)
    assert model.manifest.features == PLAN.names
    assert model.version == copied.name


@pytest.mark.parametrize(("damage", "says"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_bundle_that_differs_is_refused_with_the_difference_named(copied, damage, says):
    damage(copied)
    with pytest.raises(BundleError, match=says):
        scoring.load(copied, PLAN)


def test_a_bundle_is_refused_by_a_release_with_other_declarations(copied):
    with pytest.raises(BundleError, match="only running none") as refused:
        scoring.load(copied, Plan(DEFINITIONS[:-1], RETAINED_ARRIVALS))
    assert PLAN.names[-1] in str(refused.value)


def test_a_bundle_is_refused_when_another_number_of_arrivals_is_retained(copied):
    with pytest.raises(BundleError, match="retained arrivals differ"):
        scoring.load(copied, Plan(DEFINITIONS, RETAINED_ARRIVALS // 2))


def test_a_bundle_of_before_drift_was_measured_is_served(copied):
    manifest = msgspec.json.decode((copied / "manifest.json").read_bytes())
    del manifest["stability_sha256"]
    (copied / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    (copied / "stability.json").unlink()
    assert scoring.load(copied, PLAN).stability is None


def test_a_champion_that_is_not_there_is_refused(copied):
    (copied.parent / "CHAMPION").write_text("20200101T000000-gone\n")
    with pytest.raises(BundleError, match="20200101T000000-gone is not a bundle"):
        scoring.load(champion(copied.parent), PLAN)


def test_a_burana_that_did_not_open_leaves_its_home_free(copied, tmp_path, models):
    restate(copied, format=2)
    home = tmp_path / "home"
    with pytest.raises(BundleError):
        InProcess(Settings(home=home, models=copied.parent))
    with InProcess(Settings(home=home, models=models)):
        pass


def vectors(many: int) -> np.ndarray:
    """Values of every size, some of them missing."""
    draw = np.random.default_rng(7)
    matrix = draw.normal(size=(many, len(PLAN))) * 10 ** draw.uniform(-2, 6, size=(many, 1))
    matrix[draw.random(matrix.shape) < 0.2] = np.nan
    return matrix


def asked_later(model: scoring.Model, matrix: np.ndarray) -> list[float]:
    waiting = [model.later(row) for row in matrix]
    return [one.score() for one in waiting]


def test_the_same_vector_gets_the_same_bits_alone_and_among_many(copied):
    model, matrix = scoring.load(copied, PLAN), vectors(2_000)
    assert model.is_same_together
    alone = [model.score(row) for row in matrix]
    assert len(set(alone)) > 100
    for size in (1, 2, 3, 7, 64, 2_000):
        parts = (matrix[at : at + size] for at in range(0, len(matrix), size))
        assert [score for part in parts for score in asked_later(model, part)] == alone
    assert model.score_many(matrix)[1].tolist() == alone


def test_vectors_that_come_together_are_scored_by_one_call_of_the_session(copied, monkeypatch):
    model, matrix = scoring.load(copied, PLAN), vectors(5)
    many, calls = model.score_many, []
    monkeypatch.setattr(model, "score_many", lambda given: calls.append(len(given)) or many(given))
    assert len(asked_later(model, matrix)) == 5
    assert len(asked_later(model, matrix[:1])) == 1
    assert calls == [5], "one alone takes the way of one"


def test_a_bundle_of_before_scores_were_the_same_together_is_scored_one_by_one(copied):
    graph = onnx.load(copied / "model.onnx")
    del graph.metadata_props[:]
    onnx.save(graph, copied / "model.onnx")
    state_files(copied)
    model, matrix = scoring.load(copied, PLAN), vectors(50)
    assert not model.is_same_together
    model.score_many = None
    assert asked_later(model, matrix) == [model.score(row) for row in matrix]


def test_where_not_all_can_be_scored_together_each_is_scored_by_itself(copied, monkeypatch):
    model, matrix = scoring.load(copied, PLAN), vectors(4)
    alone, sound = [model.score(row) for row in matrix], model.score

    def fails(given):
        raise RuntimeError("not together")

    def second_fails(vector):
        if np.array_equal(vector, matrix[1], equal_nan=True):
            raise RuntimeError("not this one")
        return sound(vector)

    monkeypatch.setattr(model, "score_many", fails)
    monkeypatch.setattr(model, "score", second_fails)
    waiting = [model.later(row) for row in matrix]
    with pytest.raises(RuntimeError, match="not this one"):
        waiting[1].score()
    assert [waiting[at].score() for at in (0, 2, 3)] == [alone[at] for at in (0, 2, 3)]


def served(home: Path, models: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`burana serve`, which is expected to end by itself."""
    command = [sys.executable, "-m", "serving.cli", "serve", "--home", str(home), "--models", str(models)]
    return subprocess.run(
        [*command, "--port", str(free_port()), *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("damage", "says"),
    [DAMAGES["a bit of the model"], (lambda folder: (folder.parent / "CHAMPION").unlink(), "train a model first")],
    ids=["a changed model", "no champion"],
)
def test_the_server_ends_with_one_plain_sentence(copied, tmp_path, damage, says):
    damage(copied)
    ended = served(tmp_path / "home", copied.parent)
    assert ended.returncode == 2
    assert len([line for line in ended.stderr.splitlines() if says in line]) == 1, ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_second_server_on_the_same_home_ends_with_one_plain_sentence(models, tmp_path):
    with databases.connect(file_in(tmp_path / "home")) as database, closing(writer(database)):
        ended = served(tmp_path / "home", models)
    assert ended.returncode == 2
    assert "another process serves" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("name", [CARD_KEY_FILE, LOCK_FILE])
def test_a_file_that_the_server_s_user_cannot_open_is_told_in_one_plain_sentence(models, tmp_path, name):
    (tmp_path / "home" / name).mkdir(parents=True)  # as root, who runs the tests in places, may read whatever is a file
    ended = served(tmp_path / "home", models)
    assert ended.returncode == 2
    assert f"{name}" in ended.stderr
    assert "Is a directory; " in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_setting_out_of_bounds_ends_with_one_plain_sentence(models, tmp_path):
    ended = served(tmp_path / "home", models, "--port", "99999")
    assert ended.returncode == 2
    assert ended.stderr.strip() == "burana serve: port: seen 99999, allowed 0 to 65535"
