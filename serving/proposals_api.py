"""The routes of what waits for a second person: list, look at, decide. Who decides is the caller of the key, another than who proposed."""

from collections.abc import Callable
from typing import Annotated, Any, Protocol

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from casework import approvals, proposals
from casework.database import Database
from casework.keys import Scope
from domain.errors import InputError, UnknownProposalError
from serving import registry_answers as answers
from serving.contracts import decoded
from serving.queries import asked, number
from serving.spoken import Guarded, Spoken, spoken

TO_DECIDE = msgspec.json.Decoder(answers.ToDecide)


class Deciding(Guarded, Protocol):
    """What the routes ask."""

    database: Database


def router(running: Callable[[], Deciding], allow: Callable[[Request, Scope], None]) -> APIRouter:
    """allow: refuses a caller whose key lacks a scope."""
    routes = APIRouter(prefix="/v1/proposals")
    body = Depends(spoken(running, Scope.APPROVE))

    @routes.get("")
    def waiting(request: Request) -> Response:
        allow(request, Scope.APPROVE)
        page = asked(request, answers.ProposalsAsked)
        if page.kind is not None and page.kind not in approvals.NAMES:  # mistyped, it would look like nothing waits
            raise InputError("kind", page.kind, ", ".join(approvals.NAMES))
        found = tuple(proposals.open_proposals(running().database, page.kind, page.after, page.limit))
        return _json(answers.ProposalsTold(found, found[-1].proposal_id if len(found) == page.limit else None))

    @routes.get("/{proposal_id}")
    def proposal(proposal_id: str, request: Request) -> Response:
        allow(request, Scope.APPROVE)
        return _told(running().database, number(proposal_id, "proposal_id"))

    @routes.post("/{proposal_id}/decision")
    def decide(proposal_id: str, said: Annotated[Spoken, body]) -> Response:
        id_, wanted = number(proposal_id, "proposal_id"), decoded(TO_DECIDE, said.body)
        approvals.decide(running().database, id_, wanted.verdict, said.person, wanted.reason)
        return _told(running().database, id_)

    return routes


def _told(database: Database, proposal_id: int) -> Response:
    if (found := proposals.of_id(database, proposal_id)) is None:
        raise UnknownProposalError(f"there is no proposal {proposal_id}")
    return _json(found)


def _json(answer: Any) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")
