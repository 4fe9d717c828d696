"""What a connection may do before it is a request: bounds on heads and on time, and refusals in the form of all others.

uvicorn bounds neither: a head that never ends takes memory without end, and one that comes a byte a minute, or a body that does,
holds its connection for ever. One timer a connection looks at what is on its way; a request that comes at once costs nothing.

A record that comes whole, as nearly all do, is answered here, in one piece: without ASGI's messages, and without uvicorn's two
timers a request. Whatever else comes goes uvicorn's way.

An offer to speak another protocol (Upgrade) is left, and the request answered as it is (RFC 9110, 7.8): Java's HttpClient offers
h2c with all that it sends. httptools stops at such an offer and would read the body as the next request.
"""

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.contracts import Problem, Refusal
from serving.endpoint import Endpoint, Headers, Record

MAX_URL, MAX_HEAD = 8_192, 32_768
"""Bytes of the address, and of the request's first line and headers together."""
_BAD = Refusal(400, Problem("malformed", "this is not HTTP/1.1"))
_LONG = Refusal(414, Problem("too_long", f"the address is longer than {MAX_URL} bytes", allowed=str(MAX_URL)))
_LARGE = Refusal(431, Problem("too_large", f"the headers are larger than {MAX_HEAD} bytes", allowed=str(MAX_HEAD)))
_JSON = b"content-type: application/json\r\n"
_CLOSE = (b"connection", b"close")


class _Direct:
    """A request that is answered here, as uvicorn's protocol looks at the one under way."""

    __slots__ = ("body", "disconnected", "keep_alive", "more_body", "response_complete", "response_started")

    def __init__(self, keep_alive: bool) -> None:
        self.keep_alive, self.more_body, self.body = keep_alive, False, b""
        self.disconnected = self.response_started = self.response_complete = False

    @property
    def message_event(self) -> "_Direct":
        """Nobody waits for another message of it."""
        return self

    def set(self) -> None:
        """As of an event."""


def _lines(headers: Headers) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in headers) if headers else b""


