"""Drift of the served features: the command and the server's metric say the same, and what moved is named."""

import asyncio
import itertools
import json
import math
import re
import shutil
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from casework.keys import Scope
from domain.errors import BundleError, SettingsError
from domain.instants import DAY, from_ms
from domain.operation import Operation
from features import history as histories
from features.bins import SCORE, reference
from features.history import cut
from features.stability import Level
from serving import cli, drift, live_counts
from serving.backfill import Arrival, arrivals
from serving.contracts import encode
from serving.live_counts import LiveCounts
from serving.replay import ROUTES
from serving.settings import Settings
from tests.serving.examples import body, operation
from tests.serving.running import Ask, InProcess, asgi, file_in, key_of

CALENDAR = {"operation_hour", "operation_weekday"}
TOGETHER = 256


async def send(ask: Ask, key: str, records: Iterable[Arrival]) -> None:
    """Post records in order, some hundred at a time; each is taken."""
    authorised = {"authorization": f"Bearer {key}"}
    stream = iter(records)
    while chunk := list(itertools.islice(stream, TOGETHER)):
        answers = await asyncio.gather(
            *(ask("POST", ROUTES[type_], encode(record), authorised) for _, type_, _, record in chunk)
        )
        assert {answer.status for answer in answers} == {200}


async def figures_of(ask: Ask, key: str) -> dict[str, float]:
    """The metrics that are about PSI; those of a feature by `burana_feature_psi:NAME`."""
    answer = await ask("GET", "/metrics", b"", {"authorization": f"Bearer {key}"})
    found = re.findall(r'^(burana_\w*psi\w*)(?:\{feature="(\w+)"\})? (\S+)$', answer.body.decode(), re.MULTILINE)
    return {f"{name}:{feature}" if feature else name: float(value) for name, feature, value in found}


def served(settings: Settings, records: Iterable[Arrival]) -> dict[str, float]:
    """Serve records in the home of the settings; the metrics afterwards."""
    key = key_of(settings.database, *Scope)

    async def live() -> dict[str, float]:
        async with asgi(settings) as ask:
            await send(ask, key, records)
            return await figures_of(ask, key)

    return asyncio.run(live())


@pytest.fixture(scope="module")
def world(models: Path) -> histories.History:
    """What the champion of these tests was trained on: of the last week no label was known."""
    whole = histories.read(models.parent / "world")
    last = whole.operations["occurred_at"].cast("int64").to_numpy().max()
    return cut(whole, None, from_ms(int(last)) - timedelta(days=7))


@pytest.fixture(scope="module")
def again(world, models, tmp_path_factory) -> tuple[Path, dict[str, float]]:
    """The home of a server that was asked about its champion's own training days, and its metrics."""
    home = tmp_path_factory.mktemp("again")
    return home, served(Settings(home=home, models=models), arrivals(world))


def read(home: Path, models: Path, **since: datetime) -> dict[str, drift.Finding]:
    manifest, compared = drift.compared(models)
    result = drift.served(file_in(home), manifest, compared, since.get("start"), since.get("end"))
    return {finding.name: finding for finding in result.findings(compared)}


def test_training_days_that_are_served_again_have_not_moved(again, models):
    """What is served is what training saw, but for the few operations that arrived late."""
    found = read(again[0], models)
    assert max(finding.psi for name, finding in found.items() if name != SCORE) < 0.001


def test_the_servers_metric_is_the_commands_figure(again, models):
    home, metrics = again
    found = read(home, models)
    readable = {name for name in found if name not in CALENDAR}
    for name in readable - {SCORE}:
        assert metrics[f"burana_feature_psi:{name}"] == pytest.approx(found[name].psi, abs=1e-12)
    assert metrics["burana_score_psi"] == pytest.approx(found[SCORE].psi, abs=1e-12)
    assert {name for name in found if math.isnan(metrics.get(f"burana_feature_psi:{name}", 0))} == CALENDAR, (
        "served in an hour"
    )
    assert metrics["burana_feature_psi_measured"] == 1
    assert metrics["burana_feature_psi_dropped_total"] == 0


