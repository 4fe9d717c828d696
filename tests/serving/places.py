"""Where faults are provoked: a Burana in this process or one of its own, as who calls and operates it sees it."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from serving.settings import Settings
from tests.serving.examples import body, operation
from tests.serving.running import Answer, InProcess, Server

OPERATIONS = "/v1/operations"


@dataclass
class Place:
    """Where a fault finds what it needs. fixture: any other fixture of the tests, by name."""

    settings: Settings
    log: pytest.LogCaptureFixture
    fixture: Callable[[str], Any]


class Running(Protocol):
    """A Burana with a fault in it, as whoever calls and operates it sees it."""

    def answer(self) -> Answer:
        """What the next operation is answered; status 0 where nobody answers."""

    def log(self) -> str:
        """Everything that was logged."""

    def metrics(self) -> str:
        """What a scrape gives."""

    def wait(self) -> None:
        """Let a moment pass."""


class Here:
    """In this process: for faults to which another process would add nothing."""

    def __init__(self, burana: InProcess, place: Place) -> None:
        self.burana, self._place, self._number = burana, place, 1

    def answer(self) -> Answer:
        """See Running."""
        self._number += 1
        return self.burana.post(OPERATIONS, body(operation(self._number)))

    def log(self) -> str:
        """See Running."""
        return self._place.log.text

    def metrics(self) -> str:
        """See Running."""
        return self.burana.burana.metrics.text().decode()

    def wait(self) -> None:
        """See Running."""
        self.burana.wait(0.02)


class There:
    """`burana serve`: for faults of files, processes and disks."""

    def __init__(self, server: Server) -> None:
        """path: what is asked."""
        self.server, self.path, self._number = server, OPERATIONS, 1

    def answer(self) -> Answer:
        """See Running."""
        self._number += 1
        if self.path != OPERATIONS:
            return self.server.ask("GET", self.path)
        return self.server.ask("POST", OPERATIONS, body(operation(self._number)))

    def log(self) -> str:
        """See Running."""
        return self.server.log.read_text()

    def metrics(self) -> str:
        """See Running."""
        return self.server.ask("GET", "/metrics").body.decode()

    def wait(self) -> None:
        """See Running."""
        time.sleep(0.02)


class Nowhere:
    """A server that did not start, with what it said."""

    def __init__(self, said: str) -> None:
        self._said = said

    def answer(self) -> Answer:
        """See Running."""
        return Answer(0, {}, b"")

    def log(self) -> str:
        """See Running."""
        return self._said

    def metrics(self) -> str:
        """See Running."""
        return ""

    def wait(self) -> None:
        """See Running."""


Fault = Callable[[Place], AbstractContextManager[Running]]


@contextmanager
def here(place: Place, **changes: Any) -> Iterator[Here]:
    with InProcess(replace(place.settings, **changes)) as burana:
        yield Here(burana, place)


@contextmanager
def there(place: Place, *arguments: str, url: str | None = None, models: Path | None = None) -> Iterator[There]:
    home = place.settings.home
    home.mkdir(parents=True, exist_ok=True)
    config = home / "burana.toml"
    config.write_text("deadline_ms = 10000\nrefresh_s = 0.05\ndatabase_answer_s = 1\ndatabase_connect_s = 2\n")
    server = Server(home, models or place.settings.models, "--config", str(config), *arguments, url=url)
    with server:
        yield There(server)
