"""Figures of the rules in force: how many each kind of operation is asked, how often each fired or failed, how long each takes.

Times are taken off the thread that answers: twice a second another thread runs each rule by itself on the values of the last
operation that was decided. Labels are bounded by the rules of a set.
"""

import logging
from collections.abc import Iterator
from time import thread_time

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from serving.rules import Rules

log = logging.getLogger("burana")
SLOW_S = 0.001
"""A rule that may be saved takes 60 us at most."""
SLOW_TIMES = 3


class RuleFigures(Collector):
    """One for a process."""

    def __init__(self) -> None:
        self._rules: Rules | None = None
        self._seconds: dict[tuple[str, str], float] = {}
        self._slow: dict[str, int] = {}

    def look(self, rules: Rules) -> None:
        """Time the rules in force on the last operation. From a thread of its own; figures of another set are forgotten."""
        if rules is not self._rules:
            self._rules, self._seconds, self._slow = rules, {}, {}
        if (latest := rules.latest) is None:
            return
        rules.latest = None
        program, values = latest
        for rule, seconds in program.timed(values, thread_time):
            self._seconds[rule.id, rule.state] = seconds
            self._say_slow(rule.id, seconds)

    def _say_slow(self, rule: str, seconds: float) -> None:
        """Say once of a rule that it is slow again and again. It stays: what is decided must not depend on the machine's load."""
        self._slow[rule] = self._slow.get(rule, 0) + 1 if seconds > SLOW_S else 0
        if self._slow[rule] == SLOW_TIMES:
            log.warning("rule %s takes %.1f ms, time after time; write it shorter or turn it off", rule, seconds * 1000)

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """As Prometheus reads it."""
        yield self._asked()
        yield self._counted("burana_rule_fired", "Operations for which a rule fired", "fired")
        yield self._counted("burana_rule_failed", "Operations for which a rule could not be evaluated", "failed")
        times = GaugeMetricFamily(
            "burana_rule_seconds", "CPU time of a rule on the last operation seen", labels=["rule", "state"]
        )
        for labels, seconds in list(self._seconds.items()):
            times.add_metric(labels, seconds)
        yield times

    def _asked(self) -> GaugeMetricFamily:
        asked = GaugeMetricFamily("burana_rules_asked", "Rules that an operation of a kind is asked", labels=["kind"])
        for kind, program in self._rules.programs.items() if self._rules else ():
            asked.add_metric([kind.value], len(program.rules))
        return asked

    def _counted(self, name: str, text: str, what: str) -> CounterMetricFamily:
        family = CounterMetricFamily(name, text, labels=["rule", "state"])
        for (rule, state, counted), count in list(self._rules.counts.items()) if self._rules else ():
            if counted == what:
                family.add_metric([rule, state], count)
        return family
