"""One HTTP/1.1 connection to a Burana endpoint: one request at a time, kept alive."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

import httptools

from domain.errors import SettingsError


@dataclass(frozen=True)
class Response:
    """status and body of an answer."""

    status: int
    body: bytes


class Connection(asyncio.Protocol):
    """Made by `connect`; `request` sends and waits. A connection that the server closed raises ConnectionError."""

    def __init__(self, host: str, key: str) -> None:
        self._head = f"Host: {host}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: "
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Response] | None = None
        self._fresh()

    def _fresh(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's callback."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio's callback."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ConnectionError(f"the endpoint closed the connection ({error})"))

    def data_received(self, data: bytes) -> None:
        """asyncio's callback."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """httptools' callback."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """httptools' callback."""
        response = Response(self._parser.get_status_code(), b"".join(self._body))
        self._fresh()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(response)

    async def request(self, method: str, path: str, body: bytes = b"") -> Response:
        """Send one request and wait for its answer."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("the connection is closed")
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(f"{method} {path} HTTP/1.1\r\n{self._head}{len(body)}\r\n\r\n".encode() + body)
        return await self._waiter

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()


async def connect(url: str, key: str) -> Connection:
    """A connection to `http://host:port`; SettingsError for another form of URL, ConnectionError when nobody answers."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
        raise SettingsError(f"--url: seen {url!r}, allowed http://HOST:PORT (TLS ends at a proxy)")
    loop = asyncio.get_running_loop()
    host, port = parts.hostname, parts.port or 80
    _, protocol = await loop.create_connection(lambda: Connection(f"{host}:{port}", key), host, port)
    return protocol
