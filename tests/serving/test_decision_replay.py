"""Any stored decision can be made again, across changes of model, rules, registry and settings, and comes out the same to the byte."""

import shutil
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from casework import database as databases
from casework.ledger import reading
from domain.bundle import champion
from domain.errors import UnknownOperationError
from domain.identifiers import IdentifierKind
from domain.listing import List
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.plan import Plan
from serving import cli
from serving.decision_replay import Again, NotMade, replay
from serving.recomputed_profiles import from_snapshots
from serving.settings import Settings
from tests import registry
from tests.databases import execute
from tests.rule_sets import put_in_force
from tests.serving.examples import body, event, operation, outcome
from tests.serving.running import InProcess
from training.bundles import set_champion

PLAN = Plan(DEFINITIONS, RETAINED_ARRIVALS)
RULES = """
[[rules]]
id = "{id}"
criterion = "R61"
level = "medium"
state = "live"
owner = "tests"
ground = "to see decisions change"
expression = "{expression}"
text = "{id} fired"
"""


@pytest.fixture
def settings(line: Path, tmp_path: Path, begun: Path) -> Settings:
    shutil.copytree(begun, tmp_path / "home")
    return Settings(home=tmp_path / "home", models=line, profiles=tmp_path / "none", refresh_s=0.02, deadline_ms=10_000)


def made_again(settings: Settings, ids: list[str] | None = None) -> list[Again | NotMade]:
    with databases.connect(settings.database) as database:
        if ids is None:
            with reading(settings.database) as ledger:
                ids = [entry.id for entry in ledger.read() if entry.type == "operation"]
        return list(replay(settings, database, PLAN, ids, from_snapshots(settings.profiles)))


def load_rules(burana: InProcess, name: str, expression: str) -> None:
    with databases.connect(burana.settings.database) as database:
        version = put_in_force(database, RULES.format(id=name, expression=expression))
    burana.wait_until(lambda: burana.burana.assessor.layers.rules.version == version)


def prohibit(burana: InProcess, phone: str) -> int:
    with databases.connect(burana.settings.database) as database:
        identifiers, list_ = burana.settings.identifiers(), List.PROHIBITED
        entry = registry.add(database, identifiers, IdentifierKind.PHONE, phone, list_, "the tests", "fraud")
    burana.wait_until(lambda: len(burana.burana.assessor.layers.registry) == 1)
    return entry


def release(burana: InProcess, entry: int) -> None:
    with databases.connect(burana.settings.database) as database:
        registry.remove(database, entry, "the tests", "listed in error")
    burana.wait_until(lambda: len(burana.burana.assessor.layers.registry) == 0)


def decide(burana: InProcess, numbers: range) -> list[str]:
    """Decisions among events and outcomes; their levels."""
    levels = []
    for number in numbers:
        levels.append(burana.decide(operation(number))["level"])
        if number % 5 == 0:
            burana.post("/v1/events", body(event(number)))
            burana.post("/v1/outcomes", body(outcome(number)))
    return levels


def test_decisions_are_the_same_again_across_a_promotion_rules_registry_and_settings(settings, rival):
    first = champion(settings.models).name
    with InProcess(settings) as burana:
        decide(burana, range(1, 40))
        entry = prohibit(burana, "+996555000003")
        levels = decide(burana, range(40, 60))
        assert "high" in levels
        load_rules(burana, "large", "amount_tyiyn >= 12000 && customer_sent_count_30d > 3.0")
        set_champion(settings.models, rival.name)
        burana.wait_until(lambda: burana.burana.model_version == rival.name)
        decide(burana, range(60, 100))
        release(burana, entry)
        load_rules(burana, "small", "amount_tyiyn < 11000")
        decide(burana, range(100, 140))
    with InProcess(replace(settings, deadline_ms=0.001, limit_tyiyn=12_000)) as burana:
        decide(burana, range(140, 150))
    with InProcess(replace(settings, control_verify_share=0.5, limit_tyiyn=13_000)) as burana:
        set_champion(settings.models, first)
        burana.wait_until(lambda: burana.burana.model_version == first)
        decide(burana, range(150, 200))
    again = made_again(settings)
    assert len(again) == 199
    assert [one for one in again if not (isinstance(one, Again) and one.is_equal)] == []


def test_decisions_are_the_same_again_across_the_end_of_an_entrys_validity(settings):
    with InProcess(settings) as burana:
        ends = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3)
        with databases.connect(settings.database) as database:
            registry.add(database, settings.identifiers(), IdentifierKind.PHONE, "+996555000003", valid_to=ends)
        burana.wait_until(lambda: len(burana.burana.assessor.layers.registry) == 1)
        before = decide(burana, range(1, 11))
        time.sleep(max(0.0, (ends - datetime.now(UTC)).total_seconds()))
        after = decide(burana, range(11, 21))
    assert "high" in before
    assert "high" not in after
    assert [one for one in made_again(settings) if not (isinstance(one, Again) and one.is_equal)] == []


def test_decisions_with_profiles_are_the_same_again(settings, profiled):
    """Nothing is materialised, so they were verified without profiles, which the replay repeats."""
    set_champion(settings.models, champion(profiled / "models").name)
    with InProcess(settings) as burana:
        assert burana.decide(operation(1))["degraded"] == ["no_profiles"]
    assert made_again(settings) == [Again("op-1", ())]


def test_what_was_changed_behind_the_triggers_is_named(settings):
    with InProcess(settings) as burana:
        decide(burana, range(1, 6))
    with databases.connect(settings.database) as database:
        altered = 'replace(replace(CAST(answer AS TEXT), \'"level":"low"\', \'"level":"high"\'), \'"level":"medium"\', \'"level":"high"\')'
        execute(
            database, "DROP TRIGGER entries_are_not_updated", f"UPDATE entries SET answer = CAST({altered} AS BLOB) WHERE sequence = 2"
        )  # fmt: skip
    differing = [one for one in made_again(settings) if not (isinstance(one, Again) and one.is_equal)]
    assert [(one.operation_id, [field for field, *_ in one.differences]) for one in differing] == [("op-2", ["level"])]


def test_what_is_not_at_hand_is_said(settings):
    with InProcess(settings) as burana:
        decide(burana, range(1, 3))
    shutil.rmtree(champion(settings.models))
    (first, _) = made_again(settings)
    assert isinstance(first, NotMade)
    assert "manifest" in first.reason


def test_an_operation_that_nobody_decided_is_refused(settings):
    with InProcess(settings) as burana:
        decide(burana, range(1, 2))
    with pytest.raises(UnknownOperationError, match="op-77 is not recorded"):
        made_again(settings, ["op-77"])


def test_the_command_says_equal_or_where_it_differs(settings, capsys):
    with InProcess(settings) as burana:
        decide(burana, range(1, 8))
    where = ["--home", str(settings.home), "--models", str(settings.models), "--profiles", str(settings.profiles)]
    assert cli.main(["replay", "--operation", "op-2", "--operation", "op-7", *where]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "op-2: equal", "op-7: equal", "2 of 2 decisions are the same again, to the byte",
    ]  # fmt: skip
    assert cli.main(["replay", "--sample", "5", *where]) == 0
    assert capsys.readouterr().out.splitlines() == ["5 of 5 decisions are the same again, to the byte"]
    assert cli.main(["replay", "--operation", "op-77", *where]) == 2
