"""Compare the features of the last days' operations with those that the champion was trained on (PSI)."""

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from domain.errors import SettingsError
from serving import drift, place

SHOWN = 25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    place.add_home(parser)
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the bundles and CHAMPION")
    parser.add_argument("--days", type=float, default=1, help="what was served in so many days until now (default: 1)")
    parser.add_argument("--all", action="store_true", help=f"print every feature, not only the {SHOWN} that moved most")
    parser.add_argument("--json", type=Path, help="write the figures of every feature")


def run(arguments: argparse.Namespace) -> int:
    """0 whatever moved: drift is a finding, not a failure."""
    if not 0 < arguments.days <= 36_500:
        raise SettingsError(f"--days: seen {arguments.days:g}, allowed above 0, to 36500")
    manifest, reference = drift.compared(arguments.models)
    start = datetime.now(UTC) - timedelta(days=arguments.days)
    result = drift.served(place.database_of(arguments), manifest, reference, start)
    figures = drift.report(manifest, result, result.findings(reference))
    for line in drift.table(figures, None if arguments.all else SHOWN):
        print(line)
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=1))
    return 0
