"""The audit log beside a running server: settings, batches, checkpoints; and the command that verifies, proves and exports it."""

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from casework import audit_keys, checkpoints, decision_batches
from casework import database as databases
from casework.audit_form import leaf
from serving import cli
from serving.batches import Batches
from serving.metrics import Metrics
from serving.settings import Settings
from serving.settings_file import stated
from tests.casework.audit_logs import filled, unguarded
from tests.casework.records import entry
from tests.casework.test_merkle import grown, included
from tests.databases import bring_in, execute, rows
from tests.serving.examples import operation
from tests.serving.running import InProcess

BY = ("--by", "Aigul", "--reason", "the first key")


@pytest.fixture
def settings(tmp_path: Path, models: Path) -> Settings:
    return Settings(
        home=tmp_path,
        models=models,
        checkpoints=tmp_path / "checkpoints",
        audit_batch_s=0.2,
        refresh_s=0.05,
        require_model=False,
    )


def audit(settings: Settings, action: str, *more: str) -> int:
    """`burana audit ACTION`."""
    return cli.main(["audit", action, "--home", str(settings.home), "--checkpoints", str(settings.checkpoints), *more])


@pytest.fixture
def home(settings: Settings) -> Settings:
    """A home with a log of ten entries, a key, and a checkpoint of eleven: the key is an entry too."""
    with databases.connect(settings.database) as database:
        filled(database, 10)
    assert audit(settings, "key", "--origin", "example.kg/burana", *BY) == 0
    return settings


@pytest.fixture
def key(home: Settings) -> str:
    return str(audit_keys.public_keys(home.checkpoints)[-1])


# ---- beside the server ------------------------------------------------------------------------------------------------


def settings_entries(database: databases.Database) -> list[tuple[str, dict, dict]]:
    found = rows(database, "SELECT change, before, after FROM audit WHERE kind = 'settings' ORDER BY audit_id")
    return [(change, before and json.loads(before), json.loads(after)) for change, before, after in found]


def test_a_start_with_other_settings_is_recorded_with_both_and_one_with_the_same_is_not(settings: Settings) -> None:
    for given in (settings, settings, replace(settings, limit_tyiyn=5, deadline_ms=75)):
        with InProcess(given) as burana:
            found = settings_entries(burana.burana.database)
    assert [change for change, _, _ in found] == ["settings: the first", "settings: deadline_ms, limit_tyiyn"]
    assert [found[1][1]["deadline_ms"], found[1][2]["deadline_ms"]] == ["50.0", "75"]
    assert found[0][2] == found[1][1]


def test_no_secret_of_the_settings_is_recorded(settings: Settings) -> None:
    said = stated(replace(settings, database_url="postgresql://burana:pa55@db/burana"))
    assert said["database"] == "postgresql://burana:***@db/burana"
    assert "pa55" not in str(said)
    assert "database_url" not in said


