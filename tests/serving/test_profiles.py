"""Profiles at the endpoint: what is served is what training sees, and what is missing is said and never makes a level lower."""

import asyncio
import json
import math
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from casework import database as databases
from casework import rule_sets
from casework.ledger import reading
from domain.bundle import champion
from domain.errors import RuleError
from domain.instants import to_ms
from domain.levels import RiskLevel
from domain.operation import Operation
from features.arrivals import rows_of_history
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feature_set import FeatureSet
from features.history import cut, read, records_of
from features.packed_profiles import Profiles, snapshot_folder
from features.plan import Plan
from features.profile_days import Habits
from features.profile_language import Whose
from features.profiles import PROFILE_NAMES, PROFILES_HASH, date_of, due_day
from serving import replay, scoring
from serving.api import measure
from serving.backfill import entries
from serving.contracts import encode
from serving.recomputed_profiles import by_batch, from_snapshots
from serving.settings import Settings
from serving.verification import verify
from tests.databases import bring_in, rows
from tests.serving.examples import operation
from tests.serving.running import InProcess, Server, file_in, key_of, rows_in
from training.bundles import set_champion
from training.vectors import vectors

PLAN = Plan(DEFINITIONS, RETAINED_ARRIVALS)
WHOLE = FeatureSet(PLAN)
NOW = datetime(2040, 1, 1, tzinfo=UTC)


class World:
    """A history, the habits in it, and the day that is due when its last day begins."""

    def __init__(self, folder: Path) -> None:
        self.models, self.history = folder / "models", read(folder / "world")
        rows, _ = rows_of_history(self.history)
        self.habits = Habits.of(rows)
        last = self.history.operations["occurred_at"].to_pylist()[-1]
        self.start = datetime(last.year, last.month, last.day, tzinfo=UTC)
        self.before, self.after = cut(self.history, None, self.start), cut(self.history, self.start, None)
        self.day = due_day(to_ms(self.start), 6 * 3_600_000)

    def snapshot(self, folder: Path, day: int) -> Path:
        """Write the snapshot of a day and the one before, as `burana features materialise` does."""
        customer, recipient, device = (self.habits.of_days(whose, [day - 1, day]) for whose in Whose)
        out = snapshot_folder(folder) / date_of(day).isoformat()
        Profiles(customer, recipient, device).save(out)
        return out


@pytest.fixture(scope="module")
def world(profiled: Path) -> World:
    return World(profiled)


@pytest.fixture
def settings(tmp_path: Path, begun: Path, world: World) -> Settings:
    """A home that holds all but the last day; profiles are looked for quickly, and there are none."""
    shutil.copytree(begun, tmp_path / "home")
    settings = Settings(
        home=tmp_path / "home", models=world.models, profiles=tmp_path / "profiles", refresh_s=0.05, profiles_refresh_s=0.05
    )
    bring_in(settings.database, entries(world.before, 0, settings.identifiers(), NOW))
    return settings


@pytest.fixture
def bodies(world: World) -> Iterator[bytes]:
    """The operations of the last day, one after another."""
    return (encode(record) for _, record in records_of(world.after.operations, Operation))


def take(burana: InProcess, bodies: Iterator[bytes], count: int = 1) -> list[Any]:
    """Decide so many of the operations that come next."""
    answers = [burana.post("/v1/operations", next(bodies)) for _ in range(count)]
    assert {answer.status for answer in answers} == {200}, answers
    return [answer.json for answer in answers]


def served(settings: Settings) -> list[tuple[str, np.ndarray, dict[str, Any]]]:
    """Id, vector and evidence of every decided operation."""
    with reading(settings.database) as ledger:
        decided = [entry for entry in ledger.read() if entry.vector is not None]
    return [(entry.id, np.frombuffer(entry.vector or b""), json.loads(entry.evidence or b"")) for entry in decided]


def metric(burana: InProcess, name: str) -> float:
    measure(burana.burana)
    found = re.search(rf"^{name} (\S+)$", burana.burana.assessor.metrics.text().decode(), re.MULTILINE)
    assert found is not None
    return float(found[1])


