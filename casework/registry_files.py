"""Lists as files: CSV or JSON in, each line taken or rejected with its reason; CSV per kind or JSON out."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from casework.database import Database
from casework.registry_entries import Filter, listed, listed_already
from domain.errors import InputError, SettingsError
from domain.identifiers import IdentifierKind, Identifiers
from domain.listing import Listing, normal_listing
from domain.misfits import misfit

COLUMNS = ("kind", "value", "list", "ground", "source", "reference", "valid_from", "valid_to")
"""Of a CSV; `kind` may be left out where the command names it, and so may the last three."""
BEYOND = "beyond the heading"
"""The name of what stands in a line of a CSV after its last column."""
_FORMULA = re.compile(r"'*(?:[=\-@\t\r]|\+(?!\d+$))")
"""What a spreadsheet would run. References and names of services come from others: one that begins so is exported behind one more
apostrophe, which an import takes off. A telephone is a number to it."""
_TEXTS = ("value", "reference")
MOST_LINES = 1_000_000
"""Lines that one file may have."""
PAGE = 5_000


class Reject(NamedTuple):
    """A line that is not taken. line: its number in the file, from 1 on, the heading not counted."""

    line: int
    reason: str


class Difference(NamedTuple):
    """What a file would change. new: to be listed; there: how many are listed already; rejects: lines that are not taken."""

    new: tuple[Listing, ...]
    there: int
    rejects: tuple[Reject, ...]


def difference(database: Database, identifiers: Identifiers, records: Iterable[Any]) -> Difference:
    """What records, as `read` gives them, would change in the registry as it is. Nothing is written."""
    whole, rejects = _sorted_out(identifiers, records)
    new: list[Listing] = []
    for start in range(0, len(whole), PAGE):
        some = whole[start : start + PAGE]
        with database.reading() as connection:
            there = listed_already(connection, some)
        new += [listing for listing in some if (listing.kind, listing.value, listing.list) not in there]
    return Difference(tuple(new), len(whole) - len(new), tuple(rejects))


def taken(identifiers: Identifiers, records: Iterable[Any]) -> list[Listing]:
    """The records that can be listed, normal, whether they are listed already or not."""
    return _sorted_out(identifiers, records)[0]


def _sorted_out(identifiers: Identifiers, records: Iterable[Any]) -> tuple[list[Listing], list[Reject]]:
    found: dict[tuple[str, str, str], Listing] = {}
    rejects = []
    for line, record in enumerate(records, 1):
        if line > MOST_LINES:
            raise SettingsError(f"the file has more than {MOST_LINES} lines; import it in parts")
        try:
            listing = listing_of(identifiers, record)
        except SettingsError as error:
            rejects.append(Reject(line, str(error)))
            continue
        key = listing.kind, listing.value, listing.list
        if key in found:
            rejects.append(Reject(line, f"{listing.kind} stands in the file before, for the same list"))
        else:
            found[key] = listing
    return list(found.values()), rejects


def listing_of(identifiers: Identifiers, record: Any) -> Listing:
    """A record as it can be listed, normal; SettingsError says what does not fit."""
    try:
        return normal_listing(msgspec.convert(record, Listing, strict=False), identifiers)
    except msgspec.ValidationError as error:
        raise SettingsError(str(misfit(error, Listing))) from error
    except InputError as error:
        raise SettingsError(str(error)) from error


def read(file: Path, kind: IdentifierKind | None = None) -> Iterator[Any]:
    """The records of a CSV with a heading, or of a JSON array; kind: of all of them, where the file does not say. SettingsError for another file."""
    told = {} if kind is None else {"kind": kind.value}
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            if file.suffix.lower() == ".json":
                yield from (
                    {**told, **record} if isinstance(record, dict) else record for record in _array(opened.read(), file)
                )
                return
            rows = csv.DictReader(opened, restkey=BEYOND, strict=True)
            names = rows.fieldnames or ()
            if wrong := {name for name in names if name not in COLUMNS or names.count(name) > 1}:
                raise SettingsError(
                    f"{file}: seen columns {', '.join(sorted(wrong))}, allowed {', '.join(COLUMNS)}, each once"
                )
            yield from ({**told, **{name: _as_it_was(name, value) for name, value in row.items() if value}} for row in rows)
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise SettingsError(f"{file} cannot be read: {error}") from error


def _array(text: str, file: Path) -> list[Any]:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise SettingsError(f"{file} is no JSON: {error}") from error
    if not isinstance(found, list):
        raise SettingsError(
            f"{file}: seen a JSON {type(found).__name__}, allowed an array of objects with {', '.join(COLUMNS)}"
        )
    return found


def export_csv(database: Database, folder: Path, wanted: Filter) -> dict[str, int]:
    """A CSV for each kind that has live entries, in a folder that is made; how many entries by file."""
    folder.mkdir(parents=True, exist_ok=True)
    counts: dict[str, int] = {}
    for kind in IdentifierKind if wanted.kind is None else (wanted.kind,):
        of_kind = msgspec.structs.replace(wanted, kind=kind)
        rows = exported(database, of_kind)
        if (first := next(rows, None)) is None:
            continue
        file = folder / f"{kind}.csv"
        with file.open("w", encoding="utf-8", newline="") as opened:
            for number, line in enumerate(as_csv(chain([first], rows))):
                opened.write(line)
                counts[file.name] = number
    return counts


def as_csv(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Exported entries as lines, the heading first; for a spreadsheet all of it is text or numbers, see `_FORMULA`."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS)
    for row in chain([dict(zip(COLUMNS, COLUMNS, strict=True))], rows):
        marked = {name: f"'{row[name]}" for name in _TEXTS if _FORMULA.match(row.get(name, ""))}
        writer.writerow({**row, **marked})
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _as_it_was(name: str, value: Any) -> Any:
    """A cell without what `as_csv` has put before it."""
    is_marked = name in _TEXTS and isinstance(value, str) and value.startswith("'") and _FORMULA.match(value)
    return value[1:] if is_marked else value


def exported(database: Database, wanted: Filter) -> Iterator[dict[str, Any]]:
    """The entries that a filter asks for, with the columns of an import, read in pages."""
    after = 0
    while page := listed(database, wanted, after, PAGE):
        yield from ({name: row[name] for name in COLUMNS if row[name] is not None} for row in page)
        after = page[-1]["entry_id"]


def write_rejects(file: Path, rejects: Iterable[Reject]) -> None:
    """A CSV of the lines that were not taken, with the reason of each."""
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(Reject._fields)
        writer.writerows(rejects)
