"""Rules are data: what does not compile is refused with its place; what fails at run time never silences another."""

import math
from importlib import resources

import msgspec
import numpy as np
import pytest

from casework.registry import Hit
from domain.criteria import FraudCriterion
from domain.errors import RuleError
from domain.identifiers import IdentifierKind
from domain.listing import List
from domain.operation import Operation
from domain.rule_text import written
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.plan import Plan
from serving.rules import Rules, State, parsed
from tests.serving.examples import body, operation

FEATURES = Plan(DEFINITIONS, RETAINED_ARRIVALS).names
STARTER = resources.files("serving").joinpath("starter_rules.toml").read_text(encoding="utf-8")
OPERATION = msgspec.json.Decoder(Operation)


def a_rule(expression: str, id_: str = "a_rule", level: str = "medium", state: str = "live", **changes: str) -> str:
    """One rule in TOML."""
    fields = {"id": id_, "criterion": "R74", "level": level, "state": state, "owner": "tests", "ground": "a ground",
              "expression": expression, "text": "a text", **changes}  # fmt: skip
    return "[[rules]]\n" + "".join(f"{name} = {value!r}\n" for name, value in fields.items())


def vector_of(**values: float) -> np.ndarray:
    """A vector in which nothing is known but what is given."""
    vector = np.full(len(FEATURES), math.nan)
    for name, value in values.items():
        vector[FEATURES.index(name)] = value
    return vector


def evaluated(
    content: str, changes: dict | None = None, amount: int = 10_000, score: float | None = 0.1, hits=(), **features: float
):
    record = OPERATION.decode(body(operation(**(changes or {}))))
    return Rules(content, FEATURES).evaluate(record, amount, vector_of(**features), score, tuple(hits))


def fired(*arguments, **features) -> list[str]:
    return [rule.id for rule in evaluated(*arguments, **features).fired]


# ---- what is refused when a set is loaded --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("[[rules]\n", "cannot be read"),
        ("rules = 1\n", "rules"),
        ("rules = " + "[" * 5_000, "cannot be read"),
        ("rules = " + "9" * 5_000, "cannot be read"),
        ("", "rules"),
        ('version = "1"\nrules = []\n', "version"),
        (a_rule("true", owner=""), "owner"),
        (a_rule("true", ground=""), "ground"),
        (a_rule("true", criterion="R1"), "R1"),
        (a_rule("true", colour="red"), "colour"),
        (a_rule("true", state="maybe"), "maybe"),
        (a_rule("true", level="low"), "level"),
        (a_rule("true", level="medium\n"), "level"),
        (
            a_rule("true", id_="Bad Name"),
            r"rules\[0\].id: allowed a to z, 0 to 9 and _, 3 to 64 of them, the first a letter",
        ),
        (a_rule("true", kinds=["cash"]), r"rules\[0\].kinds\[0\]: seen 'cash', allowed bank_account, mobile_application"),
        (a_rule("true", id_="a_rule\n"), "id"),
        (a_rule("x" * 2_001), "expression"),
        (a_rule("true") + a_rule("false"), "a_rule"),
        (a_rule("true") + a_rule("false", state="shadow") * 2, "a_rule"),
        ("templates = 1\n", "templates"),
        ("rules = [1]\n", "rules"),
    ],
)
def test_a_set_that_is_not_complete_is_refused_with_what_is_wrong(content, names):
    with pytest.raises(RuleError, match=names):
        parsed(content)


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("amount_tyiyn >=", "a_rule"),
        ("amount_tyiyn >= 1.5", "1:14"),
        ("amount_tyiyn + 1", "allowed BOOL"),
        ("kind", "allowed BOOL"),
        ("customer_sent_count_9h > 1.0", "customer_sent_count_9h"),
        ("kind == 'top_up' && vpn == 'yes'", "1:25"),
        ("vpn, vpn", "a_rule"),
        ("true) || (true", "a_rule"),
        ("true]", "a_rule"),
        ("operation.secret == ''", "operation"),
        ("score > 'high'", "1:7"),
        ("registry.exists(entry, entry == 1)", "a_rule"),
        ("customer_sent_count_1 > 1.0", "nearest known: customer_sent_count_1h"),
        ("amount_tyin > 5", "nearest known: amount_tyiyn"),
        ("kind != 'top_up' &&\n customer_sent_count_1h > 1", "2:25"),
        ("customer_sent_count_1h > 1", "numbers with a point (10.0)"),
    ],
)
def test_an_expression_that_does_not_fit_the_vocabulary_is_refused_with_its_place(expression, says):
    with pytest.raises(RuleError) as refused:
        Rules(a_rule(expression), FEATURES)
    assert says in str(refused.value)
    assert "a_rule" in str(refused.value)


