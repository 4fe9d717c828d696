"""Who may call, what they are shown, and that nothing of the inside leaves."""

import base64
import html
import re
import time
from collections.abc import Callable

import pytest

from casework import database as databases
from casework import keys
from casework.keys import Scope
from casework.registry_feeds import FeedPage
from domain.identifiers import IdentifierKind
from domain.listing import List
from serving.page import page
from serving.registry_answers import ToDecide, ToFind, ToImport, ToList, ToRemove
from serving.routes import EXAMPLES
from serving.settings import Settings
from serving.signatures import COMPONENTS
from tests import registry
from tests.serving.examples import body, event, operation, outcome
from tests.serving.running import Answer, Server, key_of, rows_in

OPERATIONS = "/v1/operations"
ROUTES = {
    ("POST", "/v1/operations"): Scope.OPERATIONS,
    ("POST", "/v1/events"): Scope.EVENTS,
    ("POST", "/v1/outcomes"): Scope.OUTCOMES,
    ("GET", "/v1/operations/op-1"): Scope.READ,
    ("GET", "/v1/operations/op-1/explanation"): Scope.READ,
    ("GET", "/v1/audit"): Scope.AUDIT,
    ("GET", "/v1/audit/checkpoint"): Scope.AUDIT,
    ("GET", "/v1/audit/consistency?older=1&newer=1"): Scope.AUDIT,
    ("GET", "/v1/audit/1"): Scope.AUDIT,
    ("GET", "/v1/audit/1/proof"): Scope.AUDIT,
    ("GET", "/v1/registry"): Scope.REGISTRY,
    ("POST", "/v1/registry"): Scope.REGISTRY,
    ("POST", "/v1/registry/search"): Scope.REGISTRY,
    ("POST", "/v1/registry/import"): Scope.REGISTRY,
    ("GET", "/v1/registry/export?kind=phone"): Scope.REGISTRY,
    ("GET", "/v1/registry/feed?list=watched"): Scope.REGISTRY,
    ("POST", "/v1/registry/feeds/none"): Scope.REGISTRY,
    ("GET", "/v1/registry/quality"): Scope.REGISTRY,
    ("GET", "/v1/registry/entries/999999"): Scope.REGISTRY,
    ("POST", "/v1/registry/entries/999999/removal"): Scope.REGISTRY,
    ("GET", "/v1/proposals"): Scope.APPROVE,
    ("GET", "/v1/proposals/999999"): Scope.APPROVE,
    ("POST", "/v1/proposals/999999/decision"): Scope.APPROVE,
    ("GET", "/v1/rules"): Scope.RULES,
    ("GET", "/v1/rules/takeover"): Scope.RULES,
    ("GET", "/v1/rules/takeover/history"): Scope.RULES,
    ("PUT", "/v1/rules/takeover"): Scope.RULES,
    ("POST", "/v1/rules/takeover/shadow"): Scope.RULES,
    ("POST", "/v1/rules/takeover/live"): Scope.RULES,
    ("POST", "/v1/rules/takeover/off"): Scope.RULES,
    ("GET", "/v1/rule-coverage?days=1"): Scope.RULES,
    ("GET", "/v1/rule-coverage/picture"): Scope.RULES,
    ("GET", "/v1/policies"): Scope.RULES,
    ("GET", "/v1/policies/rules-0"): Scope.RULES,
    ("POST", "/v1/policies/rules-0/roll-back"): Scope.RULES,
    ("GET", "/v1/rule-vocabulary"): Scope.RULES,
    ("GET", "/v1/rule-coverage"): Scope.RULES,
    ("GET", "/metrics"): Scope.METRICS,
    ("GET", "/openapi.json"): Scope.READ,
    ("GET", "/docs"): Scope.READ,
}
NOT_THERE = {
    ("GET", "/v1/audit/checkpoint"): 404, ("GET", "/v1/audit/1/proof"): 409, ("POST", "/v1/registry/feeds/none"): 404,
    ("GET", "/v1/registry/entries/999999"): 404, ("POST", "/v1/registry/entries/999999/removal"): 404,
    ("GET", "/v1/proposals/999999"): 404, ("POST", "/v1/proposals/999999/decision"): 404, ("GET", "/v1/policies/rules-0"): 404,
} | {(method, path): 400 for (method, path), scope in ROUTES.items() if scope is Scope.RULES and method != "GET"}  # fmt: skip
"""What a key with the scope is told of what nobody has made, kept or said."""
BODIES = {
    "/v1/registry": EXAMPLES[ToList], "/v1/registry/search": EXAMPLES[ToFind], "/v1/registry/import": EXAMPLES[ToImport], "/v1/registry/feeds/none": EXAMPLES[FeedPage],
    "/v1/registry/entries/999999/removal": EXAMPLES[ToRemove], "/v1/proposals/999999/decision": EXAMPLES[ToDecide],
}  # fmt: skip


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def soon(claim: Callable[[], bool], seconds: float = 1.0) -> bool:
    """Whether a claim holds within a second."""
    until = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture(scope="module")
