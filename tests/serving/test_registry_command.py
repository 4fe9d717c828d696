"""`burana registry` and `burana proposals`: two persons by their keys, whatever name is written elsewhere."""

import json
from pathlib import Path

import pytest

from casework.keys import Scope
from serving import cli
from tests.serving.running import file_in, key_of


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (made := tmp_path / "home").mkdir()
    for name in ("Aigul", "Bakyt"):
        (tmp_path / name).write_text(
            key_of(file_in(made), Scope.REGISTRY, Scope.APPROVE, caller=name) + "\n", encoding="utf-8"
        )
    (tmp_path / "reader").write_text(key_of(file_in(made), Scope.READ, caller="reader"), encoding="utf-8")
    return made


def burana(home: Path, *words: object) -> int:
    command, action, *rest = map(str, words)
    if (action, rest[:1]) in [("feed", [step]) for step in ("propose", "take", "cursor", "give")]:
        action, rest = f"feed {rest[0]}", rest[1:]
    return cli.main([command, *action.split(), "--home", str(home), *rest])


def key(home: Path, name: str) -> tuple[str, Path]:
    return "--key-file", home.parent / name


ADD = ("registry", "add", "--kind", "phone", "--value", "0555 12 34 56", "--list", "prohibited", "--ground", "customer_notice",
       "--source", "own_case", "--by", "Aigul", "--reason", "fraud")  # fmt: skip


def test_an_entry_is_listed_by_one_and_removed_by_two(home, capsys):
    assert burana(home, *ADD) == 0
    assert burana(home, *ADD) == 2, "it is listed already"
    remove = ("registry", "remove", 1, "--ground", "error_found", "--reason", "another's number")
    assert burana(home, *remove, *key(home, "reader")) == 2
    assert burana(home, *remove, *key(home, "Aigul")) == 0
    capsys.readouterr()
    assert burana(home, "proposals", "approve", 1, "--reason", "mine", *key(home, "Aigul")) == 2
    assert "another person decides" in capsys.readouterr().err
    assert burana(home, "proposals", "approve", 1, "--reason", "I looked", *key(home, "Bakyt")) == 0
    assert burana(home, "registry", "show", 1) == 0
    assert "state=removed" in (shown := capsys.readouterr().out)
    assert "123456" not in shown, "masked"


@pytest.mark.parametrize(("words", "says"), [
    ((*ADD, "--reference", ""), "length >= 1 - at `$.reference`"), ((*ADD, "--reason", "\udcff"), "text without NUL"),
    (("registry", "show", 10**20), "numbers of 64 bits"), (("proposals", "approve", 10**20, "--reason", "x"), "numbers of 64 bits"),
], ids=["empty", "no UTF-8", "number", "approved"])  # fmt: skip
def test_what_cannot_be_is_refused_by_a_sentence(home, capsys, monkeypatch, words, says):
    monkeypatch.setenv("BURANA_KEY", (home.parent / "Bakyt").read_text(encoding="utf-8"))
    assert burana(home, *words) == 2
    assert says in capsys.readouterr().err


def test_a_file_that_is_no_text_holds_no_key(home, tmp_path, capsys):
    (tmp_path / "photo").write_bytes(b"\xff\xd8\xff")
    assert (
        burana(home, "registry", "remove", 1, "--ground", "error_found", "--reason", "x", "--key-file", tmp_path / "photo")
        == 2
    )
    assert "live key of a person" in capsys.readouterr().err


def test_what_an_officer_writes_passes_for_no_other_line(home, capsys):
    forged = "another's number\n2\tregistry_removal\tby Bakyt\x1b[2K\r\x9b2K\u202e: аты башка"
    assert burana(home, *ADD[:-1], forged) == 0
    assert burana(home, "registry", "remove", 1, "--ground", "error_found", "--reason", forged, *key(home, "Aigul")) == 0
    capsys.readouterr()
    for words, lines in ((("registry", "list"), 1), (("proposals", "list"), 1), (("audit", "list"), 6)):
        assert burana(home, *words) == 0
        shown = capsys.readouterr().out
        assert len(shown.splitlines()) == lines, words
        assert all(character.isprintable() or character in "\t\n" for character in shown)
        assert r"number\n2\tregistry_removal\tby Bakyt\x1b[2K\r\x9b2K\u202e: аты башка" in shown