def test_an_empty_set_says_nothing():
    assert evaluated("rules = []\n").fired == ()


def test_rules_that_are_off_do_not_run_but_are_read():
    assert fired(a_rule("true", state="off") + a_rule("true", id_="other")) == ["other"]
    with pytest.raises(RuleError):
        parsed(a_rule("true", state="off") + a_rule("true"))


# ---- parameters ----------------------------------------------------------------------------------------------------------


def with_parameters(expression: str, parameters: str) -> str:
    return a_rule(expression) + f"parameters = {parameters}\n"


def test_a_parameter_stands_in_the_expression_by_its_name_whole_or_with_a_point():
    content = with_parameters(
        "amount_tyiyn == $amount && customer_sent_count_1h > $count && amount_tyiyn > $least",
        "{ amount = 10000, count = 2.0, least = -5 }",
    )
    assert fired(content, customer_sent_count_1h=3.0) == ["a_rule"]
    assert fired(content, customer_sent_count_1h=2.0) == []


@pytest.mark.parametrize(
    ("expression", "parameters", "says"),
    [
        ("amount_tyiyn > $amount", "{}", "$amount"),
        ("amount_tyiyn > 5", "{ amount = 5 }", "$amount"),
        ("amount_tyiyn > $", "{}", "$"),
        ("amount_tyiyn > $amount", "{ amount = 5.0 }", "1:14: found no matching overload"),
        ("amount_tyiyn > $amount && kint == ''", "{ amount = 123456789 }", "1:27: undeclared"),
        ("amount_tyiyn > $amount", "{ amount = 'x' }", "cannot be read"),
        ("amount_tyiyn > $amount", "{ amount = true }", "cannot be read"),
    ],
)
def test_a_parameter_that_does_not_fit_is_refused_with_its_place_in_what_was_written(expression, parameters, says):
    with pytest.raises(RuleError) as refused:
        Rules(with_parameters(expression, parameters), FEATURES)
    assert says in str(refused.value)


# ---- kinds of operation --------------------------------------------------------------------------------------------------


def of_kind(kind: str) -> dict[str, object]:
    return {"kind": kind}


def test_a_rule_is_asked_of_the_kinds_that_it_names_and_of_every_kind_when_it_names_none():
    content = a_rule("true", id_="any") + a_rule("true") + "kinds = ['top_up', 'e_wallet']\n"
    assert fired(content, of_kind("top_up")) == ["any", "a_rule"]
    assert fired(content, of_kind("e_wallet")) == ["any", "a_rule"]
    assert fired(content, of_kind("cash_withdrawal")) == ["any"]


def test_a_rule_that_fails_troubles_only_the_kinds_that_it_is_asked_of():
    content = a_rule(BREAKING[0]) + "kinds = ['top_up']\n"
    assert evaluated(content, of_kind("top_up")).failed
    assert not evaluated(content, of_kind("e_wallet")).failed


@pytest.mark.parametrize("kinds", ["[]", "['anything']", "'top_up'"])
def test_kinds_are_named_from_the_list_of_para_14(kinds):
    with pytest.raises(RuleError, match="kinds"):
        parsed(a_rule("true") + f"kinds = {kinds}\n")


# ---- rules as text -------------------------------------------------------------------------------------------------------


def test_rules_are_written_as_they_are_read():
    content = a_rule("kind == 'top_up' //\n || vpn", text="a “quoted” \\ text", id_="other")
    content += a_rule("amount_tyiyn > $amount") + "parameters = { amount = 5 }\ntext_ky = 'Ү, ң, ө'\nkinds = ['top_up']\n"
    rules = parsed(content)
    assert parsed(written(rules)) == rules
    assert written(parsed(written(rules))) == written(rules)
    assert parsed(written([])) == []


# ---- what happens at run time --------------------------------------------------------------------------------------------


def test_a_rule_in_shadow_is_heard_and_does_not_act():
    outcome = evaluated(a_rule("true", state="shadow") + a_rule("true", id_="other"))
    assert [rule.id for rule in outcome.shadow] == ["a_rule"]
    assert [rule.id for rule in outcome.fired] == ["other"]


def test_a_comment_at_the_end_of_an_expression_hides_no_other_rule():
    assert fired(a_rule("false // never") + a_rule("true", id_="other")) == ["other"]


BREAKING = ["1 / (amount_tyiyn - amount_tyiyn) == 1", "amount_tyiyn * 9223372036854775807 > 0", "int(currency) > 0"]


