"""Burana for programs: one method for each route of records and decisions, typed by the domain's structs.

    client = Client("http://127.0.0.1:8000", key)
    decision = client.assess(operation)

Repeats are safe, because every record has an id of the caller's: what was lost on the way, and what was refused for a while (429,
503), is sent again until the deadline, and to the next address where there are several, such as of a server and its standby. It needs the standard library and msgspec, and nothing of what serves.

ClientError
+-- Refused              the endpoint says why: status, problem
|   +-- NotAllowed       401, 403: the key, its signature or its scope
|   +-- NotFound         404: no such operation is recorded
|   +-- Conflict         409: the id is recorded with another body, or nothing explains the score
|   +-- Malformed        400, 413, 414, 415, 417, 422, 431: field, seen, allowed
|   +-- TryLater         408, 429, 503 until the deadline
|   +-- Failed           500: unexpected; the operator's log has problem.reference
+-- Unreachable          nobody answered until the deadline
"""

import http.client
import random
import re
import ssl
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from domain.decision import Decision
from domain.errors import SettingsError
from domain.events import Event, Outcome
from domain.operation import Operation
from serving.answers import Explanation, StoredOperation
from serving.contracts import Problem, Recorded
from serving.signatures import id_of, signed

AnswerT = TypeVar("AnswerT")
AGAIN = frozenset({408, 429, 503})
_KEY, _SECRET = re.compile(r"burana_[!-^`-~]+_[!-~]+"), re.compile(r"(?:[0-9a-f]{64})?")
_PASSWORD = re.compile("//.*@")
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0


class ClientError(Exception):
    """Root of the tree."""


class Unreachable(ClientError):  # noqa: N818 the tree's words are claims
    """Nobody answered until the deadline."""


class Refused(ClientError):  # noqa: N818
    """The endpoint refused. status: of HTTP; problem: what it says."""

    def __init__(self, status: int, problem: Problem) -> None:
        super().__init__(f"{status}: {problem.message}")
        self.status, self.problem = status, problem


class NotAllowed(Refused):
    """The key, its signature or its scope does not open the route."""


class NotFound(Refused):
    """No operation of this id is recorded."""


class Conflict(Refused):
    """The id is recorded with another body, or there is nothing to explain the score by."""


class Malformed(Refused):
    """A value or a header is refused; the problem names the field, what was seen and what is allowed."""


class TryLater(Refused):
    """The endpoint still asked for patience when the deadline came; nothing was recorded."""


class Failed(Refused):
    """Something unexpected on the other side; the record may be there, so send it again under the same id."""


ERRORS: dict[int, type[Refused]] = {
    **dict.fromkeys((400, 405, 413, 414, 415, 417, 422, 431), Malformed), **dict.fromkeys((401, 403), NotAllowed),
    404: NotFound, **dict.fromkeys(AGAIN, TryLater), 409: Conflict, 500: Failed,
}  # fmt: skip
"""What each status is raised as."""


class _Refusal(msgspec.Struct):
    error: Problem


