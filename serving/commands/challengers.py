"""Compare challengers, which score in shadow, with the champion over the last days."""

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path

from domain.errors import SettingsError
from domain.json_file import add_json, write_json
from serving import place, shadow_report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    place.add_home(parser)
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the bundles and CHALLENGERS")
    parser.add_argument("--days", type=float, default=7, help="what was decided in so many days until now (default: 7)")
    parser.add_argument("--delay-days", type=float, default=7, help="days until silence counts as genuine (default: 7)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """0 whoever did better: `burana promote` decides."""
    for name, days, low in (("--days", arguments.days, 0.001), ("--delay-days", arguments.delay_days, 0)):
        if not low <= days <= 36_500:
            raise SettingsError(f"{name}: seen {days:g}, allowed {low:g} to 36500")
    start = datetime.now(UTC) - timedelta(days=arguments.days)
    figures = shadow_report.report(
        place.database_of(arguments), arguments.models, start, timedelta(days=arguments.delay_days)
    )
    for line in shadow_report.table(figures):
        print(line)
    write_json(arguments.json, figures)
    return 0