@pytest.mark.parametrize("expression", BREAKING)
@pytest.mark.parametrize("place", ["first", "last"])
def test_a_rule_that_fails_is_named_and_the_others_still_speak(expression, place):
    broken, sound = a_rule(expression), a_rule("amount_tyiyn == 10000", id_="sound")
    outcome = evaluated(broken + sound if place == "first" else sound + broken)
    assert [rule.id for rule in outcome.fired] == ["sound"]
    assert [name for name, _ in outcome.failed] == ["a_rule"]
    assert outcome.failed[0][1]


@pytest.mark.parametrize("expression", BREAKING)
def test_a_rule_in_shadow_that_fails_is_no_failure(expression):
    outcome = evaluated(a_rule(expression, state="shadow") + a_rule("true", id_="sound"))
    assert outcome.failed == ()
    assert [rule.id for rule in outcome.fired] == ["sound"]


def test_without_features_rules_that_need_them_fail_and_the_others_speak():
    content = a_rule("customer_sent_count_1h > 1.0") + a_rule("amount_tyiyn == 10000", id_="sound")
    outcome = Rules(content, FEATURES).evaluate(OPERATION.decode(body(operation())), 10_000, None, None, ())
    assert [rule.id for rule in outcome.fired] == ["sound"]
    assert [name for name, _ in outcome.failed] == ["a_rule"]


@pytest.mark.parametrize("comparison", ["> 1.0", ">= 1.0", "< 1.0", "<= 1.0", "== 1.0"])
def test_a_feature_that_is_missing_compares_false(comparison):
    assert fired(a_rule(f"customer_sent_count_1h {comparison}")) == []


def test_the_vocabulary_says_what_the_operation_is():
    hits = [Hit("sender.phone", IdentifierKind.PHONE, List.WATCHED, 1)]
    changes = {
        "kind": "top_up", "category": "5411", "recipient": {"phone": "0555123456", "country": "KZ"},
        "device": {"vpn": True, "country": "RU"}, "access": {"agent_id": "a-1", "employee_id": "e-1"},
    }  # fmt: skip
    expression = (
        "kind == 'top_up' && category == '5411' && recipient_country == 'KZ' && device_country == 'RU' && vpn && agent && employee "
        "&& currency == 'KGS' && amount_tyiyn == 77 && score == 0.25 && 'watched' in registry"
    )
    assert fired(a_rule(expression), changes, 77, 0.25, hits) == ["a_rule"]


def test_what_is_absent_is_empty_false_or_minus_one():
    changes = {"category": None, "device": None, "access": None}
    expression = (
        "category == '' && recipient_country == '' && device_country == '' && !vpn && !agent && !employee "
        "&& score == -1.0 && size(registry) == 0"
    )
    assert fired(a_rule(expression), changes, 1, None) == ["a_rule"]


# ---- the starter set -----------------------------------------------------------------------------------------------------

