"""The figures of rules: how many are asked, how often each fired or failed, how long each takes, off the thread that answers."""

import logging

import msgspec
import numpy as np

from domain.operation import Operation
from serving import rule_figures
from serving.metrics import Metrics
from serving.rules import Rules
from tests.serving.examples import body, operation
from tests.serving.running import InProcess
from tests.serving.test_rules import BREAKING, FEATURES, a_rule

SET = a_rule("true", id_="any") + a_rule("vpn", state="shadow") + "kinds = ['top_up']\n" + a_rule(BREAKING[0], id_="broken")


def asked(rules: Rules) -> None:
    record = msgspec.json.decode(body(operation(kind="top_up", device={"vpn": True})), type=Operation)
    rules.evaluate(record, 10_000, np.zeros(len(FEATURES)), 0.1, ())


def lines(metrics: Metrics, name: str) -> list[str]:
    return [line for line in metrics.text().decode().splitlines() if line.startswith(name)]


def test_rules_are_counted_by_kind_by_what_fired_and_what_failed():
    metrics, rules = Metrics(), Rules(SET, FEATURES)
    metrics.rules.look(rules)
    for _ in range(3):
        asked(rules)
    assert 'burana_rules_asked{kind="top_up"} 3.0' in lines(metrics, "burana_rules_asked")
    assert 'burana_rules_asked{kind="e_wallet"} 2.0' in lines(metrics, "burana_rules_asked")
    assert sorted(lines(metrics, "burana_rule_fired_total")) == [
        'burana_rule_fired_total{rule="a_rule",state="shadow"} 3.0',
        'burana_rule_fired_total{rule="any",state="live"} 3.0',
    ]
    assert lines(metrics, "burana_rule_failed_total") == ['burana_rule_failed_total{rule="broken",state="live"} 3.0']


def test_each_rule_is_timed_on_the_last_operation_and_forgotten_with_its_set():
    metrics, rules = Metrics(), Rules(SET, FEATURES)
    asked(rules)
    assert lines(metrics, "burana_rule_seconds{") == []
    metrics.rules.look(rules)
    assert len(lines(metrics, "burana_rule_seconds{")) == 3
    metrics.rules.look(Rules(a_rule("true"), FEATURES))
    assert lines(metrics, "burana_rule_seconds{") == []


def test_a_rule_that_is_slow_again_and_again_is_said_once_and_stays(monkeypatch, caplog):
    monkeypatch.setattr(rule_figures, "SLOW_S", 0.0)
    metrics, rules = Metrics(), Rules(a_rule("true"), FEATURES)
    with caplog.at_level(logging.WARNING, logger="burana"):
        for _ in range(6):
            asked(rules)
            metrics.rules.look(rules)
    assert len([line for line in caplog.messages if "a_rule takes" in line]) == 1
    asked(rules)
    assert rules.counts["a_rule", "live", "fired"] == 7


def test_a_running_server_shows_them(burana: InProcess):
    burana.decide(operation())
    burana.wait_until(lambda: b"burana_rule_seconds{" in burana.burana.metrics.text())
    assert b"burana_rules_asked{" in burana.burana.metrics.text()
