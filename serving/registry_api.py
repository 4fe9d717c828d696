"""The routes of the registry: list, look at, find, add, propose to remove, import, export, feeds, quality. The person is the caller of the key."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Protocol

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from starlette.responses import StreamingResponse

from casework import registry_entries, registry_feeds, registry_files, registry_import
from casework.database import Database, as_kept
from casework.keys import Scope
from casework.ledger import Ledger
from casework.registry_entries import Filter
from casework.registry_feeds import FeedPage
from casework.registry_quality import quality
from domain.errors import InputError
from serving import registry_answers as answers
from serving.assessor import Assessor
from serving.contracts import decoded
from serving.queries import asked, number
from serving.spoken import Guarded, Spoken, spoken

TO_FIND, TO_LIST, TO_REMOVE, TO_IMPORT, FEED_PAGE = (
    msgspec.json.Decoder(type_) for type_ in (answers.ToFind, answers.ToList, answers.ToRemove, answers.ToImport, FeedPage)
)
LARGEST_IMPORT = 2**24
"""Bytes of an import or of a feed's page."""


class Registered(Guarded, Protocol):
    """What the routes ask."""

    database: Database
    ledger: Ledger
    assessor: Assessor


def router(running: Callable[[], Registered], allow: Callable[[Request, Scope], None]) -> APIRouter:
    """allow: refuses a caller whose key lacks a scope."""
    routes = APIRouter(prefix="/v1/registry")
    short = Depends(spoken(running, Scope.REGISTRY))
    long = Depends(spoken(running, Scope.REGISTRY, LARGEST_IMPORT))

    @routes.get("")
    def entries(request: Request) -> Response:
        allow(request, Scope.REGISTRY)
        _check_no_value(request)
        page = asked(request, answers.EntriesAsked)
        wanted = Filter(kind=page.kind, list=page.list, source=page.source, at=_instant(page.at))
        told = _told(registry_entries.listed(running().database, wanted, page.after, page.limit))
        return _json(answers.EntriesTold(told, told[-1].entry_id if len(told) == page.limit else None))

    @routes.post("/search")
    def find(body: Annotated[Spoken, short]) -> Response:
        wanted = decoded(TO_FIND, body.body)
        value = running().settings.identifiers().normal(wanted.kind, wanted.value, "value")
        one = Filter(kind=wanted.kind, value=value, at=_instant(wanted.at))
        return _json(answers.EntriesTold(_told(registry_entries.listed(running().database, one)), None))

    @routes.post("")
    def add(body: Annotated[Spoken, short]) -> Response:
        wanted = decoded(TO_LIST, body.body)
        identifiers, database = running().settings.identifiers(), running().database
        try:
            made = registry_entries.add(database, identifiers, wanted.listing, body.person, wanted.reason)
        except InputError as error:
            error.stands_in("listing")
            raise
        return _json(answers.Listed(made))

    @routes.post("/import")
    def import_many(body: Annotated[Spoken, long]) -> Response:
        wanted, database = decoded(TO_IMPORT, body.body), running().database
        found = registry_files.difference(database, running().settings.identifiers(), wanted.lines)
        made = None
        if found.new and not wanted.dry_run:
            made = registry_import.propose(database, found.new, wanted.file, body.person, wanted.reason)
        rejects = tuple(answers.Rejected(*reject) for reject in found.rejects)
        return _json(answers.Imported(len(found.new), found.there, rejects, made))

    @routes.get("/export")
    def export(request: Request) -> Response:
        allow(request, Scope.REGISTRY)
        wanted = asked(request, answers.ExportAsked)
        return StreamingResponse(
            registry_files.as_csv(registry_files.exported(running().database, Filter(kind=wanted.kind, list=wanted.list))),
            media_type="text/csv",
        )

    @routes.get("/feed")
    def given_out(request: Request) -> Response:
        allow(request, Scope.REGISTRY)
        wanted = asked(request, answers.FeedAsked)
        return _json(registry_feeds.given_out(running().database, wanted.after, wanted.list))

    @routes.post("/feeds/{feed}")
    def take(feed: str, body: Annotated[Spoken, long]) -> Response:
        page, identifiers = decoded(FEED_PAGE, body.body), running().settings.identifiers()
        return _json(registry_feeds.take(running().database, identifiers, feed, page, body.person))

    @routes.get("/quality")
    def how_good(request: Request) -> Response:
        allow(request, Scope.REGISTRY)
        now, ledger = datetime.now(UTC), running().ledger
        since = now - timedelta(days=asked(request, answers.QualityAsked).days)
        recorded = ledger.read(ledger.last_before(as_kept(since)))
        return _json(quality(running().database, running().assessor.layers.registry, recorded, since, now))

    @routes.get("/entries/{entry_id}")
    def entry(entry_id: str, request: Request) -> Response:
        allow(request, Scope.REGISTRY)
        id_, database = number(entry_id, "entry_id"), running().database
        one, past = registry_entries.entry(database, id_), registry_entries.history(database, id_)
        return _json(answers.EntryTold(answers.entry_told(one), _told(past)))

    @routes.post("/entries/{entry_id}/removal")
    def remove(entry_id: str, body: Annotated[Spoken, short]) -> Response:
        id_, wanted = number(entry_id, "entry_id"), decoded(TO_REMOVE, body.body)
        made = registry_entries.propose_removal(running().database, id_, wanted.ground, body.person, wanted.reason)
        return _json(answers.Proposed(made))

    return routes


def _check_no_value(request: Request) -> None:
    if "value" in request.query_params:
        allowed = "nothing here: addresses are logged on the way; ask by the body of POST /v1/registry/search"
        raise InputError("value", "an identifier", allowed)


def _told(entries: list[dict[str, Any]]) -> tuple[answers.RegistryEntry, ...]:
    return tuple(map(answers.entry_told, entries))


def _instant(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return registry_entries.as_instant(datetime.fromisoformat(text))
    except ValueError:
        raise InputError("at", text, "an instant with its zone, such as 2026-11-22T10:00:00Z") from None


def _json(answer: Any) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")
