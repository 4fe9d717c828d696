"""What `deploy/` names exists: metrics, settings, paths, arguments; and the roles may do what serving needs and nothing else."""

import argparse
import configparser
import itertools
import re
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path

import psycopg
import pytest
import yaml

from casework import database as databases
from casework import keys, shadow_scores
from casework.ledger import Ledger
from casework.writers import Writer, waiting, writer
from domain.errors import LedgerError
from domain.identifiers import IdentifierKind
from domain.listing import List
from serving.commands import serve
from serving.metrics import Metrics
from serving.rates import Rate
from serving.registry_api import LARGEST_IMPORT
from serving.routes import ROUTES
from serving.settings import PATHS, Settings, load
from serving.settings_file import as_toml
from tests import registry
from tests.casework.records import entry
from tests.postgresql import PostgreSQL
from tests.serving.examples import operation
from tests.serving.running import InProcess

WHY = ("the tests", "to see that it may")
DEPLOY = Path(__file__).parents[1] / "deploy"
RULES = [rule for group in yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_metric_of_an_alert_is_one_that_the_server_has(rule: dict[str, str]) -> None:
    named = {name.removesuffix("_bucket") for name in re.findall(r"\bburana_\w+", rule["expr"])}
    assert named
    assert named <= set(re.findall(r"^# HELP (\S+) ", Metrics().text().decode(), re.MULTILINE))


def test_every_alert_is_told_of_in_the_notes() -> None:
    notes = (DEPLOY / "README.md").read_text(encoding="utf-8")
    assert [rule["alert"] for rule in RULES if f"`{rule['alert']}`" not in notes] == []


def test_every_check_and_label_that_an_alert_asks_for_is_one_that_there_is() -> None:
    asked = {
        word for rule in RULES for found in re.findall(r'check!?=~?"([^"]*)"', rule["expr"]) for word in found.split("|")
    }
    assert asked <= {"ledger_held", "ledger_writable"}


def test_the_first_check_of_a_process_comes_before_the_alarm_that_there_is_none() -> None:
    rule = next(rule for rule in RULES if rule["alert"] == "BuranaFeaturesUnverified")
    assert Metrics().spot_checked_at._value.get() == 0, "of a process that has not checked yet"
    hours = int(rule["for"].removesuffix("h"))
    assert hours * 3_600 > 2 * load(DEPLOY / "burana.toml").spot_check_s, (
        "the first check is one to two of these after the start"
    )


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="the command of the notes")
def test_the_backup_of_the_notes_ends_beside_a_server_that_records(tmp_path: Path) -> None:
    notes = (DEPLOY / "README.md").read_text(encoding="utf-8")
    found = re.search(r"`umask 077; (sqlite3 .*?)`", notes)
    assert found is not None
    command = found[1].replace("/var/lib/burana", str(tmp_path)).replace("/backup", str(tmp_path / "backup"))
    (tmp_path / "backup").mkdir()
    is_over = threading.Event()
    with databases.connect(databases.url_of(tmp_path / "burana.db")) as database, closing(writer(database)) as writing:
        writing.add([entry(number, vector=bytes(3_000)) for number in range(1, 10_001)])
        recording = threading.Thread(target=record_until, args=(writing, is_over))
        recording.start()
        try:
            ended = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=60, check=True)
        finally:
            is_over.set()
            recording.join()
    with databases.existing(databases.url_of(tmp_path / "backup" / "burana.db")) as copy:
        assert Ledger(copy).last_sequence == int(ended.stdout) >= 10_000


def record_until(writing: Writer, is_over: threading.Event) -> None:
    for number in itertools.count(10_001):
        writing.add([entry(number)])
        if is_over.wait(0.002):
            return


def test_what_a_standby_refuses_makes_no_alarm() -> None:
    rule = next(rule for rule in RULES if rule["alert"] == "BuranaRefusesForNow")
    assert 'status="503"}[5m]) unless on(instance) (burana_standby == 1)' in rule["expr"]


def test_the_settings_of_the_deployment_are_all_there_are_with_what_they_mean() -> None:
    text = (DEPLOY / "burana.toml").read_text(encoding="utf-8")
    assert as_toml(load(DEPLOY / "burana.toml")) == text, (
        "write it again with `burana serve --config deploy/burana.toml --print-settings`"
    )
    assert [
        each.name for each in fields(Settings) if not re.search(rf"^(# )?\[?{each.name}\b|{each.name}", text, re.MULTILINE)
    ] == []


