"""A list on trial: identifiers as if they had been prohibited or watched all along."""

import csv
from dataclasses import dataclass
from pathlib import Path

from casework.registry import Hit
from domain.errors import InputError, SettingsError
from domain.identifiers import IdentifierKind, Identifiers
from domain.levels import RiskLevel
from domain.listing import List
from domain.operation import Operation, identifiers_of

COLUMNS = ("kind", "value", "list")
LEVEL = {List.PROHIBITED: RiskLevel.HIGH, List.WATCHED: RiskLevel.MEDIUM}
NO_ENTRY = 0
"""The number of an entry that is in no registry."""


@dataclass(frozen=True)
class Listed:
    """Identifiers in normal form, by kind and value. They are met in fields of their own kind; the registry meets more forms."""

    entries: dict[tuple[IdentifierKind, str], List]

    def ask(self, operation: Operation) -> tuple[Hit, ...]:
        """What an operation names that is on the list."""
        return tuple(
            Hit(field, kind, found, NO_ENTRY)
            for field, kind, value in identifiers_of(operation)
            if (found := self.entries.get((kind, value))) is not None
        )


def read(file: Path, identifiers: Identifiers) -> Listed:
    """A CSV with the columns kind, value, list; SettingsError names the line that has no normal form."""
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            lines = csv.DictReader(opened)
            if tuple(lines.fieldnames or ()) != COLUMNS:
                raise SettingsError(f"{file}: columns {lines.fieldnames}, allowed {', '.join(COLUMNS)}")
            return Listed(
                {
                    key: found
                    for number, line in enumerate(lines, 2)
                    for key, found in (_entry(file, number, line, identifiers),)
                }
            )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{file} cannot be read: {error}") from error


def _entry(
    file: Path, number: int, line: dict[str, str], identifiers: Identifiers
) -> tuple[tuple[IdentifierKind, str], List]:
    try:
        kind, found = IdentifierKind(line["kind"]), List(line["list"])
        return (kind, identifiers.normal(kind, line["value"])), found
    except (ValueError, TypeError, InputError) as error:
        raise SettingsError(f"{file}, line {number}: {error}") from error