def scoped(server) -> dict[Scope, str]:
    """A key for each scope, and none of the others."""
    made = {scope: key_of(server.database, scope, caller=f"only {scope}") for scope in Scope}
    last = made[list(Scope)[-1]]
    assert soon(lambda: server.ask("GET", "/metrics", headers=bearer(last)).status != 401)
    return made


# ---- keys ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization",
    [
        "", "Bearer", "Bearer ", "Bearer burana", "Bearer burana__", "Bearer burana_0123456789ab_secret", "Basic", "Basic %%%",
        "Basic é", "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(), "Basic " + base64.b64encode(b"no colon").decode(),
        "Digest x", "Bearer é", "bearer " + "x" * 5_000,
    ],
)  # fmt: skip
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_a_live_key_every_route_is_401(server, method, path, authorization):
    headers = {"Authorization": authorization.encode("latin-1")} if authorization else {}
    answer = server.ask(method, path, body(operation()) if method in {"POST", "PUT"} else None, headers)
    assert answer.status == 401
    assert answer.json["error"]["code"] == "unauthenticated"
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("scope", Scope)
def test_a_key_opens_what_its_scope_names_and_nothing_else(server, scoped, method, path, scope):
    content = {"/v1/operations": operation(1), "/v1/events": event(1), "/v1/outcomes": outcome(1), **BODIES}.get(path)
    server.ask("POST", OPERATIONS, body(operation(1)))
    answer = server.ask(method, path, body(content) if content else None, bearer(scoped[scope]))
    if ROUTES[method, path] is scope:
        assert answer.status == NOT_THERE.get((method, path), 200), answer.body
    else:
        assert answer.status == 403
        assert answer.json["error"]["allowed"] == ROUTES[method, path]


def test_a_refused_caller_leaves_nothing(server, scoped):
    before = rows_in(server.database)
    for headers in ({}, bearer(scoped[Scope.READ])):
        server.ask("POST", OPERATIONS, body(operation(777)), headers)
    assert rows_in(server.database) == before


def test_a_browser_may_send_the_key_as_password(server):
    password = base64.b64encode(f"anyone:{server.key}".encode()).decode()
    assert server.ask("GET", "/docs", headers={"Authorization": f"Basic {password}"}).status == 200
    asked = server.ask("GET", "/docs", headers={"Accept": "text/html"})
    assert (asked.status, asked.headers["www-authenticate"].split()[0]) == (401, "Basic")


def test_a_revoked_key_is_worthless_within_a_second(server):
    key = key_of(server.database, Scope.READ, caller="to be revoked")
    assert soon(lambda: server.ask("GET", "/docs", headers=bearer(key)).status == 200), "a new key is live within a second"
    with databases.connect(server.database) as database:
        keys.revoke(database, key.split("_")[1], "the tests", "lost")
    assert soon(lambda: server.ask("GET", "/docs", headers=bearer(key)).status == 401)


def test_a_key_is_not_stored_and_not_logged(server):
    secret = server.key.split("_", 2)[2]
    server.ask("POST", OPERATIONS, body(operation(5)))
    for path in server.home.iterdir():
        assert secret.encode() not in path.read_bytes(), path.name


# ---- the registry, while running -------------------------------------------------------------------------------------------


