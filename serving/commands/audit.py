"""Verify, show, prove, sign and export the audit log; let decisions join it."""

import argparse
import time
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
from tqdm import tqdm

from casework import audit_export, audit_keys, audit_log, audit_verification, checkpoints, decision_batches
from casework import database as databases
from casework.audit_form import AuditEntry, ChangeKind
from casework.database import Database
from casework.ledger import Ledger
from casework.merkle import Tree
from domain.errors import AuditError, SettingsError
from domain.json_file import add_json, write_json
from serving import audit_views, place
from serving.commands.lines import columns
from serving.commands.words import one_of

MOST = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    home = argparse.ArgumentParser(add_help=False)
    place.add_home(home)
    home.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), help="folder of the signed checkpoints")
    add_json(home, "write what is printed, whole")
    actions = parser.add_subparsers(dest="action", required=True)
    verify = actions.add_parser("verify", parents=[home], help="the whole chain, the checkpoints, the ledger by its batches")
    verify.add_argument(
        "--key", action="append", default=[], help="a public key from elsewhere; default: those beside the checkpoints"
    )
    verify.add_argument("--without-ledger", action="store_true", help="leave out what the batches of decisions are made of")
    listed = actions.add_parser("list", parents=[home], help="the newest entries, or those after a number")
    listed.add_argument("--kind", **one_of(ChangeKind), help="what they are of")
    listed.add_argument("--after", type=int, help="only entries after this number, the oldest of them")
    listed.add_argument("--limit", type=int, default=50, help=f"how many (default: 50, at most {MOST})")
    for name, words in (("show", "an entry, whole"), ("proof", "what proves to somebody else that an entry is in the log")):
        actions.add_parser(name, parents=[home], help=words).add_argument("audit_id", type=int)
    consistency = actions.add_parser("consistency", parents=[home], help="what proves that the log only grew")
    consistency.add_argument("older", type=int, help="a size that was signed before")
    consistency.add_argument("newer", type=int, help="a later one")
    export = actions.add_parser("export", parents=[home], help="files that a third party verifies without Burana")
    export.add_argument("--out", type=Path, required=True, help="a new folder")
    export.add_argument(
        "--with-ledger", action="store_true", help="also what the batches of decisions are made of: personal data"
    )
    key = actions.add_parser("key", parents=[home], help="make the key that signs checkpoints; prints the public one")
    key.add_argument("--origin", help="the log's name, such as example.kg/burana; a rotation keeps it")
    key.add_argument("--rotate", action="store_true", help="a new key in place of the one that is there; both sign once")
    key.add_argument("--by", required=True, help="the responsible person")
    key.add_argument("--reason", required=True)
    actions.add_parser("checkpoint", parents=[home], help="sign the log as it is now")
    actions.add_parser("batch", parents=[home], help="let what the ledger has by now join the log; a server has it done")


def run(arguments: argparse.Namespace) -> int:
    """0 when it was done; 1 when something was found that is wrong."""
    with databases.existing(place.database_of(arguments)) as database:
        match arguments.action:
            case "verify":
                return _verify(database, arguments)
            case "list":
                _list(database, arguments)
            case "show":
                _tell(audit_views.line(_entry(database, arguments.audit_id)), arguments.json)
            case "proof":
                entry = _entry(database, arguments.audit_id)
                _tell(audit_views.proof(database, lambda: _tree(database), arguments.checkpoints, entry), arguments.json)
            case "consistency":
                _tell(_consistency(database, arguments.older, arguments.newer), arguments.json)
            case "export":
                _export(database, arguments)
            case "key":
                _key(database, arguments)
            case "batch":
                _batch(database, arguments)
            case "checkpoint":
                print(_checkpoint(database, arguments).text, end="")
    return 0


def _verify(database: Database, arguments: argparse.Namespace) -> int:
    keys = [audit_keys.public_key(key) for key in arguments.key]
    with _progress(audit_verification.size(database)) as progress:
        found = audit_verification.verify(
            database, arguments.checkpoints, keys, progress.update, with_ledger=not arguments.without_ledger
        )
    for name, value in asdict(found).items():
        if name != "faults":
            print(f"{name:12} {value:>12,}" if isinstance(value, int) else f"{name:12} {value}")
    for fault in found.faults:
        print(f"WRONG: {fault}")
    if not found.faults:
        nobody = f"it holds, but no checkpoint in {arguments.checkpoints} vouches for it (another --checkpoints, or `burana audit key`)"
        print("all of it holds" if found.checkpoints else nobody)
    write_json(arguments.json, found)
    return 1 if found.faults or (keys and not found.checkpoints) else 0  # who names a key asks for what it signed


