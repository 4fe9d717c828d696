"""The main path: the highest level wins, every layer that spoke is in the reasons, and no failure is low."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from casework.registry import Hit
from domain.criteria import FraudCriterion
from domain.decision import Degraded, Layer, Reason
from domain.errors import ThresholdError
from domain.identifiers import IdentifierKind
from domain.levels import Action, RiskLevel, Thresholds
from domain.listing import List
from serving.control import MOST_PASSED, MOST_VERIFIED, Shares
from serving.decide import Assessment, Heard, decide
from serving.rules import LEVELS, Outcome, Rule, State

LIMITS = Thresholds(0.4, 0.8)
PROHIBITED = Hit("recipient.phone", IdentifierKind.PHONE, List.PROHIBITED, 7)
WATCHED = Hit("sender.account", IdentifierKind.ACCOUNT, List.WATCHED, 8)
LIMIT = Reason(Layer.BASIC, "amount_limit", FraudCriterion.AMOUNT, "the amount is at or above the limit")


def rule(id_: str = "many_returns", level: str = "medium", state: State = State.LIVE) -> Rule:
    return Rule(id_, FraudCriterion.RETURNS, level, "tests", "a ground", "true", "Eight returns in a week", state=state)


def heard(hits=(), basic=(), score=0.1, thresholds=LIMITS, rules=None, degraded=()) -> Heard:
    return Heard(tuple(hits), tuple(basic), score, thresholds, rules or Outcome(), tuple(degraded))


thresholds = st.tuples(st.floats(0.01, 0.5), st.floats(0.51, 0.99)).map(lambda pair: Thresholds(*pair))
hits = st.lists(st.sampled_from([PROHIBITED, WATCHED]), max_size=3)
live = st.lists(st.sampled_from([rule(), rule("takeover", "high"), rule("failed_logins")]), max_size=3)
failure = st.sampled_from([("failed_logins", "divide by zero"), ("takeover", "no such feature")])
outcomes = st.builds(
    lambda fired, wrong: Outcome(tuple(fired), (rule("seen", "high", State.SHADOW),), tuple(wrong)),
    live,
    st.lists(failure, max_size=2),
)
healthy = st.builds(heard, hits, st.lists(st.just(LIMIT), max_size=1), st.floats(0, 1), thresholds, outcomes, st.just(()))
failing = st.one_of(
    st.builds(heard, hits, st.just(()), st.none(), thresholds | st.none(), outcomes, st.just((Degraded.NO_MODEL,))),
    st.builds(heard, hits, st.just(()), st.none(), thresholds | st.none(), outcomes, st.just((Degraded.NO_FEATURES,))),
    st.builds(heard, hits, st.just(()), st.none(), thresholds | st.none(), outcomes, st.just(())),
    st.builds(lambda score, wrong: heard(score=score, rules=Outcome(failed=(wrong,))), st.floats(0, 1), failure),
)


def test_a_low_score_alone_is_low_and_approved():
    said = decide(heard())
    assert (said.level, said.level.action, said.degraded) == (RiskLevel.LOW, Action.APPROVE, ())
    assert [reason.code for reason in said.reasons] == ["score_low"]


@pytest.mark.parametrize(
    ("score", "level"),
    [
        (0.0, RiskLevel.LOW), (math.nextafter(0.4, 0), RiskLevel.LOW), (0.4, RiskLevel.MEDIUM),
        (math.nextafter(0.8, 0), RiskLevel.MEDIUM), (0.8, RiskLevel.HIGH), (1.0, RiskLevel.HIGH),
    ],
)  # fmt: skip
def test_a_score_on_the_threshold_takes_the_higher_level(score, level):
    assert decide(heard(score=score)).level is level


@pytest.mark.parametrize("score", [math.nan, -0.1, 1.1, math.inf])
def test_what_is_no_probability_gets_no_level(score):
    with pytest.raises(ThresholdError):
        decide(heard(score=score))


@given(said=healthy | failing)
def test_the_highest_level_wins(said):
    levels = [RiskLevel.HIGH if hit.list is List.PROHIBITED else RiskLevel.MEDIUM for hit in said.hits]
    levels += [LEVELS[fired.level] for fired in said.rules.fired]
    levels += [RiskLevel.MEDIUM] * (len(said.basic) + len(said.degraded) + len(said.rules.failed))
    levels += [RiskLevel.MEDIUM] if said.score is None else [said.thresholds.level(said.score)]
    assert decide(said).level is max(levels)


@given(said=healthy | failing)
def test_every_layer_that_spoke_is_in_the_reasons(said):
    reasons = decide(said).reasons
    count = {layer: sum(reason.layer is layer for reason in reasons) for layer in Layer}
    assert count[Layer.REGISTRY] == len(said.hits)
    assert count[Layer.BASIC] == len(said.basic)
    assert count[Layer.SCORE] == (said.score is not None)
    assert count[Layer.RULES] == len(said.rules.fired)
    assert count[Layer.SYSTEM] == len(said.degraded) + len(said.rules.failed)
    assert all(reason.text for reason in reasons)


@given(said=failing)
def test_no_failure_is_low(said):
    assert decide(said).level is not RiskLevel.LOW


@given(said=failing)
def test_a_failure_is_stated(said):
    degraded = decide(said).degraded
    assert set(said.degraded) <= set(degraded)
    assert (Degraded.RULE_FAILED in degraded) == bool(said.rules.failed)


@given(said=healthy | failing)
def test_r96_a_prohibited_identifier_is_high_whatever_else_is_heard(said):
    prohibited = Heard((PROHIBITED, *said.hits), said.basic, said.score, said.thresholds, said.rules, said.degraded)
    assert decide(prohibited).level is RiskLevel.HIGH


@given(said=healthy | failing)
def test_r45_a_watched_identifier_is_medium_at_least(said):
    watched = Heard((WATCHED, *said.hits), said.basic, said.score, said.thresholds, said.rules, said.degraded)
    assert decide(watched).level >= RiskLevel.MEDIUM


def test_r96_a_prohibited_identifier_rejects_also_when_the_score_is_zero():
    said = decide(heard(hits=[PROHIBITED], score=0.0))
    assert said.level.action is Action.REJECT
    assert "recipient.phone is on the prohibited list (entry 7)" in [reason.text for reason in said.reasons]


def test_rules_in_shadow_change_nothing():
    seen = Outcome(shadow=(rule("seen", "high", State.SHADOW),))
    assert decide(heard(rules=seen)) == decide(heard())


def test_a_rule_that_failed_is_named():
    said = decide(heard(rules=Outcome(failed=(("failed_logins", "divide by zero"),))))
    assert said.level is RiskLevel.MEDIUM
    assert any("failed_logins" in reason.text and "divide by zero" in reason.text for reason in said.reasons)


def test_reasons_of_criteria_carry_their_criterion():
    said = decide(heard(hits=[WATCHED], basic=[LIMIT], rules=Outcome((rule(),))))
    found = {reason.layer: reason.criterion for reason in said.reasons}
    assert found == {Layer.REGISTRY: "R68", Layer.BASIC: "R61", Layer.SCORE: None, Layer.RULES: "R67"}


def test_when_nobody_speaks_the_operation_is_verified():
    said = decide(heard(score=None, thresholds=None))
    assert (said.level, said.reasons) == (RiskLevel.MEDIUM, ())


lots = st.floats(0, 1, exclude_max=True)
shares = st.builds(Shares, st.floats(0, MOST_VERIFIED), st.floats(0, MOST_PASSED))


def drawn(said: Heard, lot: float, verified: float = 0.0, passed: float = 0.0) -> Assessment:
    return decide(replace(said, lot=lot, shares=Shares(verified, passed)))


@given(said=healthy | failing, lot=lots)
def test_without_control_shares_the_lot_decides_nothing(said, lot):
    assert drawn(said, lot) == decide(said)


@given(said=healthy | failing, lot=lots, shares=shares)
def test_only_what_the_score_alone_asked_to_verify_is_ever_let_pass(said, lot, shares):
    without, given = decide(said), decide(replace(said, lot=lot, shares=shares))
    asked = [reason for reason in without.reasons if reason.code != "score_low"]
    if given.level < without.level:
        assert (without.level, given.level) == (RiskLevel.MEDIUM, RiskLevel.LOW)
        assert [reason.code for reason in asked] == ["score_medium"]
        assert not without.degraded
    if given.level > without.level:
        assert (without.level, given.level, asked) == (RiskLevel.LOW, RiskLevel.MEDIUM, [])


@given(said=failing, lot=lots, shares=shares)
def test_no_failure_is_low_whatever_the_lot(said, lot, shares):
    assert decide(replace(said, lot=lot, shares=shares)).level is not RiskLevel.LOW


@pytest.mark.parametrize("degraded", Degraded)
def test_a_step_of_degrading_is_never_let_pass(degraded):
    rules = Outcome(failed=(("takeover", "no such feature"),)) if degraded is Degraded.RULE_FAILED else Outcome()
    said = heard(score=0.5, rules=rules, degraded=(degraded,))
    assert drawn(said, 0.0, passed=MOST_PASSED).level is RiskLevel.MEDIUM


@given(said=healthy | failing, lot=lots, shares=shares)
def test_the_reasons_say_where_the_lot_decided_and_the_level_without_it_is_kept(said, lot, shares):
    without, given = decide(said), decide(replace(said, lot=lot, shares=shares))
    code = {-1: ["control_passed"], 0: [], 1: ["control_verified"]}[given.level - without.level]
    assert [reason.code for reason in given.reasons if reason.layer is Layer.CONTROL] == code
    assert given.reasons[: len(without.reasons)] == without.reasons
    assert (given.control.level, given.control.would_be) == (given.level, without.level)


@pytest.mark.parametrize(
    ("said", "propensity"),
    [
        (heard(score=0.1), 0.25), (heard(score=0.5), 0.95), (heard(score=0.9), 1.0), (heard(hits=[WATCHED]), 1.0),
        (heard(score=0.5, basic=[LIMIT]), 1.0), (heard(score=0.5, rules=Outcome((rule(),))), 1.0),
        (heard(score=None, thresholds=None), 1.0), (heard(score=0.5, degraded=[Degraded.NO_PROFILES]), 1.0),
    ],
)  # fmt: skip
def test_the_propensity_is_the_share_of_lots_that_stop_the_operation(said, propensity):
    decisions = [drawn(said, (number + 0.5) / 1000, verified=0.25, passed=0.05) for number in range(1000)]
    assert {decision.control.propensity for decision in decisions} == {propensity}
    assert sum(decision.level > RiskLevel.LOW for decision in decisions) / 1000 == pytest.approx(propensity)
