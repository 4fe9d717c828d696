"""OpenAPI 3.1 of the whole interface, made from the routes and the domain's structs."""

import re
from typing import Any

import msgspec

from domain.money import REFERENCE_RATES
from domain.operation import ACCOUNT_FIELDS, Operation
from serving.answers import Description, Readiness
from serving.contracts import Problem
from serving.queries import LARGEST_NUMBER
from serving.routes import EXAMPLES, REFUSALS, ROUTES, Route

VERSION = "1.0.0"
_ABOUT = (
    "JSON over HTTP. Every call but health carries `Authorization: Bearer KEY`; a key that signs its requests also sends "
    "`Content-Digest`, `Signature-Input` and `Signature` (see the scheme `signature`). A path that is not here is 404, another "
    "method 405 with `Allow`; every refusal has the body `Refusal`."
)
_SIGNATURE = (
    "For keys made with `burana keys make --signed`. HTTP Message Signatures (RFC 9421) by hmac-sha256 over exactly "
    '("@method" "@path" "@query" "content-digest"), with created, nonce and keyid, and Content-Digest (RFC 9530) by sha-256; '
    "each signature once. The secret, in hexadecimal, is shown when the key is made."
)
_NUMBER = {"type": "integer", "minimum": 1, "maximum": LARGEST_NUMBER}
_FEED = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9_-]+$"}
_NAME = {"type": "string", "pattern": "^[a-z0-9_-]{1,64}$"}
_SECONDS = {"description": "seconds after which to try again", "required": True, "schema": {"type": "integer", "minimum": 1}}
_HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"description": "how to say who calls", "required": True, "schema": {"type": "string"}}},
    429: {"Retry-After": _SECONDS},
    503: {"Retry-After": _SECONDS},
}


def description() -> Description:
    """The document; a new one at each call."""
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Burana", "version": VERSION, "description": _ABOUT},
        "security": [{"key": []}, {"key": [], "signature": []}],
        "paths": paths,
        "components": {"schemas": _schemas(), "securitySchemes": {
            "key": {"type": "http", "scheme": "bearer", "description": "made by `burana keys make`"},
            "signature": {"type": "apiKey", "in": "header", "name": "Signature", "description": _SIGNATURE},
        }},
    }  # fmt: skip


def _operation(route: Route) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": route.operation_id, "summary": route.summary, "responses": _responses(route)}
    if route.scope is None:
        described["security"] = []
    else:
        described["description"] = f"Asks for a key with the scope `{route.scope}`."
    if parameters := [*_in_path(route), *_in_query(route)]:
        described["parameters"] = parameters
    if route.takes is not None:
        content = {**_content(route.takes), "example": EXAMPLES[route.takes]}
        described["requestBody"] = {"required": True, "content": {"application/json": content}}
    return described


def _in_path(route: Route) -> list[dict[str, Any]]:
    schemas = {
        "operation_id": _id_schema(), "audit_id": _NUMBER, "entry_id": _NUMBER, "proposal_id": _NUMBER, "feed": _FEED,
        "rule_id": _NAME, "policy_id": _NAME,
    }  # fmt: skip
    names = re.findall(r"{(\w+)}", route.path)
    return [{"name": name, "in": "path", "required": True, "schema": schemas[name]} for name in names]


def _in_query(route: Route) -> list[dict[str, Any]]:
    """One for each field of what the route asks."""
    if route.asks is None:
        return []
    _, schemas = msgspec.json.schema_components([route.asks])
    asked = schemas[route.asks.__name__]
    required = asked.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _given(schema, schemas)}
        for name, schema in asked["properties"].items()
    ]


def _given(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter: what may be left out is left out, and never null; a list of words stands where it is asked for."""
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    kind = schemas[kinds[0]["$ref"].rpartition("/")[2]] if "$ref" in kinds[0] else kinds[0]
    return {name: value for name, value in kind.items() if name != "default" or value is not None}


def _responses(route: Route) -> dict[str, Any]:
    media = route.gives if isinstance(route.gives, str) else "application/json"
    schema = {"schema": {"type": "string"}} if isinstance(route.gives, str) else _content(route.gives)
    answer: dict[str, Any] = {"description": route.summary, "content": {media: schema}}
    if route.takes is Operation:
        answer["links"] = _links()
    responses = {"200": answer} | {str(status): _refusal(status) for status in sorted(route.refusals)}
    if route.gives is Readiness:
        responses["503"] = {"description": "not now", "content": {media: schema}}
    return responses


def _links() -> dict[str, Any]:
    """What follows from a decision: looking at it, explaining it, saying what the operation turned out to be."""
    id_ = "$response.body#/operation_id"
    return {
        "decision": {"operationId": "decision", "parameters": {"operation_id": id_}},
        "explanation": {"operationId": "explanation", "parameters": {"operation_id": id_}},
        "outcome": {"operationId": "record_outcome", "requestBody": {"operation_id": id_}},
    }


def _refusal(status: int) -> dict[str, Any]:
    refusal = {"description": REFUSALS[status], "content": {"application/json": _reference("Refusal")}}
    return {**refusal, "headers": _HEADERS[status]} if status in _HEADERS else refusal


def _content(type_: Any) -> dict[str, Any]:
    return {"schema": {"type": "object"}} if type_ is Description else _reference(type_.__name__)


def _reference(name: str) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{name}"}}


def _schemas() -> dict[str, Any]:
    """The structs' schemas, with the bounds that no struct can say."""
    types = {route.takes for route in ROUTES} | {route.gives for route in ROUTES}
    structs = sorted((t for t in types if isinstance(t, type) and issubclass(t, msgspec.Struct)), key=lambda t: t.__name__)
    _, schemas = msgspec.json.schema_components([*structs, Problem], ref_template="#/components/schemas/{name}")
    schemas["Party"]["anyOf"] = [{"required": [name]} for name in ACCOUNT_FIELDS]
    schemas["Money"]["properties"]["currency"]["enum"] = sorted(REFERENCE_RATES)
    schemas["Refusal"] = {"type": "object", "required": ["error"], "additionalProperties": False,
                          "properties": {"error": {"$ref": "#/components/schemas/Problem"}}}  # fmt: skip
    return dict(msgspec.json.decode(msgspec.json.encode(schemas)))  # defaults that are tuples are lists in JSON


def _id_schema() -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components([Operation], ref_template="#/components/schemas/{name}")
    return dict(schemas["Operation"]["properties"]["operation_id"])
