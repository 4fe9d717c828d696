"""Everything but the scoring route: health, metrics, decisions with their evidence, the description of the interface."""

import html
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse

from casework.keys import Keys, Scope
from casework.ledger import Entry, Ledger
from domain.decision import Decision
from domain.errors import BuranaError, UnknownOperationError
from domain.events import Event, Outcome
from domain.operation import Operation
from features.feature_set import FeatureSet
from features.plan import Plan
from features.profiles import date_of
from serving.assessor import Assessor
from serving.auth import authenticated
from serving.contracts import Problem, Recorded, Refusal, refusal_of
from serving.endpoint import refusal_headers
from serving.explanation import Explanation, Explanations
from serving.live_profiles import age_s

VERSION = "1.0.0"
RECORDS = {
    "/v1/operations": (Operation, Decision, "Assess an operation: level, action, score and reasons, once they are durable"),
    "/v1/events": (Event, Recorded, "Record an event of a customer"),
    "/v1/outcomes": (Outcome, Recorded, "Record what an operation turned out to be"),
}
REFUSALS = {
    "400": "not JSON", "401": "no live key", "403": "the key lacks the scope", "409": "the id is recorded with another body",
    "413": "the body is too large", "422": "a value is refused: field, seen, allowed", "503": "nothing is known to be recorded; send the same again",
}  # fmt: skip


def application(
    assessor: Callable[[], Assessor], ledger: Callable[[], Ledger], keys: Callable[[], Keys], plan: Plan,
    explanations: Explanations,
) -> FastAPI:  # fmt: skip
    """The FastAPI application; the callables give what is plugged in when the process starts."""
    app = FastAPI(title="Burana", version=VERSION, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)

    def allow(request: Request, scope: Scope) -> None:
        authenticated(keys(), request.headers.get("authorization"), scope)

    @app.exception_handler(Refusal)
    def refused(request: Request, refusal: Refusal) -> Response:
        headers = {name.decode(): value.decode() for name, value in refusal_headers(refusal)}
        if refusal.status == 401 and "text/html" in request.headers.get("accept", ""):
            headers["www-authenticate"] = 'Basic realm="burana: any name, a key as password"'
        return Response(refusal.body, refusal.status, headers, media_type="application/json")

    @app.exception_handler(BuranaError)
    def failed(request: Request, error: BuranaError) -> Response:
        return refused(request, refusal_of(error))

    @app.exception_handler(HTTPException)
    def http_error(_: Request, error: HTTPException) -> Response:
        problem = Problem("not_found" if error.status_code == 404 else "refused", str(error.detail))
        return Response(Refusal(error.status_code, problem).body, error.status_code, media_type="application/json")

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz")
    async def readyz() -> Response:
        ready = assessor().broken is None
        return JSONResponse({"status": "ready" if ready else "recovering", **_profiles(assessor())}, 200 if ready else 503)

    @app.get("/metrics")
    def metrics(request: Request) -> Response:
        allow(request, Scope.METRICS)
        figures = assessor().metrics
        figures.waiting.set(assessor().waiting)
        figures.entities.set(assessor().engine.entities)
        if (profiles := assessor().layers.profiles) is not None and (day := profiles.newest_day) is not None:
            figures.profile_age.set(age_s(day, datetime.now(UTC)))
        if (live := assessor().layers.live) is not None:
            figures.drifted(*live.findings())
        return Response(figures.text(), media_type="text/plain; version=0.0.4")

    @app.get("/v1/operations/{operation_id:path}/explanation")
    def explanation(operation_id: str, request: Request) -> Response:
        allow(request, Scope.READ)
        try:
            found = explanations.of(ledger(), operation_id)
        except UnknownOperationError:
            if ledger().find("operation", whole := f"{operation_id}/explanation") is None:
                raise _unknown(operation_id) from None
            return operation(whole, request)
        return Response(msgspec.json.encode(found), media_type="application/json")

    @app.get("/v1/operations/{operation_id:path}")  # an id may hold a slash
    def operation(operation_id: str, request: Request) -> Response:
        allow(request, Scope.READ)
        entry = ledger().find("operation", operation_id)
        if entry is None:
            raise _unknown(operation_id)
        features = _named(plan, entry)
        stored = {
            "sequence": entry.sequence, "recorded_at": entry.recorded_at, "operation": msgspec.Raw(entry.body),
            "decision": None if entry.answer is None else msgspec.Raw(entry.answer), "features": features,
            "evidence": None if entry.evidence is None else msgspec.Raw(entry.evidence),
        }  # fmt: skip
        return Response(msgspec.json.encode(stored), media_type="application/json")

    @app.get("/openapi.json")
    def openapi(request: Request) -> dict[str, Any]:
        allow(request, Scope.READ)
        return description()

    @app.get("/docs")
    def docs(request: Request) -> HTMLResponse:
        allow(request, Scope.READ)
        policy = "default-src 'none'; style-src 'unsafe-inline'"
        return HTMLResponse(_page(description()), headers={"content-security-policy": policy})

    return app


def _unknown(operation_id: str) -> Refusal:
    return Refusal(404, Problem("unknown_operation", f"operation {operation_id[:128]} is not recorded", "operation_id"))


