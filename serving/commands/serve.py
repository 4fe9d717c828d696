"""Serve decisions over HTTP."""

import argparse
from pathlib import Path

from casework.database import masked
from serving import logs, place
from serving import settings as configuration
from serving.app import application
from serving.logs import Format
from serving.server import Server


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--config", type=Path, help="settings in TOML; what follows overrides them")
    parser.add_argument("--home", type=Path, help="folder of card key, state and SQLite database (default: data)")
    place.add_database(parser)
    parser.add_argument("--models", type=Path, help="folder of bundles and CHAMPION (default: models)")
    parser.add_argument("--profiles", type=Path, help="folder of the snapshots of profiles (default: profiles/snapshots)")
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default: 8000)")
    parser.add_argument("--without-model", action="store_true", help="start without a champion: every operation is verified")
    parser.add_argument(
        "--standby", action="store_true", help="follow the ledger while another process holds it, and take over when it ends"
    )
    parser.add_argument("--certificate", type=Path, help="TLS certificate chain (PEM)")
    parser.add_argument("--private-key", type=Path, help="its private key (PEM)")


def run(arguments: argparse.Namespace) -> int:
    """Open everything, then listen until SIGTERM; records on their way to the disk are finished first."""
    settings = configuration.load(
        arguments.config, home=arguments.home, database_url=arguments.database, models=arguments.models, profiles=arguments.profiles, host=arguments.host, port=arguments.port,
        require_model=False if arguments.without_model else None, standby=True if arguments.standby else None,
    )  # fmt: skip
    print(f"settings: {settings}, database {masked(settings.database)}", flush=True)
    server = Server(application(settings), settings, arguments.certificate, arguments.private_key)
    try:
        with logs.written(Format(settings.log_format)):
            server.run()
    except SystemExit:  # uvicorn has said why it does not listen
        return 2
    return 0 if server.started else 2
