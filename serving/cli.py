"""`burana`: one command; what belongs to training is found by entry point, so serving installs without it."""

import argparse
import ast
import importlib
import importlib.metadata
import importlib.util
import logging
import os
import re
import sys
from pathlib import Path

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
    if arguments[0] not in SERVING and (missing := _missing()) is not None:
        print(f"burana {arguments[0]}: {missing}", file=sys.stderr)
        return 2
    command = importlib.import_module(known[arguments[0]])
    parser = argparse.ArgumentParser(prog=f"burana {arguments[0]}", description=_first_line(known[arguments[0]]))
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
    lines, missing = ["burana COMMAND [--help]", ""], _missing() if modules.keys() - set(SERVING) else None
    width = max(map(len, modules))
    for name, module in sorted(modules.items()):
        lines.append(f"  {name:{width}} {_first_line(module) if name in SERVING or missing is None else missing}")
    return "\n".join(lines)


def _missing() -> str | None:
    """Why the commands of training cannot run here; None where all that they need is installed."""
    for requirement in importlib.metadata.requires("burana") or ():
        name = re.match(r"[\w.-]+", requirement)
        if name is not None and re.search(r"extra == .training.", requirement):
            try:
                importlib.metadata.version(name[0])
            except importlib.metadata.PackageNotFoundError:
                return f"not installed here ({name[0]} is missing; install burana[training])"
    return None


def _first_line(module: str) -> str:
    """What a command does, read in its file: importing all of them takes seconds."""
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None, f"{module} is a file of the distribution"
    said = ast.get_docstring(ast.parse(Path(spec.origin).read_bytes())) or ""
    return said.partition("\n")[0]


if __name__ == "__main__":
    raise SystemExit(main())
