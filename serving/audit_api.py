"""The routes of the audit log: pages, an entry, its proof, the last checkpoint, and the proof that the log only grew."""

from collections.abc import Callable
from typing import Annotated, Protocol

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Meta, Struct

from casework import audit_log, checkpoints
from casework.audit_form import AuditEntry, ChangeKind
from casework.database import Database
from casework.keys import Scope
from serving import audit_views
from serving.contracts import Problem, Refusal
from serving.notary import Notary
from serving.queries import LARGEST_NUMBER, asked, number
from serving.settings import Settings

Number = Annotated[int, Meta(ge=1, le=LARGEST_NUMBER)]


class AuditPage(Struct, frozen=True, forbid_unknown_fields=True):
    """Which entries: of a kind, or of all; after: a number, 0 for the first; limit: how many at most."""

    kind: ChangeKind | None = None
    after: Annotated[int, Meta(ge=0, le=LARGEST_NUMBER)] = 0
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 100


class Sizes(Struct, frozen=True, forbid_unknown_fields=True):
    """Two sizes of the log, of which it shall be shown that the one begins with the other."""

    older: Number
    newer: Number


class Audited(Protocol):
    """What the routes ask."""

    settings: Settings
    database: Database
    notary: Notary


def router(running: Callable[[], Audited], allow: Callable[[Request, Scope], None]) -> APIRouter:
    """allow: refuses a caller whose key lacks a scope."""
    routes = APIRouter(prefix="/v1/audit")

    @routes.get("")
    def entries(request: Request) -> Response:
        allow(request, Scope.AUDIT)
        page = asked(request, AuditPage)
        return _json(audit_views.lines(running().database, page.kind, page.after, page.limit))

    @routes.get("/checkpoint")
    def checkpoint(request: Request) -> Response:
        allow(request, Scope.AUDIT)
        if not (signed := checkpoints.read(running().settings.checkpoints)):
            raise Refusal(404, Problem("no_checkpoint", "nothing is signed yet; make a key by `burana audit key`"))
        return Response(signed[-1][1].text, media_type="text/plain")

    @routes.get("/consistency")
    def consistency(request: Request) -> Response:
        allow(request, Scope.AUDIT)
        sizes, tree = asked(request, Sizes), running().notary.grown()
        if not sizes.older <= sizes.newer <= len(tree):
            text = (
                f"there is no tree of {sizes.newer} that begins with one of {sizes.older}: the log has {len(tree)} entries"
            )
            raise Refusal(404, Problem("unknown_size", text, "newer"))
        return _json(audit_views.consistency(tree, sizes.older, sizes.newer))

    @routes.get("/{audit_id}")
    def entry(audit_id: str, request: Request) -> Response:
        allow(request, Scope.AUDIT)
        return _json(audit_views.line(_entry(running().database, audit_id)))

    @routes.get("/{audit_id}/proof")
    def proof(audit_id: str, request: Request) -> Response:
        allow(request, Scope.AUDIT)
        found, now = _entry(running().database, audit_id), running()
        return _json(audit_views.proof(now.database, now.notary.grown, now.settings.checkpoints, found))

    return routes


def _entry(database: Database, audit_id: str) -> AuditEntry:
    if (found := audit_log.at(database, number(audit_id, "audit_id"))) is None:
        raise Refusal(404, Problem("unknown_entry", f"there is no audit entry {audit_id}", "audit_id"))
    return found


def _json(answer: Struct) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")
