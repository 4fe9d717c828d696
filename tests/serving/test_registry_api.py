"""The registry and proposals over HTTP: the person is the caller of the key, two of them for what needs four eyes; who is late is told."""

import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from casework import approvals, registry_feeds
from casework import database as databases
from casework.keys import Scope
from casework.proposals import Ruling
from domain.identifiers import IdentifierKind
from domain.listing import Ground, List, Source
from tests.serving.running import Answer, Server, key_of

LISTING = {
    "kind": "phone",
    "value": "0700 11 22 33",
    "list": "prohibited",
    "ground": "customer_notice",
    "source": "own_case",
}


class Officer(NamedTuple):
    """Somebody with a key."""

    server: Server
    key: str

    def ask(self, method: str, path: str, content: Any = None) -> Answer:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        return self.server.ask(method, path, None if content is None else json.dumps(content).encode(), headers)

    def list(self, value: str, **more: Any) -> int:
        answer = self.ask("POST", "/v1/registry", {"listing": {**LISTING, "value": value, **more}, "reason": "fraud"})
        assert answer.status == 200, answer.body
        return answer.json["entry_id"]


def known(officer: Officer) -> None:
    """Wait until the server follows the key."""
    until = time.monotonic() + 10
    while officer.ask("GET", "/v1/registry").status == 401:
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.fixture(scope="module")
def officers(server) -> Iterator[tuple[Officer, Officer, Officer]]:
    """Aigul, Aigul with her other key, and Bakyt."""
    keys = [key_of(server.database, Scope.REGISTRY, Scope.APPROVE, caller=name) for name in ("Aigul", "Aigul", "Bakyt")]
    aigul, again, bakyt = (Officer(server, key) for key in keys)
    known(bakyt)
    yield aigul, again, bakyt


def test_an_officer_lists_and_another_approves_the_removal(officers):
    aigul, again, bakyt = officers
    entry = aigul.list("0700 11 22 33")
    shown = bakyt.ask("GET", f"/v1/registry/entries/{entry}").json
    assert (shown["entry"]["added_by"], shown["entry"]["value"], shown["entry"]["state"]) == (
        "Aigul",
        "+996700112233",
        "acting",
    )
    asked = {"ground": "customer_confirmed", "reason": "she came with her passport"}
    proposal = aigul.ask("POST", f"/v1/registry/entries/{entry}/removal", asked).json["proposal_id"]
    assert aigul.ask("POST", f"/v1/registry/entries/{entry}/removal", asked).status == 409
    approval = {"verdict": "approved", "reason": "I saw it"}
    for own in (aigul, again):
        refused = own.ask("POST", f"/v1/proposals/{proposal}/decision", approval)
        assert (refused.status, refused.json["error"]["code"]) == (403, "same_person")
    assert bakyt.ask("POST", f"/v1/proposals/{proposal}/decision", approval).json["verdict"] == "approved"
    mistyped = bakyt.ask("GET", "/v1/proposals?kind=registry_removals")
    assert (mistyped.status, mistyped.json["error"]["field"]) == (422, "kind")
    late = bakyt.ask("POST", f"/v1/proposals/{proposal}/decision", {**approval, "verdict": "refused"})
    assert late.status == 409
    assert "was approved by Bakyt" in late.json["error"]["message"]
    assert bakyt.ask("GET", f"/v1/registry/entries/{entry}").json["entry"]["state"] == "removed"
    assert aigul.ask("POST", f"/v1/registry/entries/{entry}/removal", asked).status == 409


def test_what_is_listed_already_is_409_with_who_and_when(officers):
    aigul, _, bakyt = officers
    aigul.list("0700 11 22 44")
    again = bakyt.ask("POST", "/v1/registry", {"listing": {**LISTING, "value": "+996700112244"}, "reason": "fraud"})
    assert again.status == 409
    assert "by Aigul at 20" in again.json["error"]["message"]


