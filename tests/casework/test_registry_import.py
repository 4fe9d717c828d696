"""Many entries at once: four eyes, whole or not at all, every line taken or rejected with its reason; what was proposed stays."""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from casework import approvals, registry_entries, registry_files, registry_import
from casework import database as databases
from casework.database import Database
from casework.proposals import Ruling
from casework.registry import Registry
from casework.registry_entries import Filter
from domain.errors import ConflictError, LedgerError, SamePersonError, SettingsError
from domain.identifiers import IdentifierKind
from tests import registry
from tests.casework.test_registry import IDENTIFIERS, operation
from tests.databases import audit, execute, rows

HEAD = "value,list,ground,source,reference\n"
LINE = "0555 123 {:03},prohibited,participant_warning,participant,letter 7\n"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with databases.connect(url) as opened:
        yield opened


def file(tmp_path: Path, text: str, name: str = "phones.csv") -> Path:
    (made := tmp_path / name).write_text(text, encoding="utf-8")
    return made


def difference(database, path):
    return registry_files.difference(database, IDENTIFIERS, registry_files.read(path, IdentifierKind.PHONE))


def propose(database, path) -> int:
    return registry_import.propose(database, difference(database, path).new, path.name, "Aigul", "letter 7")


def test_an_approved_import_lists_every_line_by_one_change(database, tmp_path):
    made = propose(database, file(tmp_path, HEAD + "".join(map(LINE.format, range(20)))))
    live = Registry(database, IDENTIFIERS)
    assert len(live) == 0
    with pytest.raises(SamePersonError):
        approvals.decide(database, made, Ruling.APPROVED, "Aigul", "mine")
    approvals.decide(database, made, Ruling.APPROVED, "Bakyt", "compared with the letter")
    live.refresh()
    assert len(live) == 20
    assert len(live.hits(operation(recipient={"phone": "996555123007"}))) == 1
    assert rows(database, "SELECT DISTINCT added_proposal, added_by, reference FROM registry") == [
        (made, "Aigul", "letter 7")
    ]
    assert audit(database)[-1] == ("Aigul", "letter 7", "registry: import 20 entries of phones.csv")


def test_a_line_is_taken_or_rejected_with_its_reason(database, tmp_path):
    registry.add(database, IDENTIFIERS, IdentifierKind.PHONE, "0555123001")
    bad = "call me,prohibited,participant_warning,participant,\n0555123009,white,participant_warning,participant,\n"
    long = LINE.format(2).rstrip() + ", page 2\n"
    found = difference(database, file(tmp_path, HEAD + LINE.format(0) + LINE.format(1) + bad + LINE.format(0) + long))
    assert ([listing.value for listing in found.new], found.there) == (["+996555123000"], 1)
    assert [reject.line for reject in found.rejects] == [3, 4, 5, 6]
    assert "phone number" in found.rejects[0].reason
    assert found.rejects[1].reason == "list: seen 'white', allowed prohibited, watched"
    assert "stands in the file before" in found.rejects[2].reason
    assert "beyond the heading" in found.rejects[3].reason
    registry_files.write_rejects(tmp_path / "rejects.csv", found.rejects)
    assert (tmp_path / "rejects.csv").read_text(encoding="utf-8").startswith("line,reason\n3,")


def test_what_was_listed_meanwhile_stays_as_it_is_on_whatever_page_it_stands(database, tmp_path, monkeypatch):
    monkeypatch.setattr(registry_import, "PAGE", 3)
    made = propose(database, file(tmp_path, HEAD + "".join(map(LINE.format, range(8)))))
    entry = registry.add(database, IDENTIFIERS, IdentifierKind.PHONE, "0555123004")
    approvals.decide(database, made, Ruling.APPROVED, "Bakyt", "compared")
    first, *others = registry_entries.listed(database)
    assert first["entry_id"] == entry
    assert [one["value"][-1] for one in others] == list("0123567")
    live = Registry(database, IDENTIFIERS)
    for number in range(8):
        assert len(live.hits(operation(recipient={"phone": f"99655512300{number}"}))) == 1


def test_what_has_run_out_of_time_is_listed_anew(database, tmp_path):
    validity = {"valid_from": datetime(2025, 1, 1, tzinfo=UTC), "valid_to": datetime(2025, 2, 1, tzinfo=UTC)}
    entry = registry.add(database, IDENTIFIERS, IdentifierKind.PHONE, "0555123001", **validity)
    made = propose(database, file(tmp_path, HEAD + LINE.format(0) + LINE.format(1)))
    approvals.decide(database, made, Ruling.APPROVED, "Bakyt", "compared")
    assert registry_entries.entry(database, entry)["removed_ground"] == "expired"
    assert [one["value"] for one in registry_entries.listed(database)] == ["+996555123000", "+996555123001"]


def test_lines_that_are_not_those_that_were_proposed_are_not_listed(database, tmp_path):
    made = propose(database, file(tmp_path, HEAD + LINE.format(0) + LINE.format(1)))
    name = (
        "registry_lines_are_not_changed"
        if database.file is not None
        else "registry_lines_are_never_changed ON registry_lines"
    )
    execute(database, f"DROP TRIGGER {name}", "UPDATE registry_lines SET value = '+996555123009' WHERE line = 2")
    with pytest.raises(ConflictError, match="not those that were proposed"):
        approvals.decide(database, made, Ruling.APPROVED, "Bakyt", "compared")
    assert rows(database, "SELECT count(*) FROM registry") == [(0,)]
    assert rows(database, "SELECT verdict FROM proposals") == [(None,)]


