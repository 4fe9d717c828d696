"""Thirty live rules: the live ones of the starter set, then each again with what it asks for twice, four times as high."""

import re
from collections.abc import Iterator
from importlib import resources
from itertools import islice

from msgspec.structs import replace

from domain.rule_text import parsed, written
from domain.rules import Rule, State
from serving.live_rules import STARTER_RULES

RULES = 30
_LEAST = re.compile(r"(?<=>= )(\d+)(\.\d+)?(?! \*)")


def content() -> str:
    """The set as TOML. A stricter variation fires only where its original fires, so levels stay as they are."""
    starter = parsed(resources.files("serving").joinpath(STARTER_RULES).read_text(encoding="utf-8"))
    live = [rule for rule in starter if rule.state is State.LIVE]
    return written(islice(_varied(live), RULES))


def _varied(live: list[Rule]) -> Iterator[Rule]:
    times = 1
    while True:
        for rule in live:
            yield rule if times == 1 else _stricter(rule, times)
        times *= 2


def _stricter(rule: Rule, times: int) -> Rule:
    expression = _LEAST.sub(lambda least: f"{int(least[1]) * times}{least[2] or ''}", rule.expression)
    return replace(rule, id=f"{rule.id}_{times}", text=f"{rule.text}, and {times} times as much", expression=expression)
