"""A standby follows the ledger and takes over with warm features; of two processes one records, whatever happens to the other."""

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg
import pytest

from casework import card_keys, postgresql
from casework import database as databases
from casework.database import Database
from casework.ledger import Entry, Ledger, reading
from casework.rule_sets import BURANA
from casework.writers import Writer, writer
from domain.decision import Decision
from domain.errors import LedgerError, SettingsError
from features.arrivals import ENCODING
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feature_set import FeatureSet
from features.layout import WORDS
from features.plan import Plan
from serving import cli, live_rules, recorded_settings, recovery, verification
from serving.contracts import OPERATION, encode
from serving.rule_desk import Desk
from serving.settings import CARD_KEY_FILE, Settings
from serving.standby import Standby
from serving.typed_client import Client, ClientError
from tests.casework.records import entry
from tests.databases import rows
from tests.serving.examples import body, event, operation
from tests.serving.running import InProcess, Server, asgi, key_of, probes, rows_in

PLAN = Plan(DEFINITIONS, RETAINED_ARRIVALS)
CALLERS, BEFORE, AFTER, TAKE_OVERS = 4, 300, 100, 3
TCP = {"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "1", "tcp_keepalives_count": "3", "tcp_user_timeout": "5000"}
ENDED_WRITERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'burana-ledger-%'"


class Callers:
    """Threads with typed clients that know both addresses, and send until they are told to stop."""

    def __init__(self, key: str) -> None:
        self.key, self.numbers = key, itertools.count(1)
        self.acknowledged: dict[int, Decision] = {}
        self.failed: list[ClientError] = []
        self.heard: list[float] = []

    def __call__(self, urls: list[str], stop: threading.Event) -> None:
        with Client(urls, self.key, deadline_s=60) as client:
            while not stop.is_set():
                number = next(self.numbers)
                try:
                    self.acknowledged[number] = client.assess(OPERATION.decode(body(operation(number))))
                except ClientError as error:
                    self.failed.append(error)
                    return
                self.heard.append(time.monotonic())

    def run(self, urls: list[str], meanwhile: Iterator[int]) -> None:
        """Send while the steps of `meanwhile` are taken, each of which says how many more are awaited after it."""
        stop = threading.Event()
        threads = [threading.Thread(target=self, args=(urls, stop)) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        try:
            for more in meanwhile:
                wanted, until = len(self.acknowledged) + more, time.monotonic() + 60
                while len(self.acknowledged) < wanted and not self.failed:
                    assert time.monotonic() < until
                    time.sleep(0.01)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert self.failed == []


@pytest.fixture(params=["sqlite", "postgresql"])
def homes(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[list[Path], str]:
    """Homes of two processes and the database: one home with its file, or two with the same card key and PostgreSQL."""
    first, second = tmp_path / "first", tmp_path / "second"
    key = Settings(home=first).card_key().hex()
    if request.param == "sqlite":
        return [first, first], Settings(home=first).database
    second.mkdir()
    (second / CARD_KEY_FILE).write_text(key, encoding="ascii")
    return [first, second], request.getfixturevalue("cloned")


def test_a_standby_takes_over_under_load_and_nothing_acknowledged_is_lost(homes, models: Path) -> None:
    folders, url = homes
    callers, took = Callers(key_of(url)), []
    with ExitStack() as stopped:

        def started(number: int, status: str) -> Server:
            home = folders[number % 2]
            return stopped.enter_context(Server(home, models, "--standby", key=callers.key, url=url, status=status))

        servers = [started(0, "ready")]
        for turn in range(1, TAKE_OVERS + 1):
            servers.append(started(turn, "standby"))
            active, standby = servers[-2:]

            def steps(active: Server = active, standby: Server = standby) -> Iterator[int]:
                yield BEFORE
                refused = standby.ask("POST", "/v1/operations", body(operation(999_999)))
                assert (refused.status, refused.headers["retry-after"]) == (503, "1")
                assert refused.json["error"]["code"] == "standby"
                began = time.monotonic()
                active.kill()
                standby.wait("ready")
                ready = time.monotonic() - began
                yield AFTER
                took.append((ready, max(after - before for before, after in itertools.pairwise(sorted(callers.heard)))))

            callers.run([active.url, standby.url], steps())
        ready, heard = (max(each[at] for each in took) for at in (0, 1))
        print(
            f"{len(callers.acknowledged)} acknowledged over {TAKE_OVERS} take-overs; the standby ready after {ready:.2f} s at most,"
            f" no answer for {heard:.2f} s at most"
        )

        with reading(url) as ledger:
            held = {entry.id: entry.answer for entry in ledger.read() if entry.type == "operation"}
        for number, decision in callers.acknowledged.items():
            assert held[f"op-{number}"] == encode(decision)
        for number in list(callers.acknowledged)[::17]:
            again = servers[-1].ask("POST", "/v1/operations", body(operation(number)))
            assert (again.status, again.body) == (200, held[f"op-{number}"])
        assert "op-999999" not in held

    figures = verification.verify(url, PLAN)
    assert figures["vectors"] >= len(callers.acknowledged)
    assert figures["vectors_differ"] == 0, figures
    assert equals_a_replay(Settings(home=folders[0], models=models, database_url=url))


def equals_a_replay(settings: Settings) -> bool:
    """Whether a start with the snapshot that was left has the features of a replay of the whole ledger."""
    with InProcess(settings) as burana, reading(settings.database) as ledger:
        replayed = recovery.rebuild(PLAN, ledger, settings.home / "no snapshot")
        engine = burana.burana.assessor.records.engine
        assert engine.applied == replayed.applied == rows_in(settings.database)
        for row in probes(settings.identifiers()):
            np.testing.assert_array_equal(engine.read(row), replayed.read(row))
    return True


@pytest.fixture
def pair(homes, models: Path) -> list[Settings]:
    """Settings of two processes on one database."""
    folders, url = homes
    return [
        Settings(home=home, models=models, database_url=url, standby=True, refresh_s=0.05, deadline_ms=10_000)
        for home in folders
    ]


def test_a_standby_is_not_ready_follows_and_takes_over_when_the_other_ends(pair: list[Settings]) -> None:
    first = ExitStack()
    active = first.enter_context(InProcess(pair[0]))
    with InProcess(pair[1]) as standby:
        assert (active.burana.readiness.status, standby.burana.readiness.status) == ("ready", "standby")
        for number in range(1, 30):
            active.decide(operation(number))
        standby.wait_until(lambda: standby.burana.assessor.records.engine.applied == 29)
        for route, record in (("operations", operation(1)), ("operations", operation(77)), ("events", event(1))):
            refused = standby.post(f"/v1/{route}", body(record))
            assert (refused.status, refused.json["error"]["code"]) == (503, "standby")
        assert standby.burana.ledger.find("operation", "op-7") is not None
        first.close()
        standby.wait_until(lambda: standby.burana.readiness.status == "ready")
        assert standby.trace()[:2] == (29, 29)
        assert standby.decide(operation(30))["sequence"] == 30
        other = operation(3, amount={"minor": 5, "currency": "KGS"})
        standby.wait(0.5)
        assert standby.post("/v1/operations", body(other)).status == 409, "an id is known whoever recorded it"


def test_of_two_processes_that_begin_on_an_empty_database_the_later_takes_the_rules_of_the_first(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, starter = FeatureSet(PLAN), live_rules.starter_rules()

    def meanwhile() -> str:
        with databases.connect(url) as other:
            Desk(other, features.names).load(starter, BURANA, "by the first")
        return starter

    monkeypatch.setattr(live_rules, "starter_rules", meanwhile)
    with databases.connect(url) as database:
        assert len(live_rules.live_rules(database, features).rules) > 0
        assert rows(database, "SELECT reason FROM rule_sets") == [("by the first",)]


def test_what_a_take_over_records_is_tried_again_until_it_is_in_the_audit_log(
    pair: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, record, tried = ExitStack(), recorded_settings.record, []

    def fails_at_first(database: Database, settings: Settings) -> None:
        tried.append(settings)
        if len(tried) == 1:
            raise LedgerError("nothing was recorded: the database is locked")
        record(database, settings)

    first.enter_context(InProcess(pair[0]))
    with InProcess(replace(pair[1], limit_tyiyn=7)) as standby:
        monkeypatch.setattr(recorded_settings, "record", fails_at_first)
        first.close()
        standby.wait_until(lambda: standby.burana.readiness.status == "ready")
        standby.wait_until(lambda: len(tried) == 2)
        standby.wait(0.3)
        said = rows(standby.burana.database, "SELECT change FROM audit WHERE kind = 'settings' ORDER BY audit_id")
    assert (len(said), "limit_tyiyn" in said[-1][0]) == (2, True)
    assert len(tried) == 2, "and not once more"


def test_a_standby_whose_card_key_is_no_longer_the_one_in_use_does_not_take_over(pair: list[Settings]) -> None:
    first = ExitStack()
    active = first.enter_context(InProcess(pair[0]))
    with InProcess(pair[1]) as standby:
        assert standby.burana.readiness.status == "standby"
        card_keys.exchange(active.burana.database, b"another key", "Aigul", "the last one leaked")
        first.close()
        standby.wait(0.5)
        assert standby.burana.readiness.status == "standby"
        card_keys.exchange(standby.burana.database, pair[1].card_key(), "Aigul", "it was found")
        standby.wait_until(lambda: standby.burana.readiness.status == "ready")


def test_a_standby_tells_readyz_how_far_it_is_and_decisions_as_they_are_stored(pair: list[Settings]) -> None:
    key = {"Authorization": f"Bearer {key_of(pair[0].database)}"}

    async def asked() -> None:
        async with asgi(pair[1]) as ask:
            told = await ask("GET", "/readyz")
            assert (told.status, told.json["status"], told.json["behind"]) == (503, "standby", 0)
            assert told.json["checks"]["ledger_held"] is False
            assert told.json["checks"]["ledger_readable"] is True
            assert (await ask("GET", "/v1/operations/op-1", b"", key)).json["sequence"] == 1
            assert b"burana_standby 1.0" in (await ask("GET", "/metrics", b"", key)).body

    with InProcess(pair[0]) as active:
        active.decide(operation(1))
        asyncio.run(asked())


def test_a_champion_acts_in_the_audit_log_once_its_process_records(pair: list[Settings]) -> None:
    with InProcess(pair[0]) as active, InProcess(pair[1]):
        assert len(rows(active.burana.database, "SELECT change FROM audit WHERE change LIKE 'champion: %'")) == 1


def test_a_standby_without_the_card_key_is_refused(cloned: str, tmp_path: Path, models: Path) -> None:
    settings = Settings(home=tmp_path / "first", models=models, database_url=cloned, deadline_ms=10_000)
    with InProcess(settings) as active:
        active.decide(operation(1))
        with pytest.raises(
            SettingsError, match=r"has no card.key, and the cards of the database are hashed under the key \w+; copy"
        ):
            InProcess(replace(settings, home=tmp_path / "second", standby=True))
        assert not (tmp_path / "second" / CARD_KEY_FILE).exists(), "no new key lies where the right one belongs"


@pytest.mark.parametrize("standby", [True, False])
def test_a_process_with_another_card_key_is_refused(cloned: str, tmp_path: Path, models: Path, standby: bool) -> None:
    settings = Settings(home=tmp_path / "first", models=models, database_url=cloned, deadline_ms=10_000)
    with InProcess(settings):
        pass
    Settings(home=tmp_path / "second").card_key()
    with pytest.raises(
        SettingsError, match=r"card\.key has the fingerprint \w+, the cards of this database are hashed under"
    ):
        InProcess(replace(settings, home=tmp_path / "second", standby=standby))


def test_an_identifier_is_not_listed_under_another_card_key(
    cloned: str, tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exchange = [
        "keys",
        "card",
        "--home",
        str(tmp_path / "second"),
        "--database",
        cloned,
        "--by",
        "Aigul",
        "--reason",
        "lost",
    ]
    with InProcess(Settings(home=tmp_path / "first", models=models, database_url=cloned, deadline_ms=10_000)):
        assert cli.main(exchange) != 0
        assert "another process serves or fills" in capsys.readouterr().err
    command = ["registry", "add", "--home", str(tmp_path / "second"), "--database", cloned, "--kind", "card", "--value",
               "4539578763621486", "--list", "prohibited", "--ground", "internal_investigation", "--source", "own_case", "--by", "Aigul",
               "--reason", "case 7"]  # fmt: skip
    Settings(home=tmp_path / "second").card_key()
    assert cli.main(command) != 0
    assert "card.key has the fingerprint" in capsys.readouterr().err
    assert cli.main(exchange) == 0
    assert cli.main(command) == 0


def test_a_process_that_lost_the_ledger_answers_nothing_and_becomes_the_standby(
    cloned: str, tmp_path: Path, models: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    second.mkdir()
    (second / CARD_KEY_FILE).write_text(Settings(home=first).card_key().hex(), encoding="ascii")
    slow = Settings(home=first, models=models, database_url=cloned, refresh_s=3_600, deadline_ms=10_000)
    quick = Settings(home=second, models=models, database_url=cloned, refresh_s=0.05, deadline_ms=10_000, standby=True)
    with InProcess(slow) as lost, InProcess(quick) as standby:
        for number in range(1, 10):
            lost.decide(operation(number))
        with psycopg.connect(cloned, autocommit=True) as connection:
            connection.execute(ENDED_WRITERS)
        standby.wait_until(lambda: standby.burana.readiness.status == "ready")
        assert [lost.post("/v1/operations", body(operation(number))).status for number in range(10, 14)] == [503] * 4
        lost.run(lost.burana.recover())
        assert lost.burana.readiness.status == "standby"
        for number in range(12, 20):
            assert standby.decide(operation(number))["sequence"] == number - 2
        lost.run(lost.burana.recover())
        assert lost.burana.assessor.records.engine.applied == 17
        assert rows_in(cloned) == 17
    assert equals_a_replay(quick)


def test_the_server_lets_go_of_the_ledger_when_the_machine_of_its_holder_is_gone(cloned: str) -> None:
    """Nothing tells a server that a machine lost its power but its own look at the connection."""
    with closing(postgresql.connected(cloned, answer_s=5, connect_s=3)) as session:
        said = {name: session.execute(f"SHOW {name}").fetchone()[0] for name in TCP}
    assert said == TCP


def test_a_ledger_lost_while_nobody_sends_anything_is_held_again(cloned: str, tmp_path: Path, models: Path) -> None:
    settings = Settings(home=tmp_path, models=models, database_url=cloned, refresh_s=0.05, deadline_ms=10_000)
    with InProcess(settings) as burana:
        burana.decide(operation(1))
        with psycopg.connect(cloned, autocommit=True) as connection:
            connection.execute(ENDED_WRITERS)
        burana.wait_until(lambda: burana.burana.readiness.status != "ready")
        burana.wait_until(lambda: burana.burana.readiness.status == "ready")
        assert burana.decide(operation(2))["sequence"] == 2


def test_a_standby_whose_ledger_was_exchanged_begins_anew(settings: Settings, tmp_path: Path) -> None:
    """As after a restored backup, or where a replica that had not everything became the database."""
    with InProcess(settings) as burana:
        for number in range(1, 8):
            burana.decide(operation(number))
        standby = Standby(PLAN, burana.burana.ledger, tmp_path / "none.npz")
        before = standby.follow()
        assert (before.applied, standby.follow()) == (7, before)
        before.apply([0] * WORDS)  # an entry that the ledger does not have
        assert standby.follow() is not before
        assert standby.engine.applied == 7


def test_a_standby_takes_what_it_saw_however_fast_the_other_records(tmp_path: Path) -> None:
    """Else it would read on for as long as entries come quicker than it asks: `behind` would stay what it was, and a stop would wait."""
    with databases.connect(databases.url_of(tmp_path / "burana.db")) as database, closing(writer(database)) as writing:
        standby = Standby(PLAN, Busy(database, writing), tmp_path / "none.npz")
        writing.add([arrival(1)])
        standby.follow()
        assert (standby.behind, standby.engine.applied) == (1, 1)
        standby.follow()
        assert (standby.behind, standby.engine.applied) == (1, 2)


class Busy(Ledger):
    """A ledger to which another record was added whenever rows were read of it."""

    def __init__(self, database: Database, writing: Writer) -> None:
        super().__init__(database)
        self._writing = writing

    def rows(self, after: int = 0, chunk: int = 100_000) -> Iterator[list[tuple[int, bytes, int]]]:
        for page in super().rows(after, chunk):
            last = page[-1][0]
            assert last < 10, "it reads on and on"
            self._writing.add([arrival(last + 1)])
            yield page


def arrival(sequence: int) -> Entry:
    return entry(sequence, row=bytes(8 * WORDS), encoding=ENCODING)
