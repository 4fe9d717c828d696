"""The routes of the coverage map: as data, and as a picture."""

import asyncio
import logging
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Protocol

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Meta, Struct

from casework.database import Database
from casework.keys import Scope
from casework.ledger import Ledger
from domain import instants
from domain.errors import StateError
from features.plan import Plan
from serving import beside
from serving.backtest.heard import END
from serving.contracts import Problem, Refusal
from serving.coverage import made
from serving.coverage.cells import Map
from serving.coverage.picture import picture
from serving.queries import asked
from serving.settings import Settings

KEPT_S = 60.0
"""Seconds for which a map is told again: making one reads every decision of its days."""
FEW, MOST = 10_000, 1_000_000
"""Entries of the ledger that a thread of the server reads (a third of a second); more are a process's beside it, which takes 2 s of CPU to
begin, 31 us an entry and 0.6 GiB for the most, the newest ones."""
PATIENCE_S = 600
RESAMPLES = 200
PICTURE = "image/svg+xml"
log = logging.getLogger("burana")


class OverDays(Struct, frozen=True, forbid_unknown_fields=True):
    """What was recorded in so many days until now, of it the newest million entries; delay_days: until silence counts as genuine."""

    days: Annotated[float, Meta(ge=0.01, le=31)] = 7.0
    delay_days: Annotated[float, Meta(ge=0, le=31)] = 7.0


class Covered(Protocol):
    """What the routes ask."""

    settings: Settings
    database: Database
    ledger: Ledger
    plan: Plan


def router(running: Callable[[], Covered], allow: Callable[[Request, Scope], None]) -> APIRouter:
    """allow: refuses a caller whose key lacks a scope."""
    routes, maps = APIRouter(prefix="/v1/rule-coverage"), Maps(lambda over: _made(running(), over), time.monotonic)

    @routes.get("")
    async def coverage(request: Request) -> Response:
        allow(request, Scope.RULES)
        return Response(msgspec.json.encode(await maps.of(asked(request, OverDays))), media_type="application/json")

    @routes.get("/picture")
    async def drawn(request: Request) -> Response:
        allow(request, Scope.RULES)
        return Response(picture(await maps.of(asked(request, OverDays))), media_type=PICTURE)

    return routes


class Maps:
    """The map that was asked for last, told again for a while; whoever asks for another waits for his turn, so that one is made at a time."""

    def __init__(self, make: Callable[[OverDays], Awaitable[Map]], clock: Callable[[], float]) -> None:
        self._make, self._clock = make, clock
        self._lock = asyncio.Lock()
        self._kept: tuple[OverDays, float, Map] | None = None

    async def of(self, over: OverDays) -> Map:
        """Of the loop of the server."""
        async with self._lock:
            if self._kept is None or self._kept[0] != over or self._clock() >= self._kept[1] + KEPT_S:
                found = await self._make(over)  # kept from here on: one that took longer than that would never be told again
                self._kept = over, self._clock(), found
            return self._kept[2]


async def _made(running: Covered, over: OverDays) -> Map:
    after, few = await asyncio.to_thread(_after, running.ledger, over.days)
    span = made.Span(0, END, None, round(over.delay_days * instants.DAY), RESAMPLES, 1, after)
    if few:
        return await asyncio.to_thread(made.of_ledger, running.settings, running.database, running.plan, span)
    return await made_beside(running.settings, span)


def _after(ledger: Ledger, days: float) -> tuple[int, bool]:
    """The number after which entries are read, and whether they are few."""
    since, last = datetime.now(UTC) - timedelta(days=days), ledger.last_sequence
    after = max(ledger.last_before(since.isoformat(timespec="microseconds")), last - MOST)
    return after, last - after <= FEW


async def made_beside(settings: Settings, span: made.Span) -> Map:
    """By the command, in a process of its own at the lowest priority; Refusal where it makes none."""
    try:
        return await _made_by_command(settings, span)
    except StateError as error:
        log.exception("the coverage map could not be made")
        text = "the map could not be made, the log says why; ask again, for fewer days"
        raise Refusal(503, Problem("unavailable", text), retry_after_s=60) from error


async def _made_by_command(settings: Settings, span: made.Span) -> Map:
    with tempfile.TemporaryDirectory(prefix="burana") as folder:
        file = Path(folder) / "map.json"
        said = {"home": settings.home, "models": settings.models, "after": span.after, "delay-days": span.delay / instants.DAY,
                "resamples": span.resamples, "seed": span.seed, "json": file}  # fmt: skip
        arguments = [f"--{name}={value}" for name, value in said.items()]
        ended = await beside.run("rules", "coverage", *arguments, database=settings.database, patience_s=PATIENCE_S)
        if not file.exists():
            raise StateError(ended.said)
        return msgspec.json.decode(file.read_bytes(), type=Map)