def test_an_import_that_fails_half_way_lists_nothing(database, tmp_path):
    made = propose(database, file(tmp_path, HEAD + "".join(map(LINE.format, range(20)))))
    if database.file is not None:
        execute(
            database,
            "CREATE TRIGGER fails BEFORE INSERT ON registry WHEN NEW.added_line = 15 BEGIN SELECT RAISE(ABORT, 'full'); END",
        )
    else:
        execute(database, "CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'full'; END $$",
                "CREATE TRIGGER fails BEFORE INSERT ON registry FOR EACH ROW WHEN (NEW.added_line = 15) EXECUTE FUNCTION fails()")  # fmt: skip
    with pytest.raises(LedgerError, match="full"):
        approvals.decide(database, made, Ruling.APPROVED, "Bakyt", "compared")
    assert rows(database, "SELECT count(*) FROM registry") == [(0,)]
    assert rows(database, "SELECT verdict FROM proposals") == [(None,)]


def test_by_sql_the_lines_of_a_proposal_never_change(database, tmp_path):
    propose(database, file(tmp_path, HEAD + LINE.format(0)))
    columns = "proposal_id, line, kind, value, list, ground, source"
    for statement in ("UPDATE registry_lines SET value = '+996700000000'", "DELETE FROM registry_lines",
                      f"INSERT INTO registry_lines ({columns}) SELECT proposal_id, 2, kind, '1', list, ground, source FROM registry_lines",
                      f"INSERT INTO registry_lines ({columns}) SELECT 99, 1, kind, '1', list, ground, source FROM registry_lines"):  # fmt: skip
        with pytest.raises(LedgerError, match=r"come with its proposal|never changed"):
            execute(database, statement)


def test_by_sql_an_approved_import_lists_nothing_but_its_lines(database, tmp_path):
    made = propose(database, file(tmp_path, HEAD + LINE.format(0)))
    approvals.decide(database, made, Ruling.APPROVED, "Bakyt", "compared")
    names = "kind, value, list, ground, source, look_up, added_at, added_by, added_reason, added_proposal, added_line, added_change"
    for change in ("'1' || value", "value"):
        line = "2" if change == "value" else "added_line"
        copied = names.replace("value", change).replace("added_line", line).replace("added_change", "77")
        with pytest.raises(LedgerError, match=r"listed alone|already"):
            execute(database, f"INSERT INTO registry ({names}) SELECT {copied} FROM registry")


def test_what_is_exported_is_imported_again(database, tmp_path, url):
    registry.add(database, IDENTIFIERS, IdentifierKind.PHONE, "0555123001", reference="a, b")
    registry.add(database, IDENTIFIERS, IdentifierKind.SERVICE, "Лото Шанс")
    assert registry_files.export_csv(database, tmp_path / "out", Filter()) == {"phone.csv": 1, "service.csv": 1}
    (tmp_path / "all.json").write_text(json.dumps(list(registry_files.exported(database, Filter()))), encoding="utf-8")
    with databases.connect(databases.url_of(tmp_path / "other.db")) as other:
        for name in ("out/phone.csv", "out/service.csv"):
            assert len(registry_files.difference(other, IDENTIFIERS, registry_files.read(tmp_path / name)).new) == 1
        assert len(registry_files.difference(other, IDENTIFIERS, registry_files.read(tmp_path / "all.json")).new) == 2
    assert registry_files.difference(database, IDENTIFIERS, registry_files.read(tmp_path / "all.json")).there == 2


@pytest.mark.parametrize("text", ['=HYPERLINK("http://x")', "'=1", "-2+3", "@SUM(1)", "\t=1", "'", "'quoted'", "17-4"])
def test_nothing_is_a_formula_in_a_spreadsheet_and_all_comes_back_as_it_was(text, tmp_path):
    told = {"kind": "service", "value": text, "list": "watched", "reference": text}
    lines = list(registry_files.as_csv([told]))
    (tmp_path / "list.csv").write_text("".join(lines), encoding="utf-8", newline="")
    with (tmp_path / "list.csv").open(newline="", encoding="utf-8") as opened:
        assert not {line[name][0] for line in csv.DictReader(opened) for name in ("value", "reference")} & set("=+-@\t\r")
    assert list(registry_files.read(tmp_path / "list.csv")) == [told]
    assert "phone,+996555123001," in "".join(registry_files.as_csv([{"kind": "phone", "value": "+996555123001"}]))


@pytest.mark.parametrize(("name", "text", "said"), [("a.csv", "value,colour\n1,red\n", "colour"), ("a.json", "{", "no JSON"),
                                                   ("a.json", "{}", "array"), ("a.csv", "\udcff", "cannot be read"),
                                                   ("a.json", "[" * 100_000, "no JSON"), ("a.json", '["\\ud800"]', "no JSON"),
                                                   ("a.csv", "value,list,value\n1,watched,2\n", "columns value, allowed .* each once")])  # fmt: skip
def test_a_file_that_is_no_list_is_refused(database, tmp_path, name, text, said):
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SettingsError, match=said):
        difference(database, tmp_path / name)


def test_nothing_new_is_not_proposed(database):
    with pytest.raises(SettingsError, match="nothing to propose"):
        registry_import.propose(database, [], "phones.csv", "Aigul", "letter 7")