def _list(database: Database, arguments: argparse.Namespace) -> None:
    if not 1 <= arguments.limit <= MOST:
        raise SettingsError(f"--limit: seen {arguments.limit}, allowed 1 to {MOST}")
    kind, after, limit = arguments.kind, arguments.after, arguments.limit
    found = audit_log.newest(database, kind, limit) if after is None else audit_log.listed(database, kind, after, limit)
    for entry in found:
        print(columns(entry.audit_id, entry.at, entry.person, entry.change, entry.reason))
    write_json(arguments.json, [audit_views.line(entry) for entry in found])


def _consistency(database: Database, older: int, newer: int) -> audit_views.Consistency:
    try:
        return audit_views.consistency(_tree(database), older, newer)
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _export(database: Database, arguments: argparse.Namespace) -> None:
    with _progress(audit_verification.size(database)) as progress:
        count = audit_export.export(
            database, arguments.checkpoints, arguments.out, progress.update, with_ledger=arguments.with_ledger
        )
    print(
        f"{count} entries in {arguments.out}; verify them by: python {arguments.out}/{audit_export.VERIFIER} {arguments.out} KEY"
    )


def _key(database: Database, arguments: argparse.Namespace) -> None:
    """The log says whose key signs from now on; a rotation is vouched for by the older key."""
    older = audit_keys.read(arguments.home)
    if (older is not None) != arguments.rotate:
        file = arguments.home / audit_keys.KEY_FILE
        raise SettingsError(
            f"{file} is there; --rotate makes another one" if older else f"{file} does not exist; leave out --rotate"
        )
    origin = older.name if older is not None else arguments.origin
    if origin is None or (older is not None and arguments.origin not in (None, origin)):
        raise SettingsError(f"--origin: seen {arguments.origin}, allowed {origin or 'a name, such as example.kg/burana'}")
    made = audit_keys.made(origin)
    before = None if older is None else {"key": str(older.public)}
    words = f"audit: {'rotate' if older else 'make'} the key of {origin}"
    with database.transaction() as connection:
        audit_log.record_change(connection, arguments.by, arguments.reason, words, before, {"key": str(made.public)})
    audit_keys.publish(made, arguments.checkpoints)
    checkpoints.sign(lambda: _tree(database), made, arguments.checkpoints, _today(), [older] if older else [])
    audit_keys.keep(made, arguments.home)  # last: the older one is gone then, and nobody else could vouch for this one
    print(made.public)


def _batch(database: Database, arguments: argparse.Namespace) -> None:
    first, cpu = decision_batches.batched_to(database) + 1, time.process_time()
    with _progress(max(0, Ledger(database).last_sequence - first + 1)) as progress:
        last = first - 1
        for batch in decision_batches.record_all(database):
            progress.update(batch.last - batch.first + 1)
            last = batch.last
    figures = {"first": first, "last": last, "cpu_seconds": round(time.process_time() - cpu, 3)}
    joined = f"entries {first:,} to {last:,} of the ledger joined the log" if last >= first else "nothing new of the ledger"
    print(f"{joined}, {figures['cpu_seconds']} CPU seconds")
    write_json(arguments.json, figures)


def _checkpoint(database: Database, arguments: argparse.Namespace) -> checkpoints.Checkpoint:
    key = audit_keys.read(arguments.home)
    if key is None:
        raise AuditError(f"{arguments.home / audit_keys.KEY_FILE} does not exist; make it by `burana audit key`")
    return checkpoints.sign(lambda: _tree(database), key, arguments.checkpoints, _today())


def _entry(database: Database, audit_id: int) -> AuditEntry:
    if (entry := audit_log.at(database, audit_id)) is None:
        raise SettingsError(f"no audit entry {audit_id}; `burana audit list` shows the newest")
    return entry


def _tree(database: Database) -> Tree:
    return Tree(audit_log.hashes(database)[0])


def _tell(what: msgspec.Struct, file: Path | None) -> None:
    print(msgspec.json.format(msgspec.json.encode(what), indent=1).decode())
    write_json(file, what)


def _progress(total: int) -> "tqdm[None]":
    return tqdm(total=total, desc="audit", unit="entry", unit_scale=True, delay=2, mininterval=1)


def _today() -> date:
    return datetime.now(UTC).date()
