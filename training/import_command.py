"""Bring a foreign Parquet or CSV file in as canonical history.

    burana import --mapping handbook --operations transactions.parquet --out history

Rejected rows are written to a CSV with row, column, what was seen and what is allowed. They stop the import, and no
history is written, unless --allow-rejects says how many are bearable.
"""

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import polars as pl
from tqdm import tqdm

from domain.errors import HistoryError, SettingsError
from domain.json_file import add_json, write_json
from domain.money import exponent
from features import history
from training import importing, mapping
from training.foreign_rows import read_foreign
from training.importing import Figures

CARD_KEY = "BURANA_CARD_KEY"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of `burana import`."""
    names = ", ".join(mapping.shipped())
    parser.add_argument("--mapping", required=True, help=f"a TOML file, or the name of a shipped mapping: {names}")
    parser.add_argument("--operations", required=True, type=Path, metavar="FILE", help="foreign Parquet or CSV file")
    parser.add_argument("--out", required=True, type=Path, metavar="HISTORY", help="folder to write; must not exist")
    parser.add_argument("--rejects", type=Path, metavar="FILE", help="CSV of rejected rows (default: HISTORY.rejects.csv)")
    parser.add_argument(
        "--allow-rejects",
        type=_count,
        nargs="?",
        const=sys.maxsize,
        default=0,
        metavar="N",
        help="import the other rows when at most N are rejected (any number without N)",
    )
    parser.add_argument(
        "--card-key-file", type=Path, metavar="FILE", help=f"secret for card numbers, in hexadecimal (default: ${CARD_KEY})"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Import, print what it came to; 0, or 1 when rejected rows stopped it."""
    if arguments.out.exists():
        raise HistoryError(f"{arguments.out} exists; name a new folder or remove it first")
    chosen = mapping.load(mapping.find(arguments.mapping))
    imported = _import(arguments, chosen)
    rejects = arguments.rejects or arguments.out.parent / f"{arguments.out.name}.rejects.csv"
    is_written = imported.figures.rejected <= arguments.allow_rejects
    _write_rejects(imported.rejects, rejects)
    if is_written:
        history.write(imported.history, arguments.out)
    _tell(arguments, imported.figures, rejects, is_written)
    return 0 if is_written else 1


def _import(arguments: argparse.Namespace, chosen: mapping.Mapping) -> importing.Imported:
    with tqdm(total=importing.stages(chosen) + 1, unit="stage", file=sys.stderr, disable=None) as bar:

        def stage(name: str) -> None:
            bar.set_description(name)
            bar.update()

        stage("read")
        frame = read_foreign(arguments.operations, chosen)
        return importing.import_rows(frame, chosen, card_key(arguments.card_key_file), datetime.now(UTC), stage)


def card_key(file: Path | None) -> bytes | None:
    """The secret of the file, or else of the environment; None when neither says one, SettingsError when it is not one."""
    place = CARD_KEY if file is None else str(file)
    try:
        text = os.environ.get(CARD_KEY) if file is None else file.read_text(encoding="ascii")
        key = None if text is None else bytes.fromhex(text.strip())
    except (OSError, ValueError):
        raise SettingsError(f"{place}: cannot be read as hexadecimal digits") from None
    if key is not None and len(key) < 16:
        raise SettingsError(f"{place}: seen {len(key)} bytes, allowed: at least 16")
    return key


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"seen {text!r}, allowed: a whole number of rows")
    return int(text)


def _write_rejects(rejects: pl.DataFrame, path: Path) -> None:
    """The file of this import's rejects; without any, only one that an earlier import left is emptied."""
    if rejects.is_empty() and not path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    rejects.write_csv(path)


def _tell(arguments: argparse.Namespace, figures: Figures, rejects: Path, is_written: bool) -> None:
    for name, value in _lines(figures):
        print(f"{name:<16} {value}")
    if figures.rejected:
        print(f"{'rejects':<16} {rejects}")
    print(f"{'history':<16} {arguments.out if is_written else 'not written: rejected rows (see --allow-rejects)'}")
    files = {"rejects": str(rejects) if figures.rejected else None, "history": str(arguments.out) if is_written else None}
    write_json(arguments.json, msgspec.to_builtins(figures) | files)


def _lines(figures: Figures) -> list[tuple[str, str]]:
    counts = ("rows", "imported", "rejected", "fraud", "legitimate", "without_outcome", "not_yet_known")
    lines = [(name.replace("_", " "), f"{getattr(figures, name):,}") for name in counts]
    if figures.fraud_share is not None:
        lines.append(("fraud share", f"{figures.fraud_share:.4%}"))
    if figures.first is not None and figures.last is not None:
        lines.append(("span", f"{figures.first.isoformat()} to {figures.last.isoformat()}"))
    for currency, minor in figures.amounts.items():
        digits = exponent(currency)
        lines.append(("amounts", f"{minor / 10**digits:,.{digits}f} {currency}"))
    return lines
