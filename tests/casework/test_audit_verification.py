"""Whoever may do anything to the database is found out: every flip, deletion, exchange, cut, renumbering, and a rollback of all of it."""

import os
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import text

from casework import audit_keys, audit_log, checkpoints, decision_batches
from casework import database as databases
from casework.audit_form import AuditEntry, sealed
from casework.audit_keys import PrivateKey
from casework.audit_verification import Chain, Findings, verify
from casework.database import Database
from casework.merkle import Tree
from casework.writers import bring_in
from domain.errors import AuditError
from tests.casework.audit_logs import filled, unguarded
from tests.casework.records import entry
from tests.databases import execute, rows

SIZE = 10_000
TEXT = ("at", "person", "reason", "kind", "change", "before", "after", "approved_by")
TODAY, YESTERDAY = date(2026, 11, 22), date(2026, 11, 21)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with databases.connect(url) as opened:
        yield opened


@pytest.fixture
def key(tmp_path: Path) -> PrivateKey:
    made = audit_keys.made("example.kg/burana")
    audit_keys.write(made, tmp_path, tmp_path / "checkpoints")
    return made


def grown(database: Database) -> Tree:
    return Tree(audit_log.hashes(database)[0])


def sign(database: Database, key: PrivateKey, folder: Path, day: date = TODAY) -> None:
    checkpoints.sign(lambda: grown(database), key, folder / "checkpoints", day)


def found(database: Database, folder: Path) -> Findings:
    return verify(database, folder / "checkpoints")


def faults(database: Database, folder: Path) -> list[str]:
    return found(database, folder).faults


# ---- a large log, changed by somebody who may -----------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def large(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, Path]]:
    """A signed log of SIZE entries that nothing protects any more, and the folder of its checkpoints; whoever changes it mends it."""
    folder = tmp_path_factory.mktemp("large")
    url = (
        databases.url_of(folder / "burana.db")
        if request.param == "sqlite"
        else request.getfixturevalue("postgresql").clone()
    )
    key = audit_keys.made("example.kg/burana")
    audit_keys.write(key, folder, folder / "checkpoints")
    with databases.connect(url) as opened:
        filled(unguarded(opened), SIZE)
        sign(opened, key, folder)
        execute(opened, "CREATE TABLE kept AS SELECT * FROM audit")
        yield opened, folder
    if request.param == "postgresql":
        request.getfixturevalue("postgresql").drop(url)


def flipped(raw: bytes, place: int, mask: int) -> bytes:
    return raw[:place] + bytes([raw[place] ^ mask]) + raw[place + 1 :]


def put(database: Database, audit_id: int, column: str, value: object) -> None:
    with database.transaction() as connection:
        connection.execute(
            text(f"UPDATE audit SET {column} = :value WHERE audit_id = :audit_id"), {"value": value, "audit_id": audit_id}
        )


def put_raw(database: Database, audit_id: int, column: str, raw: bytes) -> bool:
    """Put bytes in a column, as what it holds; False where the database does not take such text."""
    if column in ("previous", "hash"):
        put(database, audit_id, column, raw)
    elif database.file is not None:
        execute(database, f"UPDATE audit SET {column} = CAST(x'{raw.hex()}' AS TEXT) WHERE audit_id = {audit_id}")
    else:
        try:
            put(database, audit_id, column, raw.decode())
        except (UnicodeDecodeError, databases.LedgerError):
            return False
    return True


def columns_of(database: Database, audit_id: int) -> dict[str, bytes]:
    """Every column but the number, as bytes, that holds something."""
    one = audit_log.at(database, audit_id)
    return {
        name: value.encode() if isinstance(value, str) else value
        for name, value in one._asdict().items()
        if value and name != "audit_id"
    }


