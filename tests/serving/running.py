"""A Burana that really runs: in this process, behind its ASGI application, or as `burana serve`."""

import asyncio
import contextlib
import http.client
import json
import multiprocessing
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from casework import database as databases
from casework import keys
from domain.errors import BuranaError
from domain.identifiers import Identifiers
from domain.instants import from_ms
from domain.operation import normal_operation
from features.arrivals import row_of_operation
from serving import cli, succession
from serving.app import Burana, application
from serving.contracts import OPERATION, Refusal, refusal_of
from serving.endpoint import Endpoint
from serving.settings import Settings
from tests.databases import rows
from tests.serving.examples import body, operation

REPOSITORY = Path(__file__).parents[2]
FAR = from_ms(4_000_000_000_000)


class Answer(NamedTuple):
    """What came back over HTTP; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Trace(NamedTuple):
    """What a record leaves behind: entries of the ledger, arrivals in the features, and what they say of somebody."""

    entries: int
    applied: int
    vectors: bytes


def key_of(url: str, *scopes: keys.Scope, caller: str = "tests") -> str:
    """A new key, by default with every scope."""
    with databases.connect(url) as database:
        return keys.make(database, caller, set(scopes or keys.Scope), "the tests")


def file_in(home: Path) -> str:
    """The URL of the SQLite file of a home."""
    return Settings(home=home).database


def rows_in(url: str, table: str = "entries") -> int:
    """How many rows a table of the database has, as another process sees it."""
    with databases.connect(url) as database:
        return int(rows(database, f"SELECT count(*) FROM {table}")[0][0])


class InProcess:
    """An open Burana and the loop that it lives in; time passes for it only while something is asked."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = succession.now) -> None:
        self.settings, self.burana = settings, Burana(settings, clock=clock)
        self._runner = asyncio.Runner()
        try:
            self.run(self.burana.open())
        except BaseException:
            self._runner.close()
            raise

    def __enter__(self) -> "InProcess":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.run(self.burana.close())
        finally:
            self._runner.close()

    def run(self, awaitable: Awaitable[Any]) -> Any:
        """Let the loop run until this is done."""

        async def waited() -> Any:
            return await awaitable

        return self._runner.run(waited())

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.run(asyncio.sleep(seconds))

    def wait_until(self, claim: Callable[[], bool], seconds: float = 10) -> None:
        """Let time pass until the claim holds."""
        until = time.monotonic() + seconds
        while not claim():
            assert time.monotonic() < until, f"not within {seconds} s"
            self.wait(0.02)

    def post(self, route: str, content: bytes) -> Answer:
        """What a route answers: through the assessor and the contracts, without HTTP. Anything but a refusal is raised."""
        return self.post_many([(route, content)])[0]

    def post_many(self, records: list[tuple[str, bytes]]) -> list[Answer]:
        """Several at once: all are taken before the first is on the disk."""

        async def answer(route: str, content: bytes) -> Answer:
            handle = getattr(self.burana.assessor, route.rpartition("/")[2].removesuffix("s"))
            try:
                return Answer(200, {}, await handle(content))
            except (Refusal, BuranaError) as error:
                refusal = refusal_of(error)
                return Answer(refusal.status, {}, refusal.body)

        async def together() -> list[Answer]:
            return list(await asyncio.gather(*(answer(*record) for record in records)))

        return self.run(together())

    def decide(self, record: dict[str, Any]) -> Any:
        """The decision on an operation that is taken."""
        answer = self.post("/v1/operations", body(record))
        assert answer.status == 200, answer.body
        return answer.json

    def trace(self) -> Trace:
        """What everything so far left behind."""
        engine = self.burana.assessor.records.engine
        vectors = b"".join(engine.read(row).tobytes() for row in probes(self.settings.identifiers()))
        return Trace(rows_in(self.settings.database), engine.applied, vectors)


def probes(identifiers: Identifiers) -> list[list[int]]:
    """Rows of operations that have not arrived: read, they say what the features hold of everybody in the examples."""
    records = (operation(number, occurred_at="2025-06-06T00:00:00Z") for number in range(7))
    return [row_of_operation(normal_operation(OPERATION.decode(body(record)), identifiers, FAR)) for record in records]


Ask = Callable[..., Awaitable[Answer]]


