"""Challengers score beside the champion in shadow: everything that is decided, without touching a decision."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from casework import database as databases
from casework import shadow_scores
from casework.ledger import Entry, reading
from domain.bundle import champion
from domain.levels import RiskLevel
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.plan import Plan
from serving import challengers, cli, scoring
from serving.scoring import Model
from serving.settings import Settings
from tests.databases import execute, rows
from tests.serving.broken_models import BROKEN_MODELS
from tests.serving.examples import body, operation, outcome
from tests.serving.running import InProcess, file_in, rows_in
from training.bundles import set_champion

PLAN = Plan(DEFINITIONS, RETAINED_ARRIVALS)


@pytest.fixture
def settings(line: Path, tmp_path: Path, begun: Path) -> Settings:
    shutil.copytree(begun, tmp_path / "home")
    return Settings(home=tmp_path / "home", models=line, profiles=tmp_path / "profiles", refresh_s=0.02)


@pytest.fixture
def burana(settings: Settings, rival: Path) -> Iterator[InProcess]:
    """A Burana whose challenger is the rival."""
    challenge(settings, rival.name)
    with InProcess(settings) as running:
        running.wait_until(lambda: asked(running) == {rival.name})
        yield running


def challenge(settings: Settings, *versions: str) -> None:
    (settings.models / "CHALLENGERS").write_text("".join(f"{version}\n" for version in versions))


def asked(burana: InProcess) -> set[str]:
    return set(burana.burana.challengers._asked)


def metrics(burana: InProcess) -> dict[str, float]:
    text = burana.burana.metrics.text().decode()
    found = re.findall(r'^(burana_challenger\w+)(?:\{model="(\S+)"\})? (\S+)$', text, re.MULTILINE)
    return {name + (f":{model}" if model else ""): float(value) for name, model, value in found if "created" not in name}


def decided(home: Path) -> list[Entry]:
    with reading(file_in(home)) as ledger:
        return [entry for entry in ledger.read() if entry.type == "operation"]


def in_shadow(home: Path) -> dict[int, float]:
    """Sequence number -> score of the only challenger."""
    with databases.connect(file_in(home)) as database:
        return dict(rows(database, "SELECT sequence, score FROM shadow_scores"))


def scored(burana: InProcess, operations: int) -> bool:
    return rows_in(burana.settings.database, "shadow_scores") == operations


def test_a_challenger_scores_the_very_vectors_that_were_decided(burana, rival):
    for number in range(1, 31):
        burana.decide(operation(number))
    burana.wait_until(lambda: scored(burana, 30))
    model, kept = scoring.load(rival, PLAN), in_shadow(burana.settings.home)
    for entry in decided(burana.settings.home):
        right = model.score(np.frombuffer(entry.vector, "<f8"))
        assert kept[entry.sequence] == pytest.approx(right, rel=0, abs=scoring.SCORE_TOLERANCE)


def test_no_decision_is_another_one_because_of_a_challenger(burana, settings, tmp_path):
    alone = replace(settings, home=tmp_path / "alone")
    records = [operation(number) for number in range(1, 31)]
    with InProcess(alone) as other:
        (settings.models / "CHALLENGERS").unlink()
        other.wait_until(lambda: not asked(other))
        answers = [other.decide(record) for record in records]
    beside = [burana.decide(record) for record in records]
    for one in (*answers, *beside):
        del one["decided_at"]
    assert answers == beside


def test_what_was_not_scored_before_a_stop_is_scored_after_it(settings, rival):
    challenge(settings, rival.name)
    with InProcess(settings) as burana:
        burana.wait_until(lambda: asked(burana) == {rival.name})
        burana.decide(operation(1))
        burana.wait_until(lambda: scored(burana, 1))
    with InProcess(replace(settings, refresh_s=60)) as burana:
        for number in range(2, 12):
            burana.decide(operation(number))
    assert len(in_shadow(settings.home)) == 1
    with InProcess(settings) as burana:
        burana.wait_until(lambda: scored(burana, 11))


def test_a_challenger_begins_with_what_is_decided_from_then_on(settings, rival):
    """What was decided before it was named may be what it was trained on."""
    with InProcess(settings) as burana:
        for number in range(1, 10):
            burana.decide(operation(number))
        challenge(settings, rival.name)
        burana.wait_until(lambda: asked(burana) == {rival.name})
        burana.decide(operation(10))
        burana.wait_until(lambda: scored(burana, 1))
        assert set(in_shadow(settings.home)) == {10}


def test_one_that_was_away_for_too_long_leaves_out_what_is_too_far_behind(settings, rival, monkeypatch):
    monkeypatch.setattr(challengers, "MOST_BEHIND", 5)
    challenge(settings, rival.name)
    with InProcess(settings) as burana:
        burana.wait_until(lambda: asked(burana) == {rival.name})
        burana.decide(operation(1))
        burana.wait_until(lambda: scored(burana, 1))
        challenge(settings)
        burana.wait_until(lambda: not asked(burana))
        for number in range(2, 22):
            burana.decide(operation(number))
        challenge(settings, rival.name)
        burana.wait_until(lambda: scored(burana, 6))
    assert sorted(in_shadow(settings.home)) == [1, *range(17, 22)]


def test_the_champion_is_no_challenger_and_who_was_champion_becomes_one(burana, rival):
    first = champion(burana.settings.models).name
    challenge(burana.settings, rival.name, first)
    burana.decide(operation(1))
    burana.wait_until(lambda: scored(burana, 1))
    assert asked(burana) == {rival.name}
    set_champion(burana.settings.models, rival.name)
    burana.wait_until(lambda: asked(burana) == {first})
    assert burana.decide(operation(2))["model"] == rival.name


def test_metrics_have_a_label_for_each_challenger_and_forget_who_is_gone(burana, rival):
    burana.decide(operation(1))
    burana.wait_until(lambda: metrics(burana).get(f"burana_challenger_scored_total:{rival.name}") == 1)
    burana.wait_until(lambda: metrics(burana).get(f"burana_challenger_behind:{rival.name}") == 0)
    challenge(burana.settings)
    burana.wait_until(lambda: not asked(burana))
    assert not [name for name in metrics(burana) if rival.name in name]


# ---- what does not fit, and what fails ------------------------------------------------------------------------------------


def refused(burana: InProcess, *versions: str) -> None:
    """Name challengers, and wait until one is refused."""
    before = metrics(burana)["burana_challengers_refused_total"]
    challenge(burana.settings, *versions)
    burana.wait_until(lambda: metrics(burana)["burana_challengers_refused_total"] > before)


def test_one_that_reads_profiles_is_refused_while_the_champion_reads_none(burana, rival, profiled, caplog):
    version = champion(profiled / "models").name
    refused(burana, rival.name, version)
    burana.wait(0.2)
    assert asked(burana) == {rival.name}
    assert metrics(burana)["burana_challengers_refused_total"] == 1
    assert caplog.text.count(f"{version} reads profiles, and the champion in force does not") == 1


def test_one_that_is_no_bundle_is_refused_and_the_others_score(burana, rival, caplog):
    refused(burana, "20200101T000000-gone", rival.name)
    assert "20200101T000000-gone is not a bundle" in caplog.text
    burana.wait_until(lambda: asked(burana) == {rival.name})


def test_more_than_four_are_refused(burana, rival, caplog):
    refused(burana, *(f"gone-{number}" for number in range(challengers.MOST)), rival.name)
    burana.wait_until(lambda: metrics(burana)["burana_challengers_refused_total"] == challengers.MOST + 1)
    assert not asked(burana)
    assert f"challenger {rival.name} refused" in caplog.text
    assert "names more than 4" in caplog.text


@pytest.mark.parametrize("content", BROKEN_MODELS.values(), ids=BROKEN_MODELS.keys())
def test_one_that_fails_is_taken_out_and_decisions_go_on(burana, rival, content, caplog):
    challenger = burana.burana.challengers._asked[rival.name]
    challenger.model = Model(challenger.model.manifest, content)
    decision = burana.decide(operation(1))
    assert (decision["degraded"], decision["model"]) == ([], champion(burana.settings.models).name)
    burana.wait_until(lambda: not asked(burana))
    burana.wait(0.2)
    assert not asked(burana), "it stays out"
    assert metrics(burana)["burana_challengers_failed_total"] == 1
    assert f"challenger {rival.name} failed and is taken out" in caplog.text
    assert rows_in(burana.settings.database, "shadow_scores") == 0
    challenge(burana.settings, rival.name)
    burana.wait_until(lambda: asked(burana) == {rival.name})


def test_scores_that_cannot_be_kept_are_made_again_and_decisions_go_on(burana, caplog):
    execute(burana.burana.database, "ALTER TABLE shadow_scores RENAME TO elsewhere")
    assert burana.decide(operation(1))["degraded"] == []
    burana.wait_until(lambda: "challengers could not score" in caplog.text)
    execute(burana.burana.database, "ALTER TABLE elsewhere RENAME TO shadow_scores")
    burana.wait_until(lambda: scored(burana, 1))


# ---- the figures ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def judged(burana: InProcess) -> InProcess:
    """Forty operations decided beside the challenger; of the first twenty it is known what they were."""
    for number in range(1, 41):
        burana.decide(operation(number, amount={"minor": 40_000_000 * (number % 4) + 100, "currency": "KGS"}))
    for number in range(1, 21):
        verdict = "fraud" if number % 4 == 3 else "legitimate"
        assert burana.post("/v1/outcomes", body(outcome(number, verdict=verdict))).status == 200
    burana.wait_until(lambda: scored(burana, 40))
    return burana


def figures(burana: InProcess, tmp_path: Path, *arguments: str) -> dict[str, Any]:
    file = tmp_path / "challengers.json"
    known = ["--home", str(burana.settings.home), "--models", str(burana.settings.models), "--json", str(file)]
    assert cli.main(["challengers", *known, *arguments]) == 0
    return json.loads(file.read_text())


def test_the_figures_are_those_of_levels_by_the_score_against_known_outcomes(judged, rival, tmp_path, capsys):
    row = figures(judged, tmp_path)[rival.name]
    first = champion(judged.settings.models)
    models = [scoring.load(folder, PLAN) for folder in (first, rival)]
    entries = decided(judged.settings.home)
    levels = np.array([[m.thresholds.level(m.score(np.frombuffer(e.vector, "<f8"))) for e in entries] for m in models])
    fraud = np.array([number % 4 == 3 for number in range(1, 21)])
    assert row["operations"] == 40
    assert row["champions"] == {first.name: 40}
    assert [row["levels"][level.word] for level in RiskLevel] == np.bincount(levels[1], minlength=3).tolist()
    assert np.array(row["agreement"]).sum(axis=0).tolist() == np.bincount(levels[1], minlength=3).tolist()
    assert np.array(row["agreement"]).sum(axis=1).tolist() == np.bincount(levels[0], minlength=3).tolist()
    assert (row["known"], row["silent"], row["too_young"]) == (20, 0, 20)
    for name, of_one in zip(("champion", "challenger"), levels, strict=True):
        stopped = of_one[:20] > 0
        assert row[name]["recall"] == pytest.approx(stopped[fraud].mean())
        assert row[name]["genuine_medium"] + row[name]["genuine_high"] == (stopped & ~fraud).sum()
    assert f"challenger {rival.name} beside {first.name} (40)" in capsys.readouterr().out


def test_silence_counts_as_genuine_once_it_is_older_than_the_delay(judged, rival, tmp_path):
    row = figures(judged, tmp_path, "--delay-days", "0")[rival.name]
    answers = [json.loads(entry.answer) for entry in decided(judged.settings.home)]
    passed = sum(answer["level"] == "low" for answer in answers[20:39])
    assert 0 < passed < 19
    assert (row["known"], row["silent"], row["unanswered"]) == (20, passed, 19 - passed), "who stops it hears of no victim"
    assert row["too_young"] == 1, "the latest operation is as old as the delay"


def test_operations_that_it_decided_as_champion_are_not_compared(judged, rival, tmp_path):
    set_champion(judged.settings.models, rival.name)
    judged.wait_until(lambda: judged.burana.model_version == rival.name)
    judged.decide(operation(100))
    with shadow_scores.connect(judged.settings.database, judged.settings.patience) as database:
        shadow_scores.keep(database, [shadow_scores.Score(rival.name, 61, 0.5)])
    assert figures(judged, tmp_path)[rival.name]["operations"] == 40


def test_a_challenger_whose_bundle_was_removed_is_left_out_and_the_others_are_told(judged, rival, tmp_path, caplog):
    with databases.connect(judged.settings.database) as database:
        shadow_scores.keep(database, [shadow_scores.Score("gone", sequence, 0.5) for sequence in range(1, 10)])
    assert figures(judged, tmp_path).keys() == {rival.name}
    assert "challenger gone is left out" in caplog.text


def test_without_scores_the_command_says_what_to_do(settings, capsys):
    databases.connect(settings.database).close()
    assert cli.main(["challengers", "--home", str(settings.home), "--models", str(settings.models)]) == 2
    said = capsys.readouterr().err
    assert "no challenger scored an operation since" in said
    assert "CHALLENGERS, a version a line" in said


def test_days_of_no_length_are_refused(settings, capsys):
    assert cli.main(["challengers", "--home", str(settings.home), "--days", "0"]) == 2
    assert "--days: seen 0, allowed 0.001 to 36500" in capsys.readouterr().err