def test_without_a_live_key_nothing_is_proposed(home, capsys, monkeypatch):
    monkeypatch.delenv("BURANA_KEY", raising=False)
    burana(home, *ADD)
    assert burana(home, "registry", "remove", 1, "--ground", "error_found", "--reason", "x") == 2
    assert "live key of a person" in capsys.readouterr().err
    monkeypatch.setenv("BURANA_KEY", (home.parent / "Aigul").read_text(encoding="utf-8"))
    assert burana(home, "registry", "remove", 1, "--ground", "error_found", "--reason", "x") == 0


def test_a_file_is_imported_by_two_and_exported(home, tmp_path, capsys):
    file = tmp_path / "phones.csv"
    file.write_text(
        "value,list,ground,source\n0555000001,watched,national_bank,national_bank\nx,watched,national_bank,national_bank\n",
        encoding="utf-8",
    )
    bring = (
        "registry",
        "import",
        file,
        "--kind",
        "phone",
        "--rejects",
        tmp_path / "rejects.csv",
        "--json",
        tmp_path / "told.json",
    )
    assert burana(home, *bring, "--dry-run") == 0
    assert json.loads((tmp_path / "told.json").read_text())["new"] == 1
    assert burana(home, *bring, "--reason", "letter 7", *key(home, "Aigul")) == 0
    assert burana(home, "proposals", "approve", 1, "--reason", "compared", *key(home, "Bakyt")) == 0
    assert "phone number" in (tmp_path / "rejects.csv").read_text(encoding="utf-8")
    assert burana(home, "registry", "export", tmp_path / "out") == 0
    assert "+996555000001" in (tmp_path / "out" / "phone.csv").read_text(encoding="utf-8")
    assert burana(home, "registry", "export", tmp_path / "out.json") == 0
    for worth in (("--source", "national_bank"), ("--file", tmp_path / "out.json")):
        assert burana(home, "registry", "value", *worth, "--json", tmp_path / "value.json") == 0
        assert json.loads((tmp_path / "value.json").read_text())["entries"] == 1
    assert burana(home, "registry", "quality", "--json", tmp_path / "quality.json") == 0
    assert json.loads((tmp_path / "quality.json").read_text())["relevance"]["live"] == 1
    assert burana(home, "registry", "list", "--at", "0001-01-01T00:00:00+06:00") == 2
    capsys.readouterr()
    assert burana(home, "registry", "list", "--at", "2020-01-01T00:00:00+06:00") == 0
    assert capsys.readouterr().out == ""


def test_a_feed_is_approved_once_and_then_taken_by_pages(home, tmp_path, capsys):
    propose = (
        "registry",
        "feed",
        "propose",
        "black",
        "--list",
        "prohibited",
        "--ground",
        "national_black_list",
        "--source",
        "national_list",
        "--caller",
        "feeds",
        "--reason",
        "K8",
    )
    assert burana(home, *propose, *key(home, "Aigul")) == 0
    assert burana(home, "proposals", "approve", 1, "--reason", "K8", *key(home, "Bakyt")) == 0
    page = tmp_path / "page.json"
    page.write_text(json.dumps({"after": 0, "up_to": 1, "issued_at": "2026-11-22T10:00:00Z", "changes": [
        {"sequence": 1, "action": "add", "kind": "phone", "value": "0555000001"}]}), encoding="utf-8")  # fmt: skip
    (tmp_path / "feeds").write_text(key_of(file_in(home), Scope.REGISTRY, caller="feeds"), encoding="utf-8")
    take = ("registry", "feed", "take", "black", page)
    assert burana(home, *take, *key(home, "Aigul")) == 2
    assert "by the key of feeds, not of Aigul" in capsys.readouterr().err
    for _ in range(2):
        assert burana(home, *take, *key(home, "feeds")) == 0
    capsys.readouterr()
    assert burana(home, "registry", "feed", "cursor", "black") == 0
    assert capsys.readouterr().out == "1\n"
    burana(home, *ADD)
    assert burana(home, "registry", "feed", "give", "--list", "prohibited", tmp_path / "ours.json") == 0
    assert [one["value"] for one in json.loads((tmp_path / "ours.json").read_text())["changes"]] == ["+996555123456"]