def level(decision: dict[str, Any]) -> int:
    return int(RiskLevel[decision["level"].upper()])


# ---- what is served is what training sees --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def replayed(world: World, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The home of a server that served the last day with its profiles."""
    folder = tmp_path_factory.mktemp("replayed")
    settings = Settings(home=folder / "home", models=world.models, profiles=folder / "profiles")
    for day in (world.day, world.day + 1):
        world.snapshot(settings.profiles, day)
    result = asyncio.run(replay.in_process(world.after, world.before, settings))
    assert not result.refusals
    return settings


def test_the_served_vector_is_the_one_that_training_sees_to_the_bit(world: World, replayed: Settings) -> None:
    matrix = vectors(world.history, WHOLE)
    place = {id_: row for row, id_ in enumerate(world.history.operations["operation_id"].to_pylist())}
    decided = served(replayed)
    assert len(decided) == len(world.after.operations) > 100
    for id_, vector, evidence in decided:
        assert vector.tobytes() == matrix[place[id_]].tobytes()
        assert (evidence["declarations"], evidence["behaviour"]) == (WHOLE.hash, PLAN.hash)
        assert 3 * 3_600 <= evidence["profiles"]["age_s"] < 27 * 3_600
    days = {evidence["profiles"]["day"] for _, _, evidence in decided}
    assert days >= {date_of(world.day).isoformat(), date_of(world.day + 1).isoformat()}
    some = np.concatenate([vector[len(PLAN) :] for _, vector, _ in decided])
    assert 0 < np.isnan(some).mean() < 0.5, "most operations of the last day have profiles"


@pytest.mark.parametrize("way", ["by batch", "from snapshots"])
def test_verifying_compares_the_whole_vector(replayed: Settings, way: str) -> None:
    recompute = by_batch if way == "by batch" else from_snapshots(replayed.profiles)
    figures = verify(replayed.database, PLAN, recompute)
    assert (figures["vectors_differ"], figures["vectors_without_profiles"]) == (0, 0)
    assert figures["vectors"] == figures["vectors_with_profiles"] > 100
    assert ("batch" in figures["profiles_made_again"]) == (way == "by batch")
    assert "profiles_not_at_hand" not in figures


def test_verifying_finds_a_planted_difference_in_the_part_of_the_profiles(replayed: Settings, tmp_path: Path) -> None:
    shutil.copytree(replayed.home, tmp_path / "home")
    name = "customer_profile_operations_per_active_day_90d"
    column = len(PLAN) + PROFILE_NAMES.index(name)
    with closing(sqlite3.connect(tmp_path / "home" / "burana.db")) as connection:
        connection.execute("DROP TRIGGER entries_are_not_updated")
        for sequence, vector in connection.execute(
            "SELECT sequence, vector FROM entries WHERE vector IS NOT NULL"
        ).fetchall():
            values = np.frombuffer(vector).copy()
            if not np.isnan(values[column]):
                values[column] = np.nextafter(values[column], np.inf)
                connection.execute("UPDATE entries SET vector = ? WHERE sequence = ?", (values.tobytes(), sequence))
                break
        connection.commit()
    for recompute in (by_batch, from_snapshots(replayed.profiles)):
        figures = verify(file_in(tmp_path / "home"), PLAN, recompute)
        assert figures["vectors_differ"] == 1
        assert f"{name} served" in figures["first_difference"]


def test_profiles_whose_snapshot_is_gone_are_counted_and_the_rest_is_compared(replayed: Settings, tmp_path: Path) -> None:
    figures = verify(replayed.database, PLAN, from_snapshots(tmp_path))
    assert (figures["vectors_differ"], figures["profiles_not_at_hand"]) == (0, figures["vectors"])


# ---- while running ---------------------------------------------------------------------------------------------------------