def test_every_byte_that_is_flipped_in_a_large_log_is_found(large: tuple[Database, Path]) -> None:
    database, folder = large
    draw = random.Random(7)
    for _ in range(120 if database.file is not None else 60):
        audit_id = draw.randint(1, SIZE)
        column, raw = draw.choice([*columns_of(database, audit_id).items()])
        if put_raw(database, audit_id, column, flipped(raw, draw.randrange(len(raw)), draw.randint(1, 255))):
            assert f"entry {audit_id} " in faults(database, folder)[0], (audit_id, column)
            put_raw(database, audit_id, column, raw)
    assert faults(database, folder) == []


BITS = tuple(1 << bit for bit in range(8))


def altered(entry: AuditEntry, masks: Sequence[int]) -> Iterator[AuditEntry | None]:
    """The entry with each byte of each column flipped by each mask; None for what is no text any more, which no database gives."""
    for place, value in enumerate(entry):
        raw = (
            value.to_bytes(8, "big")
            if isinstance(value, int)
            else value.encode()
            if isinstance(value, str)
            else value or b""
        )
        for byte in range(len(raw)):
            for mask in masks:
                yield _with(entry, place, flipped(raw, byte, mask))


def _with(entry: AuditEntry, place: int, raw: bytes) -> AuditEntry | None:
    try:
        value = (
            int.from_bytes(raw, "big", signed=True)
            if place == 0
            else raw
            if isinstance(entry[place], bytes)
            else raw.decode()
        )
    except UnicodeDecodeError:
        return None
    return AuditEntry(*entry[:place], value, *entry[place + 1 :])


def test_every_flipped_bit_is_a_fault_of_its_entry(request: pytest.FixtureRequest, tmp_path: Path, key: PrivateKey) -> None:
    """Every entry of the log, or, without --every-flip, every byte of some. The entries before it are as they were, so the chain comes to it
    as it came before: the log of which one entry is another is found wrong where that entry is."""
    whole = request.config.getoption("--every-flip")
    with databases.connect(databases.url_of(tmp_path / "burana.db")) as database:
        filled(database, SIZE)
        sign(database, key, tmp_path)
        assert faults(database, tmp_path) == []
        entries = audit_log.listed(database, most=SIZE)
    flips = unreadable = 0
    for place in range(SIZE) if whole else random.Random(7).sample(range(SIZE), 40):
        before = entries[place - 1] if place else None
        assert fault_of(before, entries[place]) == ""
        for changed in altered(entries[place], BITS if whole else BITS[place % 8 :][:1]):
            flips += 1
            unreadable += changed is None
            assert changed is None or f"entry {changed.audit_id} is not what it was" in fault_of(before, changed), changed
    print(f"{flips} flips: {flips - unreadable} found by the chain, {unreadable} no text any more")
    assert flips > 2_000


def fault_of(before: AuditEntry | None, entry: AuditEntry) -> str:
    """What the verifier says of an entry after the one before."""
    chain = Chain(before)
    chain.follow([entry])
    return chain.fault


def delete(database: Database, one: int, other: int) -> None:
    execute(database, f"DELETE FROM audit WHERE audit_id = {one}")


def delete_and_close_the_gap(database: Database, one: int, other: int) -> None:
    execute(database, f"DELETE FROM audit WHERE audit_id = {one}", f"UPDATE audit SET audit_id = -audit_id WHERE audit_id > {one}",
            f"UPDATE audit SET audit_id = -audit_id - 1 WHERE audit_id < -{one}")  # fmt: skip


def exchange_numbers(database: Database, one: int, other: int) -> None:
    execute(database, f"UPDATE audit SET audit_id = -1 WHERE audit_id = {one}", f"UPDATE audit SET audit_id = {one} WHERE audit_id = {other}",
            f"UPDATE audit SET audit_id = {other} WHERE audit_id = -1")  # fmt: skip


def exchange_contents(database: Database, one: int, other: int) -> None:
    first, second = audit_log.at(database, one), audit_log.at(database, other)
    for name in ("at", "person", "change", "before", "after", "approved_by"):
        put(database, one, name, getattr(second, name))
        put(database, other, name, getattr(first, name))


