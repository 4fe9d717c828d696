"""A mapping: which foreign column fills which canonical column, as a TOML file says it, and what a wrong one is told.

    [file]                                # all optional: how a CSV is written
    separator = ","                       # or ; | or a tab
    encoding = "utf8"
    missing = ["NA"]                      # foreign texts that mean "no value", beside the empty one

    [operations.sender_customer_id]       # any canonical text column, name by name of features.history
    column = "CUSTOMER_ID"                # or constant = "...", or row_number = true
    strip_prefix = "fraud_"               # optional, in this order: cut the prefix,
    values = { food = "5812" }            # look the rest up (a text without an entry is refused),
    template = "c{}"                      # and set it into a template

    [operations.occurred_at]
    column = "TX_DATETIME"
    time_zone = "UTC"                     # of naive times; an offset in the value goes before it
    format = "iso"                        # of texts: iso, or a strptime format; columns of a time type need none
    # or, for counted times: origin = 2025-01-01T00:00:00Z, step = "1h" (ms, s, m, h, d)

    [operations.amount_minor]
    column = "TX_AMOUNT"
    unit = "major"                        # major (som) or minor (tyiyn) units of the row's currency
    rounding = "half_even"                # half_even, half_up, or refuse what is not exact
    decimals = 2                          # kept of a major unit; at most, and by default, those of the currency
    decimal_mark = "."

    [outcomes.verdict]                    # the whole of outcomes is optional
    column = "TX_FRAUD"
    fraud = ["1"]
    legitimate = ["0"]                    # any other value: no outcome is known
    [outcomes.known_at]                   # after = "7d", or a time as above
    after = "7d"
    [outcomes.scheme]                     # optional, a text as above; kept for fraud alone
    constant = "card_misuse"

The shipped mappings stand in the folder `mappings` beside this file.
"""

import re
import tomllib
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import msgspec
from msgspec import Meta, Struct

from domain import instants
from domain.errors import HistoryError, InputError, shortened
from domain.misfits import misfit
from domain.operation import ACCOUNT_FIELDS, Operation
from features.history import COLUMNS

SHIPPED = Path(__file__).parent / "mappings"
_LENGTHS = {"ms": 1, "s": instants.SECOND, "m": instants.MINUTE, "h": instants.HOUR, "d": instants.DAY}
_MISREAD = {
    "%s": 'no %s: seconds are counted, by origin = 1970-01-01T00:00:00Z and step = "1s"',
    "%Z": "no %Z: names of zones are not told apart; write the one name into the format as it stands, and its zone into time_zone",
}
"""Parts of a format that name an instant and would be read as a time of the mapping's zone, and what to write instead."""
_REQUIRED = ("operation_id", "occurred_at", "kind", "amount_minor", "currency")
_OUTCOME_COLUMNS = ("verdict", "known_at", "scheme")
"""What a mapping says of an outcome; its ids and its source follow from the import."""


class FileForm(Struct, frozen=True):
    """How a CSV is written, and which texts of any file mean that there is no value."""

    separator: Literal[",", ";", "|", "\t"] = ","
    encoding: Annotated[str, Meta(min_length=1)] = "utf8"
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        try:
            "".encode(self.encoding)
        except LookupError:
            raise InputError("encoding", self.encoding, "an encoding such as utf8 or windows-1251") from None


class Text(Struct, frozen=True):
    """A canonical text, identifier, number or truth: of a column, the same for all rows, or the row's number."""

    column: str | None = None
    constant: str | None = None
    row_number: bool = False
    strip_prefix: str = ""
    values: dict[str, str] | None = None
    template: str = "{}"

    def __post_init__(self) -> None:
        if sum((self.column is not None, self.constant is not None, self.row_number)) != 1:
            raise InputError("column", self.column, "exactly one of column, constant and row_number = true")
        if self.template.count("{}") != 1 or len(re.findall("[{}]", self.template)) != 2:
            raise InputError("template", self.template, "a text with one {} where the value goes")
        if self.column is None and (self.strip_prefix or self.values is not None):
            raise InputError("strip_prefix" if self.strip_prefix else "values", "no column", "only with a column")
        if self.constant is not None and self.template != "{}":
            raise InputError("template", self.template, "only with a column or row_number")

    def fixed(self) -> Iterator[tuple[str, str]]:
        """(key, canonical text) of everything that the mapping itself writes, to be checked before any row is read."""
        if self.constant is not None:
            yield "constant", self.constant
        for foreign, canonical in (self.values or {}).items():
            yield f"values.{foreign}", self.template.replace("{}", canonical)


