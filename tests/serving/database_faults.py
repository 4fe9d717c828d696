"""Real faults of the database and its disk: each yields a Burana in which something has failed, and heals it in the end."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from casework import database as databases
from casework.database import url_of
from tests.databases import execute
from tests.postgresql import PostgreSQL
from tests.serving.places import Place, Running, There, there


@contextmanager
def _tmpfs(folder: Path, size: str, owner: int = 0) -> Iterator[Path]:
    """A file system of its own in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},uid={owner},mode=0700", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("a full disk is a small tmpfs, which only who may mount can make")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(folder: Path) -> Path:
    """A file that leaves no room on its disk."""
    filler = folder / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"0" * 4_096)
    return filler


@contextmanager
def disk_full(place: Place) -> Iterator[Running]:
    """The ledger's disk, a small tmpfs, has no byte left."""
    with _tmpfs(place.settings.home / "disk", "8m") as disk, there(place, url=url_of(disk / "burana.db")) as running:
        assert running.answer().status == 200
        filler = _fill(disk)
        until_refused(running)
        yield running
        filler.unlink()
        healed(running)


@contextmanager
def _on_postgresql(place: Place) -> Iterator[tuple[There, PostgreSQL]]:
    with there(place, url=place.fixture("cloned")) as running:
        assert running.answer().status == 200
        yield running, place.fixture("postgresql")


@contextmanager
def postgresql_disk_full(place: Place) -> Iterator[Running]:
    """The tablespace of the ledger, a small tmpfs, has no byte left."""
    url, postgresql = place.fixture("cloned"), place.fixture("postgresql")
    owner = postgresql.folder.stat().st_uid
    with _tmpfs(postgresql.folder / "small", "4m", owner) as disk, databases.connect(url) as database:
        with postgresql.administered() as administrator:
            administrator.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
        execute(database, "ALTER TABLE entries SET TABLESPACE small")
        with there(place, url=url) as running:
            assert running.answer().status == 200
            filler = _fill(disk)
            until_refused(running)
            yield running
            filler.unlink()
            healed(running)
        execute(database, "ALTER TABLE entries SET TABLESPACE pg_default")
        with postgresql.administered() as administrator:
            administrator.execute("DROP TABLESPACE small")


@contextmanager
def postgresql_killed(place: Place) -> Iterator[Running]:
    """PostgreSQL is killed by SIGKILL."""
    with _on_postgresql(place) as (running, postgresql):
        postgresql.kill()
        try:
            yield running
        finally:
            postgresql.start()  # others ask it too
        healed(running)


@contextmanager
def postgresql_stopped(place: Place) -> Iterator[Running]:
    """Every process of PostgreSQL is stopped by SIGSTOP."""
    with _on_postgresql(place) as (running, postgresql):
        postgresql.pause()
        try:
            yield running
        finally:
            postgresql.resume()
        healed(running)


@contextmanager
def postgresql_restarted(place: Place) -> Iterator[Running]:
    """PostgreSQL is killed and started again, with an operation refused between."""
    with _on_postgresql(place) as (running, postgresql):
        postgresql.kill()
        try:
            assert running.answer().status == 503
        finally:
            postgresql.start()
        healed(running)
        yield running


def until_refused(running: There) -> None:
    """Use up the room that pages already taken have."""
    for _ in range(50):
        if (answer := running.answer()).status != 200:
            break
    assert answer.status == 503


def healed(running: There, seconds: float = 30) -> None:
    """Wait until records are taken again, without a restart."""
    until = time.monotonic() + seconds
    while (answer := running.answer()).status != 200:
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert time.monotonic() < until
        time.sleep(0.05)
    while running.server.ask("GET", "/readyz").status != 200:
        assert time.monotonic() < until
        time.sleep(0.05)
