"""What a connection may do before it is a request: bounds on heads and on time, and refusals in the form of all others.

uvicorn bounds neither: a head that never ends takes memory without end, and one that comes a byte a minute, or a body that does,
holds its connection for ever. One timer a connection looks at what is on its way; a request that comes at once costs nothing.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.contracts import Problem, Refusal

MAX_URL, MAX_HEAD = 8_192, 32_768
"""Bytes of the address, and of the request's first line and headers together."""
_BAD = Refusal(400, Problem("malformed", "this is not HTTP/1.1"))
_LONG = Refusal(414, Problem("too_long", f"the address is longer than {MAX_URL} bytes", allowed=str(MAX_URL)))
_LARGE = Refusal(431, Problem("too_large", f"the headers are larger than {MAX_HEAD} bytes", allowed=str(MAX_HEAD)))
_REASONS = {400: b"Bad Request", 408: b"Request Timeout", 414: b"URI Too Long", 431: b"Request Header Fields Too Large"}


class Connection(HttpToolsProtocol):
    """uvicorn's protocol within bounds."""

    def __init__(self, *arguments: Any, request_timeout_s: float, **named: Any) -> None:
        """request_timeout_s: from a request's first byte to its last, and from the connection to its first byte."""
        super().__init__(*arguments, **named)
        self._timeout = request_timeout_s
        self._refusal = _BAD
        self._in_head, self._fed = False, 0
        self._began: float | None = None
        self._timer: asyncio.TimerHandle | None = None

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
        super().data_received(data)
        if not self._in_head:
            self._fed = 0
        elif self._fed > MAX_HEAD and not self.transport.is_closing():
            self._refuse(_LARGE)

    def on_message_begin(self) -> None:
        """The parser's callback: the first byte of a request."""
        super().on_message_begin()
        self._in_head, self._began = True, self.loop.time()

    def on_url(self, url: bytes) -> None:
        """The parser's callback: a piece of the address."""
        super().on_url(url)
        if len(self.url) > MAX_URL:
            self._refusal = _LONG
            raise ValueError(_LONG.problem.message)

    def on_headers_complete(self) -> None:
        """The parser's callback: the head is whole."""
        if self._fed > MAX_HEAD and sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD:
            self._refusal = _LARGE
            raise ValueError(_LARGE.problem.message)
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The parser's callback: the request is whole."""
        self._began = None
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 uvicorn names what is passed
        """uvicorn's answer to what its parser refuses, in our form."""
        self._refuse(self._refusal)

    def _look(self) -> None:
        """Close when what is on its way has taken too long; look again when it could have."""
        now = self.loop.time()
        began = now if self._began is None or self.pipeline else self._began  # what waits its turn is not the caller's delay
        if now - began < self._timeout:
            self._timer = self.loop.call_later(began + self._timeout - now, self._look)
            return
        text = f"a request comes whole within {self._timeout:g} s"
        self._refuse(Refusal(408, Problem("too_slow", text, allowed=f"{self._timeout:g} s")))

    def _is_next(self) -> bool:
        """Whether the request that is on its way is the next to be answered: its own answer has not begun, nor waits an earlier one."""
        if self.cycle is None:
            return True
        is_body = self._began is not None and not self._in_head
        return not self.pipeline and (not self.cycle.response_started if is_body else self.cycle.response_complete)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer, if the next answer is this request's, and close."""
        if not self.transport.is_closing():
            if self._is_next():
                length = str(len(refusal.body)).encode()
                first = b"HTTP/1.1 %d %s\r\n" % (refusal.status, _REASONS[refusal.status])
                headers = b"content-type: application/json\r\ncontent-length: " + length + b"\r\nconnection: close\r\n\r\n"
                self.transport.write(first + headers + refusal.body)
            self.transport.close()