def test_every_vector_is_counted_by_the_metric_and_by_the_command(again, models, world):
    home, metrics = again
    result = drift.served(file_in(home), *drift.compared(models), None)
    assert metrics["burana_feature_psi_vectors"] == result.vectors == world.operations.num_rows
    times = world.operations["occurred_at"].cast("int64").to_numpy()
    assert sorted(result.days) == sorted(set((times // DAY).tolist()))


def test_amounts_that_grew_twentyfold_are_flagged_and_the_rest_is_not(world, models, tmp_path):
    times = world.operations["occurred_at"].cast("int64").to_numpy()
    last_week = cut(world, from_ms(int(times.max())) - timedelta(days=7), None)
    grown = (
        (at, type_, id_, replace(record, amount=replace(record.amount, minor=20 * record.amount.minor)))
        for at, type_, id_, record in arrivals(last_week) if isinstance(record, Operation)
    )  # fmt: skip
    served(Settings(home=tmp_path / "home", models=models), grown)
    found = read(tmp_path / "home", models)
    assert found["operation_amount"].level is Level.CHANGED
    unmoved = ("operation_kind", "operation_vpn", "operation_foreign", "operation_device_given")
    assert {found[name].level for name in unmoved} == {Level.STABLE}


def test_the_command_prints_what_moved_most_first_and_ends_well(again, models, tmp_path, capsys):
    file = tmp_path / "drift.json"
    assert cli.main(["drift", "--home", str(again[0]), "--models", str(models), "--json", str(file), "--all"]) == 0
    figures, printed = json.loads(file.read_text()), capsys.readouterr().out
    readable = [row["psi"] for row in figures["features"].values() if row["level"] in ("stable", "moving", "changed")]
    assert readable == sorted(readable, reverse=True)
    assert set(figures["features"]) == set(drift.compared(models)[0].features)
    assert sum(figures["levels"].values()) == len(figures["features"]) + 1
    assert f"{figures['vectors']:,} vectors served" in printed
    rows = [line.split()[0] for line in printed.splitlines()[4:] if line]
    assert rows[:-1] == [SCORE, *figures["features"]]


def test_the_command_prints_few_lines_unless_asked_for_all(again, models, capsys):
    assert cli.main(["drift", "--home", str(again[0]), "--models", str(models)]) == 0
    assert "features with a smaller PSI" in capsys.readouterr().out


def test_a_period_is_of_the_moments_of_serving(again, models):
    manifest, compared = drift.compared(models)
    every = drift.served(file_in(again[0]), manifest, compared, None)
    middle = (
        datetime.fromisoformat(every.first) + (datetime.fromisoformat(every.last) - datetime.fromisoformat(every.first)) / 2
    )
    first = drift.served(file_in(again[0]), manifest, compared, None, middle)
    second = drift.served(file_in(again[0]), manifest, compared, middle)
    assert first.vectors + second.vectors == every.vectors
    assert first.last < middle.isoformat() <= second.first


def test_days_with_too_few_operations_are_not_read(again, models):
    """This small world has some two hundred operations a day."""
    _, compared = drift.compared(models)
    days, indices = drift.served(file_in(again[0]), *drift.compared(models), None).by_day(compared)
    assert indices.shape == (len(days), len(compared.bins))
    assert np.isnan(indices).all()
    assert set(drift.moved_since(days, indices)) == {None}


def test_the_day_since_when_a_feature_moved_is_the_first_after_its_last_calm_day():
    nothing, days = math.nan, np.array([20_000, 20_001, 20_002, 20_004])
    indices = np.array([
        [0.05, 0.2, 0.2, nothing, 0.2],
        [0.30, 0.3, 0.3, nothing, nothing],
        [nothing, 0.3, 0.05, nothing, 0.01],
        [0.15, 0.3, 0.05, nothing, nothing],
    ])  # fmt: skip
    assert drift.moved_since(days, indices) == [date(2024, 10, 5), date(2024, 10, 4), None, None, None]


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What `burana drift` says when it refuses."""
    assert cli.main(["drift", *map(str, arguments)]) == 2
    return capsys.readouterr().err


def test_without_a_ledger_the_command_says_so(models, tmp_path, capsys):
    assert "burana.db does not exist" in refused(capsys, "--home", tmp_path, "--models", models)


def test_without_a_bundle_the_command_says_so(again, tmp_path, capsys):
    assert "train a model first" in refused(capsys, "--home", again[0], "--models", tmp_path)


def test_a_period_of_no_length_is_refused(again, models, capsys):
    assert "--days: seen 0" in refused(capsys, "--home", again[0], "--models", models, "--days", 0)


def test_when_nothing_was_served_the_command_says_until_when_the_ledger_goes(again, models, settings, capsys):
    key_of(settings.database)
    assert "the ledger is empty" in refused(capsys, "--home", settings.home, "--models", models)
    later = datetime.now(UTC) + timedelta(days=1)
    with pytest.raises(SettingsError, match=r"no operation was served from .* name more --days"):
        read(again[0], models, start=later)


@pytest.fixture
def copied(models: Path, tmp_path: Path) -> Path:
    """The models, which a test may change."""
    shutil.copytree(models, tmp_path / "models")
    return tmp_path / "models"


def restate(models: Path, **changes: object) -> None:
    """Change what the champion's manifest says."""
    path = models / (models / "CHAMPION").read_text().strip() / "manifest.json"
    path.write_bytes(msgspec.json.encode({**msgspec.json.decode(path.read_bytes()), **changes}))


def test_vectors_of_other_features_are_not_compared(again, copied):
    restate(copied, declarations="0" * 64)
    with pytest.raises(BundleError, match=r"vectors served .* were made by other features"):
        read(again[0], copied)


def test_scores_of_another_bundle_of_the_same_features_are_no_drift_of_this_one(again, copied, tmp_path, capsys):
    before = read(again[0], copied)
    restate(copied, version="the next")
    after = read(again[0], copied)
    assert after[SCORE].level is Level.TOO_FEW, "it gave none yet"
    assert {name: found for name, found in after.items() if name != SCORE} == {
        name: found for name, found in before.items() if name != SCORE
    }
    file = tmp_path / "drift.json"
    assert cli.main(["drift", "--home", str(again[0]), "--models", str(copied), "--json", str(file)]) == 0
    assert json.loads(file.read_text(), parse_constant=pytest.fail)["score"]["psi"] is None


def test_a_bundle_that_keeps_no_reference_is_named(again, copied, capsys):
    restate(copied, stability_sha256="")
    assert "keeps nothing to compare with: train again" in refused(capsys, "--home", again[0], "--models", copied)


def test_a_server_whose_bundle_keeps_no_reference_serves_and_says_that_drift_is_not_measured(copied, tmp_path, caplog):
    restate(copied, stability_sha256="")
    with caplog.at_level("WARNING"), InProcess(Settings(home=tmp_path / "home", models=copied)) as running:
        assert running.decide(operation(1))["score"] is not None
        assert running.burana.assessor.layers.live is None
        text = running.burana.assessor.metrics.text().decode()
        assert re.findall(r"^burana_feature_psi_measured (\S+)$", text, re.MULTILINE) == ["0.0"]
    assert "drift is not measured: bundle" in caplog.text


def test_a_server_without_a_model_measures_no_drift(tmp_path, caplog):
    with InProcess(Settings(home=tmp_path / "home", models=tmp_path, require_model=False)) as running:
        running.decide(operation(1))
        assert running.burana.assessor.layers.live is None
    assert "drift is not measured: there is no model" in caplog.text


def test_few_vectors_are_counted_and_read_as_nothing(settings):
    records = [
        (number, "operation", "", msgspec.json.decode(body(operation(number)), type=Operation)) for number in range(9)
    ]
    metrics = served(settings, records)
    assert metrics["burana_feature_psi_vectors"] == 9
    assert math.isnan(metrics["burana_score_psi"])
    assert all(math.isnan(value) for name, value in metrics.items() if name.startswith("burana_feature_psi:"))


def test_a_repeat_is_counted_once(burana):
    for _ in range(3):
        burana.decide(operation(1))
    assert burana.burana.assessor.layers.live.findings()[1] == 1


def test_vectors_are_counted_while_nobody_looks(burana):
    burana.decide(operation(1))
    hours = burana.burana.assessor.layers.live._hours
    burana.wait_until(lambda: any(counts[-1].sum() for counts in hours.values()))


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def dropped() -> list[int]:
    return []


@pytest.fixture
def counts(clock: Clock, dropped: list[int]) -> LiveCounts:
    training = np.random.default_rng(1).normal(size=(5_000, 2))
    return LiveCounts(reference(("a", "b"), training, training[:, 0]), clock, lambda: dropped.append(1))


def take(counts: LiveCounts, many: int) -> None:
    """Hand over vectors like those of training."""
    for vector in np.random.default_rng(2).normal(size=(many, 2)):
        counts.take(vector.astype("<f8").tobytes(), float(vector[0]))


def test_what_is_older_than_a_day_is_forgotten(counts, clock):
    take(counts, 600)
    assert counts.findings()[1] == 600
    clock.now += timedelta(hours=23)
    take(counts, 500)
    assert counts.findings()[1] == 1_100
    clock.now += timedelta(hours=1)
    take(counts, 1)
    assert counts.findings()[1] == 501


def test_a_day_without_operations_leaves_nothing(counts, clock):
    take(counts, 600)
    counts.count()
    clock.now += timedelta(days=2)
    found, vectors = counts.findings()
    assert vectors == 0
    assert {finding.level for finding in found} == {Level.TOO_FEW}


def test_vectors_beyond_the_bound_are_left_out_and_counted(counts, dropped, monkeypatch):
    monkeypatch.setattr(live_counts, "MOST_WAITING", 1_000)
    take(counts, 1_300)
    assert len(dropped) == 300
    assert counts.findings()[1] == 1_000
    take(counts, 10)
    assert len(dropped) == 300
