"""The coverage map as text."""

from collections.abc import Iterator

from serving.coverage.cells import Lives, Map
from serving.coverage.picture import LETTERS, MEANS, in_full, in_short, named

COLUMN = 14


def lines(map_: Map) -> Iterator[str]:
    """The map, what its letters mean, and each cell in which nothing lives."""
    period = (
        ""
        if map_.start is None
        else f"; hits and precision of {map_.operations:,} operations, {map_.start} to {map_.end}, as known at {map_.as_of}"
    )
    yield f"{map_.policy}, model {map_.model or 'none'}{period}"
    yield ""
    kinds = [named(kind).split(" ") for kind in map_.kinds]
    for line in range(max(map(len, kinds))):
        yield f"{'':44}" + "".join(f"{' '.join(words[line : line + 1]):>{COLUMN}}" for words in kinds)
    for row in map_.criteria:
        cells = [map_.cell(row.criterion, kind) for kind in map_.kinds]
        yield f"{row.criterion} {row.words:39.39} " + "".join(f"{in_short(cell):>{COLUMN}}" for cell in cells)
    yield ""
    yield from (f"{LETTERS[lives]}  {means}: {map_.counts[lives]} cells" for lives, means in MEANS.items())
    yield from (in_full(cell) for cell in map_.cells if cell.lives is Lives.NOTHING)


def by_criterion(map_: Map) -> Iterator[str]:
    """What lives in each cell, and which features serve each criterion."""
    for row in map_.criteria:
        yield f"{row.criterion} {row.words}"
        yield f"  {len(row.features)} features, {len(row.scored)} of them read by the model: {', '.join(row.features)}"
        yield from (f"  {in_full(map_.cell(row.criterion, kind))}" for kind in map_.kinds)
