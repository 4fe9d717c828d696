"""One foreign value to one canonical value, by the rules of the endpoint: what the domain refuses, an import refuses."""

import re
import typing
from collections.abc import Callable
from datetime import datetime
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

import msgspec
import polars as pl
from msgspec import Struct

from domain import money
from domain.errors import InputError, shortened
from domain.identifiers import Identifiers
from domain.instants import EARLIEST, to_ms
from domain.operation import IDENTIFIER_FIELDS
from features.history import Column
from training.foreign_rows import texts
from training.mapping import Amount, Time, length_ms, listed

Rule = Callable[[str], Any]
"""A foreign text -> its canonical value; InputError says what is allowed instead."""


def by_value(foreign: pl.Series, rule: Rule, dtype: pl.DataType) -> tuple[pl.Series, dict[str, str]]:
    """The rule applied once to each distinct text and carried back to its rows; null where it is refused.

    -> the canonical values in the order of `foreign`, and what is allowed for each refused text.
    """
    distinct = foreign.unique().drop_nulls()
    normal, refused = [], {}
    for text in distinct:
        try:
            normal.append(rule(text))
        except InputError as error:
            normal.append(None)
            refused[text] = error.allowed
    canonical = pl.Series(normal, dtype=dtype)
    if dtype == pl.String and canonical.equals(distinct):
        return foreign, refused
    return foreign.replace_strict(distinct, canonical, default=None, return_dtype=dtype), refused


def rule_of(struct: type[Struct], column: Column, identifiers: Identifiers) -> Rule:
    """The rule of a canonical column: the normal form of an identifier, or what the struct's annotation accepts."""
    annotation, owner = _annotation(struct, column.path)
    name = column.name
    kind = IDENTIFIER_FIELDS.get(owner, {}).get(column.path[-1])
    if kind is not None:
        return lambda text: identifiers.normal(kind, text, name)
    if name == "currency":
        return _currency
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return lambda text: _word(text, annotation, name)
    return lambda text: _converted(text, annotation, name)


def amount_rule(amount: Amount) -> Rule:
    """The rule for `KGS 57.16`, a normal currency code and a foreign amount: minor units, rounded once, in decimal."""
    return lambda pair: _minor(pair[4:], pair[:3], amount)


def instants_ms(foreign: pl.Series, time: Time, latest_ms: int) -> pl.Series:
    """A foreign column of times -> milliseconds since 1970 UTC; null for a text that is no time, or out of bounds.

    A local time that its zone has twice or never (clocks set back or on) is refused: it names no one instant. InputError
    for a column that holds neither times nor texts nor, with an origin, whole numbers.
    """
    _check_type(foreign.dtype, time)
    instants = _written(foreign, time) if time.origin is None else _counted(texts(foreign), time)
    return instants.set(~instants.is_between(to_ms(EARLIEST), latest_ms).fill_null(False), None)


def allowed_time(time: Time, latest: datetime) -> str:
    """What a refused time is told."""
    span = f"from {EARLIEST:%Y-%m-%d} to {latest:%Y-%m-%d %H:%M}"
    if time.origin is not None:
        return f"a whole number of steps of {time.step} since {time.origin.isoformat()}, {span}"
    zone = "" if time.time_zone is None else f" that {time.time_zone} has exactly once"
    return f"a time as {time.format}{zone}, {span}"


def _annotation(struct: type[Struct], path: tuple[str, ...]) -> tuple[Any, type[Struct]]:
    """The bare annotation of a field, and the struct that has it."""
    hint = typing.get_type_hints(struct, include_extras=True)[path[0]]
    options = [option for option in typing.get_args(hint) if option is not type(None)] if _optional(hint) else [hint]
    return (options[0], struct) if len(path) == 1 else _annotation(options[0], path[1:])


def _optional(hint: Any) -> bool:
    return type(None) in typing.get_args(hint)


_TEXTS = (pl.String, pl.Null)
"""A column of nothing but nulls has no type of its own."""


def _check_type(dtype: pl.DataType, time: Time) -> None:
    if time.origin is None and dtype not in (pl.Datetime, pl.Date, *_TEXTS):
        raise InputError("type", str(dtype), "times or texts (whole numbers need origin and step)")
    if time.origin is not None and not (dtype in _TEXTS or dtype.is_integer()):
        raise InputError("type", str(dtype), "whole numbers, for origin and step")


