"""The three routes that records come in by, in front of the FastAPI application.

A request that came whole is answered by the connection itself (`serving/connections.py`), any other by a raw ASGI callable. Measured
beside a FastAPI route on the same machine, the raw callable costs a fifth of the processor time a request.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple

from casework.keys import Scope
from domain.errors import BuranaError
from serving.assessor import Assessor
from serving.auth import Gate
from serving.contracts import Problem, Refusal
from serving.failures import Application, Send, answer_to, headers_of_refusal, send_answer
from serving.heads import check_head, headers_of

log = logging.getLogger("burana")
DRAINING = Problem("draining", "this process stops, nothing was recorded: send it again, with the same body")
Receive = Callable[[], Awaitable[dict[str, Any]]]


Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, bytes, Headers]
"""Status, body, and the headers beside those that each answer has."""


class Record(NamedTuple):
    """A route that takes records: its path, the scope that it asks for, what answers a body, and what ASGI says of a bare POST to it."""

    path: str
    scope: Scope
    handle: Callable[[bytes], Awaitable[bytes]]
    head: dict[str, Any]


def _record(path: str, scope: Scope, handle: Callable[[bytes], Awaitable[bytes]]) -> Record:
    return Record(path, scope, handle, {"method": "POST", "raw_path": path.encode(), "query_string": b""})


class Endpoint:
    """POST /v1/operations, /v1/events, /v1/outcomes; everything else goes to `rest`."""

    def __init__(
        self, max_body: int, rest: Application, opened: Callable[[], AbstractAsyncContextManager[tuple[Assessor, Gate]]]
    ):
        """opened: opens everything that the routes need, and closes it in the end."""
        self._max_body, self._rest, self._opened = max_body, rest, opened
        self._routes: dict[str, Record] = {}
        self._by_target: dict[bytes, Record] = {}

    def drain(self) -> None:
        """Take no record from now on; those that were taken are answered."""
        if self._routes:
            self._assessor.is_draining = True

    def _take(self, assessor: Assessor, gate: Gate) -> None:
        """Take records from now on."""
        self._assessor, self._metrics, self._gate = assessor, assessor.metrics, gate
        routes = (
            _record("/v1/operations", Scope.OPERATIONS, assessor.operation),
            _record("/v1/events", Scope.EVENTS, assessor.event),
            _record("/v1/outcomes", Scope.OUTCOMES, assessor.outcome),
        )
        self._routes = {route.path: route for route in routes}
        self._by_target = {route.path.encode(): route for route in routes}

    def route_of(self, target: bytes) -> Record | None:
        """The route that a request's target names to the letter, where records are taken."""
        return self._by_target.get(target)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http" or (route := self._routes.get(scope["path"])) is None:
            await self._rest(scope, receive, send)
            return
        await send_answer(send, *await self._answer(route, scope, scope["headers"], b"", receive))

    def whole(self, route: Record, headers: Headers, body: bytes) -> Awaitable[Answer]:
        """The answer to a POST that has come whole."""
        return self._answer(route, route.head, headers, body, None)

    async def _answer(
        self, route: Record, scope: dict[str, Any], given: Headers, body: bytes, receive: Receive | None
    ) -> Answer:
        """body: what came, or receive: what it is still to be had by."""
        began = time.perf_counter()
        try:
            headers, digest = self._let_in(route, scope, given)
            body = self._bounded(body) if receive is None else await self._body(headers, receive)
            self._take_up(digest, body)
            began = time.perf_counter()
            status, answer, extra = 200, await route.handle(body), []
        except Exception as error:  # noqa: BLE001 the outermost place: logged, and answered without the inside
            refusal = answer_to(error)
            status, answer, extra = refusal.status, refusal.body, headers_of_refusal(refusal)
            if status == 500:
                self._metrics.failed()
        self._metrics.answered(route.path, status, time.perf_counter() - began)
        return status, answer, extra

    def _let_in(self, route: Record, scope: dict[str, Any], given: Headers) -> tuple[dict[bytes, bytes], str | None]:
        """The headers by name, and the digest that the body must have; Refusal says what keeps a request out."""
        if scope["method"] != "POST":
            raise Refusal(405, Problem("refused", f"{route.path} takes POST", allowed="POST"))
        headers = headers_of(given)
        digest = self._gate.admit(scope, headers, route.scope)
        check_head(headers)
        return headers, digest

    def _take_up(self, digest: str | None, body: bytes) -> None:
        """Refusal for a body that was not signed, and for every one while the process stops."""
        if digest is not None:
            self._gate.check(digest, body)
        if self._assessor.is_draining:
            raise Refusal(503, DRAINING, retry_after_s=1)

    def _bounded(self, body: bytes) -> bytes:
        if len(body) > self._max_body:
            raise self._too_large()
        return body

    async def _live(self, receive: Receive, send: Send) -> None:
        """ASGI's lifespan: open before the first request, close after the last; a refusal to start is one plain sentence."""
        await receive()
        try:
            async with self._opened() as (assessor, gate):
                self._take(assessor, gate)
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except (BuranaError, OSError) as error:
            if not isinstance(error, BuranaError):  # which says all there is to say
                log.exception("not served")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """The whole body; Refusal 413 beyond the limit, before the rest is read."""
        if (length := headers.get(b"content-length")) is not None and length.isdigit() and int(length) > self._max_body:
            raise self._too_large()
        message = await receive()
        body = message.get("body", b"")
        if message["type"] == "http.request" and not message.get("more_body") and len(body) <= self._max_body:
            return body  # it came as a whole, as nearly all do
        return await self._gathered(message, receive)

    async def _gathered(self, message: dict[str, Any], receive: Receive) -> bytes:
        """A body in parts, of which the first came in `message`."""
        parts: list[bytes] = []
        size = 0
        while True:
            if message["type"] == "http.disconnect":
                raise Refusal(400, Problem("malformed", "the connection closed before the body was whole"))
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._max_body:
                raise self._too_large()
            if not message.get("more_body"):
                return b"".join(parts)
            message = await receive()

    def _too_large(self) -> Refusal:
        return Refusal(
            413, Problem("too_large", f"the body is larger than {self._max_body} bytes", allowed=str(self._max_body))
        )
