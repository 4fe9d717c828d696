"""The edge itself: what a head may say, how long a request may take, and that every answer is typed."""

import asyncio
import http.client
import json
import logging
import re
import socket
import time
from contextlib import closing

import pytest
from sqlalchemy import insert

from casework import database as databases
from casework.ledger import Entry
from casework.tables import ENTRIES, id_hash
from serving.routes import ROUTES
from tests.serving.examples import body, event, operation, outcome
from tests.serving.running import Server, asgi, key_of

RECORDS = {"/v1/operations": operation, "/v1/events": event, "/v1/outcomes": outcome}
GETS = ["/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/v1/operations/op-1", "/v1/operations/op-1/explanation"]


@pytest.fixture(scope="module")
def quick(tmp_path_factory, models):
    """A server that waits half a second for a request, and takes three a second of one caller."""
    home = tmp_path_factory.mktemp("quick")
    config = home / "burana.toml"
    config.write_text('request_timeout_s = 0.5\n[rates."slow caller"]\nper_s = 1\nburst = 3\n')
    with Server(home, models, "--config", str(config)) as running:
        yield running


def with_key(server: Server, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {server.key}"} | {name.replace("_", "-"): value for name, value in more.items()}


def typed(answer, status: int) -> dict:
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json) == {"error"}
    return answer.json["error"]


# ---- heads ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "application/json; charset=latin-1",
                                  "application/jsonp", "application/json, text/plain", "é", ""])  # fmt: skip
def test_another_content_type_is_415(server, kind):
    problem = typed(server.ask("POST", "/v1/operations", body(operation(1)), with_key(server, Content_Type=kind)), 415)
    assert (problem["code"], problem["field"]) == ("unsupported", "Content-Type")


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json;charset=UTF-8", 'Application/JSON ; charset="utf-8"']
)
def test_json_is_json_however_it_is_spelled(server, kind):
    assert server.ask("POST", "/v1/operations", body(operation(2)), with_key(server, Content_Type=kind)).status == 200


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "x"])
def test_a_coded_body_is_415(server, coding):
    problem = typed(server.ask("POST", "/v1/operations", b"\x1f\x8b", with_key(server, Content_Encoding=coding)), 415)
    assert problem["field"] == "Content-Encoding"


def test_another_expectation_than_100_continue_is_417(server):
    assert (
        typed(server.ask("POST", "/v1/operations", b"{}", with_key(server, Expect="a miracle")), 417)["allowed"]
        == "100-continue"
    )
    assert server.ask("POST", "/v1/operations", body(operation(3)), with_key(server, Expect="100-continue")).status == 200