class Connection(HttpToolsProtocol):
    """uvicorn's protocol within bounds."""

    def __init__(self, *arguments: Any, endpoint: Endpoint, request_timeout_s: float, **named: Any) -> None:
        """endpoint: what is served; request_timeout_s: from a request's first byte to its last, and from the connection to its first byte."""
        super().__init__(*arguments, **named)
        self._endpoint, self._timeout = endpoint, request_timeout_s
        self._refusal = _BAD
        self._in_head, self._fed, self._is_offer = False, 0, False
        self._held: Record | None = None
        self._came = b""
        self._began: float | None = None
        self._rests_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._given: Headers | None = None
        self._every = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """asyncio's callback."""
        super().connection_made(transport)
        self._began = self.loop.time()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's callback."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """asyncio's callback."""
        self._fed += len(data)
        while data:
            data = self._left_of(data)
        if self._held is not None:
            self._hand_over()
        if not self._in_head:
            self._fed = 0
        elif self._fed > MAX_HEAD and not self.transport.is_closing():
            self._refuse(_LARGE)

    def _left_of(self, data: bytes) -> bytes:
        """Parse; what is to be parsed after it: a request that offers another protocol, once more, without its offer."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as stopped:
            self._is_offer = False
            lines = _lines([header for header in self.headers if header[0] != b"upgrade"])
            first = self.parser.get_method(), self.url, self.parser.get_http_version().encode()
            return b"%b %b HTTP/%b\r\n%b\r\n" % (*first, lines) + data[stopped.args[0] :]
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self._refuse(self._refusal)
        return b""

    # ---- the parser's callbacks --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._in_head, self._began, self._rests_since = True, self.loop.time(), None

    def on_url(self, url: bytes) -> None:
        """A piece of the address."""
        super().on_url(url)
        if len(self.url) > MAX_URL:
            self._refusal = _LONG
            raise ValueError(_LONG.problem.message)

    def on_headers_complete(self) -> None:
        """The head is whole. A record's is held back until it is seen whether its body came with it."""
        if self._fed > MAX_HEAD and sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD:
            self._refusal = _LARGE
            raise ValueError(_LARGE.problem.message)
        self._in_head, self._is_offer = False, self.parser.should_upgrade()
        if self._is_offer:
            if self.parser.get_method() == b"CONNECT":
                raise ValueError("this is no proxy")
            return
        is_free = (self.cycle is None or self.cycle.response_complete) and not self.flow.write_paused
        route = self._endpoint.route_of(self.url) if is_free else None
        if route is not None and self.parser.get_method() == b"POST" and self.parser.get_http_version() == "1.1":
            self._held, self._came = route, b""
        else:
            self._begin_cycle()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if self._held is None:
            super().on_body(body)
        else:
            self._came += body

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._is_offer:
            return
        self._began = None
        if self._held is None:
            super().on_message_complete()
            return
        route, self._held = self._held, None
        self.cycle = cycle = _Direct(self.parser.should_keep_alive())  # type: ignore[assignment] # all that is looked at of one
        self.tasks.add(self.loop.create_task(self._answer(cycle, route, self.headers, self._came)))

    # ---- records that came whole -------------------------------------------------------------------------------------

    async def _answer(self, cycle: _Direct, route: Record, headers: Headers, body: bytes) -> None:
        """Write the answer in one piece, and take what comes next."""
        try:
            status, answer, extra = await self._endpoint.whole(route, headers, body)
            if not cycle.disconnected:
                cycle.response_started = cycle.response_complete = True
                self.transport.write(self._head(cycle, status, extra, len(answer)) + answer)
                if not cycle.keep_alive:
                    self.transport.close()
                self.on_response_complete()
        finally:
            self.tasks.discard(asyncio.current_task())

    def _head(self, cycle: _Direct, status: int, extra: Headers, length: int) -> bytes:
        given = self.server_state.default_headers
        if given is not self._given:  # once a second, with the date
            self._given, self._every = given, _lines(given) + _JSON
        if extra:
            cycle.keep_alive = cycle.keep_alive and _CLOSE not in extra
            extra = [header for header in extra if header != _CLOSE]
        own = _lines(extra) if cycle.keep_alive else _lines([*extra, _CLOSE])
        return b"%b%b%bcontent-length: %d\r\n\r\n" % (STATUS_LINE[status], self._every, own, length)

    def _hand_over(self) -> None:
        """The body did not come with its head: let uvicorn receive it."""
        self._held = None
        self._begin_cycle()
        if self._came:
            super().on_body(self._came)

    def _begin_cycle(self) -> None:
        url, headers = self.url, self.headers
        expects = self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """As uvicorn's, but that the connection's own timer sees when nothing more comes."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._began is None:  # nothing more is on its way
            self._rests_since = self.loop.time()

    # ---- what does not come ------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Close when what is on its way has taken too long, or nothing is; look again when it could have."""
        now = self.loop.time()
        if self._rests_since is not None and now - self._rests_since >= self.timeout_keep_alive:
            self.transport.close()
            return
        began = now if self._began is None or self.pipeline else self._began  # what waits its turn is not the caller's delay
        if now - began < self._timeout:
            rests = now if self._rests_since is None else self._rests_since
            self._timer = self.loop.call_at(min(began + self._timeout, rests + self.timeout_keep_alive), self._look)
            return
        text = f"a request comes whole within {self._timeout:g} s"
        self._refuse(Refusal(408, Problem("too_slow", text, allowed=f"{self._timeout:g} s")))

    def _is_next(self) -> bool:
        """Whether the request that is on its way is the next to be answered: its own answer has not begun, nor waits an earlier one."""
        if self.cycle is None:
            return True
        is_body = self._began is not None and not self._in_head and self._held is None
        return not self.pipeline and (not self.cycle.response_started if is_body else self.cycle.response_complete)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer, if the next answer is this request's, and close."""
        if not self.transport.is_closing():
            if self._is_next():
                length = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(refusal.body)
                self.transport.write(STATUS_LINE[refusal.status] + _JSON + length + refusal.body)
            self.transport.close()
        self._held = None