@asynccontextmanager
async def asgi(settings: Settings, app: Endpoint | None = None) -> AsyncIterator[Ask]:
    """The ASGI application, a new one unless it is given, with its lifespan; `ask(method, path, body, headers)` in the block."""
    app = app or application(settings)
    to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    living = asyncio.create_task(app({"type": "lifespan", "asgi": {"version": "3.0"}}, to_app.get, from_app.put))
    to_app.put_nowait({"type": "lifespan.startup"})
    started = await from_app.get()
    assert started["type"] == "lifespan.startup.complete", started

    async def ask(method: str, path: str, content: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        sent = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http", "path": path,
            "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": sent, "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80), "state": {},
        }  # fmt: skip
        came: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            came.append(message)

        await app(scope, receive, send)
        named = {name.decode(): value.decode() for name, value in came[0]["headers"]}
        return Answer(came[0]["status"], named, b"".join(message.get("body", b"") for message in came[1:]))

    try:
        yield ask
    finally:
        to_app.put_nowait({"type": "lifespan.shutdown"})
        await living


class Whole(http.client.HTTPConnection):
    """Sends a request in one piece."""

    _pieces: tuple[bytes, ...] = ()

    def send(self, data):
        self._pieces += (bytes(data),)

    def getresponse(self):
        super().send(b"".join(self._pieces))
        self._pieces = ()
        return super().getresponse()


class InParts(http.client.HTTPConnection):
    """Sends a body a moment after its head."""

    def send(self, data):
        if self.sock is not None:
            time.sleep(0.02)
        super().send(data)


class Server:
    """`burana serve` as a process of its own, on a free port, with a key for everything.

    Started by the standard library's fork server, which has imported the modules before: a start takes one second, not three.
    """

    def __init__(self, home: Path, models: Path, *arguments: str, key: str | None = None, url: str | None = None,
                 status: str = "ready") -> None:  # fmt: skip
        """url: of the database, where it is not the SQLite file in `home`; status: that /readyz is waited to tell."""
        self.database = url or file_in(home)
        self.home, self.key, self.port = home, key or key_of(self.database), free_port()
        self.url, self.log = f"http://127.0.0.1:{self.port}", home / f"server-{self.port}.log"
        if "--config" not in arguments:
            patient = home / "patient.toml"  # tests run beside others: only those of the deadline may meet it
            patient.write_text("deadline_ms = 10000\n", encoding="utf-8")
            arguments = ("--config", str(patient), *arguments)
        command = ["serve", "--home", str(home), "--models", str(models), "--port", str(self.port), *arguments]
        command += [] if url is None else ["--database", url]
        self.process = FORKS.Process(target=_logged, args=(self.log, command), daemon=True)
        self.process.start()
        try:
            self.wait(status)
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The id of the process."""
        assert self.process.pid is not None
        return self.process.pid

    @property
    def readiness(self) -> Any:
        """What /readyz tells."""
        return self.ask("GET", "/readyz").json

    def wait(self, status: str, seconds: float = 60) -> None:
        """Until /readyz tells this status."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process.is_alive():
            try:
                if self.readiness["status"] == status:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"the server is not {status} (exit code {self.process.exitcode}):\n{self.log.read_text()}")

    def ask(self, method: str, path: str, content: bytes | None = None, headers: dict[str, str] | None = None, *,
            in_parts: bool = False) -> Answer:  # fmt: skip
        """One request over a connection of its own, with the server's key unless `headers` are given; whole, or head and body apart."""
        with closing((InParts if in_parts else Whole)("127.0.0.1", self.port, timeout=30)) as connection:
            given = {"Authorization": f"Bearer {self.key}"} if headers is None else headers
            connection.request(method, path, content, given)
            response = connection.getresponse()
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())

    def raw(self, *parts_sent: bytes) -> bytes:
        """What comes back for bytes that need not be HTTP, sent in parts, until the server closes or is silent for a second."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            parts = []
            with contextlib.suppress(TimeoutError, ConnectionError):
                for sent in parts_sent:
                    connection.sendall(sent)
                    time.sleep(0.05 * (len(parts_sent) > 1))
            with contextlib.suppress(TimeoutError, ConnectionError):
                while part := connection.recv(65_536):
                    parts.append(part)
            return b"".join(parts)

    def stop(self) -> int:
        """SIGTERM, and wait; the exit code."""
        self.process.terminate()
        self.process.join(60)
        if self.process.exitcode is None:
            self.kill()
        assert self.process.exitcode is not None
        return self.process.exitcode

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self.process.kill()
        self.process.join(60)


FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["serving.commands.serve"])


def _logged(log: Path, command: list[str]) -> None:
    """Run a command with its output in a file."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    raise SystemExit(cli.main(command))


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