def test_a_newer_snapshot_is_read_while_running(settings: Settings, world: World, bodies: Iterator[bytes]) -> None:
    world.snapshot(settings.profiles, world.day - 1)
    with InProcess(settings) as burana:
        take(burana, bodies)
        assert metric(burana, "burana_profiles_loaded_day") == world.day - 1
        world.snapshot(settings.profiles, world.day)
        burana.wait_until(lambda: burana.burana.assessor.layers.profiles.newest_day == world.day)
        take(burana, bodies)
        assert metric(burana, "burana_profiles_loaded_day") == world.day
        assert metric(burana, "burana_profiles_refused_total") == 0
    older, newer = (evidence["profiles"] for _, _, evidence in served(settings))
    assert older["due"] == newer["due"] == newer["day"] == date_of(world.day).isoformat()
    assert older["day"] == date_of(world.day - 1).isoformat(), "a day old: used, and said so"
    assert older["snapshot"] != newer["snapshot"]
    figures = verify(settings.database, PLAN)
    assert (figures["vectors_differ"], figures["vectors_with_profiles"]) == (0, 2)


def other_declarations(settings: Settings, world: World) -> None:
    made = made_elsewhere(settings, world)
    header = made / "header.json"
    header.write_text(header.read_text().replace(PROFILES_HASH, "0" * 64))
    (settings.profiles / ("0" * 12)).mkdir()
    made.rename(settings.profiles / ("0" * 12) / made.name)


def made_elsewhere(settings: Settings, world: World) -> Path:
    """A snapshot that the server does not see yet."""
    return world.snapshot(settings.home / "elsewhere", world.day + 1)


def put_in_place(made: Path, settings: Settings) -> None:
    made.rename(settings.profiles / made.parent.name / made.name)