def test_a_server_batches_what_it_decided_and_signs_what_it_recorded(
    home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with InProcess(home) as burana:
        for number in range(1, 8):
            burana.decide(operation(number))
        notary = burana.burana.notary
        burana.wait_until(lambda: rows(burana.burana.database, "SELECT 1 FROM audit WHERE kind = 'decisions'"), 60)
        burana.wait_until(lambda: checkpoints.read(home.checkpoints)[-1][1].size == len(notary.grown()))
        text = burana.burana.metrics.text().decode()
    assert "burana_audit_unsigned_total 0.0" in text
    assert audit(home, "verify") == 0
    assert "all of it holds" in capsys.readouterr().out


def test_batching_takes_no_cpu_of_the_server_itself(home: Settings) -> None:
    """What a process beside did is of the children, and the server's own share of 20,000 entries is less than theirs."""
    bring_in(home.database, (entry(number, body=b"x" * 3_000) for number in range(1, 20_001)))
    with databases.connect(home.database) as database:
        batches = Batches(home, database, Metrics(), lambda: 20_000)
        own, children = time.process_time(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        asyncio.run(asyncio.wait_for(_until_batched(batches, database), 60))
        own, children = time.process_time() - own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - children
        assert decision_batches.batched_to(database) == 20_000
    assert own < children / 4, (own, children)


async def _until_batched(batches: Batches, database: databases.Database) -> None:
    while decision_batches.batched_to(database) == 0:
        await asyncio.sleep(0.2)
        await batches.turn()


def test_a_batch_that_fails_is_said_and_tried_again(home: Settings, caplog: pytest.LogCaptureFixture) -> None:
    with databases.connect(home.database) as database:
        gone = replace(home, home=home.home / "gone", audit_batch_s=0.01)
        batches = Batches(gone, database, metrics := Metrics(), lambda: 7)
        for _ in range(2):
            time.sleep(0.02)
            asyncio.run(batches.turn())
    assert caplog.text.count("does not exist; name the --home") == 2
    assert "burana_audit_unbatched 7.0" in metrics.text().decode()


def test_a_server_on_a_database_of_yesterday_signs_nothing_and_says_so(
    home: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    file = home.home / "burana.db"
    before = file.read_bytes()
    with databases.connect(home.database) as database:
        filled(database, 200, since=10)  # more than a first start records
    assert audit(home, "checkpoint") == 0
    signed = checkpoints.read(home.checkpoints)
    file.write_bytes(before)
    with InProcess(home) as burana:
        burana.wait_until(lambda: "burana_audit_unsigned_total 0.0" not in burana.burana.metrics.text().decode())
    assert "it was cut or rolled back" in caplog.text
    assert checkpoints.read(home.checkpoints) == signed


# ---- the command ------------------------------------------------------------------------------------------------------


def test_verify_says_the_first_broken_entry_and_what_is_wrong(
    home: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert audit(home, "verify") == 0
    with databases.connect(home.database) as database:
        execute(
            unguarded(database),
            "UPDATE audit SET person = 'nobody' WHERE audit_id = 7",
            "DELETE FROM audit WHERE audit_id = 3",
        )
    assert audit(home, "verify", "--json", str(tmp_path / "figures.json")) == 1
    assert "WRONG: entry 4 does not follow entry 2" in capsys.readouterr().out
    assert json.loads((tmp_path / "figures.json").read_text())["entries"] == 10


def test_verify_with_a_key_from_elsewhere_trusts_no_other(
    home: Settings, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(home, "verify", "--key", key) == 0
    assert audit(home, "verify", "--key", str(audit_keys.made("example.kg/burana").public)) == 1
    assert "signed by none of the 1 keys" in capsys.readouterr().out
    assert audit(home, "verify", "--key", key[:-3]) == 2


def test_without_a_checkpoint_verify_says_that_nothing_vouches_and_where_it_looked(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with databases.connect(settings.database) as database:
        filled(database, 10)
    assert audit(settings, "verify") == 0
    assert f"no checkpoint in {settings.checkpoints} vouches" in capsys.readouterr().out
    assert audit(settings, "verify", "--key", str(audit_keys.made("example.kg/burana").public)) == 1, "one was asked for"
    assert f"no checkpoint in {settings.checkpoints} vouches" in capsys.readouterr().out


def test_a_proof_leads_from_the_entry_to_the_signed_root(home: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    with databases.connect(home.database) as database:
        filled(database, 5, since=11)
    for audit_id in (1, 6, 11):
        capsys.readouterr()
        assert audit(home, "proof", str(audit_id)) == 0
        said = json.loads(capsys.readouterr().out)
        path = [bytes.fromhex(one) for one in said["path"]]
        root = checkpoints.parsed(said["checkpoint"]).root
        assert json.loads(said["entry"])["audit_id"] == audit_id
        assert included(leaf(said["entry"].encode()), said["place"], said["size"], path) == root
    assert audit(home, "proof", "12") == 2
    assert "under no checkpoint" in capsys.readouterr().err


def test_a_proof_of_consistency_leads_to_both_roots(home: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert audit(home, "consistency", "6", "11") == 0
    said = json.loads(capsys.readouterr().out)
    roots = bytes.fromhex(said["older_root"]), bytes.fromhex(said["newer_root"])
    assert grown(6, 11, [bytes.fromhex(one) for one in said["path"]], roots[0]) == roots
    assert roots[1] == checkpoints.read(home.checkpoints)[-1][1].root
    assert audit(home, "consistency", "6", "12") == 2


def test_a_rotation_keeps_the_name_and_both_keys_vouch_for_it(
    home: Settings, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(home, "key", "--origin", "another", "--rotate", *BY) == 2
    assert audit(home, "key", "--origin", "example.kg/burana", *BY) == 2
    assert "--rotate makes another" in capsys.readouterr().err
    assert audit(home, "key", "--rotate", *BY) == 0
    newer = capsys.readouterr().out.strip()
    for one in (key, newer):
        assert audit(home, "verify", "--key", one) == 0
    with databases.connect(home.database) as database:
        ((before, after),) = rows(database, "SELECT before, after FROM audit WHERE change LIKE 'audit: rotate%'")
    assert (json.loads(before), json.loads(after)) == ({"key": key}, {"key": newer})


def test_a_rotation_that_nothing_vouched_for_leaves_the_older_key(
    home: Settings, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(checkpoints, "sign", no_space)
        assert audit(home, "key", "--rotate", *BY) == 2
    kept = audit_keys.read(home.home)
    assert kept is not None
    assert str(kept.public) == key
    assert audit(home, "key", "--rotate", *BY) == 0
    assert audit(home, "verify", "--key", key) == 0, "the older one vouches for the one that signs now"


def no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_list_and_show_tell_what_was_changed(home: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert audit(home, "list", "--kind", "registry", "--after", "4", "--limit", "2") == 0
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == ["5", "6"]
    assert audit(home, "list", "--limit", "1") == 0
    assert "audit: make the key of example.kg/burana" in capsys.readouterr().out
    assert audit(home, "show", "5") == 0
    assert json.loads(capsys.readouterr().out)["before"]["value"] == "+996000000005"
    assert audit(home, "show", "99") == 2


# ---- by a third party, on an export ------------------------------------------------------------------------------------


@pytest.fixture
def exported(home: Settings, tmp_path: Path) -> Iterator[Path]:
    """An export with decisions, of a server that ran."""
    with InProcess(home) as burana:
        for number in range(1, 8):
            burana.decide(operation(number))
        burana.wait_until(lambda: rows(burana.burana.database, "SELECT 1 FROM audit WHERE kind = 'decisions'"), 60)
    assert audit(home, "checkpoint") == 0
    assert audit(home, "export", "--out", str(tmp_path / "export"), "--with-ledger") == 0
    return tmp_path / "export"


def verified(export: Path, *keys: str) -> tuple[int, str]:
    """What the verifier in the export says, run by an interpreter that knows nothing of Burana."""
    command = [sys.executable, "-I", "verify_audit.py", ".", *keys]
    ended = subprocess.run(command, cwd=export, capture_output=True, text=True, check=False, timeout=60)
    return ended.returncode, ended.stdout + ended.stderr


def test_a_third_party_verifies_an_export_with_python_and_cryptography_alone(exported: Path, key: str) -> None:
    code, said = verified(exported, key)
    assert (code, "batches of decisions, verified" in said) == (0, True), said
    assert verified(exported)[0] == 0
    assert verified(exported, str(audit_keys.made("example.kg/burana").public))[0] == 1
    source = (exported / "verify_audit.py").read_text()
    assert len(source.splitlines()) < 100
    assert "casework" not in source.replace("casework/", "")


@pytest.mark.parametrize("name", ["audit.jsonl", "ledger.bin"])
def test_a_third_party_finds_what_was_changed_in_an_export(exported: Path, name: str) -> None:
    raw = (exported / name).read_bytes()
    for place in range(0, len(raw), len(raw) // 12):
        (exported / name).write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        code, said = verified(exported)
        assert code == 1, place
        assert "NOT VALID" in said
    (exported / name).write_bytes(raw)
    assert verified(exported)[0] == 0


def test_a_batch_of_nothing_says_so(home: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    with InProcess(home):
        pass
    capsys.readouterr()
    assert audit(home, "batch") == 0
    assert capsys.readouterr().out.startswith("nothing new of the ledger, ")


def test_what_a_third_party_cannot_verify_is_said_and_is_no_traceback(exported: Path, key: str) -> None:
    assert verified(exported, "9f2c") == (1, "NOT VALID: ValueError('9f2c is no public key, NAME+HASH+BASE64')\n")
    (exported / "keys").unlink()
    code, said = verified(exported)
    assert (code, said.startswith("NOT VALID: FileNotFoundError")) == (1, True)
    (exported / "audit.jsonl").write_text("5\n")
    code, said = verified(exported, key)
    assert (code, said.startswith("NOT VALID: TypeError")) == (1, True)


def test_an_export_takes_nobody_s_place(home: Settings, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    assert audit(home, "export", "--out", str(tmp_path / "there")) == 2
