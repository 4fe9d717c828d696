"""Bombs: rules that would take a machine's time or memory are refused when saved; what gets past that breaks nobody else."""

import resource
import time

import msgspec
import numpy as np
import pytest
from cel_expr_python import cel

from domain.errors import RuleError
from domain.operation import Operation
from serving import rule_language, rules
from serving.rules import Rules
from tests.serving.examples import body, operation
from tests.serving.test_rules import FEATURES, a_rule

OPERATION = msgspec.json.decode(body(operation()), type=Operation)
TEN = "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]"


def nested_loops(depth: int) -> str:
    expression = "vpn"
    for level in range(depth):
        expression = f"{TEN}.exists(x{level}, {expression})"
    return expression


BOMBS = {
    "a pattern that explodes": "kind.matches('(a|a)*(a|a)*(a|a)*$')",
    "a pattern of repeated repeats": "kind.matches('((a{1,30}){1,30}){1,30}')",
    "ten to the sixth turns of a loop": nested_loops(6),
    "a text doubled forty times": "['aaaaaaaa']" + ".map(a, a + a)" * 40 + ".size() > 0",
    "a list doubled forty times": "[[1]]" + ".map(a, a + a)" * 40 + ".size() > 0",
    "texts joined": "kind + kind == ''",
    "lists joined": "size(registry + registry) > 5",
    "a map": "{'a': {'b': 1}}['a']['b'] == 1",
    "a moment": "timestamp('2025-01-01T00:00:00Z') > timestamp('2024-01-01T00:00:00Z')",
    "brackets 300 deep": "(" * 300 + "vpn" + ")" * 300,
    "lists 200 deep": "[" * 200 + "]" * 200 + " == []",
    "choices 200 deep": "vpn ? true : " * 150 + "true",
    "too long": "vpn || " * 300 + "vpn",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_when_it_is_saved_and_at_once(bomb):
    began = time.process_time()
    with pytest.raises(RuleError):
        Rules(a_rule(BOMBS[bomb]), FEATURES)
    assert time.process_time() - began < 2


COSTLIEST = [
    " || ".join(["customer_sent_count_1h * 2.0 / 3.0 > 7.0"] * 45),
    "kind in [" + ", ".join(f"'{number:06}'" for number in range(195)) + "]",
    " || ".join(["kind.contains('aaaaaaaaaaaaaaaaaaab')"] * 48),
    " || ".join(["size(registry) * size(registry) > 5"] * 50),
]


@pytest.mark.parametrize("expression", COSTLIEST)
def test_the_costliest_rule_that_may_be_saved_takes_less_than_a_millisecond(expression):
    """Measured: 10 to 60 us."""
    loaded = Rules(a_rule(expression), FEATURES)
    times = []
    for _ in range(50):
        began = time.process_time()
        loaded.evaluate(OPERATION, 1, np.zeros(len(FEATURES)), 0.1, ())
        times.append(time.process_time() - began)
    assert min(times) < 0.001


@pytest.fixture
def past_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a set had been written by a release whose language had everything."""

    def everything(features, variables=tuple(rule_language.OPERATION_VARIABLES)):
        types = {name: rule_language.OPERATION_VARIABLES[name] for name in variables}
        return cel.NewEnv(variables=types | dict.fromkeys(features, cel.Type.DOUBLE))

    monkeypatch.setattr(rules, "environment", everything)


LOOPS = nested_loops(6).replace("vpn", "amount_tyiyn < 0")


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_loop_that_got_past_the_check_is_ended_and_named_and_the_others_still_speak(past_the_check, place):
    bomb, sound = a_rule(LOOPS), a_rule("amount_tyiyn == 10000", id_="sound", level="high")
    loaded = Rules(bomb + sound if place == "first" else sound + bomb, FEATURES)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = loaded.evaluate(OPERATION, 10_000, None, None, ())
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert [rule.id for rule in outcome.fired] == ["sound"]
    assert [name for name, _ in outcome.failed] == ["a_rule"]
    assert "budget" in outcome.failed[0][1]
    assert grown_kib < 50_000


def test_a_bomb_in_shadow_that_got_past_the_check_is_no_failure(past_the_check):
    outcome = Rules(a_rule(LOOPS, state="shadow") + a_rule("true", id_="sound"), FEATURES).evaluate(
        OPERATION, 1, None, None, ()
    )
    assert (outcome.failed, [rule.id for rule in outcome.fired]) == ((), ["sound"])
