"""The champion changes while the server runs: no operation is lost or refused, and each names the bundle that scored it."""

import asyncio
import itertools
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from casework import database as databases
from casework.ledger import reading
from domain.bundle import champion
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.plan import Plan
from serving import scoring
from serving.client import connect
from serving.settings import Settings
from serving.verification import verify
from tests.databases import audit, rows
from tests.serving.examples import body, event, operation, outcome
from tests.serving.running import InProcess, Server, file_in
from training import champions
from training.bundles import set_champion

PLAN = Plan(DEFINITIONS, RETAINED_ARRIVALS)
CONNECTIONS, SWAPS = 6, 7


@pytest.fixture
def settings(line: Path, tmp_path: Path, begun: Path) -> Settings:
    shutil.copytree(begun, tmp_path / "home")
    return Settings(
        home=tmp_path / "home", models=line, profiles=tmp_path / "profiles", refresh_s=0.02, profiles_refresh_s=0.05
    )


@pytest.fixture
def burana(settings: Settings) -> Iterator[InProcess]:
    with InProcess(settings) as running:
        yield running


@pytest.fixture
def with_profiles(profiled: Path) -> str:
    """The version of the bundle that reads profiles."""
    return champion(profiled / "models").name


def take_over(burana: InProcess, version: str) -> None:
    """Name a champion, and wait until it is in force."""
    set_champion(burana.settings.models, version)
    burana.wait_until(lambda: burana.burana.model_version == version)


def refuse(burana: InProcess, version: str) -> None:
    """Name a champion, and wait until it is refused."""
    before = metric(burana, "burana_champions_refused_total")
    set_champion(burana.settings.models, version)
    burana.wait_until(lambda: metric(burana, "burana_champions_refused_total") == before + 1)


def metric(burana: InProcess, name: str) -> float:
    found = re.findall(rf"^{re.escape(name)} (\S+)$", burana.burana.metrics.text().decode(), re.MULTILINE)
    return float(found[0])


def shadow_scores(home: Path) -> list[tuple[str, int, float]]:
    """Challenger, sequence number and score of all that was scored in shadow."""
    with databases.connect(file_in(home)) as database:
        return rows(database, "SELECT model, sequence, score FROM shadow_scores")


def changes(home: Path) -> list[tuple[str, str, str]]:
    """Person, reason and change of each champion in the audit log."""
    with databases.connect(file_in(home)) as database:
        return [line for line in audit(database) if line[2].startswith("champion: ")]


# ---- under load, over HTTP ------------------------------------------------------------------------------------------------


class Load:
    """Callers of a server that send one record after another, each waiting for its answer, until told to stop."""

    def __init__(self, server: Server) -> None:
        self._server, self._numbers, self.stopped = server, itertools.count(1), False
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.models: list[str | None] = []

    async def caller(self) -> None:
        connection = await connect(self._server.url, self._server.key)
        try:
            while not self.stopped:
                number = next(self._numbers)
                for route, id_, record in (
                    ("operations", f"op-{number}", operation(number)),
                    ("events", f"ev-{number}", event(number)),
                    ("outcomes", f"out-{number}", outcome(number)),
                )[: 3 if number % 5 == 0 else 1]:
                    answer = await connection.request("POST", f"/v1/{route}", body(record))
                    self.answers[id_] = (answer.status, answer.body)
                    if route == "operations" and answer.status == 200:
                        self.models.append(json.loads(answer.body)["model"])
        finally:
            connection.close()

    async def swapped(self, versions: list[str]) -> None:
        """Name each version in turn, once the one before has answered some operations."""
        for version in versions:
            set_champion(self._server.home.parent / "models", version)
            seen = len(self.models)
            async with asyncio.timeout(60):
                while self.models[seen:].count(version) < 20:
                    await asyncio.sleep(0.01)


async def swapped_under_load(server: Server, versions: list[str]) -> Load:
    load = Load(server)
    callers = [asyncio.create_task(load.caller()) for _ in range(CONNECTIONS)]
    try:
        await load.swapped(versions)
    finally:
        load.stopped = True
        await asyncio.gather(*callers)
    return load


@pytest.fixture
def server(line: Path, tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "home").mkdir()
    (tmp_path / "burana.toml").write_text("refresh_s = 0.02\n")
    with Server(tmp_path / "home", line, "--config", str(tmp_path / "burana.toml")) as running:
        yield running


def test_champions_change_under_load_and_no_operation_is_lost_refused_or_scored_by_another_than_it_says(line, rival, server):
    pair = [champion(line).name, rival.name]
    (line / "CHALLENGERS").write_text("\n".join(pair))
    load = asyncio.run(swapped_under_load(server, [pair[(swap + 1) % 2] for swap in range(SWAPS)]))
    server.stop()
    assert {status for status, _ in load.answers.values()} == {200}
    assert set(load.models) == set(pair)
    models = {version: scoring.load(line / version, PLAN) for version in pair}
    with reading(server.database) as ledger:
        entries = list(ledger.read())
    assert {entry.id: entry.answer for entry in entries} == {id_: answer for id_, (_, answer) in load.answers.items()}
    decided = [(json.loads(entry.answer), entry.vector) for entry in entries if entry.type == "operation"]
    for decision, vector in decided:
        assert models[decision["model"]].score(np.frombuffer(vector, "<f8")) == decision["score"]
        stated = next(reason["text"] for reason in decision["reasons"] if reason["layer"] == "score")
        assert f"medium from {models[decision['model']].thresholds.medium:.4f}" in stated
    in_turn = [version for version, _ in itertools.groupby(decision["model"] for decision, _ in decided)]
    assert in_turn == [pair[swap % 2] for swap in range(SWAPS + 1)], "one at a time, each until the next"
    assert len(changes(server.home)) == SWAPS + 1
    assert verify(server.database, PLAN)["vectors_differ"] == 0
    vectors = {entry.sequence: np.frombuffer(entry.vector, "<f8") for entry in entries if entry.vector is not None}
    in_shadow = shadow_scores(server.home)
    assert {version for version, _, _ in in_shadow} == set(pair), "each was a challenger while the other was champion"
    assert [score for _, _, score in in_shadow] == pytest.approx(
        [models[version].score(vectors[sequence]) for version, sequence, _ in in_shadow], rel=0, abs=scoring.SCORE_TOLERANCE
    )