def cut(database: Database, one: int, other: int) -> None:
    execute(database, f"DELETE FROM audit WHERE audit_id >= {one}")


def renumber(database: Database, one: int, other: int) -> None:
    execute(database, f"UPDATE audit SET audit_id = -audit_id - 1 WHERE audit_id >= {one}", "UPDATE audit SET audit_id = -audit_id WHERE audit_id < 0")  # fmt: skip


def insert_a_copy(database: Database, one: int, other: int) -> None:
    names = ", ".join(AuditEntry._fields)
    execute(
        database,
        f"INSERT INTO audit ({names}) SELECT {names.replace('audit_id', str(SIZE + 1), 1)} FROM audit WHERE audit_id = {one}",
    )


def rewrite_all_that_follows(database: Database, one: int, other: int) -> None:
    """What an owner does who knows how the hashes are made."""
    put(database, one, "person", "somebody else")
    previous = audit_log.at(database, one).previous
    with database.transaction() as connection:
        for row in audit_log.listed(database, after=one - 1, most=SIZE):
            new = sealed(row._replace(previous=previous))
            previous = new.hash
            connection.execute(
                text("UPDATE audit SET previous = :previous, hash = :hash WHERE audit_id = :audit_id"),
                {"previous": new.previous, "hash": new.hash, "audit_id": new.audit_id},
            )


@pytest.mark.parametrize(
    "change",
    [
        delete,
        delete_and_close_the_gap,
        exchange_numbers,
        exchange_contents,
        cut,
        renumber,
        insert_a_copy,
        rewrite_all_that_follows,
    ],
    ids=lambda change: change.__name__,
)
def test_every_change_of_a_large_log_is_found(
    large: tuple[Database, Path], change: Callable[[Database, int, int], None]
) -> None:
    database, folder = large
    draw = random.Random(change.__name__)
    for one, other in [(draw.randint(2, SIZE - 1), draw.randint(2, SIZE - 1)), (SIZE, 1), (SIZE - 1, SIZE)]:
        change(database, one, other)
        assert faults(database, folder) != [], (one, other)
        execute(database, "DELETE FROM audit", "INSERT INTO audit SELECT * FROM kept")
    assert faults(database, folder) == []


# ---- a small one, whole --------------------------------------------------------------------------------------------------


def test_every_byte_of_every_column_of_an_entry_is_held(tmp_path: Path, key: PrivateKey) -> None:
    with databases.connect(databases.url_of(tmp_path / "burana.db")) as database:
        filled(unguarded(database), 12)
        sign(database, key, tmp_path)
        for audit_id in (1, 5, 12):
            for column, raw in columns_of(database, audit_id).items():
                for place in range(len(raw)):
                    put_raw(database, audit_id, column, flipped(raw, place, 1 << place % 8))
                    assert f"entry {audit_id} " in faults(database, tmp_path)[0], (audit_id, column, place)
                put_raw(database, audit_id, column, raw)
        assert faults(database, tmp_path) == []


@pytest.mark.parametrize("column", ["before", "after", "approved_by"])
def test_nothing_is_not_taken_for_something(database: Database, tmp_path: Path, column: str) -> None:
    filled(unguarded(database), 4)
    for audit_id in range(1, 5):
        kept = getattr(audit_log.at(database, audit_id), column)
        put(database, audit_id, column, None if kept else "null" if column == "approved_by" else "{}")
        assert f"entry {audit_id} " in faults(database, tmp_path)[0]
        put(database, audit_id, column, kept)


def test_every_byte_of_a_checkpoint_is_held(database: Database, tmp_path: Path, key: PrivateKey) -> None:
    filled(database, 5)
    sign(database, key, tmp_path)
    (file,) = (tmp_path / "checkpoints").glob("*.checkpoint")
    raw = file.read_bytes()
    for place in range(len(raw)):
        file.write_bytes(flipped(raw, place, 1 << place % 8))
        assert faults(database, tmp_path) != [], place
    file.write_bytes(raw)
    assert found(database, tmp_path) == Findings(5, grown(database).root().hex(), 1, 5)


