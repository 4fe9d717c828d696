"""Everything but the scoring route: health, metrics, decisions with their evidence, the description of the interface."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
import numpy as np
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import compile_path

from casework.keys import Scope
from casework.ledger import Entry, Ledger
from domain.errors import UnknownOperationError
from features.feature_set import FeatureSet
from features.plan import Plan
from features.profiles import date_of
from serving import audit_api, coverage_api, proposals_api, registry_api, rules_api
from serving.assessor import Assessor
from serving.audit_api import Audited
from serving.auth import Gate
from serving.contracts import Problem, Refusal
from serving.coverage_api import Covered
from serving.description import VERSION, description
from serving.explanation import Explanations
from serving.failures import Answering, headers_of_refusal
from serving.live_profiles import age_s
from serving.page import page
from serving.proposals_api import Deciding
from serving.readiness import Readiness
from serving.registry_api import Registered
from serving.routes import ROUTES
from serving.rules_api import Ruled
from serving.snapshots import Snapshots
from serving.tenure import Tenure


class Running(Audited, Registered, Deciding, Ruled, Covered, Protocol):
    """What the routes ask: what is plugged in when the process starts."""

    assessor: Assessor
    ledger: Ledger
    gate: Gate
    plan: Plan
    readiness: Readiness
    snapshots: Snapshots
    tenure: Tenure


def application(running: Callable[[], Running], explanations: Explanations) -> FastAPI:
    """The FastAPI application."""
    app = FastAPI(title="Burana", version=VERSION, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)

    app.add_middleware(Answering, metrics=lambda: running().assessor.metrics)

    def allow(request: Request, scope: Scope) -> None:
        running().gate.admit_without_body(request.scope, scope)

    @app.exception_handler(Refusal)
    def refused(request: Request, refusal: Refusal) -> Response:
        headers = {name.decode(): value.decode() for name, value in headers_of_refusal(refusal)}
        if refusal.status == 401 and "text/html" in request.headers.get("accept", ""):
            headers["www-authenticate"] = 'Basic realm="burana: any name, a key as password"'
        return Response(refusal.body, refusal.status, headers, media_type="application/json")

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> Response:
        allowed = _methods(request.url.path) if error.status_code == 405 else None
        text = f"{request.url.path[:128]} takes {allowed}" if allowed else "there is no such path"
        problem = Problem("refused", text, allowed=allowed) if allowed else Problem("not_found", text)
        return refused(request, Refusal(error.status_code, problem))

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz")
    async def readyz() -> Response:
        status = running().readiness.status
        return JSONResponse({"status": status, **_state(running())}, 200 if status == "ready" else 503)

    @app.get("/metrics")
    def metrics(request: Request) -> Response:
        allow(request, Scope.METRICS)
        measure(running())
        return Response(running().assessor.metrics.text(), media_type="text/plain; version=0.0.4")

    @app.get("/v1/operations/{operation_id:path}/explanation")
    def explanation(operation_id: str, request: Request) -> Response:
        allow(request, Scope.READ)
        try:
            found = explanations.of(running().ledger, operation_id)
        except UnknownOperationError:
            if (entry := running().ledger.find("operation", f"{operation_id}/explanation")) is None:
                raise _unknown(operation_id) from None
            return _stored(running().plan, entry)
        return Response(msgspec.json.encode(found), media_type="application/json")

    @app.get("/v1/operations/{operation_id:path}")  # an id may hold a slash
    def operation(operation_id: str, request: Request) -> Response:
        allow(request, Scope.READ)
        entry = running().ledger.find("operation", operation_id)
        if entry is None:
            raise _unknown(operation_id)
        return _stored(running().plan, entry)

    @app.get("/openapi.json")
    def openapi(request: Request) -> dict[str, Any]:
        allow(request, Scope.READ)
        return description()

    @app.get("/docs")
    def docs(request: Request) -> HTMLResponse:
        allow(request, Scope.READ)
        policy = "default-src 'none'; style-src 'unsafe-inline'"
        return HTMLResponse(page(description()), headers={"content-security-policy": policy})

    for room in (audit_api, registry_api, proposals_api, rules_api, coverage_api):
        app.include_router(_with_heads(room.router(running, allow)))
    _with_heads(app.router)
    return app


def _with_heads(router: APIRouter) -> APIRouter:
    """What is read is asked for by HEAD as well (RFC 9110, 9.3.2), as balancers and monitors do; uvicorn leaves the body out."""
    for route in router.routes:
        if isinstance(route, APIRoute) and route.methods is not None and "GET" in route.methods:
            route.methods.add("HEAD")
    return router


_FORMS = [(compile_path(route.path.replace("{operation_id}", "{operation_id:path}"))[0], route.method) for route in ROUTES]


def _methods(path: str) -> str:
    """What a path takes, over all routes that it has."""
    taken = {method for form, method in _FORMS if form.match(path)}
    return ", ".join(sorted(taken | {"HEAD"} if "GET" in taken else taken))


def measure(running: Running) -> None:
    """Set the metrics that are read when somebody asks."""
    figures, assessor = running.assessor.metrics, running.assessor
    figures.recording(assessor.records.waiting, assessor.records.oldest_s, running.tenure.behind)
    figures.entities.set(assessor.records.engine.entities)
    figures.ready(running.readiness.status == "ready", running.readiness.checks.items())
    running.snapshots.tell()
    profiles = assessor.layers.profiles
    if profiles is None or (day := profiles.newest_day) is None:
        figures.profiles(None)
    else:
        figures.profiles(day, age_s(day, datetime.now(UTC)))
    if (live := assessor.layers.live) is not None:
        figures.drifted(*live.findings())


def _unknown(operation_id: str) -> Refusal:
    return Refusal(404, Problem("unknown_operation", f"operation {operation_id[:128]} is not recorded", "operation_id"))


def _stored(plan: Plan, entry: Entry) -> Response:
    """A decision with its evidence."""
    stored = {
        "sequence": entry.sequence, "recorded_at": entry.recorded_at, "operation": msgspec.Raw(entry.body),
        "decision": None if entry.answer is None else msgspec.Raw(entry.answer), "features": _named(plan, entry),
        "evidence": None if entry.evidence is None else msgspec.Raw(entry.evidence),
    }  # fmt: skip
    return Response(msgspec.json.encode(stored), media_type="application/json")


def _named(plan: Plan, entry: Entry) -> Any:
    """The stored vector by name; without names where other declarations made it, None where there is none."""
    if entry.vector is None:
        return None
    values = [None if math.isnan(value) else value for value in np.frombuffer(entry.vector, "<f8").tolist()]
    made_by = msgspec.json.decode(entry.evidence or b"{}").get("declarations")
    names = {features.hash: features.names for features in (FeatureSet(plan, False), FeatureSet(plan))}
    return dict(zip(names[made_by], values, strict=True)) if made_by in names else values


def _state(running: Running) -> dict[str, Any]:
    """What /readyz tells beside the status; see `answers.Readiness`."""
    state: dict[str, Any] = {"checks": running.readiness.checks}
    if (behind := running.tenure.behind) is not None:
        state["behind"] = behind
    if (profiles := running.assessor.layers.profiles) is not None:
        day = profiles.newest_day
        state["profiles"] = None if day is None else date_of(day).isoformat()
    return state