def a_damaged_file(settings: Settings, world: World) -> None:
    made = made_elsewhere(settings, world)
    content = bytearray((made / "customer_rows.npy").read_bytes())
    content[len(content) // 2] ^= 1
    (made / "customer_rows.npy").write_bytes(content)
    put_in_place(made, settings)


def half_a_header(settings: Settings, world: World) -> None:
    made = made_elsewhere(settings, world)
    (made / "header.json").write_text('{"format": 1')
    put_in_place(made, settings)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (other_declarations, "made by profiles 000000000000, running are"),
        (a_damaged_file, "customer_rows.npy is not the file that its header states"),
        (half_a_header, "not readable as profiles"),
    ],
)
def test_a_snapshot_that_is_refused_leaves_the_old_one_and_is_said_once(
    settings: Settings, world: World, bodies: Iterator[bytes], damage: Any, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.snapshot(settings.profiles, world.day)
    with InProcess(settings) as burana:
        damage(settings, world)
        burana.wait_until(lambda: metric(burana, "burana_profiles_refused_total") == 1)
        burana.wait(0.3)
        assert metric(burana, "burana_profiles_refused_total") == 1
        assert len([record for record in caplog.records if says in record.getMessage()]) == 1
        assert take(burana, bodies)[0]["degraded"] == []
    assert served(settings)[0][2]["profiles"]["day"] == date_of(world.day).isoformat()


# ---- degrading -------------------------------------------------------------------------------------------------------------


def test_what_is_missing_is_said_and_never_makes_a_level_lower(settings: Settings, world: World, tmp_path: Path) -> None:
    operations = [encode(record) for _, record in records_of(world.after.operations.slice(0, 150), Operation)]
    decisions: dict[str, list[Any]] = {}
    days = {"at hand": world.day, "none": None, "only later ones": world.day + 2, "stale": world.day - 3}
    for name, day in days.items():
        mine = replace(settings, home=tmp_path / name, profiles=tmp_path / f"profiles {name}")
        shutil.copytree(settings.home, mine.home)
        if day is not None:
            world.snapshot(mine.profiles, day)
        with InProcess(mine) as burana:
            decisions[name] = take(burana, iter(operations), len(operations))
        vectors_ = [vector for _, vector, _ in served(mine)]
        assert all(np.isnan(vector[len(PLAN) :]).all() for vector in vectors_) == (name != "at hand")
        figures = verify(mine.database, PLAN)
        assert figures["vectors_differ"] == 0
        assert figures["vectors_without_profiles"] == (0 if name == "at hand" else len(operations))
    words = {"at hand": [], "none": ["no_profiles"], "only later ones": ["no_profiles"], "stale": ["stale_profiles"]}
    for name, each in decisions.items():
        assert all(decision["degraded"] == words[name] and decision["score"] is not None for decision in each)
        assert all(level(one) >= level(other) for one, other in zip(each, decisions["at hand"], strict=True))
    assert {decision["level"] for decision in decisions["at hand"]} >= {"low"}
    reasons = [reason for reason in decisions["stale"][0]["reasons"] if reason["layer"] == "system"]
    assert [reason["code"] for reason in reasons] == ["stale_profiles"]


def test_a_model_of_behaviour_alone_asks_for_no_profiles(models: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", models=models, profiles=tmp_path / "none")
    with InProcess(settings) as burana:
        assert burana.decide(operation(1))["degraded"] == []
    ((_, vector, evidence),) = served(settings)
    assert len(vector) == len(PLAN) and "profiles" not in evidence and evidence["declarations"] == PLAN.hash


# ---- seen from outside -----------------------------------------------------------------------------------------------------


def test_the_evidence_the_metrics_and_readyz_show_the_profiles(
    settings: Settings, world: World, bodies: Iterator[bytes]
) -> None:
    world.snapshot(settings.profiles, world.day)
    key = key_of(settings.database)
    with Server(settings.home, settings.models, "--profiles", str(settings.profiles), key=key) as server:
        decision = server.ask("POST", "/v1/operations", next(bodies)).json
        found = server.ask("GET", f"/v1/operations/{decision['operation_id']}").json
        day = date_of(world.day).isoformat()
        assert found["evidence"]["profiles"]["day"] == found["evidence"]["profiles"]["due"] == day
        assert tuple(found["features"]) == WHOLE.names
        told = server.ask("GET", "/readyz").json
        assert (told["status"], told["profiles"]) == ("ready", day)
        metrics = server.ask("GET", "/metrics").body.decode()
        age = float(re.search(r"^burana_profile_age_seconds (\S+)$", metrics, re.MULTILINE)[1])
        known = datetime.combine(date_of(world.day + 1), datetime.min.time(), UTC) - timedelta(hours=6)
        assert abs(age - (datetime.now(UTC) - known).total_seconds()) < 60


def test_a_server_without_profiles_is_ready_and_says_so(settings: Settings) -> None:
    with Server(settings.home, settings.models, "--profiles", str(settings.profiles)) as server:
        answer = server.ask("GET", "/readyz")
        assert (answer.status, answer.json["status"], answer.json["profiles"]) == (200, "ready", None)


RULE = """
[[rules]]
id = "unusual_amount"
criterion = "R61"
level = "medium"
state = "live"
owner = "the tests"
ground = "a rule over a profile"
text = "far above what the customer usually pays"
expression = "customer_profile_amount_over_p50_90d > 0.0"
"""


def test_rules_read_profiles_where_the_model_does(
    settings: Settings, world: World, bodies: Iterator[bytes], models: Path, tmp_path: Path
) -> None:
    world.snapshot(settings.profiles, world.day)
    with InProcess(settings):  # closed at once: nothing that follows the folder holds it up
        pass
    with databases.connect(settings.database) as database:
        rule_sets.load(database, RULE, "the tests", "to see it fire")
    with InProcess(settings) as burana:
        decisions = take(burana, bodies, 20)
    fired = [any(reason["code"] == "unusual_amount" for reason in decision["reasons"]) for decision in decisions]
    column = WHOLE.names.index("customer_profile_amount_over_p50_90d")
    assert fired == [bool(vector[column] > 0) for _, vector, _ in served(settings)]
    assert any(fired)
    with pytest.raises(RuleError, match="customer_profile_amount_over_p50_90d"):
        InProcess(replace(settings, models=models))


# ---- when the champion changes -------------------------------------------------------------------------------------------


@pytest.fixture
def either(settings: Settings, world: World, models: Path, tmp_path: Path) -> tuple[Settings, str, str]:
    """Settings with two bundles, and their versions: the champion reads profiles, the other one behaviour alone."""
    shutil.copytree(world.models, tmp_path / "models")
    plain = champion(models)
    shutil.copytree(plain, tmp_path / "models" / plain.name)
    world.snapshot(settings.profiles, world.day)
    return replace(settings, models=tmp_path / "models"), champion(world.models).name, plain.name


def test_champions_with_and_without_profiles_take_over_from_each_other(either: Any, bodies: Iterator[bytes]) -> None:
    settings, profiled, plain = either
    with InProcess(settings) as burana:
        for version in (plain, profiled, plain, profiled):
            set_champion(settings.models, version)
            burana.wait_until(lambda version=version: burana.burana.model_version == version)
            decision = take(burana, bodies)[0]
            assert (decision["model"], decision["degraded"]) == (version, [])
            with_profiles = version == profiled
            assert burana.burana.assessor.layers.features.names == FeatureSet(PLAN, with_profiles).names
            burana.wait_until(lambda w=with_profiles: math.isnan(metric(burana, "burana_profiles_loaded_day")) != w)
    assert [len(vector) for _, vector, _ in served(settings)] == [len(PLAN), len(WHOLE)] * 2
    figures = verify(settings.database, PLAN)
    assert (figures["vectors"], figures["vectors_differ"], figures["vectors_with_profiles"]) == (4, 0, 2)


def test_newer_profiles_are_read_for_a_champion_that_took_over(either: Any, world: World, bodies: Iterator[bytes]) -> None:
    settings, profiled, plain = either
    set_champion(settings.models, plain)
    with InProcess(settings) as burana:
        set_champion(settings.models, profiled)
        burana.wait_until(lambda: burana.burana.model_version == profiled)
        world.snapshot(settings.profiles, world.day + 1)
        burana.wait_until(lambda: burana.burana.assessor.layers.profiles.newest_day == world.day + 1)
        assert take(burana, bodies)[0]["degraded"] == []


def test_a_champion_without_profiles_is_refused_while_a_rule_needs_one(
    either: Any, bodies: Iterator[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    settings, profiled, plain = either
    with InProcess(settings) as burana:
        with databases.connect(settings.database) as database:
            version = rule_sets.load(database, RULE, "the tests", "to need a profile")
        burana.wait_until(lambda: burana.burana.assessor.layers.rules.version == version)
        set_champion(settings.models, plain)
        burana.wait_until(lambda: metric(burana, "burana_champions_refused_total") == 1)
        assert take(burana, bodies)[0]["model"] == profiled
    assert f"rules-{version} name features that it does not read" in caplog.text
    assert "customer_profile_amount_over_p50_90d" in caplog.text


def test_a_challenger_without_profiles_scores_beside_a_champion_with_them(either: Any, bodies: Iterator[bytes]) -> None:
    settings, profiled, plain = either
    (settings.models / "CHALLENGERS").write_text(plain)
    challenger = scoring.load(settings.models / plain, PLAN)
    with InProcess(settings) as burana:
        burana.wait_until(lambda: plain in burana.burana.challengers._asked)
        assert {decision["model"] for decision in take(burana, bodies, 5)} == {profiled}
        burana.wait_until(lambda: rows_in(settings.database, "shadow_scores") == 5)
    with databases.connect(settings.database) as database:
        scores = [score for (score,) in rows(database, "SELECT score FROM shadow_scores ORDER BY sequence")]
    assert scores == pytest.approx(
        [challenger.score(vector[: len(PLAN)]) for _, vector, _ in served(settings)], rel=0, abs=scoring.SCORE_TOLERANCE
    )


def test_a_challenger_with_profiles_is_let_go_when_the_champion_reads_none(
    either: Any, world: World, rival: Path, bodies: Iterator[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    settings, profiled, plain = either
    shutil.copytree(rival, settings.models / rival.name)
    (settings.models / "CHALLENGERS").write_text(f"{profiled}\n")
    with InProcess(settings) as burana:
        for version, asked in ((plain, False), (profiled, False)):
            set_champion(settings.models, version)
            burana.wait_until(lambda version=version: burana.burana.model_version == version)
            take(burana, bodies)
            assert (profiled in burana.burana.challengers._asked) == asked
    assert f"{profiled} reads profiles, and the champion in force does not" in caplog.text
