"""What msgspec says of a value that does not fit, told to people: in which field, and what is allowed in words.

It names a list of words not at all and a text by its regular expression; the declaration of the type has both in words.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from domain.errors import shortened

INSTANT = "an instant of RFC 3339 with its zone, such as 2026-11-22T10:15:00+06:00"
_AT = re.compile(r"^(?P<what>.*?)(?: - at (?P<key>`key` in )?`\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)
_STEP = re.compile(r"\[[^]]*\]|[^.\[]+")
_MEMBER = re.compile(r"Object (?:contains unknown|missing required) field `(?P<name>.*)`", re.DOTALL)
_LONGEST = 300


class Misfit(NamedTuple):
    """field: dotted path, empty for the whole; what: is wrong with it; seen, allowed: where they can be told."""

    field: str
    what: str
    seen: str | None
    allowed: str | None

    def __str__(self) -> str:
        return f"{self.field}: {self.what}" if self.field else self.what


def misfit(error: msgspec.ValidationError, type_: Any) -> Misfit:
    """What does not fit. type_: what was asked for."""
    found = _AT.match(str(error))
    what, path = (found["what"], found["path"] or "") if found else (str(error), "")
    wanted = _at(type_, path, is_key=bool(found and found["key"]))
    member = _MEMBER.match(what)
    field = ".".join(part for part in (path, member["name"][:128] if member else "") if part)
    expected = re.match(r"Expected (?P<allowed>.*?)(?:, got (?P<seen>.*))?$", what, re.DOTALL)
    seen, allowed = (expected["seen"], expected["allowed"]) if expected else (None, None)
    if "datetime" in (allowed or "") or what == "Invalid RFC3339 encoded datetime":
        allowed = INSTANT
    if word := re.match(r"Invalid enum value '?(.*?)'?$", what, re.DOTALL):
        seen, allowed = shortened(word[1]), ", ".join(_words(wanted)) or None
        what = f"seen {seen}, allowed {allowed}"
    if "matching regex" in (allowed or "") and (said := [*_descriptions(wanted)]):
        what = f"allowed {(allowed := ', or '.join(said))}"
    return Misfit(field, what[:_LONGEST], seen, allowed)


def _at(type_: Any, path: str, is_key: bool) -> list[inspect.Type]:
    """What may stand at a path, such as `rule.kinds[0]`, of a type; is_key: as a key of the object there."""
    found = [_type_info(type_)]
    for step in _STEP.findall(path):
        found = [part for whole in found for part in _parts(whole, step)]
    kinds = (kind for part in found for kind in _kinds(part))
    return [kind.key_type for kind in kinds if isinstance(kind, inspect.DictType)] if is_key else found


@cache
def _type_info(type_: Any) -> inspect.Type:
    return inspect.type_info(type_)


def _words(wanted: list[inspect.Type]) -> list[str]:
    """The list of words of which one is asked for."""
    kinds = (one for part in wanted for one in _kinds(part))
    return [str(word.value) for one in kinds if isinstance(one, inspect.EnumType) for word in one.cls]


def _descriptions(wanted: list[inspect.Type]) -> Iterator[str]:
    """What a text may be, in the words of its declaration."""
    for part in wanted:
        for one in part.types if isinstance(part, inspect.UnionType) else (part,):
            if isinstance(one, inspect.Metadata) and isinstance(one.type, inspect.StrType):
                yield str((one.extra_json_schema or {}).get("description", f"a text that matches {one.type.pattern}"))


def _parts(whole: inspect.Type, step: str) -> Iterator[inspect.Type]:
    for kind in _kinds(whole):
        match kind:
            case inspect.StructType(fields=fields):
                yield from (field.type for field in fields if field.encode_name == step)
            case inspect.ListType(item_type=part) | inspect.VarTupleType(item_type=part) | inspect.DictType(value_type=part):
                yield part


def _kinds(type_: inspect.Type) -> tuple[inspect.Type, ...]:
    """What it may be: `X | None` is two."""
    types = type_.types if isinstance(type_, inspect.UnionType) else (type_,)
    return tuple(one.type if isinstance(one, inspect.Metadata) else one for one in types)
