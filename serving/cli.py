"""`burana`: one command; what belongs to training is found by entry point, so serving installs without it."""

import argparse
import importlib
import importlib.metadata
import logging
import os
import sys
from types import ModuleType

from domain.errors import BuranaError

SERVING = (
    "serve", "replay", "backfill", "export", "features", "drift", "explain", "challengers", "keys", "audit", "registry", "proposals", "rules",
    "snapshot",
)  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Run a command; 0 when it did what it says, 2 with a plain sentence when it refused."""
    arguments = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    os.umask(0o077)  # what a command writes holds personal data: its owner reads it, nobody else (R104, R106)
    known = modules()
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview(known))
        return 0
    if arguments[0] not in known:
        print(f"burana: no command {arguments[0]!r}; allowed: {', '.join(sorted(known))}", file=sys.stderr)
        return 2
    command = importlib.import_module(known[arguments[0]])
    parser = argparse.ArgumentParser(prog=f"burana {arguments[0]}", description=_first_line(command))
    command.add_arguments(parser)
    try:
        return int(command.run(parser.parse_args(arguments[1:])))
    except (BuranaError, OSError) as error:
        print(f"burana {arguments[0]}: {error}", file=sys.stderr)
        return 2


def modules() -> dict[str, str]:
    """Command -> module."""
    found = {name: f"serving.commands.{name}" for name in SERVING}
    return found | {point.name: point.value for point in importlib.metadata.entry_points(group="burana.commands")}


def _overview(modules: dict[str, str]) -> str:
    lines = ["burana COMMAND [--help]", ""]
    for name, module in sorted(modules.items()):
        try:
            text = _first_line(importlib.import_module(module))
        except ImportError as error:
            text = f"not installed here ({error.name} is missing; install burana[training])"
        lines.append(f"  {name:10} {text}")
    return "\n".join(lines)


def _first_line(module: ModuleType) -> str:
    return (module.__doc__ or "").strip().splitlines()[0]


if __name__ == "__main__":
    raise SystemExit(main())
