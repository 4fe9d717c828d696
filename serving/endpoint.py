"""The three routes that records come in by, as a raw ASGI callable in front of the FastAPI application.

Measured beside a FastAPI route on the same machine, the raw callable costs a fifth of the processor time a request.
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


class Record(NamedTuple):
    """A route that takes records: the scope that it asks for, and what answers a body."""

    scope: Scope
    handle: Callable[[bytes], Awaitable[bytes]]


class Endpoint:
    """POST /v1/operations, /v1/events, /v1/outcomes; everything else goes to `rest`."""

    def __init__(
        self, max_body: int, rest: Application, opened: Callable[[], AbstractAsyncContextManager[tuple[Assessor, Gate]]]
    ):
        """opened: opens everything that the routes need, and closes it in the end."""
        self._max_body, self._rest, self._opened = max_body, rest, opened
        self._routes: dict[str, Record] = {}

    def drain(self) -> None:
        """Take no record from now on; those that were taken are answered."""
        if self._routes:
            self._assessor.is_draining = True

    def _take(self, assessor: Assessor, gate: Gate) -> None:
        """Take records from now on."""
        self._assessor, self._metrics, self._gate = assessor, assessor.metrics, gate
        self._routes = {
            "/v1/operations": Record(Scope.OPERATIONS, assessor.operation),
            "/v1/events": Record(Scope.EVENTS, assessor.event),
            "/v1/outcomes": Record(Scope.OUTCOMES, assessor.outcome),
        }

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http" or (route := self._routes.get(scope["path"])) is None:
            await self._rest(scope, receive, send)
            return
        began = time.perf_counter()
        try:
            body = await self._admitted(scope, receive, route.scope)
            began = time.perf_counter()
            status, answer, extra = 200, await route.handle(body), []
        except Exception as error:  # noqa: BLE001 the outermost place: logged, and answered without the inside
            refusal = answer_to(error)
            status, answer, extra = refusal.status, refusal.body, headers_of_refusal(refusal)
            if status == 500:
                self._metrics.failed()
        self._metrics.answered(scope["path"], status, time.perf_counter() - began)
        await send_answer(send, status, answer, extra)

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

    async def _admitted(self, scope: dict[str, Any], receive: Receive, needed: Scope) -> bytes:
        """The body of a request that is let in; Refusal says what keeps it out."""
        if scope["method"] != "POST":
            raise Refusal(405, Problem("refused", f"{scope['path']} takes POST", allowed="POST"))
        headers = headers_of(scope["headers"])
        digest = self._gate.admit(scope, headers, needed)
        check_head(headers)
        body = await self._body(headers, receive)
        if digest is not None:
            self._gate.check(digest, body)
        if self._assessor.is_draining:
            raise Refusal(503, DRAINING, retry_after_s=1)
        return body

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