def test_an_empty_log_without_checkpoints_holds(database: Database, tmp_path: Path) -> None:
    assert found(database, tmp_path).faults == []


# ---- the whole database, back to yesterday -------------------------------------------------------------------------------


@pytest.fixture
def whole(url: str, request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Callable[[], object], Callable[[], object]]:
    """Keeps a database as it is now, with everything in it; puts that back in its place. While nobody is connected."""
    if url.startswith("sqlite"):
        file, kept = tmp_path / "burana.db", tmp_path / "yesterday.db"
        return lambda: shutil.copy(file, kept), lambda: shutil.copy(kept, file)
    server, name = request.getfixturevalue("postgresql"), url.rpartition("/")[2]

    def put_back() -> None:
        server.drop(url)
        server.create(name, template=f"{name} of yesterday")

    return lambda: server.create(f"{name} of yesterday", template=name), put_back


def test_a_rollback_of_the_whole_database_to_yesterday_is_found_and_gets_no_signature(
    url: str, tmp_path: Path, key: PrivateKey, whole: tuple[Callable[[], object], Callable[[], object]]
) -> None:
    keep, put_back = whole
    with databases.connect(url) as database:
        filled(database, 20)
        sign(database, key, tmp_path, YESTERDAY)
    keep()
    with databases.connect(url) as database:
        filled(database, 10, since=20)
        sign(database, key, tmp_path)
        assert found(database, tmp_path).checkpoints == 2
    put_back()
    with databases.connect(url) as database:
        (fault,) = faults(database, tmp_path)
        assert "20 entries" in fault
        assert "signed of 30: it was cut or rolled back" in fault
        filled(database, 15, since=100)
        (fault,) = faults(database, tmp_path)
        assert "the first 30 entries are not those" in fault
        with pytest.raises(AuditError, match="rewritten"):
            sign(database, key, tmp_path, date(2026, 11, 23))


# ---- keys -------------------------------------------------------------------------------------------------------------


def test_a_checkpoint_that_somebody_else_signed_is_found(database: Database, tmp_path: Path, key: PrivateKey) -> None:
    filled(database, 5)
    sign(database, audit_keys.made(key.name), tmp_path)
    (fault,) = faults(database, tmp_path)
    assert "signed by none of the 1 keys" in fault


def test_what_an_older_key_signed_holds_after_a_rotation_and_the_new_one_is_vouched_for(
    database: Database, tmp_path: Path, key: PrivateKey
) -> None:
    folder = tmp_path / "checkpoints"
    filled(database, 5)
    sign(database, key, tmp_path, YESTERDAY)
    newer = audit_keys.made(key.name)
    audit_keys.write(newer, tmp_path, folder)
    both = checkpoints.sign(lambda: grown(database), newer, folder, TODAY, older=[key])
    assert both.signed_by([key.public]) == key.public
    assert both.signed_by([newer.public]) == newer.public
    assert audit_keys.public_keys(folder) == [key.public, newer.public]
    assert found(database, tmp_path).checkpoints == 2


def test_a_new_key_is_on_the_disk_before_the_older_one_is_gone(
    tmp_path: Path, key: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(Path(f"/proc/self/fd/{file}").readlink().name))
    audit_keys.write(audit_keys.made(key.name), tmp_path, tmp_path / "checkpoints")
    assert [name.split(".")[1] for name in synced] == ["keys", "audit"]
    assert audit_keys.public_keys(tmp_path / "checkpoints")[0] == key.public


