"""The audit log over HTTP: read, proved and compared by whoever has the scope, on a server that signs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from casework import checkpoints
from casework import database as databases
from casework.audit_form import ChangeKind, leaf
from casework.keys import Scope
from serving import cli
from tests.casework.audit_logs import filled
from tests.casework.test_merkle import grown, included
from tests.serving.running import Server, file_in, key_of


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Server]:
    """A server on a log of ten changes and more, with a key that signs."""
    home = tmp_path_factory.mktemp("signing")
    with databases.connect(file_in(home)) as database:
        filled(database, 10)
    folder = home / "checkpoints"
    made = ["--origin", "example.kg/burana", "--by", "Aigul", "--reason", "the first key"]
    assert cli.main(["audit", "key", "--home", str(home), "--checkpoints", str(folder), *made]) == 0
    (home / "burana.toml").write_text(f"deadline_ms = 10000\ncheckpoints = '{folder}'\n", encoding="utf-8")
    with Server(home, models, "--config", str(home / "burana.toml")) as running:
        yield running


def test_pages_of_the_log_are_of_one_kind_or_of_all_and_lead_to_the_next(signing: Server) -> None:
    page = signing.ask("GET", "/v1/audit?kind=registry&limit=4&after=2").json
    assert ([entry["audit_id"] for entry in page["entries"]], page["next"]) == ([3, 4, 5, 6], 6)
    assert signing.ask("GET", "/v1/audit?kind=registry&after=9").json["next"] is None
    mistyped = signing.ask("GET", "/v1/audit?kind=rule")
    assert (mistyped.status, mistyped.json["error"]["allowed"]) == (422, ", ".join(ChangeKind)), "as if nothing was changed"
    kinds = {entry["kind"] for entry in signing.ask("GET", "/v1/audit").json["entries"]}
    assert kinds >= {"registry", "audit", "keys", "rules", "settings", "champion"}


def test_an_entry_says_before_and_after(signing: Server) -> None:
    entry = signing.ask("GET", "/v1/audit/5").json
    assert (entry["before"]["value"], entry["after"], entry["approved_by"]) == ("+996000000005", None, "Бакыт")


def test_an_entry_is_proved_by_what_was_signed(signing: Server) -> None:
    note = checkpoints.parsed(signing.ask("GET", "/v1/audit/checkpoint").body.decode())
    said = signing.ask("GET", "/v1/audit/5/proof").json
    path = [bytes.fromhex(one) for one in said["path"]]
    root = checkpoints.parsed(said["checkpoint"]).root
    assert included(leaf(said["entry"].encode()), said["place"], said["size"], path) == root
    said = signing.ask("GET", f"/v1/audit/consistency?older=3&newer={note.size}").json
    roots = bytes.fromhex(said["older_root"]), bytes.fromhex(said["newer_root"])
    assert grown(3, note.size, [bytes.fromhex(one) for one in said["path"]], roots[0]) == roots
    assert roots[1] == note.root


@pytest.mark.parametrize(("path", "status", "field"), [
    ("?limit=0", 422, "limit"), ("?limit=a", 422, "limit"), ("?kinds=a", 422, "kinds"), ("?after=1&after=2", 422, "after"),
    ("/0", 422, "audit_id"), ("/x", 422, "audit_id"), ("/99999999999999999999", 422, "audit_id"), ("/9999", 404, "audit_id"),
    ("/9999/proof", 404, "audit_id"), ("/consistency?older=5&newer=3", 404, "newer"), ("/consistency?older=5&newer=9999", 404, "newer"),
    ("/consistency?older=5", 422, "newer"),
])  # fmt: skip
def test_what_the_log_does_not_have_is_refused_with_the_field(signing: Server, path: str, status: int, field: str) -> None:
    answer = signing.ask("GET", f"/v1/audit{path}")
    assert (answer.status, answer.json["error"]["field"]) == (status, field)


def test_only_a_key_with_the_scope_audit_reads_the_log(signing: Server) -> None:
    key = key_of(signing.database, *(set(Scope) - {Scope.AUDIT}), caller="everything else")
    for path in ("", "/1", "/1/proof", "/checkpoint", "/consistency?older=1&newer=1"):
        assert signing.ask("GET", f"/v1/audit{path}", headers={"Authorization": f"Bearer {key}"}).status in (401, 403)
