"""The audit log as files that a third party verifies without Burana: entries, checkpoints, public keys, and the verifier."""

import shutil
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from casework import audit_log, checkpoints, decision_batches
from casework.audit_form import form
from casework.audit_keys import PUBLIC_FILE
from casework.database import Database
from domain.errors import SettingsError

LOG_FILE, LEDGER_FILE, VERIFIER = "audit.jsonl", "ledger.bin", "verify_audit.py"


def export(database: Database, folder: Path, out: Path, told: Callable[[int], object], *, with_ledger: bool) -> int:
    """Write everything into a new folder, or nothing; how many entries of the audit log. SettingsError where there is something.

    folder: of the checkpoints; told: how many more entries were written; with_ledger: also what the batches of decisions are made
    of, all of it personal data, to recompute their roots.
    """
    with _new(out) as draft:
        for file, _ in checkpoints.read(folder):  # before the entries: a running server signs what it adds
            shutil.copy(file, draft)
        if (folder / PUBLIC_FILE).exists():
            shutil.copy(folder / PUBLIC_FILE, draft)
        count = _entries(database, draft / LOG_FILE, told)
        if with_ledger:
            _ledger(database, draft / LEDGER_FILE, told)
        (draft / VERIFIER).write_bytes(resources.files("casework").joinpath(VERIFIER).read_bytes())
    return count


def _entries(database: Database, file: Path, told: Callable[[int], object]) -> int:
    """A line for each entry: its canonical form."""
    count, after = 0, 0
    with file.open("wb") as opened:
        while page := audit_log.page(database, after):
            opened.writelines(form(row) + b"\n" for row in page)
            count, after = count + len(page), page[-1][0]
            told(len(page))
    return count


def _ledger(database: Database, file: Path, told: Callable[[int], object]) -> None:
    """What each leaf of the batches is made of, after its length in 4 bytes, big-endian."""
    with file.open("wb") as opened:
        for content in decision_batches.contents(database, 1, decision_batches.batched_to(database)):
            opened.write(struct.pack(">I", len(content)) + content)
            told(1)


@contextmanager
def _new(out: Path) -> Iterator[Path]:
    """A draft that takes its place when all of it is there."""
    if out.exists():
        raise SettingsError(f"{out} is there already; name a new folder")
    draft = out.with_name(f".{out.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
        draft.rename(out)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