@pytest.mark.parametrize(("change", "field"), [({"value": "call me"}, "listing.value"), ({"kind": "colour"}, "listing.kind"),
                                              ({"by": "Bakyt"}, "listing.by"), ({"valid_to": "2020-01-01T00:00:00"}, "listing.valid_to"),
                                              ({"ground": "not_kept"}, "listing.ground"), ({"reference": "x" * 201}, "listing.reference")])  # fmt: skip
def test_what_cannot_be_listed_is_422_with_the_field(officers, change, field):
    answer = officers[0].ask("POST", "/v1/registry", {"listing": {**LISTING, **change}, "reason": "fraud"})
    assert (answer.status, answer.json["error"]["field"]) == (422, field)


def test_no_change_without_a_reason(officers):
    assert officers[0].ask("POST", "/v1/registry", {"listing": LISTING, "reason": " "}).status == 422


def test_many_are_imported_by_two_with_rejects_and_a_dry_run(officers):
    aigul, _, bakyt = officers
    lines = [{**LISTING, "value": f"0700 55 00 {number:02}"} for number in range(30)] + [{**LISTING, "value": "x"}]
    asked = {"file": "letter 7", "reason": "letter 7", "lines": lines, "dry_run": True}
    dry = aigul.ask("POST", "/v1/registry/import", asked).json
    assert (dry["new"], dry["there"], dry["proposal_id"], [one["line"] for one in dry["rejects"]]) == (30, 0, None, [31])
    made = aigul.ask("POST", "/v1/registry/import", {**asked, "dry_run": False}).json["proposal_id"]
    waiting = bakyt.ask("GET", "/v1/proposals?kind=registry_import").json["proposals"]
    assert [(one["proposal_id"], one["content"]["lines"]) for one in waiting] == [(made, 30)]
    assert bakyt.ask("POST", f"/v1/proposals/{made}/decision", {"verdict": "approved", "reason": "compared"}).status == 200
    assert aigul.ask("POST", "/v1/registry/import", asked).json["there"] == 30
    exported = bakyt.ask("GET", "/v1/registry/export?kind=phone")
    assert exported.headers["content-type"].startswith("text/csv")
    assert exported.body.count(b"+99670055") == 30


def test_entries_are_told_in_pages_by_filter_and_as_of_a_moment(officers):
    aigul, *_ = officers
    made = [aigul.list(f"acc-{number}", kind="account", list="watched") for number in range(5)]
    pages, after = [], 0
    while after is not None:
        page = aigul.ask("GET", f"/v1/registry?kind=account&list=watched&limit=2&after={after}").json
        pages.append([entry["entry_id"] for entry in page["entries"]])
        after = page["next"]
    assert [entry for page in pages for entry in page] == made
    assert aigul.ask("GET", "/v1/registry?at=2020-01-01T00:00:00Z").json["entries"] == []
    for query in ("at=2020", "at=yesterday", "limit=0", "colour=red", "after=-1"):
        assert aigul.ask("GET", f"/v1/registry?{query}").status == 422, query
    for field, words in (("kind", IdentifierKind), ("source", Source), ("list", List)):
        assert aigul.ask("GET", f"/v1/registry?{field}=x").json["error"]["allowed"] == ", ".join(words)


def test_an_identifier_is_found_in_any_writing_by_the_body_alone(officers):
    aigul, *_ = officers
    made = aigul.list("4111 1111 1111 1111", kind="card", list="watched")
    wanted = {"kind": "card", "value": "4111-1111-1111-1111"}
    found = aigul.ask("POST", "/v1/registry/search", wanted).json
    assert ([entry["entry_id"] for entry in found["entries"]], found["next"]) == ([made], None)
    assert b"4111" not in aigul.ask("POST", "/v1/registry/search", wanted).body
    assert aigul.ask("POST", "/v1/registry/search", {**wanted, "at": "2020-01-01T00:00:00Z"}).json["entries"] == []
    for change in ({"value": "4111"}, {"kind": "colour"}, {"at": "yesterday"}, {"limit": 1}):
        assert aigul.ask("POST", "/v1/registry/search", {**wanted, **change}).status == 422, change
    refused = aigul.ask("GET", "/v1/registry?kind=card&value=4111111111111111")
    assert refused.status == 422
    assert "POST /v1/registry/search" in refused.json["error"]["allowed"]
    assert b"41111" not in refused.body


