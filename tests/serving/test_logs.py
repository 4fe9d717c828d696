"""What a server writes about itself: lines that a machine reads, with the operation's id and without anybody's identifier."""

import io
import json
import logging
from dataclasses import replace

import pytest
from sqlalchemy import text

from casework import database as databases
from domain.errors import LedgerError, SettingsError
from serving import logs
from serving.logs import Decided, Format
from serving.settings import Settings
from tests.serving.examples import body, operation
from tests.serving.running import InProcess, Server, key_of


def lines_of(settings: Settings, form: Format, *records: dict) -> list[str]:
    written = io.StringIO()
    with logs.written(form, written), InProcess(settings) as burana:
        for record in records:
            burana.decide(record)
    return written.getvalue().splitlines()


def test_a_stopped_operation_gets_a_line_with_its_id_and_masked_parties(settings):
    stopped = operation(
        7, amount={"minor": 10**11, "currency": "KGS"}, sender={"customer_id": "customer-77", "account": "1240020000012345"}
    )
    lines = [json.loads(line) for line in lines_of(replace(settings, log_decisions="stopped"), Format.JSON, stopped)]
    line = next(line for line in lines if line["logger"] == "burana.decisions")
    assert (line["operation_id"], line["decided"], line["customer"]) == ("op-7", "medium", "customer ****-77")
    assert line["recipient"] == "phone ****0002"
    assert "basic" in line["layers"]
    assert line["ms"] > 0
    assert "customer-77" not in json.dumps(lines)
    assert "+996555000002" not in json.dumps(lines)


@pytest.mark.parametrize(("which", "count"), [(Decided.NONE, 0), (Decided.STOPPED, 1), (Decided.ALL, 2)])
def test_which_decisions_get_a_line_is_a_setting(settings, which, count):
    records = operation(1), operation(2, amount={"minor": 10**11, "currency": "KGS"})
    lines = lines_of(replace(settings, log_decisions=which), Format.TEXT, *records)
    assert sum("operation decided operation_id=op-" in line for line in lines) == count


def test_a_trace_stays_in_one_line_of_json():
    written = io.StringIO()
    with logs.written(Format.JSON, written):
        try:
            int("first\nsecond")
        except ValueError:
            logging.getLogger("burana").exception("it failed")
    (line,) = written.getvalue().splitlines()
    said = json.loads(line)
    assert (said["level"], said["message"]) == ("error", "it failed")
    assert "ValueError: invalid literal" in said["error"]


@pytest.mark.parametrize("form", Format)
def test_the_row_that_postgresql_refused_is_left_out(cloned, form):
    written = io.StringIO()
    with logs.written(form, written), databases.connect(cloned) as database:
        try:
            with database.transaction() as connection:
                connection.execute(text("CREATE TEMPORARY TABLE t (card text, sender text NOT NULL)"))
                connection.execute(text("INSERT INTO t VALUES (:card, NULL)"), {"card": "\n".join(["41" * 4] * 2)})
        except LedgerError as error:
            logging.getLogger("burana").exception("it failed: %s", error.__cause__)
    assert "violates not-null constraint" in written.getvalue()
    assert "41414141" not in written.getvalue()
    assert "in test_the_row_that_postgresql_refused" in written.getvalue()


@pytest.mark.parametrize("name", ["log_format", "log_decisions"])
def test_another_word_is_refused_with_those_that_are_allowed(name):
    with pytest.raises(SettingsError, match=f"{name}: seen 'loud', allowed .*none|{name}: seen 'loud', allowed text, json"):
        Settings(**{name: "loud"})


def test_a_server_writes_json_when_asked(tmp_path, models):
    home = tmp_path / "home"
    key = key_of(Settings(home=home).database)
    config = tmp_path / "settings.toml"
    config.write_text('log_format = "json"\nlog_decisions = "all"\n', encoding="utf-8")
    with Server(home, models, "--config", str(config), key=key) as server:
        server.ask("POST", "/v1/operations", body(operation(1)))
        server.stop()
        lines = [json.loads(line) for line in server.log.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
    assert any(line.get("operation_id") == "op-1" for line in lines)
