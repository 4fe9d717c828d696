"""Which bundle became champion when, by whom and why: `promotions.jsonl` beside the bundles, a line a change, only ever added to."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from domain.errors import BundleError

PROMOTIONS_FILE = "promotions.jsonl"


class Promotion(Struct, frozen=True, forbid_unknown_fields=True, rename={"before": "from", "after": "to"}):
    """One change of the champion.

    at: UTC; by, reason: the responsible person and why; before, after: versions, in the file `from` and `to`; override: the
    comparison spoke against it; roll_back: it went back to an earlier champion; figures: the file of the comparison beside
    the bundles, None where nothing was compared.
    """

    at: datetime
    by: str
    reason: str
    before: str | None
    after: str
    override: bool = False
    roll_back: bool = False
    figures: str | None = None


def read(models: Path) -> list[Promotion]:
    """Every change in order; none where there is no file. A last line without its end was never finished and does not count."""
    try:
        lines = (models / PROMOTIONS_FILE).read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    try:
        return [msgspec.json.decode(line, type=Promotion) for line in lines]
    except msgspec.DecodeError as error:
        raise BundleError(f"{models / PROMOTIONS_FILE} cannot be read: {error}; it is only ever added to") from error


def last_to(promotions: Sequence[Promotion], version: str) -> Promotion | None:
    """The last change that made a version the champion."""
    return next((promotion for promotion in reversed(promotions) if promotion.after == version), None)


def champion_before(promotions: Sequence[Promotion], in_force: str) -> str | None:
    """The champion that going back leads to: each step back undoes one promotion, so two of them undo two.

    A champion that a change took the place of, and that no line before names, was written into CHAMPION by hand: it counts too.
    """
    line: list[str] = []
    for promotion in promotions:
        if promotion.before is not None and line[-1:] != [promotion.before]:
            line.append(promotion.before)
        if promotion.roll_back and len(line) > 1:
            line.pop()
        else:
            line.append(promotion.after)
    earlier = line[:-1] if line and line[-1] == in_force else line  # else CHAMPION was written by hand
    return earlier[-1] if earlier else None