def test_a_feed_is_followed_in_order_and_nothing_twice(officers):
    aigul, _, bakyt = officers
    page = {"after": 0, "up_to": 2, "issued_at": "2026-01-01T00:00:00Z", "changes": [
        {"sequence": 1, "action": "add", "kind": "phone", "value": "0700 77 00 01"}, {"sequence": 2, "action": "add", "kind": "phone", "value": "no"},
    ]}  # fmt: skip
    assert aigul.ask("POST", "/v1/registry/feeds/unknown", page).status == 404
    with databases.connect(aigul.server.database) as database:
        ground, source = Ground.NATIONAL_BLACK_LIST, Source.NATIONAL_LIST
        made = registry_feeds.propose(database, "black", List.PROHIBITED, ground, source, "bakyt", "a", "K8")
        approvals.decide(database, made, Ruling.APPROVED, "b", "K8")
    refused = aigul.ask("POST", "/v1/registry/feeds/black", page)
    assert (refused.status, refused.json["error"]["code"]) == (403, "other_caller")
    for added in (1, 0):
        taken = bakyt.ask("POST", "/v1/registry/feeds/black", page).json
        assert (taken["up_to"], taken["added"]) == (2, added)
    beyond = bakyt.ask("POST", "/v1/registry/feeds/black", {**page, "after": 2, "up_to": 9, "changes": []})
    assert (beyond.status, beyond.json["error"]["field"]) == (422, "up_to")
    assert bakyt.ask("GET", "/v1/registry/feed?list=prohibited&after=0").json["changes"][0]["action"] == "add"
    assert bakyt.ask("GET", "/v1/registry/quality").json["relevance"]["live"] > 0


def test_what_is_not_there_is_404(officers):
    aigul, *_ = officers
    for method, path, content in (("GET", "/v1/registry/entries/999999", None), ("GET", "/v1/proposals/999999", None),
                                  ("POST", "/v1/registry/entries/999999/removal", {"ground": "error_found", "reason": "x"}),
                                  ("POST", "/v1/proposals/999999/decision", {"verdict": "refused", "reason": "x"})):  # fmt: skip
        assert aigul.ask(method, path, content).status == 404, path


def test_a_key_without_the_scope_changes_nothing(server):
    reader = Officer(server, key_of(server.database, Scope.READ, caller="reader"))
    known(reader)
    assert reader.ask("POST", "/v1/registry", {"listing": LISTING, "reason": "fraud"}).status == 403
    assert reader.ask("GET", "/v1/registry").status == 403
    assert reader.ask("POST", "/v1/proposals/1/decision", {"verdict": "approved", "reason": "x"}).status == 403


@pytest.mark.parametrize("change", [{"reference": "a\0b"}, {"reference": None, "reason": "a\0b"}])
def test_the_character_nul_which_no_text_of_postgresql_holds_is_refused_on_any_database(officers, change):
    reason = change.pop("reason", "fraud")
    answer = officers[0].ask(
        "POST", "/v1/registry", {"listing": {**LISTING, "value": "0700 44 55 66", **change}, "reason": reason}
    )
    assert (answer.status, answer.json["error"]["field"]) == (422, "body")
    for path, status in (("/v1/registry?at=%00", 422), ("/v1/registry/feeds/%00", 404)):
        assert officers[0].ask("GET", path).status == status


def test_a_backslash_before_the_letters_of_nul_is_a_text_like_any_other(officers):
    assert officers[0].list("0700 44 55 66", reference="\\u0000")
