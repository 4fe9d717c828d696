"""The routes of the coverage map: as data, and as a picture."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Annotated, Protocol

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Meta, Struct

from casework.database import Database
from casework.keys import Scope
from casework.ledger import Ledger
from domain import instants
from features.plan import Plan
from serving.backtest.heard import END
from serving.coverage import made
from serving.coverage.cells import Map
from serving.coverage.picture import picture
from serving.queries import asked
from serving.settings import Settings

KEPT_S = 60.0
"""Seconds for which a map is told again: making one reads every decision of its days."""
RESAMPLES = 200
PICTURE = "image/svg+xml"


class OverDays(Struct, frozen=True, forbid_unknown_fields=True):
    """What was recorded in so many days until now; delay_days: until silence counts as genuine."""

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
    def coverage(request: Request) -> Response:
        allow(request, Scope.RULES)
        return Response(msgspec.json.encode(maps.of(asked(request, OverDays))), media_type="application/json")

    @routes.get("/picture")
    def drawn(request: Request) -> Response:
        allow(request, Scope.RULES)
        return Response(picture(maps.of(asked(request, OverDays))), media_type=PICTURE)

    return routes


class Maps:
    """The map that was asked for last, told again for a while; whoever asks for another waits for his turn, so that one is made at a time."""

    def __init__(self, make: Callable[[OverDays], Map], clock: Callable[[], float]) -> None:
        self._make, self._clock = make, clock
        self._lock = Lock()
        self._kept: tuple[OverDays, float, Map] | None = None

    def of(self, over: OverDays) -> Map:
        """From any thread."""
        with self._lock:
            if self._kept is None or self._kept[0] != over or self._clock() >= self._kept[1] + KEPT_S:
                self._kept = over, self._clock(), self._make(over)
            return self._kept[2]


def _made(running: Covered, over: OverDays) -> Map:
    since = datetime.now(UTC) - timedelta(days=over.days)
    after = running.ledger.last_before(since.isoformat(timespec="microseconds"))
    span = made.Span(0, END, None, round(over.delay_days * instants.DAY), RESAMPLES, 1, after)
    return made.of_ledger(running.settings, running.database, running.plan, span)