def test_a_running_server_obeys_the_registry_within_a_second_and_forgets_within_a_second(server):
    numbers = iter(range(10_000, 20_000))
    recipient = {"phone": "+996700111222"}

    def level() -> str:
        return server.ask("POST", OPERATIONS, body(operation(next(numbers), recipient=recipient))).json["level"]

    identifiers = Settings(home=server.home).identifiers()
    assert level() == "low"
    with databases.connect(server.database) as database:
        entry = registry.add(database, identifiers, IdentifierKind.PHONE, "0700-111-222", List.PROHIBITED, "the tests", "fraud")  # fmt: skip
        assert soon(lambda: level() == "high")
        registry.remove(database, entry, "the tests", "by mistake")
        assert soon(lambda: level() == "low")
        registry.add(database, identifiers, IdentifierKind.PHONE, "996700111222", List.WATCHED, "the tests", "odd")
        assert soon(lambda: level() == "medium")


# ---- what is shown ---------------------------------------------------------------------------------------------------------


def test_a_decision_is_shown_with_its_evidence(server):
    given = server.ask("POST", OPERATIONS, body(operation(21)))
    shown = server.ask("GET", f"{OPERATIONS}/op-21").json
    assert shown["decision"] == given.json
    assert shown["sequence"] == given.json["sequence"]
    assert shown["operation"]["operation_id"] == "op-21"
    assert shown["operation"]["occurred_at"] == "2025-06-02T04:00:21Z"
    assert shown["features"]["operation_amount"] == operation(21)["amount"]["minor"]
    assert shown["features"]["customer_sent_device_is_new"] in (None, 0.0, 1.0), "missing is null, not NaN"
    assert set(shown["evidence"]) == {
        "declarations",
        "limit_tyiyn",
        "registry",
        "registry_change",
        "shadow",
        "failed",
        "control",
        "shares",
    }


def test_a_card_number_is_shown_as_its_token_only(server):
    card = "4111111111111111"
    given = server.ask("POST", OPERATIONS, body(operation(22, recipient={"card": card})))
    shown = server.ask("GET", f"{OPERATIONS}/op-22")
    assert given.status == shown.status == 200
    assert shown.json["operation"]["recipient"]["card"].startswith("card-")
    assert card.encode() not in given.body + shown.body
    assert all(card.encode() not in path.read_bytes() for path in server.home.iterdir())


@pytest.mark.parametrize("id_", ["a/b/c", "a?b", "a%2Fb", "#1", "..", "a//b/", "a+b&c=d"])
def test_an_id_of_any_letters_is_found_again(server, id_):
    assert server.ask("POST", OPERATIONS, body(operation(23, operation_id=id_))).status == 200
    quoted = "".join(f"%{byte:02X}" for byte in id_.encode())
    found = server.ask("GET", f"{OPERATIONS}/{quoted}")
    assert found.status == 200
    assert found.json["operation"]["operation_id"] == id_


@pytest.mark.parametrize("id_", ["unknown", "%00", "%FF", "x" * 5_000, "' OR 1=1 --".replace(" ", "%20")])
def test_an_unknown_id_is_404(server, id_):
    answer = server.ask("GET", f"{OPERATIONS}/{id_}")
    assert (answer.status, answer.json["error"]["code"]) == (404, "unknown_operation")
    assert len(answer.body) < 1_000


def test_health_needs_no_key(server):
    assert server.ask("GET", "/livez", headers={}).json == {"status": "alive"}
    told = server.ask("GET", "/readyz", headers={}).json
    assert (told["status"], set(told), set(told["checks"].values())) == ("ready", {"status", "checks"}, {True})


