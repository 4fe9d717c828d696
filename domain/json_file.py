"""The file that a command tells its figures in, as JSON: named, and looked at, before the work that ends with it."""

import argparse
import numbers
import os
from pathlib import Path
from typing import Any

import msgspec


def add_json(parser: argparse.ArgumentParser, words: str = "write every printed figure") -> None:
    """`--json`; words: its help."""
    parser.add_argument("--json", type=file_to_write, metavar="FILE", help=words)


def file_to_write(text: str) -> Path:
    """An argument that names a file to be written at the end: that it cannot be is said now, not after an hour's work."""
    file = Path(text)
    if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):  # such as /dev/stdout
        raise argparse.ArgumentTypeError(f"seen {text!r}, allowed: a file in a folder that is there and may be written in")
    return file


def write_json(file: Path | None, figures: Any) -> None:
    """Write figures to the file that was named, if one was; what has no value (a share of nothing, NaN) is null."""
    if file is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(figures, enc_hook=_number), indent=1) + b"\n")


def _number(value: object) -> int | float:
    """A number of NumPy's as Python's; TypeError for anything else that JSON has no form for."""
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    raise TypeError(f"JSON has no form for {type(value).__name__}")
