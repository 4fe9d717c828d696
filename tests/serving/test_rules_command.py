"""`burana rules`: an officer's day, from a draft to a rule that acts in a running server, and back."""

import json
import re
from importlib import resources
from pathlib import Path

import pytest

from casework import database as databases
from casework import keys
from casework.database import url_of
from casework.keys import Scope
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feature_set import FeatureSet
from features.plan import Plan
from serving import cli, rule_vocabulary
from serving.acting_person import KEY
from serving.rule_language import OPERATION_VARIABLES
from serving.rule_vocabulary import as_data, vocabulary
from tests.serving.examples import operation
from tests.serving.running import InProcess

FEATURES = FeatureSet(Plan(DEFINITIONS, RETAINED_ARRIVALS))
RULE = """
[[rules]]
id = "pays_much"
criterion = "R61"
level = "high"
owner = "Aigul"
ground = "policy 4.2"
expression = "amount_tyiyn >= $least"
parameters = { least = 5000000 }
text = "Much"
text_ru = "Много"
text_ky = "Көп"
customer_ru = "Проверим"
customer_ky = "Текшеребиз"
customer_en = "We check"
version = 0
"""


class Office:
    """The command, called by people with keys of their own."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.home, self._monkeypatch, self._capsys = home, monkeypatch, capsys
        with databases.connect(url_of(home / "burana.db")) as database:
            scopes = {Scope.RULES, Scope.APPROVE}
            self._keys = {person: keys.make(database, person, scopes, "the tests") for person in ("Aigul", "Bakyt")}

    def __call__(self, *arguments: object, person: str = "Aigul", code: int = 0) -> str:
        self._monkeypatch.setenv(KEY, self._keys[person])
        assert cli.main([*map(str, arguments), "--home", str(self.home)]) == code
        said = self._capsys.readouterr()
        return said.out if code == 0 else said.err

    def approved(self, said: str) -> None:
        number = re.search(r"proposal (\d+)", said)
        assert number is not None
        self("proposals", "approve", number[1], "--reason", "I looked", person="Bakyt")

    def file(self, content: str) -> Path:
        file = self.home / "rules.toml"
        file.write_text(content, encoding="utf-8")
        return file


WHY = ("--by", "Aigul", "--reason", "to try")


@pytest.fixture
def burana_office(burana: InProcess, monkeypatch, capsys) -> Office:
    return Office(burana.settings.home, monkeypatch, capsys)


def test_an_officers_day(burana: InProcess, burana_office: Office):
    """Saved, counted, approved, edited, turned off; a running server follows each step within a second."""
    office, much = burana_office, {"minor": 5_000_000, "currency": "KGS"}

    def follows(policy: str) -> None:
        burana.wait_until(lambda: f"rules-{burana.burana.assessor.layers.rules.version}" == policy, seconds=1)

    def codes(number: int) -> list[str]:
        return [reason["code"] for reason in burana.decide(operation(number, amount=much))["reasons"]]

    assert office("rules", "save", office.file(RULE), *WHY) == "pays_much, version 1\n"
    assert "pays_much" not in codes(1)
    follows(office("rules", "shadow", "pays_much", "--version", 1, *WHY).strip())
    assert "pays_much" not in codes(2)
    assert burana.burana.assessor.layers.rules.counts["pays_much", "shadow", "fired"] == 1
    office.approved(office("rules", "propose", "pays_much", "--version", 1, "--reason", "it is good"))
    assert re.search(r"pays_much +live +live 1 ", office("rules", "list"))
    follows(office("rules", "show").split(",")[0].removeprefix("# "))
    acting = burana.burana.assessor.layers.rules.version
    assert "pays_much" in codes(3)
    saved = office("rules", "show", "pays_much")
    assert office("rules", "save", office.file(saved.replace("5000000", "6000000")), *WHY) == "pays_much, version 2\n"
    assert "at version 2, saved by Aigul" in office("rules", "save", office.file(saved), *WHY, code=2)
    office.approved(office("rules", "off", "pays_much", "--reason", "too wide"))
    follows(office("rules", "history").split("\t")[0].join(("rules-", "")))
    assert "pays_much" not in codes(4)
    assert [line.split("\t")[0] for line in office("rules", "history", "pays_much").splitlines()] == ["1", "2", "3"]
    office.approved(office("rules", "rollback", acting, "--reason", "not too wide after all"))
    follows(f"rules-{acting}")
    assert "pays_much" in codes(5)


def test_who_proposes_does_not_approve(burana_office: Office):
    office = burana_office
    office("rules", "save", office.file(RULE), *WHY)
    said = office("rules", "propose", "pays_much", "--version", 1, "--reason", "it is good")
    number = said.split()[1]
    assert "another person" in office("proposals", "approve", number, "--reason", "mine", code=2)


def test_a_whole_set_is_loaded_once_and_then_proposed(burana_office: Office):
    office, live = burana_office, RULE.replace("version = 0", 'state = "live"')
    assert office("rules", "load", office.file(live), *WHY).startswith("rules-")
    assert "propose-set" in office("rules", "load", office.file(live), *WHY, code=2)
    proposed = office("rules", "propose-set", office.file(live.replace("5000000", "7")), "--reason", "wider")
    told, rules = office("proposals", "show", re.findall(r"proposal (\d+)", proposed)[0]).split("\n\nlive:\n")
    assert len(json.loads(told)["content"]["comes"]) == 1
    assert 'id = "pays_much"\n' in rules and "least = 7" in rules, "who decides can read them"
    assert all(line.startswith("    ") for line in rules.rstrip("\n").split("\n\n")[0].split("\n")), (
        "and none of them passes for another part"
    )
    office.approved(proposed)
    assert "least = 7" in office("rules", "show")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (RULE.replace("$least", "$leest"), "$leest"),
        (RULE.replace("amount_tyiyn", "amount_tyin"), "nearest known: amount_tyiyn"),
        (RULE + RULE.replace("pays_much", "pays_more"), "seen 2 rules, allowed one"),
        (RULE + 'steps = [{ did = "login_failed", within = "1d" }]\n', "its expression is not what its steps say"),
        ("", "cannot be read"),
    ],
)
def test_what_does_not_fit_is_not_saved(burana_office: Office, content, says):
    assert says in burana_office("rules", "save", burana_office.file(content), *WHY, code=2)
    assert "no rule pays_much" in burana_office("rules", "show", "pays_much", code=2)


def test_a_file_is_checked_with_its_drafts(burana_office: Office):
    assert burana_office("rules", "check", burana_office.file(RULE)) == "1 rule is well typed\n"
    two = burana_office.file(RULE + RULE.replace("pays_much", "pays_more"))
    assert burana_office("rules", "check", two) == "2 rules are well typed\n"
    wrong = burana_office.file(RULE.replace("amount_tyiyn", "amount"))
    assert "rule pays_much: 1:1: undeclared reference to 'amount'" in burana_office("rules", "check", wrong, code=2)
    assert "cannot be read" in burana_office("rules", "check", burana_office.file("rules = " + "[" * 5_000), code=2)


def test_a_set_says_of_each_rule_whether_it_runs(burana_office: Office):
    assert "seen nothing, or draft, of pays_much" in burana_office("rules", "load", burana_office.file(RULE), *WHY, code=2)


def test_a_pack_is_counted_beside_what_is_there_and_says_what_it_cannot(burana_office: Office):
    office = burana_office
    said = office("rules", "pack", "od2506", *WHY)
    assert "sign 10 cash put in" in said
    listed = office("rules", "list")
    assert len(re.findall(r"^od2506_\w+ +shadow +shadow 1 ", listed, re.MULTILINE)) == 7
    assert re.search(r"^false_call +shadow ", listed, re.MULTILINE)


def test_what_is_printed_is_written_as_json(burana_office: Office, tmp_path: Path):
    burana_office("rules", "list", "--json", tmp_path / "list.json")
    told = {one["saved"]["rule"]["id"]: one["state"] for one in json.loads((tmp_path / "list.json").read_text())}
    assert told["takeover"] == "live"
    assert told["false_investment"] == "shadow"


# ---- the vocabulary --------------------------------------------------------------------------------------------------


def test_the_page_of_the_vocabulary_is_as_old_as_the_code():
    page = resources.files("serving").joinpath("VOCABULARY.md").read_text(encoding="utf-8")
    assert page == vocabulary(FEATURES.entries), f"write it again: {rule_vocabulary.COMMAND}"


def test_the_vocabulary_says_everything_that_a_rule_may_name():
    assert list(rule_vocabulary.MEANINGS) == list(OPERATION_VARIABLES)
    data = as_data(FEATURES.entries)
    assert [one["name"] for one in data["features"]] == list(FEATURES.names)