@pytest.mark.parametrize("twice", ["Authorization", "Content-Type", "Content-Digest"])
@pytest.mark.parametrize("route", ["POST /v1/operations", "POST /v1/registry", "GET /v1/operations/op-1", "GET /v1/rules"])
def test_a_header_that_is_read_and_stands_twice_is_400(server, route, twice):
    lines = [f"{route} HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer {server.key}\r\nContent-Length: 2\r\n"]
    lines += [f"{twice}: application/json\r\n"] * (1 if twice == "Authorization" else 2)
    answer = server.raw("".join([*lines, "\r\n{}"]).encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"stands twice" in answer


@pytest.mark.parametrize("path", ["/v1/operations/op-1", "/v1/rules", "/metrics"])
def test_a_look_with_two_keys_is_400_as_well(server, path):
    lines = [f"GET {path} HTTP/1.1\r\nHost: b\r\n", *[f"Authorization: Bearer {key}\r\n" for key in ("another", server.key)]]
    answer = server.raw("".join([*lines, "\r\n"]).encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"stands twice" in answer


def test_headers_that_nobody_reads_may_stand_twice(server):
    content = body(operation(4))
    head = f"POST /v1/operations HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer {server.key}\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: {len(content)}\r\n\r\n"
    assert server.raw(head.encode() + content).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(("content", "status"), [
    (b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: b\r\n\r\n", 414), (b"GET /" + b"x" * 90_000, 414),
    (b"GET / HTTP/1.1\r\nX-A: " + b"x" * 40_000 + b"\r\n\r\n", 431), (b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 9_000, 431),
    (b"GET / HTTP/1.1\r\nX-A: " + b"x" * 400_000, 431), (b"\x16\x03\x01 no HTTP", 400), (b"GET / HTTP/1.1\r\nHost : b\r\n\r\n", 400),
], ids=["long", "endless address", "large", "many", "endless header", "TLS", "a blank"])  # fmt: skip
def test_what_is_no_request_is_refused_by_the_connection_in_the_form_of_all_refusals(server, content, status):
    head, _, answer = server.raw(content).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in head
    assert set(json.loads(answer)) == {"error"}


@pytest.mark.parametrize("after", [b"no HTTP at all\r\n\r\n", b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\n\r\n"])
def test_what_is_refused_after_a_request_is_not_the_answer_to_it(server, after):
    answer = server.raw(b"GET /livez HTTP/1.1\r\nHost: b\r\n\r\n" + after)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 200 ")


def test_a_body_that_still_comes_after_its_refusal_is_ended_without_a_second_answer(quick):
    head = b"POST /v1/operations HTTP/1.1\r\nHost: b\r\nContent-Length: 9\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", quick.port), timeout=5) as connection:
        connection.sendall(head)
        parts = []
        while part := connection.recv(65_536):
            parts.append(part)
    assert b"".join(parts).count(b"HTTP/1.1 ") == 1
    assert b"".join(parts).startswith(b"HTTP/1.1 401 ")


# ---- whole and in parts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", RECORDS)
def test_a_record_has_the_same_answer_whether_it_comes_whole_or_in_parts(server, path):
    server.ask("POST", "/v1/operations", body(operation(1)))
    content = body(RECORDS[path](1))
    answers = [server.ask("POST", path, content, in_parts=in_parts) for in_parts in (False, True, False)]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    names = [list(answer.headers) for answer in answers]
    assert set(names[0]) == set(names[1]) == {"date", "content-type", "content-length"}


@pytest.mark.parametrize(("content", "headers", "status"), [
    (b"{}", {"Authorization": "Bearer burana_no"}, 401), (b"{}", {}, 422), (b"no JSON", {}, 400), (b"", {}, 400),
    (b" " * 70_000, {}, 413), (b"{}", {"Content-Type": "text/plain"}, 415), (b"{}", {"Expect": "a miracle"}, 417),
], ids=str)  # fmt: skip
def test_a_refusal_is_the_same_whether_the_record_comes_whole_or_in_parts(server, content, headers, status):
    answers = [
        server.ask("POST", "/v1/operations", content, with_key(server) | headers, in_parts=in_parts)
        for in_parts in (False, True)
    ]
    assert [typed(answer, status) for answer in answers] == [answers[0].json["error"]] * 2
    kept = [{name: value for name, value in answer.headers.items() if name != "date"} for answer in answers]
    assert kept[0] == kept[1]


def test_records_that_come_at_once_on_one_connection_are_answered_in_their_order(server):
    requests = [(f"POST {path} HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer {server.key}\r\nContent-Length: {len(content)}\r\n\r\n").encode() + content
                for path, content in [("/v1/operations", body(operation(n))) for n in (51, 52)] + [("/v1/events", body(event(53)))]]  # fmt: skip
    one_by_one = [server.raw(request).partition(b"\r\n\r\n")[2] for request in requests]
    together = server.raw(b"".join([*requests, b"GET /livez HTTP/1.1\r\nHost: b\r\n\r\n", *requests]))
    answers = [part.partition(b"\r\n\r\n")[2] for part in together.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert answers == [*one_by_one, b'{"status":"alive"}', *one_by_one]


@pytest.mark.parametrize("offer", ["h2c", "websocket", "TLS/1.3, h2c"])
@pytest.mark.parametrize("in_parts", [False, True])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_an_offer_of_another_protocol_is_left_and_the_request_answered_with_its_body(server, offer, in_parts, is_chunked):
    content = body(operation(1))
    length = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {len(content)}"
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content) if is_chunked else content
    offers = f"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {offer}\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"
    head = (
        f"POST /v1/operations HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer {server.key}\r\n{offers}{length}\r\n\r\n".encode()
    )
    looks = f"GET /livez HTTP/1.1\r\nHost: b\r\n{offers}\r\nGET /livez HTTP/1.1\r\nHost: b\r\n\r\n".encode()
    answers = server.raw(*((head, sent, looks) if in_parts else (head + sent + looks,))).split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert [answer.partition(b"\r\n\r\n")[2] for answer in answers] == [
        server.ask("POST", "/v1/operations", content).body, *[b'{"status":"alive"}'] * 2,
    ]  # fmt: skip


def test_who_asks_to_close_is_answered_and_the_connection_closed(server):
    content = body(operation(1))
    head = f"POST /v1/operations HTTP/1.1\r\nHost: b\r\nConnection: close\r\nAuthorization: Bearer {server.key}\r\nContent-Length: {len(content)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(head.encode() + content)
        parts = []
        while part := connection.recv(65_536):
            parts.append(part)
    assert b"\r\nconnection: close\r\n" in b"".join(parts)
    assert b"".join(parts).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("after", [b"", b"\r\n"], ids=["nothing", "a blank line"])
def test_a_connection_that_rests_too_long_is_closed(server, after):
    content = body(operation(1))
    head = f"POST /v1/operations HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer {server.key}\r\nContent-Length: {len(content)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as connection:
        connection.sendall(head.encode() + content)
        began = time.monotonic()
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(after)  # which begins no request
        while connection.recv(65_536):
            pass
    assert 4 < time.monotonic() - began < 9


# ---- methods and paths ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "PATCH", "POST", "TRACE"])
@pytest.mark.parametrize("path", GETS)
def test_another_method_on_what_is_read_is_405_with_allow(server, method, path):
    answer = server.ask(method, path)
    assert typed(answer, 405)["allowed"] == answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "path", sorted({*GETS, *(re.sub("{.*?}", "1", route.path) for route in ROUTES if route.method == "GET")})
)
@pytest.mark.parametrize("is_known", [True, False], ids=["a key", "no key"])
def test_head_is_get_without_its_body(server, path, is_known):
    server.ask("POST", "/v1/operations", body(operation(1)))
    headers = None if is_known else {}
    read, head = server.ask("GET", path, headers=headers), server.ask("HEAD", path, headers=headers)
    assert (head.status, head.body) == (read.status, b"")
    assert head.headers["content-type"] == read.headers["content-type"]


@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES}))
def test_a_method_that_a_path_has_not_is_405_with_those_that_it_has(server, path):
    answer = server.ask("DELETE", re.sub("{.*?}", "1", path))
    methods = {route.method for route in ROUTES if route.path == path}
    taken = ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))
    assert typed(answer, 405)["allowed"] == answer.headers["allow"] == taken


