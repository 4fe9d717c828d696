"""An instant at the command line."""

import argparse
from datetime import datetime


def instant(text: str) -> datetime:
    """An aware instant of ISO 8601; argparse tells what was seen and what is allowed."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise argparse.ArgumentTypeError(
            f"seen {text!r}, allowed an instant with its zone, such as 2026-11-22T10:00:00+06:00"
        )
    return found