class Client:
    """One connection an address, kept alive; not to be shared between threads."""

    def __init__(
        self,
        url: str | Sequence[str],
        key: str,
        signing_secret: str | None = None,
        *,
        deadline_s: float = 10.0,
        try_s: float = 3.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """url: `http://HOST:PORT` or `https://...`, or several, of which each try takes the next where the last did not answer or
        record; signing_secret: of a key made with --signed; deadline_s: for all tries of a call;
        try_s: for one of them; tls: what to trust, the system's authorities by default.

        SettingsError for another form of URL, or none, and of key or secret; blanks around these are left out.
        """
        self._key, self._secret = key.strip(), None if signing_secret is None else signing_secret.strip()
        if not _KEY.fullmatch(self._key) or not _SECRET.fullmatch(self._secret or ""):
            raise SettingsError("key, signing_secret: seen another form, allowed what `burana keys make` shows")
        self._deadline_s, self._try_s = deadline_s, try_s
        urls = [url] if isinstance(url, str) else url
        self._all = deque(_connection(each, try_s, tls) for each in urls)
        if not self._all:
            raise SettingsError("url: seen none, allowed one or more")
        self._connection = self._all[0]

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the next call opens another."""
        for connection in self._all:
            connection.close()

    def assess(self, operation: Operation) -> Decision:
        """The decision on an operation; the same one when it was sent before."""
        return self._ask("POST", "/v1/operations", operation, Decision)

    def record_event(self, event: Event) -> Recorded:
        """Record an event of a customer."""
        return self._ask("POST", "/v1/events", event, Recorded)

    def record_outcome(self, outcome: Outcome) -> Recorded:
        """Record what an operation turned out to be."""
        return self._ask("POST", "/v1/outcomes", outcome, Recorded)

    def decision(self, operation_id: str) -> StoredOperation:
        """A decision with its operation, features and evidence; NotFound where there is none."""
        return self._ask("GET", f"/v1/operations/{quote(operation_id, safe='')}", None, StoredOperation)

    def explanation(self, operation_id: str) -> Explanation:
        """What the score of a decision was made of; Conflict where nothing explains it."""
        return self._ask("GET", f"/v1/operations/{quote(operation_id, safe='')}/explanation", None, Explanation)

    def _ask(self, method: str, target: str, record: Any, answer: type[AnswerT]) -> AnswerT:
        body = b"" if record is None else msgspec.json.encode(record)
        until, pause = time.monotonic() + self._deadline_s, _FIRST_PAUSE_S
        while True:
            try:
                status, content, after_s = self._once(method, target, body, until)
            except (OSError, http.client.HTTPException) as error:  # lost on the way, perhaps after it was recorded
                self._connection.close()
                if time.monotonic() + pause >= until:
                    raise Unreachable(
                        f"{self._connection.host}:{self._connection.port}: {error or type(error).__name__}"
                    ) from error
                after_s = 0.0
                self._turn()
            else:
                if status == 200:
                    return msgspec.json.decode(content, type=answer)
                if status not in AGAIN or time.monotonic() + max(pause, after_s) >= until:
                    raise ERRORS.get(status, Refused)(status, _problem(content))
                if status == 503:
                    self._turn()
                    after_s /= len(self._all)  # once round all of them, it has been waited for
            time.sleep(max(after_s, pause * random.uniform(0.5, 1.0)))  # noqa: S311 callers that were refused together come apart
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _turn(self) -> None:
        """Ask the next address from now on."""
        self._all.rotate(-1)
        self._connection = self._all[0]

    def _once(self, method: str, target: str, body: bytes, until: float) -> tuple[int, bytes, float]:
        """Status, body and the seconds of Retry-After of one try, signed anew."""
        headers = {"Authorization": f"Bearer {self._key}"}
        if method == "POST":
            headers["Content-Type"] = "application/json"
        if self._secret is not None:
            headers |= signed(self._secret, id_of(self._key), method, target, body, int(time.time()))
        self._connection.timeout = max(0.001, min(self._try_s, until - time.monotonic()))
        if self._connection.sock is not None:
            self._connection.sock.settimeout(self._connection.timeout)
        self._connection.request(method, target, body or None, headers)
        response = self._connection.getresponse()
        after = response.headers.get("Retry-After", "")
        return response.status, response.read(), float(after) if after.isdecimal() else 0.0


def _connection(url: str, try_s: float, tls: ssl.SSLContext | None) -> http.client.HTTPConnection:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # brackets that do not close, a port that is none
        host, port = None, None
    if (
        not host
        or parts.scheme not in ("http", "https")
        or parts.path not in ("", "/")
        or parts.query
        or "@" in parts.netloc
    ):
        raise SettingsError(f"url: seen {_PASSWORD.sub('//***@', url)!r}, allowed http://HOST:PORT or https://HOST:PORT")
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=try_s, context=tls)
    return http.client.HTTPConnection(host, port, timeout=try_s)


def _problem(content: bytes) -> Problem:
    """The problem of a refusal; what a proxy says in another form is quoted."""
    try:
        return msgspec.json.decode(content, type=_Refusal).error
    except msgspec.DecodeError:
        return Problem("not_burana", ascii(content[:200]))