def _currency(text: str) -> str:
    money.exponent(text)
    return text


def _word(text: str, words: type[StrEnum], field: str) -> str:
    if text not in set(words):
        raise InputError(field, text, f"one of {listed(text, words)}")
    return text


def _converted(text: str, annotation: Any, field: str) -> Any:
    try:
        return msgspec.convert(text, annotation, strict=False)
    except msgspec.ValidationError as error:
        raise InputError(field, text, _words(annotation) or str(error).removeprefix("Expected ")) from None


def _words(annotation: Any) -> str | None:
    """What a text may be, in the words of its declaration."""
    stated = getattr(annotation, "__metadata__", ())
    return next((part.description for part in stated if isinstance(part, msgspec.Meta) and part.description), None)


_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_SWAPPED = str.maketrans(".,", ",.")
_EXACT = Context(prec=60, traps=[InvalidOperation])
_ROUNDING = {"half_even": ROUND_HALF_EVEN, "half_up": ROUND_HALF_UP, "refuse": ROUND_HALF_EVEN}


def _minor(text: str, currency: str, amount: Amount) -> int:
    number = _decimal(text.translate(_SWAPPED) if amount.decimal_mark == "," else text)
    digits = money.exponent(currency) if amount.unit == "major" else 0
    kept = digits if amount.decimals is None else min(digits, amount.decimals)
    try:
        rounded = number.quantize(Decimal(1).scaleb(-kept), _ROUNDING[amount.rounding], _EXACT)
    except InvalidOperation:
        raise InputError("amount_minor", text, "an amount of at most 10 billion som") from None
    if amount.rounding == "refuse" and rounded != number:
        raise InputError("amount_minor", text, f"at most {kept} decimals")
    minor = int(rounded.scaleb(digits, _EXACT))
    money.reference_tyiyn(minor, currency)
    return minor


def _decimal(text: str) -> Decimal:
    number = Decimal(text) if _NUMBER.fullmatch(text) else None
    if number is None or number < 0:
        raise InputError("amount_minor", shortened(text), "a number of at least 0, written in digits")
    return number


def _counted(steps: pl.Series, time: Time) -> pl.Series:
    assert time.origin is not None and time.step is not None
    whole = steps.set(~steps.str.contains(r"^-?[0-9]{1,18}$").fill_null(False), None).cast(pl.Int64)
    step = length_ms(time.step)
    reach = 2**62 // step  # beyond it the product would leave 64 bits; every count in bounds lies far within
    return whole.set(~whole.is_between(-reach, reach).fill_null(False), None) * step + to_ms(time.origin)


def _written(foreign: pl.Series, time: Time) -> pl.Series:
    moments = foreign.cast(pl.Datetime("us")) if foreign.dtype == pl.Date else foreign
    if not isinstance(moments.dtype, pl.Datetime):
        moments = _iso(texts(foreign), time) if time.format == "iso" else _strptime(texts(foreign), time)
    return _utc(moments, time).dt.cast_time_unit("ms").dt.epoch("ms")


def _utc(moments: pl.Series, time: Time) -> pl.Series:
    if getattr(moments.dtype, "time_zone", None) is not None:
        return moments.dt.convert_time_zone("UTC")
    zone = time.time_zone or "UTC"
    return moments.dt.replace_time_zone(zone, ambiguous="null", non_existent="null").dt.convert_time_zone("UTC")


def _strptime(written: pl.Series, time: Time) -> pl.Series:
    return written.str.to_datetime(time.format, time_unit="us", strict=False, exact=True)


_NAIVE_ISO = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d")


def _iso(written: pl.Series, time: Time) -> pl.Series:
    """Texts with an offset are instants, texts without one are times of the mapping's zone."""
    moments = written.str.replace(" ", "T", literal=True)
    aware = moments.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
    naive = pl.select(pl.coalesce(*(moments.str.to_datetime(form, time_unit="us", strict=False) for form in _NAIVE_ISO)))
    return aware.zip_with(aware.is_not_null(), _utc(naive.to_series(), time))
