"""The generator: whole requests that were encoded before, over connections that are kept alive.

closed: each connection sends the next request when the last one is answered, as fast as the server goes. open: requests are due
at a rate, and latency counts from the moment at which one was due, so that a slow server cannot hide by slowing its clients.
"""

import asyncio
import gc
import re
import selectors
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import uvloop
from numpy.typing import NDArray

from benchmarks.endpoint.processes import SENT_FROM, BenchmarkError, pinned

T = TypeVar("T")
MOST_CONNECTIONS = 256
"""Of an open loop: requests beyond them wait in the generator, and their latency counts the wait."""
LATE_S = 0.0002
"""A sleep ends up to so much later than it was to; the rest of the time to a request is waited for awake."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_ENDED = b"\r\n\r\n"


@dataclass(frozen=True)
class Round:
    """What came back. latencies: (answered,) seconds."""

    seconds: float
    latencies: NDArray[np.float64]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds

    def quantiles_ms(self) -> dict[str, float]:
        """p50, p99 and p99.9 in milliseconds."""
        found = np.quantile(self.latencies, (0.5, 0.99, 0.999)) * 1000
        return dict(zip(("p50", "p99", "p999"), found.tolist(), strict=True))


def request(path: str, body: bytes, key: str = "") -> bytes:
    """A POST as it goes over the wire."""
    authorization = f"Authorization: Bearer {key}\r\n" if key else ""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{authorization}Content-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def closed(port: int, requests: Iterator[bytes], connections: int, seconds: float) -> Round:
    """`connections` requests in flight for some seconds. BenchmarkError for an answer other than 200, or no more requests."""
    return _run(_closed(port, requests, connections, seconds, None))


def exactly(port: int, requests: Iterator[bytes], connections: int, count: int) -> Round:
    """As many requests as are said, up to `connections` in flight; see `closed`."""
    return _run(_closed(port, requests, min(connections, count), None, count))


def opened(port: int, requests: Iterator[bytes], rate: float, seconds: float) -> Round:
    """`rate` requests a second; see `closed`."""
    return _run(_opened(port, requests, rate, seconds), _rested)


def _rested() -> asyncio.AbstractEventLoop:
    """A loop whose timers have microseconds; those of uvloop and of epoll have whole milliseconds, as long as an answer takes.

    A generator that asks for the time without end keeps its core busy. A virtual machine both of whose cores were busy was held by
    its host, 8 ms of every 12 for some 60 ms every few seconds, and that was what p99 showed: of the host, not of the server.
    """
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def _run(measuring: Coroutine[Any, Any, T], loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop) -> T:
    """On the generator's core, without pauses to collect garbage."""
    gc.collect()
    gc.disable()
    try:
        with pinned(SENT_FROM), asyncio.Runner(loop_factory=loop) as runner:
            return runner.run(measuring)
    finally:
        gc.enable()


class Line(asyncio.Protocol):
    """One connection, one request at a time; `answered` is called with it for each whole answer, `closed` when it is gone.

    since: the instant that the latency of its request counts from; is_waiting: a request is under way.
    """

    def __init__(
        self, answered: "Callable[[Line], None]", closed: "Callable[[Line], None]", failed: Callable[[Exception], None]
    ) -> None:
        self.since, self.is_waiting = 0.0, False
        self._answered, self._closed, self._failed = answered, closed, failed
        self._came = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's callback."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is not registered as one

    def send(self, whole: bytes, since: float) -> None:
        """Send a request that was due at `since`."""
        assert self._transport is not None, "made by create_connection"
        self.since, self.is_waiting = since, True
        self._transport.write(whole)

    def data_received(self, data: bytes) -> None:
        """asyncio's callback."""
        came = self._came + data if self._came else data
        body = came.find(_ENDED)
        if body < 0:
            self._came = came
            return
        length = _LENGTH.search(came, 0, body + 2)
        if length is None or not came.startswith(b"HTTP/1.1 200"):
            self._failed(BenchmarkError(f"seen an answer {came[:500]!r}, allowed 200 with its length"))
            return
        if len(came) < body + len(_ENDED) + int(length[1]):
            self._came = came
            return
        self._came, self.is_waiting = b"", False
        self._answered(self)

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio's callback."""
        if self.is_waiting:
            self._failed(BenchmarkError(f"the server closed a connection while a request was under way ({error})"))
        self._closed(self)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()


class _Measuring:
    """Open connections, and latencies as they come; `done` ends with an error or when the measuring is over."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self._requests = requests
        self.latencies: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lines: list[Line] = []
        self.free: deque[Line] = deque()  # taken in turn, so that none is idle for long

    async def connect(self, port: int, count: int, answered: Callable[[Line], None]) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(count):
            _, line = await loop.create_connection(lambda: Line(answered, self.forget, self.fail), "127.0.0.1", port)
            self.lines.append(line)

    def forget(self, line: Line) -> None:
        """A slow server's patience with a connection that nothing is sent over may end before the measuring does."""
        if line in self.free:
            self.free.remove(line)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)

    def finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def send(self, line: Line, since: float) -> None:
        following = next(self._requests, None)
        if following is None:
            self.fail(BenchmarkError("there are no more requests; make a larger world, or shorter rounds"))
            return
        line.send(following, since)

    def take(self, line: Line) -> float:
        now = time.perf_counter()
        self.latencies.append(now - line.since)
        return now

    def close(self) -> None:
        for line in self.lines:
            line.close()


async def _closed(port: int, requests: Iterator[bytes], connections: int, seconds: float | None, count: int | None) -> Round:
    """Until the time is over or the count is sent, whichever is given."""
    measuring, busy, sent = _Measuring(requests), connections, connections

    def answered(line: Line) -> None:
        nonlocal busy, sent
        now = measuring.take(line)
        if (count is None or sent < count) and (until is None or now < until):
            sent += 1
            measuring.send(line, now)
            return
        busy -= 1
        if not busy:
            measuring.finish()

    await measuring.connect(port, connections, answered)
    began = time.perf_counter()
    until = None if seconds is None else began + seconds
    for line in measuring.lines:
        measuring.send(line, time.perf_counter())
    return await _ended(measuring, began)


async def _opened(port: int, requests: Iterator[bytes], rate: float, seconds: float) -> Round:
    count = round(rate * seconds)
    measuring = _Measuring(requests)

    def answered(line: Line) -> None:
        measuring.take(line)
        measuring.free.append(line)
        if len(measuring.latencies) == count:
            measuring.finish()

    await measuring.connect(port, min(MOST_CONNECTIONS, count), answered)
    measuring.free += measuring.lines
    began, sent = time.perf_counter(), 0
    while sent < count and not measuring.done.done():
        due = began + sent / rate
        if measuring.free and due <= time.perf_counter():
            measuring.send(measuring.free.popleft(), due)
            sent += 1
        await asyncio.sleep(max(0.0, began + sent / rate - time.perf_counter() - LATE_S))
    return await _ended(measuring, began)


async def _ended(measuring: _Measuring, began: float) -> Round:
    try:
        await measuring.done
        return Round(time.perf_counter() - began, np.array(measuring.latencies))
    finally:
        measuring.close()
