"""Rules as text: read from TOML, written as TOML, so that what is kept is what people read."""

import json
import tomllib
from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from msgspec.structs import replace

from domain.errors import RuleError
from domain.misfits import misfit
from domain.rules import Rule, State

MOST_RULES = 1_000
_RULES = Annotated[list[Rule], msgspec.Meta(max_length=MOST_RULES)]


class _Set(msgspec.Struct, forbid_unknown_fields=True):
    rules: _RULES


def parsed(content: str) -> list[Rule]:
    """The rules and templates of a set in TOML; RuleError says what was seen and what is allowed. A rule may stand in it live and in shadow."""
    try:
        rules = msgspec.convert(_as_rules(tomllib.loads(content)), _Set).rules
    except msgspec.ValidationError as error:
        raise RuleError(f"the rule set cannot be read: {misfit(error, _Set)}") from error
    except (ValueError, RecursionError) as error:  # no TOML, or numbers or brackets without end, or no rules
        raise RuleError(f"the rule set cannot be read: {error}") from error
    names = [(rule.id, rule.state is State.SHADOW) for rule in rules]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RuleError(f"the rule set names a rule twice: {', '.join(name for name, _ in twice)}")
    return rules


def _as_rules(content: dict[str, Any]) -> dict[str, Any]:
    """Templates are rules whose expression is made from their steps. What a rule stands on was once called its reason."""
    rules = content.get("rules", [] if "templates" in content else None)
    templates = content.get("templates", [])
    if not isinstance(rules, list) or not isinstance(templates, list):
        return content
    tables = [*rules, *({"expression": "", **table} for table in templates if isinstance(table, dict))]
    others = {name: value for name, value in content.items() if name != "templates"}
    return others | {"rules": [_renamed(table) for table in tables]}


def _renamed(table: Any) -> Any:
    if not isinstance(table, dict) or "reason" not in table:
        return table
    return {("ground" if name == "reason" else name): value for name, value in table.items()}


def in_shadow(content: str) -> list[Rule]:
    """The rules of the part of a set that is only counted, whatever they say of themselves; none where it is empty."""
    return [replace(rule, state=State.SHADOW) for rule in parsed(content)] if content else []


def written(rules: Iterable[Rule]) -> str:
    """Rules as TOML: `parsed` of it gives them again, to the letter."""
    tables = [_table(msgspec.to_builtins(rule)) for rule in rules]
    return "\n".join(tables) if tables else "rules = []\n"


def _table(fields: dict[str, Any]) -> str:
    return "[[rules]]\n" + "".join(f"{name} = {_value(value)}\n" for name, value in fields.items())


def _value(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case dict():
            return "{ " + ", ".join(f"{name} = {_value(part)}" for name, part in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(map(_value, value)) + "]"
    return repr(value)
