"""Compare the features of the last days' operations with those that the champion was trained on (PSI)."""

import argparse
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from domain.errors import SettingsError
from serving import drift

SHOWN = 25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--home", type=Path, default=Path("data"), help="folder of the database")
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
    result = drift.served(arguments.home, manifest, reference, start)
    figures = drift.report(manifest, result, result.findings(reference))
    for line in drift.table(figures, None if arguments.all else SHOWN):
        print(line)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))
    return 0