@pytest.mark.parametrize("path", RECORDS)
def test_head_on_a_route_of_records_is_405_without_a_body(server, path):
    answer = server.ask("HEAD", path)
    assert (answer.status, answer.headers["allow"], answer.body) == (405, "POST", b"")


@pytest.mark.parametrize("path", GETS)
def test_what_is_read_is_kept_nowhere_on_the_way(server, path):
    server.ask("POST", "/v1/operations", body(operation(1)))
    for answer in (server.ask("GET", path), server.ask("GET", path, headers={}), server.ask("PUT", path)):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


# ---- time and rate ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", ["", "GET /livez HTTP/1.1\r\nHost", "POST /v1/operations HTTP/1.1\r\nAuthorization: Bearer {key}\r\nContent-Length: 9\r\n\r\n{{"],
                         ids=["nothing", "half a head", "half a body"])  # fmt: skip
def test_a_request_that_does_not_come_in_time_is_408_and_closed(quick, sent):
    with socket.create_connection(("127.0.0.1", quick.port), timeout=5) as connection:
        connection.sendall(sent.format(key=quick.key).encode())
        began, parts = time.monotonic(), []
        while part := connection.recv(65_536):
            parts.append(part)
        waited = time.monotonic() - began
    assert 0.4 < waited < 3
    assert b"".join(parts).startswith(b"HTTP/1.1 408 ")
    assert b'"too_slow"' in parts[-1]


