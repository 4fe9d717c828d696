"""The coverage map: no cell to which its criterion can apply is empty, each has its story, and what spoke is counted where it spoke."""

import asyncio
import dataclasses
import json
import re
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from casework import database as databases
from casework.keys import Scope
from domain.applicability import CELLS, why_not
from domain.criteria import FraudCriterion
from domain.identifiers import IdentifierKind
from domain.operation import Kind
from domain.rule_text import parsed
from domain.rules import Rule, State
from features import history as histories
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feature_set import FeatureSet
from features.plan import Plan
from serving import cli
from serving.backtest.figures import Costs
from serving.backtest.heard import END
from serving.backtest.report import Asked
from serving.contracts import Refusal
from serving.coverage.cells import Lives, Map, Serving, coverage
from serving.coverage.made import Span, of_ledger
from serving.coverage.picture import LETTERS, picture
from serving.coverage_api import KEPT_S, Maps, OverDays, made_beside
from serving.templates import completed
from tests import registry
from tests.serving.examples import body, operation, outcome
from tests.serving.running import REPOSITORY, InProcess, Server, key_of
from training.simulator import WorldSettings, simulate

FEATURES = FeatureSet(Plan(DEFINITIONS, RETAINED_ARRIVALS))
STARTER = tuple(
    completed(parsed(resources.files("serving").joinpath("starter_rules.toml").read_text(encoding="utf-8")), FEATURES.names)
)
NOTHING_FOUND = Asked("", "", 7, 10, 1, Costs())
SVG = "{http://www.w3.org/2000/svg}"


def map_of(rules: tuple[Rule, ...], model: str | None = None) -> Map:
    """Of what is in force, with nothing found."""
    read = frozenset(FEATURES.names if model else ())
    return coverage(Serving("rules-tests", rules, tuple(FEATURES.entries), model, read), None, NOTHING_FOUND)


def shown(burana: InProcess, folder: Path, *more: str) -> tuple[int, Map]:
    """What the command writes."""
    file = folder / "map.json"
    place = ["--home", str(burana.settings.home), "--models", str(burana.settings.models)]
    ended = cli.main(["rules", "coverage", *place, "--json", str(file), "--resamples", "10", *more])
    return ended, msgspec.json.decode(file.read_bytes(), type=Map)


# ---- what lives ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [None, "a champion"])
def test_no_cell_is_red_with_the_starter_set_with_a_champion_and_without(model: str | None) -> None:
    found = map_of(STARTER, model)
    assert [(cell.criterion, cell.kind) for cell in found.cells if cell.lives is Lives.NOTHING] == []
    assert found.counts[Lives.NONE] == len(FraudCriterion) * len(Kind) - len(CELLS)


def test_every_cell_has_its_story_and_every_story_is_run() -> None:
    stories = {cell.story for cell in map_of(STARTER).cells if cell.story}
    assert len(stories) == len(CELLS)
    command = [sys.executable, "-m", "pytest", "--collect-only", "-n", "0", "tests/stories/test_every_cell.py"]
    collected = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=True).stdout
    assert stories <= set(collected.splitlines())


def test_without_rules_and_a_champion_only_registry_and_basic_checks_are_left() -> None:
    found = map_of(())
    assert {cell.criterion for cell in found.cells if cell.lives is Lives.ACTS} == {
        FraudCriterion.SUSPICIOUS_RECIPIENT, FraudCriterion.AMOUNT, FraudCriterion.POLICY,
    }  # fmt: skip
    assert found.counts[Lives.NOTHING] == len(CELLS) - 3 * len(Kind)


def test_a_rule_lives_in_the_cells_of_its_criterion_and_kinds_alone() -> None:
    rule = next(rule for rule in STARTER if rule.id == "collected_then_cashed")
    for state, lives in ((State.LIVE, Lives.ACTS), (State.SHADOW, Lives.COUNTS)):
        found = map_of((msgspec.structs.replace(rule, state=state),))
        serves = [cell for cell in found.cells if cell.live or cell.shadow]
        assert [(cell.criterion, cell.kind, cell.lives) for cell in serves] == [
            (FraudCriterion.COLLECTING, Kind.CASH_WITHDRAWAL, lives)
        ]


def test_every_feature_serves_one_criterion_of_the_map() -> None:
    found = map_of((), "a champion")
    assert sorted(name for row in found.criteria for name in row.features) == sorted(FEATURES.names)
    assert all(row.features for row in found.criteria)


# ---- what was found --------------------------------------------------------------------------------------------------