def test_the_proxy_of_the_notes_lets_through_what_is_taken_and_repeats_records_alone() -> None:
    notes = (DEPLOY / "README.md").read_text(encoding="utf-8")
    proxy = re.search(r"^server \{.*?^\}", notes, re.MULTILINE | re.DOTALL)
    assert proxy is not None
    assert re.findall(r"client_max_body_size (\w+)", proxy[0]) == [
        f"{Settings().max_body >> 10}k", f"{LARGEST_IMPORT >> 20}m",
    ]  # fmt: skip
    repeated = [
        where for where, done in re.findall(r"location (.*?) \{(.*?)\}", proxy[0], re.DOTALL) if "non_idempotent" in done
    ]
    taken = {route.path for route in ROUTES if any(re.search(where.removeprefix("~ "), route.path) for where in repeated)}
    assert taken == {"/v1/operations", "/v1/events", "/v1/outcomes"}


def test_the_folders_of_the_deployment_are_the_same_from_wherever_a_command_is_run() -> None:
    settings = load(DEPLOY / "burana.toml")
    assert [name for name in PATHS if not getattr(settings, name).is_absolute()] == []


def test_settings_that_are_printed_are_read_back_without_what_is_secret(tmp_path: Path) -> None:
    odd = replace(Settings(), home=Path('a "b" \\ c\n'), database_url="postgresql://u:secret@h/d", standby=True,
                  rates={"wallet core": Rate(5.5, 7)}, rate_per_s=0.25)  # fmt: skip
    file = tmp_path / "burana.toml"
    file.write_text(as_toml(odd), encoding="utf-8")
    assert "secret" not in file.read_text()
    assert load(file) == replace(odd, database_url="")


def test_every_path_that_the_image_copies_is_there() -> None:
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    copied = [path for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE) for path in shlex.split(line)[:-1]]
    assert {"domain", "features", "casework", "serving", "requirements/serving.txt"} <= set(copied)
    assert [path for path in copied if not (DEPLOY.parent / path).exists()] == []
    command = re.search(r"^CMD (\[.*\])$", text, re.MULTILINE)
    assert command is not None
    parses(yaml.safe_load(command[1])[1:])


def test_the_unit_runs_a_command_that_there_is_and_stops_it_later_than_it_drains() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(DEPLOY / "burana.service")
    _, name, *arguments = shlex.split(unit["Service"]["ExecStart"])
    assert name == "serve"
    parses(arguments)
    assert int(unit["Service"]["TimeoutStopSec"]) > 2 * load(DEPLOY / "burana.toml").drain_s


def parses(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    assert parser.parse_args(arguments) is not None


@pytest.fixture
def granted(postgresql: PostgreSQL) -> Iterator[str]:
    """A database whose tables `burana_owner` made and whose roles have what deploy/postgresql.sql grants; its URL without a role."""
    url = postgresql.create("granted")
    for _ in range(2):  # before there are tables, and after
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute((DEPLOY / "postgresql.sql").read_text(encoding="utf-8"))
        with databases.connect(url.replace("burana@", "burana_owner@")) as database:
            keys.make(database, "tests", set(keys.Scope), "the tests")
    yield url
    postgresql.drop(url)


def test_the_role_that_serves_may_add_to_the_ledger_and_change_nothing_in_it(granted: str, tmp_path: Path) -> None:
    url = granted.replace("burana@", "burana_server@")
    settings = Settings(home=tmp_path, models=tmp_path, database_url=url, require_model=False, deadline_ms=10_000)
    with InProcess(settings) as burana:
        assert burana.decide(operation(1))["sequence"] == 1
        assert burana.burana.readiness.status == "ready"
        database = burana.burana.database
        entry = registry.add(database, settings.identifiers(), IdentifierKind.PHONE, "0555123456", List.PROHIBITED, *WHY)
        registry.remove(database, entry, "the tests", "to see that it may")
        shadow_scores.keep(database, [shadow_scores.Score("a model", 1, 0.5)])
        keys.revoke(database, keys.listed(database)[0][0], "the tests", "to see that it may")
    with psycopg.connect(url, autocommit=True) as connection:
        for refused in (
            "DELETE FROM entries", "UPDATE entries SET answer = body", "TRUNCATE entries", "DROP TABLE entries", "DELETE FROM audit",
            "UPDATE audit SET reason = ''", "DELETE FROM registry", "ALTER TABLE entries DISABLE TRIGGER ALL", "CREATE TABLE mine (a int)",
        ):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(refused)


def test_the_role_that_reads_reads_and_no_more(granted: str) -> None:
    with psycopg.connect(granted.replace("burana@", "burana_reader@"), autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM entries").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("INSERT INTO audit SELECT * FROM audit")


def test_a_process_whose_role_may_not_add_does_not_keep_the_ledger_from_one_that_may(granted: str) -> None:
    reader, server = (databases.Database(granted.replace("burana@", f"burana_{role}@")) for role in ("reader", "server"))
    with reader, server, closing(waiting(reader)) as looking:
        with pytest.raises(LedgerError, match="may only be read"):
            looking.mend()
        with closing(writer(server)) as adding:
            assert (looking.is_holding, adding.is_holding) == (False, True)