def test_a_request_a_byte_at_a_time_is_closed_too(quick):
    with socket.create_connection(("127.0.0.1", quick.port), timeout=5) as connection:
        began = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() < began + 5:
                connection.sendall(b"G" if time.monotonic() == began else b"E")
                time.sleep(0.05)
    assert time.monotonic() - began < 3


def test_a_connection_that_is_kept_alive_serves_after_a_rest(quick):
    with closing(http.client.HTTPConnection("127.0.0.1", quick.port, timeout=5)) as connection:
        for _ in range(3):
            connection.request("GET", "/livez")
            assert connection.getresponse().read() == b'{"status":"alive"}'
            time.sleep(0.8)


def test_a_caller_beyond_its_rate_is_429_on_every_route_and_others_are_not(quick):
    key = {"Authorization": f"Bearer {key_of(quick.database, caller='slow caller')}"}
    until = time.monotonic() + 5
    while (
        quick.ask("GET", "/nowhere", headers=key).status != 404
        or quick.ask("GET", "/v1/operations/x", headers=key).status == 401
    ):
        assert time.monotonic() < until
        time.sleep(0.05)
    answers = [quick.ask("GET", "/v1/operations/x", headers=key) for _ in range(3)]
    answers += [quick.ask("POST", "/v1/operations", body(operation(1)), key)]
    refused = [answer for answer in answers if answer.status == 429]
    assert refused
    assert answers[-1] in refused
    for answer in refused:
        assert typed(answer, 429)["code"] == "too_many_requests"
        assert int(answer.headers["retry-after"]) >= 1
    assert quick.ask("POST", "/v1/operations", body(operation(1))).status == 200
    assert b'burana_turned_away_total{code="too_many_requests"}' in quick.ask("GET", "/metrics").body


# ---- failures ----------------------------------------------------------------------------------------------------------------


def test_an_unexpected_error_is_500_with_a_reference_that_the_log_has_and_no_decision(settings, caplog, monkeypatch):
    monkeypatch.setattr("serving.assessor.row_of_event", lambda _: {}["nothing expects this"])

    async def scenario() -> None:
        key = {"Authorization": f"Bearer {key_of(settings.database)}"}
        async with asgi(settings) as ask:
            broken = Entry(900, "operation", "op-1", databases.timestamp(), b"no JSON", b"", 1, b"{", b"12345678", b"{")
            with databases.connect(settings.database) as database, database.transaction() as connection:
                values = {**broken._asdict(), "id_hash": id_hash("operation", "op-1")}  # as no release ever wrote one
                connection.execute(insert(ENTRIES).values(values))
            for method, path, content in (("POST", "/v1/events", body(event(1))), ("GET", "/v1/operations/op-1", b"")):
                problem = typed(await ask(method, path, content, key), 500)
                assert problem["code"] == "failed"
                assert problem["reference"] in caplog.text
                assert not any(word in json.dumps(problem) for word in ("level", "Traceback", "msgspec", ".py"))
            assert b"burana_failures_total 2.0" in (await ask("GET", "/metrics", b"", key)).body

    with caplog.at_level(logging.ERROR):
        asyncio.run(scenario())