class Amount(Struct, frozen=True):
    """An amount of money: its column, the unit it is written in, and how it becomes whole minor units."""

    column: str
    unit: Literal["major", "minor"]
    rounding: Literal["half_even", "half_up", "refuse"]
    decimals: Annotated[int, Meta(ge=0, le=4)] | None = None
    decimal_mark: Literal[".", ","] = "."

    def __post_init__(self) -> None:
        if self.unit == "minor" and self.decimals is not None:
            raise InputError("decimals", self.decimals, 'only with unit = "major"')


class Time(Struct, frozen=True):
    """An instant: written out, with the zone of naive times, or counted in whole steps from an origin."""

    column: str
    time_zone: str | None = None
    format: str = "iso"
    origin: datetime | None = None
    step: str | None = None

    def __post_init__(self) -> None:
        if (self.origin is None) != (self.step is None):
            raise InputError("origin", self.origin, "origin and step together, or neither")
        if self.origin is not None and self.origin.tzinfo is None:
            raise InputError("origin", self.origin.isoformat(), "an instant with its offset, such as 2025-01-01T00:00:00Z")
        if self.step is not None and length_ms(self.step, "step") == 0:
            raise InputError("step", self.step, "a duration above zero, such as 1h")
        for directive, instead in _MISREAD.items():
            if directive in self.format.replace("%%", ""):
                raise InputError("format", self.format, instead)
        if self.time_zone is not None:
            _check_zone(self.time_zone)
        elif self.origin is None and not self.carries_offset:
            raise InputError("time_zone", None, "the zone of naive times, such as UTC or Asia/Bishkek")

    @property
    def carries_offset(self) -> bool:
        """Whether every text of the format says its own offset from UTC."""
        return re.search(r"%(:{0,3}z|#z|\+)", self.format.replace("%%", "")) is not None


class Verdict(Struct, frozen=True):
    """Which values of a column say fraud and which legitimate; any other value says nothing."""

    column: str
    fraud: tuple[str | int | bool, ...]
    legitimate: tuple[str | int | bool, ...]

    def __post_init__(self) -> None:
        both = set(self.texts("fraud")) & set(self.texts("legitimate"))
        if both:
            raise InputError("legitimate", sorted(both), "values that are not among those of fraud")

    def texts(self, side: Literal["fraud", "legitimate"]) -> list[str]:
        """The values of a side as the texts that a foreign file is read into (`true`, `1`)."""
        return [str(value).lower() if isinstance(value, bool) else str(value) for value in getattr(self, side)]


class Delay(Struct, frozen=True):
    """An outcome became known this long after its operation."""

    after: str

    def __post_init__(self) -> None:
        # an outcome in the instant of its own operation would be known to that operation
        if length_ms(self.after, "after") == 0:
            raise InputError("after", self.after, "a duration above zero, such as 7d")


Source = Text | Amount | Time


@dataclass(frozen=True)
class Outcomes:
    """Where the outcomes of the operations come from."""

    verdict: Verdict
    known_at: Delay | Time
    scheme: Text | None = None


@dataclass(frozen=True)
class Mapping:
    """A whole mapping. operations: canonical column -> its source; outcomes: None when the file has no labels."""

    name: str
    file: FileForm
    operations: dict[str, Source]
    outcomes: Outcomes | None

    def foreign_columns(self) -> dict[str, str]:
        """Place in the TOML -> foreign column, for everything that is read."""
        sources: dict[str, object] = {f"operations.{name}": source for name, source in self.operations.items()}
        if self.outcomes is not None:
            sources |= {f"outcomes.{name}": getattr(self.outcomes, name) for name in _OUTCOME_COLUMNS}
        columns = {f"{place}.column": getattr(source, "column", None) for place, source in sources.items()}
        return {place: column for place, column in columns.items() if column is not None}


