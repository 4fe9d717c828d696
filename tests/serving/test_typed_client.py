"""The typed client against a running endpoint, and against the description: every route, every field, every status."""

import http.server
import inspect
import re
import socket
import subprocess
import sys
import threading
import time
import typing
from collections.abc import Iterator

import msgspec
import pytest

from casework import database as databases
from casework import keys
from casework.keys import Scope
from domain.errors import SettingsError
from domain.events import Event, Outcome
from domain.operation import Operation
from serving import typed_client
from serving.contracts import Problem
from serving.description import description
from serving.routes import ROUTES
from serving.settings import Settings
from serving.signatures import id_of, secret_of
from serving.typed_client import ERRORS, Client, Conflict, Malformed, NotAllowed, NotFound, Refused, TryLater, Unreachable
from tests.serving.examples import event, operation, outcome
from tests.serving.running import REPOSITORY, free_port

CALLS = {route.operation_id: route for route in ROUTES if route.path.startswith("/v1/") and route.scope in keys.OF_SYSTEMS}


def record(given: dict, type_: type) -> typing.Any:
    return msgspec.convert(given, type_)


@pytest.fixture
def client(server) -> Iterator[Client]:
    with Client(server.url, server.key) as opened:
        yield opened


# ---- against the endpoint ------------------------------------------------------------------------------------------------


def test_every_route_is_called_and_answers_its_type(client):
    decision = client.assess(record(operation(1), Operation))
    assert client.assess(record(operation(1), Operation)) == decision
    assert client.record_event(record(event(1), Event)).id == "ev-1"
    assert client.record_outcome(record(outcome(1), Outcome)).id == "out-1"
    stored = client.decision("op-1")
    assert (stored.decision, stored.sequence, stored.operation.operation_id) == (decision, decision.sequence, "op-1")
    assert stored.evidence.limit_tyiyn > 0
    assert client.explanation("op-1").score == decision.score


def test_the_lines_of_the_readme_run(server, monkeypatch, capsys):
    blocks = re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (lines,) = (block for block in blocks if "typed_client" in block)
    assert "http://127.0.0.1:8000" in lines
    monkeypatch.setenv("KEY", server.key)
    exec(lines.replace("http://127.0.0.1:8000", server.url), {})
    assert capsys.readouterr().out.startswith(("low approve", "medium verify", "high reject"))


def test_an_id_of_any_letters_is_asked_for(client):
    id_ = "a/b?c#d%2F&e"
    client.assess(record(operation(operation_id=id_), Operation))
    assert client.decision(id_).operation.operation_id == id_


def test_refusals_are_raised_as_what_they_are(server, client):
    with pytest.raises(NotFound) as missing:
        client.decision("nowhere")
    assert (missing.value.status, missing.value.problem.code) == (404, "unknown_operation")
    client.assess(record(operation(2), Operation))
    with pytest.raises(Conflict):
        client.assess(record(operation(2, purpose="other"), Operation))
    with pytest.raises(Malformed) as wrong:
        client.assess(record(operation(3, recipient={"phone": "call me"}), Operation))
    assert wrong.value.problem.field == "recipient.phone"
    with Client(server.url, "burana_0_0") as stranger, pytest.raises(NotAllowed):
        stranger.decision("op-1")


def test_a_signed_key_is_used_with_its_secret(server):
    with databases.connect(server.database) as database:
        key = keys.make(database, "signing", set(Scope), "the tests", is_signed=True)
    secret = secret_of(Settings(home=server.home).card_key(), id_of(key))
    until = time.monotonic() + 5
    with Client(server.url, key, secret) as signing, Client(server.url, key) as bare:
        while True:
            try:
                assert signing.assess(record(operation(4), Operation)).operation_id == "op-4"
                break
            except NotAllowed:
                assert time.monotonic() < until, "a new key is known within a second"
                time.sleep(0.05)
        assert signing.decision("op-4").operation.operation_id == "op-4"
        signing.assess(record(operation(operation_id="op-4/explanation/explanation"), Operation))
        assert signing.decision("op-4/explanation/explanation").operation.operation_id == "op-4/explanation/explanation"
        with pytest.raises(NotAllowed, match="signature"):
            bare.decision("op-4")


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://b", "http://", "http://b/v1", "http://b:99999", "http://[::1", "http://b?x=1",
                                 "http://you:hidden@b"])  # fmt: skip
def test_another_form_of_url_is_refused(url):
    with pytest.raises(SettingsError, match="http://HOST:PORT") as refused:
        Client(url, "burana_0_0")
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(("key", "secret"), [("", None), ("0123", None), ("burana_0", None), ("burana_0_ключ", None), ("burana_0_0", "00"),
                                             ("burana_0_0", "z" * 64), ("burana_0_0 burana_1_1", None)])  # fmt: skip
def test_another_form_of_key_or_secret_is_refused_without_being_said(key, secret):
    with pytest.raises(SettingsError, match=r"what `burana keys make` shows$"):
        Client("http://127.0.0.1:8000", key, secret)


