"""The arguments of what counts recorded operations: of when, as known when, and how intervals are made."""

import argparse

from domain import instants
from domain.errors import SettingsError
from domain.instants import parse_day_or_instant
from serving.backtest.heard import END


def add_span(parser: argparse.ArgumentParser) -> None:
    """`--from`, `--to`, `--as-of`, `--delay-days`, `--resamples`, `--seed`."""
    parser.add_argument(
        "--from", dest="start", type=parse_day_or_instant, help="first day or instant (UTC) of the operations"
    )
    parser.add_argument("--to", dest="end", type=parse_day_or_instant, help="first day or instant after them")
    parser.add_argument(
        "--as-of",
        type=parse_day_or_instant,
        help="what arrived from then on is not seen, outcomes included (default: all is)",
    )
    parser.add_argument("--delay-days", type=float, default=7, help="days until silence counts as genuine (default: 7)")
    parser.add_argument("--resamples", type=int, default=500, help="of customers, for the intervals (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the resamples (default: %(default)s)")


def check_span(arguments: argparse.Namespace) -> None:
    """SettingsError for what is outside what is allowed."""
    within("--delay-days", arguments.delay_days, 0, 3_650)
    within("--resamples", arguments.resamples, 0, 10_000)
    within("--seed", arguments.seed, 0, 2**32)


def within(name: str, seen: float, low: float, high: float) -> None:
    """SettingsError for a number outside its bounds."""
    if not low <= seen <= high:
        raise SettingsError(f"{name}: seen {seen:g}, allowed {low:g} to {high:g}")


def period_of(arguments: argparse.Namespace) -> tuple[int, int]:
    """First and end of the operations, ms."""
    start = 0 if arguments.start is None else instants.to_ms(arguments.start)
    return start, END if arguments.end is None else instants.to_ms(arguments.end)


def as_of_of(arguments: argparse.Namespace) -> int | None:
    """The moment, ms; None for after all that is there."""
    return None if arguments.as_of is None else instants.to_ms(arguments.as_of)
