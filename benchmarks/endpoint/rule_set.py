"""Thirty live rules: the live ones of the starter set, then each again with what it asks for twice, four times as high."""

import json
import re
import tomllib
from collections.abc import Iterator
from importlib import resources
from itertools import islice
from typing import Any

from serving.app import STARTER_RULES

RULES = 30
_LEAST = re.compile(r"(?<=>= )(\d+)(\.\d+)?(?! \*)")
_TEXTS = ("id", "criterion", "level", "state", "owner", "reason", "expression", "text")


def content() -> str:
    """The set as TOML. A stricter variation fires only where its original fires, so levels stay as they are."""
    starter = tomllib.loads(resources.files("serving").joinpath(STARTER_RULES).read_text(encoding="utf-8"))
    live = [rule for rule in starter["rules"] if rule["state"] == "live"]
    return "\n".join(_toml(rule) for rule in islice(_varied(live), RULES))


def _varied(live: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    times = 1
    while True:
        for rule in live:
            yield rule if times == 1 else _stricter(rule, times)
        times *= 2


def _stricter(rule: dict[str, Any], times: int) -> dict[str, Any]:
    expression = _LEAST.sub(lambda least: f"{int(least[1]) * times}{least[2] or ''}", rule["expression"])
    return rule | {
        "id": f"{rule['id']}_{times}",
        "text": f"{rule['text']}, and {times} times as much",
        "expression": expression,
    }


def _toml(rule: dict[str, Any]) -> str:
    return "\n".join(["[[rules]]", *(f"{name} = {json.dumps(rule[name])}" for name in _TEXTS)])
