"""A template tells a scheme by its steps; it becomes a rule over declared features, or is refused with what can be said."""

import pytest

from domain.errors import RuleError
from domain.rule_text import parsed, written
from domain.rules import Rule
from serving.rules import Rules
from serving.templates import completed
from tests.serving.test_rules import FEATURES, fired

STEPS = '{ did = "login_failed", times = "$attempts", within = "1d" }, { did = "contact_changed", within = "1d" }'
NOW = '{ new = ["recipient"], from_tyiyn = 5000 }'


def a_template(steps: str = STEPS, now: str = NOW, parameters: str = "{ attempts = 3 }", **more: str) -> str:
    fields = {"id": '"a_scheme"', "criterion": '"R66"', "scheme": '"account_takeover"', "level": '"high"', "state": '"live"',
              "owner": '"tests"', "ground": '"para. 15 (8)"', "text": '"a text"', "steps": f"[{steps}]", "now": now,
              "parameters": parameters, **more}  # fmt: skip
    return "[[templates]]\n" + "".join(f"{name} = {value}\n" for name, value in fields.items())


def of(content: str) -> Rule:
    return completed(parsed(content), FEATURES)[0]


def expression(steps: str, now: str = "{}") -> str:
    return of(a_template(steps, now, "{}")).expression


GONE = {
    "customer_login_failed_count_1d": 3, "customer_login_failed_seconds_since_last": 900,
    "customer_contact_changed_seconds_since_last": 600, "customer_sent_recipient_is_new": 1,
}  # fmt: skip


def test_a_template_fires_when_its_steps_are_gone_in_order_and_the_operation_completes_them():
    assert fired(a_template(), **GONE) == ["a_scheme"]
    assert fired(a_template(), **{**GONE, "customer_contact_changed_seconds_since_last": 901}) == [], "the other way round"
    assert fired(a_template(), **{**GONE, "customer_login_failed_count_1d": 2}) == []
    assert fired(a_template(), {}, 4_999, **GONE) == []
    assert fired(a_template(parameters="{ attempts = 4 }"), **GONE) == []


def test_what_a_template_became_stays_when_it_is_written_and_read_again():
    rule = of(a_template())
    assert rule.expression
    assert parsed(written([rule])) == [rule]
    assert completed(parsed(written([rule])), FEATURES[:5]) == [rule], "another release may say its steps otherwise"


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ('{ did = "contact_changed", within = "2d" }', "customer_contact_changed_seconds_since_last < 172800.0"),
        ('{ did = "login_failed", within = "10m", times = 5 }', "customer_login_failed_count_10m >= 5.0"),
        ('{ did = "returned", within = "7d" }', "customer_returned_count_7d >= 1.0"),
        (
            '{ who = "sender", did = "received", different = "customer", times = 5, within = "1d" }',
            "sender_received_customer_distinct_1d >= 5.0",
        ),
        ('{ who = "agent", did = "cashed", tyiyn = 100, within = "1d" }', "agent_cashed_amount_sum_1d >= 100.0"),
        ('{ did = "takeover", gone = 3, within = "3d" }', "customer_takeover_steps_3d >= 3.0"),
        (
            '{ did = "returned", within = "7d", any_order = true }, { did = "contact_changed", within = "1d" }',
            "customer_returned_count_7d >= 1.0 && customer_contact_changed_seconds_since_last < 86400.0",
        ),
    ],
)
def test_a_step_is_said_by_a_declared_feature(steps, said):
    assert expression(steps) == said


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ('{ new = ["recipient", "device"] }', "customer_sent_recipient_is_new != 0.0 && customer_sent_device_is_new == 1.0"),
        ('{ new = ["funding"] }', "customer_topped_up_funding_is_new == 1.0"),
        ("{ vpn = true, foreign = true, other_institution = true }",
         "vpn && operation_foreign == 1.0 && operation_other_institution == 1.0"),
        ('{ again_within = "10d" }', "customer_sent_recipient_seconds_since_same < 864000.0"),
        ("{ times_usual = 5 }", "customer_sent_amount_over_mean_30d >= 5.0"),
        ('{ percent_of_received = 80, received_within = "1d" }',
         "sender_received_amount_sum_1d > 0.0 && 100.0 * double(amount_tyiyn) >= 80.0 * sender_received_amount_sum_1d"),
    ],
)  # fmt: skip
def test_what_the_operation_is_now_is_said_by_its_vocabulary(now, said):
    assert expression("", now) == said


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"steps": '{ did = "login_failed", times = 3, within = "3d" }', "parameters": "{}"}, "is known within 10m, 1h, 1d; seen 3d"),
        ({"steps": '{ did = "flew", within = "1d" }', "parameters": "{}"}, "step 1: no feature says customer_flew_count_1d"),
        ({"steps": STEPS + ', { did = "returned", within = "7d" }'}, "the order of contact_changed and returned cannot be said"),
        ({"now": '{ new = ["phone"] }'}, "new: seen phone, allowed address"),
        ({"now": '{ percent_of_received = 5, received_within = "2d" }'}, "received_within: seen 2d, allowed 1h, 1d"),
        ({"parameters": "{}"}, "$attempts"),
        ({"parameters": "{ attempts = 3, others = 4 }"}, "$others"),
        ({"steps": '{ did = "login_failed", within = "soon" }'}, "within"),
        ({"steps": '{ did = "login_failed", within = "1d", colour = 1 }'}, "colour"),
        ({"steps": '{ did = "login_failed", within = "1d", times = 0 }'}, "times"),
        ({"scheme": '"theft"'}, "theft"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_refused_with_what_can(changes, says):
    with pytest.raises(RuleError) as refused:
        Rules(a_template(**changes), FEATURES)
    assert says in str(refused.value)


def test_a_rule_without_expression_and_steps_is_refused():
    with pytest.raises(RuleError, match="neither an expression nor steps"):
        Rules(a_template(steps="").replace(f"now = {NOW}\n", "").replace("{ attempts = 3 }", "{}"), FEATURES)
