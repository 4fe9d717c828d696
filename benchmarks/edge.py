"""What a request costs at the edge: authentication, limits, body and answer, around a route that answers at once.

    python -m benchmarks.edge [--json FILE]

Neither sockets nor the assessor: `Endpoint.__call__` alone, with messages as uvicorn hands them over. Figures are medians over
rounds, microseconds of wall time a request.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from casework import database as databases
from casework import keys
from casework.keys import Keys
from domain.json_file import add_json, write_json
from serving.auth import Gate
from serving.endpoint import Endpoint
from serving.metrics import Metrics
from serving.rates import Rate, Rates
from serving.signatures import Signatures, id_of, secret_of, signed

PATH, CARD_KEY = "/v1/operations", bytes(32)
BODY = b'{"operation_id": "op-1"}'


class Instant:
    """Answers at once what an assessor would answer after its work."""

    metrics = Metrics()

    async def operation(self, _: bytes) -> bytes:
        """The same answer to every body."""
        return b"{}"

    event = outcome = operation


async def answered(app: Any, scope: dict[str, Any]) -> int:
    """The status of one request."""
    status = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)

    await app(scope, receive, send)
    return status


async def _nothing_else(*_: Any) -> None:
    raise AssertionError("only records are asked for")


async def measure(home: Path, rounds: int, requests: int) -> dict[str, float]:
    """Microseconds of one request: by a key alone, with a limit on its rate, and signed."""
    with databases.connect(databases.url_of(home / "burana.db")) as database:
        plain, strict = (
            keys.make(database, "edge", set(keys.Scope), "benchmark", is_signed=is_signed) for is_signed in (False, True)
        )
        live = Keys(database)
        figures = {}
        for name, key, rate in (("key", plain, 0), ("key and rate", plain, 10**6), ("signed", strict, 0)):
            app = _endpoint(live, Rate(rate, 10**6))
            scopes = [_request(key, name == "signed") for _ in range(requests)]
            figures[name] = statistics.median([await _once(app, scopes) for _ in range(1 if name == "signed" else rounds)])
    return figures


def _endpoint(live: Keys, rate: Rate) -> Endpoint:
    @asynccontextmanager
    async def opened() -> AsyncIterator[tuple[Any, Gate]]:
        yield Instant(), gate

    gate = Gate(live, Signatures(CARD_KEY, 60, time.time, time.monotonic), Rates(rate, {}, time.monotonic), Metrics())
    app = Endpoint(65_536, _nothing_else, opened)
    app._take(Instant(), gate)  # type: ignore[arg-type]
    return app


def _request(key: str, is_signed: bool) -> dict[str, Any]:
    key_id = id_of(key)
    more = signed(secret_of(CARD_KEY, key_id), key_id, "POST", PATH, BODY, int(time.time())) if is_signed else {}
    headers = {
        "Host": "b",
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Content-Length": str(len(BODY)),
    }
    head = [(name.lower().encode(), value.encode()) for name, value in (headers | more).items()]
    return {"type": "http", "method": "POST", "path": PATH, "headers": head, "query_string": b"", "raw_path": PATH.encode()}


async def _once(app: Endpoint, scopes: list[dict[str, Any]]) -> float:
    began = time.perf_counter()
    for scope in scopes:
        assert await answered(app, scope) == 200
    return (time.perf_counter() - began) / len(scopes) * 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=5_000)
    add_json(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        figures = asyncio.run(measure(Path(temporary), 30, arguments.requests))
    for name, value in figures.items():
        print(f"{name:16} {value:8.2f} us")
    write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