def shipped() -> list[str]:
    """Names of the mappings that come with Burana."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def find(name: str) -> Path:
    """The file of that path or, when there is none, the shipped mapping of that name; else HistoryError."""
    if Path(name).is_file():
        return Path(name)
    stem = name.removesuffix(".toml")
    if stem in shipped():
        return SHIPPED / f"{stem}.toml"
    raise HistoryError(f"mapping: seen {shortened(name)}, allowed: a TOML file, or one of {listed(stem, shipped())}")


def load(path: Path) -> Mapping:
    """The mapping of a TOML file; HistoryError names the file, the place, what was seen and what is allowed."""
    try:
        return parse(tomllib.loads(path.read_text(encoding="utf-8")), path.name)
    except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, or brackets without end
        raise HistoryError(f"{path.name}: not a TOML file: {error}") from None


def parse(document: dict[str, Any], name: str) -> Mapping:
    """A mapping from the decoded TOML; `name` stands before the place in every message."""
    try:
        _only(document, ("file", "operations", "outcomes"), "")
        return Mapping(
            name=name,
            file=_fill(FileForm, document.get("file", {}), "file"),
            operations=_operations(document.get("operations", {})),
            outcomes=_outcomes(document["outcomes"]) if "outcomes" in document else None,
        )
    except _MappingError as wrong:
        raise HistoryError(f"{name}: {wrong}") from None


def length_ms(duration: str, field: str = "duration") -> int:
    """`7d` or `1h` in milliseconds; InputError names `field`."""
    parts = re.fullmatch(r"([0-9]{1,9})(ms|s|m|h|d)", duration)
    if parts is None:
        raise InputError(field, duration, f"a whole number and one of {', '.join(_LENGTHS)}, such as 7d")
    return int(parts[1]) * _LENGTHS[parts[2]]


def listed(seen: str, allowed: Iterable[str]) -> str:
    """The allowed words, and the one that was probably meant."""
    words = list(allowed)
    close = get_close_matches(seen, words, n=1)
    return ", ".join(words) + (f" (did you mean {close[0]}?)" if close else "")


class _MappingError(Exception):
    """Place, what was seen and what is allowed; the file's name is put before it once."""


SourceT = TypeVar("SourceT", bound=Struct)


def _operations(tables: Any) -> dict[str, Source]:
    _only(tables, (column.name for column in COLUMNS[Operation]), "operations")
    _needed(tables, _REQUIRED, "operations")
    for side in ("sender", "recipient"):
        if not any(f"{side}_{field}" in tables for field in ACCOUNT_FIELDS):
            needed = ", ".join(f"{side}_{field}" for field in ACCOUNT_FIELDS)
            raise _MappingError(f"operations: no {side}, needed: at least one of {needed}")
    return {name: _fill(_form(name), table, f"operations.{name}") for name, table in tables.items()}


def _form(name: str) -> type[Text] | type[Amount] | type[Time]:
    forms: dict[str, type[Amount | Time]] = {"amount_minor": Amount, "occurred_at": Time}
    return forms.get(name, Text)


def _outcomes(tables: Any) -> Outcomes:
    _only(tables, _OUTCOME_COLUMNS, "outcomes")
    _needed(tables, ("verdict", "known_at"), "outcomes")
    scheme = _fill(Text, tables["scheme"], "outcomes.scheme") if "scheme" in tables else None
    return Outcomes(_fill(Verdict, tables["verdict"], "outcomes.verdict"), _known_at(tables["known_at"]), scheme)


def _known_at(table: Any) -> Delay | Time:
    place = "outcomes.known_at"
    return _fill(Time, table, place) if isinstance(table, dict) and "column" in table else _fill(Delay, table, place)


def _fill(form: type[SourceT], table: Any, place: str) -> SourceT:
    """The table as its form, every key and every value checked by the form's own annotations."""
    hints = typing.get_type_hints(form, include_extras=True)
    _only(table, hints, place)
    _needed(table, (f.name for f in msgspec.structs.fields(form) if f.required), place)
    values = {key: _value(value, hints[key], f"{place}.{key}") for key, value in table.items()}
    try:
        return form(**values)
    except InputError as error:
        raise _MappingError(f"{place}.{error}") from None


def _value(value: Any, annotation: Any, place: str) -> Any:
    try:
        return msgspec.convert(value, annotation)
    except msgspec.ValidationError as error:
        wrong = misfit(error, annotation)
        allowed = wrong.allowed or wrong.what
        if typing.get_origin(annotation) is Literal:
            allowed = f"one of {listed(str(value), typing.get_args(annotation))}"
        raise _MappingError(f"{place}: seen {shortened(value)}, allowed: {allowed}") from None


def _only(table: Any, allowed: Iterable[str], place: str) -> None:
    if not isinstance(table, dict):
        raise _MappingError(f"{place}: seen {shortened(table)}, allowed: a table")
    names = list(allowed)
    for key in table:
        if key not in names:
            raise _MappingError(f"{f'{place}.{key}'.lstrip('.')}: unknown key, allowed: {listed(key, names)}")


def _needed(table: dict[str, Any], needed: Iterable[str], place: str) -> None:
    missing = [key for key in needed if key not in table]
    if missing:
        raise _MappingError(f"{place}: seen {', '.join(table) or 'nothing'}, missing: {', '.join(missing)}")


def _check_zone(zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        close = get_close_matches(zone, available_timezones(), n=1)
        raise InputError("time_zone", zone, f"a zone such as {close[0] if close else 'Asia/Bishkek'}") from None