def _named(plan: Plan, entry: Entry) -> Any:
    """The stored vector by name; without names where other declarations made it, None where there is none."""
    if entry.vector is None:
        return None
    values = [None if math.isnan(value) else value for value in np.frombuffer(entry.vector, "<f8").tolist()]
    made_by = msgspec.json.decode(entry.evidence or b"{}").get("declarations")
    names = {features.hash: features.names for features in (FeatureSet(plan, False), FeatureSet(plan))}
    return dict(zip(names[made_by], values, strict=True)) if made_by in names else values


def _profiles(assessor: Assessor) -> dict[str, str | None]:
    """The newest local day of the profiles at hand, null for none; nothing where the model asks for none."""
    if (profiles := assessor.layers.profiles) is None:
        return {}
    day = profiles.newest_day
    return {"profiles": None if day is None else date_of(day).isoformat()}


def description() -> dict[str, Any]:
    """OpenAPI 3.1 of the whole interface, from the domain's structs."""
    types = [Operation, Event, Outcome, Decision, Explanation, Recorded, Problem]
    _, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    components["Refusal"] = {"type": "object", "required": ["error"], "additionalProperties": False,
                             "properties": {"error": {"$ref": "#/components/schemas/Problem"}}}  # fmt: skip
    paths: dict[str, Any] = {path: {"post": _post(*record)} for path, record in RECORDS.items()}
    read = {"401": _refusal("401"), "403": _refusal("403")}
    identifier = {"name": "operation_id", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 128}}
    found = {
        "200": {"description": "The decision with its operation, features and evidence"},
        "404": _refusal("not recorded"),
    }
    paths["/v1/operations/{operation_id}"] = {
        "get": {"summary": "A decision with its evidence", "parameters": [identifier], "responses": found | read}
    }
    paths["/v1/operations/{operation_id}/explanation"] = {
        "get": {
            "summary": "What the score of a decision was made of: criteria and features, exactly",
            "parameters": [identifier],
            "responses": {
                "200": {"description": "The score and its parts", "content": _content("Explanation")},
                "404": _refusal("not recorded"), "409": _refusal("nothing to explain it by: the message says what is missing"),
            } | read,
        }
    }  # fmt: skip
    for path, summary in (("/livez", "The process is alive"), ("/readyz", "The process takes records")):
        responses = {"200": {"description": summary}, "503": {"description": "not now"}}
        paths[path] = {"get": {"summary": summary, "security": [], "responses": responses}}
    for path, summary in (("/metrics", "Prometheus metrics"), ("/openapi.json", "This description"), ("/docs", "This page")):
        paths[path] = {"get": {"summary": summary, "responses": {"200": {"description": summary}} | read}}
    security = {"key": {"type": "http", "scheme": "bearer", "description": "made by `burana keys make`"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Burana", "version": VERSION},
        "security": [{"key": []}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": security},
    }


def _post(request: type, answer: type, summary: str) -> dict[str, Any]:
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": _content(request.__name__)},
        "responses": {"200": {"description": "recorded", "content": _content(answer.__name__)}}
        | {status: _refusal(text) for status, text in REFUSALS.items()},
    }


def _content(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _refusal(text: str) -> dict[str, Any]:
    return {"description": text, "content": _content("Refusal")}


_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}
code,pre{font:14px/1.45 ui-monospace,monospace;background:#f2f2f0}pre{padding:.8rem;overflow:auto}table{border-collapse:collapse}
td,th{text-align:left;padding:.2rem .9rem .2rem 0;vertical-align:top}h2{margin-top:2rem;border-top:1px solid #ccc;padding-top:1rem}
@media (prefers-color-scheme:dark){body{color:#e8e8e8;background:#161616}code,pre{background:#262626}}"""
_EXAMPLE = {
    "operation_id": "2026-11-22-000001", "occurred_at": "2026-11-22T10:15:00+06:00", "kind": "domestic_transfer",
    "amount": {"minor": 1250000, "currency": "KGS"}, "sender": {"customer_id": "c-1001", "account": "1240020000012345"},
    "recipient": {"phone": "0555 123 456", "institution": "bank-2"}, "device": {"id": "d-77", "ip": "192.0.2.10"},
}  # fmt: skip


def _page(description: dict[str, Any]) -> str:
    """The description for people: no script, nothing loaded from elsewhere."""
    sections = []
    for path, methods in description["paths"].items():
        for method, route in methods.items():
            rows = "".join(
                f"<tr><td><code>{status}</code></td><td>{html.escape(answer['description'])}</td></tr>"
                for status, answer in route["responses"].items()
            )
            sections.append(
                f"<h2><code>{method.upper()} {html.escape(path)}</code></h2><p>{html.escape(route['summary'])}.</p><table>{rows}</table>"
            )
    schemas = "".join(
        f"<h2 id={json.dumps(name)}>{html.escape(name)}</h2><pre>{html.escape(json.dumps(schema, indent=1, ensure_ascii=False))}</pre>"
        for name, schema in description["components"]["schemas"].items()
    )
    example = html.escape(json.dumps(_EXAMPLE, indent=1))
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'><title>Burana: the "
        f"interface</title><style>{_STYLE}</style><main><h1>Burana: the interface</h1><p>JSON over HTTP. Every call but health carries "
        f"<code>Authorization: Bearer KEY</code>.</p><p>An operation, as <code>POST /v1/operations</code> takes it:</p>"
        f"<pre>{example}</pre>{''.join(sections)}{schemas}</main></html>"
    )