# ---- what takes over with it ----------------------------------------------------------------------------------------------


def test_the_thresholds_and_the_reference_for_drift_are_those_of_the_champion_in_force(burana, rival):
    burana.decide(operation(1))
    take_over(burana, rival.name)
    stated = scoring.load(rival, PLAN)
    layers = burana.burana.assessor.layers
    assert layers.model.thresholds == stated.thresholds
    assert layers.live.reference == stated.stability
    assert layers.live.findings()[1] == 0, "vectors of the champion before are not counted against another training"
    burana.decide(operation(2))
    assert layers.live.findings()[1] == 1


def test_the_metrics_name_one_champion(burana, rival):
    first = burana.burana.model_version
    assert metric(burana, f'burana_champion{{model="{first}"}}') == 1
    take_over(burana, rival.name)
    named = re.findall(r'^burana_champion\{model="(\S+)"\} 1.0$', burana.burana.metrics.text().decode(), re.MULTILINE)
    assert named == [rival.name]
    assert metric(burana, "burana_champions_taken_total") == 1


def test_the_audit_log_says_who_promoted_it_and_why(burana, line, rival):
    first = burana.burana.model_version
    champions.promote(line, rival.name, "aigul", "more of the takeovers are seen", expected=first)
    burana.wait_until(lambda: burana.burana.model_version == rival.name)
    assert changes(burana.settings.home) == [
        ("unknown", "promotions.jsonl says nothing of it", f"champion: none -> {first}"),
        ("aigul", "more of the takeovers are seen", f"champion: {first} -> {rival.name}"),
    ]


def test_going_back_is_in_the_audit_log_too(burana, line, rival):
    first = burana.burana.model_version
    champions.promote(line, first, "burana train", "the first", expected=first)
    champions.promote(line, rival.name, "aigul", "more is seen", expected=first)
    burana.wait_until(lambda: burana.burana.model_version == rival.name)
    champions.roll_back(line, "bakyt", "too many calls")
    burana.wait_until(lambda: burana.burana.model_version == first)
    assert changes(burana.settings.home)[-1] == ("bakyt", "too many calls", f"champion: {rival.name} -> {first}")


def test_a_restart_writes_nothing_and_a_champion_named_meanwhile_is_written_then(settings, line, rival):
    for _ in range(2):
        with InProcess(settings) as burana:
            first = burana.burana.model_version
    assert len(changes(settings.home)) == 1
    champions.promote(line, rival.name, "aigul", "named while nothing ran", expected=first)
    with InProcess(settings):
        assert changes(settings.home)[1:] == [("aigul", "named while nothing ran", f"champion: {first} -> {rival.name}")]


def test_a_server_that_began_without_a_model_takes_the_first_one_over(settings, line):
    version = champion(line).name
    (line / "CHAMPION").unlink()
    with InProcess(replace(settings, require_model=False)) as burana:
        assert burana.decide(operation(1))["degraded"] == ["no_model"]
        take_over(burana, version)
        decision = burana.decide(operation(2))
        assert (decision["degraded"], decision["model"]) == ([], version)


# ---- with and without profiles --------------------------------------------------------------------------------------------


def test_a_champion_that_reads_profiles_is_refused_while_there_are_none(burana, with_profiles, caplog):
    first = burana.burana.model_version
    refuse(burana, with_profiles)
    assert burana.decide(operation(1))["model"] == first
    assert f"champion {with_profiles} refused, {first} stays in force" in caplog.text
    assert "materialise them first" in caplog.text


# ---- what does not fit ----------------------------------------------------------------------------------------------------


def test_a_bundle_that_does_not_fit_is_refused_once_and_the_champion_in_force_stays(burana, line, rival, caplog):
    first = burana.burana.model_version
    model = line / rival.name / "model.onnx"
    content = model.read_bytes()
    model.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refuse(burana, rival.name)
    burana.wait(0.3)
    assert metric(burana, "burana_champions_refused_total") == 1
    assert len([record for record in caplog.records if "refused" in record.getMessage()]) == 1
    assert "model.onnx is not the file that its manifest states" in caplog.text
    assert burana.decide(operation(1))["model"] == first
    assert len(changes(burana.settings.home)) == 1, "nothing took over"
    model.write_bytes(content)
    take_over(burana, rival.name)
    assert burana.decide(operation(2))["model"] == rival.name


def test_a_champion_that_is_not_named_any_more_stays_and_it_is_said_once(burana, line, caplog):
    first = burana.burana.model_version
    (line / "CHAMPION").unlink()
    burana.wait(0.3)
    assert burana.decide(operation(1))["model"] == first
    assert metric(burana, "burana_champions_refused_total") == 1
    assert [each for each in caplog.messages if "CHAMPION cannot be read" in each] == [
        f"{line}/CHAMPION cannot be read, {first} stays in force: the server's user must be able to"
    ]
