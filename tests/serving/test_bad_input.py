"""Whatever a caller sends, what cannot be read is refused with its field named, and leaves nothing behind."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from casework.proposals import Ruling
from casework.registry_feeds import FeedAction, FeedPage
from domain.criteria import Scheme
from domain.events import Event, EventType, Outcome
from domain.identifiers import IdentifierKind
from domain.misfits import INSTANT
from domain.money import Money
from domain.operation import Kind, Operation
from serving.contracts import Refusal, decoded
from serving.registry_answers import ToDecide, ToImport, ToList
from serving.routes import ROUTES
from serving.rule_views import EditedRule
from tests.serving.examples import body, event, operation, outcome
from tests.serving.generated_bodies import mutated
from tests.serving.running import Answer, Trace, rows_in

OPERATIONS, EVENTS, OUTCOMES = "/v1/operations", "/v1/events", "/v1/outcomes"
TEXT = body(operation()).decode()
LONG = "5" * 129


def raw(old: str, new: str) -> bytes:
    """The example operation with a piece of its text exchanged."""
    assert old in TEXT
    return TEXT.replace(old, new, 1).encode()


def structs_in(type_: Any) -> set[type]:
    """Every struct that a body of a type is made of."""
    found, seen = [inspect.type_info(type_)], set()
    while found:
        one = found.pop()
        if isinstance(one, inspect.StructType) and one.cls not in seen:
            seen.add(one.cls)
            found += [field.type for field in one.fields]
        found += getattr(one, "types", ())
        found += [getattr(one, part) for part in ("item_type", "value_type") if hasattr(one, part)]
    return seen


def minor(text: str) -> bytes:
    return raw('"minor": 10037', f'"minor": {text}')


def problem(answer: Answer, status: int) -> dict[str, Any]:
    """The problem of a refusal, which is all that its body holds."""
    assert answer.status == status, answer.body
    assert set(answer.json) == {"error"}
    found = answer.json["error"]
    assert set(found) <= {"code", "message", "field", "seen", "allowed"}
    assert found["code"]
    assert found["message"]
    assert "Traceback" not in found["message"]
    return found


NOT_JSON = {
    "an empty body": b"",
    "a truncated body": body(operation())[:-7],
    "an open string": b'{"operation_id": "op',
    "something after the end": body(operation()) + b"x",
    "two records": body(operation()) + body(operation(2)),
    "NaN": minor("NaN"),
    "single quotes": TEXT.replace('"', "'").encode(),
    "a comment": b"/* op */" + body(operation()),
    "not UTF-8": raw('"rent"', '"r\u00e9nt"').decode().encode("latin-1"),
    "UTF-16": TEXT.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + body(operation()),
    "a NUL": b"\x00",
    "a lone surrogate, escaped": raw('"rent"', '"\\ud800"'),
    "a lone surrogate in UTF-8": body(operation()).replace(b'"rent"', b'"\xed\xa0\x80"'),
    "a form": b"operation_id=op-1&kind=top_up",
}

NOT_AN_OBJECT = {
    "an array": b"[]",
    "an array of operations": body([operation()]),
    "null": b"null",
    "a string": b'"op-1"',
    "a number": b"1",
    "deep arrays": b"[" * 30_000,
}

WRONG: dict[str, tuple[bytes, str]] = {
    # what is wrong: the body, the field that the refusal names
    "an unknown field": (body(operation(score=0.0)), "score"),
    "an unknown field of a part": (body(operation(sender={"account": "1", "iban": "2"})), "sender.iban"),
    "a feature sent by the caller": (body(operation(features={"customer_sent_count_1h": 0})), "features"),
    "a field twice": (raw('"kind":', '"operation_id": "op-2", "kind":'), "operation_id"),
    "a field of a part twice": (raw('"phone":', '"phone": "+996555000009", "phone":'), "phone"),
    "a part twice": (raw('"kind":', '"amount": {"minor": 1, "currency": "KGS"}, "kind":'), "amount"),
    "deep objects": (b'{"sender":' * 10_000, "sender.sender"),
    "deep arrays in a field": (raw('"rent"', "[" * 20_000), "purpose"),
    "an amount that is a float": (minor("100.0"), "amount.minor"),
    "an amount with an exponent": (minor("1e2"), "amount.minor"),
    "an amount that is text": (minor('"100"'), "amount.minor"),
    "an amount that is true": (minor("true"), "amount.minor"),
    "an amount that is null": (minor("null"), "amount.minor"),
    "a negative amount": (minor("-1"), "amount.minor"),
    "an amount beyond 64 bits": (minor(str(2**63)), "amount.minor"),
    "an amount of five thousand digits": (minor("9" * 5_000), "amount.minor"),
    "an amount beyond any float": (minor("1e999"), "amount.minor"),
    "an amount above the bound": (minor(str(10**12 + 1)), "amount.minor"),
    "dollars above the bound": (body(operation(amount={"minor": 10**11, "currency": "USD"})), "amount.minor"),
    "an amount without a currency": (body(operation(amount={"minor": 1})), "amount.currency"),
    "an amount that is a number": (body(operation(amount=100)), "amount"),
    "no amount": (body(operation(amount=None)), "amount"),
    "an unknown currency": (body(operation(amount={"minor": 1, "currency": "XXX"})), "amount.currency"),
    "a currency in lower case": (body(operation(amount={"minor": 1, "currency": "kgs"})), "amount.currency"),
    "a currency and a line end": (body(operation(amount={"minor": 1, "currency": "KGS\n"})), "amount.currency"),
    "a naive time": (body(operation(occurred_at="2025-06-02T10:00:00")), "occurred_at"),
    "a time that is a number": (body(operation(occurred_at=1_748_836_800)), "occurred_at"),
    "a day that does not exist": (body(operation(occurred_at="2025-02-30T10:00:00Z")), "occurred_at"),
    "a time before 2000": (body(operation(occurred_at="1999-12-31T23:59:59.999Z")), "occurred_at"),
    "a time an hour ahead": (body(operation(occurred_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())), "occurred_at"),
    "the last time there is": (body(operation(occurred_at="9999-12-31T23:59:59-23:59")), "occurred_at"),
    "the first time there is": (body(operation(occurred_at="0001-01-01T00:00:00+23:59")), "occurred_at"),
    "an unknown kind": (body(operation(kind="gift")), "kind"),
    "no kind": (body(operation(kind=None)), "kind"),
    "no id": (body(operation(operation_id=None)), "operation_id"),
    "an empty id": (body(operation(operation_id="")), "operation_id"),
    "an id with a blank": (body(operation(operation_id="op 1")), "operation_id"),
    "an id with a NUL": (body(operation(operation_id="op\0")), "operation_id"),
    "an id that is not ASCII": (body(operation(operation_id="оп-1")), "operation_id"),
    "an id of 129 characters": (body(operation(operation_id=LONG)), "operation_id"),
    "an id that is a number": (body(operation(operation_id=1)), "operation_id"),
    "no sender": (body(operation(sender=None)), "sender"),
    "no recipient": (body(operation(recipient=None)), "recipient"),
    "a sender without identifiers": (body(operation(sender={})), "sender"),
    "a recipient that only has a country": (body(operation(recipient={"country": "KG"})), "recipient"),
    "a sender that is text": (body(operation(sender="c-1")), "sender"),
    "an empty identifier": (body(operation(sender={"account": ""})), "sender.account"),
    "an identifier of blanks": (body(operation(sender={"account": "   "})), "sender.account"),
    "an identifier of control characters": (body(operation(sender={"account": "\x00\x01\x7f"})), "sender.account"),
    "an identifier of 129 characters": (body(operation(recipient={"phone": LONG})), "recipient.phone"),
    "a phone of letters": (body(operation(recipient={"phone": "call me"})), "recipient.phone"),
    "a card with a wrong check digit": (body(operation(recipient={"card": "4111111111111112"})), "recipient.card"),
    "a country that is none": (body(operation(recipient={"phone": "0555123456", "country": "XX"})), "recipient.country"),
    "an address that is none": (body(operation(device={"ip": "300.1.1.1"})), "device.ip"),
    "a latitude beyond the pole": (body(operation(device={"latitude": 90.5})), "device.latitude"),
    "vpn as text": (body(operation(device={"vpn": "no"})), "device.vpn"),
    "scripts mixed in a word": (body(operation(access={"login_method": "pаssword"})), "access.login_method"),
    "a category of letters": (body(operation(category="food")), "category"),
    "a purpose of 501 characters": (body(operation(purpose="x" * 501)), "purpose"),
}  # fmt: skip

WRONG_EVENTS: dict[str, tuple[bytes, str]] = {
    "an unknown type": (body(event(type="sneezed")), "type"),
    "no customer": (body(event(customer=None)), "customer"),
    "a customer without identifiers": (body(event(customer={})), "customer"),
    "no id": (body(event(event_id=None)), "event_id"),
    "a naive time": (body(event(occurred_at="2025-06-02T10:00:00")), "occurred_at"),
    "a time ahead": (body(event(occurred_at="2999-01-01T00:00:00Z")), "occurred_at"),
    "an unknown field": (body(event(amount=1)), "amount"),
    "a field twice": (b'{"event_id": "a", ' + body(event())[1:], "event_id"),
    "an operation in its place": (body(operation()), "kind"),
}

WRONG_OUTCOMES: dict[str, tuple[bytes, str]] = {
    "an operation that is not recorded": (body(outcome(999)), "operation_id"),
    "an unknown verdict": (body(outcome(verdict="maybe")), "verdict"),
    "an unknown source": (body(outcome(source="rumour")), "source"),
    "an unknown scheme": (body(outcome(scheme="magic")), "scheme"),
    "a time ahead": (body(outcome(known_at="2999-01-01T00:00:00Z")), "known_at"),
    "no id": (body(outcome(outcome_id=None)), "outcome_id"),
    "a field twice": (b'{"outcome_id": "a", ' + body(outcome())[1:], "outcome_id"),
}


@pytest.fixture(scope="module", autouse=True)
def _behaviour(shared_burana):
    """Some history, so that a trace would be seen."""
    for number in range(1, 30):
        assert shared_burana.post(OPERATIONS, body(operation(number, operation_id=f"before-{number}"))).status == 200


def refused(burana, route: str, content: bytes, status: int) -> dict[str, Any]:
    """The problem that a body is answered with, which left nothing behind."""
    before = burana.trace()
    found = problem(burana.post(route, content), status)
    assert burana.trace() == before
    assert burana.burana.assessor.records.waiting == 0
    return found


@pytest.mark.parametrize("content", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_what_is_not_json_in_utf_8_is_400(shared_burana, content):
    assert refused(shared_burana, OPERATIONS, content, 400)["code"] == "malformed"


@pytest.mark.parametrize(("route", "content"), [(EVENTS, body(event())), (OUTCOMES, body(outcome()))])
def test_events_and_outcomes_that_are_not_json_are_400(shared_burana, route, content):
    for broken in (b"", content[:-1], content + b"x", content.replace(b'-1"', b'-\xff"'), content.decode().encode("utf-16")):
        assert refused(shared_burana, route, broken, 400)["code"] == "malformed"


@pytest.mark.parametrize("route", [OPERATIONS, EVENTS, OUTCOMES])
@pytest.mark.parametrize("content", NOT_AN_OBJECT.values(), ids=NOT_AN_OBJECT.keys())
def test_what_is_not_an_object_is_422(shared_burana, route, content):
    assert refused(shared_burana, route, content, 422)["field"] == "body"


@pytest.mark.parametrize(("content", "field"), WRONG.values(), ids=WRONG.keys())
def test_an_operation_that_does_not_fit_is_refused_with_its_field(shared_burana, content, field):
    assert refused(shared_burana, OPERATIONS, content, 422)["field"] == field


@pytest.mark.parametrize(("content", "field"), WRONG_EVENTS.values(), ids=WRONG_EVENTS.keys())
def test_an_event_that_does_not_fit_is_refused_with_its_field(shared_burana, content, field):
    assert refused(shared_burana, EVENTS, content, 422)["field"] == field


@pytest.mark.parametrize(("content", "field"), WRONG_OUTCOMES.values(), ids=WRONG_OUTCOMES.keys())
def test_an_outcome_that_does_not_fit_is_refused_with_its_field(shared_burana, content, field):
    assert refused(shared_burana, OUTCOMES, content, 422)["field"] == field


@pytest.mark.parametrize(("field", "value"), [("operation_id", "op-1\n"), ("category", "4829\n")])
def test_a_line_end_is_no_part_of_an_id_or_a_category(shared_burana, field, value):
    assert refused(shared_burana, OPERATIONS, body(operation(**{field: value})), 422)["field"] == field


def test_a_refusal_says_what_was_seen_and_what_is_allowed(shared_burana):
    kind = refused(shared_burana, OPERATIONS, body(operation(kind="gift")), 422)
    assert kind["seen"] == "'gift'"
    assert "virtual_asset_transfer" in kind["allowed"]
    currency = refused(shared_burana, OPERATIONS, body(operation(amount={"minor": 1, "currency": "XXX"})), 422)
    assert currency["seen"] == "'XXX'"
    assert "KGS" in currency["allowed"]
    card = refused(shared_burana, OPERATIONS, body(operation(recipient={"card": "4111111111111112"})), 422)
    assert "4111" not in json.dumps(card), "a card number does not come back"


@pytest.mark.parametrize(("type_", "content", "field", "words"), [
    (Operation, b'{"operation_id": "a b"}', "operation_id", "1 to 128 printable characters of ASCII, no blanks"),
    (Outcome, b'{"outcome_id": "o", "operation_id": "\\u0451"}', "operation_id", "1 to 128 printable characters of ASCII, no blanks"),
    (Money, b'{"minor": 1, "currency": "kgs"}', "currency", "three capital letters of ISO 4217"),
    (EditedRule, b'{"rule": {"parameters": {"A": 1}}}', "rule.parameters", "a to z, 0 to 9 and _, 3 to 64 of them, the first a letter"),
    (EditedRule, b'{"rule": {"steps": [{"did": "received", "within": "soon"}]}}', "rule.steps[0].within", "1 to 999 minutes, hours or days, such as 10m"),
])  # fmt: skip
def test_what_does_not_fit_a_pattern_is_refused_in_words(type_, content, field, words):
    with pytest.raises(Refusal) as refusal:
        decoded(msgspec.json.Decoder(type_), content)
    assert (refusal.value.problem.field, refusal.value.problem.allowed) == (field, words)
    assert refusal.value.problem.message == f"{field}: allowed {words}"


@pytest.mark.parametrize(("type_", "content", "field", "words"), [
    (Event, event(1, type="rang"), "type", EventType), (Outcome, outcome(1, scheme="bad_luck"), "scheme", Scheme),
    (ToDecide, {"verdict": "approve", "reason": "x"}, "verdict", Ruling), (ToList, {"listing": {"kind": "telephone"}}, "listing.kind", IdentifierKind),
    (FeedPage, {"changes": [{"sequence": 1, "action": "remove"}]}, "changes[0].action", FeedAction),
    (EditedRule, {"rule": {"id": "large", "criterion": "R61", "kinds": ["gift"]}}, "rule.kinds[0]", Kind),
], ids=str)  # fmt: skip
def test_what_is_no_word_of_a_list_is_refused_with_the_words_of_that_list(type_, content, field, words):
    with pytest.raises(Refusal) as refusal:
        decoded(msgspec.json.Decoder(type_), json.dumps(content).encode())
    assert (refusal.value.problem.field, refusal.value.problem.allowed) == (field, ", ".join(words))


@pytest.mark.parametrize("moment", ["yesterday", "2026-11-22", "2026-11-22T10:15:00", "2016-12-31T23:59:60Z", 1_800_000_000])
def test_what_is_no_instant_is_refused_with_what_one_looks_like(shared_burana, moment):
    found = refused(shared_burana, OPERATIONS, body(operation(occurred_at=moment)), 422)
    assert (found["field"], found["allowed"]) == ("occurred_at", INSTANT)


def test_a_key_that_stands_twice_is_refused_in_whatever_may_be_sent():
    """A default that is encoded would make up for the quotes of the key that stands twice."""
    with pytest.raises(Refusal, match="lines: stands twice"):
        decoded(msgspec.json.Decoder(ToImport), b'{"lines":[{}],"file":"x","reason":"x","lines":[{"kind":"ip"}]}')
    for route in ROUTES:
        if route.takes is not None:
            assert all(
                kind.__struct_config__.omit_defaults or not kind.__struct_defaults__ for kind in structs_in(route.takes)
            )


def test_a_refusal_is_short_whatever_was_sent(shared_burana):
    found = refused(shared_burana, OPERATIONS, body(operation(**{"x" * 50_000: 1})), 422)
    assert len(json.dumps(found)) < 1_000


def test_an_id_of_a_refused_operation_is_free(shared_burana):
    refused(shared_burana, OPERATIONS, body(operation(operation_id="free", kind="gift")), 422)
    assert shared_burana.post(OPERATIONS, body(operation(operation_id="free"))).status == 200


def test_null_is_the_same_as_absent(shared_burana):
    first = shared_burana.post(OPERATIONS, body(operation(operation_id="nulls", category=None, funding=None)))
    content = body({**operation(operation_id="nulls"), "category": None, "funding": None})
    assert shared_burana.post(OPERATIONS, content) == first


# ---- anything at all ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def known_trace() -> list[Trace]:
    """The trace after the last example: the one before the next."""
    return []


@settings(max_examples=1_500)
@given(sent=mutated(st.just(1)))
def test_any_body_is_either_recorded_or_refused_without_a_trace(shared_burana, known_trace, sent):
    before = known_trace[:] or [shared_burana.trace()]
    answer = shared_burana.post(*sent)
    known_trace[:] = [shared_burana.trace()]
    if answer.status != 200:
        assert 400 <= answer.status < 500, answer.body
        problem(answer, answer.status)
        assert known_trace == before


# ---- over HTTP ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def nothing_recorded(server):
    """Whatever the test sends leaves no row and no entity behind."""

    def seen() -> tuple[int, str]:
        text = server.ask("GET", "/metrics").body.decode()
        entities = next(line for line in text.splitlines() if line.startswith("burana_entities "))
        return rows_in(server.database), entities

    before = seen()
    yield
    assert seen() == before


def head(server, *lines: str) -> bytes:
    """The head of a POST to the scoring route with a live key."""
    first = (
        f"POST {OPERATIONS} HTTP/1.1",
        "Host: burana",
        f"Authorization: Bearer {server.key}",
        "Content-Type: application/json",
    )
    return "\r\n".join((*first, *lines, "", "")).encode()


@pytest.mark.usefixtures("nothing_recorded")
def test_a_refusal_over_http_is_json_with_its_length(server):
    answer = server.ask("POST", OPERATIONS, body(operation(kind="gift")))
    assert problem(answer, 422)["field"] == "kind"
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.body)


@pytest.mark.usefixtures("nothing_recorded")
@pytest.mark.parametrize("route", [OPERATIONS, EVENTS, OUTCOMES])
def test_an_empty_body_is_refused(server, route):
    assert problem(server.ask("POST", route, b""), 400)["code"] == "malformed"


@pytest.mark.usefixtures("nothing_recorded")
@pytest.mark.parametrize("size", [65_537, 10**6, 10**12])
def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(server, size):
    answer = server.raw(head(server, f"Content-Length: {size}"))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"too_large"' in answer
    assert b"connection: close" in answer.lower()


@pytest.mark.usefixtures("nothing_recorded")
def test_a_body_that_grows_too_large_in_chunks_is_refused(server):
    chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"
    answer = server.raw(head(server, "Transfer-Encoding: chunked") + chunk * 20)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"too_large"' in answer


def test_a_body_of_exactly_the_limit_is_read(server):
    content = body(operation(operation_id="just"))
    content += b" " * (65_536 - len(content))
    assert server.ask("POST", OPERATIONS, content).status == 200


def test_a_body_in_chunks_is_read(server):
    content = body(operation(operation_id="chunks"))
    chunks = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (content[:50], content[50:]))
    assert server.raw(head(server, "Transfer-Encoding: chunked") + chunks + b"0\r\n\r\n").startswith(b"HTTP/1.1 200 ")


@pytest.mark.usefixtures("nothing_recorded")
def test_a_caller_that_goes_away_in_the_middle_of_a_body_leaves_nothing(server):
    assert server.raw(head(server, "Content-Length: 500") + body(operation())[:100]) == b""
    assert server.ask("GET", "/readyz").status == 200


@pytest.mark.usefixtures("nothing_recorded")
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("route", [OPERATIONS, EVENTS, OUTCOMES])
def test_another_method_is_405(server, method, route):
    answer = server.ask(method, route, body(operation()) if method != "GET" else None)
    assert problem(answer, 405)["allowed"] == answer.headers["allow"] == "POST"


@pytest.mark.usefixtures("nothing_recorded")
@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v2/operations", "/v1/operation", "/V1/OPERATIONS", "//v1/operations", "/%00", "/é"]
)
def test_another_path_is_404(server, path):
    problem(server.ask("POST", path.replace("é", "%C3%A9"), body(operation())), 404)


@pytest.mark.usefixtures("nothing_recorded")
@pytest.mark.parametrize(
    "content",
    [b"\x00\x01\x02\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /v1/operations HTTP/1.1\r\n"
     b"Host: x\r\nContent-Length: -1\r\n\r\n", b"A" * 100_000],
    ids=["no HTTP", "another HTTP", "a path of other bytes", "a negative length", "a line without end"],
)  # fmt: skip
def test_what_is_not_http_is_closed_and_the_next_caller_is_served(server, content):
    answer = server.raw(content)
    assert answer[9:10] in (b"4", b"")
    assert b"Traceback" not in answer
    assert server.ask("GET", "/livez").status == 200
