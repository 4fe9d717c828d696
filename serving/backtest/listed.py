"""A list on trial: identifiers as if they had been prohibited or watched all along."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from casework import registry_files
from casework.registry_asking import Asking
from casework.registry_value import asking
from domain.errors import SettingsError
from domain.identifiers import Identifiers
from domain.levels import RiskLevel
from domain.listing import Ground, List, Listing, Source

LEVEL = {List.PROHIBITED: RiskLevel.HIGH, List.WATCHED: RiskLevel.MEDIUM}
UNSAID = {"ground": Ground.INTERNAL_INVESTIGATION, "source": Source.OWN_CASE}
"""What a list on trial need not say: nothing of it is kept."""


@dataclass(frozen=True)
class Listed:
    """Listings in normal form; they are met as the registry's own entries are, also in another's field."""

    identifiers: Identifiers
    listings: tuple[Listing, ...]

    def asking(self) -> Asking:
        """Asks them; made where it is needed, since it remembers what it was asked."""
        return asking(self.identifiers, self.listings)


def read(file: Path, identifiers: Identifiers) -> Listed:
    """A CSV or JSON as `burana registry import` takes it, of which kind, value and list are enough; SettingsError names the first line that is none."""
    lines = enumerate(registry_files.read(file), 1)
    return Listed(identifiers, tuple(_listing(file, line, record, identifiers) for line, record in lines))


def _listing(file: Path, line: int, record: Any, identifiers: Identifiers) -> Listing:
    said = {**UNSAID, **record} if isinstance(record, dict) else record
    try:
        return registry_files.listing_of(identifiers, said)
    except SettingsError as error:
        raise SettingsError(f"{file}, line {line}, the heading not counted: {error}") from error