def test_metrics_count_decisions_answers_and_seconds(server):
    def figures() -> dict[str, float]:
        lines = server.ask("GET", "/metrics").body.decode().splitlines()
        return {
            name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
        }

    before = figures()
    level = server.ask("POST", OPERATIONS, body(operation(31))).json["level"]
    server.ask("POST", OPERATIONS, b"")
    after = figures()

    def risen(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert risen(f'burana_decisions_total{{level="{level}"}}') == 1
    assert risen('burana_answers_total{route="/v1/operations",status="200"}') == 1
    assert risen('burana_answers_total{route="/v1/operations",status="400"}') == 1
    assert risen('burana_seconds_count{route="/v1/operations"}') == 2
    assert after["burana_waiting"] == 0
    assert after["burana_entities"] > 0


# ---- the description -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def description(server) -> dict:
    return server.ask("GET", "/openapi.json").json


def references(part: object) -> list[str]:
    """Every $ref below a part of the description."""
    if isinstance(part, dict):
        here = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return here + [found for value in part.values() for found in references(value)]
    return [found for value in part for found in references(value)] if isinstance(part, list) else []


def template(path: str) -> str:
    path, named = path.partition("?")[0], {"operations/": "operation_id", "audit/": "audit_id", "entries/": "entry_id"}
    named |= {"proposals/": "proposal_id", "feeds/": "feed"}
    for before, name in named.items():
        path = re.sub(rf"({before})(op-1|1|999999|none)", rf"\1{{{name}}}", path)
    return path.replace("takeover", "{rule_id}").replace("rules-0", "{policy_id}")


def test_the_description_is_openapi_and_names_every_route(description):
    assert description["openapi"].startswith("3.1")
    assert set(description["info"]) >= {"title", "version"}
    named = {(method.upper(), path) for path, methods in description["paths"].items() for method in methods}
    wanted = {(method, template(path)) for method, path in ROUTES}
    assert named == wanted | {("GET", "/livez"), ("GET", "/readyz")}
    for path, methods in description["paths"].items():
        for route in methods.values():
            assert route["summary"]
            assert all(answer["description"] for answer in route["responses"].values()), path
            in_path = [parameter["name"] for parameter in route.get("parameters", []) if parameter["in"] == "path"]
            assert in_path == re.findall(r"{(\w+)}", path)


def test_every_reference_of_the_description_leads_somewhere(description):
    found = references(description)
    assert found
    for reference in found:
        part = description
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]
        assert part


def test_the_description_says_what_an_operation_is(description):
    schema = description["components"]["schemas"]["Operation"]
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == {"operation_id", "occurred_at", "kind", "amount", "sender", "recipient"}
    assert set(operation()) <= set(schema["properties"])


def test_every_refusal_that_is_given_is_described(server, description):
    described = set(description["paths"][OPERATIONS]["post"]["responses"])
    given = {
        str(server.ask("POST", OPERATIONS, content, headers).status)
        for content, headers in ((b"", None), (b"{}", None), (body(operation(41)), {}), (body(operation(41)), None),
                                 (body(operation(41, purpose="other")), None), (b" " * 70_000, None))
    }  # fmt: skip
    assert given == {"200", "400", "401", "409", "413", "422"}
    assert given <= described


def test_the_page_loads_nothing_and_shows_every_route(server, description):
    answer = server.ask("GET", "/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    text = answer.body.decode()
    assert all(path in text for path in description["paths"])
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "").lower().partition("<main>")[0]


# ---- nothing of the inside leaves ------------------------------------------------------------------------------------------


def test_the_page_says_how_a_request_is_signed_and_what_each_route_asks_for(description):
    shown = html.unescape(page(description))
    assert all(f'"{component}"' in shown for component in COMPONENTS)
    for route in (route for methods in description["paths"].values() for route in methods.values()):
        assert route.get("description", "").replace("`", "") in re.sub("<.*?>", "", shown)
        assert all(f"<code>{one['name']}</code></td><td>{one['in']}: " in shown for one in route.get("parameters", ()))


def test_no_answer_names_a_file_a_module_or_the_server(server):
    asked: list[Answer] = [
        server.ask("GET", "/nowhere"),
        server.ask("GET", OPERATIONS + "/unknown"),
        server.ask("POST", OPERATIONS, b"\xff"),
        server.ask("POST", OPERATIONS, body(operation(kind="gift"))),
        server.ask("DELETE", "/docs"),
        server.ask("GET", "/docs", headers={}),
    ]
    for answer in asked:
        assert 400 <= answer.status < 500
        assert set(answer.json) == {"error"}
        assert "server" not in answer.headers
        for word in (b"Traceback", b".py", b"msgspec", b"sqlite", str(server.home).encode()):
            assert word not in answer.body


def test_the_log_of_all_these_requests_has_no_stack_trace(server: Server):
    assert "Traceback" not in server.log.read_text()