def test_what_spoke_is_counted_in_its_cell(burana: InProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cash is taken to a watched telephone; one of three turns out to be fraud."""
    with databases.connect(burana.settings.database) as database:
        registry.add(database, burana.settings.identifiers(), IdentifierKind.PHONE, "+996555000003")
    burana.wait_until(lambda: len(burana.burana.assessor.layers.registry) == 1)
    for number in (3, 8, 13):
        burana.decide(operation(number, kind="cash_withdrawal"))
    burana.decide(operation(4, kind="cash_withdrawal"))
    burana.post("/v1/outcomes", body(outcome(8)))
    ended, found = shown(burana, tmp_path, "--delay-days", "0", "--all", "--svg", str(tmp_path / "map.svg"))
    cell = found.cell(FraudCriterion.SUSPICIOUS_RECIPIENT, Kind.CASH_WITHDRAWAL)
    assert cell.found is not None
    assert (cell.found.acted.stopped, cell.found.acted.fraud, cell.found.by["registry"]) == (3, 1, 3)
    elsewhere = found.cell(FraudCriterion.SUSPICIOUS_RECIPIENT, Kind.TOP_UP)
    assert elsewhere.found is not None
    assert elsewhere.found.acted.stopped == 0
    assert (ended, found.operations) == (0, 4)
    assert "A 3 100%" in capsys.readouterr().out
    assert "A 3 100%" in (tmp_path / "map.svg").read_text(encoding="utf-8")


def test_a_history_shows_what_the_rules_in_force_find_in_it(burana: InProcess, tmp_path: Path) -> None:
    histories.write(simulate(WorldSettings(seed=4, customers=200, days=12, fraud_share=0.04)).history, tmp_path / "history")
    _, found = shown(burana, tmp_path, "--history", str(tmp_path / "history"))
    report = tmp_path / "report.json"
    command = ["rules", "backtest", "--home", str(burana.settings.home), "--history", str(tmp_path / "history")]
    assert cli.main([*command, "--json", str(report), "--resamples", "10"]) == 0
    by_rule = {rule["id"]: rule["hits"]["stopped"] for rule in json.loads(report.read_text())["rules"]}
    counted: dict[str, int] = {}
    for cell in found.cells:
        for name, hits in (cell.found.by if cell.found else {}).items():
            counted[name] = counted.get(name, 0) + hits
    assert counted == {name: hits for name, hits in by_rule.items() if hits}


def test_before_anything_is_recorded_there_is_a_map_without_figures(burana: InProcess, tmp_path: Path) -> None:
    ended, found = shown(burana, tmp_path)
    assert (ended, found.start, found.operations) == (0, None, 0)
    assert all(cell.found is None for cell in found.cells)


# ---- the picture -----------------------------------------------------------------------------------------------------


def test_the_picture_is_read_without_colours() -> None:
    """Each state has a letter of its own, and each cell says in words what lives in it."""
    assert len(set(LETTERS.values())) == len(Lives)
    drawn = ElementTree.fromstring(picture(map_of(STARTER[:3])))
    groups = drawn.findall(f"{SVG}g")
    assert len(groups) == len(FraudCriterion) * len(Kind)
    found = map_of(STARTER[:3])
    for group, cell in zip(groups, found.cells, strict=True):
        assert group.findtext(f"{SVG}text") == LETTERS[cell.lives]
        said = group.findtext(f"{SVG}title") or ""
        assert said.startswith(f"{cell.criterion} at ")
        assert (why_not(cell.criterion, cell.kind) or "") in said


def test_the_picture_has_no_script_and_loads_nothing() -> None:
    text = picture(map_of(STARTER))
    assert not re.search(r"<script|href|url\((?!#hatch\))|onload|@import", text)


# ---- over HTTP -------------------------------------------------------------------------------------------------------


def test_the_map_is_given_over_http_as_data_and_as_a_picture(server: Server) -> None:
    sent = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    server.ask("POST", "/v1/operations", body(operation(1)), sent)
    answer = server.ask("GET", "/v1/rule-coverage?days=1")
    assert answer.status == 200, answer.body
    found = msgspec.json.decode(answer.body, type=Map)
    assert (len(found.cells), found.operations) == (160, 1)
    drawn = server.ask("GET", "/v1/rule-coverage/picture")
    assert (drawn.status, drawn.headers["content-type"]) == (200, "image/svg+xml")
    ElementTree.fromstring(drawn.body)


def test_the_map_of_a_long_ledger_is_made_beside_the_server_and_is_the_same(burana: InProcess) -> None:
    for number in (1, 2, 3):
        burana.decide(operation(number))
    span = Span(0, END, None, 0, 10, 1, after=1)
    with databases.connect(burana.settings.database) as database:
        expected = of_ledger(burana.settings, database, burana.burana.plan, span)
    assert burana.run(made_beside(burana.settings, span)) == expected
    assert expected.operations == 2


def test_a_map_that_cannot_be_made_beside_the_server_is_told_to_be_asked_again(burana: InProcess, tmp_path: Path) -> None:
    nothing = dataclasses.replace(burana.settings, home=tmp_path / "nothing", database_url="")
    with pytest.raises(Refusal) as told:
        burana.run(made_beside(nothing, Span(0, END, None, 0, 10, 1)))
    assert (told.value.status, told.value.retry_after_s) == (503, 60)


@pytest.mark.parametrize("query", ["days=32", "day=1", "days=1&days=2", "delay_days=-1"])
def test_what_cannot_be_asked_is_refused(server: Server, query: str) -> None:
    assert server.ask("GET", f"/v1/rule-coverage?{query}").status == 422


def test_a_key_without_the_scope_sees_no_map(server: Server) -> None:
    key, until = key_of(server.database, Scope.READ, caller="no officer"), time.monotonic() + 10
    while (answer := server.ask("GET", "/v1/rule-coverage", headers={"Authorization": f"Bearer {key}"})).status == 401:
        assert time.monotonic() < until, "the new key is known within a second"
        time.sleep(0.1)
    assert answer.status == 403


def test_a_map_that_took_longer_than_it_is_kept_is_told_to_whoever_waited_for_it():
    now, made = [0.0], []

    async def make(over):
        made.append(over)
        now[0] += 2 * KEPT_S
        return f"map {len(made)}"

    async def asked():
        maps = Maps(make, lambda: now[0])
        return await asyncio.gather(*(maps.of(OverDays()) for _ in range(3)))

    assert asyncio.run(asked()) == ["map 1"] * 3
