"""Foreign rows to canonical columns: each source of the mapping filled, each value under the rules of the endpoint.

The columns stay in the order of the foreign file, row by row, with null where a value is absent or refused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import polars as pl
import pyarrow as pa
from msgspec import Struct

from domain.errors import HistoryError, InputError, SettingsError
from domain.events import Outcome, Verdict
from domain.identifiers import IdentifierKind, Identifiers
from domain.instants import to_ms
from domain.operation import ACCOUNT_FIELDS, IDENTIFIER_FIELDS, Operation, Party
from features.history import COLUMNS, Column
from training.foreign_rows import Rows, texts
from training.foreign_values import allowed_time, amount_rule, by_value, instants_ms, rule_of
from training.mapping import Amount, Delay, Mapping, Source, Text, Time, length_ms

OUTCOME_ID = "import:"
"""Stands before the operation's id in the id of its imported outcome."""
_ID_ROOM = 128 - len(OUTCOME_ID)

Stage = Callable[[str], None]
"""Called with the name of each stage as it begins."""


@dataclass(frozen=True)
class Filling:
    """What it takes to fill canonical columns; latest: no operation and no outcome may lie after it."""

    rows: Rows
    mapping: Mapping
    identifiers: Identifiers
    latest: datetime

    def operations(self, stage: Stage) -> pl.DataFrame:
        """The mapped columns of operations; occurred_at in milliseconds."""
        filled: dict[str, pl.Series] = {}
        # the currency goes before the amount, whose minor unit it gives
        for name, source in sorted(self.mapping.operations.items(), key=lambda item: isinstance(item[1], Amount)):
            stage(name)
            if isinstance(source, Amount):
                filled[name] = self._amounts(source, filled["currency"])
            elif isinstance(source, Time):
                filled[name] = self._times(source)
            else:
                filled[name] = self._texts(source, Operation, name)
        self._reject_repeats(filled["operation_id"])
        for side in ("sender", "recipient"):
            self._reject_nameless(side, filled)
        return pl.DataFrame(filled)

    def outcomes(self, occurred_at: pl.Series, stage: Stage) -> pl.DataFrame | None:
        """verdict, known_at (milliseconds), scheme and pending (its delay is not over); None where none are mapped."""
        sources = self.mapping.outcomes
        if sources is None:
            return None
        stage("outcomes")
        verdict = self._verdicts()
        is_fraud = (verdict == Verdict.FRAUD.value).fill_null(False)
        known_at = self._known_at(sources.known_at, occurred_at, verdict)
        pending = (known_at > to_ms(self.latest)).fill_null(False) & verdict.is_not_null()
        scheme = self._nothing() if sources.scheme is None else self._texts(sources.scheme, Outcome, "scheme")
        return pl.DataFrame(
            {
                "verdict": verdict.set(pending, None),
                "known_at": known_at,
                "scheme": scheme.set(~is_fraud, None),
                "pending": pending,
            }
        )

    def _texts(self, source: Text, struct: type[Struct], name: str) -> pl.Series:
        column = _column(struct, name)
        rule, dtype = rule_of(struct, column, self.identifiers), _polars_type(column)
        if source.constant is not None:
            return pl.repeat(rule(source.constant), self.rows.count, dtype=dtype, eager=True)
        foreign = _foreign(source, self.rows)
        # a card number is never written anywhere, not even among the rejects
        seen = pl.select(pl.format("{} characters", foreign.str.len_chars())).to_series() if _is_card(column) else foreign
        shaped = _shaped(source, foreign)
        values, refused = by_value(shaped, rule, dtype)
        place = source.column or name
        if source.values is not None:
            self.rows.reject(foreign.is_not_null() & shaped.is_null(), place, seen, f"one of {', '.join(source.values)}")
        self.rows.reject_values(shaped, refused, place, seen)
        if not column.nullable:
            self.rows.reject(foreign.is_null(), place, seen, "a value")
        return values

    def _amounts(self, source: Amount, currency: pl.Series) -> pl.Series:
        foreign = self.rows.texts(source.column)
        pairs = pl.select(pl.lit(currency) + " " + pl.lit(foreign)).to_series()
        values, refused = by_value(pairs, amount_rule(source), pl.Int64())
        self.rows.reject_values(pairs, refused, source.column, foreign)
        self.rows.reject(foreign.is_null(), source.column, foreign, "a value")
        return values

    def _times(self, source: Time) -> pl.Series:
        foreign, values = self.rows.frame[source.column], self._instants(source)
        self.rows.reject(values.is_null(), source.column, foreign.cast(pl.String), allowed_time(source, self.latest))
        return values

    def _instants(self, source: Time) -> pl.Series:
        try:
            return instants_ms(self.rows.frame[source.column], source, to_ms(self.latest))
        except (pl.exceptions.PolarsError, InputError) as error:
            raise HistoryError(f"{self.mapping.name}: column {source.column}: {error}") from None

    def _verdicts(self) -> pl.Series:
        assert self.mapping.outcomes is not None
        source = self.mapping.outcomes.verdict
        said = dict.fromkeys(source.texts("fraud"), Verdict.FRAUD.value)
        said |= dict.fromkeys(source.texts("legitimate"), Verdict.LEGITIMATE.value)
        return self.rows.texts(source.column).replace_strict(said, default=None, return_dtype=pl.String)

    def _known_at(self, source: Delay | Time, occurred_at: pl.Series, verdict: pl.Series) -> pl.Series:
        if isinstance(source, Delay):
            return occurred_at + length_ms(source.after)
        known_at, foreign = self._instants(source), self.rows.frame[source.column].cast(pl.String)
        # known in the instant of its own operation, an outcome would be known to that operation
        late = (known_at > occurred_at).fill_null(False)
        allowed = f"{allowed_time(source, self.latest)}, later than the operation"
        self.rows.reject(verdict.is_not_null() & occurred_at.is_not_null() & ~late, source.column, foreign, allowed)
        return known_at

    def _reject_repeats(self, ids: pl.Series) -> None:
        place = getattr(self.mapping.operations["operation_id"], "column", None) or "operation_id"
        self.rows.reject(ids.is_not_null() & ~ids.is_first_distinct(), place, ids, "an id that no earlier row has")
        if self.mapping.outcomes is not None:
            allowed = f"at most {_ID_ROOM} characters where outcomes are mapped"
            self.rows.reject(ids.str.len_bytes() > _ID_ROOM, place, ids, allowed)

    def _reject_nameless(self, side: str, filled: dict[str, pl.Series]) -> None:
        """The endpoint refuses a side without an identifier; a row that was rejected already is not told this besides."""
        present = [filled[f"{side}_{field}"].is_not_null() for field in ACCOUNT_FIELDS if f"{side}_{field}" in filled]
        nameless = ~pl.select(pl.any_horizontal(present)).to_series() & self.rows.passed
        self.rows.reject(nameless, side, self._nothing(), f"at least one identifier of the {side}")

    def _nothing(self) -> pl.Series:
        return pl.repeat(None, self.rows.count, dtype=pl.String, eager=True)