def test_a_key_is_taken_as_a_file_has_it(server):
    with Client(server.url, f"{server.key}\n") as client, pytest.raises(NotFound):
        client.decision("nowhere")


# ---- patience: a small server that refuses before it answers ------------------------------------------------------------------


@pytest.fixture
def scripted() -> Iterator[tuple[str, list[tuple[int, dict[str, str]]], list[float]]]:
    """A server that answers what a list says, in turn, then 200; its url, the list, and when it was asked."""
    script: list[tuple[int, dict[str, str]]] = []
    asked: list[float] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked.append(time.monotonic())
            self.rfile.read(int(self.headers["Content-Length"]))
            status, headers = script.pop(0) if script else (200, {})
            if status == LOST:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            if status == HANGING:
                time.sleep(1)
                self.close_connection = True
                return
            content = b'{"id":"ev-1","sequence":7}' if status == 200 else b'{"error":{"code":"x","message":"y"}}'
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}", script, asked
        listening.shutdown()


LOST, HANGING = 0, 1
"""What the server does in place of a status: end the connection; or answer nothing for a second, and end it."""
EVENT = record(event(1), Event)


@pytest.mark.parametrize("status", sorted(typed_client.AGAIN))
def test_what_is_refused_for_a_while_is_sent_again_after_the_time_that_was_said(scripted, status):
    url, script, asked = scripted
    script += [(status, {"Retry-After": "1"}), (status, {})]
    with Client(url, "burana_0_0") as client:
        assert client.record_event(EVENT).sequence == 7
    assert len(asked) == 3
    assert asked[1] - asked[0] >= 1


def test_what_was_lost_on_the_way_is_sent_again(scripted):
    url, script, asked = scripted
    script += [(LOST, {}), (LOST, {})]
    with Client(url, "burana_0_0") as client:
        assert client.record_event(EVENT).sequence == 7
    assert len(asked) == 3


def test_an_answer_that_does_not_come_is_asked_for_again(scripted):
    url, script, asked = scripted
    script += [(HANGING, {})]
    with Client(url, "burana_0_0", try_s=0.2) as client:
        assert client.record_event(EVENT).sequence == 7
    assert len(asked) == 2


def test_the_deadline_ends_patience(scripted):
    url, script, asked = scripted
    script += [(503, {})] * 100
    began = time.monotonic()
    with Client(url, "burana_0_0", deadline_s=0.5) as client, pytest.raises(TryLater):
        client.record_event(EVENT)
    script[:] = [(503, {"Retry-After": "60"})]
    with Client(url, "burana_0_0", deadline_s=0.5) as client, pytest.raises(TryLater):
        client.record_event(EVENT)
    assert time.monotonic() - began < 3
    assert len(asked) > 3


def test_what_is_refused_for_good_is_sent_once(scripted):
    url, script, asked = scripted
    for status in (400, 401, 409, 422, 500):
        script += [(status, {})]
        with Client(url, "burana_0_0") as client, pytest.raises(ERRORS[status]):
            client.record_event(EVENT)
    assert len(asked) == 5


def test_nobody_there_is_unreachable():
    with Client(f"http://127.0.0.1:{free_port()}", "burana_0_0", deadline_s=0.3) as client, pytest.raises(Unreachable):
        client.record_event(EVENT)


# ---- against the description ---------------------------------------------------------------------------------------------------


def test_every_operation_of_the_description_has_a_method_of_its_types():
    described = {route["operationId"] for methods in description()["paths"].values() for route in methods.values()}
    assert set(CALLS) <= described
    for name, route in CALLS.items():
        hints = typing.get_type_hints(getattr(Client, name))
        assert hints.pop("return") is route.gives
        assert list(hints.values()) == [route.takes or str], name
    public = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")}
    assert public == set(CALLS) | {"close"}


def test_every_field_of_the_description_is_a_field_of_the_clients_types():
    schemas = description()["components"]["schemas"]
    types = {t for route in CALLS.values() for t in (route.takes, route.gives) if t is not None} | {Problem}
    _, made = msgspec.json.schema_components(
        sorted(types, key=lambda t: t.__name__), ref_template="#/components/schemas/{name}"
    )
    for name, schema in made.items():
        assert schema.get("properties", {}).keys() == schemas[name].get("properties", {}).keys()
    assert made.keys() | {"Refusal", "Alive", "Readiness"} <= schemas.keys()


def test_every_status_of_the_description_is_raised_as_an_error_of_its_own_name():
    for route in CALLS.values():
        for status in route.refusals:
            assert issubclass(ERRORS[status], Refused)
            assert ERRORS[status] is not Refused


def test_the_client_brings_nothing_of_what_serves():
    heavy = "{'numpy', 'numba', 'fastapi', 'starlette', 'uvicorn', 'onnxruntime', 'sqlite3', 'sqlalchemy', 'prometheus_client', 'httptools'}"
    code = f"import sys, serving.typed_client; print({heavy} & {{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
