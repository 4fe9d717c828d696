"""The coverage map as a picture: SVG without scripts, read in colour as in black and white, since every state has its letter and its ink."""

from collections.abc import Iterator
from html import escape

from domain.operation import Kind
from serving.coverage.cells import Cell, Lives, Map, Row

LEFT, TOP, WIDTH, HEIGHT, GAP = 330, 92, 88, 30, 3
LETTERS = {Lives.ACTS: "A", Lives.SCORES: "M", Lives.COUNTS: "s", Lives.NOTHING: "!", Lives.NONE: "–"}
MEANS = {
    Lives.ACTS: "a live rule, the registry or a basic check acts", Lives.SCORES: "the model alone: it reads its features and names it",
    Lives.COUNTS: "only rules in shadow, which are counted", Lives.NOTHING: "nothing lives here", Lives.NONE: "cannot apply",
}  # fmt: skip
_INK = {
    Lives.ACTS: ("#14532d", "#ffffff", ""), Lives.SCORES: ("#86d19f", "#111111", ""), Lives.COUNTS: ("url(#hatch)", "#111111", ""),
    Lives.NOTHING: ("#ffffff", "#b00020", ' stroke="#b00020" stroke-width="3"'), Lives.NONE: ("#eeeeee", "#555555", ""),
}  # fmt: skip
_HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img"'
    ' font-family="system-ui, sans-serif" font-size="12"><title>{title}</title><defs><pattern id="hatch" width="7" height="7"'
    ' patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="7" height="7" fill="#ffffff"/>'
    '<line x1="0" y1="0" x2="0" y2="7" stroke="#999999" stroke-width="2"/></pattern></defs>'
    '<rect width="{width}" height="{height}" fill="#ffffff"/>'
)


def picture(map_: Map) -> str:
    """SVG. In a cell: the letter of its state, hits of what acted, and their precision; more when it is pointed at."""
    width, height = LEFT + len(map_.kinds) * (WIDTH + GAP) + 12, TOP + len(map_.criteria) * (HEIGHT + GAP) + 130
    parts = [_HEAD.format(width=width, height=height, title=escape(_title(map_)))]
    parts += [_text(12, 24, _title(map_), size=16), *_heads(map_)]
    for line, row in enumerate(map_.criteria):
        parts += _line(map_, row, TOP + line * (HEIGHT + GAP))
    parts += _legend(map_, TOP + len(map_.criteria) * (HEIGHT + GAP) + 14)
    return "".join([*parts, "</svg>"])


def _title(map_: Map) -> str:
    of = "" if map_.start is None else f", {map_.operations:,} operations {map_.start[:10]} to {map_.end and map_.end[:10]}"
    return f"Coverage: {map_.policy}, model {map_.model or 'none'}{of}"


def _heads(map_: Map) -> Iterator[str]:
    for column, kind in enumerate(map_.kinds):
        first, _, second = kind.value.replace("_", " ").rpartition(" ")
        middle = LEFT + column * (WIDTH + GAP) + WIDTH // 2
        yield _text(middle, TOP - 26, first, anchor="middle")
        yield _text(middle, TOP - 10, second, anchor="middle")


def _line(map_: Map, row: Row, top: int) -> Iterator[str]:
    yield _text(12, top + 19, f"{row.criterion} {_short(row.words)}")
    for column, kind in enumerate(map_.kinds):
        yield _cell(map_.cell(row.criterion, kind), LEFT + column * (WIDTH + GAP), top)


def _cell(cell: Cell, left: int, top: int) -> str:
    fill, ink, edge = _INK[cell.lives]
    inside = _text(left + WIDTH // 2, top + 19, in_short(cell), anchor="middle", fill=ink)
    box = f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" rx="3" fill="{fill}"{edge}/>'
    backing = (
        ""
        if cell.lives is not Lives.COUNTS
        else f'<rect x="{left + 6}" y="{top + 6}" width="{WIDTH - 12}" height="{HEIGHT - 12}" fill="#ffffff"/>'
    )
    return f"<g><title>{escape(in_full(cell))}</title>{box}{backing}{inside}</g>"


def in_short(cell: Cell) -> str:
    """`A 120 45%`: the letter, hits of what acted (of what was counted where nothing acts), and their precision."""
    letter = LETTERS[cell.lives]
    if cell.found is None:
        return letter
    figures = cell.found.counted if cell.lives is Lives.COUNTS else cell.found.acted
    precision = "" if figures.precision is None else f" {figures.precision:.0%}"
    return f"{letter} {figures.stopped:,}{precision}"


def in_full(cell: Cell) -> str:
    """Everything that lives in a cell, in a sentence or two."""
    if cell.why_not is not None:
        return f"{cell.criterion} at {named(cell.kind)} cannot apply: {cell.why_not}"
    lists = (
        ("live", cell.live),
        ("in shadow", cell.shadow),
        ("templates among them", cell.templates),
        ("besides", cell.checks),
    )
    said = "; ".join(f"{name}: {', '.join(ids)}" for name, ids in lists if ids)
    return f"{cell.criterion} at {named(cell.kind)}: {said or 'no rule'}" + (
        "; the model reads its features" if cell.is_scored else ""
    )


def named(kind: Kind) -> str:
    """A kind as people say it."""
    return kind.value.replace("_", " ")


def _legend(map_: Map, top: int) -> Iterator[str]:
    for line, (lives, means) in enumerate(MEANS.items()):
        fill, ink, edge = _INK[lives]
        y = top + line * 21
        yield f'<rect x="12" y="{y}" width="22" height="17" rx="3" fill="{fill}"{edge}/>'
        yield _text(23, y + 13, LETTERS[lives], anchor="middle", fill=ink)
        yield _text(42, y + 13, f"{means}: {map_.counts[lives]} cells")


def _short(words: str) -> str:
    return words if len(words) <= 44 else words[:43].rstrip() + "…"


def _text(x: int, y: int, text: str, anchor: str = "start", fill: str = "#111111", size: int = 12) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{fill}" font-size="{size}">{escape(text)}</text>'
