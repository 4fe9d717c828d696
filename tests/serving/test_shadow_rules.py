"""What a rule in shadow would have done is read from what decisions kept, of its own version alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from casework import database as databases
from casework import rule_life, rule_sets, rule_versions
from domain.rule_text import parsed
from domain.rules import Rule
from serving import cli
from tests.serving.examples import body, operation, outcome
from tests.serving.running import InProcess

RULE = """
[[rules]]
id = "large_amount"
criterion = "R61"
level = "medium"
state = "draft"
owner = "tests"
ground = "to be counted"
expression = "amount_tyiyn >= {least}"
text = "large"
text_ru = "много"
text_ky = "көп"
customer_ru = "много"
customer_ky = "көп"
customer_en = "large"
"""


def saved(burana: InProcess, least: int, version: int = 0) -> int:
    """Save the rule and put it in shadow; its version."""
    rule: Rule = parsed(RULE.format(least=least) + f"version = {version}\n")[0]
    with databases.connect(burana.settings.database) as database:
        made = rule_versions.save(database, rule, "the tests", "to be counted")
        in_force = rule_life.put_in_shadow(database, "large_amount", made, "the tests", "to be counted")
    burana.wait_until(lambda: burana.burana.assessor.layers.rules.version == in_force)
    return made


def told(burana: InProcess, folder: Path, *more: str) -> dict[str, Any]:
    figures = folder / "shadow.json"
    command = [
        "rules",
        "shadow-report",
        "--home",
        str(burana.settings.home),
        "--json",
        str(figures),
        "--delay-days",
        "0",
        *more,
    ]
    assert cli.main(command) == 0
    found = json.loads(figures.read_text())
    return {rule["figures"]["id"]: rule for rule in found["rules"]}


def test_hits_of_a_rule_in_shadow_are_told_with_what_was_fraud(
    burana: InProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Operations 50 to 59 are of 118.50 som and more; two of them turn out to be fraud, one genuine."""
    assert saved(burana, 11_850) == 1
    for number in range(40, 60):
        burana.decide(operation(number))
    for number, verdict in ((50, "fraud"), (53, "fraud"), (55, "legitimate")):
        assert burana.post("/v1/outcomes", body(outcome(number, verdict=verdict))).status == 200
    rule = told(burana, tmp_path)["large_amount"]
    hits = rule["figures"]["hits"]
    assert (rule["version"], rule["asked"]) == (1, 20)
    assert (hits["stopped"], hits["fraud"]) == (10, 2)
    assert hits["fraud_tyiyn"] == sum(operation(number)["amount"]["minor"] for number in (50, 53))
    assert hits["precision"] == 2 / (hits["fraud"] + hits["genuine"])
    printed = capsys.readouterr().out
    assert "large_amount (shadow)" in printed
    assert "in shadow since" in printed


def test_hits_of_another_version_are_not_its_own(burana: InProcess, tmp_path: Path) -> None:
    saved(burana, 1)
    burana.decide(operation(1))
    assert saved(burana, 1_000_000_000, version=1) == 2
    burana.decide(operation(2))
    rule = told(burana, tmp_path)["large_amount"]
    assert (rule["version"], rule["asked"], rule["figures"]["hits"]["stopped"]) == (2, 1, 0)


def test_it_is_said_when_the_version_came_into_shadow(burana: InProcess, tmp_path: Path) -> None:
    """Another rule that comes later does not move it."""
    saved(burana, 1)
    with databases.connect(burana.settings.database) as database:
        first = rule_sets.live(database)
        rule_life.take_out_of_shadow(database, "night_and_unusual", "the tests", "another change")
    assert first is not None
    burana.decide(operation(1))
    assert told(burana, tmp_path)["large_amount"]["since"] == first.loaded_at


def test_an_empty_period_is_said(burana: InProcess, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["rules", "shadow-report", "--home", str(burana.settings.home)]) == 2
    assert "no operation in this period" in capsys.readouterr().err
