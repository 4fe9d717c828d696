"""One rule on one operation: every step is shown, and the decision with the rule and without it."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from cel_expr_python import cel
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from casework import database as databases
from domain.criteria import FraudCriterion
from domain.identifiers import IdentifierKind
from domain.listing import List
from domain.operation import Kind
from domain.rule_text import parsed, written
from domain.rules import Rule, State
from serving import cli
from serving.expression_parts import Part, cut, parts
from tests import registry
from tests.serving.examples import operation
from tests.serving.running import InProcess

STARTER = parsed(resources.files("serving").joinpath("starter_rules.toml").read_text(encoding="utf-8"))
DRAFT = replace(
    STARTER[0], id="large_to_a_listed_phone", criterion=FraudCriterion.SUSPICIOUS_RECIPIENT, level="high", state=State.DRAFT,
    expression="amount_tyiyn > $least && ('watched' in registry || vpn) && customer_sent_count_1h < 5.0", parameters={"least": 5_000},
)  # fmt: skip


@pytest.fixture(scope="module")
def recorded(shared_burana: InProcess) -> InProcess:
    """Three operations, the last to a watched telephone."""
    with databases.connect(shared_burana.settings.database) as database:
        identifiers = shared_burana.settings.identifiers()
        registry.add(database, identifiers, IdentifierKind.PHONE, "+996555000003", List.WATCHED)
    shared_burana.wait_until(lambda: len(shared_burana.burana.assessor.layers.registry) == 1)
    for number in (1, 2, 8, 3):
        shared_burana.decide(operation(number))
    return shared_burana


def shown(burana: InProcess, folder: Path, rule: Rule | str, asked: str, *more: str) -> tuple[int, dict[str, Any]]:
    """What the command writes."""
    if isinstance(rule, Rule):
        (folder / "rule.toml").write_text(written([rule]), encoding="utf-8")
    named, figures = str(folder / "rule.toml") if isinstance(rule, Rule) else rule, folder / "test.json"
    place = ["--home", str(burana.settings.home), "--models", str(burana.settings.models)]
    ended = cli.main(["rules", "test", named, "--operation", asked, *place, "--json", str(figures), *more])
    return ended, json.loads(figures.read_text()) if ended == 0 else {}


def test_every_step_is_shown_on_an_operation_as_it_was_recorded(
    recorded: InProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, found = shown(recorded, tmp_path, DRAFT, "op-8")
    assert (found["fires"], found["recorded"]) == (True, "medium")
    assert found["registry"] == [{"field": "recipient.phone", "list": "watched", "entry_id": 1}]
    assert {read["name"]: read["value"] for read in found["reads"]}["registry"] == ["watched"]
    steps = {part["text"]: part["value"] for part in flat(found["steps"])}
    assert steps == {
        "amount_tyiyn > 5000 && ('watched' in registry || vpn) && customer_sent_count_1h < 5.0": True,
        "amount_tyiyn > 5000": True, "'watched' in registry || vpn": True, "'watched' in registry": True,
        "customer_sent_count_1h < 5.0": True,
    }  # fmt: skip
    assert (found["without"]["level"], found["with_rule"]["level"]) == ("medium", "high")
    printed = capsys.readouterr().out
    assert "recipient.phone is on the watched list" in printed
    assert "with it live:     high, reject" in printed


def flat(part: dict[str, Any]) -> list[dict[str, Any]]:
    return [part, *(found for child in part["parts"] for found in flat(child))]


def test_a_rule_that_is_in_force_is_tried_by_its_id_and_taken_away(recorded: InProcess, tmp_path: Path) -> None:
    ended, found = shown(recorded, tmp_path, "failed_logins", "op-8")
    assert (ended, found["fires"], found["state"]) == (0, False, "live")
    assert found["without"] == found["with_rule"]
    assert [read["name"] for read in found["reads"]] == ["customer_login_failed_count_1h"]
    assert "failed log-ins" in found["reads"][0]["said"]


def test_an_operation_of_a_file_is_tried_as_if_it_came_now_and_nothing_is_recorded(
    recorded: InProcess, tmp_path: Path
) -> None:
    (tmp_path / "operation.json").write_text(json.dumps(operation(10)))
    before = recorded.trace()
    _, found = shown(recorded, tmp_path, DRAFT, str(tmp_path / "operation.json"))
    values = {read["name"]: read["value"] for read in found["reads"]}
    assert (found["recorded"], found["fires"]) == (None, False)
    assert values["customer_sent_count_1h"] == 1, "operation 3 was of the same customer"
    assert recorded.trace() == before


def test_a_rule_is_not_asked_of_other_kinds(recorded: InProcess, tmp_path: Path) -> None:
    elsewhere = replace(DRAFT, kinds=(Kind.CASH_WITHDRAWAL,))
    _, found = shown(recorded, tmp_path, elsewhere, "op-3")
    assert (found["is_asked"], found["fires"]) == (False, False)
    assert found["with_rule"] == found["without"]


def test_a_rule_that_fails_says_why_and_sends_to_verification(recorded: InProcess, tmp_path: Path) -> None:
    broken = replace(DRAFT, expression="amount_tyiyn / (amount_tyiyn - amount_tyiyn) > $least")
    _, found = shown(recorded, tmp_path, broken, "op-1")
    assert found["fires"] is None
    assert "divi" in found["steps"]["failed"]
    assert "rule_failed" in [reason["code"] for reason in found["with_rule"]["reasons"]]


@pytest.mark.parametrize(
    ("rule", "asked", "said"),
    [("no_such_rule", "op-1", "no rule no_such_rule"), ("failed_logins", "op-99", "is not recorded"),
     (replace(DRAFT, expression="amount_tyin > $least"), "op-1", "nearest known: amount_tyiyn")],
)  # fmt: skip
def test_what_cannot_be_tried_is_said(
    recorded: InProcess, tmp_path: Path, rule: Rule | str, asked: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ended, _ = shown(recorded, tmp_path, rule, asked)
    assert ended == 2
    assert said in capsys.readouterr().err


# ---- parts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a && b || c", ["a && b", "c"]),
        ("a && (b || c)", ["a", "b || c"]),
        ("(a && b)", ["a", "b"]),
        ("!(a || b)", ["a || b"]),
        ("x >= 0.5 * y", ["x", "0.5 * y"]),
        ("'a && b' == t", ["'a && b'", "t"]),
        ("'it\\'s' in l", ["'it\\'s'", "l"]),
        ("in_words == 'x'", ["in_words", "'x'"]),
        ("a ? b || c : d && e", []),
        ("double(x) >= 0.7 * y", ["double(x)", "0.7 * y"]),
        ("a", []),
    ],
)
def test_an_expression_is_cut_at_its_weakest_operators(text: str, pieces: list[str]) -> None:
    assert cut(text) == pieces


NAMES = st.sampled_from(("x > 1.0", "y <= x", "flag", "!flag", "t == 'a || b'", "'(' == t", "x * (y + 1.0) < 2.0"))
EXPRESSIONS = st.recursive(
    NAMES,
    lambda inner: (
        st.builds("({}) && {}".format, inner, inner)
        | st.builds("{} || ({})".format, inner, inner)
        | inner.map("!({})".format)
    ),
    max_leaves=6,
)


@given(
    expression=EXPRESSIONS, x=st.floats(-2, 3), y=st.floats(-2, 3), flag=st.booleans(), t=st.sampled_from(("(", "a || b"))
)
def test_parts_make_the_whole(expression: str, x: float, y: float, flag: bool, t: str) -> None:
    """Every part has the value that Python gives it, and nothing that is more than a name is left out."""
    types = {"x": cel.Type.DOUBLE, "y": cel.Type.DOUBLE, "flag": cel.Type.BOOL, "t": cel.Type.STRING}
    values = {"x": x, "y": y, "flag": flag, "t": t}
    for part in _all(parts(expression, cel.NewEnv(variables=types), values)):
        python = part.text.replace("&&", " and ").replace("||", " or ").replace("!(", " not (").replace("!flag", " not flag")
        python = python.replace("'a  or  b'", "'a || b'")
        assert part.value == pytest.approx(eval(python, {}, values))
        assert part.failed is None


def _all(part: Part) -> list[Part]:
    return [part, *(found for child in part.parts for found in _all(child))]