def test_a_key_is_read_back_from_a_file_that_only_its_owner_reads(tmp_path: Path, key: PrivateKey) -> None:
    assert audit_keys.read(tmp_path).public == key.public
    assert (tmp_path / "audit.key").stat().st_mode & 0o777 == 0o600
    assert audit_keys.public_key(str(key.public)) == key.public
    assert str(key.public.raw) not in repr(key)
    (tmp_path / "audit.key").write_text((tmp_path / "audit.key").read_text().replace("example", "another"))
    with pytest.raises(AuditError, match="damaged"):
        audit_keys.read(tmp_path)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "x" * 129])
def test_a_name_that_a_note_cannot_carry_is_refused(name: str) -> None:
    with pytest.raises(databases.SettingsError, match="without blanks"):
        audit_keys.made(name)


def test_the_public_key_of_the_note_s_specification_is_read() -> None:
    """The example of Go's golang.org/x/mod/sumdb/note, whose form C2SP took."""
    text_ = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    assert str(audit_keys.public_key(text_)) == text_
    note = (
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    said, _, line = note.rpartition("\n\n")
    import base64

    assert audit_keys.public_key(text_).has_signed(f"{said}\n".encode(), base64.b64decode(line.split(" ")[2])[4:])


# ---- decisions --------------------------------------------------------------------------------------------------------

GUARDS = {
    "sqlite": ["DROP TRIGGER entries_are_not_updated", "DROP TRIGGER entries_are_not_deleted"],
    "postgresql": ["ALTER TABLE entries DISABLE TRIGGER ALL"],
}


def decided(database: Database, count: int) -> None:
    bring_in(database, (entry(n, vector=b"12345678", evidence=None if n % 2 else b"{}") for n in range(1, count + 1)))


def test_decisions_join_the_log_by_the_root_of_their_batch(database: Database, tmp_path: Path) -> None:
    decided(database, 1_200)
    batch = decision_batches.record(database)
    assert (batch.first, batch.last) == (1, 1_200)
    assert decision_batches.record(database) is None
    ((change, person),) = rows(database, "SELECT change, person FROM audit")
    assert (change, person) == ("decisions: entries 1 to 1200 of the ledger", "the server")
    assert (found(database, tmp_path).batches, found(database, tmp_path).batched_to) == (1, 1_200)


@pytest.mark.parametrize("change", [
    "UPDATE entries SET answer = body WHERE sequence = 7", "UPDATE entries SET vector = evidence WHERE sequence = 8",
    "UPDATE entries SET recorded_at = '2025' WHERE sequence = 9", "UPDATE entries SET evidence = NULL WHERE sequence = 10",
    "UPDATE entries SET id = 'op-8x' WHERE sequence = 8", "UPDATE entries SET type = 'event' WHERE sequence = 8",
    "DELETE FROM entries WHERE sequence = 3", "DELETE FROM entries WHERE sequence > 15",
    "UPDATE entries SET sequence = 900 WHERE sequence = 20",
])  # fmt: skip
def test_an_entry_of_the_ledger_that_was_changed_is_found_by_its_batch(
    database: Database, tmp_path: Path, change: str
) -> None:
    decided(database, 20)
    decision_batches.record(database)
    execute(database, *GUARDS["sqlite" if database.file is not None else "postgresql"], change)
    (fault,) = faults(database, tmp_path)
    assert "the entries 1 to 20 of the ledger (audit entry 1)" in fault


def test_a_catch_up_goes_on_batch_after_batch_to_where_the_ledger_ended(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decision_batches, "MOST", 700)
    decided(database, 1_500)
    made = decision_batches.record_all(database)
    first = next(made)
    bring_in(database, iter([entry(1_501)]))
    assert [(each.first, each.last) for each in (first, *made)] == [(1, 700), (701, 1_400), (1_401, 1_500)]
    assert (found(database, tmp_path).batches, found(database, tmp_path).unbatched) == (3, 1)


def test_entries_after_the_last_batch_are_counted(database: Database, tmp_path: Path) -> None:
    decided(database, 20)
    assert found(database, tmp_path).unbatched == 20
    assert found(database, tmp_path).faults == []