def identifiers_for(rows: Rows, mapping: Mapping, card_key: bytes | None) -> Identifiers:
    """The endpoint's normal forms; SettingsError for card numbers that come as numbers when there is no key to hash them."""
    for name, source in mapping.operations.items():
        if (
            card_key is None
            and isinstance(source, Text)
            and _is_card(_column(Operation, name))
            and not _all_tokens(source, rows)
        ):
            raise SettingsError(
                f"{mapping.name}: operations.{name} holds card numbers, which are kept only as hashes under a secret key; "
                "set BURANA_CARD_KEY (hexadecimal, the same as the endpoint's) or name --card-key-file"
            )
    # without a key nothing is hashed: only tokens came past the loop
    return Identifiers(bytes(16) if card_key is None else card_key)


def check_written(mapping: Mapping, identifiers: Identifiers) -> None:
    """What the mapping itself writes passes the rules too; HistoryError names its place."""
    sources: dict[str, tuple[type[Struct], str, Source]] = {
        f"operations.{name}": (Operation, name, source) for name, source in mapping.operations.items()
    }
    if mapping.outcomes is not None and mapping.outcomes.scheme is not None:
        sources["outcomes.scheme"] = (Outcome, "scheme", mapping.outcomes.scheme)
    for place, (struct, name, source) in sources.items():
        for key, text in source.fixed() if isinstance(source, Text) else ():
            try:
                rule_of(struct, _column(struct, name), identifiers)(text)
            except InputError as error:
                raise HistoryError(f"{mapping.name}: {place}.{key}: seen {error.seen}, allowed: {error.allowed}") from None


def _all_tokens(source: Text, rows: Rows) -> bool:
    return bool(_shaped(source, _foreign(source, rows)).str.to_lowercase().str.starts_with("card-").all())


def _foreign(source: Text, rows: Rows) -> pl.Series:
    """The foreign texts of a source, before it shapes them."""
    if source.column is not None:
        return rows.texts(source.column)
    if source.row_number:
        return texts(pl.int_range(1, rows.count + 1, eager=True))
    return pl.repeat(source.constant, rows.count, dtype=pl.String, eager=True)


def _shaped(source: Text, foreign: pl.Series) -> pl.Series:
    """The foreign texts cut, looked up (null without an entry) and set into the template."""
    shaped = foreign.str.strip_prefix(source.strip_prefix) if source.strip_prefix else foreign
    if source.values is not None:
        shaped = shaped.replace_strict(source.values, default=None, return_dtype=pl.String)
    before, after = source.template.split("{}")
    return pl.select(pl.lit(before) + pl.lit(shaped) + pl.lit(after)).to_series() if before or after else shaped


def _column(struct: type[Struct], name: str) -> Column:
    return next(column for column in COLUMNS[struct] if column.name == name)


def _polars_type(column: Column) -> pl.DataType:
    return pl.Series(pa.array([], column.arrow)).dtype


def _is_card(column: Column) -> bool:
    return column.path[0] in ("sender", "recipient") and IDENTIFIER_FIELDS[Party].get(column.path[1]) is IdentifierKind.CARD