FIRES: dict[str, tuple[dict[str, object], int, dict[str, float]]] = {
    # rule: what the operation is, its amount in tyiyn, its features
    "burst_of_operations": ({}, 10_000, {"customer_sent_count_1h": 10, "customer_sent_count_30d": 12}),
    "many_customers_act_alike": (
        {}, 10_000, {"alike_sent_customer_distinct_1h": 15, "alike_sent_customer_distinct_7d": 20},
    ),
    "amount_far_above_habit": (
        {}, 20_000_000, {"customer_sent_amount_zscore_30d": 8, "customer_sent_recipient_is_new": 1},
    ),
    "new_device_and_vpn": (
        {"device": {"id": "d-9", "vpn": True}}, 500_000, {"customer_sent_device_is_new": 1, "customer_sent_recipient_is_new": 1},
    ),
    "night_and_unusual": (
        {}, 5_000_000,
        {"customer_sent_hour_same_share_30d": 0, "customer_sent_count_30d": 30, "customer_sent_recipient_is_new": 1},
    ),
    "failed_logins": ({}, 10_000, {"customer_login_failed_count_1h": 5}),
    "contact_changed_before_payment": (
        {}, 1_000_000, {"customer_contact_changed_seconds_since_last": 3_600, "customer_sent_recipient_is_new": 1},
    ),
    "takeover": (
        {}, 10_000,
        {"customer_login_failed_count_1d": 3, "customer_contact_changed_seconds_since_last": 600,
         "customer_device_enrolled_seconds_since_last": 300, "customer_sent_device_is_new": 1, "customer_sent_recipient_is_new": 1},
    ),
    "many_returns": ({}, 10_000, {"customer_returned_count_7d": 5, "customer_cancelled_count_7d": 3}),
    "recipient_of_known_fraud": (
        {}, 10_000, {"recipient_fraud_known_received_count_30d": 2, "recipient_received_count_30d": 20},
    ),
    "recipient_of_much_known_fraud": (
        {}, 10_000,
        {"recipient_fraud_known_received_count_30d": 4, "recipient_genuine_known_received_count_30d": 0,
         "recipient_received_count_30d": 8},
    ),
    "spreading_to_many": (
        {}, 10_000, {"sender_sent_recipient_distinct_1h": 8, "sender_sent_pace_against_30d_in_1h": 400.0},
    ),
    "new_source_of_top_up": (
        {"kind": "top_up"}, 5_000_000, {"customer_topped_up_funding_is_new": 1, "customer_sent_amount_zscore_30d": 4},
    ),
    "authorisation_changed": (
        {}, 1_000_000,
        {"customer_authorisation_method_changed_seconds_since_last": 600, "customer_sent_recipient_is_new": 1},
    ),
    "money_passes_through": (
        {}, 3_500_000, {"sender_received_amount_sum_1h": 5_000_000, "sender_received_customer_distinct_1d": 3},
    ),
    "collected_then_cashed": (
        {"kind": "cash_withdrawal"}, 500_000,
        {"sender_received_customer_distinct_1d": 5, "sender_received_seconds_since_last": 3_600, "sender_received_amount_sum_1d": 1_000_000},
    ),
    "employee_changed_many_contacts": (
        {"access": {"employee_id": "e-1"}}, 10_000, {"employee_contact_changed_count_1d": 10},
    ),
    "filled_from_new_source": (
        {"kind": "e_wallet"}, 5_000_000, {"recipient_received_funding_is_new": 1, "customer_sent_amount_over_mean_30d": 5},
    ),
    "passes_through_by_qr": (
        {"kind": "qr_or_card"}, 3_500_000,
        {"sender_received_amount_sum_1h": 5_000_000, "sender_received_customer_distinct_1d": 3, "customer_sent_recipient_is_new": 1},
    ),
    "filled_by_many_and_cashed": (
        {}, 10_000,
        {"recipient_received_customer_distinct_1d": 5, "recipient_received_top_up_share_7d": 0.5,
         "recipient_cashed_amount_sum_7d_per_recipient_received_amount_sum_7d": 0.5},
    ),
    "virtual_asset_to_new_address": (
        {"kind": "virtual_asset_transfer"}, 10_000_000, {"customer_sent_recipient_is_new": 1},
    ),
}  # fmt: skip


def test_every_rule_of_the_starter_set_has_its_example_here():
    """But for templates, which have their stories (tests/stories/test_packs_of_rules.py)."""
    assert sorted(rule.id for rule in parsed(STARTER) if not rule.steps) == sorted(FIRES)


@pytest.mark.parametrize("name", FIRES)
def test_a_starter_rule_fires_where_its_text_holds_and_not_below(name):
    changes, amount, features = FIRES[name]

    def heard(**values: float) -> set[str]:
        outcome = evaluated(STARTER, changes, amount, **values)
        assert outcome.failed == ()
        return {rule.id for rule in (*outcome.fired, *outcome.shadow)}

    assert name in heard(**features)
    for feature in features:
        others = {other: value for other, value in features.items() if other != feature}
        known = {feature: 0.0} if feature.endswith("_is_new") else {}  # for a customer without history everything is new
        assert name not in heard(**others, **known), feature


def test_the_starter_set_says_nothing_of_an_operation_of_which_nothing_is_known():
    outcome = evaluated(STARTER)
    assert (outcome.fired, outcome.shadow, outcome.failed) == ((), (), ())


def test_the_starter_set_serves_every_criterion_of_para_15():
    assert {rule.criterion for rule in parsed(STARTER)} == set(FraudCriterion)


def test_starter_rules_that_count_many_are_in_shadow_or_live_and_none_is_off():
    assert {rule.state for rule in parsed(STARTER)} == {State.LIVE, State.SHADOW}


@pytest.mark.parametrize("name", ["virtual_asset_to_new_address", "new_device_and_vpn"])
def test_a_customer_without_history_is_no_reason_for_silence(name):
    changes, amount, _ = FIRES[name]
    outcome = evaluated(STARTER, changes, amount)
    assert name in {rule.id for rule in outcome.fired}


def test_a_set_in_which_every_rule_is_off_says_nothing():
    off = STARTER.replace('state = "live"', 'state = "off"').replace('state = "shadow"', 'state = "off"')
    outcome = evaluated(off, {}, 1)
    assert (outcome.fired, outcome.shadow, outcome.failed) == ((), (), ())
